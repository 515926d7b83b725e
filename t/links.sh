# links.sh: a server and two broker hosts a and b, each in a network namespace of its own, with links between them that delay, duplicate,
# lose and cut (t/tool/netlag.c: the kernel may have no netem). Source after lib.sh; call links_enter first: it runs the script again
# inside the server's namespace, so that what is started without a prefix runs on the server.
#   server 10.77.0.1    host a 10.77.1.2    host b 10.77.2.2
links_enter() { # SCRIPT [ARGUMENT …]
    if [ -n "${LINKS:-}" ]; then
        ON_A="ip netns exec ${LINKS}a" ON_B="ip netns exec ${LINKS}b"
        return
    fi
    need ip iproute2
    [ "$(id -u)" = 0 ] || { ok 1 "network namespaces need root"; finish; }
    [ -c /dev/net/tun ] || { ok 1 "/dev/net/tun is there (kernel module tun)"; finish; }
    LINKS=cr$$
    export LINKS
    trap 'cleanup; links_remove' EXIT
    for n in s a b; do
        ip netns add "$LINKS$n" && ip -n "$LINKS$n" link set lo up || { ok 1 "this kernel lets us make network namespaces (ip netns add)"; finish; }
    done
    ip -n "${LINKS}s" addr add 10.77.0.1/32 dev lo
    ip netns exec "${LINKS}s" sh "$@" & inner=$!
    own $inner
    wait $inner
    exit
}
links_remove() { for n in s a b; do ip netns del "$LINKS$n" 2>/dev/null; done; }
link_make() { # a|b
    [ "$1" = a ] && net=10.77.1 || net=10.77.2
    "$B/t/netlag" "$T/link.$1" "${LINKS}s" "to-$1" "$LINKS$1" server >"$T/link.$1.out" 2>"$T/link.$1.log" & own $!
    wait_for 5 grep -q ready "$T/link.$1.out" || return 1
    ip addr add $net.1 peer $net.2 dev "to-$1" && ip link set "to-$1" up || return 1
    ip -n "$LINKS$1" addr add $net.2 peer $net.1 dev server && ip -n "$LINKS$1" link set server up && ip -n "$LINKS$1" route add 10.77.0.1 via $net.1
}
link_do() { where=$1; shift; echo "$*" >"$T/link.$where"; } # a|b COMMAND: see netlag
links_site() { # the site, whose first address is the one that broker hosts see; line, model, station
    fleet_site --host 10.77.0.1 --host localhost && link_make a && link_make b
}
ms() { date +%s%3N; }
events_sql() { sqlite3 -readonly "$SITE/db/cradle.db" "SELECT count(*) FROM event WHERE $1"; } # WHERE
# when an edge saw the newest signed frame, wall clock ms
newest_frame() { jq -r '(.at | sub("\\.(?<ms>[0-9]+)Z$"; "Z") | fromdateiso8601 * 1000) + (.at | capture("\\.(?<ms>[0-9]+)Z$").ms | tonumber) - .age_ms' "$T/$1/state/edge.status"; }
