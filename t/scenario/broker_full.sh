#!/bin/sh
# broker_full.sh: the whole way of a revocation: cradle -> cradled -> cradle-edge -> snapshot -> plugin -> closed socket -> evidence; and
# what happens when a part of it is down.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
need curl curl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
PORT=$((BASE + 5))
. t/fleet.sh
events() { cradle event list --kind "$1" --json "${2:---quiet}" 2>/dev/null; }
has_event() { events "$1" | jq -ne "input | .items | map(select(tostring | test(\"$2\"))) | length > 0"; }
status() { cradle-edge -s -c "$T/edge/edge.conf"; }

# -- set up as an operator would
cradle line add pump >/dev/null && cradle model add p1 --line pump >/dev/null; ok $? "a line and a model"
for d in d1 d2 d3 d4 d5 d6; do cradle device add $d --model p1 >/dev/null || echo "# $d"; done
cradle station add st --out "$T/st" >/dev/null; ok $? "a station"
cradle backend add telemetry --read 'd/+/up/#' --write 'd/+/down/#' --out "$T/backend" >/dev/null; ok $? "a backend client"
cradle edge add edge-1 --out "$T/edge" >/dev/null; ok $? "an edge"
for d in d1 d2 d3 d4 d5 d6; do is "$(enroll $d)" 200 "$d enrolls"; done
cradle-edge -t -c "$T/edge/edge.conf" >/dev/null; ok $? "cradle-edge -t takes the edge.conf that cradle edge add wrote"
echo "report_group = $(id -gn)" >>"$T/edge/edge.conf"
status >"$T/status" 2>&1; is $? 4 "cradle-edge -s says that none runs"
edge_start
wait_for 10 test -s "$T/edge/state/revocation.snap"; ok $? "cradle-edge gets a snapshot"
wait_for 5 status; ok $? "cradle-edge -s is content"
has "$(status)" "connected to $HTTPS" "and says to whom it is connected"
has "$(status)" "^policy +[0-9a-f]{40}, stored 20" "and which policy is in force"
cradle broker config --out "$T/broker" --edge-dir "$T/edge/state" --port $PORT --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null
ok $? "cradle broker config"
cradle broker lint "$T/broker/mosquitto.conf" >"$T/lint"; is $? 0 "its output lints clean"
cp "$T/broker/mosquitto.conf" "$T/mosquitto.conf"
broker_up; ok $? "mosquitto starts with it"

# -- life
live d1; ok $? "d1 is connected"
cp "$T/backend/telemetry.pem" "$PKI/"; cp "$T/backend/telemetry.key" "$PKI/"
mq telemetry telemetry sub=d/+/up/# hold=120 >"$T/tele.out" & own $!
wait_for 5 grep -q "suback 1" "$T/tele.out"; ok $? "the backend listens"
mq d2 d2 pub=d/d2/up/t >/dev/null
wait_for 5 grep -q "msg d/d2/up/t" "$T/tele.out"; ok $? "and hears d2"
wait_for 10 has_event cert-first-use d1; ok $? "the broker's report of the login is the certificate's first use"

# -- what brokers allow
out=$(cradle broker can d2 write d/d2/up/t); is $? 0 "cradle broker can, asked of the site: yes"
has "$out" "write topic d/%u/up/# of line pump" "by the line of the register"
out=$(cradle broker can d2 write d/d3/up/t 2>&1); is $? 3 "no"
has "$out" "topic-forbidden" "for want of a topic"
out=$(cradle broker can telemetry subscribe "d/+/up/#"); is $? 0 "a backend: yes"
out=$(cradle broker can nobody write x 2>&1); is $? 4 "a name that nobody has"
has "$out" "neither a backend nor a registered device" "is said to be that"

# -- revocation
cradle device revoke d1 --reason keyCompromise >"$T/revoke.out" 2>&1; rc=$?
at=$(date +%s%3N)
is $rc 0 "cradle device revoke d1"
closed d1; ok $? "the live session of d1 is closed"
took=$(($(sed -n 's/^closed //p' "$T/d1.out") - at))
echo "# socket closed $took ms after the command had ended"
[ $took -lt 1000 ]; ok $? "within a second of the durable answer"
refused_at d1; ok $? "d1 is refused at the broker"
wait_for 10 has_event cut d1; ok $? "the cut is in the evidence"
wait_for 10 has_event edge-ack .; ok $? "so is the edge's acknowledgement"
wait_for 10 has_event refused d1; ok $? "so is the refused login"
live d2; cradle device suspend d2 >/dev/null; closed d2; ok $? "a suspension cuts too"
refused_at d2; ok $? "and refuses"
cradle device resume d2 >/dev/null; wait_for 5 gets_in d2; ok $? "until it is resumed"
live d3
serial=$(openssl x509 -in "$PKI/d3.pem" -noout -serial | sed 's/serial=//')
cradle cert revoke "$serial" >"$T/cr.out" 2>&1; closed d3; ok $? "revoking one certificate cuts its session"
cradle operator remove telemetry >/dev/null; closed tele; ok $? "removing the backend's identity cuts the backend"

# -- cradled away: serve, remember, catch up
live d4
site_stop
wait_for 15 sh -c "! cradle-edge -s -c $T/edge/edge.conf >$T/status 2>&1"; ok $? "without cradled the edge raises an alarm"
has "$(cat "$T/status")" "stale: the snapshot is" "that says how old the snapshot is"
gets_in d5; ok $? "devices still get in"
grep -q closed "$T/d4.out"; ok $((! $?)) "and live sessions stay"
broker_stop; broker_up; ok $? "a broker restarted meanwhile starts from the snapshot"
refused_at d1; ok $? "and still refuses the revoked"
site_start; ok $? "cradled comes back"
wait_for 15 status; ok $? "the edge is fresh again by itself"
wait_for 15 has_event stale .; ok $? "the spooled reports arrive: the outage is in the evidence"

# -- edge away
kill $EDGE; wait $EDGE 2>/dev/null
live d5
cradle device revoke d5 >/dev/null
gets_in d6; ok $? "without the edge the broker serves"
edge_start
closed d5; ok $? "a revocation from meanwhile cuts as soon as the edge is back"
printf 'torn' >>"$T/edge/state/revocation.tail"
kill $EDGE; wait $EDGE 2>/dev/null
edge_start
live d6; cradle device revoke d6 >/dev/null; closed d6; ok $? "a tail with a torn end is cut and goes on"

# -- the edge itself is removed
cradle operator remove edge-1 >/dev/null
wait_for 20 sh -c "! cradle-edge -s -c $T/edge/edge.conf >$T/status 2>&1"; ok $? "an edge that is removed loses the stream"
has "$(cat "$T/status")" "operator-removed|removed|revoked|403" "and the status says why"
kill $EDGE; wait $EDGE; is $? 0 "SIGTERM ends the edge"
broker_stop
grep -E "Sanitizer|runtime error" "$T/broker.log" "$T/edge.log"; ok $((! $?)) "no finding of a sanitizer"
finish
