#!/bin/sh
# hsm_site.sh: a site whose CA, OCSP and log keys are in a SoftHSM token: enrollment by curl, OCSP and CRL by openssl, no key on disk; a wrong PIN;
# the token removed and back; kill -9 of the process that holds the module, under enrollments. Prints TAP.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need curl curl; need openssl openssl; need jq jq
. t/hsm.sh
. t/cmp.sh
site_init --pkcs11-ca "$URI" --pkcs11-ocsp --pkcs11-log --pkcs11-cmp || { ok 1 "cradle init with the keys in a token"; finish; }
CA=$SITE/ca/bundle.pem
has "$(cat "$T/init.log")" 'key +test-device +in token site, serial [0-9a-f]+, SoftHSM project' "init says where the keys are"
is "$(cd "$SITE/keys" && ls | tr '\n' ' ')" "cmp.uri device-ocsp.uri device.uri directive.key infra-ocsp.uri infra.uri log.uri stream.key tuf-snapshot.key tuf-timestamp.key " "URIs instead of keys"
has "$(cat "$SITE/keys/device.uri")" '^pkcs11:token=site;object=test-device\?' "a URI names token and key"
hsm_conf "hsm_timeout = 5"
cd "$T" || exit 1

# -- a wrong PIN is told at the start, once
mv "$H/pin" "$H/pin.good"; (umask 077; echo 111111 >"$H/pin"); [ -z "$user" ] || chown "$user" "$H/pin"
cradled "$SITE" 2>wrong.log; is $? 78 "with a wrong PIN the service does not start"
has "$(cat wrong.log)" 'the PIN is wrong' "and says why"
has "$(softhsm2-util --show-slots 2>&1)" 'User PIN init\.: +yes' "the token is not locked"
mv "$H/pin.good" "$H/pin"
site_start || { ok 1 "cradled starts"; finish; }
wait_for 20 token_up; ok $? "the token is there"
devices D-1 D-2 D-3 D-4 D-5 D-6 D-7 D-8

# -- all that a CA's key does
est D-1; is "$code" 200 "a device enrolls"; unpack D-1
has "$(openssl verify -CAfile "$CA" D-1.pem 2>&1)" 'OK$' "its certificate verifies"
has "$(ocsp D-1.pem device)" 'D-1.pem: good' "OCSP by the token's key"
wait_for 10 test -s "$SITE/pub/crl/device/0.crl"
has "$(openssl crl -inform DER -in "$SITE/pub/crl/device/0.crl" -noout -CAfile "$CA" 2>&1)" 'verify OK' "a CRL by the token's key"
wait_for 10 test -s "$SITE/log/checkpoint"; ok $? "a log head by the token's key"
key op; csr op /CN=op
api -d "{\"name\":\"op\",\"role\":\"auditor\",\"lines\":\"\",\"csr\":\"$(tr -d '\n' <op.csr)\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >op.pem
has "$(openssl verify -CAfile "$CA" op.pem 2>&1)" 'OK$' "an operator, by the other CA"
is "$(grep -rl 'PRIVATE KEY' "$SITE/keys" | wc -l)" 4 "only stream and update keys are files"
pkcs11-tool --module "$FAULTY_P11_MODULE" --token-label site --login --pin 654321 --list-objects --type privkey 2>/dev/null >objects
is "$(grep -c 'Access:.*never extractable' objects)" 6 "six keys that never leave the token"
is "$(api "$HTTPS/api/v1/status" | jq -r '.tokens[0] | .token + " " + (.lost | tostring)')" "site false" "status names the token"
cmp -cmd cr -cert st.pem -key st.key -newkey D-1.key -subject /CN=D-1 -certout c1.pem; ok $? "a device enrolls by CMP: the answers are signed by the token"
events() { api "$HTTPS/api/v1/events?kind=$1" | jq -r '.items[].kind' | grep -c .; }
told() { [ "$(events token-keys)" -ge 1 ]; }
wait_for 5 told; ok $? "the evidence says where the keys are"

# -- the token is removed
for i in 1 2 3 4 5 6; do ocsp D-1.pem device >/dev/null; done # each front has its own cache
token_does lost
est D-2; is "$code $reason" "503 token-lost" "without the token no certificate"
has "$retry" '^[1-9]' "come again later"
wait_for 5 health_says degraded; ok $? "/healthz says degraded"
has "$(health)" '"tokens_lost":"site"' "and which token"
est D-3; is "$code $reason" "503 token-lost" "the next one is refused at once"
no systemUnavail - "by CMP too" -cmd cr -cert st.pem -key st.key -newkey D-3.key -subject /CN=D-3
is "$(api -o /dev/null -w '%{http_code}' "$HTTPS/api/v1/devices")" 200 "reads go on"
is "$(api -o /dev/null -w '%{http_code}' -d '{"uid":"D-9","model":"m","serial":"S-9"}' "$HTTPS/api/v1/devices")" 201 "so do changes"
has "$(ocsp D-1.pem device)" 'good' "an OCSP answer that was made before is served"
has "$(cradle status 2>&1)" 'token site' "cradle status tells it"
token_does ""
wait_for 15 health_says ok; ok $? "back: it is found by itself"
wait_for 20 est_good D-2; ok $? "and signs again"
unpack D-2; has "$(openssl verify -CAfile "$CA" D-2.pem 2>&1)" 'OK$' "for the request that met the loss too"
is "$(events token-lost) $(events token-back)" "1 1" "one event each"
is "$(api "$HTTPS/api/v1/events?kind=cert-orphan" | jq '.items | length')" 0 "no intent was given up"

# -- kill -9 under enrollments
token_does "slow_ms=150"
for d in D-3 D-4 D-5 D-6 D-7 D-8; do (est $d; echo "$code" >"$d.code") & done
victim=$(hsm_pid)
kill -9 "$victim"
wait_for 20 sh -c 'for d in D-3 D-4 D-5 D-6 D-7 D-8; do [ -s $d.code ] || exit 1; done'; ok $? "everybody gets an answer"
is "$(sort -u D-[3-8].code | grep -cvE '^(200|503)$')" 0 "a certificate, or 503"
token_does ""
again=0
for d in D-3 D-4 D-5 D-6 D-7 D-8; do wait_for 20 est_good $d && unpack $d && openssl verify -CAfile "$CA" $d.pem >/dev/null 2>&1 && again=$((again + 1)); done
is $again 6 "and in the end all have their certificates"
is "$(openssl x509 -in D-3.pem -noout -serial; openssl x509 -in D-8.pem -noout -serial)" "$(openssl x509 -in D-3.pem -noout -serial; openssl x509 -in D-8.pem -noout -serial | sort -u)" "each its own"
[ "$(hsm_pid)" != "$victim" ]; ok $? "the process is a new one"
grep -q 'hsm:0 died (signal 9)' "$T/cradled.log"; ok $? "its death is told"
grep -qE 'signal 31|bad internal framing' "$T/cradled.log"; is $? 1 "no jail was broken"

# -- the evidence is whole
site_stop
cradled -f "$SITE" >fold.log 2>&1; ok $? "fold(events) = tables"
is "$(grep -c 654321 "$T/cradled.log")" 0 "no PIN in the log"
finish
