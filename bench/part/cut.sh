#!/bin/sh
# cut.sh: from the revocation to the closed MQTT socket, among 1, 1 000 and 5 000 live mTLS sessions; beside stock Mosquitto with a CRL file and
# SIGHUP. And what a register of a million revoked certificates costs the deciding thread.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=cut

peer_ca
stock_cut
for i in $(rounds 3); do
    sh bench/cut_latency.sh $(few "1 1000 5000" "1 200") >"$T/cut" || die "cut_latency"
    while read -r j; do
        n=$(printf '%s\n' "$j" | jq -r .sessions)
        if printf '%s\n' "$j" | grep -q at_once; then
            sampled "$n.once.answer" at_once.answer_ms "$j"; sampled "$n.once.all" at_once.all_ms "$j"
            continue
        fi
        for at in answer answer_to_close request_to_close; do
            for p in p50 p99; do sampled "$n.$at.$p" "${at}_ms.$p" "$j"; done
        done
        sampled "$n.login" logins_per_s "$j"
    done <"$T/cut"
    j=$("$BB/stream_snapshot" "$(few 1000000 50000)")
    sampled load load_ms "$j"; sampled worst worst_step_ms "$j"; sampled meanwhile revocation_meanwhile_ms "$j"
done
for n in $(few "1 1000 5000" "1 200"); do
    row "500 of $n more sessions revoked by one request: to durable answer" ms "$n.once.answer" ""
    row "500 of $n more sessions revoked by one request: to the last closed socket" ms "$n.once.all" ""
    row "revocation among $n sessions: request to durable answer, median" ms "$n.answer.p50" ""
    row "durable answer to closed socket, median (below 0: cut first)" ms "$n.answer_to_close.p50" ""
    row "durable answer to closed socket, p99" ms "$n.answer_to_close.p99" 50
    row "request to closed socket, median" ms "$n.request_to_close.p50" "" "$STOCK" stock
    row "request to closed socket, p99" ms "$n.request_to_close.p99" "" "$STOCK" stock
done
row "1 000 000 revoked: loaded at start in" ms load ""
row "1 000 000 revoked: longest step of core while a snapshot is made" ms worst ""
row "1 000 000 revoked: a revocation meanwhile" ms meanwhile ""
