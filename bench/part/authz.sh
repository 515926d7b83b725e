#!/bin/sh
# authz.sh: cradle-edge asked over HTTP as a proxy asks, with one device's certificate in a header, over kept connections; beside nginx that
# answers every request with a constant. 4 connections show the time of an answer, 64 the rate.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=authz
D=$(few 4 1)
station_site
register d 1 >/dev/null || die "no device"
key_make "$T/d.key"
openssl req -new -key "$T/d.key" -subj /CN=d-0 -outform DER | openssl base64 |
    curl -sf --cacert "$SITE/ca/bundle.pem" --cert "$T/station.pem" --key "$T/station.key" -H 'Content-Type: application/pkcs10' --data-binary @- \
        "$HTTPS/.well-known/est/simpleenroll" | openssl base64 -d | openssl pkcs7 -inform DER -print_certs | openssl x509 >"$T/d.pem"
openssl x509 -in "$T/d.pem" -noout 2>/dev/null || die "the device's certificate cannot be had"
cradle edge add edge-1 --out "$T/edge" >/dev/null || die "no edge"
printf 'authz_listen = 127.0.0.1:%d\nauthz_header = X-SSL-Client-DER\n' $((BASE + 5)) >>"$T/edge/edge.conf"
cradle-edge -c "$T/edge/edge.conf" 2>"$T/edge.log" & own $!
mkdir -p "$T/ng"
temps=; for t in client_body proxy fastcgi uwsgi scgi; do temps="$temps ${t}_temp_path $T/ng/$t;"; done
cat >"$T/ng/nginx.conf" <<END
daemon off; worker_processes 1; pid $T/ng/pid; error_log stderr error; events { worker_connections 1024; }
http { access_log off; tcp_nodelay on; keepalive_requests 10000000; large_client_header_buffers 4 16k; $temps
  server { listen 127.0.0.1:$((BASE + 6)); location / { return 204; } } }
END
nginx -e stderr -p "$T/ng" -c "$T/ng/nginx.conf" 2>"$T/nginx.log" & own $!
HEADER="X-SSL-Client-DER: $(openssl x509 -in "$T/d.pem" -outform DER | openssl base64 -A)"
OURS=http://127.0.0.1:$((BASE + 5))/authz
NGINX=http://127.0.0.1:$((BASE + 6))/
wait_for 20 curl -sf -H "$HEADER" "$OURS" -o /dev/null || die "cradle-edge does not let the device in"
wait_for 10 curl -sf "$NGINX" -o /dev/null || die "nginx does not start"
load() { # CONNECTIONS URL: "RATE P99_US"; every answer but 2xx fails the run
    wrk -t1 -c"$1" -d"${D}s" --latency -H "$HEADER" "$2" 2>&1 | awk '
        $1 == "99%" { us = $2; if (us ~ /us$/) f = 1; else if (us ~ /ms$/) f = 1000; else f = 1000000; sub(/[a-z]+$/, "", us); p99 = us * f }
        /^Requests\/sec/ { rate = $2 } /Non-2xx/ { rate = "failed" } END { print rate, p99 }'
}
for i in $(rounds 5); do
    for who in ours nginx; do
        url=$OURS; [ $who = ours ] || url=$NGINX
        # shellcheck disable=SC2046 # two words
        set -- $(load 64 "$url"); sample rate_$who "$1"
        # shellcheck disable=SC2046
        set -- $(load 4 "$url"); sample p99_$who "$2"
    done
done
row "GET /authz, 64 connections, one thread" answers/s rate_ours "" "nginx, one worker, constant answer" rate_nginx
row "GET /authz, 4 connections, 99th percentile" us p99_ours 1000 "nginx, one worker, constant answer" p99_nginx
