#!/bin/sh
# storm.sh: 10 000 idle mTLS sessions, a key and certificate each, on one broker; all of them back after the broker was killed, with
# revocations meanwhile; 500 revocations at once. Client, broker and cradled share the processors.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
. t/load.sh
PART=storm
N=$(few 10000 300) BATCH=$(few 500 30) MEANWHILE=$(few 100 10)
[ "$(ulimit -n)" -ge $((N + 200)) ] || { N=$(($(ulimit -n) - 200)); say "only $N sessions: the hard limit of open files is $(ulimit -n)"; }
load_rss() { rss_kib "$LOAD"; }
wait_live() { wait_for "$1" load_live l1 "$2" || die "$(load_get l1 live) of $2 sessions after $1 s"; }
settled() { wait_for 120 presence_is e1 "$1" || die "$(presence e1) identities are online in the register, $1 have a session"; }
revoke_some() { # FROM COUNT CONNECTIONS NAME
    seq "$1" $(($1 + $2 - 1)) | sed 's/^/d-/' | revoke_all "" "$3" >"$T/$4" || die "revocations failed"
}

fleet_site || die "no site"
a=$(ns)
fleet_make d "$N" || die "the fleet cannot be enrolled: $(cat "$T"/*.json)"
sample made "$(rate "$N" "$a" "$(ns)")"
edge_make e1 && edge_start e1 && edge_ready e1 || die "no edge"
fleet_broker b1 e1 $((BASE + 5)) && fleet_broker_start b1 || die "no broker"
before=$(rss_kib "$BROKER")
a=$(ns)
load_start l1 $((BASE + 5)) "-r 5000 -k 600 -b 500:8000"
wait_for 30 test -s "$T/l1.json" || die "no load client"
empty=$(load_rss)
wait_live 180 "$N"
sample login "$(rate "$N" "$a" "$(ns)")"
sample broker "$(awk -v a="$before" -v b="$(rss_kib "$BROKER")" -v n="$N" 'BEGIN { printf "%.1f", (b - a) / n }')"
sample client "$(awk -v a="$empty" -v b="$(load_rss)" -v n="$N" 'BEGIN { printf "%.1f", (b - a) / n }')"
settled "$N"

# the storm: everybody comes back at once; some of them are revoked meanwhile
kill -9 "$BROKER"; wait "$BROKER" 2>/dev/null
fleet_broker_start b1 || die "the broker does not come back"
a=$(ns)
sleep 1
revoke_some 0 "$MEANWHILE" 2 meanwhile
left=$((N - MEANWHILE))
wait_live 180 $left
sample back "$(awk -v a="$a" -v b="$(ns)" 'BEGIN { printf "%.1f", (b - a) / 1e9 }')"
settled $left
sample settled "$(awk -v a="$a" -v b="$(ns)" 'BEGIN { printf "%.1f", (b - a) / 1e9 }')"
late=$(let_in_late "$T/meanwhile" "$T/l1.load" 1000)
[ -z "$late" ] || die "revoked during the storm and let in more than a second later: $late"
cut_times "$T/meanwhile" "$T/l1.load" | grep -q open && die "revoked during the storm, and the session is live"

# many at once
lost=$(load_get l1 lost)
revoke_some "$MEANWHILE" "$BATCH" 8 batch
left=$((left - BATCH))
wait_live 30 $left
sleep 2
wait_live 1 $left
[ "$(($(load_get l1 lost) - lost))" = "$BATCH" ] || die "$(($(load_get l1 lost) - lost)) sessions ended, $BATCH were revoked"
cut_times "$T/batch" "$T/l1.load" | awk '{ print $2 }' >"$T/cut"
[ "$(grep -c '^[-0-9.]*$' "$T/cut")" = "$BATCH" ] || die "$(wc -l <"$T/cut") of $BATCH were seen to be cut"
sample cut50 "$(percentile 50 <"$T/cut")"; sample cut99 "$(percentile 99 <"$T/cut")"; sample cutmax "$(percentile 100 <"$T/cut")"
sample whole "$(awk 'NR == FNR { at[$1] = 1; if (!min || $2 < min) min = $2; next } $2 == "down" && $3 in at && $1 > max { max = $1 } END { print (max - min) / 1000 }' "$T/batch" "$T/l1.load")"
settled $left

row "devices registered and enrolled over 16 connections, a key each" devices/s made ""
row "logins, $N sessions, until all are live" logins/s login ""
row "idle session, broker with plugin ($N sessions, a certificate each)" KiB broker ""
row "idle session, load client" KiB client 30
row "broker killed: all $((N - MEANWHILE)) sessions back, $MEANWHILE revoked meanwhile and none of them let in" s back ""
row "until the register shows each of them online" s settled ""
row "$BATCH revocations at once: first request to last closed socket" ms whole ""
row "durable answer to closed socket, median" ms cut50 ""
row "durable answer to closed socket, p99" ms cut99 ""
row "durable answer to closed socket, longest" ms cutmax ""
