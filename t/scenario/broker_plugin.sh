#!/bin/sh
# broker_plugin.sh: the plugin in a real Mosquitto: who gets in, who is put out and how fast, and what a bad snapshot does.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
PORT=$(free_ports)
mkdir -p "$STATE"
pki_make
for d in dev1 dev2 dev3 dev4 dev5; do device $d; done
device devB lineB
leaf backend infra v3_leaf; leaf stranger infra v3_leaf; leaf alien foreign v3_leaf; leaf dev9 device v3_server
device old lineA "$(date -u -d '-1 day' +%Y%m%d%H%M%SZ)"
leaf birth device v3_idevid; leaf birth2 device v3_idevid_own
snapmake key "$T/stream.key" >"$T/stream.pub"
broker_conf </dev/null

refused_now() { mq "$1" | grep -q "connack 5"; }

# -- start
broker_start; ok $((! $?)) "without a snapshot the broker does not start"
has "$(cat "$T/broker.log")" "broker must not start: not-found" "and says that the snapshot is missing"
SNAPMAKE_BAD=1 snap_new 1:5
broker_start; ok $((! $?)) "with a badly signed snapshot the broker does not start"
has "$(cat "$T/broker.log")" "broker must not start: bad-signature" "and says so"
snap_new 1:5 ident:dev2 "cert:$(aki_of dev3):$(serial_of dev3)" line:lineB
broker_start; ok $? "with a good snapshot it starts"

# -- who gets in
has "$(mq dev1)" "connack 0" "an honest device gets in"
has "$(mq dev1 dev2)" "connack 5" "not under another client id"
has "$(mq dev2)" "connack 5" "a blocked identity is refused"
has "$(mq dev3)" "connack 5" "a revoked certificate is refused"
has "$(mq devB)" "connack 5" "a device of a suspended line is refused"
has "$(mq alien)" "connack 5" "a certificate of a CA that is not the site's is refused, in the bundle or not"
has "$(mq stranger)" "connack 5" "an infrastructure certificate that is no backend client is refused"
has "$(mq birth)" "connack 5" "an initial identity (IDevID) of the devices' CA is refused, though it is for clients"
logged "birth.*idevid-enrolls-only|idevid-enrolls-only.*birth"; ok $? "with the reason"
has "$(mq birth2)" "fail handshake|connack none" "one as cradle makes them fails in the handshake already"
has "$(mq backend)" "connack 0" "a backend client gets in"
has "$(mq old)" "fail handshake|connack (5|none)" "an expired certificate is refused"
has "$(mqttcli "$PORT" "$PKI/bundle.pem" - - dev1)" "fail handshake|connack (5|none)" "no certificate, no connection"
has "$(mq dev1 dev1 v5auth)" "connack (5|135|140|none)" "MQTT 5 enhanced authentication is refused"
has "$(mq dev1 dev1 user=dev2,x)" "connack 0" "a user name in the CONNECT does not matter"
logged "refused dev2 from .*: name-mismatch"; ok $? "the log says why: name-mismatch"
logged "refused dev2 from .*: device-revoked"; ok $? "device-revoked"
logged "refused dev3 from .*: certificate-revoked"; ok $? "certificate-revoked"
logged "refused devB from .*: line-suspended"; ok $? "line-suspended"
logged "refused alien from .*: certificate-foreign"; ok $? "certificate-foreign"
logged "refused stranger from .*: role-forbidden"; ok $? "role-forbidden"

# -- strangers who fail their handshake must not throw out others
i=0; bad=0
while [ $i -lt 8 ]; do
    mqttcli "$PORT" "$PKI/bundle.pem" - - dev1 >/dev/null
    mq dev1 dev1 pub=d/dev1/up/x | grep -q "connack 0" || bad=$((bad + 1))
    i=$((i + 1))
done
is $bad 0 "failing handshakes of strangers disturb no honest device"

# -- topics
mq backend backend sub=d/+/up/# hold=60 >"$T/backend.out" & BACKEND=$!; own $BACKEND
wait_for 5 grep -q "suback 1" "$T/backend.out"; ok $? "a backend client reads d/+/up/#"
mq dev1 dev1 pub=d/dev1/up/t >/dev/null
wait_for 5 grep -q "msg d/dev1/up/t" "$T/backend.out"; ok $? "and receives what a device publishes"
mq dev1 dev1 pub=d/dev4/up/t >/dev/null; mq dev1 dev1 pub=d/dev1/up/last >/dev/null
wait_for 5 grep -q "msg d/dev1/up/last" "$T/backend.out"
grep -q "msg d/dev4" "$T/backend.out"; ok $((! $?)) "a device cannot publish under another's name"
has "$(mq dev1 dev1 sub=d/dev1/down/#)" "suback 1" "a device may subscribe to its own commands"
has "$(mq dev1 dev1 sub=d/+/down/#)" "suback 128" "and not to everybody's"
has "$(mq dev1 dev1 sub='#')" "suback 128" "nor to everything"
has "$(mq dev1 dev1 sub='$share/g/d/dev4/down/#')" "suback 128" "nor around by a shared subscription"

# -- wills and offline sessions
mq dev1 dev1 will=d/dev1/up/will drop >/dev/null
wait_for 5 grep -q "msg d/dev1/up/will" "$T/backend.out"; ok $? "the will of an honest device that vanishes is delivered"
has "$(mq dev1 dev1 persist sub=d/dev1/down/#)" "suback 1" "a device keeps an offline session"
kill $BACKEND; wait $BACKEND 2>/dev/null
mosquitto_pub -h localhost -p "$PORT" --cafile "$PKI/bundle.pem" --cert "$PKI/backend.pem" --key "$PKI/backend.key" -i backend -q 1 -t d/dev1/down/cmd -m hi
ok $? "mosquitto_pub works as it is"
has "$(mq dev1 dev1 persist hold=2)" "msg d/dev1/down/cmd" "what was sent meanwhile is delivered at the next login"

# -- cutting a live session
mq dev4 dev4 will=d/dev4/up/will hold=30 >"$T/dev4.out" & P=$!; own $P
mq backend backend sub=d/+/up/# hold=60 >"$T/backend.out" & BACKEND=$!; own $BACKEND
wait_for 5 grep -q "connack 0" "$T/dev4.out"; wait_for 5 grep -q "suback 1" "$T/backend.out"
at=$(date +%s%3N)
frame 1:5 1:6 ident:dev4
wait_for 5 grep -q closed "$T/dev4.out"; ok $? "a device that is revoked while it is connected is cut"
closed=$(sed -n 's/^closed //p' "$T/dev4.out")
echo "# closed $((closed - at)) ms after the frame was begun to be made"
[ $((closed - at)) -lt 1000 ]; ok $? "within a second"
logged "cut dev4: device-revoked"; ok $? "the log says why"
has "$(mq dev4)" "connack 5" "it does not get in again"
frame 1:6 1:7 -ident:dev4
wait_for 5 sh -c "mqttcli $PORT $PKI/bundle.pem $PKI/dev4.pem $PKI/dev4.key dev4 | grep -q 'connack 0'"; ok $? "resumed, it does"
grep -q "msg d/dev4/up/will" "$T/backend.out"; ok $((! $?)) "a will dies with the revocation"
mq dev5 dev5 hold=30 >"$T/dev5.out" & P=$!; own $P
wait_for 5 grep -q "connack 0" "$T/dev5.out"
frame 1:7 1:8 "cert:$(aki_of dev5):$(serial_of dev5)"
wait_for 5 grep -q closed "$T/dev5.out"; ok $? "a revoked certificate cuts its session"

# -- resumed TLS sessions
for v in tls12 tls13; do
    device res$v
    mq res$v res$v $v save="$T/$v.sess" >/dev/null
    has "$(mq res$v res$v $v resume="$T/$v.sess" save="$T/$v.sess" | tr '\n' ' ')" "resumed=1 connack 0" "$v: an honest device may resume its TLS session"
done
frame 1:8 1:9 ident:restls12 "cert:$(aki_of restls13):$(serial_of restls13)"
for v in tls12 tls13; do
    has "$(mq res$v res$v $v resume="$T/$v.sess" | tr '\n' ' ')" "resumed=1 connack 5" "$v: a revoked device that resumes its TLS session is refused"
done

# -- a certificate ends
device short lineA "$(date -u -d '+8 seconds' +%Y%m%d%H%M%SZ)"
mq short short tls13 save="$T/short.sess" hold=40 >"$T/short.out" 2>&1 & P=$!; own $P
wait_for 5 grep -q "connack 0" "$T/short.out"; ok $? "a device whose certificate ends soon is connected"
wait_for 25 grep -q closed "$T/short.out"; ok $? "it is cut when the certificate ends"
logged "cut short: certificate-expired"; ok $? "for that reason"
has "$(mq short short tls13 resume="$T/short.sess" | tr '\n' ' ')" "resumed=1 connack 5" "and cannot come back by a resumed TLS session"

# -- bad news never replaces good
SNAPMAKE_BAD=1 frame 1:9 1:10 -ident:dev2
logged "ALARM bad-signature"; ok $? "a badly signed frame raises an alarm"
has "$(mq dev2)" "connack 5" "and changes nothing"
snap_new 1:4
logged "ALARM vector-lower"; ok $? "a snapshot whose vector is lower raises an alarm"
has "$(mq dev2)" "connack 5" "and changes nothing"
snap_new 1:20 ident:dev1
logged "verifies again" 5; ok $? "the next good snapshot is taken"
has "$(mq dev1)" "connack 5" "and is in force: dev1 out"
has "$(mq dev2)" "connack 0" "dev2 in"

# -- reload
device live1
mq live1 live1 hold=60 >"$T/live1.out" & P=$!; own $P
wait_for 5 grep -q "connack 0" "$T/live1.out"
kill -HUP "$BROKER"
logged "Reloading config"; ok $? "SIGHUP reloads the broker"
has "$(mq dev2)" "connack 0" "after SIGHUP the broker serves"
grep -q closed "$T/live1.out"; ok $((! $?)) "and live sessions stay"
frame 1:20 1:21 ident:live1
wait_for 5 grep -q closed "$T/live1.out"; ok $? "and can still be cut"

# -- clones
device twin
i=0
while [ $i -lt 5 ]; do
    mq twin twin hold=20 bind=127.0.0.$((1 + i % 2)) >"$T/twin$i.out" & P=$!; own $P
    wait_for 5 grep -q "connack 0" "$T/twin$i.out"
    i=$((i + 1))
done
grep -q closed "$T/twin0.out"; ok $? "the newest login of an identity wins"
wait_for 3 grep -q "ALARM clone-suspected: twin" "$T/broker.log"; ok $? "the same identity, back again and again from two addresses, raises a clone alarm"

# -- websockets: the same plugin, the same certificate, the same end
broker_stop
WS=$((PORT + 1))
LISTENER_EXTRA="listener $WS 127.0.0.1
protocol websockets
cafile $PKI/bundle.pem
certfile $PKI/localhost.pem
keyfile $PKI/localhost.key
require_certificate true" broker_conf </dev/null
device web
broker_start && wait_for 10 sh -c "ss -Hltn | grep -q ':$WS '"; ok $? "it starts with a listener for websockets"
ws() { # NAME CLIENT-ID END-FILE: CONNECT in a websocket; what comes back is in $T/ws.CLIENT-ID; ends with the connection, or when END-FILE is there
    id=$2 n=${#2}
    {
        printf 'GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
        printf 'Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n'
        wait_for 5 grep -q 'mqtt' "$T/ws.$id"
        { printf '\202'; printf "\\$(printf %o $((0x80 + 14 + n)))"; printf '\0\0\0\0\020'; printf "\\$(printf %o $((12 + n)))"
        printf '\0\004MQTT\004\002\0\074\0'; printf "\\$(printf %o "$n")"; printf %s "$id"; } >"$T/ws.connect.$id"; cat "$T/ws.connect.$id" # in one write
        wait_for 15 test -e "$3"
    } | { timeout 20 openssl s_client -connect "127.0.0.1:$WS" -CAfile "$PKI/bundle.pem" -cert "$PKI/$1.pem" -key "$PKI/$1.key" -quiet >"$T/ws.$id" 2>/dev/null; : >"$3"; }
}
ws_said() { tail -c 4 "$T/ws.$1" | od -An -tx1 | grep -q "$2"; }
ws web other "$T/end.other" & OTHER=$!
logged "refused other from .*: name-mismatch" 10; ok $? "not under another client id" # the broker drops it with or without a word
ws_said other '20 02 00 00'; ok $((! $?)) "and no word lets it in"
ws web web "$T/end.web" & WEB=$!
wait_for 10 ws_said web '20 02 00 00'; ok $? "a device gets in by its certificate"
snap_new 1:30 ident:dev1 ident:web
wait_for 5 test -e "$T/end.web"; ok $? "and is cut when it is blocked"
logged "cut web: device-revoked"; ok $? "for that reason"
touch "$T/end.other" "$T/end.web"; wait $OTHER $WEB

# -- the bypass that lint is for
broker_stop
LISTENER_EXTRA="use_identity_as_username true" broker_conf </dev/null
broker_start
has "$(mq dev1)" "connack 0" "use_identity_as_username lets a revoked device in: the broker never asks the plugin"
has "$(mq dev1 dev1 sub=d/dev1/down/#)" "suback 128" "below it, the plugin denies all its topics"
logged "ALARM: dev1 .*never asked"; ok $? "and raises an alarm"
out=$(cradle broker lint "$T/mosquitto.conf"); is $? 7 "cradle broker lint exits with 7"
has "$out" "use_identity_as_username" "and names the line"
broker_stop

# -- staleness
SNAPMAKE_AGE_MS=20000 snap_new 1:30 ident:dev1
broker_conf <<END
plugin_opt_refuse_after 10
END
broker_start; ok $? "a stale snapshot does not keep the broker from starting"
has "$(mq dev2)" "connack 5" "but new logins are refused"
logged "refused dev2 from .*: stale"; ok $? "with the reason stale"
frame 1:30 1:30
wait_for 5 sh -c "mqttcli $PORT $PKI/bundle.pem $PKI/dev2.pem $PKI/dev2.key dev2 | grep -q 'connack 0'"; ok $? "a heartbeat makes it serve again"
broker_stop
sed 's/per_listener_settings false/per_listener_settings true/' "$T/mosquitto.conf" >"$T/m.conf"
{ sed -n '/^listener/,$p' "$T/m.conf"; } >"$T/listener"; sed '/^listener/,$d' "$T/m.conf" >"$T/global"
{ grep per_listener "$T/global"; cat "$T/listener"; grep -v per_listener "$T/global"; } >"$T/mosquitto.conf"
broker_start
v=$(mosquitto -h | sed -n 's/^mosquitto version //p')
if mq dev2 | grep -q "connack 0"; then # only a broker whose ticks come under per_listener_settings too may let anybody in
    frame 1:30 1:31 ident:dev2; wait_for 5 refused_now dev2; ok $? "per_listener_settings: $v ticks, and cuts"
else
    logged "refused dev2 from .*: unsupported"; ok $? "per_listener_settings: $v sends no ticks, so nobody gets in"
fi
broker_stop
grep -E "Sanitizer|runtime error" "$T/broker.log"; ok $((! $?)) "no finding of a sanitizer in the broker's log"
finish
