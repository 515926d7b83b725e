#!/bin/sh
# hsm_slow.sh: the key of one CA, moved from its file into a SoftHSM token, is slow: health, reads, OCSP from the cache and the other CA answer as fast as before;
# enrollments wait up to a bound, then 503; several signatures at once; a call that never returns ends the process, which begins anew. Prints TAP.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need curl curl; need openssl openssl; need jq jq
. t/hsm.sh
site_init || { ok 1 "cradle init"; finish; }
CA=$SITE/ca/bundle.pem

# -- the device CA's key goes into the token
owner=$(stat -c %u:%g "$SITE/keys/device.key")
softhsm2-util --import "$SITE/keys/device.key" --token site --label device-ca --id 0badca --pin 654321 >/dev/null 2>&1; ok $? "softhsm2-util takes the key"
printf 'pkcs11:token=site;id=%%0b%%ad%%ca?module-path=%s&pin-source=%s\n' "$MODULE" "$H/pin" >"$SITE/keys/device.uri"
chmod 600 "$SITE/keys/device.uri"; chown "$owner" "$SITE/keys/device.uri"
hsm_conf "hsm_timeout = 4" "hsm_queue = 6" "hsm_sessions = 2"
cradled "$SITE" 2>"$T/both.log"; is $? 78 "with key and URI the service does not start"
has "$(cat "$T/both.log")" 'both device.key and device.uri' "and says why"
mv "$SITE/keys/device.key" "$T/device.key"
site_start || { ok 1 "cradled starts"; finish; }
wait_for 20 token_up; ok $? "the token is there"
cd "$T" || exit 1
devices D-1 D-2 D-3 D-4 D-5 D-6 D-7 D-8 D-9 D-10 D-11 D-12
est D-1; is "$code" 200 "a device enrolls by the CA's old key in its new place"; unpack D-1
has "$(openssl verify -CAfile "$CA" D-1.pem 2>&1)" 'OK$' "its certificate verifies"
has "$(ocsp D-1.pem device)" 'good' "OCSP, by the responder's key in its file"

# -- slow: 1.2 s a signature, two at a time; twelve devices at once
token_does "slow_ms=1200"
quick() { # name command...: below half a second
    what=$1; shift
    began=$(date +%s%N); "$@" >quick.out 2>&1; rc=$?; took=$((($(date +%s%N) - began) / 1000000))
    [ $rc = 0 ] && [ $took -lt 1000 ]; ok $? "$what answers ($took ms)"
}
began=$(date +%s%N)
for d in D-2 D-3 D-4 D-5 D-6 D-7 D-8 D-9 D-10 D-11 D-12; do (est $d; echo "$code $retry" >"$d.code") & done
in_flight() { [ "$(api "$HTTPS/api/v1/status" | jq '.counters.signer_waiting')" -ge 3 ]; }
wait_for 10 in_flight; ok $? "they wait for the token"
quick "/healthz" health_says ok
quick "a read" api -f "$HTTPS/api/v1/devices?limit=2"
quick "OCSP" sh -c '. /dev/null; openssl ocsp -issuer "'"$SITE"'/ca/device.pem" -cert D-1.pem -url "'"$HTTP"'/ocsp" -CAfile "'"$SITE"'/ca/root.pem" -verify_other "'"$SITE"'/ca/device-ocsp.pem" -no_nonce | grep -q good'
key op; csr op /CN=op
enroll_op() { api -f -d "{\"name\":\"op\",\"role\":\"auditor\",\"lines\":\"\",\"csr\":\"$(tr -d '\n' <op.csr)\"}" "$HTTPS/api/v1/operators" | jq -e .certificate; }
quick "the other CA" enroll_op
all_done() { for d in D-2 D-3 D-4 D-5 D-6 D-7 D-8 D-9 D-10 D-11 D-12; do [ -s $d.code ] || return 1; done; }
wait_for 30 all_done; ok $? "every device has an answer"
took=$((($(date +%s%N) - began) / 1000000))
served=$(cat D-*.code | grep -c '^200'); busy=$(cat D-*.code | grep -c '^503 [1-9]')
[ "$served" -ge 6 ] && [ $((served + busy)) = 11 ]; ok $? "those beyond the queue got 503 with Retry-After ($served served, $busy told to come again)"
[ $took -lt $((served * 1200)) ]; ok $? "two signatures at a time ($served in $took ms)"
token_does ""
good=0
for d in D-2 D-3 D-4 D-5 D-6 D-7 D-8 D-9 D-10 D-11 D-12; do wait_for 10 est_good $d && good=$((good + 1)); done
is $good 11 "in the end all have their certificates"

# -- a call that does not come back
key D-20; csr D-20 /CN=D-20; api -d '{"uid":"D-20","model":"m","serial":"S-20"}' "$HTTPS/api/v1/devices" >/dev/null
victim=$(hsm_pid)
token_does "slow_ms=600000"
est D-20; is "$code $reason" "503 token-lost" "a call that lasts for ever ends in 503"
has "$(cat "$T/cradled.log")" 'a call into the PKCS#11 module has lasted' "and ends the process"
token_does ""
wait_for 20 est_good D-20; ok $? "the next process makes the certificate"
[ "$(hsm_pid)" != "$victim" ]; ok $? "it is another one"
is "$(api "$HTTPS/api/v1/events?kind=cert-orphan" | jq '.items | length')" 0 "no intent was given up"
grep -qE 'signal 31|bad internal framing' "$T/cradled.log"; is $? 1 "no jail was broken"
finish
