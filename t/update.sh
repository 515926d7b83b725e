# update.sh: what the tests of updates on a device share: a site with releases for the line vib, and a device with two slots that a test "boots".
# Between device and site lies a road: an nginx that passes everything on with the device's certificate, serves the files of $T/road itself when they
# are there, those of $T/lie in the place of any answer, and can be bent. Source after lib.sh and ceremony.sh.
need openssl openssl; need jq jq; need curl curl; need nginx nginx-light

update_site() { # a running site with a line, a model, a station and a ceremony
    site_init || return 1
    site_start || return 1
    cradle line add vib --quiet && cradle model add vib-1 --line vib --quiet && cradle station add st --out "$T/st" >"$T/log" 2>&1 || return 1
    ceremony "$SITE/trust" && cradle tuf publish "$R" --quiet
}
image() { # VERSION BYTES: $T/img/VERSION, whose first line is its version
    mkdir -p "$T/img"
    { echo "$1"; head -c "$2" /dev/urandom; } >"$T/img/$1"
}
sum() { sha256sum <"$1" | cut -d' ' -f1; }
road_put() { # FILE: the road serves it, and its list of blocks
    mkdir -p "$T/road/artifact" "$T/road/blocks" "$T/cut"
    cp "$1" "$T/road/artifact/$(sum "$1")"
    (cd "$T/cut" && rm -f x* && split -b 1048576 -a 4 "$1" && for b in x*; do sum "$b"; done) | perl -ne 'chomp; print pack "H*", $_' >"$T/road/blocks/$(sum "$1")"
}
publish() { # RELEASE VERSION [COUNTER [options of release create]]: $T/img/VERSION becomes a release
    release=$1 version=$2 counter=${3:-1}; shift 2; [ $# = 0 ] || shift
    release_make "$T/img/$version" "$release" "$version" "$counter" "$@" && cradle tuf publish "$R" --quiet && road_put "$T/img/$version"
}
road_start() { # UID: an nginx at $ROAD, which shows the site that device's certificate
    mkdir -p "$T/road" "$T/lie"
    ROAD_PORT=$((BASE + 7)); ROAD=https://localhost:$ROAD_PORT
    : >"$T/road.bend"; : >"$T/road.drip"
    cat >"$T/road.conf" <<END
daemon off; master_process off; pid $T/road.pid; error_log $T/road.log warn;
events { worker_connections 64; }
http {
    access_log $T/road.access; client_body_temp_path $T/road.body; proxy_temp_path $T/road.tmp; fastcgi_temp_path $T/road.x1; uwsgi_temp_path $T/road.x2; scgi_temp_path $T/road.x3;
    server {
        listen 127.0.0.1:$ROAD_PORT ssl; listen [::1]:$ROAD_PORT ssl; ssl_certificate $SITE/tls/server.pem; ssl_certificate_key $SITE/tls/server.key;
        root $T/lie; default_type application/json;
        location / { try_files \$uri @site; include $T/road.drip; }
        location @site { proxy_pass $HTTPS; proxy_ssl_certificate $T/$1/state/current/cert.pem; proxy_ssl_certificate_key $T/$1/state/current/key.pem; proxy_ssl_session_reuse off; }
        location /update/v1/artifact/ { alias $T/road/artifact/; include $T/road.bend; }
        location /update/v1/blocks/ { alias $T/road/blocks/; }
    }
}
END
    road_open
}
road_open() {
    nginx -p "$T" -c "$T/road.conf" 2>>"$T/road.log" &
    road_pid=$!
    own $road_pid
    wait_for 20 curl -sfk -o "$T/out.road" "$ROAD/healthz"
}
road_bend() { # nginx directives for the artifact's location; none: as it was
    printf '%s\n' "$*" >"$T/road.bend"
    kill $road_pid; wait $road_pid 2>/dev/null
    road_open
}

device() { # UID [configuration lines]: a born device that runs version 1.0.0 in slot a
    uid=$1; shift
    agent_conf "$uid"
    mkdir -p "$T/$uid/slots"
    cat >>"$T/$uid.conf" <<END
line = vib
model = vib-1
update_poll_s = 1
update_root = $R/1.root.json
update_handlers = raw
version_file = $T/$uid/running
slot_a = $T/$uid/slots/a
slot_b = $T/$uid/slots/b
END
    printf '%s\n' "$@" >>"$T/$uid.conf"
    [ -e "$T/img/1.0.0" ] || image 1.0.0 5000
    cp "$T/img/1.0.0" "$T/$uid/slots/a"
    echo 1.0.0 >"$T/$uid/running"
    cradle device add "$uid" --model vib-1 >>"$T/log" 2>&1 && cradle-agent -c "$T/$uid.conf" enroll >>"$T/agent.log" 2>&1
}
boot() { # UID: what a boot loader does: the version in the slot that is named is the one that runs
    slot=$(cat "$T/$1/state/update/slot" 2>/dev/null || echo a)
    head -n 1 "$T/$1/slots/$slot" >"$T/$1/running"
}
running() { cat "$T/$1/running"; }
order() { api -d "{\"release\":\"$2\",\"note\":\"test\"}" "$HTTPS/api/v1/devices/$1/order" | jq -r '.sequence // .detail'; } # UID RELEASE: its sequence
once() { cradle-agent -c "$T/$1.conf" update once >>"$T/agent.log" 2>&1; } # UID
status() { cradle-agent -c "$T/$1.conf" update status; } # UID
state_is() { [ "$(status "$1" | jq -r .state)" = "$2" ]; } # UID STATE
