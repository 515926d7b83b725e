# lib.sh (bench): shared by bench/part/*.sh: samples, medians, rows of the result, a site with a station. Source it from the root of the tree.
CRADLE_BUILD=${CRADLE_BUILD:-$PWD/build/release}
. t/lib.sh
BB=$B/bench
ROWS=${ROWS:-$T/rows}
QUICK=${QUICK:-}
ulimit -n "$(ulimit -Hn)"

say() { echo "bench: $*" >&2; }
die() { say "$*"; tail -n 5 "$T"/*.log >&2 2>/dev/null; exit 1; }
# few FULL QUICK: how much of something, depending on --quick
few() { if [ -n "$QUICK" ]; then echo "$2"; else echo "$1"; fi; }
rounds() { n=$(few "$1" 1); [ "$n" -le "${ROUNDS:-$n}" ] || n=$ROUNDS; seq "$n"; }
sample() { printf '%s\n' "$2" >>"$T/sample.$1"; }                    # NAME NUMBER
sampled() { sample "$1" "$(printf '%s\n' "$3" | jq -r ".$2")"; }     # NAME FIELD JSON
middle() { sort -g "$T/sample.$1" | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
taken() { wc -l <"$T/sample.$1"; }
# row WHAT UNIT SAMPLES GOAL [PEER PEER-SAMPLES]: one line of the result. Rates are better when higher, everything else when lower; the ratio
# says how many times better than the peer.
row() {
    ours=$(middle "$3") runs=$(taken "$3") theirs= ratio=
    if [ -n "${6:-}" ]; then
        theirs=$(middle "$6")
        ratio=$(awk -v a="$ours" -v b="$theirs" -v u="$2" 'BEGIN { x = u ~ /\/s$/ ? a / b : b / a; printf x < 10 ? "%.2f" : "%.0f", x }')
    fi
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$PART" "$1" "$ours" "$2" "${5:-}" "$theirs" "$ratio" "$4" "$runs" >>"$ROWS"
    say "$1: $ours $2${5:+; $5: $theirs, ratio $ratio}"
}
rate() { awk -v n="$1" -v a="$2" -v b="$3" 'BEGIN { printf "%.1f\n", n * 1e9 / (b - a) }'; } # COUNT FROM_NS TO_NS
ns() { date +%s%N; }
# CPU time of a process so far, microseconds (clock ticks of 10 ms: take long runs)
cpu_us() { awk '{ sub(/.*\) /, ""); print ($12 + $13) * 10000 }' "/proc/$1/stat" 2>/dev/null || echo 0; }
rss_kib() { for p; do awk '/^VmRSS/ { print $2 }' "/proc/$p/status"; done | awk '{ s += $1 } END { print s }'; }
roles() { pgrep -P "$CRADLED" -f "cradled -x $1"; }               # pids of a role of our own cradled
nginx_workers() { for p in $(pgrep -P "$CRADLED" nginx); do pgrep -P "$p"; done; }

key_make() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }
# A running site on free ports with line and model "bench" and a station; limits for one address are out of the way.
station_site() {
    site_init || die "cradle init failed"
    { echo "requests_per_second = 1000000"; echo "connections_per_address = 65535"; echo "mass_revoke_confirm = 1000000"; } >>"$SITE/cradled.conf"
    site_start || die "cradled does not start"
    cradle line add bench >/dev/null && cradle model add bench --line bench >/dev/null || die "the line cannot be added"
    key_make "$T/station.key"
    openssl req -new -key "$T/station.key" -subj /CN=station1 -outform DER | openssl base64 -A >"$T/station.csr"
    curl -s $ADMIN -H 'Content-Type: application/json' "$HTTPS/api/v1/operators" \
        -d "{\"name\":\"station1\",\"role\":\"station\",\"lines\":\"bench\",\"csr\":\"$(cat "$T/station.csr")\"}" | jq -r .certificate >"$T/station.pem"
    openssl x509 -in "$T/station.pem" -noout 2>/dev/null || die "the station has no certificate"
}
register() { "$BB/est_load" "$HTTPS/api/v1/devices" "$SITE/ca/bundle.pem" "$SITE/operators/admin.pem" "$SITE/operators/admin.key" "$1" "$2" "${3:-64}"; } # PREFIX COUNT [CONNECTIONS]
enroll() { "$BB/est_load" "$HTTPS/.well-known/est/simpleenroll" "$SITE/ca/bundle.pem" "$T/station.pem" "$T/station.key" "$1" "$2" "${3:-64}"; }

# The CA of `openssl ca`, the peer: P-256 as well, in $T/peer.
peer_ca() {
    P=$T/peer
    mkdir -p "$P/new"
    cat >"$P/ca.cnf" <<END
[req]
distinguished_name = dn
prompt = no
[dn]
CN = Peer CA
[ca]
default_ca = x
[x]
database = $P/index.txt
serial = $P/serial
crlnumber = $P/crlnumber
new_certs_dir = $P/new
certificate = $P/ca.pem
private_key = $P/ca.key
default_md = sha256
default_days = 365
default_crl_days = 7
policy = any
unique_subject = no
x509_extensions = leaf
crl_extensions = crl
[any]
commonName = supplied
[crl]
authorityKeyIdentifier = keyid
[top]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign,digitalSignature
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:http://localhost/crl/0.crl
[server]
subjectAltName = DNS:localhost,IP:127.0.0.1
END
    : >"$P/index.txt"; echo 1000 >"$P/serial"; echo 01 >"$P/crlnumber"
    key_make "$P/ca.key"
    openssl req -x509 -new -config "$P/ca.cnf" -extensions top -key "$P/ca.key" -days 30 -out "$P/ca.pem"
}
peer_csrs() { # COUNT
    key_make "$P/leaf.key"
    for i in $(seq "$1"); do openssl req -new -key "$P/leaf.key" -subj "/CN=dev-$i" -out "$P/$i.csr"; done
}
# stock_cut [COMMAND …]: stock Mosquitto with crlfile (peer_ca comes before): is the session of a revoked client still open 5 s after SIGHUP?
# How long it was seen alive, ms, is a sample of "stock"; STOCK says which case it was.
stock_cut() {
    port=$(free_ports)
    for n in server client; do
        key_make "$P/$n.key"; openssl req -new -key "$P/$n.key" -subj "/CN=$n" -out "$P/$n.csr"
        openssl ca -batch -notext -config "$P/ca.cnf" -in "$P/$n.csr" -out "$P/$n.pem" 2>"$T/ca.log" || die "openssl ca"
    done
    openssl req -x509 -new -key "$P/server.key" -config "$P/ca.cnf" -extensions server -CA "$P/ca.pem" -CAkey "$P/ca.key" -out "$P/server.pem" 2>"$T/ca.log" ||
        openssl x509 -req -in "$P/server.csr" -CA "$P/ca.pem" -CAkey "$P/ca.key" -CAcreateserial -extfile "$P/ca.cnf" -extensions server -out "$P/server.pem" 2>"$T/ca.log"
    openssl ca -gencrl -config "$P/ca.cnf" -out "$P/crl.pem" 2>"$T/ca.log"
    cat >"$P/mosquitto.conf" <<END
listener $port 127.0.0.1
cafile $P/ca.pem
certfile $P/server.pem
keyfile $P/server.key
crlfile $P/crl.pem
require_certificate true
use_identity_as_username true
log_type error
END
    [ "$(id -u)" != 0 ] || echo "user root" >>"$P/mosquitto.conf"
    "$@" mosquitto -c "$P/mosquitto.conf" 2>"$T/stock.log" & stock=$!; own $stock
    wait_for 10 sh -c "$* ss -Hltn 'sport = :$port' | grep -q ." || die "stock mosquitto does not start"
    as="-h localhost -p $port --cafile $P/ca.pem --cert $P/client.pem --key $P/client.key"
    "$@" mosquitto_sub $as -i client -t news >"$T/news" & sub=$!; own $sub
    wait_for 10 sh -c "$* mosquitto_pub $as -i other -t news -m before && grep -q before '$T/news'" || die "stock mosquitto lets nobody in"
    a=$(ns)
    openssl ca -revoke "$P/client.pem" -config "$P/ca.cnf" 2>"$T/ca.log" && openssl ca -gencrl -config "$P/ca.cnf" -out "$P/crl.pem" 2>"$T/ca.log"
    kill -HUP $stock
    wait_for 6 sh -c "! kill -0 $sub"
    if "$@" mosquitto_pub $as -i other -t news -m after 2>/dev/null; then say "note: stock mosquitto still lets the revoked client in anew"; fi
    sample stock "$(awk -v a="$a" -v b="$(ns)" 'BEGIN { printf "%.0f", (b - a) / 1e6 }')"
    kill -0 $sub 2>/dev/null && STOCK="stock mosquitto, crlfile and SIGHUP (still open after)" || STOCK="stock mosquitto, crlfile and SIGHUP"
    kill $sub $stock
}
stock_conf() { # PORT: of a Mosquitto without the plugin, for the site's devices
    cat <<END
user $(id -un)
log_type error
listener $1 127.0.0.1
cafile $SITE/ca/bundle.pem
certfile $SITE/tls/server.pem
keyfile $SITE/tls/server.key
require_certificate true
use_identity_as_username true
END
}
