#!/bin/sh
# crl.sh: signed CRLs of a million entries out of the database, and the memory of both processes that make them; beside `openssl ca -gencrl`. Judged by openssl and certtool.
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
crl() { # SAMPLES ENTRIES SHARDS: wall and CPU of both processes, memory of the one that needs more
    mkdir -p "$T/crl"
    j=$("$BB/crl_make" "$2" "$3" "$T/crl" 2>"$T/crl.log" | jq -c '. + { cpu_ms: (.maker_cpu_ms + .signer_cpu_ms), kib: ([.extra_kib, .signer_kib] | max) }') || die "crl_make"
    sampled "$1" ms "$j"; sampled "$1_cpu" cpu_ms "$j"; sampled "$1_kib" kib "$j"
}
judge() { # SHARD COMMAND...
    openssl crl -inform DER -in "$T/crl/$1.crl" -out "$T/crl/$1.pem" -CAfile "$T/crl/bundle.pem" 2>&1 | grep -q 'verify OK' || die "openssl does not verify the CRL"
    shift
    "$@" >"$T/judge.log" 2>&1 || die "$1 does not verify the CRL"
}
command -v time >/dev/null 2>&1 || [ -x /usr/bin/time ] || die "GNU time is missing"
for i in $(rounds 5); do
    crl ours "$N" 16
    [ "$i" -gt 1 ] || judge 1 certtool --verify-crl --load-ca-certificate "$T/crl/device.pem" --infile "$T/crl/1.pem" # of a million it takes minutes
    crl small $SMALL 1
    crl whole "$N" 1
    [ "$i" -gt 1 ] || judge 0 true
    index $SMALL; gencrl peer_small
    [ "$i" -gt 1 ] || { index "$N"; gencrl peer; }
done
row "$N entries, 16 shards (the default), rows to durable CRLs, wall" ms ours 500 "openssl ca -gencrl, one run" peer
row "CPU of core and signer together" ms ours_cpu ""
row "$N entries, 16 shards, memory of core beside the open database, or of the signer" KiB ours_kib 32768 "openssl ca -gencrl, whole process" peer_kib
row "$N entries in one CRL, wall" ms whole 500 "openssl ca -gencrl, one run" peer
row "CPU of core and signer together, one CRL" ms whole_cpu ""
row "$N entries in one CRL, memory of core beside the open database, or of the signer" KiB whole_kib 32768 "openssl ca -gencrl, whole process" peer_kib
row "$SMALL entries in one CRL" ms small "" "openssl ca -gencrl" peer_small
