#!/bin/sh
# fault_search.sh: searches over 200 000 devices that find nothing go on without a pause, while devices are revoked: the searches are
# cut into pages or told that their budget is over, the revocations do not wait for them. Then clients that abort searches.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
need sqlite3 sqlite3
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
line pump
for i in $(seq 24); do device_add R-$i pump >/dev/null; done
site_stop
# rows that no event tells of: this site is for reading only afterwards, and is not folded
sqlite3 "$SITE/db/cradle.db" "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
    INSERT INTO device SELECT printf('bulk-%07d', i), printf('SN%d', i), 'm-pump', 'pump', '', '', 0, 'test' FROM n;
    INSERT INTO device_state SELECT uid, 'registered', 1, 0, 0 FROM device WHERE uid LIKE 'bulk-%';"
is "$(sqlite3 "$SITE/db/cradle.db" 'SELECT count(*) FROM device')" 200024 "a register of 200 024 devices"
chown --reference="$SITE/db" "$SITE"/db/cradle.db* 2>/dev/null
site_start || { ok 1 "cradled starts again"; finish; }

ms() { date +%s%3N; }
revoke() { # from to: revokes R-from .. R-to; the milliseconds of each in $3
    for i in $(seq "$1" "$2"); do
        at=$(ms)
        [ "$(patch R-$i revoked)" = 200 ] && echo $(($(ms) - at)) >>"$3"
    done
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
revoke 1 12 quiet
is "$(wc -l <quiet)" 12 "twelve devices are revoked on a quiet service"
searcher() {
    while [ ! -e stop ]; do
        at=
        for page in 1 2 3 4 5 6 7 8 9 10; do
            curl -s -m 20 $ADMIN -o page.$1 -w '%{http_code}\n' "$HTTPS/api/v1/devices?q=bulk-&state=revoked&limit=100${at:+&after=$at}" >>codes.$1
            at=$(jq -r '.next // empty' page.$1 2>/dev/null)
            [ "$(jq -r '.reason // empty' page.$1 2>/dev/null)" = budget-exceeded ] && echo 1 >>budget.$1
            [ -n "$at" ] && [ ! -e stop ] || break
        done
    done
}
for i in 1 2 3 4; do searcher $i & pids="$pids $!"; own $!; done
wait_for 30 sh -c '[ "$(cat codes.* 2>/dev/null | wc -l)" -ge 8 ]'; ok $? "four clients search without a pause for what is not there"
revoke 13 24 busy
: >stop
for p in $pids; do wait "$p"; done
is "$(wc -l <busy)" 12 "twelve more are revoked meanwhile"
echo "# a revocation: $(median quiet) ms quiet, $(median busy) ms beside $(cat codes.* | wc -l) searches ($(cat budget.* 2>/dev/null | wc -l) over their budget)"
[ "$(median busy)" -lt $(($(median quiet) * 10 + 1000)) ]; ok $? "they do not wait for the searches"
is "$(cat codes.* | grep -vxE '200|503' | wc -l)" 0 "each search is answered with a page or 503"
page=$(api "$HTTPS/api/v1/devices?q=bulk-&state=revoked&limit=100")
is "$(echo "$page" | jq -c '[(.items | length), (.next != null)]')" '[0,true]' "a page that finds nothing ends at its bound, not at the end of the register"

# -- clients that go away in the middle
curl -s -Z --parallel-max 40 --max-time 0.05 $ADMIN "$HTTPS/api/v1/devices?q=bulk-&state=revoked&limit=100#[1-1500]" >/dev/null 2>&1
wait_for 30 healthy; ok $? "after 1500 aborted searches the service is well"
is "$(state R-24)" revoked "and answers"
! grep -q died "$T/cradled.log"; ok $? "no role died"
site_stop; ok $? "cradled stops"
clean_log; ok $? "no finding of a sanitizer"
finish
