#!/bin/sh
# presence.sh: who is connected and what was counted, on real parts: TLS version and cipher, 3000 logins of which most come while the edge is
# dead, a broker that ends, limits of logins, refusals in evidence and counters.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$B/bench:$PATH"
need curl curl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
. t/fleet.sh
PORT=$((BASE + 5))
FLEET=$T/fleet
N=250
mkdir -p "$FLEET"
broker_of() { cradle status --json | jq -r ".edges[] | select(.name == \"edge-1\") | .broker[\"$1\"] // 0"; }
counted() { [ "$(broker_of "$1")" = "$2" ]; }
metric() { cradle metrics | grep -qxF "$1"; }
online() { cradle device list --line l1 --limit 1000 --json | jq '[.items[]? // .[]? | select(.presence.online)] | length'; }
online_is() { [ "$(online)" = "$1" ]; }
shown() { cradle device show "$1" >"$T/show"; grep -qE "$2" "$T/show"; }
events() { cradle event list --kind "$1" --limit 1000 --json 2>/dev/null; }
churn() { mqttchurn "$PORT" "$PKI/bundle.pem" "$FLEET" "$@"; }
logins_of() { sed -n 's/^logins \([0-9]*\) refused 0 failed 0 .*/\1/p' "$1"; }

cradle line add l1 >/dev/null && cradle model add bench --line l1 >/dev/null && cradle station add st --out "$T/st" >/dev/null
cradle edge add edge-1 --out "$T/edge" >/dev/null; ok $? "a line, a model, a station, an edge"
est_load "$HTTPS/api/v1/devices" "$PKI/bundle.pem" "$SITE/operators/admin.pem" "$SITE/operators/admin.key" d $N 4 >/dev/null &&
    est_load "$EST/simpleenroll" "$PKI/bundle.pem" "$T/st/st.pem" "$T/st/st.key" d $N 4 "$FLEET" >/dev/null
ok $? "$N devices with certificates"
for i in 0 1; do cp "$FLEET/d-$i.pem" "$PKI/d-$i.pem"; cp "$FLEET/d-$i.pem" "$PKI/d-$i.key"; done
rm "$FLEET/d-0.pem" # it stays connected
edge_start
wait_for 10 test -s "$T/edge/state/revocation.snap"; ok $? "the edge has a snapshot"
cradle broker config --out "$T/broker" --edge-dir "$T/edge/state" --port $PORT --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null
sed 's/^log_type.*//' "$T/broker/mosquitto.conf" >"$T/mosquitto.conf"
broker_up; ok $? "the broker starts"

# -- one device: where, over what
mq d-0 d-0 tls12 hold=120 >"$T/d-0.out" & LIVE=$!; own $LIVE
wait_for 10 grep -q "connack 0" "$T/d-0.out"
wait_for 15 shown d-0 "connected to.* edge-1 .*from 127.0.0.1 since"; ok $? "cradle device show says where a device is connected"
shown d-0 "^TLS +TLSv1.2 ECDHE-"; ok $? "and over which TLS version and cipher"
mq d-1 d-1 tls13 save="$T/sess13" >/dev/null
wait_for 15 shown d-1 "was connected to edge-1"; ok $? "one that has left was connected"
shown d-1 "^TLS +TLSv1.3 TLS_[A-Z0-9_]+$"; ok $? "over TLS 1.3"
mq d-1 d-1 tls13 resume="$T/sess13" | grep -q "resumed=1"; ok $? "it comes back on its TLS session"
wait_for 15 shown d-1 "^TLS +TLSv1.3 .*, resumed"; ok $? "which is told"
has "$(events presence | tr '}' '\n' | grep d-0)" 'TLSv1.2' "the evidence of its new place names it too"

# -- counters are exact
churn 400 >"$T/churn" && is "$(logins_of "$T/churn")" 400 "400 logins"
wait_for 20 counted connects 403; ok $? "are 403 in cradled, with the three before"
wait_for 10 counted disconnects 402; ok $? "and 402 that ended"
is "$(broker_of online)" 1 "one is open"
metric 'cradle_broker_connects_total{edge="edge-1"} 403'; ok $? "the metrics say the same"
metric 'cradle_broker_resumed_total{edge="edge-1"} 1'; ok $? "one TLS session was resumed"

# -- the edge is dead while most of them come
kill -9 $EDGE; wait $EDGE 2>/dev/null
mqttchurn "$PORT" "$PKI/bundle.pem" "$FLEET" 2560 stay=40 drop >"$T/churn" & own $! # not in a function: its process is the one to end
wait_for 90 grep -q "staying 40" "$T/churn"; is "$(logins_of "$T/churn")" 2560 "2560 logins while the edge is dead, and 40 that stay"
is "$(broker_of connects)" 403 "cradled knows nothing of them"
edge_start
wait_for 30 counted connects 3003; ok $? "with the edge back every one of them is counted"
wait_for 10 counted disconnects 2962; ok $? "and every end"
is "$(broker_of online)" 41 "41 are open"
wait_for 20 online_is 41; ok $? "exactly those are online in the register ($(online))"
mq d-0 d-0 hold=60 >"$T/d-0b.out" & own $!
wait_for 15 counted takeovers 1; ok $? "a displaced session is counted"
is "$(broker_of online)" 41 "as one that has ended"
online_is 41; ok $? "while its identity stays online"
has "$(cradle status)" "41 connected; since the beginning 3004 logins, 0 refused" "cradle status says it"

# -- the broker ends
broker_stop
wait_for 20 online_is 0; ok $? "a broker that ends takes its sessions along"
is "$(broker_of online) $(broker_of connects)" "0 3004" "none open, the totals stay"
broker_up
mq d-0 d-0 hold=60 >"$T/d-0.out" & LIVE=$!; own $LIVE
wait_for 10 grep -q "connack 0" "$T/d-0.out"
wait_for 20 counted connects 3005; ok $? "a new run of the broker counts on"
wait_for 10 online_is 1; ok $? "and its first device is online"
broker_stop

# -- limits and refusals
sed -i '/^listener/i plugin_opt_login_rate_identity 1\nplugin_opt_login_burst_identity 4' "$T/mosquitto.conf"
broker_up
mq d-1 d-1 hold=60 >"$T/d-1.out" & own $!
wait_for 10 grep -q "connack 0" "$T/d-1.out"
i=0; while [ $i -lt 3 ]; do mq d-1 d-1 >"$T/again"; i=$((i + 1)); done
has "$(cat "$T/again")" "connack 0" "four logins are allowed"
mq d-1 d-1 hold=60 >"$T/stays.out" & own $!
has "$(mq d-0)" "connack 0" "another device has a limit of its own"
wait_for 10 grep -q "connack 5" "$T/stays.out"; ok $? "the fifth is refused"
i=0; while [ $i -lt 20 ]; do mq d-1 >/dev/null; i=$((i + 1)); done
logged "refused d-1 from .*: rate-limited"; ok $? "with the reason in the broker's log"
is "$(grep -c 'rate-limited' "$T/broker.log")" 1 "once in ten seconds, not 21 times"
wait_for 15 counted refused.rate-limited 21; ok $? "the counter has all 21"
cradle device suspend d-0 >/dev/null
wait_for 10 refused_at d-0; ok $? "a suspended device is refused"
wait_for 15 sh -c "cradle event list --kind refused --json | grep -q 'rate-limited'"; ok $? "who was limited is in the evidence"
is "$(events refused | jq '[.items[]? // .[]? | select(.payload.reason == "rate-limited" or .reason == "rate-limited")] | length')" 1 "once so far: repeats follow with a count"
broker_stop
wait_for 15 sh -c "cradle event list --kind refused --json | tr '}' '\n' | grep 'rate-limited' | grep -q '\"count\": *20'"; ok $? "which the end of the broker brings"
grep -E "Sanitizer|runtime error" "$T/broker.log" "$T/edge.log"; ok $((! $?)) "no finding of a sanitizer"
finish
