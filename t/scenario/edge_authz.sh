#!/bin/sh
# edge_authz.sh: cradle-edge asked by curl in place of a proxy: every form of the question, every reason, the snapshot's age, hostile questions.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
need curl curl; need jq jq
PORT=$(free_ports)
mkdir -p "$STATE"
pki_make
for d in dev1 dev2 dev3 dev4; do device $d; done
device devB lineB
device old lineA "$(date -u -d '-1 day' +%Y%m%d%H%M%SZ)"
leaf operator infra v3_leaf; leaf server device v3_server; leaf birth device v3_idevid
snapmake key "$T/stream.key" >"$T/stream.pub"
SOCK=$T/authz.sock
conf() { # further lines on stdin
    { printf 'urls = https://127.0.0.1:%d\nca = %s/bundle.pem\nstream_pub = %s\nstate_dir = %s\nauthz_ca = %s/device.pem\n' \
        $((PORT + 9)) "$PKI" "$T/stream.pub" "$STATE" "$PKI"; cat; } >"$T/edge.conf"
}
edge_start() { cradle-edge -c "$T/edge.conf" 2>>"$T/edge.log" & EDGE=$!; own $EDGE; wait_for 10 sh -c "grep -q holds '$T/edge.log'"; }
edge_stop() { kill "$EDGE" 2>/dev/null; wait "$EDGE" 2>/dev/null; : >"$T/edge.log"; }
escaped() { sed ':a;N;$!ba;s/\n/%0A/g; s/ /%20/g; s/+/%2B/g; s/\//%2F/g; s/=/%3D/g' "$PKI/$1.pem"; }
der64() { openssl x509 -in "$PKI/$1.pem" -outform DER | openssl base64 -A; }
at() { curl -s --max-time 5 -o /dev/null -D - "$@" | tr -d '\r' | sed -n '1s/^[^ ]* \([0-9]*\).*/\1/p; s/^X-Cradle-[A-Za-z]*: //p' | tr '\n' ' ' | sed 's/ $//'; }
ask() { d=$1; shift; at --unix-socket "$SOCK" -H "X-SSL-Client-Cert: $(escaped "$d")" "$@" http://edge/authz; }
asked() { [ "$(ask "$1")" = "$2" ]; }

# -- configurations that are refused
refused() { # lines; pattern; name
    printf '%s\n' "$1" | conf
    timeout 10 cradle-edge -c "$T/edge.conf" >"$T/out" 2>&1; rc=$?
    [ $rc != 0 ] && [ $rc != 124 ] && grep -qE "$2" "$T/out"; ok $? "$3"
    [ $rc != 0 ] && grep -qE "$2" "$T/out" || sed 's/^/# /' "$T/out"
}
refused "authz_listen = 0.0.0.0:$PORT" "not on loopback" "an address that others can reach is refused"
refused "authz_listen = $PORT" "not on loopback|ADDRESS:PORT" "a port without an address is refused"
refused "spop_listen = 127.0.0.1" "ADDRESS:PORT" "an address without a port is refused"
refused "authz_socket = $SOCK
authz_header = X-Client" "authz_header" "an unknown header is refused"
refused "authz_socket = $SOCK
authz_group = no-such-group" "no group" "an unknown group is refused"
refused "authz_socket = $SOCK
authz_cache = 1" "authz_cache" "a cache of nothing is refused"

# -- no snapshot yet, then one
conf <<END
authz_socket = $SOCK
authz_listen = 127.0.0.1:$PORT
spop_listen = 127.0.0.1:$((PORT + 1))
authz_group = $(id -gn)
refuse_after = 10
END
edge_start
wait_for 5 asked dev1 "503 stale"; ok $? "without a snapshot: 503"
is "$(stat -c %a "$SOCK")" 660 "the socket is its user's and group's alone"
snap_new 1:5 ident:dev2 "cert:$(aki_of dev3):$(serial_of dev3)" line:lineB repair:dev4
serial=$(serial_of dev1 | tr A-F a-f)
wait_for 5 asked dev1 "200 dev1 $serial lineA active"; ok $? "with one: 200, UID, serial, line, state"
is "$(ask dev2)" "403 device-revoked" "a blocked identity"
is "$(ask dev3)" "403 certificate-revoked" "a revoked certificate"
is "$(ask devB)" "403 line-suspended" "a suspended line"
is "$(ask dev4)" "403 device-quarantined quarantined" "a quarantined device, with its state"
is "$(ask old)" "403 certificate-expired" "an expired certificate"
is "$(ask birth)" "403 idevid-enrolls-only" "an initial identity (IDevID)"
is "$(ask operator)" "403 certificate-foreign" "one of a CA that is not let in"
is "$(ask server)" "403 certificate-foreign" "one that is not for clients"
is "$(at --unix-socket "$SOCK" http://edge/authz)" "403 no-client-certificate" "no header"
is "$(at --unix-socket "$SOCK" -H 'X-SSL-Client-Cert;' http://edge/authz)" "403 no-client-certificate" "an empty one"
is "$(at --unix-socket "$SOCK" -H 'X-SSL-Client-Cert: rubbish' http://edge/authz)" "403 bad-certificate" "rubbish"
is "$(ask dev1 -H "X-SSL-Client-Cert: $(escaped dev4)")" "403 bad-certificate" "two certificates: somebody's own beside the proxy's"
is "$(ask dev2 -H "X-SSL-Client-DER: $(der64 dev1)" -H "X-Forwarded-Client-Cert: Cert=\"$(escaped dev1)\"")" "403 device-revoked" "other headers are not read"
is "$(at -H "X-SSL-Client-Cert: $(escaped dev1)" "http://127.0.0.1:$PORT/authz/shop/item?x=1" -X POST -d '')" "200 dev1 $serial lineA active" "any method, any path below, over TCP"
is "$(at --unix-socket "$SOCK" http://edge/authzx)" 404 "another path is not there"
head -c 100000 /dev/zero | tr '\0' a >"$T/long"
has "$(at --unix-socket "$SOCK" -H "X-SSL-Client-Cert: $(head -c 60000 "$T/long")" http://edge/authz)" "^(403 bad-certificate|400|413|431)?$" "a header of 60 kB"
is "$(ask dev1)" "200 dev1 $serial lineA active" "and it still answers"

# -- changes
frame 1:5 1:6 ident:dev1
wait_for 2 asked dev1 "403 device-revoked"; ok $? "a frame of the stream changes the next answer, though the certificate is known"
frame 1:6 1:7 -ident:dev1
wait_for 2 asked dev1 "200 dev1 $serial lineA active"; ok $? "and back"
SNAPMAKE_BAD=1 frame 1:7 1:8 -ident:dev2
wait_for 5 grep -q "ALARM bad-signature: authz" "$T/edge.log"; ok $? "a badly signed frame raises an alarm"
is "$(ask dev2)" "403 device-revoked" "and lets in nobody"
snap_new 1:9 ident:dev2
wait_for 5 asked dev3 "200 dev3 $(serial_of dev3 | tr A-F a-f) lineA active"; ok $? "a new snapshot is taken"

# -- reports
i=0; while [ $i -lt 30 ]; do ask dev2 -H 'X-Real-IP: 192.0.2.7' >/dev/null; i=$((i + 1)); done
wait_for 5 sh -c "grep -c 'refused dev2 from 192.0.2.7' '$T/edge.log'"; ok $? "a refusal is told with the address"
is "$(grep -c 'refused dev2 from 192.0.2.7' "$T/edge.log")" 1 "thirty of a kind are told once"
is "$(ask dev2 -H 'X-Real-IP: <script>')" "403 device-revoked" "an address that is none is left out"
wait_for 5 sh -c "jq -e '.authz_refused > 30 and .authz_let_in > 3 and .reports_waiting > 5' '$STATE/edge.status'"; ok $? "edge.status counts the answers"
has "$(cradle-edge -s -c "$T/edge.conf" 2>/dev/null)" "proxies +[0-9]+ let in, [0-9]+ refused" "cradle-edge -s too"
kill $EDGE; wait $EDGE
grep -q "refused dev2 from 192.0.2.7: .*(29 times)" "$T/edge.log"; ok $? "repeats are counted, and told within a minute, or at the end"
mv "$T/edge.log" "$T/edge.1.log"; edge_start

# -- age
snap_new 1:10 ident:dev2
wait_for 25 asked dev1 "503 stale"; ok $? "a snapshot that grows older than refuse_after: 503"
is "$(ask dev2)" "403 device-revoked" "who is blocked stays so for that reason"
snap_new 1:11
wait_for 5 asked dev1 "200 dev1 $serial lineA active"; ok $? "a fresh one: 200 again"

# -- SPOP by hand: bytes that are no frames
for bytes in 'GET / HTTP/1.1\r\n\r\n' '\000\000\000\001x' '\000\000\000\000' '\377\377\377\377' '\000\000\000\010\003\000\000\000\001\000\000\000'; do
    # shellcheck disable=SC2059 # bytes are a format
    printf "$bytes" | timeout 5 curl -s --max-time 3 "telnet://127.0.0.1:$((PORT + 1))" >"$T/spop.out" 2>/dev/null
done
is "$(ask dev1)" "200 dev1 $serial lineA active" "strange bytes on the SPOP port disturb nobody"
kill -0 "$EDGE"; ok $? "cradle-edge lives"
edge_stop
[ ! -e "$SOCK" ]; ok $? "its socket is gone when it ends"

# -- other forms
printf 'authz_socket = %s\nauthz_header = X-SSL-Client-DER\n' "$SOCK" | conf; edge_start
is "$(at --unix-socket "$SOCK" -H "X-SSL-Client-DER: $(der64 dev1)" http://edge/authz)" "200 dev1 $serial lineA active" "base64 of the DER"
is "$(at --unix-socket "$SOCK" -H "X-SSL-Client-DER: $(der64 dev1 | sed 's/....\(............\)$/AAAA\1/')" http://edge/authz)" "403 bad-signature" "with a forged signature"
edge_stop
printf 'authz_socket = %s\nauthz_header = X-Forwarded-Client-Cert\n' "$SOCK" | conf; edge_start
is "$(at --unix-socket "$SOCK" -H "X-Forwarded-Client-Cert: By=spiffe://a/b;Hash=00;Cert=\"$(escaped dev1)\";Subject=\"CN=dev1\"" http://edge/authz)" \
    "200 dev1 $serial lineA active" "Envoy's header"
is "$(at --unix-socket "$SOCK" -H "X-Forwarded-Client-Cert: Cert=\"$(escaped dev4)\",Cert=\"$(escaped dev1)\"" http://edge/authz)" "403 bad-certificate" "with two elements: refused"
edge_stop
printf 'authz_socket = %s\nauthz_by_name = yes\n' "$SOCK" | conf; edge_start
snap_new 1:12 ident:dev2 "cert:$(aki_of dev3):$(serial_of dev3)" line:lineB repair:dev4
named() { at --unix-socket "$SOCK" "http://edge/authz?issuer=$(aki_of "$1")&serial=$(serial_of "$1")&uid=$1&line=$2"; }
i=0; while [ $i -lt 50 ] && [ "$(named dev2 lineA)" != "403 device-revoked" ]; do i=$((i + 1)); sleep 0.1; done
is "$(named dev1 lineA)" "200 dev1 $serial lineA active" "by name: a good one"
is "$(named dev2 lineA)" "403 device-revoked" "a blocked one"
is "$(named dev3 lineA)" "403 certificate-revoked" "a revoked certificate"
is "$(named devB lineB)" "403 line-suspended" "a suspended line"
is "$(named dev4 lineA)" "403 device-quarantined quarantined" "a quarantined one"
is "$(at --unix-socket "$SOCK" "http://edge/authz?issuer=$(aki_of dev1)&serial=$(serial_of dev1)&uid=dev1")" "403 bad-field" "without the line nobody is let in"
is "$(ask dev1)" "403 bad-field" "nor with a certificate"
edge_stop
finish
