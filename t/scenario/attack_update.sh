#!/bin/sh
# attack_update.sh: the real agent against an attacker who owns the road to its site, and more and more of its keys. After each attack: the same file runs,
# the device remembers nothing of it, the site's evidence names the reason, and the next genuine order is carried out. The table is printed at the end;
# attacks on the bytes of a file (tampered, endless, cut, dripping) are in agent_update.sh, on deltas in agent_delta.sh.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/update.sh
. t/attack.sh
update_site && cradle model add vib-2 --line vib --quiet; ok $? "a site with a ceremony"
image 1.1.0 100000; publish r11 1.1.0 1 --handler files; wait_for 20 settled 1 && keep "$T/old"; ok $? "a release, and a copy of all metadata"
for v in 1.2.0 1.2.5 1.3.0 9.0.0 9.1.0; do image $v 2500000; done
{ release_make "$T/img/1.2.0" r12 1.2.0 2 --handler files && release_make "$T/img/1.3.0" r13 1.3.0 2 --handler files && release_make "$T/img/1.2.5" alt 1.2.5 2 --handler files &&
    release_make "$T/img/9.0.0" rev 9.0.0 2 --handler files --hw-rev Z && cradle release create "$R" "$T/img/9.1.0" --line vib --model vib-2 --release model --version 9.1.0 --counter 2 --sbom "$T/sbom.json" --support-end 2099-12-31 --handler files --quiet &&
    both_sign vib && cradle tuf publish "$R" --quiet; } 2>&1 | sed 's/^/# /'
for v in 1.2.0 1.2.5 1.3.0 9.0.0 9.1.0; do road_put "$T/img/$v"; done
wait_for 20 settled "$(ls "$R" | sed -n 's/^\([0-9]*\)\.vib\.json$/\1/p' | sort -n | tail -n 1)"; ok $? "more releases: two that suit, one for another hardware, one for another model"
device dev-1 "files_path = $T/dev-1/app" "update_delta = no" && device dev-2; ok $? "two devices"
sed -i "s|^update_handlers = .*|update_handlers = raw files|; s|^version_file = .*|version_file = $T/dev-1/app|" "$T/dev-1.conf"
cp "$T/img/1.0.0" "$T/dev-1/app"; running() { head -n 1 "$T/$1/app" 2>/dev/null || cat "$T/$1/running"; }
road_start dev-1; echo "update_url = $ROAD" >>"$T/dev-1.conf"
genuine "before all"; genuine "before all"
NET="the network, and every byte ever sent"; SRV="the server and all its online keys"; ONE="the server, and one engineer"
LV=$(version "$T/new/line.json") SV=$(version "$T/new/snapshot.json") TV=$(version "$T/new/targets.json")

# -- who has the network
aim; sed 's/"payload":"eyJ/"payload":"eyK/' "$T/new/line.json" >"$M/$LV.vib.json"; attack "tampered release metadata" "$NET" refused metadata-mix
aim; payload "$T/new/timestamp.json" | sed 's/"version":/"version":1/' >"$T/x"; jq -c --arg p "$(openssl base64 -A <"$T/x")" '.payload = $p' "$T/new/timestamp.json" >"$M/timestamp.json"
attack "tampered timestamp" "$NET" refused threshold
aim; cp "$T/old/timestamp.json" "$M/"; cp "$T/old/snapshot.json" "$M/$(version "$T/old/snapshot.json").snapshot.json"; attack "all metadata of yesterday" "$NET" refused metadata-rollback
aim; cp "$T/old/snapshot.json" "$M/$SV.snapshot.json"; attack "an older snapshot below the new timestamp" "$NET" refused metadata-mix
aim; cp "$T/old/line.json" "$M/$LV.vib.json"; attack "older releases below the new snapshot" "$NET" refused metadata-mix
aim; cp "$R/1.root.json" "$M/2.root.json"; attack "the old root as the next one" "$NET" refused metadata-rollback
order dev-2 r12 >/dev/null; directive_of dev-2 >"$T/two"
aim; tell "$T/two"; SEQ2=$SEQ; SEQ=$(payload "$T/two" | jq .sequence); jq -c ".sequence = $SEQ2" "$LIE/poll" >"$T/x"; cp "$T/x" "$LIE/poll"; SEQ=$SEQ2
attack "another device's order" "$NET" refused wrong-device
aim; directive_of dev-1 >"$T/mine"; genuine "an order that is kept"
aim; tell "$T/mine"; jq -c ".sequence = $SEQ" "$LIE/poll" >"$T/x"; cp "$T/x" "$LIE/poll"; attack "this device's own order from before" "$NET" refused directive-replay
aim; directive_of dev-1 >"$T/mine"; rekey; ok $? "the device gets a new key"
tell "$T/mine"; attack "this device's order for its key from before" "$NET" refused wrong-device
aim; directive_of dev-1 >"$T/mine"; jq -c '.signatures[0].sig = "MAYCAQECAQE="' "$T/mine" >"$T/forged"; tell "$T/forged"; once dev-1
is "$(status dev-1 | jq -r '"\(.state) \(.reason) \(.sequence)"')" "refused threshold $SEQ" "an order with a wrong signature is refused"
honest; tell "$T/mine"; once dev-1; is "$(status dev-1 | jq -r '"\(.state) \(.sequence)"')" "confirmed $SEQ" "it cannot spoil the genuine order with the same number"
row "a forged order with the number of the next one" "$NET" refused threshold; genuine "a forged order"

# -- who has the server
aim; bent "$T/new/line.json" '.version += 1000' $(online tuf-snapshot) $(online directive) >"$T/x"; stolen "$T/new/targets.json" "$T/x"; attack "releases signed by online keys" "$SRV" refused threshold
aim; bent "$T/new/targets.json" '.version += 1000' $(online tuf-snapshot) $(online tuf-timestamp) >"$T/x"; stolen "$T/x" "$T/new/line.json"; attack "roles signed by online keys" "$SRV" refused threshold
aim; bent "$R/1.root.json" '.version = 2' $(online tuf-snapshot) $(online tuf-timestamp) >"$M/2.root.json"; attack "a root signed by online keys" "$SRV" refused threshold
aim; stolen "$T/new/targets.json" "$T/old/line.json"; attack "older releases in a fresh snapshot" "$SRV" refused metadata-rollback
aim; stolen "$T/new/targets.json" "$T/new/line.json" +2sec; sleep 3; attack "a timestamp kept until after its end" "$NET" refused metadata-expired
aim; order_bent ".sha256 = \"$(sum "$T/img/9.1.0")\""; attack "an order for bytes that nobody signed" "$SRV" refused wrong-target
aim; order_bent '.path = "vib/none/fw.bin"'; attack "an order for a file that nobody signed" "$SRV" refused wrong-target
aim; order_bent ". + $(names r11) | .counter_floor = 0"; attack "an order for an old release that is signed" "$SRV" refused counter-low
aim; order_bent ". + $(names model)"; attack "an order for another model's release" "$SRV" refused wrong-model
aim; order_bent ". + $(names rev)"; attack "an order for another hardware's release" "$SRV" refused wrong-model
aim; order_bent '.issued = "2039-01-01T00:00:00Z" | .expires = "2039-01-02T00:00:00Z"'; attack "an order that moves the device's time" "$SRV" refused metadata-expired

# -- and one engineer of two
EVIL='.version += 1000 | .targets |= with_entries(.value.custom.cradle.version = "6.6.6")'
aim; bent "$T/new/line.json" "$EVIL" $(engineer ann) >"$T/x"; stolen "$T/new/targets.json" "$T/x"; attack "a release signed by one of two" "$ONE" refused threshold
aim; bent "$T/new/line.json" "$EVIL" $(engineer ann) $(engineer ann) >"$T/x"; stolen "$T/new/targets.json" "$T/x"; attack "a release signed twice by one of two" "$ONE" refused threshold
aim; bent "$T/new/line.json" "$EVIL" $(engineer ann) "$T/ann.key" "$T/bob.pub" >"$T/x"; stolen "$T/new/targets.json" "$T/x"; attack "a release signed by one under both names" "$ONE" refused threshold
aim; bent "$R/1.root.json" '.version = 2' $(engineer ann) >"$M/2.root.json"; attack "a root signed by one of two" "$ONE" refused threshold

# -- data without end
BIG=300000000
aim; truncate -s $BIG "$M/timestamp.json"; held "metadata without end" "$NET"
n=$(grep 'timestamp.json' "$T/road.access" | awk '{ print $10 }' | sort -n | tail -n 1); [ "$n" -lt 40000000 ]; ok $? "of which it took $n bytes at most, as the road counts"
aim; truncate -s $BIG "$LIE/poll"; held "an answer to a poll without end" "$NET"
aim; cp "$T/new/timestamp.json" "$M/"; echo "limit_rate 1;" >"$T/road.drip"; road_bend ""; began=$(date +%s); once dev-1; took=$(($(date +%s) - began)); : >"$T/road.drip"; road_bend ""
[ $took -lt 60 ]; ok $? "metadata that drip end too ($took s)"; row "metadata that drip" "$NET" "asks again" ""; genuine "metadata that drip"

# -- the file changes between two looks
cut_off() { aim; SLOT=$(idle); : >"$SLOT"; road_bend "limit_rate 600k;"; timeout -s KILL 3 cradle-agent -c "$T/dev-1.conf" update once >>"$T/agent.log" 2>&1; road_bend ""; }
cut_off; had=$(stat -c %s "$SLOT"); [ "$had" -ge 1048576 ] && [ "$had" -lt 2500000 ]; ok $? "a download is cut off after $had bytes"
to=$([ "$(running dev-1)" = 1.2.0 ] && echo 1.3.0 || echo 1.2.0); F=$T/road/artifact/$(sum "$T/img/$to"); cp "$T/img/9.0.0" "$F"
once dev-1; is "$(status dev-1 | jq -r '"\(.state) \(.reason)"')" "failed wrong-digest" "the server sends another file from there on: refused"
cmp -s -n "$had" "$SLOT" "$T/img/$to" && [ "$(stat -c %s "$SLOT")" = "$had" ]; ok $? "not a byte of it was written"
is "$(reason_of failed "$SEQ")" wrong-digest "the site's evidence says so"; row "another file from the second request on" "$NET" failed wrong-digest
cp "$T/img/$to" "$F"; genuine "another file"
cut_off; printf 'X' | dd of="$SLOT" bs=1 seek=1000 conv=notrunc 2>/dev/null; once dev-1
is "$(status dev-1 | jq -r .state) $(sum "$T/dev-1/app")" "confirmed $(sum "$T/img/$(running dev-1)")" "what another process wrote into a cut download is replaced"
row "a cut download that is changed on the device" "a process that may write the slot" "repairs" ""

# -- what a thief of the server can do
[ "$(running dev-1)" = 1.2.0 ] || genuine "on 1.2.0"
aim; order_bent ". + $(names alt)"; once dev-1; is "$(status dev-1 | jq -r .state) $(running dev-1)" "confirmed 1.2.5" "he can order another release that is signed and suits"
is "$(reason_of failed "$SEQ")" wrong-version "the site's evidence shows that it was not what was ordered"; row "an order for another signed release that suits" "$SRV" "installs it" wrong-version
genuine "another order"
aim; order_bent '.sequence = 9007199254740000'; once dev-1; state_is dev-1 confirmed; ok $? "he can run ahead with the number of an order"
honest; SEQ=$(order dev-1 "$(other)"); once dev-1; is "$(status dev-1 | jq -r .reason)" directive-replay "then genuine orders count as old"
row "an order whose number runs ahead" "$SRV" "installs it" "directive-replay"

# -- and how he loses it again: a root without his key
mkdir "$T/stolen" && cp "$SITE"/keys/directive.key "$SITE"/trust/directive.pub "$T/stolen/"
(cd "$T" && key directive && openssl pkey -in directive.key -pubout -out directive.pub)
cradle tuf rotate "$R" directive --add "$T/directive.pub" --remove "$(pub "$T/stolen/directive.pub")" --quiet && both_sign root && cradle tuf publish "$R" --quiet; ok $? "a root with another key for directives"
site_stop; cat "$T/directive.key" >"$SITE/keys/directive.key"; cat "$T/directive.pub" >"$SITE/trust/directive.pub"; site_start; ok $? "the site has it"
honest; SEQ=$(order dev-1 "$(other)"); cp "$T/old/timestamp.json" "$M/"; once dev-1; is "$(status dev-1 | jq -r .reason)" metadata-rollback "whoever hides what belongs to the new root"
grep -q '^root_version = 2' "$T/dev-1/state/update/state"; ok $? "cannot keep the device from keeping it"
genuine "a root without the stolen key"
aim; directive_of dev-1 >"$T/directive"; payload "$T/directive" | jq -c . | tr -d '\n' | sign application/vnd.cradle.directive+json "$T/stolen/directive.key" "$T/stolen/directive.pub" >"$T/forged"; tell "$T/forged"
attack "an order by the key that the root took away" "$SRV of before" refused threshold

# -- an engineer who was revoked
cradle tuf rotate "$R" vib --add "$T/eve.pub" --remove "$T/bob.pub" --quiet && both_sign targets && cradle tuf rotate "$R" vib --quiet && tuf_sign vib ann && tuf_sign vib eve && cradle tuf publish "$R" --quiet
ok $? "bob signs no more"; LV=$(ls "$R" | sed -n 's/^\([0-9]*\)\.vib\.json$/\1/p' | sort -n | tail -n 1); cp "$T/new/targets.json" "$T/targets.before"; wait_for 20 settled "$LV"; ok $? "published"
aim; bent "$T/new/line.json" "$EVIL" $(engineer ann) $(engineer bob) >"$T/x"; stolen "$T/new/targets.json" "$T/x"; attack "a release by two, one of them revoked" "the server and both engineers of before" refused threshold
aim; stolen "$T/targets.before" "$T/x"; attack "the same below the roles of before" "the server and both engineers of before" refused metadata-rollback
table
! grep -qE 'Sanitizer|runtime error|invariant' "$T/agent.log"; ok $? "no sanitizer has found anything"
site_stop; cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "the events explain the tables"
finish
