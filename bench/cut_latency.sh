#!/bin/sh
# cut_latency.sh: revoke to closed MQTT socket with 1, 1 000 and 5 000 other live mTLS sessions: a site, cradled, cradle-edge and Mosquitto of its
# own on free ports. usage: bench/cut_latency.sh [SESSIONS …]   prints two lines of JSON for each: 100
# revocations one after the other, then 500 by one request.
cd "$(dirname "$0")/.." || exit 1
CRADLE_BUILD=${CRADLE_BUILD:-$PWD/build/release}
. t/lib.sh
ulimit -n "$(ulimit -Hn)"
say() { echo "cut_latency: $*" >&2; exit 1; }
site_init >/dev/null || say "cradle init failed"
echo "mass_revoke_confirm = 1000000" >>"$SITE/cradled.conf"
site_start || say "cradled does not start"
cradle line add bench >/dev/null && cradle model add bench --line bench >/dev/null || say "no line" # the broker starts with its topics
cradle edge add edge-1 --out "$T/edge" >/dev/null || say "no edge"
echo "report_group = $(id -gn)" >>"$T/edge/edge.conf"
cradle-edge -c "$T/edge/edge.conf" 2>"$T/edge.log" & own $!
wait_for 10 test -s "$T/edge/state/revocation.snap" || { cat "$T/edge.log" >&2; say "the edge gets no snapshot"; }
PORT=$((BASE + 5))
cradle broker config --out "$T/broker" --edge-dir "$T/edge/state" --port $PORT --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null
sed -i '/^log_type/d; s/^connection_messages.*/connection_messages false/' "$T/broker/mosquitto.conf"
echo "log_type error" >>"$T/broker/mosquitto.conf"
mosquitto -c "$T/broker/mosquitto.conf" 2>"$T/broker.log" & BROKER=$!; own $BROKER
wait_for 10 sh -c "ss -Hltn 'sport = :$PORT' | grep -q ." || say "mosquitto does not start"
for n in ${*:-1 1000 5000}; do
    "$B/bench/cut_latency" "$SITE" "$HTTPS" $PORT "$n" 100 $BROKER || say "failed with $n sessions"
    "$B/bench/cut_latency" "$SITE" "$HTTPS" $PORT "$n" 500 $BROKER at-once || say "failed with $n sessions at once"
done
