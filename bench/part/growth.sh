#!/bin/sh
# growth.sh: what the database and the evidence log take on disk for each device registered and enrolled.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=growth
N=$(few 10000 1000)
station_site
size() { # database and log, after a shutdown
    site_stop || die "cradled does not stop"
    sqlite3 "$SITE/db/cradle.db" "PRAGMA wal_checkpoint(TRUNCATE)" >/dev/null
    stat -c %s "$SITE/db/cradle.db"; find "$SITE/log" -type f -printf '%s\n' | awk '{ s += $1 } END { print s + 0 }'
    sqlite3 "$SITE/db/cradle.db" "SELECT count(*) FROM event; SELECT sum(length(salt) + length(payload)) FROM event; SELECT sum(length(der)) FROM cert WHERE holder_kind = 2"
    site_start || die "cradled does not start again"
}
grown() { paste "$T/size.$1" "$T/size.$2" | awk -v n="${3:-$N}" -v k="$4" 'NR == k { printf "%.1f\n", ($2 - $1) / n }'; }
size >"$T/size.0"
register g "$N" >/dev/null || die "registration failed"
size >"$T/size.1"
enroll g "$N" >/dev/null || die "enrollment failed"
size >"$T/size.2"
events=$(paste "$T/size.0" "$T/size.2" | awk 'NR == 3 { print $2 - $1 }')
sample registered "$(grown 0 1 "$N" 1)"
sample enrolled "$(grown 1 2 "$N" 1)"
sample log "$(grown 0 2 "$events" 2)"
sample event "$(grown 0 2 "$events" 4)"
sample events "$(awk -v e="$events" -v n="$N" 'BEGIN { printf "%.2f", e / n }')"
sample der "$(awk -v n="$N" 'NR == 5 { printf "%.1f", $1 / n }' "$T/size.2")"
sample mib "$(paste "$T/size.0" "$T/size.2" | awk -v n="$N" 'NR <= 2 { s += $2 - $1 } END { printf "%.1f", s / n * 100000 / 1048576 }')"
row "database, for each device registered ($N devices)" bytes registered ""
row "database, for each device enrolled ($N devices)" bytes enrolled "" "the certificate alone" der
row "events for each device registered and enrolled" events events ""
row "salt and payload of an event" bytes event ""
row "log on disk (tiles), for each event" bytes log ""
row "database and log for 100 000 devices registered and enrolled, scaled from $N" MiB mib ""
