#!/bin/sh
# broker_policy.sh: the policy document in a real Mosquitto: who may use which topic, and what a change of it does to sessions that live.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
PORT=$(free_ports)
mkdir -p "$STATE"
pki_make
for d in dev1 dev2 dev3 dev4; do device $d; done
device pump1 pump; device pump2 pump; device bare1 bare; device lost1 lineX
leaf backend infra v3_leaf; leaf monitor infra v3_leaf; leaf dev4b infra v3_leaf
leaf nameless device v3_leaf
snapmake key "$T/stream.key" >"$T/stream.pub"
LISTENER_EXTRA="persistence true
persistence_location $T/data/
autosave_interval 1
max_queued_messages 100" broker_conf </dev/null
mkdir -p "$T/data"

lines() { # -OF-LINEA: a document; what backends there are is in $BACKENDS
    printf 'cradle-policy 1\nline bare alarm\nline lineA alarm\n%s\nline pump alarm\n w %%l/%%u/+\n r %%l/all/#\n q %%l/%%u/fix\n%s\n' "$1" "$BACKENDS"
}
USUAL=" w d/%u/up/#
 r d/%u/down/#
 q d/%u/repair/#"
BACKENDS="backend backend
 w d/+/down/#
 w pump/all/#
 r d/+/up/#
 r d/+/repair/#
backend monitor
 r #"
v=1
next() { v=$((v + 1)); }
change() { # TEMPLATES-OF-LINEA: from now on
    next
    lines "$1" | policy_now 1:$((v - 1)) 1:$v
}
blocks() { next; frame 1:$((v - 1)) 1:$v "$@"; }
opened() { wait_for 5 grep -q "connack 0" "$T/$1.out"; }
closed() { wait_for 5 grep -q closed "$T/$1.out"; }
heard() { wait_for "${2:-5}" grep -qx "msg $1" "$T/monitor.out"; }
sends() { mq "$1" "$1" "pub=$2" >/dev/null; }
keeps() { mosquitto_pub -h localhost -p "$PORT" --cafile "$PKI/bundle.pem" --cert "$PKI/backend.pem" --key "$PKI/backend.key" -i backend -q 1 -t "$1" -m hi; } # TOPIC: by backend, queued for who is away
mark=0
reaches() { # NAME TOPIC: is what NAME publishes there delivered? A marker from somebody else comes after it.
    : >"$T/monitor.out.seen"; before=$(grep -cx "msg $2" "$T/monitor.out")
    sends "$1" "$2"
    mark=$((mark + 1)); mq backend backend "pub=d/mark/down/$mark" >/dev/null; heard "d/mark/down/$mark"
    [ "$(grep -cx "msg $2" "$T/monitor.out")" -gt "$before" ]
}
live() { n=$1; shift; mq "$n" "$n" "$@" hold=90 >"$T/$n.out" & LIVE=$!; own $LIVE; opened "$n"; }
stays() { ! grep -q closed "$T/$1.out"; }

# -- no policy, no broker
lines "$USUAL" >"$POLICY"
snap_new 1:1; mv "$STATE"/policy.* "$T/document"
broker_start; ok $((! $?)) "without the policy document the broker does not start"
has "$(cat "$T/broker.log")" "broker must not start: not-found: .*policy" "and says that it is missing"
printf 'cradle-policy 2\nwhatever\n' >"$POLICY"; snap_new 1:1
broker_start; ok $((! $?)) "with one that it cannot understand neither"
has "$(cat "$T/broker.log")" "broker must not start: bad-config: .*line 1" "and says which line is wrong"
lines "$USUAL" >"$POLICY"; snap_new 1:1
for f in "$STATE"/policy.*; do sed -i 's/down/up/' "$f"; done
broker_start; ok $((! $?)) "with one that is not the signed one neither"
has "$(cat "$T/broker.log")" "broker must not start: bad-signature" "and says so"
snap_new 1:1
broker_start; ok $? "with a good one it starts"
has "$(cat "$T/broker.log")" "policy of 3 lines and 2 backends" "and says what is in it"
mq monitor monitor sub='#' hold=300 >"$T/monitor.out" & own $!
wait_for 5 grep -q "suback 1" "$T/monitor.out"; ok $? "a backend that may read everything listens"

# -- deny by default
reaches dev1 d/dev1/up/t; ok $? "a device publishes by its line's template"
reaches dev1 d/dev1/down/t; ok $((! $?)) "and nowhere else"
reaches pump1 pump/pump1/t; ok $? "%l is the line of the certificate"
reaches pump1 pump/pump2/t; ok $((! $?)) "%u the device's own name"
reaches pump1 pump/pump1/t/x; ok $((! $?)) "+ is one level"
reaches pump1 d/pump1/up/t; ok $((! $?)) "other lines' topics are not its own"
has "$(mq bare1)" "connack 0" "a device of a line without topics is let in"
reaches bare1 d/bare1/up/t; ok $((! $?)) "and may not publish"
has "$(mq bare1 bare1 sub=d/bare1/down/#)" "suback 128" "nor subscribe"
has "$(mq lost1)" "connack 5" "a device of a line that is not in the policy is refused"
logged "refused lost1 from .*: line-unknown"; ok $? "as line-unknown"
has "$(mq nameless)" "connack 5" "and one whose certificate names no line"
has "$(mq dev4b)" "connack 5" "an infrastructure certificate that is no backend of the policy is refused"
logged "refused dev4b from .*: role-forbidden"; ok $? "as role-forbidden"

# -- backends
has "$(mq backend backend sub='d/+/up/#')" "suback 1" "a backend subscribes in its scope"
has "$(mq backend backend sub='#')" "suback 128" "not beyond"
reaches backend d/dev1/down/cmd; ok $? "it publishes in its scope"
reaches backend d/dev1/up/t; ok $((! $?)) "not beyond"
reaches monitor d/dev1/down/cmd; ok $((! $?)) "a backend without write topics publishes nothing"
mq monitor monitor sub='#' hold=300 >"$T/monitor.out" & own $! # its own login displaced it
wait_for 5 grep -q "suback 1" "$T/monitor.out"

# -- a change while sessions live
live dev2 sub=d/dev2/down/#; ok $? "dev2 is connected and listens"
mkfifo "$T/lines"
mosquitto_pub -h localhost -p "$PORT" --cafile "$PKI/bundle.pem" --cert "$PKI/dev3.pem" --key "$PKI/dev3.key" -i dev3 -t d/dev3/up/t -l <"$T/lines" 2>"$T/pub.err" & PUB=$!; own $PUB
exec 9>"$T/lines"
echo one >&9; heard d/dev3/up/t; ok $? "dev3 publishes over a connection that stays"
sends backend d/dev2/down/1; wait_for 5 grep -q "msg d/dev2/down/1" "$T/dev2.out"; ok $? "dev2 receives"
live backend sub='d/+/up/#'
change " w e/%u/#
 r e/%u/in
 q d/%u/repair/#"
logged "another policy is in force: 3 lines, 2 backends"; ok $? "another policy comes into force"
: >"$T/monitor.out"
echo two >&9; mq pump1 pump1 pub=pump/pump1/x >/dev/null; heard pump/pump1/x
grep -q "msg d/dev3/up/t" "$T/monitor.out"; ok $((! $?)) "dev3 may not publish there any more"
kill -0 $PUB 2>/dev/null && stays dev2 && stays backend; ok $? "nobody was disconnected"
kill $LIVE; wait $LIVE 2>/dev/null
sends backend d/dev2/down/2; heard d/dev2/down/2
grep -q "msg d/dev2/down/2" "$T/dev2.out"; ok $((! $?)) "dev2 receives nothing by its old subscription"
reaches dev1 e/dev1/x; ok $? "the new topics hold"
change "$USUAL"
wait_for 5 sh -c "[ \$(grep -c 'another policy is in force' $T/broker.log) -ge 2 ]"
sends backend d/dev2/down/3; wait_for 5 grep -q "msg d/dev2/down/3" "$T/dev2.out"; ok $? "given back, the old subscription receives again"
: >"$T/monitor.out"; echo three >&9; heard d/dev3/up/t; ok $? "and dev3 publishes again over the same connection"
exec 9>&-; wait $PUB

# -- bad news never replaces good
next; printf 'cradle-policy 2\n' | policy_now 1:$((v - 1)) 1:$v
logged "ALARM bad-config: .*the last good policy stays in force"; ok $? "a document that cannot be understood raises an alarm"
reaches dev1 d/dev1/up/t; ok $? "and the last good one decides"
change "$USUAL"
logged "verifies again"; ok $? "the next good one ends it"

# -- wills, and the sessions of those who are away
mq dev1 dev1 will=d/dev1/up/will drop >/dev/null; heard d/dev1/up/will; ok $? "a will by the line's template is delivered"
mq dev1 dev1 will=x/dev1/will drop >/dev/null; mq dev1 dev1 will=d/dev1/up/will2 drop >/dev/null; heard d/dev1/up/will2
grep -q "msg x/dev1/will" "$T/monitor.out"; ok $((! $?)) "one beyond it dies"
live dev3 will=d/dev3/up/late; WILLED=$LIVE
has "$(mq pump2 pump2 persist sub=pump/all/#)" "suback 1" "pump2 keeps an offline session"
has "$(mq dev4 dev4 persist sub=d/dev4/down/#)" "suback 1" "dev4 too"
keeps pump/all/1; keeps d/dev4/down/1; heard d/dev4/down/1
change " w d/%u/up/now
 q d/%u/repair/#"
wait_for 5 sh -c "[ \$(grep -c 'another policy is in force' $T/broker.log) -ge 4 ]"
kill -9 $WILLED; wait $WILLED 2>/dev/null; mq dev1 dev1 will=d/dev1/up/now drop >/dev/null; heard d/dev1/up/now
grep -q "msg d/dev3/up/late" "$T/monitor.out"; ok $((! $?)) "a will whose topic was taken away since the login dies too"
keeps d/dev4/down/2; keeps pump/all/2; heard pump/all/2
mq dev4 dev4 persist hold=1 >"$T/dev4.out"
grep -q "^msg" "$T/dev4.out"; ok $((! $?)) "whose topics were taken away gets nothing of what came before or after"
out=$(mq pump2 pump2 persist hold=1)
has "$out" "msg pump/all/1" "the others get theirs"
has "$out" "msg pump/all/2" "all of it"
change "$USUAL"
wait_for 5 sh -c "[ \$(grep -c 'another policy is in force' $T/broker.log) -ge 5 ]"
has "$(mq dev4 dev4 persist sub=d/dev4/down/#)" "suback 1" "dev4 has its topics again"
broker_stop; broker_start; ok $? "the broker is started again: it knows offline sessions by their names only"
mq monitor monitor sub='#' hold=300 >"$T/monitor.out" & own $!
wait_for 5 grep -q "suback 1" "$T/monitor.out"
keeps d/dev4/down/3; keeps pump/all/3; heard pump/all/3
has "$(mq dev4 dev4 persist hold=1)" "msg d/dev4/down/3" "dev4 gets what came meanwhile"
has "$(mq pump2 pump2 persist hold=1)" "msg pump/all/3" "pump2 too"

# -- quarantine
live dev1 sub=d/dev1/down/# will=d/dev1/up/last; live dev2 sub=d/dev2/down/#
blocks repair:dev1
closed dev1; ok $? "a device that is quarantined is cut"
logged "cut dev1: device-quarantined"; ok $? "for that reason"
stays dev2; ok $? "nobody else is"
live dev1 sub=d/dev1/repair/#; ok $? "it may log in again"
wait_for 5 grep -q "suback 1" "$T/dev1.out"; ok $? "and subscribe to its repair topics"
sends backend d/dev1/down/x; heard d/dev1/down/x
grep -q "msg d/dev1/down" "$T/dev1.out"; ok $((! $?)) "it receives nothing else"
stays dev1; ok $? "it is not cut a second time"
kill $LIVE; wait $LIVE 2>/dev/null
reaches dev1 d/dev1/repair/log; ok $? "it publishes to its repair topics"
reaches dev1 d/dev1/up/t; ok $((! $?)) "and nowhere else"
has "$(mq dev1 dev1 sub=d/dev1/down/#)" "suback 128" "nor does it subscribe elsewhere"
grep -q "msg d/dev1/up/last" "$T/monitor.out"; ok $((! $?)) "the will of the session that was cut died with it"
live dev1 sub=d/dev1/repair/#
blocks -repair:dev1
closed dev1; ok $? "when the quarantine is over, the session that it limited ends"
logged "cut dev1: quarantine-over"; ok $? "for that reason"
has "$(mq dev1 dev1 sub=d/dev1/down/#)" "suback 1" "the next one has the line's topics"
reaches dev1 d/dev1/up/t; ok $? "all of them"
blocks repair:dev1; wait_for 5 sh -c "! mqttcli $PORT $PKI/bundle.pem $PKI/dev1.pem $PKI/dev1.key dev1 sub=d/dev1/down/a | grep -q 'suback 1'"
blocks -repair:dev1 ident:dev1; wait_for 5 sh -c "mqttcli $PORT $PKI/bundle.pem $PKI/dev1.pem $PKI/dev1.key dev1 | grep -q 'connack 5'"
ok $? "from quarantine it can be blocked altogether"

# -- would it be allowed?
can() { cradle broker can "$@" --edge-dir "$STATE" 2>&1; }
out=$(can dev2 write d/dev2/up/t --line lineA); is $? 0 "cradle broker can: yes"
has "$out" "^yes: dev2 may publish to d/dev2/up/t: write topic d/%u/up/# of line lineA" "and which template decides"
out=$(can dev2 subscribe d/+/down/# --line lineA); is $? 3 "no, with exit code 3"
has "$out" "none of the read topics of line lineA covers d/\+/down/# for dev2" "and why"
out=$(can dev1 read d/dev1/down/t --line lineA); is $? 3 "a blocked device: no"
has "$out" "device-revoked" "for that reason"
blocks repair:dev3
out=$(can dev3 write d/dev3/repair/log --line lineA); is $? 0 "a quarantined one: yes, to its repair topics"
has "$out" "repair topic d/%u/repair/#" "which are named"
out=$(can dev3 write d/dev3/up/t --line lineA); is $? 3 "no to others"
has "$out" "device-quarantined" "for that reason"
is "$(can backend write d/x/down/c --json | jq -c '[.allowed, .template, .backend, .reason]')" '[true,"d/+/down/#",true,"ok"]' "a backend, as JSON"
out=$(can monitor write a); is $? 3 "one that may not"
has "$out" "none of the write topics of backend monitor covers a" "and why"
has "$(can dev2 write d/dev2/up/t)" "with --line$" "a host knows no device's line"
has "$(can dev2 write d/+/t --line lineA)" "no topic name" "a name with a wildcard is none"
has "$(can dev2 smell d/t --line lineA)" "smell: it is write, read or subscribe" "what it is asked must be one of three"
has "$(can lost1 write d/lost1/up/t --line lineX)" "the product line lineX of lost1 is not in the policy" "a line that is not there"

# -- a line is suspended
live pump1; live pump2
blocks line:pump
closed pump1 && closed pump2; ok $? "all sessions of a line that is suspended are cut"
logged "cut pump1: line-suspended"; ok $? "for that reason"
stays dev2; ok $? "those of other lines stay"
has "$(mq pump1)" "connack 5" "its devices are refused"
logged "refused pump1 from .*: line-suspended"; ok $? "as line-suspended"
has "$(can pump1 write pump/pump1/t --line pump)" "line-suspended" "cradle broker can says so too"
blocks -line:pump
wait_for 5 sh -c "mqttcli $PORT $PKI/bundle.pem $PKI/pump1.pem $PKI/pump1.key pump1 | grep -q 'connack 0'"; ok $? "resumed, they are let in"

# -- a backend leaves the policy
live backend sub='d/+/up/#'
BACKENDS="backend monitor
 r #"
change "$USUAL"
closed backend; ok $? "a backend that has left the policy is cut"
logged "cut backend: role-forbidden"; ok $? "for that reason"
has "$(mq backend)" "connack 5" "and refused"
stays dev2; ok $? "devices stay"
broker_stop
grep -E "Sanitizer|runtime error" "$T/broker.log"; ok $((! $?)) "no finding of a sanitizer in the broker's log"
finish
