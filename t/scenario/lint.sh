#!/bin/sh
# lint.sh: what the site signs is judged by OpenSSL, GnuTLS and `cradle lint`; what would break a rule is not signed, and that is evidence; a profile that cannot
# pass stops the start; `cradle lint` judges files of others.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need curl curl; need openssl openssl; need jq jq; need certtool gnutls-bin; need ocsptool gnutls-bin
site_init || { ok 1 "cradle init"; finish; }
sed -i 's/^san_uri = .*/san_uri = urn:maker:{serial}/' "$SITE/profiles/device.conf"
cp "$SITE/profiles/device.conf" "$T/device.conf"
printf 'subject = CN={uid}, C=\\c3\\a4\n' >"$SITE/profiles/device.conf"
timeout 60 cradled "$SITE" >"$T/refused.log" 2>&1
[ $? != 0 ]; ok $? "a profile whose certificates would break a rule stops the start"
has "$(cat "$T/refused.log")" 'RFC 5280 A.1: the certificate breaks rule name-country' "with rule and standard"
cp "$T/device.conf" "$SITE/profiles/device.conf"
site_start || { ok 1 "cradled starts"; finish; }
CA=$SITE/ca/bundle.pem
cd "$T" || exit 1

api -d '{"name":"pump"}' "$HTTPS/api/v1/lines" >/dev/null
api -d '{"name":"m","line":"pump"}' "$HTTPS/api/v1/models" >/dev/null
key st; csr st /CN=st
api -d "{\"name\":\"st\",\"role\":\"station\",\"lines\":\"pump\",\"csr\":\"$(tr -d '\n' <st.csr)\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >st.pem
enroll() { # UID SERIAL: sets code, reason
    api -d "{\"uid\":\"$1\",\"model\":\"m\",\"serial\":\"$2\"}" "$HTTPS/api/v1/devices" >/dev/null
    key "$1"; csr "$1" "/CN=$1"
    code=$(curl -s --cacert "$CA" --cert st.pem --key st.key -H 'Content-Type: application/pkcs10' --data-binary "@$1.csr" -D head -o out -w '%{http_code}' \
        "$HTTPS/.well-known/est/simpleenroll")
    reason=$(tr -d '\r' <head | sed -n 's/^x-cradle-reason: //Ip')
    openssl base64 -d -in out 2>/dev/null | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 >"$1.pem" 2>/dev/null
}

# -- what breaks a rule is not signed
enroll P-1 S-1; is "$code" 200 "a device is enrolled"
enroll P-2 'S%2'; is "$code $reason" "500 lint" "a serial number that makes no URI of the profile's template: refused, internal"
has "$(cat out)" 'RFC 3986 3: the certificate breaks rule uri' "the answer names rule and standard"
lint_told() { api "$HTTPS/api/v1/events?kind=refused&limit=500" | grep -q '"lint"'; }
wait_for 20 lint_told; ok $? "and it is evidence"
wait_for 20 sh -c "curl -s -m 5 $ADMIN '$HTTPS/api/v1/events?kind=cert-orphan' | grep -q cert-orphan"; ok $? "the intent is closed, its serial number revoked"
enroll P-3 S-3; is "$code" 200 "others go on being enrolled"

# -- certificates
for f in st P-1; do
    is "$(openssl verify -x509_strict -CAfile "$CA" $f.pem 2>&1)" "$f.pem: OK" "openssl verify -x509_strict: $f"
    has "$(certtool --verify --load-ca-certificate "$CA" --infile $f.pem 2>&1)" 'Chain verification output: Verified\.' "certtool --verify: $f"
done
for f in "$SITE"/ca/*.pem "$SITE/tls/server.pem" "$SITE/operators/admin.pem" st.pem P-1.pem; do
    openssl x509 -in "$f" -noout -text >/dev/null 2>&1 && certtool --certificate-info --infile "$f" >/dev/null 2>&1 && cradle lint --quiet "$f" >l 2>&1
    ok $? "openssl and certtool read ${f##*/}, cradle lint finds nothing wrong"
    sed 's/^/# /' l
done

# -- CRLs
cradle device revoke P-3 --reason keyCompromise >rev.log 2>&1; ok $? "a device is revoked"
serial=$(openssl x509 -in P-3.pem -noout -serial | cut -d= -f2)
url=$(openssl x509 -in P-3.pem -noout -ext crlDistributionPoints | sed -n 's/.*URI:http:\/\/[^/]*//p')
listed() { curl -s -m 5 -o P-3.crl "$HTTP$url" && openssl crl -inform DER -in P-3.crl -noout -text | grep -qi "Serial Number: $serial"; }
wait_for 20 listed; ok $? "openssl crl: the revoked certificate is in its CRL"
openssl crl -inform DER -in P-3.crl -CAfile "$CA" -noout 2>crl.log; has "$(cat crl.log)" 'verify OK' "openssl crl: the signature holds"
openssl crl -inform DER -in P-3.crl -out P-3.crl.pem
has "$(openssl verify -crl_check -CAfile "$CA" -CRLfile P-3.crl.pem P-3.pem 2>&1)" 'certificate revoked' "openssl verify -crl_check: revoked"
info=$(certtool --crl-info --inder --infile P-3.crl 2>&1)
has "$info" 'Revoked certificates \(' "certtool --crl-info: its entries"
has "$info" 'CRL Number' "and its extensions"
has "$(certtool --verify-crl --load-ca-certificate "$SITE/ca/device.pem" --infile P-3.crl.pem 2>&1)" 'Verified\.|verification output: Verified' "certtool --verify-crl"
cradle lint "$SITE/pub/crl/root/0.crl" "$SITE"/pub/crl/*/*.crl >l 2>&1; ok $? "cradle lint: every CRL of the site"
sed -n '/nothing found/!s/^/# /p' l

# -- OCSP
for f in P-1 P-3; do
    want='good'; [ $f = P-3 ] && want=revoked
    got=$(openssl ocsp -issuer "$SITE/ca/device.pem" -cert $f.pem -url "$HTTP/ocsp" -CAfile "$CA" -respout $f.ocsp 2>&1)
    has "$got" "$f.pem: $want" "openssl ocsp: $f is $want"
    has "$got" 'Response verify OK' "its signature holds"
    has "$(ocsptool --response-info --infile $f.ocsp 2>&1)" "Certificate Status: $want" "ocsptool: $f is $want"
    cradle lint $f.ocsp >l 2>&1; ok $? "cradle lint finds nothing wrong"
    sed -n '/nothing found/!s/^/# /p' l
done
has "$(ocsptool --verify-response --infile P-1.ocsp --load-trust "$CA" 2>&1)" 'Verifying OCSP Response: Success' "ocsptool: the signature holds"

# -- files of others
openssl req -x509 -newkey rsa:1024 -nodes -keyout w.key -sha1 -subj /C=DE/CN=old -days 9 -set_serial 0 -out w.pem 2>/dev/null
cradle lint --json w.pem >w.json 2>w.log; is "$?" 7 "a weak certificate: exit code 7"
is "$(jq -r '[.objects[0].findings[] | select(.level == "error") | .rule] | sort | join(" ")' w.json)" "key-usage-ca public-key-weak serial-positive signature-weak" "the rules that it breaks"
head -c 100 P-1.ocsp >cut.der
cradle lint --kind ocsp cut.der >l 2>&1; is "$?" 7 "a file that is cut short: exit code 7"
has "$(cat l)" 'error: der' "it is no DER"
cradle lint "$SITE/cradled.conf" >l 2>&1; is "$?" 2 "a file of another kind: exit code 2"
cradle lint P-1.csr >l 2>&1; is "$?" 2 "base64 without PEM is told"
openssl base64 -d -in P-1.csr >P-1.csr.der; cradle lint P-1.csr.der "$CA" >l 2>&1; ok $? "a request in DER, a bundle in PEM"
is "$(grep -c 'nothing found' l)" 4 "each object of the bundle is judged"
finish
