#!/bin/sh
# memory.sh: memory of idle connections: MQTT over mTLS with and without the plugin, HTTPS with a client certificate beside bare nginx.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=memory
N=$(few 2000 300)
station_site
cradle edge add edge-1 --out "$T/edge" >/dev/null || die "no edge"
echo "report_group = $(id -gn)" >>"$T/edge/edge.conf"
cradle-edge -c "$T/edge/edge.conf" 2>"$T/edge.log" & own $!
wait_for 10 test -s "$T/edge/state/revocation.snap" || die "the edge gets no snapshot"
cradle broker config --out "$T/broker" --edge-dir "$T/edge/state" --port $((BASE + 5)) --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null
sed -i '/^log_type/d; s/^connection_messages.*/connection_messages false/' "$T/broker/mosquitto.conf"
echo "log_type error" >>"$T/broker/mosquitto.conf"
stock_conf $((BASE + 6)) >"$T/stock.conf"
mkdir -p "$T/ng/www"; echo ok >"$T/ng/www/healthz"
temps=; for t in client_body proxy fastcgi uwsgi scgi; do temps="$temps ${t}_temp_path $T/ng/$t;"; done
cat >"$T/ng/nginx.conf" <<END
daemon off; worker_processes 2; pid $T/ng/pid; error_log stderr error; events { worker_connections 16384; }
http { access_log off; keepalive_timeout 75s; $temps
  server { listen 127.0.0.1:$((BASE + 7)) ssl; ssl_certificate $SITE/tls/server.pem; ssl_certificate_key $SITE/tls/server.key;
    ssl_client_certificate $SITE/ca/bundle.pem; ssl_verify_client optional; ssl_verify_depth 2; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets off; ssl_session_cache off; location / { root $T/ng/www; } } }
END
listening() { wait_for 10 sh -c "ss -Hltn 'sport = :$1' | grep -q ."; }
broker() { # CONF PORT SAMPLE
    mosquitto -c "$1" 2>"$T/broker.log" & pid=$!; own $pid
    listening "$2" || die "mosquitto does not start"
    j=$("$BB/cut_latency" "$SITE" "$HTTPS" "$2" "$N" 0 $pid) || die "sessions"
    sampled "$3" broker_kib_per_session "$j"
    kill $pid; wait $pid
}
hold() { port=$1; shift; "$BB/https_hold" "$port" "$SITE/ca/bundle.pem" "$SITE/operators/admin.pem" "$SITE/operators/admin.key" /healthz "$N" "$@" || die "connections"; }
for i in $(rounds 3); do
    broker "$T/broker/mosquitto.conf" $((BASE + 5)) plugin
    broker "$T/stock.conf" $((BASE + 6)) stock
    [ "$i" = 1 ] || { site_stop; site_start || die "cradled does not start again"; }
    sampled https kib_per_connection "$(hold "$BASE" $(nginx_workers) $(roles front) $(roles core))"
    nginx -e stderr -p "$T/ng" -c "$T/ng/nginx.conf" 2>"$T/nginx.log" & pid=$!; own $pid
    listening $((BASE + 7)) || die "nginx does not start"
    sampled bare kib_per_connection "$(hold $((BASE + 7)) $(pgrep -P $pid))"
    kill $pid; wait $pid
done
row "idle MQTT session over mTLS, broker with plugin" KiB plugin "" "stock mosquitto" stock
row "idle HTTPS connection with client certificate (nginx, fronts and core)" KiB https "" "bare nginx" bare
