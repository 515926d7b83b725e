#!/bin/sh
# docs_linux_device.sh: every command of docs/linux-device.md that is marked as tested, in the order of the page; hosts and folders are others. Then what the
# page says of libraries, file modes and a clock that is not set.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need openssl openssl; need jq jq; need patchelf patchelf
PAGE=docs/linux-device.md
commands() { # part
    awk -v part="<!-- tested: $1 -->" '$0 == part { next_one = 1; next } /^```sh$/ { on = next_one; next_one = 0; next } /^```$/ { on = 0 } on' $PAGE |
        sed "s|^uid = .*|&\nstate_dir = $T/state|; s|https://trust.example:8443|$HTTPS|; s|/etc/station|$T/station|g; s|/etc/cradle-agent|$T/etc|g; s|/data/app|$T/app|g; s|cradle-agent \([a-z]\)|cradle-agent -c $T/etc/agent.conf \1|"
}
run() { # part
    commands "$1" >"$T/block"; [ -s "$T/block" ] || { echo "# no part $1"; return 1; }
    ( cd "$T" && sh -e "$T/block" ) >"$T/out" 2>&1 || { sed 's/^/# /' "$T/out"; return 1; }
}
site_init || { ok 1 "a site"; finish; }
sed -i 's/^renew_at_pct = .*/renew_at_pct = 10/' "$SITE/profiles/device.conf" # renewal is due after six seconds, with the validity below
site_start || { ok 1 "cradled starts"; finish; }
mkdir "$T/etc" "$T/app"; cp "$SITE/ca/root.pem" "$T/etc/"
is "$(grep -c '^<!-- tested: ' $PAGE)" 6 "the page has six tested parts"
run server; ok $? "the device is registered"
cradle line set pump --validity 600 --quiet
run device; ok $? "settings, enroll, report"
S=$T/state
is "$(tail -n 1 "$T/out" | jq -r .uid)" pump-0001 "it is the device"
has "$(cat "$T/settings.txt")" '^state_dir = ' "settings.txt has all of them"
is "$(stat -c %a "$S/current/key.pem")" 600 "the key is its own"
run trust; ok $? "trust"
has "$(cat "$T/out")" '"trust_checked"' "the site was asked"
wait_for 20 run renewal; ok $? "renewal, when a hundredth of the life has passed"
old=$(openssl pkey -in "$S/current/key.pem" -pubout)
echo data >"$T/app/file"
run reset; ok $? "factory reset"
[ ! -e "$T/app/file" ]; ok $? "the application's data are gone"
[ "$old" != "$(openssl pkey -in "$S/current/key.pem" -pubout)" ]; ok $? "it has another key"
is "$(cradle event list --kind device-reset --json | jq '.items | length')" 1 "and the site has the receipt"

# -- what the page says besides
readelf -d "$PWD/build/release/cradle-agent" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | grep -vE '^(libc\.so|ld-linux)' | while read -r l; do grep -q "\`$l\`" $PAGE || echo "$l"; done >"$T/missing"
is "$(cat "$T/missing")" "" "the page names every library that the agent needs"
chmod 750 "$S"
(umask 007; exec cradle-agent -c "$T/etc/agent.conf" run) 2>"$T/agent.log" & own $!; A=$!
wait_for 10 test -S "$S/telemetry.sock"; is "$(stat -c %a "$S/telemetry.sock")" 770 "with UMask=0007 the group may write telemetry"
kill $A; wait $A 2>/dev/null
is "$(find "$S" -name 'key.*' -perm /077)" "" "and reads no key"
gcc -shared -fPIC -O1 -D_GNU_SOURCE -DSHIFT_S="(86400 - $(date +%s))" -o "$T/clock.so" t/clockshift.c && cp "$PWD/build/release/cradle-agent" "$T/agent-1970" && patchelf --add-needed "$T/clock.so" "$T/agent-1970"; ok $? "an agent that lives in 1970"
before=$(find "$S/" -type f -name '*.pem' -exec cksum {} + | sort)
"$T/agent-1970" -c "$T/etc/agent.conf" trust renew >"$T/out" 2>&1; has "$(cat "$T/out")" 'certificate is not yet valid' "cannot verify the server and says why"
is "$(find "$S/" -type f -name '*.pem' -exec cksum {} + | sort)" "$before" "and changes nothing"
run end; ok $? "the end, on the server"
has "$(cat "$T/out")" 'decommissioned' "it is decommissioned"
site_stop; ok $? "cradled stops"
finish
