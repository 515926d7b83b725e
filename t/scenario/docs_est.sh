#!/bin/sh
# docs_est.sh: every command of docs/est.md, exactly as printed; only the server's address is another.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need curl curl; need certtool gnutls-bin
block() { # number: the commands of this block of the page
    awk -v want="$1" '/^```sh$/ { inside = 1; n++; next } /^```$/ { inside = 0 } inside && n == want' docs/est.md | sed "s|^EST=https://trust.example:8443/|EST=$HTTPS/|"
}
site_init || { ok 1 "a site"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
W=$T/work
mkdir "$W"
cp "$SITE/ca/bundle.pem" "$W/bundle.pem"
cradle line add pump --quiet && cradle model add P100 --line pump --quiet && cradle station add station-7 --lines pump --out "$W/station-7" --quiet; ok $? "a line and its station"
for d in pump-1 pump-2 pump-3; do cradle device add $d --model P100 --quiet; done
for n in 1 2 3 4 5 6; do block $n >"$T/block$n"; [ -s "$T/block$n" ]; ok $? "block $n of the page"; done
is "$(block 7)" "" "there are no more"
run() { ( cd "$W" && sh -e "$T/block$1" ) >"$T/out" 2>&1 || { sed 's/^/# /' "$T/out"; return 1; }; }
run 1; ok $? "cacerts and csrattrs"
has "$(cat "$T/out")" 'id-ecPublicKey' "openssl reads the attributes"
run 2; ok $? "first enrollment with curl and openssl"
has "$(cat "$T/out")" 'pump-1.pem: OK' "and openssl verifies it"
run 3; ok $? "renewal"
run 4; ok $? "GnuTLS"
has "$(cat "$T/out")" 'Chain verification output: Verified' "certtool verifies the chain"
run 5; ok $? "a line that wants approvals"
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$W/pump-3.key" 2>/dev/null
openssl req -new -key "$W/pump-3.key" -subj /CN=pump-3 -outform DER 2>/dev/null | openssl base64 >"$W/pump-3.b64"
ask() {
    curl -s --cacert "$W/bundle.pem" --cert "$W/station-7/station-7.pem" --key "$W/station-7/station-7.key" -H 'Content-Type: application/pkcs10' \
        --data-binary @"$W/pump-3.b64" -o "$T/answer" -w '%{http_code}' "$HTTPS/.well-known/est/simpleenroll"
}
is "$(ask)" 202 "a device waits"
run 6; ok $? "list, show, approve"
has "$(cat "$T/out")" "$(openssl pkey -in "$W/pump-3.key" -pubout -outform DER | sha256sum | cut -d' ' -f1)" "the key's SHA-256 is the one that the page's command prints"
is "$(ask)" 200 "and gets its certificate"
site_stop; ok $? "cradled stops"
finish
