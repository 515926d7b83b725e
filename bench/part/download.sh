#!/bin/sh
# download.sh: a file that is ordered for a device, over TLS with its certificate, by one client and by 8 at once; beside plain nginx that serves the same file
# with the same TLS settings to whoever has a certificate of the site. And the memory of nginx' workers for each download under way.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
. t/ceremony.sh
PART=download
SIZE=$(few 400000000 20000000) MANY=$(few 200 20)
site_init || die "cradle init failed"
printf 'downloads_per_device = 65535\ndownload_max = 65535\nconnections_per_address = 65535\n' >>"$SITE/cradled.conf"
site_start || die "cradled does not start"
cradle line add vib --quiet && cradle model add vib-1 --line vib --quiet && cradle device add d-1 --model vib-1 --quiet || die "no device"
key_make "$T/st.key"
csr "$T/st" /CN=st
api -d "{\"name\":\"st\",\"role\":\"station\",\"csr\":\"$(tr -d '\n' <"$T/st.csr")\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >"$T/st.pem"
key_make "$T/d.key"
csr "$T/d" /CN=d-1
curl -s --cacert "$SITE/ca/bundle.pem" --cert "$T/st.pem" --key "$T/st.key" -H 'Content-Type: application/pkcs10' --data-binary @"$T/d.csr" \
    "$HTTPS/.well-known/est/simpleenroll" | openssl base64 -d | openssl pkcs7 -inform DER -print_certs | openssl x509 >"$T/d.pem" || die "the device's certificate cannot be had"
head -c "$SIZE" /dev/urandom >"$T/fw.bin"
publishes() { cradle tuf publish "$R"; }
ceremony "$SITE/trust" && release_make "$T/fw.bin" r1 1.0.0 1 && wait_for 20 publishes || die "no release"
cradle release upload "$R" vib r1 --quiet || die "no upload"
api -o /dev/null -d '{"release":"r1"}' "$HTTPS/api/v1/devices/d-1/order"
H=$(sha256sum "$T/fw.bin" | cut -c1-64)
D="--cacert $SITE/ca/bundle.pem --cert $T/d.pem --key $T/d.key"
offered() { curl -s $D "$HTTPS/update/v1/poll" | jq -e '.action == "install"'; }
wait_for 20 offered || die "no order"
mkdir "$T/ng"
temps=; for t in client_body proxy fastcgi uwsgi scgi; do temps="$temps ${t}_temp_path $T/ng/$t;"; done
cat >"$T/ng/nginx.conf" <<END
daemon off; worker_processes 2; pid $T/ng/pid; error_log stderr error; events { worker_connections 4096; }
http { access_log off; sendfile on; tcp_nodelay on; $temps
  server { listen 127.0.0.1:$((BASE + 6)) ssl http2; root $SITE/artifact;
    ssl_certificate $SITE/tls/server.pem; ssl_certificate_key $SITE/tls/server.key; ssl_client_certificate $SITE/ca/bundle.pem; ssl_verify_client on;
    ssl_verify_depth 2; ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20; ssl_session_tickets off; ssl_session_cache off; } }
END
[ "$(id -u)" != 0 ] || sed -i '1s/^/user root; /' "$T/ng/nginx.conf" # the folder is closed to everybody but the service
nginx -e stderr -p "$T/ng" -c "$T/ng/nginx.conf" 2>"$T/nginx.log" & NGINX=$!; own $NGINX
OURS=$HTTPS/update/v1/artifact/$H
PLAIN=https://localhost:$((BASE + 6))/$H
wait_for 10 curl -sf $D -r 0-1 "$PLAIN" -o /dev/null || die "nginx does not serve the file"
wait_for 10 curl -sf $D -r 0-1 "$OURS" -o /dev/null || die "cradled does not serve the file"
one() { curl -s $D -o /dev/null -w '%{speed_download} %{size_download}\n' "$1" | awk -v n="$SIZE" '{ if ($2 == n) printf "%.1f\n", $1 / 1e6; else print "failed" }'; }
eight() {
    from=$(ns)
    pids=; for i in 1 2 3 4 5 6 7 8; do curl -s $D -r "0-$((SIZE / 4 - 1))" -o /dev/null "$1" & pids="$pids $!"; done
    wait $pids
    awk -v n="$((SIZE * 2))" -v a="$from" -v b="$(ns)" 'BEGIN { printf "%.1f\n", n * 1000 / (b - a) }'
}
for i in $(rounds 5); do
    for who in ours plain; do
        url=$OURS; [ $who = ours ] || url=$PLAIN
        sample one_$who "$(one "$url")"
        sample eight_$who "$(eight "$url")"
    done
done
memory() { # URL PIDS…: KiB for each of MANY slow downloads
    url=$1; shift
    before=$(rss_kib "$@") slow=
    for i in $(seq "$MANY"); do curl -s $D --http1.1 --limit-rate 1k -o /dev/null "$url" & slow="$slow $!"; done
    sleep "$(few 15 5)"
    after=$(rss_kib "$@")
    kill $slow 2>/dev/null
    wait $slow 2>/dev/null
    awk -v a="$before" -v b="$after" -v n="$MANY" 'BEGIN { printf "%.1f\n", (b - a) / n }'
}
# shellcheck disable=SC2046 # lists of processes
sample memory_ours "$(memory "$OURS" $(nginx_workers))"
# shellcheck disable=SC2046
sample memory_plain "$(memory "$PLAIN" $(pgrep -P "$NGINX"))"
row "download of $((SIZE / 1000000)) MB, one client" MB/s one_ours "" "nginx, same file, same TLS" one_plain
row "download, 8 clients at once" MB/s eight_ours "" "nginx, same file, same TLS" eight_plain
row "memory of nginx for each download under way ($MANY)" KiB memory_ours "" "nginx, same file, same TLS" memory_plain
