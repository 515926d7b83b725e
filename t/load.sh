# load.sh: a site with a fleet: devices with keys and certificates of their own in $T/fleet, edges, brokers and the load client
# (bench/mqttload.c). Source after lib.sh. What is started may be given a command in front, like `ip netns exec NAME`.
. t/fault.sh
. t/broker.sh
BB=$B/bench
ulimit -n "$(ulimit -Hn)"

fleet_site() { # [options of cradle init]: a running site with line pump, model bench and station st, where nothing is limited by address
    site_init "$@" || return 1
    set_key requests_per_second 1000000
    set_key connections_per_address 65535
    set_key restart_limit 1000
    set_key mass_revoke_confirm 1000000 # one operator revokes many, without a job
    site_start && fleet_station
}
fleet_station() {
    cradle line add pump >/dev/null && cradle model add bench --line pump >/dev/null && cradle station add st --out "$T/st" >/dev/null
}
# fleet_make PREFIX COUNT [COMMAND …]: registers and enrolls PREFIX-0 … and keeps PREFIX-N.pem in $T/fleet
fleet_make() {
    prefix=$1 count=$2; shift 2
    mkdir -p "$T/fleet"
    "$@" "$BB/est_load" "$HTTPS/api/v1/devices" "$SITE/ca/bundle.pem" "$SITE/operators/admin.pem" "$SITE/operators/admin.key" "$prefix" "$count" 16 >"$T/register.json" &&
        "$@" "$BB/est_load" "$HTTPS/.well-known/est/simpleenroll" "$SITE/ca/bundle.pem" "$T/st/st.pem" "$T/st/st.key" "$prefix" "$count" 16 "$T/fleet" >"$T/enroll.json"
}
edge_make() { # NAME [edge.conf line …]
    name=$1; shift
    cradle edge add "$name" --out "$T/$name" >/dev/null || return 1
    for l in "report_group = $(id -gn)" "$@"; do echo "$l" >>"$T/$name/edge.conf"; done
}
edge_start() { # NAME [COMMAND …]: its pid in EDGE
    name=$1; shift
    "$@" "$B/cradle-edge" -c "$T/$name/edge.conf" 2>>"$T/$name.log" &
    EDGE=$!; own $EDGE
}
edge_ready() { wait_for 10 test -s "$T/$1/state/revocation.snap"; }
edge_fresh() { cradle-edge -s -c "$T/$1/edge.conf" >"$T/$1.status" 2>&1; }
# fleet_broker NAME EDGE PORT [mosquitto.conf line …]: makes the configuration $T/NAME/mosquitto.conf
fleet_broker() {
    name=$1 edge=$2 port=$3; shift 3
    cradle broker config --out "$T/$name" --edge-dir "$T/$edge/state" --port "$port" --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null || return 1
    sed -i '/^log_type/d; s/^connection_messages.*/connection_messages false/' "$T/$name/mosquitto.conf"
    for l in "log_type error" "log_type warning" "log_type notice"; do echo "$l" >>"$T/$name/mosquitto.conf"; done
    for l; do sed -i "/^plugin_opt_${l%% *} /d; s|^plugin .*|&\nplugin_opt_$l|" "$T/$name/mosquitto.conf"; done
}
fleet_broker_start() { # NAME [COMMAND …]: its pid in BROKER
    name=$1; shift
    "$@" env LD_PRELOAD="$PRELOAD" ASAN_OPTIONS=detect_leaks=0:exitcode=99 mosquitto -c "$T/$name/mosquitto.conf" >>"$T/$name.log" 2>&1 &
    BROKER=$!; own $BROKER
    wait_for 10 broker_listens "$T/$name/mosquitto.conf" "$@"
}
broker_listens() { conf=$1; shift; "$@" ss -Hltn "sport = :$(sed -n 's/^listener \([0-9]*\).*/\1/p' "$conf")" | grep -q .; }
# load_start NAME PORT "OPTIONS" [COMMAND …]: a load client; its pid in LOAD, its log in $T/NAME.load, its status in $T/NAME.json
load_start() {
    name=$1 port=$2 opts=$3; shift 3
    "$@" "$BB/mqttload" $opts localhost "$port" "$SITE/ca/bundle.pem" "$T/fleet" "$T/$name.load" "$T/$name.json" 2>>"$T/$name.err" &
    LOAD=$!; own $LOAD
}
load_get() { jq -r ".$2" "$T/$1.json" 2>/dev/null || echo 0; } # NAME FIELD
load_live() { [ "$(load_get "$1" live)" = "$2" ]; } # NAME COUNT
revoke_all() { "$BB/revoke_load" $1 "$SITE" "$HTTPS" "$2"; } # "OPTIONS" CONNECTIONS, UIDs on stdin
# cut_times REVOKED LOAD: REVOKED is what revoke_all printed, LOAD a load client's log. For each device that was revoked: ms from the durable
# answer to the end of its live session (below 0: it ended first), or "open" when it was live and stayed so. A line: UID MS
cut_times() {
    awk 'NR == FNR { if ($4 == "ok") { sent[$1] = $2; at[$1] = $3 }; next }
        !($3 in at) { next }
        $2 == "up" { live[$3] = 1; if ($1 <= at[$3]) delete cut[$3] }
        $2 == "down" { live[$3] = 0; if ($1 >= sent[$3] && !($3 in cut)) cut[$3] = ($1 - at[$3]) / 1000 }
        END { for (u in at) if (live[u]) print u, "open"; else if (u in cut) print u, cut[u] }' "$1" "$2"
}
# let_in_late REVOKED LOAD MS: devices that were let in later than MS after their revocation was durable
let_in_late() { awk -v ms="$3" 'NR == FNR { if ($4 == "ok") at[$1] = $3; next } $2 == "up" && $3 in at && $1 > at[$3] + ms * 1000 { print $3, ($1 - at[$3]) / 1000 }' "$1" "$2"; }
percentile() { sort -g | awk -v p="$1" '{ v[NR] = $1 } END { i = int(NR * p / 100); print v[i < NR ? i + 1 : NR] }'; } # P, numbers on stdin
# presence EDGE: how many identities are online there, as cradled has it
presence() { sqlite3 -readonly "$SITE/db/cradle.db" "SELECT count(*) FROM presence WHERE online = 1 AND host = '$1'"; }
presence_is() { [ "$(presence "$1")" = "$2" ]; }
