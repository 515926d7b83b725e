#!/bin/sh
# agent_delta.sh: a device with an installed image takes the next one as differences; whatever is wrong with them or with the installed image, it gets
# the whole file, and never a byte that was not signed. The deltas are made by bench/delta_pair and lie on the road.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/update.sh
update_site; ok $? "a site with a ceremony"
image 1.0.0 9000000
next() { # OLD NEW: an update: pages moved, some bytes changed, some new
    { echo "$2"; head -c 2000000 "$T/img/$1" | tail -c +7; head -c 50000 /dev/urandom; tail -c +2000001 "$T/img/$1"; } >"$T/img/$2"
    printf 'changed' | dd of="$T/img/$2" bs=1 seek=7000000 conv=notrunc 2>/dev/null
}
next 1.0.0 1.1.0; publish r11 1.1.0
device dev-1 "restart_command = /bin/true" "health_command = /bin/true"; ok $? "a device is born"
road_start dev-1
sed -i "s|^        location /update/v1/blocks/.*|&\n        location /update/v1/delta/ { alias $T/road/delta/; include $T/delta.bend; }|" "$T/road.conf"
mkdir -p "$T/road/delta"; : >"$T/delta.bend"
kill "$road_pid"; wait "$road_pid" 2>/dev/null; road_open; ok $? "a road that has deltas"
echo "update_url = $ROAD" >>"$T/dev-1.conf"
delta() { # OLD NEW: the road has it
    d=$T/road/delta/$(sum "$T/img/$1"); mkdir -p "$d"
    "$B/bench/delta_pair" make "$T/img/$1" "$T/img/$2" "$d/$(sum "$T/img/$2")" >"$T/delta.log"; DELTA=$d/$(sum "$T/img/$2")
}
delta_bend() { printf '%s\n' "$*" >"$T/delta.bend"; kill "$road_pid"; wait "$road_pid" 2>/dev/null; road_open; }
taken() { grep "GET /update/v1/$1/" "$T/road.access" | tail -n 1 | awk '{ print $9, $10 }'; } # status and bytes of the last one
asked() { grep -c "GET /update/v1/$1/" "$T/road.access"; }
slot_is() { cmp -s "$T/dev-1/slots/$(cat "$T/dev-1/state/update/slot")" "$T/img/$1"; } # the slot of the next start holds VERSION
confirm() { boot dev-1; once dev-1; state_is dev-1 confirmed; }
order dev-1 r11 >/dev/null; once dev-1; state_is dev-1 trial; ok $? "the first update"
is "$(asked delta)" 0 "is the whole file: what a factory put there has no name"
confirm; ok $? "it is confirmed"

next 1.1.0 1.2.0; publish r12 1.2.0; delta 1.1.0 1.2.0; n=$(stat -c %s "$DELTA"); echo "# a delta of $n bytes for $(stat -c %s "$T/img/1.2.0")"
before=$(asked artifact); order dev-1 r12 >/dev/null; once dev-1; state_is dev-1 trial; ok $? "the second one"
is "$(taken delta)" "200 $n" "comes as a delta"
is "$(asked artifact)" "$before" "and nothing of the file is asked for"
slot_is 1.2.0; ok $? "the slot has the new image, byte for byte"
confirm; ok $? "it is confirmed"

next 1.2.0 1.3.0; publish r13 1.3.0; delta 1.2.0 1.3.0
printf 'X' | dd of="$DELTA" bs=1 seek=$(($(stat -c %s "$DELTA") / 2)) conv=notrunc 2>/dev/null
order dev-1 r13 >/dev/null; once dev-1; state_is dev-1 trial; ok $? "a delta with a changed byte"
slot_is 1.3.0; ok $? "harms nothing: the new image is there"
has "$(taken artifact)" '^20[06] ' "the rest came as the file: $(taken artifact)"
confirm; ok $? "it is confirmed"

next 1.3.0 1.4.0; publish r14 1.4.0; delta 1.3.0 1.4.0
slot=$(cat "$T/dev-1/state/update/slot"); printf 'rot' | dd of="$T/dev-1/slots/$slot" bs=1 seek=4000000 conv=notrunc 2>/dev/null
order dev-1 r14 >/dev/null; once dev-1; slot_is 1.4.0; ok $? "an installed image that has rotted: the new one is there all the same"
has "$(taken artifact)" '^206 ' "from the rotten block on as the file: $(taken artifact)"
confirm; ok $? "it is confirmed"

next 1.4.0 1.5.0; publish r15 1.5.0; delta 1.4.0 1.5.0
slot=$(cat "$T/dev-1/state/update/slot"); truncate -s 3000000 "$T/dev-1/slots/$slot"
order dev-1 r15 >/dev/null; once dev-1; slot_is 1.5.0; ok $? "an installed image that is too short"
confirm; ok $? "it is confirmed"

next 1.5.0 1.6.0; publish r16 1.6.0; delta 1.5.0 1.6.0; n=$(stat -c %s "$DELTA")
delta_bend "limit_rate 40k;"
order dev-1 r16 >/dev/null
timeout -s KILL 2.5 cradle-agent -c "$T/dev-1.conf" update once >>"$T/agent.log" 2>&1
delta_bend ""
before=$(asked artifact); once dev-1; slot_is 1.6.0; ok $? "killed in the middle of a delta: the next start ends it"
is "$(asked artifact)" "$before" "as a delta"
confirm; ok $? "it is confirmed"

next 1.6.0 1.7.0; publish r17 1.7.0; delta 1.6.0 1.7.0; head -c $((n / 2)) "$DELTA" >"$DELTA.x"; mv "$DELTA.x" "$DELTA"
order dev-1 r17 >/dev/null; once dev-1; slot_is 1.7.0; ok $? "half a delta: the rest comes as the file"
confirm; ok $? "it is confirmed"

next 1.7.0 1.8.0; publish r18 1.8.0; delta 1.7.0 1.8.0; delta_bend "add_header Retry-After 1 always; return 503;"
echo "update_delta_wait_s = 3" >>"$T/dev-1.conf"
began=$(date +%s); order dev-1 r18 >/dev/null; once dev-1; took=$(($(date +%s) - began)); slot_is 1.8.0; ok $? "a delta that is not made in time is not waited for ($took s)"
confirm; ok $? "it is confirmed"
next 1.8.0 1.9.0; publish r19 1.9.0; delta 1.8.0 1.9.0; delta_bend ""; echo "update_delta = no" >>"$T/dev-1.conf"
before=$(asked delta); order dev-1 r19 >/dev/null; once dev-1; slot_is 1.9.0; ok $? "update_delta = no: the whole file"
is "$(asked delta)" "$before" "and no delta is asked for"

# -- the site's own deltas
echo "update_url = $HTTPS" >>"$T/dev-1.conf"; sed -i '/^update_delta/d; /^update_url = .*'"$ROAD_PORT"'/d' "$T/dev-1.conf"; confirm; state_is dev-1 confirmed; ok $? "the device asks the site itself"
next 1.9.0 2.0.0; publish r20 2.0.0; next 2.0.0 2.1.0; publish r21 2.1.0; image 3.0.0 3000000; publish r30 3.0.0
for r in r19 r20 r21 r30; do cradle release upload "$R" vib $r --quiet; ok $? "$r is uploaded"; done
as() { curl -s -m 60 --cacert "$SITE/ca/bundle.pem" --cert "$T/dev-1/state/current/cert.pem" --key "$T/dev-1/state/current/key.pem" "$@"; }
A=$(sum "$T/img/1.9.0") N=$(sum "$T/img/2.0.0") M=$(sum "$T/img/2.1.0")
code() { as -o "$T/answer" -w '%{http_code}' "$HTTPS/update/v1/delta/$1/$2"; }
is "$(code "$A" "$N")" 403 "without an order there is no delta"
order dev-1 r20 >/dev/null
offered() { as "$HTTPS/update/v1/poll" | jq -e '.action == "install"'; }
wait_for 20 offered; ok $? "the next release is ordered"
c=$(code "$A" "$N"); is "$c $(jq -r .reason "$T/answer")" "503 busy" "the first one who asks has to wait"
made() { [ "$(code "$A" "$N")" = 200 ]; }
wait_for 200 made; ok $? "then it is there: $(stat -c %s "$T/answer") bytes for $(stat -c %s "$T/img/2.0.0")"
is "$(code "$A" "$M")" 403 "to the file that was ordered, and to no other"
is "$(code "$M" "$N")" 503 "from any file of the site"
is "$(code "$(printf 0 | sha256sum | cut -c1-64)" "$N")" 404 "and from no other"
for p in xx "$A%00" "..%2fkeys"; do is "$(code "$p" "$N" | cut -c1)" 4 "no file is called $p"; done
is "$(curl -s -o "$T/answer" -w '%{http_code}' "$HTTP/inside/delta/$A-$N") $(as -o "$T/answer" -w '%{http_code}' "$HTTPS/inside/delta/$A-$N")" "404 404" "the folder itself cannot be asked for"
once dev-1; slot_is 2.0.0; ok $? "the device takes it"
has "$(grep delta "$T/agent.log" | tail -n 1)" "came as a delta" "as a delta"
confirm; ok $? "it is confirmed"
order dev-1 r30 >/dev/null; once dev-1; slot_is 3.0.0; ok $? "where there is nothing in common, the whole file"
[ -e "$SITE/delta/$N-$(sum "$T/img/3.0.0").none" ]; ok $? "and the site will not try again"
is "$(grep -c 'died' "$T/cradled.log")" 0 "no role died"
finish
