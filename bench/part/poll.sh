#!/bin/sh
# poll.sh: devices that ask for updates and have none, over kept-alive mTLS connections through nginx: answered from the front's memory, and by core;
# beside plain nginx that says the same bytes to whoever has a certificate of the site, with the same TLS settings. And what a poll costs in CPU time.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=poll
N=$(few 40000 400)
station_site
key_make "$T/d.key" && openssl req -new -key "$T/d.key" -subj /CN=d-0 -outform DER 2>/dev/null | openssl base64 >"$T/d.csr"
register d 1 >/dev/null || die "no device"
curl -s --cacert "$SITE/ca/bundle.pem" --cert "$T/station.pem" --key "$T/station.key" -H 'Content-Type: application/pkcs10' --data-binary @"$T/d.csr" \
    "$HTTPS/.well-known/est/simpleenroll" | openssl base64 -d | openssl pkcs7 -inform DER -print_certs -out "$T/d.pem" 2>/dev/null
DEV="--cacert $SITE/ca/bundle.pem --cert $T/d.pem --key $T/d.key"
ANSWER=$(curl -sf $DEV "$HTTPS/update/v1/poll")
case $ANSWER in *'"state":"idle"'*) ;; *) die "the poll is not answered" ;; esac
mkdir "$T/ng"
temps=; for t in client_body proxy fastcgi uwsgi scgi; do temps="$temps ${t}_temp_path $T/ng/$t;"; done
cat >"$T/ng/nginx.conf" <<END
daemon off; worker_processes 2; pid $T/ng/pid; error_log stderr error; events { worker_connections 4096; }
http { access_log off; tcp_nodelay on; keepalive_requests 100000; default_type application/json; $temps
  server { listen 127.0.0.1:$((BASE + 6)) ssl; location / { return 200 '$ANSWER'; }
    ssl_certificate $SITE/tls/server.pem; ssl_certificate_key $SITE/tls/server.key; ssl_client_certificate $SITE/ca/bundle.pem; ssl_verify_client on;
    ssl_verify_depth 2; ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20; ssl_session_tickets off; ssl_session_cache off; } }
END
[ "$(id -u)" != 0 ] || sed -i '1s/^/user root; /' "$T/ng/nginx.conf" # the folder is closed to everybody but the service
nginx -e stderr -p "$T/ng" -c "$T/ng/nginx.conf" 2>"$T/nginx.log" & own $!
wait_for 10 curl -sf $DEV "https://localhost:$((BASE + 6))/" -o /dev/null || die "nginx does not answer"
PORT=${HTTPS##*:}
load() { "$BB/poll_load" localhost "$1" "$2" "$SITE/ca/bundle.pem" "$T/d.pem" "$T/d.key" "$3" "$4" || die "polls failed"; } # PORT PATH COUNT CONNECTIONS
cpu() { for p; do cpu_us "$p"; done | awk '{ s += $1 } END { print s }'; }
each() { awk -v a="$1" -v b="$2" -v n="$N" 'BEGIN { printf "%.1f\n", (b - a) / n }'; }
# shellcheck disable=SC2046 # lists of processes
for i in $(rounds 5); do
    for c in 4 64; do
        ng=$(cpu $(nginx_workers)) front=$(cpu $(roles front))
        sampled memory$c per_s "$(load "$PORT" /update/v1/poll "$N" $c)"
        sample ng_cpu "$(each "$ng" "$(cpu $(nginx_workers))")"
        sample front_cpu "$(each "$front" "$(cpu $(roles front))")"
        sampled plain$c per_s "$(load $((BASE + 6)) /update/v1/poll "$N" $c)"
        sampled core$c per_s "$(load "$PORT" "/update/v1/poll?round=$i&n=%d" $((N / 4)) $c)"
    done
done
for c in 4 64; do
    row "idle polls from the front's memory, $c kept-alive mTLS connections" requests/s memory$c 10000 "nginx, return 200, same TLS" plain$c
    row "the same, each decided by core" requests/s core$c "" "nginx, return 200, same TLS" plain$c
done
row "CPU of nginx for one idle poll" µs ng_cpu ""
row "CPU of front for one idle poll" µs front_cpu ""
