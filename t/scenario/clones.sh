#!/bin/sh
# clones.sh: one key in two hands, on real parts: two brokers, two edges, cradled. At one broker, across two, and under each of the three policies.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
need curl curl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
. t/fleet.sh
at() { # BROKER UID [options…]
    n=$1 uid=$2; shift 2
    mqttcli $((BASE + 4 + n)) "$PKI/bundle.pem" "$PKI/$uid.pem" "$PKI/$uid.key" "$uid" "$@"
}
stays() { # NAME BROKER UID [options…]: a session that stays; its output in $T/NAME.out
    name=$1; shift
    at "$@" hold=100 keepalive=5 >"$T/$name.out" 2>&1 & own $!
    wait_for 10 grep -q "connack 0" "$T/$name.out"
}
open_still() { grep -q "connack 0" "$T/$1.out" && ! grep -q closed "$T/$1.out"; }
told() { cradle event list --kind clone-suspected --json 2>/dev/null | jq -ne "input | .items | map(select((.payload | if type == \"string\" then fromjson else . end) | .device == \"$1\" and ($2))) | length > 0"; }
state_is() { [ "$(cradle device show "$1" --json | jq -r .state)" = "$2" ]; }
broker_logged() { wait_for "$1" grep -qE -- "$3" "$T/broker$2.log"; }

# -- three lines, two hosts
for p in alarm quarantine refuse; do cradle line add $p --clone-policy $p >/dev/null && cradle model add m-$p --line $p >/dev/null; done; ok $? "a line of each policy"
cradle station add st --out "$T/st" >/dev/null
for d in a1:alarm q1:quarantine r1:refuse h1:quarantine; do cradle device add ${d%:*} --model m-${d#*:} >/dev/null; is "$(enroll ${d%:*})" 200 "${d%:*} enrolls"; done
for n in 1 2; do
    cradle edge add edge-$n --out "$T/edge$n" >/dev/null
    cradle-edge -c "$T/edge$n/edge.conf" 2>>"$T/edge$n.log" & own $!
    wait_for 10 test -s "$T/edge$n/state/revocation.snap"
    cradle broker config --out "$T/broker$n" --edge-dir "$T/edge$n/state" --port $((BASE + 4 + n)) --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null
    LD_PRELOAD=$PRELOAD ASAN_OPTIONS=detect_leaks=0:exitcode=99 mosquitto -c "$T/broker$n/mosquitto.conf" >>"$T/broker$n.log" 2>&1 & own $!
    wait_for 10 sh -c "ss -Hltn 'sport = :$((BASE + 4 + n))' | grep -q ."; ok $? "broker $n with its edge"
done

# -- quarantine: a copy at each broker; nobody is displaced, so it takes one and a half keepalives until both are proven
stays q1-a 1 q1 bind=127.0.0.1; ok $? "q1 is connected to broker 1"
stays q1-b 2 q1 bind=127.0.0.2; ok $? "and a copy of it to broker 2"
from=$(date +%s)

# -- a session without a keepalive would never end, and prove nothing
has "$(at 1 h1 keepalive=0)" "connack 5" "a login without a keepalive is refused"
has "$(at 1 h1 keepalive=1201)" "connack 5" "one with a very long one too"
broker_logged 5 1 "refused h1 from .*keepalive-forbidden.*1201 s; this broker allows 1 to 1200"; ok $? "for that reason"

# -- refuse
stays r1-a 1 r1 bind=127.0.0.1 again=d/r1/up/t; ok $? "r1 is connected"
has "$(at 1 r1 bind=127.0.0.2)" "connack 5" "a copy at another address is refused"
broker_logged 5 1 "refused r1 from 127.0.0.2: clone-refused: r1 is connected from 127.0.0.1"; ok $? "for that reason, which names the one that is in"
open_still r1-a; ok $? "who stays"

# -- alarm: they displace each other
for i in 1 2 3 4; do
    stays a1-$i 1 a1 bind=127.0.0.$((1 + i % 2))
    [ $i = 3 ] && { grep -q "ALARM clone-suspected: a1" "$T/broker1.log"; before=$?; }
done
broker_logged 5 1 "ALARM clone-suspected: a1 is in use from 127.0.0.1 and from 127.0.0.2 .*3 swaps"; ok $? "two that displace each other raise an alarm at the third swap"
is $before 1 "not before"
wait_for 10 told a1 '.reason == "returned" and .addr == "127.0.0.1" and .other_addr == "127.0.0.2" and .score >= 100 and .count == 3'
ok $? "the event has both addresses, the score and the swaps"
open_still a1-4; ok $? "the newest login wins"
grep -q closed "$T/a1-3.out"; ok $? "and the one before is out"

# -- refuse: the one that was defended goes on
broker_logged 30 1 "ALARM clone-suspected: r1 is in use from 127.0.0.2 and from 127.0.0.1 .*went on"; ok $? "r1 goes on after the other was refused: an alarm"
wait_for 10 told r1 '.reason == "refused" and .addr == "127.0.0.2" and .other_addr == "127.0.0.1"'; ok $? "and an event"
at 1 r1 bind=127.0.0.1 | grep -q "connack 0" && wait_for 5 grep -q closed "$T/r1-a.out"; ok $? "a newcomer from the same address takes over"

# -- quarantine; meanwhile an honest device goes from one broker to the other and back
found() { told q1 '.reason == "overlap" and .edge == "edge-2" and .addr == "127.0.0.2" and .other_edge == "edge-1" and .other_addr == "127.0.0.1"'; }
until found || [ $(($(date +%s) - from)) -gt 60 ]; do
    at 1 h1 bind=127.0.0.1 pub=d/h1/up/t >/dev/null && at 2 h1 bind=127.0.0.2 pub=d/h1/up/t >/dev/null || { ok 1 "h1 gets in"; break; }
    sleep 1.5
done
found; ok $? "the two of q1 are found across the brokers, with both places"
echo "# $(($(date +%s) - from)) s after the copy came; keepalive 5 s"
wait_for 5 state_is q1 quarantined; ok $? "q1 is in quarantine by its line's policy"
wait_for 5 grep -q closed "$T/q1-a.out" && wait_for 5 grep -q closed "$T/q1-b.out"; ok $? "both are cut"
for n in 1 2; do
    has "$(at $n q1 bind=127.0.0.$n sub=d/q1/repair/# | tr '\n' ' ')" "connack 0 suback 1" "at broker $n the repair topics are left to it"
    has "$(at $n q1 bind=127.0.0.$n sub=d/q1/down/# | tr '\n' ' ')" "connack 0 suback 128" "and nothing else"
done
cradle device resume q1 >/dev/null; state_is q1 active; ok $? "an operator resumes it"
wait_for 10 sh -c "mqttcli $((BASE + 5)) $PKI/bundle.pem $PKI/q1.pem $PKI/q1.key q1 sub=d/q1/down/# | grep -q 'suback 1\$'"; ok $? "and it has its topics again"

# -- and nothing else
state_is a1 active && state_is r1 active && state_is h1 active; ok $? "alarm and refuse change no device's state"
is "$(cradle event list --kind clone-suspected --limit 100 --json | jq -r '.items[].payload | if type == "string" then fromjson else . end | .device' | sort | tr '\n' ' ')" "a1 q1 r1 " \
    "one event for each of the three, none for the honest one"
cat "$T"/broker?.log "$T/cradled.log" "$T"/edge?.log | grep -E "Sanitizer|runtime error"; ok $((! $?)) "no finding of a sanitizer"
finish
