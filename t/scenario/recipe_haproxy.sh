#!/bin/sh
# recipe_haproxy.sh: docs/recipes/haproxy.md with a real HAProxy: refused on kept connections and resumed TLS sessions, headers, who is away.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/recipe.sh
need haproxy haproxy; need nginx nginx-light
recipe_site d1 d2 d3 <<END
spop_listen = 127.0.0.1:SPOP
refuse_after = 5
END
mkdir -p "$T/ng"
temps=; for t in client_body proxy fastcgi uwsgi scgi; do temps="$temps ${t}_temp_path $T/ng/$t;"; done
cat >"$T/ng/nginx.conf" <<END
daemon off; worker_processes 1; pid $T/ng/pid; error_log stderr warn; events { worker_connections 256; }
http { access_log off; $temps server { listen 127.0.0.1:$APP; location / { default_type text/plain;
return 200 'uid=\$http_x_cradle_uid line=\$http_x_cradle_line serial=\$http_x_cradle_serial state=\$http_x_cradle_state'; } } }
END
nginx -e stderr -p "$T/ng" -c "$T/ng/nginx.conf" 2>"$T/nginx.log" & own $!
moved() { sed "s|127.0.0.1:8461|127.0.0.1:$SPOP|; s|bind :443|bind 127.0.0.1:$TLS|; s|127.0.0.1:8080|127.0.0.1:$APP|; s|/etc/haproxy|$T|; s|/etc/cradle-edge|$EDGE_DIR|"; }
block docs/recipes/haproxy.md haproxy | moved >"$T/haproxy.cfg"
block docs/recipes/haproxy.md spoe >"$T/cradle-spoe.conf"
haproxy -c -f "$T/haproxy.cfg" >"$T/haproxy.test" 2>&1; ok $? "haproxy takes the page's configuration"
sed 's/^/# /' "$T/haproxy.test"
haproxy -db -f "$T/haproxy.cfg" >"$T/haproxy.log" 2>&1 & own $!
recipe_promises haproxy
recipe_away haproxy
finish
