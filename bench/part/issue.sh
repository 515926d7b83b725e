#!/bin/sh
# issue.sh: durable issuance in process and through EST, and the signer alone, beside `openssl ca` and a textbook CA.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=issue
N=$(few 15000 3000) E=$(few 10000 1000) C=$(few 500 50) ONE=$(few 30 5)
say "issue: preparing"
peer_ca; peer_csrs "$C"
station_site
for i in $(rounds 5); do
    sampled one per_s "$("$BB/core_issue" "$N" 64)"
    sampled apart per_s "$("$BB/core_issue" "$N" 256 apart)"
    sampled signer per_s "$("$BB/signer_rate" cert 2)"
    sample book1 "$("$BB/textbook" 2 1)"
    sample book64 "$("$BB/textbook" 2 64)"
    a=$(ns); openssl ca -batch -notext -config "$P/ca.cnf" -infiles "$P"/[0-9]*.csr >/dev/null 2>"$T/ca.log" || die "openssl ca"; b=$(ns)
    sample ca_batch "$(rate "$C" "$a" "$b")"
    a=$(ns); for j in $(seq "$ONE"); do openssl ca -batch -notext -config "$P/ca.cnf" -in "$P/$j.csr" -out "$P/one.pem" 2>"$T/ca.log"; done; b=$(ns)
    sample ca_one "$(rate "$ONE" "$a" "$b")"
    j=$(register "d$i" "$E") || die "registration failed"
    sampled register per_s "$j"; sampled register99 p99_ms "$j"
    for r in core signer front; do eval "$r=0"; for p in $(roles $r); do eval "$r=\$(($r + \$(cpu_us $p)))"; done; done
    nginx=0; for p in $(nginx_workers); do nginx=$((nginx + $(cpu_us "$p"))); done
    j=$(enroll "d$i" "$E" 256) || die "enrollment failed"
    sampled est per_s "$j"; sampled est50 p50_ms "$j"; sampled est99 p99_ms "$j"; sampled client client_us "$j"
    for r in core signer front; do
        n=0; for p in $(roles $r); do n=$((n + $(cpu_us "$p"))); done
        eval "n=\$((n - $r))"; sample "cpu_$r" "$(awk -v n=$n -v e="$E" 'BEGIN { printf "%.0f", n / e }')"
    done
    n=0; for p in $(nginx_workers); do n=$((n + $(cpu_us "$p"))); done
    sample cpu_nginx "$(awk -v n=$((n - nginx)) -v e="$E" 'BEGIN { printf "%.0f", n / e }')"
    register "e$i" "$E" >/dev/null && j=$(enroll "e$i" "$E") || die "enrollment failed"
    sampled fewer per_s "$j"; sampled fewer50 p50_ms "$j"; sampled fewer99 p99_ms "$j"
done
row "durable issuance in process, one thread, 64 in flight" certificates/s one "" "textbook, 64 a transaction" book64
row "durable issuance in process, signer apart, 256 in flight" certificates/s apart "10000" "openssl ca, one batch" ca_batch
row "signer alone, one core" certificates/s signer "" "openssl ca, one batch" ca_batch
row "enrollment through EST, 256 kept-alive mTLS connections, each answered when it is durable" certificates/s est "4000" "openssl ca, one by one" ca_one
row "the same against a durable row a certificate" certificates/s est "" "textbook, 1 a transaction" book1
row "enrollment through EST, 256 connections, median latency" ms est50 ""
row "enrollment through EST, 256 connections, p99" ms est99 ""
for r in nginx front core signer; do row "CPU of $r for one enrollment" "µs" cpu_$r ""; done
row "CPU of the load's own client for one enrollment" "µs" client ""
row "enrollment through EST, 64 connections" certificates/s fewer "" "openssl ca, one by one" ca_one
row "enrollment through EST, 64 connections, median latency" ms fewer50 ""
row "enrollment through EST, 64 connections, p99" ms fewer99 ""
row "registration by REST, 64 kept-alive mTLS connections" devices/s register ""
row "registration by REST, p99" ms register99 ""
