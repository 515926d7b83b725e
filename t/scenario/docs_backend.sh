#!/bin/sh
# docs_backend.sh: every command of docs/backend-engineer.md, exactly as printed but for addresses and paths, behind the nginx of the recipe; and the
# trap that the page warns of, measured with a real nginx: a CRL, a shared session cache and a ticket key.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/recipe.sh
need nginx nginx-light; need haproxy haproxy
PAGE=docs/backend-engineer.md
recipe_site pump-0001 staging-1 s12 s13 <<END
authz_socket = SOCK
authz_group = $(id -gn)
END
HAP=$((BASE + 4)) TRAP=$((BASE + 7)) TWIN=$((BASE + 8)) SHUT=$((BASE + 9))
mkdir -p "$T/desk"
cp "$DEV"/* "$T/server.crt" "$T/desk/"
openssl rand 80 >"$T/ticket.key"
temps() { for t in client_body proxy fastcgi uwsgi scgi; do printf '%s_temp_path %s/%s; ' $t "$1" $t; done; }
moved() { sed "s|/run/cradle-edge/authz.sock|$SOCK|; s|listen 443|listen 127.0.0.1:$TLS|; s|127.0.0.1:8080|127.0.0.1:$APP|; s|/etc/nginx/tls|$T|; s|/etc/cradle-edge|$EDGE_DIR|"; }
trap_conf() { block "$PAGE" nginx | sed "s| bundle[.]pem| $EDGE_DIR/bundle.pem|; s| crl[.]pem| $T/crl.pem|; s| ticket[.]key| $T/ticket.key|"; }
server() { # PORT: a server by itself, with the lines on stdin
    echo "server { listen 127.0.0.1:$1 ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate $T/server.crt; ssl_certificate_key $T/server.key;"
    cat
    echo "location / { default_type text/plain; return 200 'the application'; } }"
}
nginx_up() { # NAME: with T/NAME.http as its http block; sets NGINX
    mkdir -p "$T/$1"
    { [ "$(id -u)" != 0 ] || echo "user root;"
    echo "daemon off; worker_processes 1; pid $T/$1/pid; error_log stderr warn; events { worker_connections 256; }"
    echo "http { access_log off; $(temps "$T/$1")"; cat "$T/$1.http"; echo "}"; } >"$T/$1/nginx.conf"
    nginx -e stderr -p "$T/$1" -c "$T/$1/nginx.conf" 2>>"$T/$1.log" & NGINX=$!
    own $NGINX
}
revoked_list() { # the CRLs that openssl wants for a device: its own, and its CA's
    for c in "$DEV"/*.pem "$SITE/ca/device.pem"; do
        url=$(openssl x509 -in "$c" -noout -text | grep -o "http://[^ ]*/crl/[^ ]*" | head -n 1)
        curl -sf "$url" | openssl crl -inform DER
    done >"$T/crl.new" && mv "$T/crl.new" "$T/crl.pem"
}
revoked_list; ok $? "the CRLs of the devices and of their CA"

{ block docs/recipes/nginx.md nginx | moved
echo "server { listen 127.0.0.1:$APP; location / { default_type text/plain; return 200 'the application'; }
    location /stream { root $T; limit_rate 20k; } }"; } >"$T/door.http"
trap_conf | server $TRAP >"$T/trap.http"
trap_conf | server $TWIN >"$T/twin.http"
trap_conf | sed 's/ssl_session_cache .*/ssl_session_cache off; ssl_session_tickets off;/; /ssl_session_ticket_key/d' | server $SHUT >"$T/shut.http"
for i in 1 2 3; do openssl rand -base64 48; done >"$T/ticket.hap" # it wants three
haproxy_up() { # a CRL and ticket keys of a file, as a farm of proxies has them
    cat >"$T/haproxy.cfg" <<END
defaults
    mode http
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend api
    bind 127.0.0.1:$HAP ssl crt $T/server.pem ca-file $EDGE_DIR/bundle.pem verify required crl-file $T/crl.pem tls-ticket-keys $T/ticket.hap
    http-request return status 200
END
    haproxy -db -f "$T/haproxy.cfg" >>"$T/haproxy.log" 2>&1 & HAPROXY=$!
    own $HAPROXY
}
haproxy_up
nginx_up door; nginx_up trap; pids=$NGINX; nginx_up twin; pids="$pids $NGINX"; nginx_up shut; pids="$pids $NGINX"
up() { ask pump-0001 >/dev/null && TLS=$TRAP ask pump-0001 >/dev/null && TLS=$TWIN ask pump-0001 >/dev/null && TLS=$SHUT ask pump-0001 >/dev/null && TLS=$HAP ask pump-0001 >/dev/null; }
wait_for 20 up; ok $? "the door of the recipe, and three nginx and a HAProxy with a CRL alone"

# -- the page's commands
page() { # N: runs this block; the output is in $T/out
    block "$PAGE" sh "$1" | sed "s|/run/cradle-edge/authz.sock|$SOCK|; s|api.example:443|127.0.0.1:$TLS|; s|https://api.example/|https://localhost:$TLS/|
        s|/etc/cradle-edge|$EDGE_DIR|" >"$T/block"
    [ -s "$T/block" ] && (cd "$T/desk" && bash "$T/block") >"$T/out" 2>&1
}
is "$(block "$PAGE" sh 8)" "" "the page has seven blocks of commands"
page 1; has "$(tr -d '\r' <"$T/out")" '^HTTP/1.1 200' "asked by hand, the edge admits a good device"
has "$(tr -d '\r' <"$T/out")" '^X-Cradle-Uid: pump-0001$' "and names it"
page 3; is "$(cat "$T/out")" "New HTTP/1.1 200 New HTTP/1.1 200 " "a device of staging makes its TLS sessions"
page 4; is "$(cat "$T/out")" "Reused HTTP/1.1 403 Reused HTTP/1.1 403 " "suspended, it resumes them and is refused"
page 2; has "$(cat "$T/out")" '^staging-1 suspended$' "the events name it"
wait_for 10 sh -c "cradle event list --kind refused --device staging-1 --json | grep -q refused"
page 5; ok $? "resumed, it is let in again"
has "$(cat "$T/out")" 'device-revoked' "and the refused attempts are in the evidence"
page 6; ok $? "a backend gets its topics, and cradle broker can says so"
page 7; ok $? "the edge says that it is fresh"

# -- the trap: a full handshake is refused, a resumed one is let in
at() { port=$1; shift; (TLS=$port; tls_ask "$@"); }
for v in tls1_2:s12 tls1_3:s13; do
    d=${v#*:} v=${v%:*}
    is "$(at $TRAP $d $v -sess_out "$T/$v.sess")" "New 200" "$v: a device has a session at an nginx with a CRL"
    is "$(at $SHUT $d $v -sess_out "$T/$v.shut")" "New 200" "$v: and at one without resumption"
    is "$(at $HAP $d $v -sess_out "$T/$v.hap")" "New 200" "$v: and at a HAProxy with a CRL"
    revoke $d
done
listed() { # each shard by itself: openssl crl reads one
    rm -f "$T"/crl-*; revoked_list && awk -v f="$T/crl-" "/BEGIN X509 CRL/ { n++ } { print > (f n) }" "$T/crl.pem"
    for c in "$T"/crl-*; do openssl crl -in "$c" -noout -text; done >"$T/crl.text"
    for d in s12 s13; do grep -q "$(openssl x509 -in "$DEV/$d.pem" -noout -serial | cut -d= -f2)" "$T/crl.text" || return 1; done
}
wait_for 20 listed; ok $? "both are on the CRL now"
kill -HUP $pids
kill $HAPROXY; wait $HAPROXY; haproxy_up
for v in tls1_2:s12 tls1_3:s13; do
    d=${v#*:} v=${v%:*}
    now() { [ "$(at $TRAP $d $v -sess_out "$T/x")" = "New 400" ] && [ "$(at $TWIN $d $v -sess_out "$T/x")" = "New 400" ] && [ "$(at $SHUT $d $v -sess_out "$T/x")" = "New 400" ] && ! at $HAP $d $v -sess_out "$T/x" | grep -q 200; }
    wait_for 20 now; ok $? "$v: after a reload, a full handshake is refused by all four"
    is "$(at $TRAP $d $v -sess_in "$T/$v.sess")" "Reused 200" "$v: the trap: resumed, the revoked device is let in"
    is "$(at $TWIN $d $v -sess_in "$T/$v.sess")" "Reused 200" "$v: by a second server with the same ticket key, too"
    is "$(at $HAP $d $v -sess_in "$T/$v.hap")" "Reused 200" "$v: by HAProxy after a restart, with the same ticket keys"
    if [ -s "$T/$v.shut" ]; then how=-sess_in; else how=-sess_out; fi # TLS 1.2: the client was given nothing to keep
    is "$(at $SHUT $d $v $how "$T/$v.shut")" "New 400" "$v: without tickets and cache nothing is resumed"
    is "$(at $TLS $d $v -sess_out "$T/x")" "New 403" "$v: the door refuses it"
done

# -- what stays open: an answer that is running is not cut, the question asked again says no
head -c 200000 /dev/zero >"$T/stream"
curl -sk --cert "$DEV/pump-0001.pem" --key "$DEV/pump-0001.key" -o "$T/got" -w '%{http_code} %{size_download}' "https://127.0.0.1:$TLS/stream" >"$T/stream.end" & STREAM=$!
own $STREAM
wait_for 10 test -s "$T/got"; ok $? "a long answer has begun"
revoke pump-0001
wait_for 5 answers pump-0001 403; ok $? "its device is revoked and refused"
kill -0 $STREAM 2>/dev/null; ok $? "the answer goes on"
page 1; has "$(tr -d '\r' <"$T/out")" '^X-Cradle-Reason: device-revoked$' "the application that asks again hears that it should end it"
wait $STREAM; is "$(cat "$T/stream.end")" "200 200000" "nobody else ended it"
finish
