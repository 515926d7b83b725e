# cmp.sh: the client of OpenSSL against the running site of a test that is in $T. Source after lib.sh.
cmp() { # [options of openssl cmp]: c.log has what it says
    openssl cmp -config "" -server "localhost:$((BASE + 1))" -path .well-known/cmp -trusted "$SITE/ca/root.pem" -unprotected_errors "$@" >c.log 2>&1
}
cmp_reasons() { api "$HTTPS/api/v1/events?kind=refused&limit=500" | jq -r '.items[].payload.reason'; }
cmp_refused() { cmp_reasons | grep -qx "$1"; }
no() { # FAILINFO REASON NAME [options]: refused so, with an event ("-": our own trouble, no event), and nothing comes
    fail=$1 why=$2 name=$3; shift 3
    rm -f no.pem
    cmp "$@" -certout no.pem
    has "$? $(cat c.log)" "$fail" "$name: $fail"
    [ "$why" = - ] && { [ ! -e no.pem ]; ok $? "$name: nothing comes"; return; }
    [ ! -e no.pem ] && wait_for 10 cmp_refused "$why"; ok $? "$name: $why in the evidence"
}
cmp_saves() { openssl cmp -help 2>&1 | grep -q -e "$1 " && echo "$1 $2"; } # OPTION FILE: both, where the client (OpenSSL 3.5) wants to write down what it asked for
