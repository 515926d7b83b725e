# broker.sh: a real Mosquitto with the plugin, certificates from openssl alone, snapshots from t/tool/snapmake.c. Source after lib.sh.
PKI=$T/pki
STATE=$T/state
POLICY=$T/policy
cat >"$POLICY" <<END
cradle-policy 1
line lineA alarm
 w d/%u/up/#
 r d/%u/down/#
 q d/%u/repair/#
line lineB alarm
 w d/%u/up/#
 r d/%u/down/#
 q d/%u/repair/#
backend backend
 w d/+/down/#
 r d/+/up/#
END
need mosquitto mosquitto; need mosquitto_sub mosquitto-clients; need openssl openssl
case $B in */asan) # the plugin is instrumented, the broker is not
    PRELOAD="$(gcc -print-file-name=libasan.so):$(gcc -print-file-name=libubsan.so)" ;;
*) PRELOAD= ;;
esac

pki_make() { # root, device and infra CA, server certificate
    mkdir -p "$PKI"
    cat >"$PKI/ca.cnf" <<END
[req]
distinguished_name = dn
[dn]
[ca]
default_ca = x
[x]
database = $PKI/index.txt
serial = $PKI/serial
new_certs_dir = $PKI
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
[v3_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[v3_leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[v3_idevid]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
subjectAltName = otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hw
[v3_idevid_own]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = 2.25.139923960999525251500141259579953825029
authorityKeyIdentifier = keyid
subjectAltName = otherName:1.3.6.1.5.5.7.8.4;SEQUENCE:hw
[hw]
type = OID:1.3.6.1.4.1.32473.7
serial = FORMAT:ASCII,OCTETSTRING:SN-1
[v3_server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost,IP:127.0.0.1
authorityKeyIdentifier = keyid
END
    : >"$PKI/index.txt"; echo 1000 >"$PKI/serial"
    openssl ecparam -genkey -name prime256v1 -noout -out "$PKI/root.key" 2>/dev/null
    openssl req -x509 -new -key "$PKI/root.key" -subj /CN=root -days 30 -config "$PKI/ca.cnf" -extensions v3_ca -out "$PKI/root.pem"
    for ca in device infra foreign; do leaf $ca root v3_ca; done
    leaf localhost root v3_server
    cat "$PKI/root.pem" "$PKI/device.pem" "$PKI/infra.pem" "$PKI/foreign.pem" >"$PKI/bundle.pem"
}
leaf() { # name issuer extensions [SAN URI] [end date YYYYMMDDHHMMSSZ] : NAME.key NAME.pem
    openssl ecparam -genkey -name prime256v1 -noout -out "$PKI/$1.key" 2>/dev/null
    set -- "$1" "$2" "$3" "${4:-}" "${5:-$(date -u -d '+20 days' +%Y%m%d%H%M%SZ)}"
    if [ -n "$4" ]; then set -- "$@" -addext "subjectAltName=URI:$4"; fi
    name=$1 issuer=$2 ext=$3 end=$5; shift 5
    openssl req -new -key "$PKI/$name.key" -subj "/CN=$name" -config "$PKI/ca.cnf" "$@" -out "$PKI/$name.csr"
    openssl ca -batch -notext -config "$PKI/ca.cnf" -cert "$PKI/$issuer.pem" -keyfile "$PKI/$issuer.key" -extensions "$ext" \
        -startdate 20200101000000Z -enddate "$end" -in "$PKI/$name.csr" -out "$PKI/$name.pem" 2>"$PKI/ca.log" || sed 's/^/# /' "$PKI/ca.log"
}
device() { leaf "$1" device v3_leaf "urn:cradle:${2:-lineA}:$1" "${3:-}"; }
aki_of() { openssl x509 -in "$PKI/$1.pem" -noout -ext authorityKeyIdentifier | sed -n 's/^ *\(keyid:\)\{0,1\}\([0-9A-F:]\{59\}\)$/\2/p' | tr -d :; }
serial_of() { openssl x509 -in "$PKI/$1.pem" -noout -serial | sed 's/serial=//'; }

broker_conf() { # extra lines on stdin
    cat >"$T/mosquitto.conf" <<END
per_listener_settings false
allow_anonymous false
plugin $B/cradle_mosquitto.so
plugin_opt_snapshot_dir $STATE
plugin_opt_stream_pub $T/stream.pub
plugin_opt_device_ca $PKI/device.pem
plugin_opt_backend_ca $PKI/infra.pem
$(cat)
listener $PORT 127.0.0.1
cafile $PKI/bundle.pem
certfile $PKI/localhost.pem
keyfile $PKI/localhost.key
require_certificate true
${LISTENER_EXTRA:-}
user $(id -un)
log_dest stderr
log_type all
END
}
broker_start() {
    LD_PRELOAD=$PRELOAD ASAN_OPTIONS=detect_leaks=0:exitcode=99 mosquitto -c "$T/mosquitto.conf" >>"$T/broker.log" 2>&1 &
    BROKER=$!
    own $BROKER
    wait_for 10 broker_decided
    broker_listens
}
broker_listens() { ss -Hltn | grep -q ":$PORT "; }
broker_decided() { broker_listens || case "$(sed 's/.*) //' "/proc/$BROKER/stat" 2>/dev/null)" in '' | Z*) true ;; *) false ;; esac; } # it listens, or it has ended
broker_stop() { kill "$BROKER" 2>/dev/null; wait "$BROKER" 2>/dev/null; }
logged() { wait_for "${2:-5}" grep -qE -- "$1" "$T/broker.log"; }
mq() { # name [client id] [options…]
    n=$1; id=${2:-$1}; shift; [ $# -gt 0 ] && shift
    mqttcli "$PORT" "$PKI/bundle.pem" "$PKI/$n.pem" "$PKI/$n.key" "$id" "$@"
}
snap_new() { snapmake snapshot "$T/stream.key" "$STATE" "$@" "policy:$POLICY"; } # VECTOR ENTRY…
frame() { snapmake frame "$T/stream.key" "$STATE" "$@"; }
policy_now() { # PREV VECTOR: the document on standard input is in force from now on
    cat >"$POLICY.new"
    frame "$1" "$2" "-policy:$POLICY" "policy:$POLICY.new" && mv "$POLICY.new" "$POLICY"
}
