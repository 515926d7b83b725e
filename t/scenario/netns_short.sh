#!/bin/sh
# netns_short.sh: two broker hosts and the server in namespaces of their own; the link is delayed, duplicated, lossy, and cut for 1 s and for
# longer than the brokers accept. The staleness policy holds to the second, live sessions stay, the other broker notices nothing, and
# everything heals by itself: pending revocations cut, reports of the gap become evidence, the evidence verifies.
# usage: t/scenario/netns_short.sh [ALARM_S REFUSE_S CUT_S MIDDLE_S]   (3 8 10 5; t/netns.sh: the default policy, cut for 10 s and 20 min)
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/links.sh
links_enter t/scenario/netns_short.sh "$@"
ALARM=${1:-3} REFUSE=${2:-8} CUT=${3:-10} MIDDLE=${4:-5}
. t/load.sh
need sqlite3 sqlite3
n=20
links_site; ok $? "a site, and links to two broker hosts" 
fleet_make d $((2 * n + 10)); ok $? "a fleet is enrolled"
for h in a b; do
    [ $h = a ] && on=$ON_A skip=0 || on=$ON_B skip=$n
    edge_make e$h "alarm_after = ${ALARM}s" "refuse_after = ${REFUSE}s"; edge_start e$h $on; edge_ready e$h; ok $? "edge e$h has a snapshot over its link"
    fleet_broker b$h e$h 8883 "alarm_after ${ALARM}s" "refuse_after ${REFUSE}s"; fleet_broker_start b$h $on; ok $? "so broker b$h starts"
    load_start l$h 8883 "-c $n -s $skip -p 10 -b 100:500" $on
done
wait_for 20 load_live la $n && wait_for 20 load_live lb $n; ok $? "all devices are connected"
at_a() { ls "$T/fleet" | sed 's/\.pem$//' | LC_ALL=C sort | sed -n "$(($1 + 1))p"; }            # the Nth device of the load client at a, from 0
at_b() { at_a $(($1 + n)); }
spare() { at_a $((2 * n + $1)); }                                                              # connected nowhere
login_a() { $ON_A "$B/t/mqttcli" 8883 "$SITE/ca/bundle.pem" "$T/fleet/$1.pem" "$T/fleet/$1.pem" "$1"; } # prints "connack N"
down() { grep -q " down $2 " "$T/$1.load"; } # LOAD UID
revoke() { echo "$1" | revoke_all "" 1 >>"$T/revoked"; }
fresh() { jq -e ".connected and .age_ms < 2500" "$T/$1/state/edge.status"; }

# -- delay, duplicates, loss
link_do a delay 100
revoke "$(at_a 0)"; wait_for 5 down la "$(at_a 0)"; ok $? "100 ms of delay each way: a revocation cuts at a"
sleep 2
fresh ea >/dev/null; ok $? "and the edge stays fresh"
link_do a delay 10; link_do a dup 50
revoke "$(at_a 1)"; wait_for 5 down la "$(at_a 1)"; ok $? "half of the packets twice: a revocation cuts"
link_do a dup 0; link_do a loss 10
revoke "$(at_a 2)"; wait_for 10 down la "$(at_a 2)"; ok $? "one packet in ten lost: a revocation cuts"
link_do a loss 0; link_do a delay 0
wait_for 10 fresh ea; ok $? "the edge is fresh"
live=$((n - 3))

# -- a second without link
stale=$(events_sql "kind = 'stale' AND json_extract(payload, '\$.stale') = 1")
sleep 2
link_do a cut; sleep 0.3
revoke "$(at_a 3)"; live=$((live - 1))
sleep 0.7; link_do a heal
wait_for 8 down la "$(at_a 3)"; ok $? "cut for 1 s: the revocation from meanwhile cuts"
wait_for 10 fresh ea; ok $? "and the edge is fresh again"
[ $ALARM -lt 5 ] || is "$(events_sql "kind = 'stale' AND json_extract(payload, '\$.stale') = 1")" "$stale" "nobody was alarmed"

# -- long enough for an alarm
alarms() { grep -c "ALARM stale" "$T/ba.log"; }
before=$(alarms)
sleep 2
link_do a cut; sleep "$MIDDLE"
is "$(alarms)" $((before + 1)) "cut for $MIDDLE s: an alarm"
login_a "$(spare 1)" | grep -q "connack 0"; ok $? "and logins are let in"
link_do a heal
wait_for 15 fresh ea; ok $? "the link is back: the edge is fresh"

# -- longer than the brokers accept
sleep 2
at=$(ms)
link_do a cut
acked=$(load_get la acked)
revoke "$(at_a 4)"; revoke "$(at_b 0)"
wait_for 2 down lb "$(at_b 0)"; ok $? "while a's link is cut, a revocation cuts at b at once"
sleep 1.5
down la "$(at_a 4)"; ok $((! $?)) "a cannot know of it yet"
seen=$(newest_frame ea)
echo "# the newest frame at a is from $((seen - at)) ms after the cut"
[ $((seen - at)) -le 300 ] && [ $((seen - at)) -ge -1500 ]; ok $? "the newest frame at a is at most a heartbeat older than the cut"
last_in= first_out=
probe=$(spare 0)
while [ $(($(ms) - seen)) -lt $(((REFUSE + 3) * 1000)) ]; do
    t=$(ms)
    case $(login_a "$probe") in
    *"connack 0"*) last_in=$((t - seen)); [ -z "$first_out" ] || { first_out=flapping; break; } ;;
    *"connack 5"*) first_out=${first_out:-$(($(ms) - seen))} ;;
    esac
    left=$((REFUSE * 1000 - ($(ms) - seen)))
    if [ $left -gt 30000 ]; then sleep 10; elif [ $left -gt 3000 ]; then sleep 1; else sleep 0.05; fi
done
echo "# last login let in at an age of $last_in ms, first refused at $first_out ms; refuse_after ${REFUSE} s"
[ "${last_in:-0}" -ge $((REFUSE * 1000 - 1000)) ] && [ "$last_in" -le $((REFUSE * 1000 + 1000)) ]; ok $? "logins are let in until refuse_after, to the second"
[ "${first_out:-0}" -ge $((REFUSE * 1000)) ] && [ "$first_out" -le $((REFUSE * 1000 + 1000)) ]; ok $? "and refused from then on, to the second"
while [ $(($(ms) - at)) -lt $((CUT * 1000)) ]; do sleep 0.5; done
[ "$(load_get la acked)" -gt $((acked + CUT * 5)) ]; ok $? "live sessions are served on"
is "$(load_get la live)" $live "and none of them ended, the revoked one at a included"
logged=$(sed -n 's/^\([0-9]*\): cradle: ALARM stale.*/\1/p' "$T/ba.log" | tail -n 1)
echo "# alarm at an age of $((logged * 1000 - seen)) ms, alarm_after $ALARM s"
[ $((logged * 1000 - seen)) -ge $((ALARM * 1000 - 1000)) ] && [ $((logged * 1000 - seen)) -le $((ALARM * 1000 + 1500)) ]; ok $? "the broker raised its alarm at alarm_after, to the second"
grep -q "ALARM stale" "$T/bb.log"; ok $((! $?)) "the other broker raised none"

# -- healing
at=$(ms)
link_do a heal
wait_for 20 down la "$(at_a 4)"; ok $? "the link is back: the pending revocation cuts"
echo "# $(($(awk -v u="$(at_a 4)" '$2 == "down" && $3 == u { printf "%.0f", $1 / 1000 }' "$T/la.load") - at)) ms after the link was back"
live=$((live - 1))
let_in() { login_a "$1" | grep -q "connack 0"; }
wait_for 10 fresh ea; ok $? "the edge is fresh"
wait_for 5 let_in "$probe"; ok $? "logins are let in again"
login_a "$(at_a 4)" | grep -q "connack 5"; ok $? "but for the revoked one"
is "$(load_get la live)" $live "no other session was touched"
is "$(load_get lb live)" $((n - 1)) "and none at b but the one that was revoked"
reported() { [ "$(events_sql "$1")" -gt 0 ]; }
wait_for 20 reported "kind = 'stale' AND json_extract(payload, '\$.edge') = 'ea' AND json_extract(payload, '\$.stale') = 1"; ok $? "reports of the gap are in the evidence: the stale snapshot"
wait_for 20 reported "kind = 'refused' AND device = '$probe' AND json_extract(payload, '\$.reason') = 'stale'"; ok $? "the login that was refused for it"
for u in $(at_a 0) $(at_a 1) $(at_a 2) $(at_a 3) $(at_a 4) $(at_b 0); do
    wait_for 20 reported "kind = 'cut' AND device = '$u'"; ok $? "the cut of $u"
done
is "$(let_in_late "$T/revoked" "$T/lb.load" 1000)" "" "nobody revoked was let in at b"
is "$(grep -c ' ok$' "$T/revoked")" 6 "six revocations were durable"
wait_for 20 presence_is ea $live; ok $? "the register shows who is connected at a"
wait_for 20 presence_is eb $((n - 1)); ok $? "and at b"
verified netns; ok $? "the evidence verifies offline"
grep -hE "Sanitizer|runtime error" "$T"/*.log; ok $((! $?)) "no finding of a sanitizer"
finish
