#!/bin/sh
# agent_sealed.sh: a file that the site keeps encrypted, from the upload to the device: the plain bytes lie nowhere at the site and go over no wire, only the
# device that was ordered to have it gets a key, one that only it can use, and what was changed on the way is not written.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/update.sh
update_site; ok $? "a site with a ceremony"
site_stop; sed -i 's/^validity_s = .*/validity_s = 20m/; s/^renew_at_pct = .*/renew_at_pct = 1/' "$SITE/profiles/device.conf"; site_start; ok $? "whose devices may renew their certificates early"
device dev-1 "restart_command = /bin/true" "health_command = /bin/true" "renew_key = yes"; ok $? "a device"
device dev-2 "restart_command = /bin/true"; ok $? "another one"
U=$T/dev-1/state/update
road_start dev-1
mkdir -p "$T/road/sealed" "$T/road/key"
pass="proxy_pass $HTTPS; proxy_ssl_certificate $T/dev-1/state/current/cert.pem; proxy_ssl_certificate_key $T/dev-1/state/current/key.pem; proxy_ssl_session_reuse off;"
sed -i -e "s|^        location /update/v1/artifact/.*|        location ~ ^/update/v1/artifact/(?<h>[0-9a-f]+)\$ { root $T/road; try_files /sealed/\$h @site; include $T/road.bend; }\n        location ~ ^/update/v1/key/(?<k>[0-9a-f]+)\$ { root $T/road; try_files /key/\$k @site; }\n        location @site { $pass include $T/road.bend; }|" \
    -e '/location .update.v1.blocks/d' "$T/road.conf"
kill "$road_pid"; wait "$road_pid" 2>/dev/null; road_open; ok $? "a road"
echo "update_url = $ROAD" >>"$T/dev-1.conf"
as() { who=$1; shift; curl -s -m 60 --cacert "$SITE/ca/bundle.pem" --cert "$T/$who/state/current/cert.pem" --key "$T/$who/state/current/key.pem" "$@"; } # DEVICE [curl options] URL
code() { as "$1" -o "$T/answer" -w '%{http_code}' "$HTTPS/update/v1/$2"; } # DEVICE PATH
why() { jq -r '.reason // empty' "$T/answer"; }
marked() { image "$1" "$2"; printf 'MARK-OF-THE-PLAIN-FILE' >>"$T/img/$1"; } # VERSION BYTES
release() { release_make "$T/img/$2" "$1" "$2" 1 && cradle tuf publish "$R" --quiet; } # NAME VERSION
asked() { grep -c "GET /update/v1/$1/" "$T/road.access"; }
slot_is() { cmp -s "$T/dev-1/slots/$(cat "$U/slot")" "$T/img/$1"; }
other() { [ "$(cat "$U/slot")" = a ] && echo b || echo a; } # the slot that is not used next
confirm() { boot dev-1; once dev-1; state_is dev-1 confirmed; }

# -- the site
marked 1.1.0 3500000; release r11 1.1.0; ok $? "a release"; H=$(sum "$T/img/1.1.0")
cradle release upload "$R" vib r11 --encrypted --quiet; ok $? "its file is uploaded to be kept encrypted"
has "$(cradle artifact list | grep "$H")" " yes " "the list says so"
is "$(cradle event list --kind artifact-stored --json | jq -r ".items[].payload | select(.sha256 == \"$H\") | .encrypted")" true "and the evidence"
! grep -rqa MARK-OF-THE-PLAIN-FILE "$SITE"; ok $? "its plain bytes lie nowhere at the site"
[ ! -e "$SITE/artifact/$H" ] && [ -s "$SITE/artifact/$H.enc" ]; ok $? "only the sealed file does"
is "$(stat -c '%a %s' "$SITE/depot/$H.key")" "600 32" "its key is the depot's alone"
is "$(code dev-1 "key/$H") $(why)" "403 artifact-not-ordered" "without an order there is no key"
order dev-1 r11 >/dev/null
as dev-1 -o "$T/poll" "$HTTPS/update/v1/poll"; is "$(jq -r .artifact.encrypted "$T/poll")" true "the poll says that the file is encrypted"
is "$(code dev-1 "key/$H") $(wc -c <"$T/answer")" "200 113" "with one the key comes wrapped"
cp "$T/answer" "$T/key.dev-1"; key=$(od -An -v -tx1 "$SITE/depot/$H.key" | tr -d ' \n')
! od -An -v -tx1 "$T/key.dev-1" | tr -d ' \n' | grep -q "$key"; ok $? "not as it is"
is "$(code dev-1 "artifact/$H")" 200 "the file"; cmp -s "$T/answer" "$SITE/artifact/$H.enc" && ! grep -qa MARK-OF-THE-PLAIN-FILE "$T/answer"; ok $? "comes as it is sealed"
etag=$(as dev-1 -I "$HTTPS/update/v1/artifact/$H" | tr -d '\r' | sed -n 's/^etag: //Ip'); [ -n "$etag" ] && [ "$etag" != "\"$H\"" ]; ok $? "with another ETag than the plain file's: $etag"
is "$(code dev-2 "key/$H") $(why)" "403 artifact-not-ordered" "another device gets no key"
is "$(code dev-2 "artifact/$H") $(why)" "403 artifact-not-ordered" "nor the file"
is "$(api -o "$T/answer" -w '%{http_code}' "$HTTPS/update/v1/key/$H") $(why)" "403 role-forbidden" "nor does an administrator get a key"
is "$(code dev-1 "key/$(sum "$T/img/1.0.0")") $(why)" "403 artifact-not-ordered" "nor dev-1 that of another file"
is "$(code dev-1 key/xx) $(why)" "400 bad-field" "no file is called xx"

# -- the device
once dev-1; state_is dev-1 trial; ok $? "the device installs it"
slot_is 1.1.0; ok $? "opened: byte for byte the file that was signed"
is "$(asked key)" 1 "with one key"
confirm; ok $? "it is confirmed"

# -- what the road can do
marked 1.2.0 3000000; release r12 1.2.0; cradle artifact upload --encrypted "$T/img/1.2.0" --quiet; ok $? "the next one, by artifact upload"; H2=$(sum "$T/img/1.2.0")
is "$(code dev-1 "delta/$H/$H2") $(why)" "403 artifact-not-ordered" "before the order there is nothing"
E=$SITE/artifact/$H2.enc F=$T/road/sealed/$H2; n=$(stat -c %s "$E")
order dev-1 r12 >/dev/null; order dev-2 r12 >/dev/null; offered() { as dev-2 "$HTTPS/update/v1/poll" | jq -e '.state == "ready"' >/dev/null; }; offered
as dev-1 -o "$T/poll" "$HTTPS/update/v1/poll"
is "$(code dev-1 "delta/$H/$H2")" 404 "there is no delta between encrypted files"
segment() { dd if="$E" bs=65552 iflag=skip_bytes skip=$((68 + $1 * 65552)) count=1 2>/dev/null; } # N
put() { dd of="$F" bs=65536 oflag=seek_bytes seek=$((68 + $1 * 65552)) conv=notrunc 2>/dev/null; } # N: what is on stdin goes there
before=$(sum "$T/dev-1/slots/$(other)")
refuses() { # TEXT: dev-1 refuses what the road serves, and the slot is as it was
    : >"$T/agent.log"; order dev-1 r12 >/dev/null; once dev-1
    is "$(status dev-1 | jq -r '.state + " " + .reason')" "failed wrong-digest" "$1 is refused: $(grep -o 'sealed-[a-z]*' "$T/agent.log" | head -n 1)"
    is "$(sum "$T/dev-1/slots/$(other)")" "$before" "and not a byte of it was written"
}
cp "$E" "$F"; printf '\377\000\377\000' | dd of="$F" bs=1 seek=200000 conv=notrunc 2>/dev/null; refuses "a changed segment"
cp "$E" "$F"; segment 2 | put 3; segment 3 | put 2; refuses "a file with two segments exchanged"
{ head -c 68 "$E"; tail -c +$((68 + 65552 + 1)) "$E"; } >"$F"; refuses "a file without its first segment"
cp "$SITE/artifact/$H.enc" "$F"; refuses "another sealed file"
cp "$T/img/1.2.0" "$F"; refuses "the plain file itself"
cp "$E" "$F"; printf 'x' | dd of="$F" bs=1 seek=61 conv=notrunc 2>/dev/null; refuses "a changed header"
cp "$E" "$F"; is "$(code dev-2 "key/$H2") $(wc -c <"$T/answer")" "200 113" "the other device's key for the same file"; cp "$T/answer" "$T/road/key/$H2"; refuses "another device's key"
cp "$T/key.dev-1" "$T/road/key/$H2"; refuses "another file's key"
rm "$T/road/key/$H2"; head -c 1500000 "$E" >"$F"
order dev-1 r12 >/dev/null; once dev-1; state_is dev-1 fetching; ok $? "a file that ends too early is not installed"
is "$(cat "$U/slot")" "$([ "$(other)" = a ] && echo b || echo a)" "the slot in use stays"
had=$(stat -c %s "$T/dev-1/slots/$(other)"); : >"$T/road.access"
rm "$F"; once dev-1; state_is dev-1 trial; ok $? "when the rest comes, it is"
slot_is 1.2.0; ok $? "byte for byte"
confirm; ok $? "and confirmed"

# -- kill -9, then go on at a segment
marked 1.3.0 4000000; release r13 1.3.0; cradle release upload "$R" vib r13 --encrypted --quiet; H3=$(sum "$T/img/1.3.0"); E=$SITE/artifact/$H3.enc n=$(stat -c %s "$E")
order dev-1 r13 >/dev/null; : >"$T/dev-1/slots/$(other)"
cp "$E" "$T/road/sealed/$H3"; road_bend "limit_rate 600k;" # from the road itself: it is slower than the agent in any case
timeout -s KILL 4 cradle-agent -c "$T/dev-1.conf" update once >>"$T/agent.log" 2>&1
had=$(stat -c %s "$T/dev-1/slots/$(other)"); [ "$had" -ge 1048576 ] && [ "$had" -lt 4000000 ]; ok $? "killed in the middle of a download ($had bytes)"
is $((had % 1048576)) 0 "only whole, verified blocks are in the slot"
cmp -s -n "$had" "$T/dev-1/slots/$(other)" "$T/img/1.3.0"; ok $? "and they are right"
road_bend ""
once dev-1; state_is dev-1 trial; ok $? "it goes on"
is "$(grep artifact "$T/road.access" | tail -n 1 | awk '{ print $9, $10 }')" "206 $((n - 68 - had / 65536 * 65552))" "from the segment where it was cut"
slot_is 1.3.0; ok $? "byte for byte"
confirm; ok $? "and is confirmed"

# -- a renewed key
before=$(sum "$T/dev-1/state/current/key.pem")
renewed() { cradle-agent -c "$T/dev-1.conf" renew >>"$T/renew.log" 2>&1; }
wait_for 60 renewed; [ "$(sum "$T/dev-1/state/current/key.pem")" != "$before" ]; ok $? "the device has a new key"
kill "$road_pid"; wait "$road_pid" 2>/dev/null; sed -i "s|/id-[0-9]*/|/current/|g" "$T/road.conf"; road_open
marked 1.4.0 1500000; release r14 1.4.0; cradle release upload "$R" vib r14 --encrypted --quiet
order dev-1 r14 >/dev/null; once dev-1; state_is dev-1 trial; ok $? "what is encrypted for it is installed all the same"
slot_is 1.4.0; ok $? "byte for byte"
confirm; ok $? "and confirmed"
is "$(asked delta)" 0 "no delta was ever asked for"

# -- who cannot decrypt
order dev-2 r14 >/dev/null
ddi=$(as dev-2 "$HTTPS/DEFAULT/controller/v1/dev-2"); is "$(echo "$ddi" | jq -r '._links.deploymentBase.href // "none"')" none "hawkBit's clients are not offered what they cannot decrypt"
is "$(cradle event list --device dev-2 --kind firmware-refused --json | jq -r '.items[0].payload.reason')" encrypted "the evidence says why"
is "$(as dev-2 "$HTTPS/DEFAULT/controller/v1/dev-2" -o "$T/answer" -w '%{http_code}')" 200 "and they go on asking"

# -- in plain and not
marked 1.5.0 100000; cradle artifact upload "$T/img/1.5.0" --quiet; H5=$(sum "$T/img/1.5.0")
cradle artifact upload --encrypted "$T/img/1.5.0" 2>"$T/err"; is $? 5 "what is here in plain does not become encrypted"; has "$(cat "$T/err")" 'remove it first' "it says what to do"
cradle artifact remove "$H5" --quiet && cradle artifact upload --encrypted "$T/img/1.5.0" --quiet && [ -e "$SITE/depot/$H5.key" ]; ok $? "removed first, it does"
cradle artifact remove "$H5" --quiet; [ ! -e "$SITE/depot/$H5.key" ] && [ ! -e "$SITE/artifact/$H5.enc" ]; ok $? "its key goes with it"
! grep -qE 'Sanitizer|runtime error|invariant' "$T/agent.log"; ok $? "no sanitizer has found anything"
site_stop; cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "the events explain the tables"
[ -z "${AGENT_LOG:-}" ] || cp "$T/agent.log" "$AGENT_LOG"
finish
