#!/bin/sh
# docs_factory.sh: every command of docs/factory.md, exactly as printed; only the server's address is another. Then the refusals that
# the page names, met with the page's own curl command.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need curl curl
block() { # number: the commands of this block of the page
    awk -v want="$1" '/^```sh$/ { inside = 1; n++; next } /^```$/ { inside = 0 } inside && n == want' docs/factory.md | sed "s|^EST=https://trust.example:8443/|EST=$HTTPS/|"
}
site_init || { ok 1 "a site"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
for l in pumps valves meters; do cradle line add $l --quiet; done
cradle model add P100 --line pumps --quiet && cradle model add M1 --line meters --quiet; ok $? "lines and models"
W=$T/work
mkdir "$W"
cp "$SITE/ca/bundle.pem" "$W/bundle.pem"
printf 'uid = pump-0001\nstate_dir = %s/state-1\n' "$T" >"$W/agent.conf"
for n in 1 2 3 4 5; do block $n >"$T/block$n"; [ -s "$T/block$n" ]; ok $? "block $n of the page"; done
is "$(block 6)" "" "there are no more"
run() { ( cd "$W" && bash -e "$T/block$1" ) >"$T/out" 2>&1; }
run 1; ok $? "a station is added"
is "$(stat -c %a "$W/station-7/station-7.key")" 600 "its key is its own"
run 2; ok $? "a batch is registered"
is "$(cradle device list --json | jq -c '[.items[].uid]')" '["pump-0001","pump-0002"]' "both devices"
run 3; ok $? "the device prints its request"
! grep -q 'enrollment of' "$T/out"; ok $? "and speaks of nothing else"
openssl req -in "$W/pump-0001.csr" -noout -verify >/dev/null 2>&1; ok $? "openssl reads the request"
run 4; ok $? "the station fetches the certificate"
cp "$W/pump-0001.p7" "$T/first.p7"
run 5; ok $? "the device stores it"
is "$(openssl x509 -in "$T/state-1/current/cert.pem" -noout -subject -nameopt RFC2253 | tr ',' '\n' | sed -n 's/.*CN=//p')" pump-0001 "it is the device's"
run 4; ok $? "the same request again"
cmp -s "$T/first.p7" "$W/pump-0001.p7"; ok $? "gives the same certificate"

refused() { # uid reason: a new key of this name, sent by the page's commands
    printf 'uid = %s\nstate_dir = %s\n' "$1" "$T/state-$1-$2" >"$T/other.conf"
    cradle-agent -c "$T/other.conf" csr >"$W/pump-0001.csr" 2>"$T/out"
    run 4; is $? 22 "$2: curl says so"
    is "$(cut -d: -f1 "$W/pump-0001.p7")" "$2" "$2: the answer's first word"
}
refused pump-9999 uid-unknown
cradle device add meter-1 --model M1 --quiet
refused meter-1 line-forbidden
cradle device decommission pump-0002 --quiet
refused pump-0002 device-decommissioned
for r in uid-unknown line-forbidden device-decommissioned; do
    cradle event list --kind refused --json | jq -ne "input | .items[].payload | select(.reason == \"$r\")" >/dev/null; ok $? "$r is in the evidence"
done
for r in $(sed -n '/^| reason/,$p' docs/factory.md | cut -d'|' -f2 | grep -o '`[a-z-]*`' | tr -d '`'); do grep -q "\"$r\"" src/base/err.def || echo "$r"; done >"$T/unknown"
is "$(cat "$T/unknown")" "" "every reason on the page exists"
finish
