#!/bin/sh
# evidence.sh: evidence appended and proved, durable registrations in process, searches.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=evidence
N=$(few 1000000 100000) D=$(few 100000 5000) I=$(few 60000 5000)
{ echo "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(a TEXT PRIMARY KEY, b TEXT);"
  awk 'BEGIN { for (i = 0; i < 3000; i++) printf "INSERT INTO t VALUES (\"dev-%08d\", \"SN\");\n", i }'; } >"$T/single.sql"
for i in $(rounds 5); do
    j=$("$BB/core_insert" "$I" 64)
    sample insert "$(printf '%s' "$j" | sed 's|.*clients: \([0-9]*\)/s.*|\1|')"; sample insert99 "$(printf '%s' "$j" | sed 's|.*p99 \([0-9.]*\) ms.*|\1|')"
    rm -f "$T/single.db"*
    a=$(ns); sqlite3 "$T/single.db" <"$T/single.sql" >/dev/null || die "sqlite3"; sample single "$(rate 3000 "$a" "$(ns)")"
done
for i in $(rounds 3); do
    j=$("$BB/evlog" "$T/evlog" "$N") || die "evlog"
    rm -rf "$T/evlog"
    for b in 1 32 256 2048; do sample "append.$b" "$(printf '%s\n' "$j" | sed -n "s|^batch *$b: *\([0-9]*\) entries/s.*|\1|p")"; done
    sample proof "$(printf '%s\n' "$j" | sed -n 's|.*leaves: \([0-9]*\) us|\1|p')"
    "$BB/query_pages" "$D" >"$T/pages" || die "query_pages"
    while read -r j; do
        k=$(printf '%s' "$j" | jq -r .search | tr -d ' ,')
        sampled "page.$k" p99_ms "$j"
    done <"$T/pages"
done
row "durable registrations in process, 64 waiting clients" devices/s insert 15000 "sqlite3, a transaction a row" single
row "durable registrations in process, p99" ms insert99 20
row "evidence durable in the log, batch of 1" entries/s append.1 ""
row "evidence durable in the log, batch of 32" entries/s append.32 100000 "batch of 1" append.1
row "evidence durable in the log, batch of 256" entries/s append.256 "" "batch of 1" append.1
row "evidence durable in the log, batch of 2048" entries/s append.2048 "" "batch of 1" append.1
row "inclusion proof at $N leaves" µs proof 150
while read -r j; do
    k=$(printf '%s' "$j" | jq -r .search)
    row "search over $D devices: $k, p99" ms "page.$(printf '%s' "$k" | tr -d ' ,')" 100
done <"$T/pages"
