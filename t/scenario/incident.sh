#!/bin/sh
# incident.sh: many devices put out by a query, with a dry run and a confirmation; what --wait says; drills that pass and fail; the report
# of all cuts. On a real cradled, cradle-edge and Mosquitto.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
need curl curl; need jq jq; need script bsdutils
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
PORT=$((BASE + 5))
. t/fleet.sh
run() { out=$("$@" 2>"$T/err"); rc=$?; err=$(cat "$T/err"); }
json() { printf '%s' "$out" | jq -r "$1"; }

# -- a line with 50 stolen devices, some of them connected, and others
for l in pump valve; do cradle line add $l >/dev/null && cradle model add m-$l --line $l >/dev/null; done
cradle station add st --out "$T/st" >/dev/null && cradle edge add edge-1 --out "$T/edge" >/dev/null; ok $? "station and edge"
{ for i in $(seq 50); do echo "lorry-$i,S$i,m-pump,b7,DE"; done; echo "other-1,,m-pump,b8,FR"; echo "tap-1,,m-valve,b7,DE"; echo "canary,,m-valve,,"; } | cradle device add --csv - >/dev/null
ok $? "53 devices"
for d in lorry-1 lorry-2 lorry-3 other-1 tap-1 canary; do is "$(enroll $d)" 200 "$d enrolls"; done
echo "report_group = $(id -gn)" >>"$T/edge/edge.conf"
edge_start
wait_for 10 test -s "$T/edge/state/revocation.snap"; ok $? "the edge has a snapshot"
cradle broker config --out "$T/broker" --edge-dir "$T/edge/state" --port $PORT --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null
cp "$T/broker/mosquitto.conf" "$T/mosquitto.conf"
broker_up; ok $? "the broker is up"
for d in lorry-1 lorry-2 lorry-3 other-1 tap-1 canary; do live $d || echo "# $d"; done

# -- look first
run cradle device revoke --model m-pump --batch b7 --dry-run; is $rc 0 "a dry run"
has "$out" "^50 devices match" "says how many match"
has "$out" "by line: *pump 50" "of which line"
has "$out" "and 40 more" "and shows the first ten"
run cradle device revoke --batch b7 --country DE --dry-run --json
is "$(json '[.matched, .lines.pump, .lines.valve, (.first | length)] | join(" ")')" "51 50 1 10" "as JSON: another query matches more"
run cradle device revoke --model m-pump --batch b7; is $rc 2 "without a word of confirmation nothing happens"
has "$err" "50 devices match; nothing was changed.*--expect 50" "it says what to say"
run cradle device revoke --model m-pump --batch b7 --expect 49; is $rc 2 "nor with another number"
run cradle device revoke; is $rc 2 "neither UID nor query"
run cradle device revoke lorry-1 --line pump; is $rc 2 "both"
run cradle device revoke --line nowhere --expect 1; is $rc 4 "a query that nothing matches"
run cradle device revoke --line '' --expect 53; is $rc 2 "an empty filter is not all devices"
is "$(cradle device list --state revoked --json | jq '.items | length')" 0 "nothing is revoked so far"
cradle device suspend lorry-50 >/dev/null && cradle device revoke lorry-49 >/dev/null; ok $? "two have gone before"

# -- then act
run cradle device revoke --model m-pump --batch b7 --expect 50 --reason keyCompromise --note 'lorry stolen' --wait --wait-time 10 --json; is $rc 0 "50 at once"
is "$(json '[.matched, .done, .already, .refused, .edges[0].edge, .edges[0].acked] | join(" ")')" "50 49 1 0 edge-1 true" "49 are revoked, one was before; the edge has it"
is "$(json '.edges[0].cuts')" 3 "three live sessions were closed"
echo "# after $(json '.edges[0] | [.after_ms, .host_ms, .last_cut_ms] | join(" ms, ")') ms"
[ "$(json '.edges[0].after_ms >= 0 and .edges[0].host_ms > 0 and .edges[0].last_cut_ms >= 0')" = true ]; ok $? "no time is below zero"
for d in lorry-1 lorry-2 lorry-3; do closed $d; ok $? "$d is out"; done
for d in other-1 tap-1; do grep -q closed "$T/$d.out"; ok $((! $?)) "$d stays in"; done
is "$(cradle event list --kind device-state --json | jq '[.items[] | select(.payload.note == "lorry stolen")] | length')" 49 "each has its event"
name=$(json .run)
run cradle device revoke --model m-pump --batch b7 --expect 50 --reason keyCompromise --note 'lorry stolen' --run "$name"; is $rc 0 "the same run again"
has "$out" "revoked 49, already so 1, refused 0 of 50" "is answered as before"
is "$(cradle event list --kind device-state --json | jq '[.items[] | select(.payload.note == "lorry stolen")] | length')" 49 "and nothing is done twice"
run cradle device resume --model m-pump --expect 51; is $rc 5 "what cannot be is refused device by device: exit code"
has "$out" "resumed 0, already so 1, refused 50 of 51" "counted"
has "$out" "refused lorry-1: state-change: device 'lorry-1' is revoked" "and told why"
(umask 022; printf '#!/bin/sh\ncradle device suspend --line valve\n' >"$T/asks.sh"; chmod +x "$T/asks.sh")
printf '3\n' | script -qec "$T/asks.sh" /dev/null >"$T/tty" 2>&1; has "$(cat "$T/tty")" "not confirmed; nothing was changed" "on a terminal another number is no"
printf '2\n' | script -qec "$T/asks.sh" /dev/null >"$T/tty" 2>&1; has "$(tr -d '\r' <"$T/tty")" "suspended 2, already so 0, refused 0 of 2" "the right one is yes"
closed tap-1 && closed canary; ok $? "both are cut"
run cradle device resume --line valve --expect 2 --wait; is $rc 0 "and resumed"
finish
