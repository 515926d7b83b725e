#!/bin/sh
# incident.sh: many devices put out by a query, with a dry run and a confirmation; what --wait says; drills that pass and fail; the report
# of all cuts. On a real cradled, cradle-edge and Mosquitto.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
need curl curl; need jq jq; need script bsdutils
site_init || { ok 1 "cradle init"; finish; }
echo "mass_revoke_confirm = 1000" >>"$SITE/cradled.conf"
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
{ echo "report_group = $(id -gn)"; echo "authz_listen = 127.0.0.1:$((BASE + 6))"; } >>"$T/edge/edge.conf"
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

# -- a drill with a connected canary
gets_in canary; live canary; ok $? "the canary is connected"
online() { [ "$(cradle device show canary --json | jq -r .presence.online)" = true ]; }
wait_for 5 online; ok $? "and the server knows"
has "$(cradle drill list)" "no drill yet" "there has been no drill"
run cradle drill revoke --device canary --limit 30s --ocsp --crl --authz "http://127.0.0.1:$((BASE + 6))/authz"; is $rc 0 "a drill"
has "$out" "edge-1 took it over after [0-9]+ ms \([0-9.]+ ms of it at the host\)" "says when the host followed"
has "$out" "edge-1 closed a live session after [0-9]+ ms" "and when the session was closed"
has "$out" "cradle-edge \(asked as a proxy does\) refuses it after [0-9]+ ms" "cradle-edge was asked"
has "$out" "OCSP refuses it after [0-9]+ ms" "OCSP was asked"
has "$out" "the CRL refuses it after [0-9]+ ms" "and the CRL fetched"
has "$out" "passed: 1 of 1 hosts followed, 1 session closed" "it has passed"
printf '%s\n' "$out" | sed 's/^/# /'
closed canary; ok $? "the canary was really cut"
is "$(cradle device show canary --json | jq -r .state)" active "and is let in again"
wait_for 5 gets_in canary; ok $? "by the broker too"
run cradle drill list --json
is "$(json '.items[0].payload | [.how, .result, .hosts, .acked, .cut, .by, (.ocsp_ms > 0), (.crl_ms > 0), (.authz_ms > 0)] | join(" ")')" "suspended passed 1 1 1 admin true true true" "the result is evidence"
is "$(cradle status --json | jq -r '.drill.last_result')" passed "the status knows"
run cradle drill revoke --device canary --how revoke; is $rc 2 "a drill for ever wants to be asked for twice"
run cradle drill revoke --device nobody; is $rc 4 "a canary that is not there"
run cradle drill revoke --device lorry-1; is $rc 5 "nor can one be that is revoked"
gone() { [ "$(cradle device show canary --json | jq -r .presence.online)" = false ]; }
wait_for 5 gone
run cradle drill revoke --device canary; is $rc 4 "one that is not connected"
has "$err" "not connected to any broker.*--no-session" "says what to do"
is "$(cradle device show canary --json | jq -r .state)" active "and nothing was done to it"

# -- a drill that finds something: the host does not follow
live canary; wait_for 5 online
kill $EDGE; wait $EDGE 2>/dev/null
run cradle drill revoke --device canary --wait-time 1; is $rc 6 "with the edge stopped the drill fails: exit code"
has "$out" "not taken over within 1.0 s by: edge-1 \((stale, )?heard of [0-9]+ s ago\)" "it names the host"
has "$out" "FAILED: 0 of 1 hosts followed" "and counts"
is "$(cradle device show canary --json | jq -r .state)" active "the canary is let in again all the same"
is "$(cradle drill list --json | jq -r '.items[0].payload | [.result, .acked, .cut] | join(" ")')" "failed 0 0" "the failure is evidence too"
grep -q closed "$T/canary.out"; ok $((! $?)) "its session was never closed"
is "$(cradle device suspend canary >/dev/null; sleep 2.1; cradle report cuts --json | jq -r '.uncut | map([.device, .state, .edge, .acked] | join(" ")) | join(",")')" \
    "canary suspended edge-1 false" "a session that should be closed and is not is named, with its host"
edge_start
closed canary; ok $? "the host that comes back closes it"
told() { [ "$(cradle report cuts --json | jq '.uncut | length')" = 0 ]; }
wait_for 5 told; ok $? "then nothing is missing"
cradle device resume canary >/dev/null

# -- the report
wait_for 5 gets_in canary; live canary
cradle device suspend canary --note '<script>alert(1)</script>"&=1+1' --wait >/dev/null; closed canary
cradle device resume canary --note '=HYPERLINK("http://evil")' >/dev/null; wait_for 5 gets_in canary; live canary
cradle device suspend canary --note '=HYPERLINK("http://evil")' --wait >/dev/null; closed canary
run cradle report cuts --json
n=$(json '.cuts | length')
is "$(json '[.cuts[] | select(.device == "lorry-2")][0] | [.by, .why, .note, .state, .edge, .reason, (.total_ms >= 0), (.host_ms > 0)] | join(" ")')" \
    "admin keyCompromise lorry stolen revoked edge-1 device-revoked true true" "the report says who, why, where and how long"
[ "$(json '[.cuts[] | select(.decision != "" and (.decided_at <= .frame_at | not))] | length')" = 0 ]; ok $? "no frame is older than its decision"
printf '%s' "$out" | jq -r '.cuts[] | select(.decision != "" and (.decided_at <= .frame_at | not)) | "# \(.)"'
[ "$(json '.total_ms.n == (.cuts | map(select(.total_ms != null)) | length) and .total_ms.p50 <= .total_ms.p99 and .total_ms.p99 <= .total_ms.max')" = true ]; ok $? "percentiles"
is "$(cradle report cuts --device lorry-2 --json | jq '.cuts | length')" 1 "of one device"
is "$(cradle report cuts --edge nowhere --json | jq '.cuts | length')" 0 "of another host"
is "$(cradle report cuts --since 1h --json | jq '.cuts | length')" "$n" "of the last hour"
is "$(cradle report cuts --since 2099-01-01T00:00:00Z --json | jq '.cuts | length')" 0 "of the future"
run cradle report cuts --since soon; is $rc 2 "a time that is none"
has "$(cradle report cuts)" "half within [0-9]+ ms, 90 % within" "as text"
cradle report cuts --csv >"$T/r.csv"; is "$(wc -l <"$T/r.csv")" $((n + 1)) "as CSV, a line each"
grep -q "\"'=HYPERLINK(\"\"http://evil\"\")\"" "$T/r.csv"; ok $? "a note that looks like a formula is text in a spreadsheet"
run cradle report cuts --html "$T/r.html"; is $rc 0 "as a page"
grep -q '<script>' "$T/r.html"; ok $((! $?)) "a script in a note is none on the page"
grep -q '&lt;script&gt;alert(1)&lt;/script&gt;&quot;&amp;=1+1' "$T/r.html"; ok $? "but text"
grep -qiE 'src=|href=|http-equiv="refresh"|[ "]on[a-z]+=' "$T/r.html"; ok $((! $?)) "the page needs nothing from elsewhere"
is "$(grep -c '^<tr><td>20' "$T/r.html")" "$n" "with a row for each cut"

# -- drills are reminded of
site_stop
echo "drill_every = 1" >>"$SITE/cradled.conf"
site_start; ok $? "cradled with drill_every = 1"
due() { cradle status | grep -q 'no drill of a revocation has passed for'; }
wait_for 10 due; ok $? "the status reminds of a drill that is due"
cradled -f "$SITE" >"$T/fold" 2>&1; is $? 0 "fold(events) = tables"
finish
