# ca.sh: a site with edge and broker, and devices enrolled by EST, for tests of CAs. Source after lib.sh.
. t/broker.sh
need curl curl; need jq jq
PATH="$B/t:$PATH"
est() { # IDENTITY OPERATION UID: "CODE REASON" of an enrollment for UID
    openssl req -new -key "$PKI/$3.key" -subj "/CN=$3" -outform DER 2>/dev/null | openssl base64 >"$T/csr"
    curl -s --cacert "$SITE/ca/bundle.pem" --cert "$1.pem" --key "$1.key" -H 'Content-Type: application/pkcs10' --data-binary @"$T/csr" \
        -D "$T/head" -o "$T/p7" -w '%{http_code} ' "$HTTPS/.well-known/est/$2"
    tr -d '\r' <"$T/head" | sed -n 's/^x-cradle-reason: //Ip'
}
unpack() { openssl base64 -d -in "$T/p7" | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 >"$PKI/$1.pem" 2>/dev/null; }
enroll() { # UID: prints the HTTP status
    openssl ecparam -genkey -name prime256v1 -noout -out "$PKI/$1.key" 2>/dev/null
    est "$T/st/st" simpleenroll "$1" | tr -d ' '
    unpack "$1"
}
issuer() { openssl x509 -in "$PKI/$1.pem" -noout -issuer -nameopt multiline | sed -n 's/^ *commonName *= //p'; }
cacerts() { curl -s --cacert "$SITE/ca/bundle.pem" "$HTTPS/.well-known/est/cacerts" | openssl base64 -d | openssl pkcs7 -inform DER -print_certs; }
live() { # UID: a session that stays; what becomes of it is in $T/UID.out
    mq "$1" "$1" hold=120 >"$T/$1.out" 2>&1 & own $!
    wait_for 10 grep -q "connack 0" "$T/$1.out"
}
closed() { wait_for 10 grep -q closed "$T/$1.out"; }
stays() { ! grep -q closed "$T/$1.out"; }
refused() { mq "$1" | grep -qE "connack 5|fail handshake"; }
gets_in() { mq "$1" | grep -q "connack 0"; }
ca_site() { # LINE: cradled, a station st, model m-LINE, cradle-edge and mosquitto
    site_init && site_start || return 1
    PORT=$((BASE + 5)) PKI=$T/dev
    mkdir -p "$PKI"; cp "$SITE/ca/bundle.pem" "$PKI/bundle.pem" # as of now: nobody brings the broker another one
    cradle line add "$1" >/dev/null && cradle model add "m-$1" --line "$1" >/dev/null && cradle station add st --out "$T/st" >/dev/null || return 1
    cradle edge add edge-1 --out "$T/edge" >/dev/null || return 1
    echo "report_group = $(id -gn)" >>"$T/edge/edge.conf"
    cradle-edge -c "$T/edge/edge.conf" 2>>"$T/edge.log" & own $!
    wait_for 20 test -s "$T/edge/state/revocation.snap" || { sed "s/^/# /" "$T/edge.log"; return 1; }
    cradle broker config --out "$T/broker" --edge-dir "$T/edge/state" --port $PORT --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null || return 1
    cp "$T/broker/mosquitto.conf" "$T/mosquitto.conf"
    broker_start || { tail "$T/broker.log" | sed 's/^/# /'; return 1; }
}
