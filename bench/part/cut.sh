#!/bin/sh
# cut.sh: from the revocation to the closed MQTT socket, among 1, 1 000 and 5 000 live mTLS sessions; beside stock Mosquitto with a CRL file and
# SIGHUP. And what a register of a million revoked certificates costs the deciding thread.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=cut

stock() { # is the session of a revoked client still open 5 s after SIGHUP? says how long it was seen alive, ms
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
    mosquitto -c "$P/mosquitto.conf" 2>"$T/stock.log" & stock=$!; own $stock
    wait_for 10 sh -c "ss -Hltn 'sport = :$port' | grep -q ." || die "stock mosquitto does not start"
    as="-h localhost -p $port --cafile $P/ca.pem --cert $P/client.pem --key $P/client.key"
    mosquitto_sub $as -i client -t news >"$T/news" & sub=$!; own $sub
    wait_for 10 sh -c "mosquitto_pub $as -i other -t news -m before && grep -q before '$T/news'" || die "stock mosquitto lets nobody in"
    a=$(ns)
    openssl ca -revoke "$P/client.pem" -config "$P/ca.cnf" 2>"$T/ca.log" && openssl ca -gencrl -config "$P/ca.cnf" -out "$P/crl.pem" 2>"$T/ca.log"
    kill -HUP $stock
    wait_for 6 sh -c "! kill -0 $sub"
    if mosquitto_pub $as -i other -t news -m after 2>/dev/null; then say "note: stock mosquitto still lets the revoked client in anew"; fi
    sample stock "$(awk -v a="$a" -v b="$(ns)" 'BEGIN { printf "%.0f", (b - a) / 1e6 }')"
    kill -0 $sub 2>/dev/null && STOCK="stock mosquitto, crlfile and SIGHUP (still open after)" || STOCK="stock mosquitto, crlfile and SIGHUP"
    kill $sub $stock
}
peer_ca
stock
for i in $(rounds 3); do
    sh bench/cut_latency.sh $(few "1 1000 5000" "1 200") >"$T/cut" || die "cut_latency"
    while read -r j; do
        n=$(printf '%s\n' "$j" | jq -r .sessions)
        for at in answer answer_to_close request_to_close; do
            for p in p50 p99; do sampled "$n.$at.$p" "${at}_ms.$p" "$j"; done
        done
        sampled "$n.login" logins_per_s "$j"
    done <"$T/cut"
    j=$("$BB/stream_snapshot" "$(few 1000000 50000)")
    sampled load load_ms "$j"; sampled worst worst_step_ms "$j"; sampled meanwhile revocation_meanwhile_ms "$j"
done
for n in $(few "1 1000 5000" "1 200"); do
    row "revocation among $n sessions: request to durable answer, median" ms "$n.answer.p50" ""
    row "durable answer to closed socket, median (below 0: cut first)" ms "$n.answer_to_close.p50" ""
    row "durable answer to closed socket, p99" ms "$n.answer_to_close.p99" 50
    row "request to closed socket, median" ms "$n.request_to_close.p50" "" "$STOCK" stock
    row "request to closed socket, p99" ms "$n.request_to_close.p99" "" "$STOCK" stock
done
row "1 000 000 revoked: loaded at start in" ms load ""
row "1 000 000 revoked: longest step of core while a snapshot is made" ms worst ""
row "1 000 000 revoked: a revocation meanwhile" ms meanwhile ""
