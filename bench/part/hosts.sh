#!/bin/sh
# hosts.sh: from the revocation to the closed MQTT socket across two hosts: server and broker in network namespaces with 50 ms of delay each
# way between them; beside stock Mosquitto with a CRL file and SIGHUP on that host. Needs root.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
. t/links.sh
links_enter bench/part/hosts.sh
. t/load.sh
PART=hosts
N=$(few 1000 100) VICTIMS=$(few 100 10) DELAY=50
links_site || die "no site"
fleet_make d $((N + VICTIMS * $(rounds 3 | wc -l))) || die "the fleet cannot be enrolled: $(cat "$T"/*.json)"
edge_make ea; edge_start ea $ON_A; edge_ready ea || die "no edge"
fleet_broker ba ea 8883; fleet_broker_start ba $ON_A || die "no broker"
load_start la 8883 "-r 1000" $ON_A
wait_for 120 load_live la "$(ls "$T/fleet" | wc -l)" || die "$(load_get la live) sessions are live"
link_do a delay $DELAY
peer_ca
stock_cut $ON_A
sleep 3
first=$N
for i in $(rounds 3); do
    seq "$first" $((first + VICTIMS - 1)) | sed 's/^/d-/' | revoke_all "-r 10" 1 >"$T/revoked" || die "revocations failed"
    first=$((first + VICTIMS))
    sleep 2
    cut_times "$T/revoked" "$T/la.load" | awk '{ print $2 }' >"$T/cut"
    [ "$(grep -c '^[-0-9.]*$' "$T/cut")" = "$VICTIMS" ] || die "$(grep -c '^[-0-9.]*$' "$T/cut") of $VICTIMS were cut"
    for p in 50 99 100; do sample cut$p "$(percentile $p <"$T/cut")"; done
done
row "two hosts, $DELAY ms of delay each way, $N sessions: durable answer to closed socket, median" ms cut50 "" "$STOCK" stock
row "durable answer to closed socket, p99" ms cut99 1000 "$STOCK" stock
row "durable answer to closed socket, longest" ms cut100 ""
