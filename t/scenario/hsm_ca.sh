#!/bin/sh
# hsm_ca.sh: issuing CAs made in a SoftHSM token by `cradle ca create --pkcs11` on a site that had all its keys in files, under the running service: devices
# enroll from them by curl, openssl verifies, OCSP and CRLs answer; a second one; one whose key pair is deleted; a ceremony killed after the key was made.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need curl curl; need openssl openssl; need jq jq
. t/hsm.sh
. t/cmp.sh
site_init || { ok 1 "a site"; finish; }
hsm_conf
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
CA=$SITE/ca/bundle.pem
devices D-1 D-2 D-3 D-4 D-5 D-6
p11() { pkcs11-tool --module "$FAULTY_P11_MODULE" --token-label site --login --pin 654321 "$@"; }
ca_make() { timeout -k 1 60 cradle ca create "$1" --use device --pkcs11 "$URI" --passphrase-file "$T/pass" >"$1.out" 2>&1; }
issuer() { openssl x509 -in "$1.pem" -noout -issuer -nameopt multiline | sed -n 's/^ *commonName *= //p'; }
enrolls() { # UID CA: a certificate of this CA, and what is published about it
    est "$1"; is "$code $reason" "200 " "$1 enrolls"; unpack "$1"
    is "$(issuer "$1")" "test Device CA $2" "from $2"
    has "$(ocsp "$1.pem" "$2")" "$1.pem: good" "OCSP of $2 says good"
    curl -s "$(openssl x509 -in "$1.pem" -noout -ext crlDistributionPoints | grep -o 'http[^ ]*')" | openssl crl -inform DER >"$1.crl" 2>/dev/null
    cat "$CA" "$1.crl" >"$1.with"
    has "$(openssl verify -CAfile "$1.with" -crl_check -purpose sslclient "$1.pem" 2>&1)" 'OK$' "openssl verifies it with a CRL of $2"
}

# -- the first key in a token
front=$(pgrep -P "$CRADLED" -f nginx)
echo "pkcs11:token=site;colour=red" >"$SITE/keys/bad.uri"; chmod 600 "$SITE/keys/bad.uri"; chown --reference="$SITE/keys/device.key" "$SITE/keys/bad.uri"
ca_make tok1; ok $? "ca create makes a CA in the token, under the running service"; sed 's/^/# /' tok1.out
is "$(cd "$SITE/keys" && ls -d tok1* | tr '\n' ' ')" "tok1-ocsp.key tok1.uri " "its key is a URI"
is "$(stat -c '%a %U' "$SITE/keys/tok1.uri")" "600 $(stat -c %U "$SITE/keys/device.key")" "of the one whose the keys are"
is "$(cradle event list --kind ca-ceremony --json | jq -r '.items[] | select(.payload.name=="tok1") | .payload.key')" "token:keys/tok1.uri" "so says the evidence"
is "$(pgrep -P "$CRADLED" -f nginx)" "$front" "the TLS server was not restarted"
has "$(cat "$T/cradled.log")" "key bad cannot be used: .*bad.uri" "beside a URI that is wrong, which is named"; rm "$SITE/keys/bad.uri"
cradle ca activate tok1 >/dev/null; ok $? "it is activated"
enrolls D-1 tok1
cmp -cmd cr -cert st.pem -key st.key -newkey D-1.key -subject /CN=D-1 -certout c1.pem; ok $? "by CMP too, whose answers are signed by a key in a file"

# -- a second one, killed on the way
token_does slow_ms=2000 # the CA signs its OCSP responder: time enough
cradle ca create tok2 --use device --pkcs11 "$URI" --passphrase-file "$T/pass" >/dev/null 2>&1 & P=$!
wait_for 20 test -e "$SITE/keys/tok2.uri"; kill -9 $P; wait $P 2>/dev/null
token_does ""
[ ! -e "$SITE/ca/tok2.pem" ]; ok $? "ca create is killed after the key was made"
ca_make tok2; ok $? "and finished by the same command"
has "$(cat tok2.out)" "repaired: an earlier run" "which says what it repaired"
is "$(p11 --list-objects --type privkey 2>/dev/null | grep -c '^ *label: *tok2')" 1 "with the key that was made"
cradle ca activate tok2 >/dev/null
enrolls D-2 tok2
has "$(ocsp D-1.pem tok1)" "D-1.pem: good" "the first one answers as before"

# -- a key pair is deleted
cp -a "$H/tokens" "$T/copy"
for type in privkey pubkey; do p11 --delete-object --type $type --label tok2 >/dev/null 2>&1; done
est D-3; is "$code $reason" "503 token-lost" "a key pair that is deleted: its CA makes no certificates"
told() { grep -q "key tok2 cannot be used" "$T/cradled.log"; }
wait_for 10 told; has "$(cat "$T/cradled.log")" "key tok2 cannot be used: .*no key pair 'tok2'" "the log names key and reason"
has "$(cradle status 2>&1)" "the key tok2 in the token site" "so does status"
cradle line set pump --ca tok1 >/dev/null; enrolls D-4 tok1
cp -an "$T/copy/." "$H/tokens/"; p11 --keypairgen --key-type EC:prime256v1 --label other >/dev/null 2>&1 # which makes SoftHSM look at its files again
wait_for 20 grep -q "key tok2 is there again" "$T/cradled.log"; ok $? "the key pair is restored: it is found by itself"
wait_for 20 est_good D-3; unpack D-3; is "$(issuer D-3)" "test Device CA tok2" "and the certificate that waited for it is made"
for type in privkey pubkey; do p11 --delete-object --type $type --label tok2 >/dev/null 2>&1; done
hsm=$(hsm_pid)
kill -HUP "$CRADLED"
anew() { [ "$(hsm_pid)" != "$hsm" ] && [ "$(hsm_pid | wc -l)" = 1 ] && token_up; }
wait_for 20 anew; wait_for 20 est_good D-5; unpack D-5; is "$(issuer D-5)" "test Device CA tok1" "the others go on after SIGHUP too"
ca_make tok3; ok $? "and a further CA comes into the same token"; sed 's/^/# /' tok3.out
grep -qE 'signal 31|bad internal framing|AddressSanitizer' "$T/cradled.log"; is $? 1 "no process broke"
site_stop
cradled -f "$SITE" >fold.log 2>&1; ok $? "fold(events) = tables"
site_start; wait_for 20 est_good D-6; unpack D-6; is "$(issuer D-6)" "test Device CA tok1" "the service starts without that key, and the others sign"
finish
