#!/bin/sh
# agent_update.sh: a device with two slots gets signed updates from a real site: installed is not confirmed, the unwell comes back by itself, and
# what is not signed, not whole or not ordered never gets into a slot that is booted.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/update.sh
update_site; ok $? "a site with a ceremony"
image 1.1.0 3500000; publish r11 1.1.0; ok $? "a release"
device dev-1 "restart_command = /bin/touch $T/restart" "health_command = /usr/bin/test -e $T/well" "trial_limit_s = 2"; ok $? "a device is born with 1.0.0"
road_start dev-1; ok $? "a road"
echo "update_url = $ROAD" >>"$T/dev-1.conf"
U=$T/dev-1/state/update
touch "$T/well"

once dev-1; ok $? "without an order there is nothing to do"
state_is dev-1 none; ok $? "and it says so"
seq=$(order dev-1 r11); has "$seq" '^[0-9]+$' "an order"
once dev-1; ok $? "it is carried out"
state_is dev-1 trial; ok $? "installed is not confirmed"
is "$(running dev-1)" 1.0.0 "the old version runs until the restart"
is "$(cat "$U/slot")" b "the other slot is the next one"
cmp -s "$T/dev-1/slots/b" "$T/img/1.1.0"; ok $? "which holds the file"
[ -e "$T/restart" ]; ok $? "a restart was asked for"
grep -q '^counter_floor = 0' "$U/state"; ok $? "the floor is as before"
boot dev-1; once dev-1; ok $? "it boots the new version"
state_is dev-1 confirmed; ok $? "which is well, and confirmed"
grep -q '^counter_floor = 1' "$U/state"; ok $? "now the floor is raised"
is "$(status dev-1 | jq -r .confirmed.version)" 1.1.0 "it knows what it runs"
events() { cradle event list --kind "firmware-$1" --json | jq '.items | length'; }
is "$(events offered) $(events installed) $(events confirmed)" "1 1 1" "the evidence has offered, installed, confirmed, once each"
once dev-1; is "$(events confirmed)" 1 "asking again changes nothing"

# -- not well: back
image 1.2.0 3600000; publish r12 1.2.0 2
rm "$T/well" "$T/restart"
order dev-1 r12 >/dev/null; once dev-1; state_is dev-1 trial; ok $? "the next one is installed"
boot dev-1; is "$(running dev-1)" 1.2.0 "and runs"
once dev-1; state_is dev-1 rolled-back; ok $? "unwell for too long, it is given up"
is "$(cat "$U/slot")" b "the slot before is the next one"
boot dev-1; is "$(running dev-1)" 1.1.0 "the old version runs"
grep -q '^counter_floor = 1' "$U/state"; ok $? "the floor was not raised"
is "$(events rolled-back)" 1 "the site knows"
touch "$T/well"
seq=$(order dev-1 r12); once dev-1; boot dev-1
sed -i 's/^health_command.*//' "$T/dev-1.conf"; echo "health_command = /bin/false" >>"$T/dev-1.conf"; sed -i 's/^trial_limit_s = 2$/trial_limit_s = 60/' "$T/dev-1.conf"
for i in 1 2 3; do timeout -s KILL 3 cradle-agent -c "$T/dev-1.conf" update once >>"$T/agent.log" 2>&1; done
state_is dev-1 trial; ok $? "a version that dies three times before it is well is on trial"
once dev-1; state_is dev-1 rolled-back; ok $? "the fourth start brings the old one back"
sed -i 's/^health_command = .bin.false/health_command = \/bin\/true/' "$T/dev-1.conf"; boot dev-1

# -- cuts: the download goes on
order dev-1 r12 >/dev/null
: >"$T/dev-1/slots/a"
road_bend "limit_rate 600k;"
timeout -s KILL 3.5 cradle-agent -c "$T/dev-1.conf" update once >>"$T/agent.log" 2>&1
had=$(stat -c %s "$T/dev-1/slots/a"); [ "$had" -ge 1048576 ] && [ "$had" -lt 3600000 ]; ok $? "killed in the middle of a download ($had bytes)"
is $((had % 1048576)) 0 "only whole, verified blocks are in the slot"
road_bend ""
once dev-1; state_is dev-1 trial; ok $? "it goes on"
last=$(grep artifact "$T/road.access" | tail -n 1 | awk '{ print $9, $10 }')
is "$last" "206 $((3600006 - had))" "from the block where it was cut"
boot dev-1; once dev-1; state_is dev-1 confirmed; ok $? "and is confirmed"

# -- what the road sends is not what was signed
image 1.3.0 3000000; publish r13 1.3.0 2
F=$T/road/artifact/$(sum "$T/img/1.3.0")
before=$(sum "$T/dev-1/slots/b")
printf 'X' | dd of="$F" bs=1 seek=100 conv=notrunc 2>/dev/null
order dev-1 r13 >/dev/null
once dev-1
state_is dev-1 failed; ok $? "a tampered file is refused"
is "$(status dev-1 | jq -r .reason)" wrong-digest "by its digest"
is "$(sum "$T/dev-1/slots/b")" "$before" "and not a byte of it was written"
cp "$T/img/1.3.0" "$F"; head -c 3000000 /dev/urandom >>"$F"
order dev-1 r13 >/dev/null; once dev-1
is "$(status dev-1 | jq -r '.state + " " + .reason')" "failed wrong-length" "endless data ends at the length that was signed"
head -c 2000000 "$T/img/1.3.0" >"$F"
seq=$(order dev-1 r13); once dev-1; [ $? = 0 ]; state_is dev-1 fetching; ok $? "a file that ends too early is not installed"
cp "$T/img/1.3.0" "$F"
road_bend "limit_rate 2k;"; echo "download_min_rate = 100000" >>"$T/dev-1.conf"; echo "download_stall_s = 2" >>"$T/dev-1.conf"
began=$(date +%s); once dev-1; took=$(($(date +%s) - began)); [ $took -lt 15 ]; ok $? "a server that only drips is left ($took s)"
state_is dev-1 fetching; ok $? "to be asked again"
road_bend ""
sleep 1; once dev-1; state_is dev-1 trial; ok $? "when it is fast again, the update is installed"
boot dev-1; once dev-1; state_is dev-1 confirmed; ok $? "and confirmed"
is "$(running dev-1)" 1.3.0 "it runs"

# -- what is not allowed
image 1.0.5 200000; publish r105 1.0.5 1
order dev-1 r105 >/dev/null; once dev-1
is "$(status dev-1 | jq -r '.state + " " + .reason')" "refused counter-low" "an older security counter is refused, though it is signed and ordered"
image 1.4.0 200000; publish r14 1.4.0 2 --handler mcu
order dev-1 r14 >/dev/null; once dev-1
is "$(status dev-1 | jq -r '.state + " " + .reason')" "refused handler-not-allowed" "a handler that the configuration does not allow is refused"
is "$(events refused)" 2 "the site knows both"
cat "$U/state" >"$T/state.keep"; sed -i 's/^sequence = .*/sequence = 1/' "$U/state"
order dev-1 r13 >/dev/null; once dev-1; [ $? != 0 ]; ok $? "with a damaged state nothing is installed"
cp "$T/state.keep" "$U/state"

# -- handlers that get the file
image 1.5.0 150000; publish r15 1.5.0 2 --handler command
sed -i 's/^update_handlers = .*/update_handlers = raw command files/' "$T/dev-1.conf"
cat >"$T/own" <<'END'
#!/bin/sh
cat >"$1.got" && echo "$CRADLE_RELEASE $CRADLE_VERSION $CRADLE_ATTEMPT" >"$1.env" && [ ! -e "$1.refuse" ] && head -n 1 "$1.got" >"$1"
END
chmod +x "$T/own"
echo "custom_command = $T/own $T/dev-1/running" >>"$T/dev-1.conf"
order dev-1 r15 >/dev/null; once dev-1; state_is dev-1 confirmed; ok $? "a handler of one's own installs"
cmp -s "$T/dev-1/running.got" "$T/img/1.5.0"; ok $? "it got the file"
is "$(cat "$T/dev-1/running.env")" "r15 1.5.0 1" "and what it is"
[ ! -e "$U/artifact" ]; ok $? "nothing is left over"
image 1.6.0 150000; publish r16 1.6.0 2 --handler command
touch "$T/dev-1/running.refuse"; order dev-1 r16 >/dev/null; once dev-1
is "$(status dev-1 | jq -r '.state + " " + .reason')" "failed handler-failed" "its exit code counts"
echo 1.5.0 >"$T/dev-1/app"; echo "files_path = $T/dev-1/app" >>"$T/dev-1.conf"
sed -i "s|^version_file = .*|version_file = $T/dev-1/app|" "$T/dev-1.conf"
image 1.7.0 20000; publish r17 1.7.0 2 --handler files
order dev-1 r17 >/dev/null; once dev-1; state_is dev-1 confirmed; ok $? "a file beside the old one is swapped in"
is "$(readlink "$T/dev-1/app") $(head -n 1 "$T/dev-1/app") $(cat "$T/dev-1/app.b")" "app.a 1.7.0 1.5.0" "by its name, and the old one is kept"

# -- what a user wants
image 1.8.0 20000; publish r18 1.8.0 2 --handler files
sed -i 's/^update_ask.*//' "$T/dev-1.conf"; echo "update_ask = yes" >>"$T/dev-1.conf"
order dev-1 r18 >/dev/null; once dev-1; state_is dev-1 fetching; ok $? "with update_ask it waits for a user"
cradle-agent -c "$T/dev-1.conf" update postpone 1h >/dev/null; ok $? "who puts it off"
once dev-1; state_is dev-1 fetching; ok $? "it waits on"
is "$(events postponed)" 1 "and the site knows"
cradle-agent -c "$T/dev-1.conf" update decline >/dev/null; once dev-1; state_is dev-1 declined; ok $? "or declines it"
is "$(events declined)" 1 "which the site knows too"
order dev-1 r18 >/dev/null; once dev-1; cradle-agent -c "$T/dev-1.conf" update postpone 2d >/dev/null; once dev-1
cradle-agent -c "$T/dev-1.conf" update accept >/dev/null; once dev-1; sleep 1; once dev-1; state_is dev-1 confirmed; ok $? "or puts it off, and accepts it all the same"
cradle-agent -c "$T/dev-1.conf" update accept 2>/dev/null; is $? 4 "when there is nothing to decide, it says so"

# -- the daemon does it by itself
sed -i 's/^update_ask.*//' "$T/dev-1.conf"
sed -i '/^update_url/d' "$T/dev-1.conf" # no road any more: from the site's own store
image 1.9.0 2500000; publish r19 1.9.0 2 --handler files; cradle artifact upload "$T/img/1.9.0" --quiet; ok $? "the site holds a file itself"
order dev-1 r19 >/dev/null # before the daemon asks: told that there is nothing, it asks again in update_poll_interval
cradle-agent -c "$T/dev-1.conf" run 2>>"$T/agent.log" & agent=$!; own $agent
runs() { [ "$(status dev-1 | jq -r .confirmed.version)" = "$1" ]; }
wait_for 30 runs 1.9.0; ok $? "the daemon's client installs it without being told"
cmp -s "$T/dev-1/app" "$T/img/1.9.0"; ok $? "bit by bit"
kids=$(pgrep -P $agent); kill $agent; wait $agent 2>/dev/null
wait_for 10 sh -c "! kill -0 $kids"; ok $? "and ends with it"
! grep -qE 'Sanitizer|runtime error|invariant' "$T/agent.log"; ok $? "no sanitizer has found anything"
site_stop; cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "the events explain the tables"
[ -z "${AGENT_LOG:-}" ] || cp "$T/agent.log" "$AGENT_LOG"
finish
