#!/bin/sh
# ocsp.sh: OCSP over kept-alive connections: cached by GET, signed for each request by POST with a nonce; beside nginx with a static file of the
# same size and `openssl ocsp`.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=ocsp
D=$(few 4 1)
peer_ca; peer_csrs 1
openssl ca -batch -notext -config "$P/ca.cnf" -in "$P/1.csr" -out "$P/1.pem" 2>"$T/ca.log" || die "openssl ca"
station_site
register d 1 >/dev/null && enroll d 1 >/dev/null || die "no device"
SERIAL=$(curl -s $ADMIN "$HTTPS/api/v1/devices/d-0" | jq -r '.certs[0].serial')
openssl ocsp -issuer "$SITE/ca/device.pem" -serial "0x$SERIAL" -no_nonce -reqout "$T/get.der" >/dev/null 2>&1
openssl ocsp -issuer "$SITE/ca/device.pem" -serial "0x$SERIAL" -nonce -reqout "$T/post.der" >/dev/null 2>&1
openssl ocsp -issuer "$P/ca.pem" -cert "$P/1.pem" -nonce -reqout "$T/peer.der" >/dev/null 2>&1
GET=$(openssl base64 -A -in "$T/get.der" | sed 's|/|%2F|g; s|+|%2B|g; s|=|%3D|g')
curl -sf "$HTTP/ocsp/$GET" -o "$T/answer.der" || die "no OCSP answer"
openssl ocsp -respin "$T/answer.der" -issuer "$SITE/ca/device.pem" -serial "0x$SERIAL" -CAfile "$SITE/ca/bundle.pem" -no_nonce 2>/dev/null | grep -q good || die "the answer is not 'good'"

# the nonce is the last 16 bytes of an unsigned request: a new one each time
cat >"$T/post.lua" <<'END'
local f = io.open(os.getenv("REQUEST"), "rb"); local head = f:read("*a"):sub(1, -17); f:close()
math.randomseed(os.time())
wrk.method = "POST"; wrk.headers["Content-Type"] = "application/ocsp-request"
function request()
  local t = {}
  for i = 1, 16 do t[i] = string.char(math.random(0, 255)) end
  return wrk.format(nil, nil, nil, head .. table.concat(t))
end
END
mkdir -p "$T/ng/www"
cp "$T/answer.der" "$T/ng/www/answer.der"
temps=; for t in client_body proxy fastcgi uwsgi scgi; do temps="$temps ${t}_temp_path $T/ng/$t;"; done
cat >"$T/ng/nginx.conf" <<END
daemon off; worker_processes 2; pid $T/ng/pid; error_log stderr error; events { worker_connections 1024; }
http { access_log off; sendfile on; tcp_nodelay on; keepalive_requests 100000; $temps
  server { listen 127.0.0.1:$((BASE + 5)); location / { root $T/ng/www; } } }
END
nginx -e stderr -p "$T/ng" -c "$T/ng/nginx.conf" 2>"$T/nginx.log" & own $!
wait_for 10 curl -sf "http://127.0.0.1:$((BASE + 5))/answer.der" -o /dev/null || die "nginx does not start"
# A responder for each round: after a load its children spin on what the clients left, and they outlive their parent.
responder_start() {
    openssl ocsp -port $((BASE + 6)) -index "$P/index.txt" -CA "$P/ca.pem" -rsigner "$P/ca.pem" -rkey "$P/ca.key" -multi 2 >/dev/null 2>"$T/responder.log" &
    RESPONDER=$!
    own $RESPONDER
    wait_for 10 curl -sf -H 'Content-Type: application/ocsp-request' --data-binary "@$T/peer.der" "http://127.0.0.1:$((BASE + 6))/" -o /dev/null ||
        die "openssl ocsp does not answer"
}
responder_stop() {
    children=$(pgrep -P $RESPONDER)
    kill -9 $RESPONDER $children
    wait $RESPONDER 2>/dev/null
}
load() { # URL [REQUEST]: requests answered a second; every answer but 2xx fails the run
    out=$(REQUEST=${2:-} wrk -t1 -c64 -d"${D}s" ${2:+-s "$T/post.lua"} "$1" 2>&1)
    case $out in *"Non-2xx"*) say "$out" ;; esac
    printf '%s\n' "$out" | awk '/^Requests\/sec/ { print $2 } /Non-2xx/ { print "failed"; exit }' | head -n 1
}
for i in $(rounds 5); do
    sample cached "$(load "$HTTP/ocsp/$GET")"
    sample static "$(load "http://127.0.0.1:$((BASE + 5))/answer.der")"
    sample signed "$(load "$HTTP/ocsp" "$T/post.der")"
    responder_start
    sample responder "$(load "http://127.0.0.1:$((BASE + 6))/" "$T/peer.der")"
    responder_stop
    sampled signer per_s "$("$BB/signer_rate" ocsp 2)"
done
row "OCSP from the cache, GET, 64 connections" requests/s cached "0.7 x nginx" "nginx, static file" static
row "OCSP signed for each request (nonce), POST, 64 connections" requests/s signed "" "openssl ocsp, 2 processes" responder
row "OCSP, signer alone, one core" answers/s signer 15000 "openssl ocsp, 2 processes" responder
