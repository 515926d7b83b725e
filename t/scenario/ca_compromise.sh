#!/bin/sh
# ca_compromise.sh: an issuing CA's key is in other hands. Every certificate of it is out at once, those that the thief forges too: at the broker,
# at the service, in OCSP and in the root's CRL. Then the fleet comes back, in waves, by the keys that the register knows.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ca.sh
ca_site pump || { ok 1 "a site with a broker"; finish; }
DEVICES="c1 c2 c3 c4 c5 c6"
for d in $DEVICES victim lost; do cradle device add $d --model m-pump >/dev/null; is "$(enroll $d)" 200 "$d enrolls"; done
cradle cert revoke "$(openssl x509 -in "$PKI/lost.pem" -noout -serial | cut -d= -f2)" >/dev/null; ok $? "one certificate is revoked"
live c1; ok $? "c1 has a session"

# -- the thief: the CA's key, a certificate for a device that exists, with a serial number of its own and with a true one
forge() { # NAME CN SERIAL
    openssl ecparam -genkey -name prime256v1 -noout -out "$PKI/$1.key" 2>/dev/null
    openssl req -new -key "$PKI/$1.key" -subj "/CN=$2" -out "$T/f.csr" 2>/dev/null
    printf 'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\nsubjectAltName=URI:urn:cradle:pump:%s\nauthorityKeyIdentifier=keyid\n' "$2" >"$T/f.ext"
    openssl x509 -req -in "$T/f.csr" -CA "$SITE/ca/device.pem" -CAkey "$SITE/keys/device.key" -set_serial "0x$3" -days 30 -extfile "$T/f.ext" -out "$PKI/$1.pem" 2>/dev/null
}
forge thief victim 7777777777777777777777777777aaaa
forge twin victim "$(openssl x509 -in "$PKI/victim.pem" -noout -serial | cut -d= -f2)"
mq thief victim | grep -q "connack 0"; ok $? "before, nobody sees that the thief's certificate is forged"
is "$(est "$PKI/thief" simplereenroll victim)" "401 certificate-unknown" "but the register does not know it"

cradle ca create dev2 --use device --passphrase-file "$T/pass" >/dev/null && cradle ca activate dev2 >/dev/null; ok $? "another CA issues"
cradle ca compromise infra --passphrase-file "$T/pass" 2>"$T/err"; has "$(cat "$T/err")" "your own certificate is from CA infra" "the CA of the own certificate cannot be blocked by mistake"
cradle ca compromise device --passphrase-file "$T/pass" --note "stolen" >"$T/out"; ok $? "the CA is compromised"
closed c1; ok $? "the session is cut"
wait_for 10 refused c2; ok $? "nobody of it gets in"
mq thief victim | grep -qE "connack 5|fail handshake"; ok $? "the forged certificate neither"
is "$(est "$PKI/c2" simplereenroll c2)" "403 ca-compromised" "the service refuses it"
has "$(openssl ocsp -issuer "$SITE/ca/device.pem" -cert "$PKI/c2.pem" -url "$HTTP/ocsp" -CAfile "$SITE/ca/bundle.pem" 2>&1)" "c2.pem: revoked" "OCSP: revoked"
has "$(openssl ocsp -issuer "$SITE/ca/device.pem" -cert "$PKI/thief.pem" -url "$HTTP/ocsp" -CAfile "$SITE/ca/bundle.pem" 2>&1)" "Reason: cACompromise" "the forged one too: cACompromise"
curl -s "$HTTP/crl/root/0.crl" | openssl crl -inform DER >"$T/root.crl"
cat "$SITE/ca/root.pem" "$T/root.crl" >"$T/trust"
has "$(openssl verify -CAfile "$T/trust" -crl_check "$SITE/ca/device.pem" 2>&1)" "certificate revoked" "the root's CRL names the CA"
has "$(openssl verify -CAfile "$T/trust" -crl_check "$SITE/ca/dev2.pem" 2>&1)" "OK$" "and not the other one"
has "$(cacerts)" "CN *= *test Device CA dev2" "EST gives the new CA"
is "$(cacerts | grep -cE 'CN *= *test Device CA$')" 0 "and the compromised one no more"
cradle ca activate device 2>"$T/err"; has "$(cat "$T/err")" "compromised" "there is no way back"
cradle ca reenroll dev2 5 2>"$T/err"; has "$(cat "$T/err")" "not compromised" "re-enrollment is opened for compromised CAs alone"

# -- the fleet comes back
back() { for d in $DEVICES; do case $(est "$PKI/$d" simplereenroll $d) in "200 ") echo $d ;; esac; done; }
cradle ca reenroll device 1 >/dev/null; some=$(back | wc -l)
cradle ca reenroll device 50 >/dev/null; half=$(back | wc -l)
[ "$some" -le "$half" ] && [ "$half" -lt 7 ]; ok $? "waves: $some of 6 at 1 percent, $half at 50"
cradle ca reenroll device 100 >/dev/null; is "$(back | wc -l)" 6 "at 100 percent everybody renews, with the same key"
is "$(est "$PKI/lost" simplereenroll lost)" "403 certificate-revoked" "but the one whose certificate was revoked before"
is "$(est "$PKI/c3" simplereenroll c3)" "200 " "and again: the answer is the same certificate"; unpack c3
is "$(issuer c3)" "test Device CA dev2" "it is of the new CA"
wait_for 10 gets_in c3; ok $? "and lets the device in"
is "$(est "$PKI/thief" simplereenroll victim)" "401 certificate-unknown" "the thief's certificate is in no register"
is "$(est "$PKI/twin" simplereenroll victim)" "401 certificate-unknown" "nor is one with a true serial number: its key is another"
is "$(est "$PKI/victim" simplereenroll victim)" "200 " "the victim renews"
cradle ca reenroll device 0 >/dev/null; is "$(est "$PKI/c4" simplereenroll c4)" "403 ca-compromised" "the way is closed again"
is "$(curl -s --cacert "$SITE/ca/bundle.pem" --cert "$PKI/c5.pem" --key "$PKI/c5.key" -o /dev/null -w '%{http_code}' "$HTTPS/update/v1/poll")" 403 "no other door was open"
is "$(cradle event list --kind ca-state --json | jq -r '[.items[] | select(.payload.name=="device")][0].payload | .state + " " + .note')" "passive " "the evidence has each state"
site_stop; ok $? "the service stops"
cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "the tables follow from the evidence"
site_start; ok $? "it starts again"
wait_for 10 refused c6; ok $? "and a compromised CA stays blocked"
cradle evidence export "$T/ev" >/dev/null 2>&1 && cradle evidence verify "$T/ev" --log-key "$SITE/trust/log.pub" >"$T/out" 2>&1; ok $? "the evidence verifies"
sed 's/^/# /' "$T/out" | tail -3
finish
