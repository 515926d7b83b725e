#!/bin/sh
# recipe_nginx.sh: docs/recipes/nginx.md with a real nginx: refused on kept connections and resumed TLS sessions, headers, and who is away.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/recipe.sh
need nginx nginx-light
recipe_site d1 d2 d3 <<END
authz_socket = SOCK
authz_group = $(id -gn)
refuse_after = 5
END
mkdir -p "$T/ng"
temps=; for t in client_body proxy fastcgi uwsgi scgi; do temps="$temps ${t}_temp_path $T/ng/$t;"; done
{
    [ "$(id -u)" != 0 ] || echo "user root;"
    echo "daemon off; worker_processes 2; pid $T/ng/pid; error_log stderr warn; events { worker_connections 256; }"
    echo "http { access_log off; $temps"
    block docs/recipes/nginx.md nginx | sed "s|/run/cradle-edge/authz.sock|$SOCK|; s|listen 443|listen 127.0.0.1:$TLS|; s|127.0.0.1:8080|127.0.0.1:$APP|
        s|/etc/nginx/tls|$T|; s|/etc/cradle-edge|$EDGE_DIR|"
    echo "server { listen 127.0.0.1:$APP; location / { default_type text/plain;
        return 200 'uid=\$http_x_cradle_uid line=\$http_x_cradle_line serial=\$http_x_cradle_serial state=\$http_x_cradle_state'; } } }"
} >"$T/ng/nginx.conf"
nginx -t -e stderr -p "$T/ng" -c "$T/ng/nginx.conf" 2>"$T/ng/test"; ok $? "nginx takes the page's configuration"
nginx -e stderr -p "$T/ng" -c "$T/ng/nginx.conf" 2>"$T/nginx.log" & own $!
recipe_promises nginx
recipe_away nginx
finish
