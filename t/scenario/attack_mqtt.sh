#!/bin/sh
# attack_mqtt.sh: a device with a good certificate against the topics, names and sessions of others, on a real Mosquitto; and somebody who
# can replace the snapshot's files. Stream and plugin at work: broker_plugin.sh.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
PORT=$(free_ports)
mkdir -p "$STATE"
pki_make
for d in dev1 dev2 dev3 DEV1; do device $d; done
device backend # a device that is called like the backend client
mv "$PKI/backend.pem" "$PKI/twin.pem"; mv "$PKI/backend.key" "$PKI/twin.key"
leaf backend infra v3_leaf
snapmake key "$T/stream.key" >"$T/stream.pub"
broker_conf </dev/null
snap_new 1:5 ident:dev3
broker_start; ok $? "the broker starts"
wait_for 10 sh -c "mqttcli $PORT $PKI/bundle.pem $PKI/dev1.pem $PKI/dev1.key dev1 | grep -q 'connack 0'"; ok $? "an honest device gets in"
mq backend backend sub=d/+/up/# hold=90 >"$T/backend.out" & own $!
wait_for 5 grep -q "suback 1" "$T/backend.out"; ok $? "the backend listens"

# -- topics to read
for f in '#' '+/#' 'd/#' 'd/+/#' '+/dev1/down/#' 'd/dev1/#' 'd/dev1/+/#' d/dev2/down/x 'd/dev2/#' '$SYS/#' '$SYS/broker/version' '$CONTROL/#' '$share/g/#' '$share/g/d/+/down/#' \
    '$share/g/d/dev2/down/#' '$share/g/$share/h/#' '$share//d/dev1/down/#' '$share/g' '$share/g/' '/d/dev1/down/#' 'd//dev1/down/#' 'd/DEV1/down/#' d/dev1/up/x; do
    has "$(mq dev1 dev1 sub="$f")" 'suback 128' "dev1 does not read $f"
done
has "$(mq dev1 dev1 sub='$share/g/d/dev1/down/#')" 'suback 1$' "a shared subscription to what is its own is its own"

# -- topics to write: a publication that came through would be before "last"
for f in d/dev2/up/x 'd/dev1/up/../../dev2/up/x' d/dev1/upx d/DEV1/up/x '$SYS/x' '$share/g/d/dev2/up/x' /d/dev2/up/x; do mq dev1 dev1 pub="$f" >/dev/null; done
for f in d/dev2/up/w d/DEV1/up/w '$SYS/w' d/dev2/down/w; do mq dev1 dev1 will="$f" drop >/dev/null; done
v5() { n=$1; shift; timeout 5 mosquitto_pub -V 5 -h localhost -p "$PORT" --cafile "$PKI/bundle.pem" --cert "$PKI/$n.pem" --key "$PKI/$n.key" -q 1 "$@" >/dev/null 2>&1; }
v5 dev1 -i dev1 -t d/dev2/up/alias -D PUBLISH topic-alias 1 --repeat 3 -m x
v5 dev1 -i dev1 -t d/dev2/up/retained -r -m x
v5 dev1 -i dev1 -t d/dev1/up/t --will-topic d/dev2/up/will5 --will-payload x -m x
v5 dev1 -i dev2 -t d/dev2/up/id -m x
v5 dev1 -i dev1 -u dev2 -P x -t d/dev2/up/user -m x
v5 twin -i backend -t d/dev2/down/x -m x
mq dev1 dev1 pub=d/dev1/up/last >/dev/null
wait_for 5 grep -q "msg d/dev1/up/last" "$T/backend.out"; ok $? "what is its own arrives"
is "$(grep '^msg ' "$T/backend.out" | grep -vE '^msg d/dev1/up/(\.\./\.\./dev2/up/x|t|last)( |$)')" "" "nothing else does: not by path, will, alias, retain, client id or user name"

# -- names
for id in dev2 DEV1 'dev1 ' dev1/ backend dev11 dev; do
    mq dev1 "$id" | grep -q 'connack 0'; ok $((! $?)) "dev1 is not '$id'"
done
has "$(mq dev3)" 'connack 5' "a revoked device is out"
mq dev3 dev1 | grep -q 'connack 0'; ok $((! $?)) "under another's name too"
has "$(mq DEV1 DEV1)" 'connack 0' "case makes another device"
has "$(mq twin backend)" 'connack 5' "a device that is called like the backend is refused, or it would take over its session"

# -- who can write in the snapshot's folder
cp "$STATE/revocation.snap" "$T/old.snap"; cp "$STATE/revocation.tail" "$T/old.tail" 2>/dev/null
frame 1:5 1:6 ident:dev2
wait_for 5 sh -c "mqttcli $PORT $PKI/bundle.pem $PKI/dev2.pem $PKI/dev2.key dev2 | grep -q 'connack 5'"; ok $? "dev2 is revoked by a frame"
cp "$T/old.snap" "$STATE/x"; mv "$STATE/x" "$STATE/revocation.snap"; if [ -f "$T/old.tail" ]; then cp "$T/old.tail" "$STATE/revocation.tail"; else : >"$STATE/revocation.tail"; fi
has "$(mq dev2)" 'connack 5' "the files of before do not bring it back"
: >"$STATE/revocation.snap"
has "$(mq dev2)" 'connack 5' "nor does an empty snapshot"
rm -f "$STATE/revocation.snap" "$STATE/revocation.tail"
has "$(mq dev2)" 'connack 5' "nor none at all"
snapmake key "$T/other.key" >"$T/other.pub"
snapmake snapshot "$T/other.key" "$STATE" 1:99
has "$(mq dev2)" 'connack 5' "nor a snapshot of another site"
logged ALARM; ok $? "and the broker raises an alarm"
kill -0 "$BROKER"; ok $? "the broker lives"
finish
