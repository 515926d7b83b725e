#!/bin/sh
# attack_swupdate.sh: the attacks of attack_update.sh against the real SWUpdate, which knows nothing of them, with cradle-gate in front: not a byte is
# written, the gate remembers nothing, the site's evidence names the reason, and the next genuine order is installed. Bent .swu files are in gate_swupdate.sh.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/offer.sh
. t/update.sh
. t/attack.sh
need swupdate swupdate; need cpio cpio
update_site && cradle model add vib-2 --line vib --quiet; ok $? "a site with a ceremony"
image_signer
cd "$T" || exit 1
swu() { # NAME VERSION COUNTER [options of release create]: a signed image, released
    swu_make "$1" "$2" 300000 || return 1
    name=$1 v=$2 c=$3; shift 3
    release_make "$name.swu" "$name" "$v" "$c" --handler swupdate "$@"
}
newest() { ls "$R" | sed -n 's/^\([0-9]*\)\.vib\.json$/\1/p' | sort -n | tail -n 1; }
swu r11 1.1.0 1 && cradle tuf publish "$R" --quiet; wait_for 20 settled "$(newest)" && keep "$T/old"; ok $? "a release, and a copy of all metadata"
swu r12 1.2.0 2 && swu r13 1.3.0 2 && swu rev 9.0.0 2 --hw-rev Z && cradle tuf publish "$R" --quiet; wait_for 20 settled "$(newest)"; ok $? "more releases"
device dev-1 && device dev-2; ok $? "two devices"
road_start dev-1; honest; ok 0 "a road"
cat >"$T/dev-1.gate" <<END
uid = dev-1
line = vib
model = vib-1
cert_file = $T/dev-1/state/current/cert.pem
key_file = $T/dev-1/state/current/key.pem
ca_file = $SITE/ca/bundle.pem
update_url = $ROAD
update_dir = $T/dev-1/gate
factory_root = $R/1.root.json
version_file = $T/dev-1/running
END
printf 'globals: { };\n' >swu.cfg
install() { # NAME of a release
    rm -rf out tmp; mkdir -m 700 tmp
    TMPDIR=$T/tmp timeout 60 swupdate -v -f swu.cfg -H lab:1.0 -k image-ca.pem --cert-purpose codeSigning -P "cradle-gate -c $T/dev-1.gate check swupdate" \
        -p "cradle-gate -c $T/dev-1.gate installed" -i "$1.swu" >swupdate.log 2>&1
}
word() { grep -ao 'cradle-gate: .*' swupdate.log | head -n 1; }
other() { [ "$(running dev-1)" = 1.2.0 ] && echo r13 || echo r12; }
fingerprint() { running dev-1; grep -E '^(counter_floor|sequence|time_s|[a-z]*_version)' "$T/dev-1/gate/state"; }
tell() { cp "$1" "$LIE/directive"; } # FILE: it is the directive
genuine() { # NAME
    honest; want=$(other); order dev-1 "$want" >/dev/null; install "$want" && cmp -s out "$want.img"
    [ "$want" = r12 ] && echo 1.2.0 >"$T/dev-1/running" || echo 1.3.0 >"$T/dev-1/running"
    cmp -s out "$want.img" && cradle-gate -c "$T/dev-1.gate" confirm >/dev/null 2>>"$T/agent.log"; ok $? "$1: then a genuine update is installed"
}
aim() { honest; GOAL=$(other); SEQ=$(order dev-1 "$GOAL"); before=$(fingerprint); }
attack() { # NAME, who has what, reason: of the release $GOAL
    install "$GOAL"; [ $? != 0 ] && [ ! -e out ]; ok $? "$1: nothing is written"
    got=$(word | grep -oE "$3" | head -n 1); is "$got" "$3" "$1: $3"
    is "$(fingerprint)" "$before" "$1: the gate remembers what it remembered"
    is "$(reason_of refused "$SEQ")" "$3" "$1: the site's evidence says so"
    row "$1" "$2" refused "$got"
    genuine "$1"
}
genuine "before all"; genuine "before all"
NET="the network, and every byte ever sent"; SRV="the server and all its online keys"; ONE="the server, and one engineer"
LV=$(version "$T/new/line.json") SV=$(version "$T/new/snapshot.json")
aim; sed 's/"payload":"eyJ/"payload":"eyK/' "$T/new/line.json" >"$M/$LV.vib.json"; attack "tampered release metadata" "$NET" metadata-mix
aim; cp "$T/old/timestamp.json" "$M/"; cp "$T/old/snapshot.json" "$M/$(version "$T/old/snapshot.json").snapshot.json"; attack "all metadata of yesterday" "$NET" metadata-rollback
aim; cp "$T/old/snapshot.json" "$M/$SV.snapshot.json"; attack "an older snapshot below the new timestamp" "$NET" metadata-mix
aim; cp "$T/old/line.json" "$M/$LV.vib.json"; attack "older releases below the new snapshot" "$NET" metadata-mix
aim; directive_of dev-1 >mine; genuine "an order that is kept"
aim; tell mine; install "$GOAL"; [ $? != 0 ] && [ ! -e out ]; ok $? "this device's own order from before: nothing is written"; has "$(word)" directive-replay "this device's own order from before: directive-replay"
row "this device's own order from before" "$NET" refused directive-replay; genuine "this device's own order from before"
order dev-2 r12 >/dev/null; directive_of dev-2 >two
aim; tell two; install "$GOAL"; [ $? != 0 ] && [ ! -e out ]; ok $? "another device's order: nothing is written"; has "$(word)" wrong-device "another device's order: wrong-device"
row "another device's order" "$NET" refused wrong-device; genuine "another device's order"
aim; bent "$T/new/line.json" '.version += 1000' $(online tuf-snapshot) $(online directive) >x; stolen "$T/new/targets.json" x; attack "releases signed by online keys" "$SRV" threshold
aim; bent "$T/new/targets.json" '.version += 1000' $(online tuf-snapshot) $(online tuf-timestamp) >x; stolen x "$T/new/line.json"; attack "roles signed by online keys" "$SRV" threshold
aim; stolen "$T/new/targets.json" "$T/old/line.json"; attack "older releases in a fresh snapshot" "$SRV" metadata-rollback
aim; stolen "$T/new/targets.json" "$T/new/line.json" +2sec; sleep 3; attack "a timestamp kept until after its end" "$NET" metadata-expired
aim; order_bent ". + $(names r11) | .counter_floor = 0"; GOAL=r11; attack "an order for an old release that is signed" "$SRV" counter-low
aim; order_bent ". + $(names rev)"; GOAL=rev; attack "an order for another hardware's release" "$SRV" wrong-model
aim; order_bent ".sha256 = \"$(sum r11.swu)\""; GOAL=r11; attack "an order for bytes that the metadata does not name so" "$SRV" wrong-target
EVIL='.version += 1000 | .targets |= with_entries(.value.custom.cradle.version = "6.6.6")'
aim; bent "$T/new/line.json" "$EVIL" $(engineer ann) >x; stolen "$T/new/targets.json" x; attack "a release signed by one of two" "$ONE" threshold
aim; bent "$R/1.root.json" '.version = 2' $(engineer ann) >"$M/2.root.json"; attack "a root signed by one of two" "$ONE" threshold
cradle tuf rotate "$R" vib --add "$T/eve.pub" --remove "$T/bob.pub" --quiet && both_sign targets && cradle tuf rotate "$R" vib --quiet && tuf_sign vib ann && tuf_sign vib eve && cradle tuf publish "$R" --quiet
ok $? "bob signs no more"; wait_for 20 settled "$(newest)"; ok $? "published"
aim; bent "$T/new/line.json" "$EVIL" $(engineer ann) $(engineer bob) >x; stolen "$T/new/targets.json" x; attack "a release by two, one of them revoked" "the server and both engineers of before" threshold
table
site_stop
finish
