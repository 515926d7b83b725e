#!/bin/sh
# docs_revocation.sh: every command of docs/revocation.md, exactly as printed (only the server's address is another), before and after a revocation.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need curl curl; need openssl openssl; need ocsptool gnutls-bin; need certtool gnutls-bin
block() { # number: the commands of this block of the page
    awk -v want="$1" '/^```sh$/ { inside = 1; n++; next } /^```$/ { inside = 0 } inside && n == want' docs/revocation.md | sed "s|^HTTP=http://trust.example:8444|HTTP=$HTTP|"
}
site_init && site_start || { ok 1 "a site"; finish; }
W=$T/work
mkdir "$W"
cp "$SITE/ca/bundle.pem" "$W/"
cradle line add pump --quiet && cradle model add P100 --line pump --quiet && cradle station add st --out "$T/st" --quiet && cradle device add pump-1 --model P100 --quiet
agent_conf pump-1
cradle-agent -c "$T/pump-1.conf" enroll >/dev/null 2>"$T/err"; ok $? "a device has a certificate"
cp "$T/pump-1/state/current/cert.pem" "$W/pump-1.pem"
for n in 1 2 3 4; do block $n >"$T/block$n"; [ -s "$T/block$n" ]; ok $? "block $n of the page"; done
is "$(block 5)" "" "there are no more"
run() { ( cd "$W" && sh -e "$T/block$1" ) >"$T/out" 2>&1 || { sed 's/^/# /' "$T/out"; return 1; }; }
run 1; ok $? "where to ask"
has "$(cat "$T/out")" "URI:$HTTP/ocsp" "the certificate says it"
run 2; ok $? "OCSP with openssl, ocsptool and curl"
is "$(grep -c '^pump-1.pem: good' "$T/out")" 2 "good, by POST and by GET"
has "$(cat "$T/out")" 'Verifying OCSP Response: Success' "GnuTLS verifies it"
run 3; ok $? "the CRL of this certificate"
has "$(cat "$T/out")" 'pump-1.pem: OK' "openssl verifies by it"
run 4; ok $? "the root's CRL too"
has "$(cat "$T/out")" 'pump-1.pem: OK' "and by all of them"

ocsp() { ( cd "$W" && sed -n 1,2p "$T/block2" | sh ) 2>/dev/null; }
listed() { ! run 3 >/dev/null && grep -q 'error 23' "$T/out"; }
cradle device suspend pump-1 --quiet; has "$(ocsp)" 'Reason: certificateHold' "suspended: certificateHold"
wait_for 10 listed; ok $? "in the CRL too"
cradle device resume pump-1 --quiet; has "$(ocsp)" 'pump-1.pem: good' "resumed: good"
cradle device revoke pump-1 --reason keyCompromise --quiet
has "$(ocsp)" 'Reason: keyCompromise' "revoked: OCSP says so at once"
wait_for 10 listed; ok $? "and openssl verify by the CRL: error 23"
openssl ocsp -issuer "$W/device.pem" -serial 0x1234 -CAfile "$W/bundle.pem" -url "$HTTP/ocsp" >"$T/out" 2>&1; has "$(cat "$T/out")" '0x1234: unknown' "a serial number that nobody issued: unknown"
site_stop; ok $? "cradled stops"
finish
