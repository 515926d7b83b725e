#!/bin/sh
# crypto_inventory.sh: which algorithms are in use, and who is in service for longer than theirs are good: on a real site, with devices that openssl and curl enroll,
# renewals with another key, revocations, a release with an end of support, and policies of one's own.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
need openssl openssl; need jq jq; need curl curl
HOME=$T/home; XDG_CONFIG_HOME=$T/home/config; export HOME XDG_CONFIG_HOME
run() { out=$("$@" 2>&1); rc=$?; }
site_init || finish
sed -i 's/^key_algs = .*/key_algs = ec:P-256 ec:P-384 ed25519 rsa:3072/' "$SITE/profiles/device.conf"
if openssl genpkey -algorithm ML-DSA-65 -out "$T/pq" 2>/dev/null; then ok 0 "this OpenSSL has ML-DSA: t/trixie/ml_dsa.sh uses it"; else # what an older one is told
    run cradle init "$T/pq" --name pq --org O --passphrase-file "$T/pass" --ca-alg ml-dsa-65; has "$out" "ml-dsa-65 keys need OpenSSL 3.5 or newer; this is OpenSSL 3.0" "init refuses ML-DSA, and says what it needs"
    [ ! -e "$T/pq" ]; ok $? "and makes nothing"
    cp "$SITE/profiles/device.conf" "$T/device.conf"; sed -i 's/^key_algs = .*/key_algs = ec:P-256 ml-dsa-65/' "$SITE/profiles/device.conf"
    run timeout 30 cradled "$SITE"; [ $rc != 0 ] && [ $rc != 124 ]; ok $? "a profile that names it stops the start"
    has "$out" "profiles/device.conf:[0-9]+: key_algs: ml-dsa-65 keys need OpenSSL 3.5" "with the line of the file"
    cat "$T/device.conf" >"$SITE/profiles/device.conf"
fi
site_start; ok $? "a site"
cradle line add vib --quiet; cradle model add vib-1 --line vib --quiet; cradle line add pump --quiet; cradle model add pump-1 --line pump --quiet
cradle station add st --out "$T/st" >"$T/log" 2>&1; ok $? "a station"
inv() { cradle crypto inventory "$@" --json; }

run cradle crypto inventory; is $rc 0 "an inventory without devices"; has "$out" "No device has a certificate yet" "says so"
has "$out" "^CA device +ec:P-256 +ecdsa-sha256 +20.*Z +2035-12-31" "the CAs"; has "$out" "^OCSP of device +ec:P-256" "the responders"
has "$out" "^TLS server +ec:P-256" "the TLS server"; has "$out" "^evidence log +ed25519" "the log"; has "$out" "^updates: directive +ec:P-256" "the keys of updates"

est() { # UID CERT [simplereenroll]: UID.csr becomes UID.pem
    curl -sf --cacert "$SITE/ca/bundle.pem" --cert "$2.pem" --key "$2.key" -H 'Content-Type: application/pkcs10' --data-binary @"$T/$1.csr" "$HTTPS/.well-known/est/${3:-simpleenroll}" |
        openssl base64 -d | openssl pkcs7 -inform DER -print_certs >"$T/$1.new" && [ -s "$T/$1.new" ] && mv "$T/$1.new" "$T/$1.pem"
}
enroll() { # UID MODEL [openssl genpkey options]
    uid=$1 model=$2; shift 2
    cradle device add "$uid" --model "$model" --quiet && key "$T/$uid" "$@" && csr "$T/$uid" "/CN=$uid" && est "$uid" "$T/st/st"
}
enroll v1 vib-1 && enroll v2 vib-1 && enroll v3 vib-1 -algorithm ED25519 && enroll p1 pump-1 && enroll p2 pump-1 -algorithm RSA -pkeyopt rsa_keygen_bits:3072
ok $? "five devices with four kinds of key"
is "$(inv | jq -c '[.devices[] | "\(.key_alg) \(.sig_alg) \(.devices)"] | sort')" '["ec:P-256 ecdsa-sha256 3","ed25519 ecdsa-sha256 1","rsa:3072 ecdsa-sha256 1"]' "are counted by key and signature"
is "$(inv | jq -r '.devices[0].last_ends')" "$(openssl x509 -in "$T/v1.pem" -noout -enddate | cut -d= -f2 | date -u -f - +%Y-%m)" "with the month in which the last of them ends"
is "$(inv | jq -c '[.plan[] | select(has("service_until"))]')" '[]' "nobody said how long they are in service"; has "$(cradle crypto inventory)" "Nobody says how long these 5 devices" "which the plan says"

is "$(inv --service-life 2035-12-31 | jq '.plan | length')" 0 "in service as long as the default policy: nothing to do"
is "$(inv --service-life 2036-01-01 | jq '[.plan[].devices] | add')" 5 "a day longer: everybody is in the plan"
is "$(inv --service-life vib=2041-06-30 --service-life pump=2030-01-01 --devices | jq -c '[.plan[] | .line, .service_until, (.uids | sort)]')" \
    '["vib","2041-06-30",["v1","v2"],"vib","2041-06-30",["v3"]]' "by line, and named"
run cradle crypto inventory --service-life 40y --devices; has "$out" "5 devices are in service for longer" "a span from now on"; has "$out" "^  p2" "names in the text too"
run cradle crypto inventory --service-life soon; is $rc 2 "what is no date: exit code"; has "$out" "YYYY|2041-06-30" "and what one is"

# -- a policy of one's own
printf 'rsa_until = 2027-06-30\necdsa_until = never # until we know better\n' >"$T/policy"
is "$(inv --policy "$T/policy" --service-life 2031-01-01 | jq -c '[.plan[] | .key_alg, .good_until]')" '["rsa:3072","2027-06-30"]' "an own policy decides"
printf 'rsa_until = 2027-13-40\n' >"$T/policy"; run cradle crypto inventory --policy "$T/policy"; [ $rc != 0 ]; ok $? "a date that is none is refused"; has "$out" "rsa_until is a date" "with the key"
printf 'rsa = 2027-06-30\n' >"$T/policy"; run cradle crypto inventory --policy "$T/policy"; [ $rc != 0 ]; ok $? "a key that is none is refused"; has "$out" "policy:1:" "with file and line"

# -- releases say how long their support lasts
dev() { d=$1; shift; curl -s -m 10 --cacert "$SITE/ca/bundle.pem" --cert "$T/$d.pem" --key "$T/$d.key" -H 'Content-Type: application/json' "$@"; }
ceremony "$SITE/trust" && head -c 5000 /dev/urandom >"$T/fw.bin" && SUPPORT_END=2041-06-30 release_make "$T/fw.bin" r1 1.0.0 1 && cradle tuf publish "$R" --quiet; ok $? "a release with support until 2041"
dev v1 -d '{"sequence":0,"state":"running","version":"1.0.0","reason":""}' "$HTTPS/update/v1/report" >/dev/null
is "$(inv | jq -c '[.plan[] | select(.release == "r1") | .line, .key_alg, .devices, .service_until, .service_by, .good_until]')" '["vib","ec:P-256",1,"2041-06-30","release","2035-12-31"]' \
    "who runs it is in the plan, until then"
has "$(cradle crypto inventory)" "^updates: line vib +ec:P-256" "and the keys that signed it are in the inventory"

run cradle line set pump --service-until 2036-06-30; is $rc 0 "a line says how long its devices are in service"
is "$(inv | jq -c '[.plan[] | select(.line == "pump") | .key_alg, .service_until, .service_by]')" '["ec:P-256","2036-06-30","line","rsa:3072","2036-06-30","line"]' "which puts them into the plan"
is "$(cradle line list --json | jq -c '[.items[] | [.name, .service_until]]')" '[["pump","2036-06-30"],["vib",""]]' "and stands in the list of lines"
is "$(inv --service-life pump=2030-01-01 | jq -c '[.plan[] | select(.line == "pump")]')" '[]' "an option of the inventory goes before it"
run cradle line set pump --service-until 2036-02-30; [ $rc != 0 ]; ok $? "a day that is none is refused"; has "$out" "service_until is a day" "and named"
run cradle line set pump --service-until none; is "$(inv | jq -c '[.plan[] | select(.line == "pump" and has("service_until"))]')" '[]' "and nothing is said any more"

# -- what changes
key "$T/v2" -algorithm EC -pkeyopt ec_paramgen_curve:P-384; csr "$T/v2" "/CN=v2" && est v2 "$T/st/st"; ok $? "a device that was reset gets a certificate for another kind of key"
is "$(cradle crypto devices ec:P-384 --json | jq -r '[.items[] | .uid, .line] | join(" ")')" "v2 vib" "and counts as that"
is "$(cradle crypto devices ec:P-256 --line vib --json | jq -r '[.items[].uid] | join(" ")')" v1 "no more as the other"
cradle device revoke p2 --reason keyCompromise --yes --quiet 2>/dev/null || cradle device revoke p2 --reason keyCompromise --quiet; ok $? "a device is revoked"
is "$(inv | jq -c '[.devices[] | select(.key_alg == "rsa:3072")]')" '[]' "and counts no more"
cradle device suspend v3 --quiet; is "$(inv | jq -c '[.devices[] | select(.key_alg == "ed25519") | .devices]')" '[1]' "a suspended one does"
is "$(api -o "$T/out" -w '%{http_code}' "$HTTPS/api/v1/crypto/devices")" 400 "the kind of key has to be said"
site_stop
cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "fold(events) = tables"
finish
