#!/bin/sh
# fleet_short.sh: a fleet takes a rollout while every role of the server is killed (kill -9) at random: waves, failures, a pause by itself, late
# devices, a roll-back, a cancelled one. What is judged is what lies on the devices' disks, against the API, the tables and the evidence.
# usage: t/scenario/fleet_short.sh [AGENTS]      (60; `make fleet AGENTS=1000` for more)
N=${1:-60}
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
. t/ceremony.sh
site_init || { ok 1 "cradle init"; finish; }
. t/rollout.sh
[ ! -x build/release/cradle-agent ] || AGENT=$PWD/build/release/cradle-agent # the fleet is the load, not what is tested
if [ "$N" -ge 500 ]; then canary=1 second=10 errors=3 timeout=120 limit=900 interval=5000 pause=6 late=10
else canary=5 second=30 errors=10 timeout=9 limit=90 interval=1000 pause=2 late=3; fi
set_key requests_per_second 1000000; set_key connections_per_address 65535; set_key restart_limit 1000; set_key restart_window 2
site_start; ok $? "a site"
began=$(ms)
cradle line add vib --quiet && cradle model add vib-1 --line vib --quiet && cradle station add st --out "$T/st" >"$T/log" 2>&1 &&
    cradle operator add alice --role operator --out "$T/alice" >>"$T/log" 2>&1; ok $? "a line, a station, a second person"
mkdir "$T/img"; for v in 1.0.0 1.1.0 1.2.0; do { echo $v; head -c 6000 /dev/urandom; } >"$T/img/$v"; done
ceremony "$SITE/trust" && release_make "$T/img/1.0.0" r10 1.0.0 1 && release_make "$T/img/1.1.0" r11 1.1.0 1 && release_make "$T/img/1.2.0" r12 1.2.0 2 &&
    cradle tuf publish "$R" --quiet && cradle artifact upload "$T/img/1.0.0" --quiet && cradle artifact upload "$T/img/1.1.0" --quiet && cradle artifact upload "$T/img/1.2.0" --quiet
ok $? "three releases"

# -- the fleet: 3 % will fail, so many of them in the second wave that its threshold is reached; kinds take turns
for i in $(seq "$N"); do printf 'f-%04d\n' "$i"; done >"$T/uids"
members up $canary $second <"$T/uids" >"$T/wave2"; members up $second 100 <"$T/uids" >"$T/wave3"
bad2=$((($(wc -l <"$T/wave2") * errors + 99) / 100)); bad3=$((N * 3 / 100 - bad2)); [ $bad3 -ge 4 ] || bad3=4
head -n $bad2 "$T/wave2" | awk '{ print $1, NR % 2 ? "unwell" : "handler" }' >"$T/bad"
head -n $bad3 "$T/wave3" | awk '{ split("unwell handler dies never", k); print $1, k[NR % 4 + 1] }' >>"$T/bad"
while read -r u; do
    case $(sed -n "s/^$u //p" "$T/bad") in
    unwell) fleet_device "$u" "health_command = /bin/false" "trial_limit_s = 1" ;;
    handler) fleet_device "$u" "slot_switch_command = /bin/false" ;;
    dies) fleet_device "$u"; : >"$T/born/$u/dies" ;;
    never) fleet_device "$u"; : >"$T/born/$u/never" ;;
    *) fleet_device "$u" ;;
    esac
done <"$T/uids"
kind_n() { grep -c " $1\$" "$T/bad"; }
unwell=$(kind_n unwell) handler=$(kind_n handler) dies=$(kind_n dies) never=$(kind_n never)
fleet_enroll; ok $? "$N devices are enrolled, $((unwell + handler + dies + never)) of them are to fail"
echo "# $(($(ms) - began)) ms until all are enrolled"
fleet_run 8 $interval
asked() { [ "$(query "SELECT count(*) FROM device_version WHERE version = '1.0.0'")" = $((N - never)) ]; }
wait_for $limit asked; ok $? "each has said what it runs"

# -- the rollout, and nobody is safe
api -o /dev/null -d "{\"name\":\"up\",\"line\":\"vib\",\"release\":\"r11\",\"query\":{\"model\":\"vib-1\"},\"timeout_s\":$timeout,\"waves\":[
    {\"percent\":$canary,\"error_percent\":5},{\"percent\":$second,\"success_percent\":98,\"error_percent\":$errors},{\"percent\":100,\"error_percent\":30}]}" "$HTTPS/api/v1/rollouts"
cpu=$(cpu_ticks) started=$(ms)
rollout_begin up; ok $? "a rollout in three waves begins"
watching up & watcher=$!; own $watcher
probe & own $!
kill_loop $pause & killer=$!; own $killer
wait_for $limit rollout_is up paused; ok $? "the second wave reaches its error threshold: it pauses by itself"
wait $watcher; is $? 5 "so does who watched it through every kill"
seen() { api "$HTTPS/api/v1/rollouts/up" >"$T/paused.json" && jq -e .why "$T/paused.json"; } # whom it asks may be killed meanwhile
wait_for 20 seen; ok $? "its state can be read"
has "$(jq -r .why "$T/paused.json")" "^error threshold of wave 2: of [0-9]+ members $bad2 failed and 0 are silent" "and says why"
is "$(jq -c '[.waves[1].counts.failed, .waves[2].counts.total]' "$T/paused.json")" "[$bad2,0]" "exactly the threshold had failed, and the third wave had nobody"
ordered() { query "SELECT count(*) FROM rollout_device WHERE rollout = 'up' AND sequence > 0"; }
was=$(ordered); sleep 2; is "$(ordered)" "$was" "while it is paused nobody gets an order"
move api up resume running; ok $? "somebody resumes it"
watching up & watcher=$!; own $watcher
for i in $(seq $late); do fleet_device "late-$i"; done
wait_for 60 fleet_enroll; ok $? "$late more devices are enrolled meanwhile"
total=$((N + late)) good=$((N + late - unwell - handler - dies - never))
wait_for $limit rollout_is up done; ok $? "the rollout ends"
ended=$(ms)
wait $watcher; is "$? $(tail -n 1 "$T/watch" | jq -r .state)" "0 done" "and so does the watch"
calm() { [ "$(rollout_has up ".waves | map(.counts.confirmed) | add")" = $good ]; }
wait_for $limit calm; ok $? "everybody who can has confirmed, the late ones too"
: >"$T/calm"; wait $killer
wait_for 60 healthy; ok $? "the service is well again"
cpu=$(($(cpu_ticks) - cpu))
echo "# $(wc -l <"$T/kills") kills: $(awk '{ print $2 }' "$T/kills" | sort | uniq -c | awk '{ printf "%s %s, ", $1, $2 }')"
sleep 1.5

# -- who has what
api "$HTTPS/api/v1/rollouts/up" >"$T/up.json"
is "$(jq -c '[.waves[].counts] | [(map(.total) | add), (map(.confirmed) | add), (map(.failed) | add), (map(.silent) | add), (map(.waiting + .offered + .downloading + .installed) | add)]' "$T/up.json")" \
    "[$total,$good,$((unwell + handler)),$((dies + never)),0]" "the API: all, confirmed, failed, silent, still open"
is "$(said_n 1.1.0 confirmed) $(said_n 1.1.0 rolled-back) $(said_n 1.1.0 failed) $(said_n 1.1.0 trial)" "$good $unwell $handler $dies" "the devices' own words"
is "$(running_n 1.1.0) $(running_n 1.0.0)" "$good $((total - good))" "what they really run"
is "$(switched_n 1.1.0 1) $(switched_n 1.1.0 0)" "$((good + unwell + dies)) $((handler + never))" "each has installed it once, none twice"
said | awk '$4 == $5 || ($4 == "trial" && $5 == "installed") { print $1 "|" $2 "|" ($4 == "trial" ? "silent" : $4) }' | sort >"$T/acked"
query "SELECT uid, sequence, state FROM device_order" | sort >"$T/orders"
is "$(comm -23 "$T/acked" "$T/orders" | wc -l)" 0 "nothing that was acknowledged to a device is lost ($(wc -l <"$T/acked") reports)"
is "$(query "SELECT count(*) FROM (SELECT device, json_extract(payload, '\$.sequence') AS s, kind FROM event WHERE kind IN ('firmware-ordered', 'firmware-installed', 'firmware-confirmed',
    'firmware-failed', 'firmware-rolled-back') GROUP BY 1, 2, 3 HAVING count(*) > 1)")" 0 "no event of a device is there twice"
echo "# $(jq -r '.times | to_entries | map("\(.key) \(.value)") | join(", ")' "$T/up.json") by the API; by the devices: $(awk -v from="$started" -v n="$total" '$3 == "state" && $5 == "1.1.0" && $6 == "confirmed" && !s[$2]++ {
    k++; for (p = 50; p <= 99; p += p == 50 ? 40 : 9) if (!t[p] && k * 100 >= n * p) t[p] = ($1 - from) / 1000 } END { print "50 % " t[50] " s, 90 % " t[90] " s, 99 % " t[99] " s" }' "$L")"
echo "# polls of one device, 10 a second, all the while: $(probed)"

# -- taken back
move api up rollback paused; rollout_begin up-back; ok $? "it is taken back"
wait_for $limit rollout_is up-back done; ok $? "which ends"
back() { [ "$(said_n 1.0.0 confirmed)" = $good ]; }
wait_for $limit back; ok $? "with everybody"
is "$(running_n 1.0.0) $(switched_n 1.1.0 1)" "$total $((good + unwell + dies))" "all run what they ran before"

# -- cancelled in the middle
api -o /dev/null -d '{"name":"half","line":"vib","release":"r12","query":{"model":"vib-1"},"max_active":'$((N / 10))',"waves":[{"percent":100,"error_percent":50}]}' "$HTTPS/api/v1/rollouts"
rollout_begin half; ok $? "another one begins"
wait_for $limit rollout_has half ".waves[0].counts.confirmed >= $((N / 4))"; move api half cancel cancelled; ok $? "and is cancelled in the middle"
settled() { [ "$(query "SELECT count(*) FROM device_order WHERE rollout = 'half' AND state IN ('ordered', 'offered', 'downloading', 'installed', 'postponed')")" = 0 ]; }
wait_for $limit settled; ok $? "no order of it stays open"
sleep 1
got=$(query "SELECT count(*) FROM device_order WHERE rollout = 'half' AND state = 'confirmed'")
[ "$got" -ge $((N / 4)) ] && [ "$got" -lt "$good" ]; ok $? "$got devices have it, the others not"
known() { [ "$(query "SELECT count(*) FROM device_version WHERE version = '1.2.0'")" = "$(running_n 1.2.0)" ] && [ "$(running_n 1.2.0)" -ge "$got" ]; }
wait_for 20 known; ok $? "the site knows who runs it: those too that had begun to install when it was cancelled"
move api half rollback cancelled; move alice half-back approve approved; move api half-back start running; ok $? "taking it back"
wait_for 30 rollout_is half-back done; ok $? "ends at once"
[ "$(query "SELECT count(*) FROM rollout_device WHERE rollout = 'half-back' AND state = 'cannot'")" -ge "$got" ] && [ "$(query "SELECT count(*) FROM rollout_device WHERE rollout = 'half-back' AND state <> 'cannot'")" = 0 ]; ok $? "because the security counter allows it to nobody"
known; ok $? "everybody still runs it"

kill -TERM $FLEETRUN; wait $FLEETRUN
echo "# fleet: $(cat "$T/fleet.json"); server: $cpu ticks of CPU in $((ended - started)) ms of the rollout"
verified fleet; ok $? "the evidence verifies offline"
site_stop; folds; ok $? "the events add up to the tables"
clean_log && ! grep -lE 'Sanitizer|runtime error|invariant' "$FLEET"/*/log; ok $? "no finding of a sanitizer"
finish
