#!/bin/sh
# ca_rollover.sh: a second issuing CA under a running service, broker and fleet: made, activated, the old one retired. A session of a device from the
# old CA stays, a device from the new CA connects to a broker that was never told of it, and openssl verifies, OCSP and CRLs answer for both.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ca.sh
ca_site pump || { ok 1 "a site with a broker"; finish; }
for d in old1 old2 new1 new2; do cradle device add $d --model m-pump >/dev/null; done
is "$(enroll old1)" "200" "a device gets its certificate from the first CA"
enroll old2 >/dev/null
live old1; ok $? "and a session at the broker"

# -- the ceremony
cradle ca list >"$T/out"; is "$(awk '{print $1}' "$T/out" | sort | tr '\n' ' ' | sed 's/CA //')" "device infra root " "the CAs that init made"
cradle ca activate nobody 2>"$T/err"; has "$(cat "$T/err")" "no CA 'nobody'" "a CA that is not there cannot be activated"
cradle ca create bundle --use device --passphrase-file "$T/pass" 2>"$T/err"; has "$(cat "$T/err")" "name" "a CA cannot have the name of another file"
# killed between any two steps, the next run finishes
n=0
for at in keys/dev2.key keys/dev2-ocsp.key ca/dev2.use; do
    cradle ca create dev2 --use device --passphrase-file "$T/pass" --note yearly >"$T/out" 2>&1 & P=$!
    wait_for 20 test -e "$SITE/$at" && kill -9 $P 2>/dev/null && n=$((n + 1)); wait $P 2>/dev/null
    [ -e "$SITE/ca/dev2.pem" ] && break
done
ok $((n == 0)) "the ceremony is killed ($n times)"
cradle ca create dev2 --use device --passphrase-file "$T/pass" --note yearly >"$T/out" 2>"$T/err"; ok $? "and finished by the same command"
sed 's/^/# /' "$T/out" "$T/err"
has "$(cat "$T/out")" "repaired: an earlier run" "which says what it repaired"
cradle ca create dev2 --use device --passphrase-file "$T/pass" 2>"$T/err"; has "$(cat "$T/err")" "there is a CA dev2 already" "a second time there is nothing to do"
is "$(stat -c %a "$SITE/keys/dev2.key")" 600 "the key is its owner's alone"
is "$(cradle ca show dev2 --json | jq -r '.state,.use,.ready' | tr '\n' ' ')" "passive device true " "it is passive, and the signer has its key"
is "$(cradle event list --kind ca-ceremony --json | jq -r '.items[] | select(.payload.name=="dev2") | .payload.key,.payload.by,.payload.note' | tr '\n' ' ')" \
   "file:keys/dev2.key admin yearly " "the record of the ceremony: where the key is, who, why"
enroll new1 >/dev/null; is "$(issuer new1)" "test Device CA" "what is passive issues nothing"
cradle ca activate dev2 --note rollover >"$T/out"; ok $? "it is activated"
is "$(cradle ca list --json | jq -r '.items[] | select(.use=="device") | .name+"="+.state' | tr '\n' ' ')" "dev2=active device=passive " "the old one is passive"

# -- both count
is "$(enroll new2)" 200 "a device enrolls"
is "$(issuer new2)" "test Device CA dev2" "and has a certificate of the new CA"
stays old1; ok $? "the session from the old CA lives"
wait_for 10 gets_in new2; ok $? "the device from the new CA gets in, at a broker that nobody touched"
gets_in old2; ok $? "and one from the old CA"
for d in old1 new2; do has "$(openssl verify -CAfile "$SITE/ca/bundle.pem" -purpose sslclient "$PKI/$d.pem" 2>&1)" 'OK$' "openssl verifies $d against the bundle"; done
is "$(cacerts | grep -c '^subject')" 4 "EST gives root and three issuing CAs"
for p in old1:device new2:dev2; do
    d=${p%%:*} ca=${p##*:}
    has "$(openssl ocsp -issuer "$SITE/ca/$ca.pem" -cert "$PKI/$d.pem" -url "$HTTP/ocsp" -CAfile "$SITE/ca/bundle.pem" 2>&1)" "$d.pem: good" "OCSP of $ca: $d is good"
    crl=$(openssl x509 -in "$PKI/$d.pem" -noout -ext crlDistributionPoints | grep -o 'http[^ ]*')
    has "$crl" "/crl/$ca/" "its certificate names the CRLs of $ca"
    curl -s "$crl" | openssl crl -inform DER >"$T/$ca.crl" 2>/dev/null
    has "$(cat "$SITE/ca/bundle.pem" "$T/$ca.crl" >"$T/with.crl"; openssl verify -CAfile "$T/with.crl" -crl_check "$PKI/$d.pem" 2>&1)" 'OK$' "and openssl verifies it with that CRL"
done
is "$(est "$PKI/new2" simplereenroll new2)" "200 " "a device of the new CA talks to the service"
is "$(est "$PKI/old2" simplereenroll old2)" "200 " "one of the old CA too"

# -- a line of its own CA
cradle line set pump --ca device >/dev/null; ok $? "a product line names a CA"
cradle device add own1 --model m-pump >/dev/null; enroll own1 >/dev/null; is "$(issuer own1)" "test Device CA" "its devices have certificates of that one"
cradle ca retire device 2>"$T/err"; has "$(cat "$T/err")" "1 product lines name CA device" "which cannot be retired meanwhile"
cradle line set pump --ca default >/dev/null
cradle line set pump --ca infra 2>"$T/err"; has "$(cat "$T/err")" "no CA 'infra' for devices" "a line cannot name a CA of another use"

# -- the end of the old one
cradle ca retire dev2 2>"$T/err"; has "$(cat "$T/err")" "activate another one first" "the CA that issues is not retired"
cradle ca retire device 2>"$T/err"; has "$(cat "$T/err")" "[1-9] certificates of CA device live" "nor one with live certificates, it says how many"
stays old1; ok $? "a refusal cuts nobody"
cradle ca retire device --force >"$T/out"; ok $? "unless told so"
closed old1; ok $? "then the session is cut"
wait_for 10 refused old2; ok $? "and another device of it refused"
gets_in new2; ok $? "the new CA's device gets in"
is "$(est "$PKI/old2" simplereenroll old2)" "403 ca-retired" "EST refuses it: ca-retired"
has "$(openssl ocsp -issuer "$SITE/ca/device.pem" -cert "$PKI/old1.pem" -url "$HTTP/ocsp" -CAfile "$SITE/ca/bundle.pem" 2>&1)" "old1.pem: good" "OCSP of the retired CA goes on"
site_stop; ok $? "the service stops"
cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "the tables follow from the evidence"
sed 's/^/# /' "$T/fold"
finish
