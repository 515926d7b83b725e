#!/bin/sh
# fault_clock.sh: the clock of the server is set back a day, and set right again: nothing dated is issued meanwhile, revocations go
# on, events never go back in time. a copy of cradled with t/clockshift.c moves its clock and its roles'; the clients live in the present.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
TOP=$PWD
need patchelf patchelf
# the release build of cradled: the clock and the address sanitizer cannot both be first in a process
R=${B%/*}/release/cradled
[ -x "$R" ] || { ok 1 "the release build is there (make all)"; finish; }
site_at() { # SECONDS: starts cradled with its clock moved so far
    gcc -shared -fPIC -O1 -D_GNU_SOURCE -DSHIFT_S="$1" -o "$T/clock$1.so" "$TOP/t/clockshift.c" && cp "$R" "$T/cradled$1" &&
        patchelf --add-needed "$T/clock$1.so" "$T/cradled$1" || return 1
    "$T/cradled$1" "$SITE" 2>>"$T/cradled.log" &
    CRADLED=$!
    own $CRADLED
    wait_for 40 healthy
}
site_init || { ok 1 "cradle init"; finish; }
cd "$T" || exit 1
site_start || { ok 1 "cradled starts"; finish; }
line pump
infra st station pump
for d in D-1 D-2 D-3 D-4; do device_add $d pump >/dev/null; key $d; csr $d /CN=$d; done
site_stop

# -- a day that has been
site_at 86400; ok $? "cradled runs, tomorrow"
est st /simpleenroll D-1.csr; is "$code" 200 "a device is enrolled"; unpack D-1
last() { api "$HTTPS/api/v1/events?after=-1" | jq -r '.items[0].at'; }
at=$(last)
[ $(($(date -d "$at" +%s) - $(date +%s))) -gt 86000 ]; ok $? "the last event is of tomorrow ($at)"
site_stop; ok $? "cradled stops"

# -- the clock a day back
site_at 0; ok $? "cradled runs today: a day back"
grep -q 'the clock is 8[0-9]* s behind the last recorded event' "$T/cradled.log"; ok $? "and says that its clock is behind"
est st /simpleenroll D-2.csr
is "$code $reason" "503 clock-behind" "an enrollment: 503 clock-behind"
has "$(cat out)" 'set it right' "with what to do"
is "$(state D-2)" registered "the device is registered as before"
key op; csr op /CN=op
is "$(api -d "{\"name\":\"op\",\"role\":\"operator\",\"lines\":\"\",\"csr\":\"$(tr -d '\n' <op.csr)\"}" "$HTTPS/api/v1/operators" | jq -r '"\(.status) \(.reason)"')" \
    "503 clock-behind" "an operator's certificate: 503 clock-behind"
api "$HTTPS/api/v1/operators" | jq -ne 'input | .items[] | select(.name == "op")' >/dev/null; ok $((! $?)) "and no operator is left over"
is "$(curl -s "$HTTP/metrics" | awk '$1 == "cradle_clock_behind_ms" { print ($2 > 80000000) }')" 1 "the metrics show how far it is behind"
from=$(vector)
is "$(patch D-1 revoked)" 200 "a revocation is accepted all the same"
is "$(state D-1)" revoked "and in force"
first=$(events_since "$from" device-state | jq -r .at)
[ "$(printf '%s\n%s\n' "$at" "$first" | sort | head -n 1)" = "$at" ]; ok $? "its event is not dated before the one before it ($first)"
is "$(api "$HTTPS/api/v1/devices/D-2" | jq -r .uid)" D-2 "reading works"
! grep -q died "$T/cradled.log"; ok $? "no role died"
site_stop; ok $? "cradled stops"

# -- a little behind: it comes right by itself
ahead=$(($(date -d "$at" +%s) - $(date +%s)))
: >"$T/cradled.log"
site_at +$((ahead - 15)); ok $? "cradled runs, 15 s behind its last event"
grep -q 'behind the last recorded event' "$T/cradled.log"; ok $? "and says so"
enrolls() { est st /simpleenroll "$1.csr"; [ "$code" = 200 ]; }
wait_for 60 enrolls D-2; ok $? "devices are enrolled again when the clock has caught up, without a restart"
grep -q 'the clock is right again' "$T/cradled.log"; ok $? "which the log tells"
site_stop
site_at 86400; ok $? "the clock is set right"
wait_for 60 enrolls D-3; ok $? "devices are enrolled again"
verified clock; ok $? "the evidence verifies offline"
site_stop; ok $? "cradled stops"
folds; ok $? "the events add up to the tables"
is "$(sqlite3 "$SITE/db/cradle.db" 'SELECT count(*) FROM event a JOIN event b ON b.slot = a.slot AND b.nseq = a.nseq + 1 WHERE b.at < a.at')" 0 "no event is older than the one before it"
clean_log; ok $? "no finding of a sanitizer"
finish
