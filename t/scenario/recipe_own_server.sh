#!/bin/sh
# recipe_own_server.sh: docs/recipes/own-server.c compiled against the installed library, shared and static, and run: a good device is
# greeted, a revoked one is turned away on the connection that it kept.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/recipe.sh
need pkg-config pkg-config; need gcc gcc
make -s install PREFIX="$T/usr" >"$T/install.log" 2>&1; ok $? "make install"
PKG_CONFIG_PATH=$T/usr/lib/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # flags are words
gcc -Wall -Wextra -Werror -o "$T/shared" docs/recipes/own-server.c $(pkg-config --cflags --libs cradle-edge openssl) >"$T/cc.log" 2>&1
ok $? "it compiles by pkg-config"
sed 's/^/# /' "$T/cc.log"
# shellcheck disable=SC2046
gcc -Wall -Wextra -Werror -o "$T/static" docs/recipes/own-server.c -I"$T/usr/include" "$T/usr/lib/libcradle-edge.a" $(pkg-config --libs openssl) -lpthread >"$T/cc.log" 2>&1
ok $? "and with the static library"
sed 's/^/# /' "$T/cc.log"
is "$(nm -D --defined-only "$T/usr/lib/libcradle-edge.so.0" | awk '{ print $3 }' | grep -cv '^cradle_edge_')" 0 "the library shows no other names than its header's"
recipe_site d1 d2 d3 </dev/null
said() { # UID: what the server says to one request
    (echo hi; sleep 0.5) | timeout 10 openssl s_client -quiet -connect "127.0.0.1:$TLS" -cert "$DEV/$1.pem" -key "$DEV/$1.key" 2>/dev/null
}
hears() { said "$1" | grep -q "$2"; }
line() { # a request on the open connection, and its answer
    lines=$(wc -l <"$T/keep.out")
    echo hi >&3
    wait_for 5 sh -c "[ \$(wc -l <'$T/keep.out') -gt $lines ]"
    tail -n 1 "$T/keep.out"
}
gone=d2
for kind in shared static; do
    LD_LIBRARY_PATH=$T/usr/lib "$T/$kind" "127.0.0.1:$TLS" "$EDGE_DIR/state" "$EDGE_DIR/stream.pub" "$EDGE_DIR/device.pem" "$EDGE_DIR/bundle.pem" \
        "$T/server.pem" >"$T/own.log" 2>&1 & SERVER=$!; own $SERVER
    wait_for 10 hears d1 "hello d1: ok"; ok $? "$kind: a good device is let in"
    keep_open $gone
    is "$(line)" "hello $gone: ok" "$kind: another one keeps its connection"
    revoke $gone
    i=0; while [ $i -lt 50 ] && ! line | grep -q "^no "; do i=$((i + 1)); sleep 0.1; done
    is "$(tail -n 1 "$T/keep.out")" "no $gone: device-revoked" "$kind: revoked, it is turned away on it"
    keep_close
    is "$(said $gone)" "no $gone: device-revoked" "$kind: and when it comes again"
    kill $SERVER; wait $SERVER 2>/dev/null
    gone=d3
done
finish
