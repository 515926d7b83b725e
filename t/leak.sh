#!/bin/sh
# leak.sh: does the broker with the plugin keep anything of sessions that have ended? LOGINS short sessions over mutual TLS (default 100000, some
# minutes of both cores) on the release build, whose memory must stay flat; SANITIZED more (default: a fifth of them) with AddressSanitizer, in
# which LeakSanitizer must find nothing of ours at the end (its own books grow, so its memory says nothing). ./check runs it short: t/scenario/leak.sh.
# usage: t/leak.sh [LOGINS [SANITIZED]]      needs both builds: make all; make VARIANT=asan tests
cd "$(dirname "$0")/.." || exit 1
LOGINS=${1:-100000}
SANITIZED=${2:-$((LOGINS / 5))}
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
PORT=$(free_ports)
FLEET=$T/fleet
GROWTH_KB=1024 # of all memory, after the tables of fixed size have been touched
RELEASE=$PWD/build/release/cradle_mosquitto.so
case $B in */asan) ;; *) ok 1 "the plugin is built with AddressSanitizer (make VARIANT=asan tests)"; finish ;; esac
[ -f "$RELEASE" ] || { ok 1 "the plugin is built for release (make all)"; finish; }
mkdir -p "$STATE" "$T/edge" "$FLEET"
pki_make
leaf edge infra v3_leaf
n=$(((LOGINS > SANITIZED ? LOGINS : SANITIZED) / 40 + 50)) # each identity stays below its limit of logins
mqttchurn make "$PKI/device.pem" "$PKI/device.key" "$FLEET" lineA dev $n; ok $? "$n identities"
snapmake key "$T/stream.key" >"$T/stream.pub"
snap_new 1:5
rss_kb() { sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$BROKER/status"; }
churn() { # LOGINS WHEN [option …]: every one of them must be let in
    count=$1 when=$2; shift 2
    mqttchurn "$PORT" "$PKI/bundle.pem" "$FLEET" "$count" "$@" >"$T/churn.out"
    grep -q "^logins $count refused 0 failed 0 " "$T/churn.out"; ok $? "$count logins $when"
    sed 's/^/# /' "$T/churn.out"
}

# An edge takes the reports; no cradled, so its small spool overflows, and sessions are told again and again.
cat >"$T/edge.conf" <<END
urls = https://127.0.0.1:1
ca = $PKI/bundle.pem
cert = $PKI/edge.pem
key = $PKI/edge.key
stream_pub = $T/stream.pub
state_dir = $T/edge
spool_max = 262144
END
edge_start() { cradle-edge -c "$T/edge.conf" 2>>"$T/edge.log" & EDGE=$!; own $EDGE; wait_for 10 test -S "$T/edge/report.sock"; }
edge_kill() { kill -9 $EDGE; wait $EDGE 2>/dev/null; rm -f "$T/edge/report.sock"; }
broker_of() { # PLUGIN PRELOAD
    printf 'plugin_opt_report_socket %s/edge/report.sock\nplugin_opt_refuse_after 30d\n' "$T" | broker_conf
    sed -i -e '/^log_type/d' -e "s|^plugin .*|plugin $1|" "$T/mosquitto.conf"; echo "log_type error" >>"$T/mosquitto.conf"
    LD_PRELOAD=$2 ASAN_OPTIONS=detect_leaks=1:exitcode=0 mosquitto -c "$T/mosquitto.conf" >>"$T/broker.log" 2>&1 & BROKER=$!
    own $BROKER
    wait_for 10 sh -c "ss -Hltn | grep -q '127.0.0.1:$PORT '"
}

edge_start; ok $? "an edge takes reports"
broker_of "$RELEASE" ""; ok $? "the broker starts, with the plugin as it is delivered"
edge_kill
churn $((LOGINS / 10)) "while the edge is away, which fill the outbox" drop
edge_start
churn $((LOGINS / 5)) "with the edge back" drop
sleep 1; before=$(rss_kb)
churn $((LOGINS / 2)) "more" drop
edge_kill
churn $((LOGINS / 10)) "while the edge is away again" drop
edge_start
churn $((LOGINS / 10)) "with the edge back" drop
sleep 1; after=$(rss_kb)
echo "# resident: $before kB after $((LOGINS * 3 / 10)) logins, $after kB after $LOGINS"
[ $((after - before)) -lt $GROWTH_KB ]; ok $? "memory is flat: $((after - before)) kB in $((LOGINS * 7 / 10)) logins"
kill $BROKER; wait $BROKER; ok $? "the broker ends"

broker_of "$B/cradle_mosquitto.so" "$PRELOAD"; ok $? "it starts with AddressSanitizer"
churn $((SANITIZED / 2)) "over TLS 1.3" drop
edge_kill
churn $((SANITIZED / 4)) "over TLS 1.2, while the edge is away" tls12
edge_start
churn $((SANITIZED / 4)) "with the edge back" drop
kill $BROKER; wait $BROKER; ok $? "the broker ends"
grep -E "runtime error|ERROR: AddressSanitizer" "$T/broker.log"; ok $((! $?)) "no finding of a sanitizer"
# Mosquitto may leak; the plugin may not. It is unloaded when the leaks are counted, so frames of it have no module.
awk '/^(Direct|Indirect) leak/ { head = $0; mine = 0 } /cradle_mosquitto|unknown module/ { if (!mine) { mine = 1; print head } }' "$T/broker.log" >"$T/ours"
grep "SUMMARY: AddressSanitizer" "$T/broker.log" | sed 's/^/# all of the process: /'
is "$(cat "$T/ours")" "" "LeakSanitizer finds nothing of the plugin's"
kill $EDGE; wait $EDGE; ok $? "the edge ends"
grep -E "runtime error|Sanitizer" "$T/edge.log"; ok $((! $?)) "nor of the edge's"
finish
