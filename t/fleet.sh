# fleet.sh: devices of a running site with real certificates, and their sessions at its broker. Source after broker.sh and site_start; the
# station "st" has its folder in $T/st, PORT is the broker's.
EST=$HTTPS/.well-known/est
PKI=$T/dev
mkdir -p "$PKI"; cp "$SITE/ca/bundle.pem" "$PKI/bundle.pem"
enroll() { # UID: key and certificate by EST, vouched for by the station; prints the status
    openssl ecparam -genkey -name prime256v1 -noout -out "$PKI/$1.key" 2>/dev/null
    openssl req -new -key "$PKI/$1.key" -subj "/CN=$1" -outform DER 2>/dev/null | openssl base64 |
        curl -s --cacert "$PKI/bundle.pem" --cert "$T/st/st.pem" --key "$T/st/st.key" -H 'Content-Type: application/pkcs10' --data-binary @- \
            -o "$PKI/$1.p7" -w '%{http_code}' "$EST/simpleenroll"
    openssl base64 -d -in "$PKI/$1.p7" 2>/dev/null | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 >"$PKI/$1.pem" 2>/dev/null
}
live() { # UID: a session that stays; its output in $T/UID.out
    mq "$1" "$1" hold=120 >"$T/$1.out" 2>&1 & LIVE=$!; own $LIVE
    wait_for 10 grep -q "connack 0" "$T/$1.out"
}
closed() { wait_for "${2:-10}" grep -q closed "$T/$1.out"; }
gets_in() { mq "$1" | grep -q "connack 0"; }
refused_at() { mq "$1" | grep -q "connack 5"; }
edge_start() { cradle-edge -c "$T/edge/edge.conf" 2>>"$T/edge.log" & EDGE=$!; own $EDGE; }
broker_up() { # of the configuration that `cradle broker config` wrote to $T/mosquitto.conf
    LD_PRELOAD=$PRELOAD ASAN_OPTIONS=detect_leaks=0:exitcode=99 mosquitto -c "$T/mosquitto.conf" >>"$T/broker.log" 2>&1 &
    BROKER=$!; own $BROKER
    wait_for 10 sh -c "ss -Hltn 'sport = :$PORT' | grep -q ."
}
