#!/bin/sh
# est_tolerance.sh: what real EST clients send, each once: encodings, headers, old HTTP, old TLS, keys of every kind that the profile names, GnuTLS;
# what the site says to them (cacerts, csrattrs, labels); and where the RFC protects identity, no tolerance.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
need certtool gnutls-bin
refused() { is "$code $reason" "$1" "$2"; }

site_init || { ok 1 "cradle init"; finish; }
sed -i 's/^#* *key_algs *=.*/key_algs = ec:P-256 ec:P-384 ed25519 rsa:3072/' "$SITE/profiles/device.conf"
grep -q '^key_algs = .*rsa:3072' "$SITE/profiles/device.conf" || echo "key_algs = ec:P-256 ec:P-384 ed25519 rsa:3072" >>"$SITE/profiles/device.conf"
set_key tls_min 1.3
set_key enroll_port $((BASE + 5))
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
CA=$SITE/ca/bundle.pem
EST=$HTTPS/.well-known/est
line pump; line valve
n=0
for d in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23; do device_add D-$d pump >/dev/null; done
infra st1 station pump
next() { n=$((n + 1)); key k; csr k "/CN=D-$n" "$@"; } # a new key k and its request k.csr, of the next device

# -- encodings of the body, and headers
next; tr -d '\n' <k.csr >one.csr; est st1 /simpleenroll one.csr; is "$code" 200 "base64 without line breaks (strongSwan)"
next; sed 's/$/\r/' k.csr >crlf.csr; printf '\r\n\r\n' >>crlf.csr; est st1 /simpleenroll crlf.csr; is "$code" 200 "base64 with CR LF and blank lines at the end (libest)"
next; openssl base64 -d -in k.csr >k.der; est st1 /simpleenroll k.der; is "$code" 200 "DER without base64"
next; openssl base64 -d -in k.csr | openssl req -inform DER -text -out k.pem 2>/dev/null; est st1 /simpleenroll k.pem; is "$code" 200 "PEM armour with text before it (certtool)"
next; openssl base64 -d -in k.csr | openssl req -inform DER -out k.pem 2>/dev/null; est st1 /simpleenroll k.pem; is "$code" 200 "PEM armour"
for cte in base64 binary 8bit nonsense; do
    next; est st1 /simpleenroll k.csr -H "Content-Transfer-Encoding: $cte"; is "$code" 200 "Content-Transfer-Encoding: $cte is ignored (RFC 8951 3.1)"
done
media='Application/PKCS10; charset=us-ascii'; next; est st1 /simpleenroll k.csr; is "$code" 200 "application/pkcs10 with parameters, in any case"
media=
next; est st1 /simpleenroll k.csr --http1.1 -H 'Expect: 100-continue'
is "$code $(grep -c '^HTTP/1.1 100' head)" "200 1" "Expect: 100-continue is answered"
next; est st1 /simpleenroll k.csr --http1.1 -H 'Transfer-Encoding: chunked'; is "$code" 200 "a chunked body"
media=application/x-www-form-urlencoded; next; est st1 /simpleenroll k.csr; refused "415 media-type" "another content type is refused"
media=

# -- old HTTP, by hand
raw() { timeout 10 openssl s_client -connect "localhost:$BASE" -CAfile "$CA" -cert st1.pem -key st1.key -quiet 2>/dev/null <"$1"; }
post() { # FIRST-LINES: the request in `req`
    printf "$1Content-Type: application/pkcs10\r\nContent-Length: %d\r\n\r\n" "$(wc -c <k.csr)" >req; cat k.csr >>req
}
next; post "POST /.well-known/est/simpleenroll HTTP/1.0\r\n"
has "$(raw req)" '^HTTP/1.[01] 200' "HTTP/1.0 without Host"
next; post "\r\n\r\nPOST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
has "$(raw req)" '^HTTP/1.1 200' "blank lines before the request line (libest)"

# -- old TLS: a listener of its own, under a policy of its own
curl -s --tls-max 1.2 --cacert "$CA" -o out "$EST/cacerts"; [ $? -ne 0 ]; ok $? "tls_min = 1.3: https_port speaks no TLS 1.2"
OLD=https://localhost:$((BASE + 5))
next
code=$(curl -s --tls-max 1.2 --cacert "$CA" --cert st1.pem --key st1.key -H 'Content-Type: application/pkcs10' --data-binary @k.csr -o out -w '%{http_code}' "$OLD/.well-known/est/simpleenroll")
is "$code" 200 "a client that speaks TLS 1.2 alone enrolls at enroll_port"
is "$(curl -s --cacert "$CA" $ADMIN -o out -w '%{http_code}' "$OLD/api/v1/lines") $(jq -r .reason out)" "404 no-route" "which serves nothing else"

# -- what the site says
curl -s --cacert "$CA" -o out "$EST/pump/csrattrs"
openssl base64 -d -in out | openssl asn1parse -inform DER | sed 's/^ *[0-9]*:d=\([0-9]*\) .*: \([A-Z]* *[A-Z]*\) *:*\(.*\)$/\1 \2 \3/; s/  */ /g; s/ $//' >attrs
keys="0 SEQUENCE,1 SEQUENCE,2 OBJECT id-ecPublicKey,2 SET,3 OBJECT prime256v1,1 OBJECT ecdsa-with-SHA256,1 SEQUENCE,2 OBJECT id-ecPublicKey,2 SET,3 OBJECT secp384r1,1 OBJECT ecdsa-with-SHA384,1 OBJECT ED25519,1 SEQUENCE,2 OBJECT rsaEncryption,2 SET,3 INTEGER 0C00,1 OBJECT sha256WithRSAEncryption,"
is "$(head -n 17 attrs | tr '\n' ',')" "$keys" "csrattrs: exactly the keys of the profile, as RFC 7030 4.5.2 and RFC 8951 write them"
is "$(sed '1,17d' attrs | sed 's/^\([26]\) OBJECT .*16\.2\.\(6[12]\)$/\1 OBJECT \2/' | tr '\n' ',')" \
    "1 SEQUENCE,2 OBJECT 61,2 SET,3 SEQUENCE,4 INTEGER 00,4 SEQUENCE,5 SET,6 SEQUENCE,7 OBJECT commonName,4 cont [ 0 ],5 SEQUENCE,6 OBJECT id-ecPublicKey,6 OBJECT prime256v1,4 cont [ 1 ],5 SEQUENCE,6 OBJECT 62,6 SET,7 SEQUENCE,8 SEQUENCE,9 OBJECT X509v3 Key Usage,9 BOOLEAN 255,9 OCTET STRING [HEX DUMP]:03020780," \
    "and, after them, the template of RFC 9908 3.4"
next -addext keyUsage=critical,digitalSignature; est st1 /simpleenroll k.csr; is "$code" 200 "a request as the template asks for"
for label in "" pump/ valve/; do
    for what in cacerts csrattrs; do is "$(curl -s --cacert "$CA" -o out -w '%{http_code}' "$EST/$label$what")" 200 "GET /$label$what"; done
done
next
for what in simpleenroll simplereenroll serverkeygen fullcmc; do
    est st1 /lathe/$what k.csr; refused "404 line-unknown" "/lathe/$what: an unknown label"
done
has "$(cat out)" "^line-unknown: there is no product line 'lathe'" "says which"
is "$(curl -s --cacert "$CA" -o out -w '%{http_code}' "$EST/lathe/cacerts")" 404 "also for what anybody may ask"
est st1 /valve/simpleenroll k.csr; refused "403 line-forbidden" "a label that is not the device's line"
est st1 /pump/simpleenroll k.csr; is "$code" 200 "its own line as the label"
for label in / /pump/; do
    est st1 ${label}serverkeygen k.csr; refused "403 serverkeygen-refused" "${label}serverkeygen"
    est st1 ${label}fullcmc k.csr; refused "501 fullcmc-unsupported" "${label}fullcmc"
done
has "$(cat out)" 'RFC 7030 4.3 is not offered' "full CMC: the text names the section"

# -- keys of every kind that the profile names, and others
of() { # KIND WANT NAME: openssl genpkey options in KIND
    n=$((n + 1)); key k $1; csr k "/CN=D-$n"; est st1 /simpleenroll k.csr; is "$code${reason:+ $reason}" "$2" "$3"
}
of "-algorithm EC -pkeyopt ec_paramgen_curve:P-384" 200 "openssl req with P-384"; unpack p384
of "-algorithm ED25519" 200 "openssl req with Ed25519"; unpack ed
of "-algorithm RSA -pkeyopt rsa_keygen_bits:3072" 200 "openssl req with RSA 3072"; unpack rsa
for c in p384 ed rsa; do has "$(openssl verify -CAfile "$CA" $c.pem 2>&1)" 'OK$' "openssl verifies the certificate of $c"; done
n=1
of "-algorithm RSA -pkeyopt rsa_keygen_bits:2048" "400 key-weak" "RSA 2048"
of "-algorithm EC -pkeyopt ec_paramgen_curve:P-521" "400 key-algorithm" "a curve that the profile does not name"

# -- GnuTLS
device_add G-1 pump >/dev/null
certtool --generate-privkey --key-type ecdsa --curve secp256r1 --outfile g.key 2>/dev/null
printf 'cn = "G-1"\n' >g.tmpl
certtool --generate-request --load-privkey g.key --template g.tmpl --outder --outfile g.der 2>/dev/null
openssl base64 -in g.der >g.csr
est st1 /pump/simpleenroll g.csr; is "$code" 200 "a request by certtool"; unpack g
curl -s --cacert "$CA" "$EST/cacerts" | openssl base64 -d >cacerts.p7
has "$(certtool --p7-info --inder --infile cacerts.p7 2>&1)" 'Number of certificates: 3' "certtool reads cacerts"
openssl pkcs7 -inform DER -in cacerts.p7 -print_certs | sed -n '/BEGIN/,/END/p' >cacerts.pem
has "$(certtool --verify --load-ca-certificate cacerts.pem --infile g.pem 2>&1)" 'Chain verification output: Verified\.' "and verifies the certificate up to the root with them"
has "$(certtool --certificate-info --infile g.pem)" 'Subject: .*CN=G-1' "with its name"

# -- no tolerance where identity is protected (RFC 7030 4.2.2)
re() { csr g "$@"; est g /simplereenroll g.csr; }
re /CN=D-1; refused "403 name-mismatch" "simplereenroll with another subject"
re /CN=G-1 -addext subjectAltName=URI:urn:cradle:pump:D-1; refused "403 name-mismatch" "with another SAN"
re /CN=G-1/serialNumber=other; refused "403 name-mismatch" "with another serialNumber"
re /CN=G-1 -addext subjectAltName=URI:urn:cradle:pump:G-1; is "$code" 200 "with its own names"
est g /valve/simplereenroll g.csr; refused "403 line-forbidden" "under the label of another line"
csr st1 /CN=st1; est st1 /pump/simplereenroll st1.csr; refused "403 line-forbidden" "a station renews under no label"
site_stop; ok $? "cradled stops"
clean_log; ok $? "nothing odd in the log"
finish
