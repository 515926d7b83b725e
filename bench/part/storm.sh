#!/bin/sh
# storm.sh: 10 000 idle mTLS sessions, a key and certificate each, on one broker; all of them back after the broker was killed, with
# revocations meanwhile; 500 revocations at once. Beside stock Mosquitto with the same devices, which nobody can revoke there. Client,
# broker and cradled share the processors.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
. t/load.sh
PART=storm
N=$(few 10000 300) BATCH=$(few 500 30) MEANWHILE=$(few 100 10)
[ "$(ulimit -n)" -ge $((N + 200)) ] || { N=$(($(ulimit -n) - 200)); say "only $N sessions: the hard limit of open files is $(ulimit -n)"; }
OPTIONS="-r 5000 -k 600 -b 500:8000"
seconds() { awk -v a="$1" -v b="$(ns)" 'BEGIN { printf "%.1f", (b - a) / 1e9 }'; } # since FROM_NS
wait_live() { wait_for "$2" load_live "$1" "$3" || die "$(load_get "$1" live) of $3 sessions after $2 s"; }
settled() { wait_for 120 presence_is e1 "$1" || die "$(presence e1) identities are online in the register, $1 have a session"; }
revoke_some() { # FROM COUNT CONNECTIONS NAME
    seq "$1" $(($1 + $2 - 1)) | sed 's/^/d-/' | revoke_all "" "$3" >"$T/$4" || die "revocations failed"
}
fill() { # LOAD PORT SAMPLES: connects everybody to the broker $BROKER
    before=$(rss_kib "$BROKER")
    load_start "$1" "$2" "$OPTIONS"
    wait_for 60 test -s "$T/$1.json" || die "no load client"
    empty=$(rss_kib "$LOAD")
    a=$(ns)
    wait_live "$1" 300 "$N"
    sample "$3.login" "$(rate "$N" "$a" "$(ns)")"
    sample "$3.cpu" "$(awk -v c="$(cpu_us "$BROKER")" -v n="$N" 'BEGIN { printf "%.2f", c / n / 1000 }')"
    sample "$3.broker" "$(awk -v a="$before" -v b="$(rss_kib "$BROKER")" -v n="$N" 'BEGIN { printf "%.1f", (b - a) / n }')"
    sample client "$(awk -v a="$empty" -v b="$(rss_kib "$LOAD")" -v n="$N" 'BEGIN { printf "%.1f", (b - a) / n }')"
}

fleet_site || die "no site"
a=$(ns)
fleet_make d "$N" || die "the fleet cannot be enrolled: $(cat "$T"/*.json)"
sample made "$(rate "$N" "$a" "$(ns)")"

# stock
stock_conf $((BASE + 6)) >"$T/stock.conf"
mosquitto -c "$T/stock.conf" 2>"$T/stock.log" & BROKER=$!; own $BROKER
wait_for 10 broker_listens "$T/stock.conf" || die "stock mosquitto does not start"
fill stock $((BASE + 6)) stock
kill -9 $BROKER; wait $BROKER 2>/dev/null
mosquitto -c "$T/stock.conf" 2>"$T/stock.log" & BROKER=$!; own $BROKER
a=$(ns)
wait_for 10 broker_listens "$T/stock.conf" || die "stock mosquitto does not come back"
sleep 1
wait_live stock 300 "$N"
sample stock.back "$(seconds "$a")"
kill "$LOAD" $BROKER; wait "$LOAD" $BROKER

edge_make e1 && edge_start e1 && edge_ready e1 || die "no edge"
fleet_broker b1 e1 $((BASE + 5)) && fleet_broker_start b1 || die "no broker"
fill l1 $((BASE + 5)) ours
settled "$N"

# the storm: everybody comes back at once; some of them are revoked meanwhile
kill -9 "$BROKER"; wait "$BROKER" 2>/dev/null
a=$(ns)
fleet_broker_start b1 || die "the broker does not come back"
sleep 1
revoke_some 0 "$MEANWHILE" 2 meanwhile
left=$((N - MEANWHILE))
wait_live l1 300 $left
sample ours.back "$(seconds "$a")"
settled $left
sample settled "$(seconds "$a")"
late=$(let_in_late "$T/meanwhile" "$T/l1.load" 1000)
[ -z "$late" ] || die "revoked during the storm and let in more than a second later: $late"
cut_times "$T/meanwhile" "$T/l1.load" | grep -q open && die "revoked during the storm, and the session is live"

# many at once: a request each, then all in one
batch() { # NAME FROM: revokes BATCH devices from FROM on; samples NAME.50 .99 .100, and NAME.whole from the first request to the last end
    lost=$(load_get l1 lost)
    "$1" "$2" >"$T/$1" || die "revocations failed: $(cat "$T/$1.answer")"
    left=$((left - BATCH))
    wait_live l1 60 $left
    sleep 2
    wait_live l1 1 $left
    [ "$(($(load_get l1 lost) - lost))" = "$BATCH" ] || die "$(($(load_get l1 lost) - lost)) sessions ended, $BATCH were revoked"
    cut_times "$T/$1" "$T/l1.load" | awk '{ print $2 }' >"$T/cut"
    [ "$(grep -c '^[-0-9.]*$' "$T/cut")" = "$BATCH" ] || die "$(wc -l <"$T/cut") of $BATCH were seen to be cut"
    for p in 50 99 100; do sample "$1.$p" "$(percentile $p <"$T/cut")"; done
    sample "$1.whole" "$(awk 'NR == FNR { at[$1] = 1; if (!min || $2 < min) min = $2; next } $2 == "down" && $3 in at && $1 > max { max = $1 } END { print (max - min) / 1000 }' "$T/$1" "$T/l1.load")"
    settled $left
}
single() { seq "$1" $(($1 + BATCH - 1)) | sed 's/^/d-/' | revoke_all "" 8; }
together() {
    seq "$1" $(($1 + BATCH - 1)) | jq -sc '{uids: map("d-\(.)"), state: "revoked", reason: "keyCompromise"}' >"$T/uids.json"
    sent=$(($(ns) / 1000))
    curl -sf $ADMIN -H 'Content-Type: application/json' --data-binary "@$T/uids.json" "$HTTPS/api/v1/devices/state" >"$T/together.answer" || return 1
    seq "$1" $(($1 + BATCH - 1)) | sed "s/.*/d-& $sent $(($(ns) / 1000)) ok/"
}
batch single "$MEANWHILE"
batch together $((MEANWHILE + BATCH))

row "devices registered and enrolled over 16 connections, a key each" devices/s made ""
row "$N devices connect, a certificate each, until all are live" logins/s ours.login "" "stock mosquitto" stock.login
row "CPU of the broker for a login, TLS handshake included" ms ours.cpu "" "stock mosquitto" stock.cpu
row "idle session, broker with plugin ($N sessions)" KiB ours.broker "" "stock mosquitto" stock.broker
row "idle session, load client" KiB client 30
row "broker killed: all sessions are back (cradle: $MEANWHILE revoked meanwhile, none of them let in)" s ours.back "" "stock mosquitto" stock.back
row "until the register shows each of them online" s settled ""
for how in single together; do
    [ $how = single ] && text="8 connections, a request each" || text="in one request"
    row "$BATCH revocations at once, $text: first request to last closed socket" ms $how.whole ""
    row "durable answer to closed socket, median" ms $how.50 ""
    row "durable answer to closed socket, p99" ms $how.99 ""
    row "durable answer to closed socket, longest" ms $how.100 ""
done
