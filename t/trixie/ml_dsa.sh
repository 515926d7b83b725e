#!/bin/sh
# ml_dsa.sh: post-quantum signatures with Debian 13's OpenSSL 3.5: sites whose CAs are ML-DSA-44, -65 and -87, devices with such keys that openssl and curl enroll,
# TLS 1.3 with their certificates through nginx, revocation by OCSP and CRL, and an ML-DSA-65 signature over releases beside those that devices count. Run by t/debian13.sh.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
need openssl openssl; need jq jq; need curl curl; need nginx nginx-light
HOME=$T/home; XDG_CONFIG_HOME=$T/home/config; export HOME XDG_CONFIG_HOME
run() { out=$("$@" 2>&1); rc=$?; }
dev() { d=$1; shift; curl -s -m 10 --cacert "$SITE/ca/bundle.pem" --cert "$T/$d.pem" --key "$T/$d.key" "$@"; }
est() { # UID AS [simplereenroll]: UID.csr becomes UID.pem
    curl -s -m 20 -o "$T/est.out" -w '%{http_code}' --cacert "$SITE/ca/bundle.pem" --cert "$T/$2.pem" --key "$T/$2.key" -H 'Content-Type: application/pkcs10' --data-binary @"$T/$1.csr" \
        "$HTTPS/.well-known/est/${3:-simpleenroll}" >"$T/est.code"
    [ "$(cat "$T/est.code")" = 200 ] || { sed 's/^/# /' "$T/est.out"; return 1; }
    openssl base64 -d <"$T/est.out" | openssl pkcs7 -inform DER -print_certs >"$T/$1.pem"
}
algorithms() { openssl x509 -in "$1" -noout -text | sed -n 's/^ *\(Public Key\|Signature\) Algorithm: //p' | sort -u | tr '\n' ' '; }
status() { dev "$1" -o /dev/null -w '%{http_code}' "$HTTPS/update/v1/poll?version=1.0.0"; }

one() { # 44 | 65 | 87: a site of its own
    a=ml-dsa-$1 kind=ML-DSA-$1
    rm -rf "$T/site"
    site_init --ca-alg "$a" || return 1
    sed -i "s/^key_algs = .*/key_algs = ec:P-256 $a/" "$SITE/profiles/device.conf"
    is "$(algorithms "$SITE/ca/device.pem")$(algorithms "$SITE/ca/root.pem")" "$kind $kind " "$kind: the CAs have such keys and signatures"
    site_start; ok $? "$kind: a site starts, which means that every signature of a rehearsal held"
    openssl verify -CAfile "$SITE/ca/root.pem" -untrusted "$SITE/ca/infra.pem" "$SITE/tls/server.pem" >/dev/null; ok $? "$kind: openssl verifies the server's chain"
    cradle line add vib --quiet && cradle model add vib-1 --line vib --quiet && cradle station add st --out "$T/st$1" >"$T/log" 2>&1; ok $? "$kind: a station"
    cp "$T/st$1/st.pem" "$T/st.pem"; cp "$T/st$1/st.key" "$T/st.key"
    cradle device add "d$1" --model vib-1 --quiet; key "$T/d$1" -algorithm "$kind"; csr "$T/d$1" "/CN=d$1"; est "d$1" st; ok $? "$kind: openssl req and curl enroll a device"
    is "$(algorithms "$T/d$1.pem")" "$kind " "$kind: its certificate has such a key and signature"
    openssl verify -CAfile "$SITE/ca/root.pem" -untrusted "$SITE/ca/device.pem" "$T/d$1.pem" >/dev/null; ok $? "$kind: openssl verifies it"
    is "$(status "d$1")" 200 "$kind: nginx takes it as a client certificate, and front reads it ($(openssl x509 -in "$T/d$1.pem" -outform DER | wc -c) bytes)"
    dev "d$1" -v "$HTTPS/healthz" 2>&1 | grep -q 'SSL connection using TLSv1.3'; ok $? "$kind: over TLS 1.3"
}
for n in 44 87; do
    one $n || finish
    site_stop
done
one 65 || finish

# -- a device with P-256 beside it; renewal; revocation
cradle device add c1 --model vib-1 --quiet; key "$T/c1"; csr "$T/c1" /CN=c1; est c1 st; ok $? "a device with a P-256 key under the ML-DSA CA"
is "$(algorithms "$T/c1.pem")" "ML-DSA-65 id-ecPublicKey " "has one classical half"; is "$(status c1)" 200 "and comes in"
cradle device add bad --model vib-1 --quiet; key "$T/bad" -algorithm ML-DSA-44; csr "$T/bad" /CN=bad; est bad st; [ $? != 0 ]; ok $? "a kind that the profile does not name is refused"
grep -q "ml-dsa-44" "$T/est.out"; ok $? "by its name"
key "$T/forged" -algorithm ML-DSA-65; openssl req -new -key "$T/forged.key" -subj /CN=bad -outform DER -out "$T/forged.der"
perl -0777 -pi -e 'substr($_, -40, 1) ^= "\x01"' "$T/forged.der"; openssl base64 -in "$T/forged.der" -out "$T/forged.csr"; est forged st; [ $? != 0 ]; ok $? "a forged request is refused"
grep -q "csr-bad-signature" "$T/est.out"; ok $? "for its proof of possession"
run cradle crypto inventory --service-life 2041-06-30 --json; is "$(echo "$out" | jq -c '[.devices[] | "\(.key_alg) \(.sig_alg) \(.good_until)"] | sort')" \
    '["ec:P-256 ml-dsa-65 2035-12-31","ml-dsa-65 ml-dsa-65 never"]' "the inventory tells the two apart"
is "$(echo "$out" | jq -c '[.plan[] | .key_alg, .devices]')" '["ec:P-256",1]' "and plans for the classical one alone"
is "$(echo "$out" | jq -c '[.site[] | select(.what == "CA device" or .what == "OCSP of device") | .key_alg]')" '["ml-dsa-65","ml-dsa-65"]' "of the site too"
ocsp() { openssl ocsp -issuer "$SITE/ca/device.pem" -cert "$T/$1.pem" -url "$HTTP/ocsp" -CAfile "$SITE/ca/root.pem" -verify_other "$SITE/ca/device.pem" 2>&1; }
has "$(ocsp d65)" "Response verify OK" "openssl verifies the OCSP answer"; has "$(ocsp d65)" "d65.pem: good" "which is good"
cradle device revoke d65 --reason keyCompromise --quiet; ok $? "the device is revoked"
is "$(status d65)" 403 "and does not come in"; has "$(ocsp d65)" "d65.pem: revoked" "by OCSP"
crl_url=$(openssl x509 -in "$T/d65.pem" -noout -ext crlDistributionPoints | sed -n 's/.*URI://p')
listed() { curl -sf "$crl_url" -o "$T/crl" && openssl crl -inform DER -in "$T/crl" -noout -text | grep -qi "$(openssl x509 -in "$T/d65.pem" -noout -serial | cut -d= -f2)"; }
wait_for 20 listed; ok $? "by CRL"
openssl crl -inform DER -in "$T/crl" -CAfile "$SITE/ca/device.pem" -noout 2>&1 | grep -q "verify OK"; ok $? "whose signature openssl verifies"

# -- releases: one more signature, which devices need not know
ceremony "$SITE/trust" && cradle tuf publish "$R" --quiet; ok $? "a ceremony with two P-256 keys"
cradle tuf key "$T/pq" --alg ml-dsa-65 $PASS --quiet; ok $? "an ML-DSA-65 key for releases"
cradle tuf rotate "$R" vib --add "$T/pq.pub" --quiet && both_sign targets; ok $? "may sign for a line as well"
head -c 5000 /dev/urandom >"$T/fw.bin"; release_make "$T/fw.bin" r1 1.0.0 1 && tuf_sign vib pq; ok $? "a release with three signatures"
f=$(ls "$R"/*.vib.json | tail -n 1)
dsse_verify "$f" "$T/pq.pub"; ok $? "openssl verifies the post-quantum one"; dsse_verify "$f" "$T/ann.pub"; ok $? "and the classical ones"
cradle tuf publish "$R" --quiet; ok $? "the site takes it"
is "$(cradle release list vib --json | jq -r '[.items[].name] | join(" ")')" r1 "and lists the release"
has "$(cradle crypto inventory)" "^updates: line vib +ml-dsa-65" "its key is in the inventory"
site_stop; cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "fold(events) = tables"
finish
