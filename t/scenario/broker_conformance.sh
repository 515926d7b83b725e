#!/bin/sh
# broker_conformance.sh: for honest clients Mosquitto behaves the same with and without the plugin. The same cases, by mqtt.js (t/npm) and by
# mosquitto_pub, mosquitto_sub and mosquitto_rr, go to a broker with the plugin and to one without; what was seen must be the same, line by line.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
need node nodejs
[ -d t/npm/node_modules/mqtt ]; ok $? "mqtt.js is installed (tools/packages.sh test)"
PATH="$B/t:$PATH"
LANES=6
PORT=$(free_ports)
mkdir -p "$STATE"
pki_make
for n in $(seq $LANES); do for x in a b c; do device "lane$n-$x"; done; done
for d in pub sub res; do device $d; done
snapmake key "$T/stream.key" >"$T/stream.pub"
printf 'cradle-policy 1\nline lineA alarm\n w d/%%u/#\n w all/#\n r $SYS/broker/version\n r all/#\n r d/%%u/#\n q d/%%u/repair/#\n' >"$POLICY"
snap_new 1:1
with=$PORT without=$((PORT + 2))

# -- two brokers, the same options: everybody has all/#, d/NAME/# and may read $SYS/broker/version
listeners() { # PORT EXTRA-LINE
    for p in "$1" "$(($1 + 1))"; do
        echo "listener $p 127.0.0.1"
        [ "$p" = "$1" ] || echo "protocol websockets"
        printf 'cafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate true\n' "$PKI/bundle.pem" "$PKI/localhost.pem" "$PKI/localhost.key"
        [ -z "$2" ] || echo "$2"
    done
}
common() { # NAME
    mkdir -p "$T/$1"
    printf 'per_listener_settings false\nallow_anonymous false\nuser %s\nlog_dest stderr\nlog_type all\n' "$(id -un)"
    printf 'persistence true\npersistence_location %s/\nautosave_interval 0\nsys_interval 1\n' "$T/$1"
}
cat >"$T/acl" <<END
pattern readwrite d/%u/#
pattern readwrite all/#
pattern read \$SYS/broker/version
END
{
    common with
    cat <<END
plugin $B/cradle_mosquitto.so
plugin_opt_snapshot_dir $STATE
plugin_opt_stream_pub $T/stream.pub
plugin_opt_device_ca $PKI/device.pem
plugin_opt_refuse_after 1h
END
    listeners $with ""
} >"$T/with.conf"
{ common without; echo "acl_file $T/acl"; listeners $without "use_identity_as_username true"; } >"$T/without.conf"
chmod 700 "$T/with" "$T/without"; chmod 600 "$T/acl"
up() { # NAME PORT: sets UP
    LD_PRELOAD=$PRELOAD ASAN_OPTIONS=detect_leaks=0:exitcode=99 mosquitto -c "$T/$1.conf" >>"$T/$1.log" 2>&1 & UP=$!
    own $UP
    wait_for 10 sh -c "ss -Hltn | grep -q ':$(($2 + 1)) '"
}
up with $with; ok $? "mosquitto with the plugin"; with_pid=$UP
up without $without; ok $? "mosquitto without it"; without_pid=$UP

# -- mosquitto_pub, mosquitto_sub, mosquitto_rr against port $P; lines as of conformance.js
LIMIT="stdbuf -oL timeout 20"
as() { # COMMAND NAME OPTIONS…
    c=$1 n=$2; shift 2
    $LIMIT "$c" -h localhost -p "$P" --cafile "$PKI/bundle.pem" --cert "$PKI/$n.pem" --key "$PKI/$n.key" -i "$n" "$@"
}
listen() { # FILE OPTIONS…: mosquitto_sub in the background, subscribed when this returns
    out=$1; shift
    (LIMIT="exec stdbuf -oL"; as mosquitto_sub sub -d "$@") >"$out.d" 2>&1 & LISTEN=$!
    wait_for 10 grep -q 'received SUBACK' "$out.d"
}
lines() { grep -vE '^Client |^Subscribed ' "$1.d"; } # without those of -d
has_lines() { [ "$(lines "$1" | wc -l)" -ge "$2" ]; }
heard() { # FILE N WORD: ends it when it has printed N lines; shows them, WORD before each
    wait_for 60 has_lines "$1" "$2"; sleep 0.1
    kill "$LISTEN"; { wait "$LISTEN"; } 2>/dev/null
    lines "$1" | sed "s|^|$3: |"
}
head -c 1048576 /dev/zero | tr "\0" x >"$T/big"
clients() {
    o=$T/cli.$P
    for v in mqttv31 mqttv311 mqttv5; do
        for q in 0 1 2; do
            listen "$o" -V $v -q 2 -t 'all/cli/#' -v
            seq 5 | as mosquitto_pub pub -V $v -q $q -t "all/cli/$v" -l
            heard "$o" 5 "mosquitto_pub -V $v -q $q -l"
        done
    done
    as mosquitto_pub pub -r -q 1 -t all/cli/ret -m kept
    as mosquitto_sub sub -t 'all/cli/ret' -C 1 -F '%t %p retain=%r qos=%q' | sed 's/^/mosquitto_pub -r: /'
    as mosquitto_sub sub -t 'all/cli/ret' --retained-only -v | sed 's/^/--retained-only: /'
    as mosquitto_sub sub -t 'all/cli/ret' --remove-retained -W 1 -v 2>&1 | sed 's/^/--remove-retained: /'
    as mosquitto_sub sub -t 'all/cli/ret' -W 1 -v 2>/dev/null; echo "removed: ends with $?"
    as mosquitto_sub sub -c -q 1 -t all/cli/away -E
    for q in 0 1 2; do as mosquitto_pub pub -q $q -t all/cli/away -m "while away $q"; done
    as mosquitto_sub sub -c -q 1 -t all/cli/away -C 2 | sed 's/^/mosquitto_sub -c: /'
    as mosquitto_sub sub -V mqttv5 -x 0 -t all/cli/away -E; echo "session given up: $?"
    listen "$o" -q 1 -t all/cli/big
    as mosquitto_pub pub -q 1 -t all/cli/big -f "$T/big"
    heard "$o" 1 x | sha256sum | sed 's|^|a file of 1 MiB: |'
    listen "$o" -V mqttv5 -q 1 -t all/cli/prop -F '%t %p %C %R %D %P'
    as mosquitto_pub pub -V mqttv5 -q 1 -t all/cli/prop -m x -D publish content-type text/plain -D publish response-topic all/r -D publish correlation-data 42 -D publish user-property k v
    heard "$o" 1 "properties"
    listen "$o" -q 1 -t all/cli/will -v
    (LIMIT="exec stdbuf -oL"; as mosquitto_sub pub -t all/cli/none --will-topic all/cli/will --will-payload gone --will-qos 1 -d >"$o.w" 2>&1) & W=$!
    wait_for 10 grep -q 'received SUBACK' "$o.w"
    kill -9 $W; { wait $W; } 2>/dev/null
    heard "$o" 1 "a will"
    as mosquitto_sub res -V mqttv5 -t all/cli/ask -C 1 -d >"$o.r" 2>&1 & R=$!
    wait_for 10 grep -q 'received SUBACK' "$o.r"
    as mosquitto_rr pub -V mqttv5 -t all/cli/ask -e all/cli/answer -m ask >"$o.rr" 2>&1 & RR=$!
    wait $R; as mosquitto_pub res -t all/cli/answer -m "an answer"
    wait $RR; echo "mosquitto_rr: $(cat "$o.rr"), ends with $?"
    as mosquitto_pub pub -q 1 -t d/pub/x -m own; echo "own topic: $?"
    as mosquitto_pub pub -V mqttv5 -q 1 -t d/sub/x -m foreign 2>&1 | sed 's/^/a topic of another: /'
    as mosquitto_sub sub -t "\$SYS/broker/version" -C 1 | sed 's/^/SYS: /'
    # stays: for the restart
    as mosquitto_sub res -c -q 1 -t 'all/cli/restart/#' -E
    as mosquitto_pub pub -q 1 -t all/cli/restart/queued -m queued
    as mosquitto_pub pub -q 1 -r -t all/cli/kept -m retained
}
run() { # NAME PORT
    P=$2
    node t/npm/conformance.js "$P" $((P + 1)) "$PKI" $LANES >"$T/$1.js" 2>"$T/$1.err" & J=$!
    clients >"$T/$1.cli" 2>&1
    wait $J; echo "conformance.js: ends with $?" >>"$T/$1.js"
}
run with $with & A=$!; own $A
run without $without & own $!; A="$A $!"
wait $A

# -- a reload: live sessions and waiting ones stay
reloaded() { # NAME PORT PID
    P=$2
    { listen "$T/hup.$1" -q 1 -t all/cli/hup
    as mosquitto_pub pub -q 1 -t all/cli/hup -m before
    kill -HUP "$3"; wait_for 5 grep -q 'Reloading config' "$T/$1.log"
    as mosquitto_pub pub -q 1 -t all/cli/hup -m after
    heard "$T/hup.$1" 2 "SIGHUP"; } >>"$T/$1.cli"
}
reloaded with $with $with_pid; reloaded without $without $without_pid
# -- a restart: what persistence keeps is there
restarted() { # NAME PORT PID
    kill "$3"; wait "$3"
    up "$1" "$2"; P=$2
    { as mosquitto_sub res -c -q 1 -t 'all/cli/restart/#' -C 1 -v
    as mosquitto_sub sub -t all/cli/kept -C 1 -F '%t %p retain=%r'; } 2>&1 | sed 's/^/restart: /' >>"$T/$1.cli"
}
restarted with $with $with_pid; restarted without $without $without_pid

# -- the same?
sort -o "$T/with.cli" -s -t: -k1,1 "$T/with.cli"; sort -o "$T/without.cli" -s -t: -k1,1 "$T/without.cli"
for k in js cli; do
    sed 's/: .*//' "$T/without.$k" | uniq >"$T/cases"
    while read -r name; do
        of() { grep -F -- "$name: " "$T/$1.$k"; }
        is "$(of with)" "$(of without)" "$k: $name"
    done <"$T/cases"
    is "$(sed 's/: .*//' "$T/with.$k" | uniq)" "$(cat "$T/cases")" "$k: the same cases ran"
done
# and what the command-line clients saw is what MQTT says
{
    for v in mqttv31 mqttv311 mqttv5; do for q in 0 1 2; do seq -f "mosquitto_pub -V $v -q $q -l: all/cli/$v %g" 5; done; done
    cat <<END
mosquitto_pub -r: all/cli/ret kept retain=1 qos=0
--retained-only: all/cli/ret kept
removed: ends with 27
mosquitto_sub -c: while away 1
mosquitto_sub -c: while away 2
session given up: 0
a file of 1 MiB: $({ printf 'x: '; cat "$T/big"; echo; } | sha256sum)
properties: all/cli/prop x text/plain all/r 42 k:v
a will: all/cli/will gone
mosquitto_rr: an answer, ends with 0
own topic: 0
SIGHUP: before
SIGHUP: after
restart: all/cli/restart/queued queued
restart: all/cli/kept retained retain=1
END
} | grep -vxFf "$T/without.cli" >"$T/missing"
is "$(cat "$T/missing")" "" "cli: what was seen is what MQTT says"
! grep -h ': WRONG' "$T/with.js" "$T/without.js"; ok $? "js: what was seen is what MQTT says"
is "$(cat "$T/with.err" "$T/without.err")" "" "conformance.js complains of nothing"
! grep -E "Sanitizer|runtime error" "$T/with.log"; ok $? "no finding of a sanitizer in the broker's log"
! grep "ALARM: " "$T/with.log"; ok $? "and no alarm about who bypasses the plugin"
finish
