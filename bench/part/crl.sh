#!/bin/sh
# crl.sh: signed CRLs of a million entries out of the database, and their memory; beside `openssl ca -gencrl`.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=crl
N=$(few 1000000 100000) SMALL=20000
peer_ca
index() { # COUNT: an index.txt of revoked certificates
    awk -v n="$1" 'BEGIN { for (i = 1; i <= n; i++) printf "R\t361120000000Z\t261120000000Z,keyCompromise\t%032X\tunknown\t/CN=dev-%d\n", i, i }' >"$P/index.txt"
}
gencrl() { # SAMPLES: time in ms, memory in KiB
    command time -f '%e %M' -o "$T/time" openssl ca -gencrl -config "$P/ca.cnf" -out "$P/crl.pem" 2>"$T/ca.log" || die "openssl ca -gencrl"
    sample "$1" "$(awk '{ print $1 * 1000 }' "$T/time")"; sample "$1_kib" "$(awk '{ print $2 }' "$T/time")"
}
command -v time >/dev/null 2>&1 || [ -x /usr/bin/time ] || die "GNU time is missing"
for i in $(rounds 5); do
    j=$("$BB/crl_make" "$N" 16) || die "crl_make"
    sampled ours ms "$j"; sampled ours_read read_ms "$j"; sampled ours_kib extra_kib "$j"
    j=$("$BB/crl_make" "$N" 1) || die "crl_make"
    sampled whole ms "$j"; sampled whole_kib extra_kib "$j"
    j=$("$BB/crl_make" $SMALL 1) || die "crl_make"
    sampled small ms "$j"
    index $SMALL; gencrl peer_small
    [ "$i" -gt 1 ] || { index "$N"; gencrl peer; }
done
row "$N entries, 16 shards (the default), rows to signed CRLs" ms ours 500 "openssl ca -gencrl, one run" peer
row "of it reading the rows" ms ours_read ""
row "$N entries, 16 shards, memory beside the open database" KiB ours_kib 32768 "openssl ca -gencrl, whole process" peer_kib
row "$N entries in one CRL" ms whole 500 "openssl ca -gencrl, one run" peer
row "$N entries in one CRL, memory" KiB whole_kib 32768 "openssl ca -gencrl, whole process" peer_kib
row "$SMALL entries in one CRL" ms small "" "openssl ca -gencrl" peer_small
