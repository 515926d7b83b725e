# est.sh: what the tests of EST share: a running site, and curl as station and device. Source after lib.sh; goes to $T.
need curl curl; need openssl openssl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
CA=$SITE/ca/bundle.pem
EST=$HTTPS/.well-known/est
cd "$T" || exit 1
est_post() { # WHO PATH CSRFILE: sets code, reason, out; who is NAME of NAME.pem/NAME.key, or "-"
    id="--cert $1.pem --key $1.key"; [ "$1" = - ] && id=
    code=$(curl -s --cacert "$CA" $id -H 'Content-Type: application/pkcs10' --data-binary "@$3" -D head -o out -w '%{http_code}' "$EST$2")
    reason=$(tr -d '\r' <head | sed -n 's/^x-cradle-reason: //Ip')
}
est() { # WHO PATH UID [KEY]: the same with a request of KEY.key, which is made when there is none
    [ -e "${4:-$3}.key" ] || key "${4:-$3}" >/dev/null
    openssl req -new -key "${4:-$3}.key" -subj "/CN=$3" -outform DER 2>/dev/null | openssl base64 >e.csr
    est_post "$1" "$2" e.csr
}
unpack() { openssl base64 -d -in out | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 >"$1.pem" 2>/dev/null; }
