#!/bin/sh
# est_curl.sh: EST on the real daemon with curl and openssl as clients: enroll, renew, and every refusal a device can meet.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/est.sh

refused() { is "$code $reason" "$1" "$2"; }
infra() { # NAME ROLE LINES
    key "$1"; csr "$1" "/CN=$1"
    api -d "{\"name\":\"$1\",\"role\":\"$2\",\"lines\":\"$3\",\"csr\":\"$(tr -d '\n' <"$1.csr")\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >"$1.pem"
}

# -- a site with two lines, one whose certificates are in their renewal window at once (300 s backdated, 60 s to live), one that dies fast
api -d '{"name":"pump"}' "$HTTPS/api/v1/lines" >/dev/null
api -d '{"name":"quick","validity_s":60}' "$HTTPS/api/v1/lines" >/dev/null
api -d '{"name":"brief","validity_s":3}' "$HTTPS/api/v1/lines" >/dev/null
for l in pump quick brief; do api -d "{\"name\":\"m-$l\",\"line\":\"$l\"}" "$HTTPS/api/v1/models" >/dev/null; done
for d in P-1:pump P-2:pump P-3:pump P-4:pump Q-1:quick Q-2:quick B-1:brief; do
    api -d "{\"uid\":\"${d%%:*}\",\"model\":\"m-${d##*:}\",\"serial\":\"S-${d%%:*}\"}" "$HTTPS/api/v1/devices" >/dev/null
done
infra station1 station pump,quick,brief
infra narrow station quick
has "$(openssl verify -CAfile "$CA" station1.pem 2>&1)" 'OK$' "a station's certificate verifies with openssl"

# -- what anybody may ask
curl -s --cacert "$CA" -D head -o out "$EST/cacerts"
has "$(cat head)" '^content-type: application/pkcs7-mime; smime-type=certs-only' "cacerts: media type (RFC 7030 4.1.3)"
is "$(openssl base64 -d -in out | openssl pkcs7 -inform DER -print_certs | grep -c '^subject')" 3 "cacerts: openssl reads root and issuing CAs"
curl -s --cacert "$CA" -o out "$EST/csrattrs"
has "$(openssl base64 -d -in out | openssl asn1parse -inform DER)" 'prime256v1' "csrattrs: openssl reads the curve"
curl -s --cacert "$CA" -o out "$EST/pump/csrattrs"
has "$(openssl base64 -d -in out | openssl asn1parse -inform DER)" 'ecdsa-with-SHA256' "csrattrs under a label"

# -- what old clients do
is "$(curl -s --tls-max 1.2 --cacert "$CA" -o out -w '%{http_code}' "$EST/cacerts")" 200 "TLS 1.2 is still spoken (libest, strongSwan)"
two=$(printf 'GET /.well-known/est/cacerts HTTP/1.1\r\nHost: localhost\r\n\r\n\r\nGET /.well-known/est/csrattrs HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' |
    timeout 10 openssl s_client -connect "localhost:$BASE" -CAfile "$CA" -quiet 2>/dev/null | grep -ac '^HTTP/1.1 200')
is "$two" 2 "a stray blank line between two requests does no harm"

# -- first enrollment
key P-1; csr P-1 /CN=P-1
est_post station1 /simpleenroll P-1.csr
is "$code" 200 "simpleenroll by a station"
unpack P-1
has "$(openssl verify -CAfile "$CA" -purpose sslclient P-1.pem 2>&1)" 'OK$' "the certificate verifies as a TLS client's"
text=$(openssl x509 -in P-1.pem -noout -text)
has "$text" 'Subject:.*CN *= *P-1' "CN is the UID"
has "$text" 'URI:urn:cradle:pump:P-1' "the SAN comes from the profile"
has "$text" 'TLS Web Client Authentication' "it is for clients"
est_post station1 /simpleenroll P-1.csr; openssl base64 -d -in out | openssl pkcs7 -inform DER -print_certs | openssl x509 >again.pem
cmp -s P-1.pem again.pem; ok $? "the same CSR again gives the same certificate"
key P-2; openssl req -new -key P-2.key -subj /CN=P-2 -outform DER 2>/dev/null | openssl base64 -A >P-2.csr
est_post station1 /pump/simpleenroll P-2.csr
is "$code" 200 "base64 in one line, under the label of its line"; unpack P-2

# -- renewal
key Q-1; csr Q-1 /CN=Q-1; est_post station1 /simpleenroll Q-1.csr; unpack Q-1
is "$code" 200 "a device of the quick line"
cp Q-1.key q-old.key; cp Q-1.pem q-old.pem
key q-new; csr q-new /CN=Q-1
est_post q-old /simplereenroll q-new.csr
is "$code" 200 "simplereenroll with a new key, by the device itself"; unpack q-new
has "$(openssl verify -CAfile "$CA" q-new.pem 2>&1)" 'OK$' "the renewed certificate verifies"
csr q-new /CN=Q-2
est_post q-old /simplereenroll q-new.csr
refused "403 name-mismatch" "a renewal that asks for another name"
key p-new; csr p-new /CN=P-1
est_post P-1 /simplereenroll p-new.csr
refused "403 too-early" "a renewal before its window"

csr P-1 /CN=P-1
est_post P-1 /simplereenroll P-1.csr
is "$code" 200 "the same key before its window is no renewal: the same certificate again, and the device is in use now"
openssl base64 -d -in out | openssl pkcs7 -inform DER -print_certs | openssl x509 >again.pem
cmp -s P-1.pem again.pem; ok $? "byte by byte"

# -- refusals of first enrollment
key X; csr X /CN=P-3
est_post - /simpleenroll X.csr; refused "401 no-client-certificate" "nobody"
est_post P-1 /simpleenroll X.csr; refused "403 role-forbidden" "a device may not enroll others"
est_post narrow /simpleenroll X.csr; refused "403 line-forbidden" "a station beyond its line"
est_post station1 /quick/simpleenroll X.csr; is "$code" 403 "a device of another line than the label ($reason)"
csr X /CN=NEVER-REGISTERED; est_post station1 /simpleenroll X.csr; refused "404 uid-unknown" "a UID that nobody registered"
csr P-1 /CN=P-3; est_post station1 /simpleenroll P-1.csr; refused "403 key-of-other" "a key that another device holds"
key Y; csr Y /CN=P-1; est_post station1 /simpleenroll Y.csr; refused "403 already-enrolled" "a second key for a device in use"
est_post station1 /serverkeygen X.csr; refused "403 serverkeygen-refused" "a key made by the server"
openssl req -new -newkey rsa:2048 -nodes -keyout r.key -subj /CN=P-3 -outform DER 2>/dev/null | openssl base64 >bad.csr
est_post station1 /simpleenroll bad.csr; refused "400 key-weak" "a 2048-bit RSA key"
csr X '/CN=a#b'; est_post station1 /simpleenroll X.csr; refused "400 bad-uid" "a topic character in the CN"
csr X /CN=P-3 -addext subjectAltName=DNS:example.org; est_post station1 /simpleenroll X.csr; refused "400 bad-name" "a DNS name in the SAN"
csr X /CN=P-3; openssl base64 -d -in X.csr | LC_ALL=C sed 's/P-3/P-4/' | openssl base64 >bad.csr
est_post station1 /simpleenroll bad.csr; refused "400 csr-bad-signature" "a CSR that its key did not sign"
head -c 100 X.csr >bad.csr; est_post station1 /simpleenroll bad.csr; is "$code" 400 "a truncated CSR ($reason)"
head -c 15000 /dev/zero | tr '\0' A >bad.csr; est_post station1 /simpleenroll bad.csr; is "$code" 413 "an oversized CSR ($reason)"
echo '!' >bad.csr; est_post station1 /simpleenroll bad.csr; refused "400 bad-base64" "no base64"
has "$(cat out)" '^bad-base64: ' "a refusal is one line of text with its reason"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.pem -subj /CN=P-1 -days 2 2>/dev/null
est_post other /simplereenroll X.csr; refused "401 certificate-foreign" "a certificate of another CA"
code=$(curl -s --cacert "$CA" --cert other.pem --key other.key -H "X-Cradle-Verify: SUCCESS" -H "X-Cradle-Client-Cert: $(jq -sRr @uri <P-1.pem)" \
    -H 'Content-Type: application/pkcs10' --data-binary @p-new.csr -o out -w '%{http_code}' "$EST/simplereenroll")
is "$code" 401 "headers that only nginx may set are of no use to a client"

# -- the device's life
patch() { api -X PATCH -d "{\"state\":\"$2\"}" "$HTTPS/api/v1/devices/$1" -o /dev/null; }
try_as() { est_post "$1" /simplereenroll q-new.csr; }
csr q-new /CN=Q-1
patch Q-1 suspended; try_as q-old; refused "403 device-suspended" "a suspended device"
patch Q-1 active; try_as q-old; [ "$reason" != device-suspended ]; ok $? "resumed: judged on its merits again ($code $reason)"
patch Q-1 revoked; try_as q-old; refused "403 device-revoked" "a revoked device"
key z; csr z /CN=Q-1; est_post station1 /simpleenroll z.csr; refused "403 device-revoked" "a revoked device does not come back by the factory"
key Q-2; csr Q-2 /CN=Q-2; est_post station1 /simpleenroll Q-2.csr; unpack Q-2
patch Q-2 decommissioned; est_post Q-2 /simplereenroll Q-2.csr; refused "403 device-decommissioned" "a decommissioned device"
key B-1; csr B-1 /CN=B-1; est_post station1 /simpleenroll B-1.csr; unpack B-1
expired() { est_post B-1 /simplereenroll B-1.csr; [ "$code $reason" = "401 certificate-expired" ]; }
wait_for 15 expired; ok $? "an expired certificate"
serial=$(openssl x509 -in P-2.pem -noout -serial | cut -d= -f2)
api -X POST -d '{"reason":"keyCompromise"}' -o /dev/null "$HTTPS/api/v1/certs/$serial/revoke"
csr P-2 /CN=P-2; est_post P-2 /simplereenroll P-2.csr; refused "403 certificate-revoked" "a revoked certificate"

# -- a session cannot be taken up again: every connection shows its certificate anew
again=$(timeout 20 openssl s_client -connect "localhost:$BASE" -CAfile "$CA" -cert P-2.pem -key P-2.key -tls1_2 -reconnect </dev/null 2>/dev/null)
has "$again" '^New, TLSv1.2' "openssl reconnects with TLS 1.2"
[ "$(printf '%s\n' "$again" | grep -c '^Reused')" = 0 ]; ok $? "and no session is resumed"

# -- the same at OCSP, with openssl as the client
ocsp() { openssl ocsp -issuer "$SITE/ca/device.pem" -cert "$1" -url "$HTTP/ocsp" -CAfile "$CA" $2 2>&1; }
has "$(ocsp P-1.pem)" 'P-1.pem: good' "OCSP with nonce: good"
has "$(ocsp P-1.pem)" 'Response verify OK' "and verified by openssl"
has "$(ocsp P-2.pem -no_nonce)" 'P-2.pem: revoked' "OCSP without nonce: revoked"
openssl ocsp -issuer "$SITE/ca/device.pem" -cert P-1.pem -no_nonce -reqout req.der 2>/dev/null
curl -s -D head -o resp.der "$HTTP/ocsp/$(openssl base64 -A -in req.der | jq -sRr @uri)"
has "$(openssl ocsp -respin resp.der -issuer "$SITE/ca/device.pem" -cert P-1.pem -CAfile "$CA" -no_nonce 2>&1)" 'P-1.pem: good' "OCSP by GET (RFC 5019)"
has "$(cat head)" '[Cc]ache-[Cc]ontrol: max-age=[0-9]+' "with a short life in caches"

# -- no refusal without evidence
refusals=$(api "$HTTPS/api/v1/status" | jq -r '.refused | keys | join(" ")')
for r in name-mismatch uid-unknown key-of-other device-revoked bad-uid certificate-expired certificate-foreign; do
    has "$refusals" "(^| )$r( |\$)" "status counts $r"
done
site_stop; ok $? "cradled stops"
finish
