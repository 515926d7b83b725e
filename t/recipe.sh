# recipe.sh: what the tests of docs/recipes/ share: a site with devices, cradle-edge that answers proxies, clients that keep a connection or
# resume a TLS session. Source after lib.sh.
need curl curl; need jq jq; need openssl openssl
EDGE_DIR=$T/edge
DEV=$T/dev
SOCK=$T/authz.sock

enroll() { # UID: key and certificate by EST, vouched for by the station
    openssl ecparam -genkey -name prime256v1 -noout -out "$DEV/$1.key" 2>/dev/null
    openssl req -new -key "$DEV/$1.key" -subj "/CN=$1" -outform DER 2>/dev/null | openssl base64 |
        curl -sf --cacert "$SITE/ca/bundle.pem" --cert "$T/st/st.pem" --key "$T/st/st.key" -H 'Content-Type: application/pkcs10' --data-binary @- \
            -o "$DEV/$1.p7" "$HTTPS/.well-known/est/simpleenroll" || return 1
    openssl base64 -d -in "$DEV/$1.p7" | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 >"$DEV/$1.pem" 2>/dev/null
}
edge_start() { cradle-edge -c "$EDGE_DIR/edge.conf" 2>>"$T/edge.log" & EDGE=$!; own $EDGE; }
edge_stop() { kill "$EDGE"; wait "$EDGE" 2>/dev/null; }
# recipe_site DEVICE…: everything up to a running cradle-edge; lines for edge.conf on stdin
recipe_site() {
    mkdir -p "$DEV"
    site_init || { ok 1 "cradle init"; finish; }
    site_start || { ok 1 "cradled starts"; finish; }
    TLS=$((BASE + 5)) APP=$((BASE + 6)) AUTHZ=$((BASE + 7)) SPOP=$((BASE + 8))
    cradle line add pump >/dev/null && cradle model add p1 --line pump >/dev/null && cradle station add st --out "$T/st" >/dev/null &&
        cradle edge add edge-1 --out "$EDGE_DIR" >/dev/null; ok $? "a site with a line, a station and an edge"
    for d; do cradle device add "$d" --model p1 >/dev/null && enroll "$d" || { ok 1 "$d enrolls"; finish; }; done
    sed "s|SOCK|$SOCK|; s|AUTHZ|$AUTHZ|; s|SPOP|$SPOP|" >>"$EDGE_DIR/edge.conf"
    cradle-edge -t -c "$EDGE_DIR/edge.conf" >/dev/null; ok $? "edge.conf is right"
    edge_start
    wait_for 20 test -s "$EDGE_DIR/state/revocation.snap"; ok $? "cradle-edge has a snapshot"
    # the server's certificate of the proxy: any will do, the clients below do not look at it
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost -days 2 -keyout "$T/server.key" -out "$T/server.crt" 2>/dev/null
    cat "$T/server.crt" "$T/server.key" >"$T/server.pem"
}
# The n-th fenced block of a language in a page
block() { # FILE LANGUAGE [N]
    awk -v lang="$2" -v want="${3:-1}" '$0 == "```" lang { n++; on = n == want; next } $0 == "```" { on = 0 } on' "$1"
}
revoke() { cradle device revoke "$1" --yes >/dev/null 2>"$T/revoke.err" || cradle device revoke "$1" >/dev/null; }

ask() { # UID [curl options]: "STATUS BODY" of one request through the proxy
    u=$1; shift
    curl -sk --max-time 10 --cert "$DEV/$u.pem" --key "$DEV/$u.key" -w ' %{http_code}' "$@" "https://127.0.0.1:$TLS/"
}
answers() { ask "$1" | grep -q " $2\$"; }
# A client that keeps its connection: keep_open UID; keep_ask asks once more on it; the output is in $T/keep.out
keep_open() {
    rm -f "$T/keep.in"; mkfifo "$T/keep.in"; : >"$T/keep.out"
    openssl s_client -quiet -connect "127.0.0.1:$TLS" -cert "$DEV/$1.pem" -key "$DEV/$1.key" <"$T/keep.in" >"$T/keep.out" 2>"$T/keep.err" &
    KEEP=$!; own $KEEP
    exec 3>"$T/keep.in"
}
keep_ask() { # prints the status of the answer
    have=$(grep -o 'HTTP/1.1 [0-9]*' "$T/keep.out" | wc -l)
    printf 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n' >&3
    wait_for 10 sh -c "[ \$(grep -o 'HTTP/1.1 [0-9]*' '$T/keep.out' | wc -l) -gt $have ]" || { echo none; return; }
    grep -o 'HTTP/1.1 [0-9]*' "$T/keep.out" | tail -n 1 | cut -d' ' -f2
}
keep_close() { exec 3>&-; kill "$KEEP" 2>/dev/null; wait "$KEEP" 2>/dev/null; }
tls_ask() { # UID tls1_2|tls1_3 -sess_out|-sess_in FILE: "Reused 200", "New 403", …
    (printf 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'; sleep 1) |
        timeout 10 openssl s_client -"$2" -connect "127.0.0.1:$TLS" -cert "$DEV/$1.pem" -key "$DEV/$1.key" -ign_eof "$3" "$4" 2>/dev/null >"$T/tls.out"
    echo "$(sed -n 's/^\(New\|Reused\), .*/\1/p' "$T/tls.out" | head -n 1) $(grep -ao 'HTTP/1.1 [0-9]*' "$T/tls.out" | head -n 1 | cut -d' ' -f2)"
}
# What every proxy's recipe promises. $1: a word for the names of the tests. Devices: d1 good; d2 to d5 are revoked on the way
recipe_promises() {
    wait_for 10 answers d1 200; ok $? "$1: a good device is served"
    serial=$(openssl x509 -in "$DEV/d1.pem" -noout -serial | sed 's/serial=//' | tr A-F a-f)
    is "$(ask d1)" "uid=d1 line=pump serial=$serial state=active 200" "$1: the application gets its UID, line, serial and state"
    is "$(ask d1 -H 'X-Cradle-Uid: d2' -H 'X-Cradle-Line: other' -H 'X-Cradle-State: admin' -H 'X-Cradle-Serial: 00')" \
        "uid=d1 line=pump serial=$serial state=active 200" "$1: what a client says in these headers is overwritten"
    pem=$(sed ':a;N;$!ba;s/\n/%0A/g; s/ /%20/g; s/+/%2B/g; s/\//%2F/g; s/=/%3D/g' "$DEV/d1.pem")
    is "$(ask d2 -H "X-SSL-Client-Cert: $pem")" "$(ask d2)" "$1: nor does a certificate in a header make it another device"
    has "$(curl -sk --max-time 10 -w ' %{http_code}' "https://127.0.0.1:$TLS/" 2>&1)" " (000|400|403)$" "$1: no certificate, no answer of the application"

    keep_open d2
    is "$(keep_ask)" 200 "$1: a device asks on a connection that it keeps"
    for v in tls1_2 tls1_3; do
        is "$(tls_ask d3 $v -sess_out "$T/$v.sess")" "New 200" "$1: $v: a device makes a TLS session"
        is "$(tls_ask d3 $v -sess_in "$T/$v.sess")" "Reused 200" "$1: $v: and resumes it"
    done
    revoke d3; revoke d2
    wait_for 5 answers d2 403; ok $? "$1: revoked, it is refused"
    is "$(keep_ask)" 403 "$1: and on the connection that it kept, with the next request"
    keep_close
    for v in tls1_2 tls1_3; do
        is "$(tls_ask d3 $v -sess_in "$T/$v.sess")" "Reused 403" "$1: $v: a revoked device resumes its TLS session and is refused"
    done
    is "$(ask d1 -o /dev/null)" " 200" "$1: the good one is still served"
    wait_for 10 sh -c "cradle event list --kind refused --json | grep -q d2"; ok $? "$1: the refused attempt is in the evidence"
}
# cradled away, then cradle-edge away; refuse_after = 5
recipe_away() {
    kill "$CRADLED"
    is "$(ask d1 -o /dev/null)" " 200" "$1: cradled away: still served from the last snapshot"
    wait_for 15 answers d1 503; ok $? "$1: until the snapshot is older than refuse_after: 503"
    is "$(ask d2 -o /dev/null)" " 403" "$1: who is known to be revoked stays refused for that reason"
    wait "$CRADLED" 2>/dev/null
    site_start; wait_for 15 answers d1 200; ok $? "$1: cradled back: served again, by itself"
    edge_stop
    is "$(ask d1 -o /dev/null)" " 503" "$1: cradle-edge away: nobody is served"
    edge_start; wait_for 15 answers d1 200; ok $? "$1: cradle-edge back: served again"
}
