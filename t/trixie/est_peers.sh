#!/bin/sh
# est_peers.sh: EST clients that we did not write, of Debian 13: strongSwan's `pki --estca` and `pki --est`, and a program on libest (t/trixie/est_client.c); and zlint's
# judgement of the certificates that they get. Run by t/debian13.sh.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need openssl openssl; need jq jq; need curl curl; need pki strongswan-pki; need zlint zlint; need gcc gcc
HOME=$T/home; XDG_CONFIG_HOME=$T/home/config; export HOME XDG_CONFIG_HOME
PROGRAM=$PWD/t/trixie/est_client.c
site_init || finish
site_start; ok $? "a site"
cradle line add vib --quiet && cradle model add vib-1 --line vib --quiet && cradle station add st --out "$T/st" >"$T/log" 2>&1; ok $? "a station"
cd "$T" || exit 1
openssl x509 -in "$SITE/ca/root.pem" -outform DER -out root.der; openssl x509 -in "$SITE/ca/infra.pem" -outform DER -out infra.der
openssl x509 -in st/st.pem -outform DER -out st.der
pem() { openssl x509 -inform DER -in "$1" -out "$2" 2>/dev/null || openssl x509 -in "$1" -out "$2"; } # FILE OUT: whatever it was
chain() { openssl verify -CAfile "$SITE/ca/root.pem" -untrusted "$SITE/ca/device.pem" "$1" >/dev/null; }

# -- strongSwan
pki --estca --url "$HTTPS" --cacert root.der --cacert infra.der --caout got.der --force >pki.log 2>&1; rc=$?; sed 's/^/# /' pki.log | grep -v "plugin '" | tail -n 8
[ $rc = 0 ]; ok $? "pki --estca fetches the CA certificates"
fingerprints() { for f in "$@"; do pem "$f" one.pem && openssl x509 -in one.pem -noout -fingerprint -sha256; done | sort -u; }
is "$(fingerprints got*.der | grep -cxF "$(fingerprints "$SITE/ca/root.pem")")" 1 "the root among them"
is "$(fingerprints got*.der | grep -cxF "$(fingerprints "$SITE/ca/device.pem")")" 1 "and the CA of devices"
# With a client certificate pki --est renews that one (simplereenroll): the first certificate comes from the line, by curl.
swan() { # REQUEST-KEY SUBJECT CERT CERT-KEY OUT
    openssl req -new -key "$1" -subj "$2" -outform DER -out swan.req && pki --est --url "$HTTPS" --in swan.req --cacert root.der --cacert infra.der --cert "$3" --key "$4" >"$5" 2>pki.log
    rc=$?; grep -v "plugin '" pki.log | sed 's/^/# /' | tail -n 4; return $rc
}
cradle device add s1 --model vib-1 --quiet; key s1; csr s1 /CN=s1
curl -sf --cacert "$SITE/ca/bundle.pem" --cert st/st.pem --key st/st.key -H 'Content-Type: application/pkcs10' --data-binary @s1.csr "$HTTPS/.well-known/est/simpleenroll" |
    openssl base64 -d | openssl pkcs7 -inform DER -print_certs >s1.pem; ok $? "a device has its first certificate"
openssl x509 -in s1.pem -outform DER -out s1.der
swan s1.key /CN=s1 s1.der s1.key s1n.der; ok $? "pki --est renews it"
pem s1n.der s1n.pem && chain s1n.pem; ok $? "with a certificate that verifies"
is "$(openssl x509 -in s1n.pem -noout -subject -nameopt multiline | sed -n 's/ *commonName *= //p')" s1 "for this device"
key r1 -algorithm RSA -pkeyopt rsa_keygen_bits:2048; swan r1.key /CN=s1 s1.der s1.key no.der; [ $? != 0 ]; ok $? "a key that the profile does not take is refused"
swan s1.key /CN=other s1.der s1.key no.der; [ $? != 0 ]; ok $? "and so is another name than the certificate's"

# -- libest. Debian builds it so that it takes the status lines of HTTP/1.0 alone ("HTTP/1.0 200"), which no server of today sends; the copy of the library here has those
# that its authors build it with.
mkdir lib && for l in /usr/lib/*/libest.so.3; do perl -0777 -pe 's/HTTP\/1\.0 (?=[2-5]\d\d\0)/HTTP\/1.1 /g' "$l" >lib/libest.so.3; done
LD_LIBRARY_PATH=$T/lib; export LD_LIBRARY_PATH
gcc -O1 -Wall -Werror -Wno-deprecated-declarations -o est_client "$PROGRAM" -lest -lssl -lcrypto 2>gcc.log; rc=$?; sed 's/^/# /' gcc.log; [ $rc = 0 ]; ok $? "a client on libest is built"
cat "$SITE/ca/bundle.pem" >trust.pem
libest() { timeout 30 ./est_client localhost "$BASE" trust.pem "$@" >est.log 2>&1; rc=$?; [ $rc = 0 ] || tail -n 12 est.log | sed 's/^/# /'; return $rc; }
libest cacerts - - out.p7; ok $? "it fetches the CA certificates"
openssl base64 -d -in out.p7 | openssl pkcs7 -inform DER -print_certs -out got.pem && grep -q "BEGIN" got.pem; ok $? "which are a PKCS#7 that openssl reads"
cradle device add l1 --model vib-1 --quiet; key l1; libest enroll st/st.pem st/st.key l1.p7 l1.key l1; ok $? "it enrolls a device"
openssl base64 -d -in l1.p7 | openssl pkcs7 -inform DER -print_certs -out l1.pem && chain l1.pem; ok $? "with a certificate that verifies"
libest reenroll l1.pem l1.key l1n.p7 l1.key l1; ok $? "the device renews with its own certificate"
openssl base64 -d -in l1n.p7 | openssl pkcs7 -inform DER -print_certs -out l1n.pem && chain l1n.pem; ok $? "and gets one that verifies"
libest enroll st/st.pem st/st.key no.p7 l1.key nobody; [ $? != 0 ]; ok $? "an unknown device is refused"

# -- zlint, by the RFCs: the other rules are for the web's CAs
lint() { zlint -includeSources RFC5280,RFC5480 "$1" >lint.json 2>lint.err && jq -r 'to_entries[] | select(.value.result == "error" or .value.result == "fatal") | .key' lint.json; }
for c in s1.pem l1.pem st/st.pem "$SITE/ca/root.pem" "$SITE/ca/device.pem" "$SITE/ca/infra.pem" "$SITE/ca/device-ocsp.pem" "$SITE/tls/server.pem"; do
    openssl x509 -in "$c" -out one.pem
    found=$(lint one.pem)
    is "$found $([ "$(jq length lint.json)" -gt 50 ] && echo judged)" " judged" "zlint finds no error by the RFCs in ${c##*/}"
done
finish
