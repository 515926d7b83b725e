#!/bin/sh
# fault_disk.sh: the site on a small file system of its own that gets full: refused with 503 disk-full, nothing that was acknowledged is
# lost, well again by itself once there is room. Then the database read-only, damaged, truncated, or an older one in its place.
cd "$(dirname "$0")/../.." || exit 1
if [ -z "${FAULT_DISK_NS:-}" ]; then # a mount namespace of its own: the mount ends with it, whatever happens
    if [ "$(id -u)" = 0 ]; then how=-m; else how="-c -m --keep-caps"; fi
    FAULT_DISK_NS=1 exec unshare $how sh "$0" "$@"
fi
. t/lib.sh
. t/fault.sh
need sqlite3 sqlite3
mkdir "$T/site"
trap 'cd /; CRADLE_KEEP=1 cleanup; umount -l "$T/site"; rm -rf "$T"' EXIT
mount -t tmpfs -o size=48m,mode=755 cradle-test "$T/site"; ok $? "a file system of 48 MB"
site_init || { ok 1 "cradle init"; finish; }
set_key restart_limit 1000
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
line pump
infra st station pump
for i in 1 2 3 4 5 6 7 8; do device_add D-$i pump >/dev/null; key D-$i; csr D-$i /CN=D-$i; done
for i in 1 2 3; do est st /simpleenroll D-$i.csr; unpack D-$i; is "$code" 200 "D-$i is enrolled"; done
fill() { cat /dev/zero >"$SITE/filler" 2>/dev/null; sync -f "$SITE" 2>/dev/null; [ "$(df --output=avail "$SITE" | tail -n 1)" -le 4 ]; }
room() { rm -f "$SITE/filler"; }
certs_of() { api "$HTTPS/api/v1/certs?device=$1" | jq '.items | length'; }
ocsp_of() { openssl ocsp -issuer "$SITE/ca/device.pem" -cert "$1.pem" -url "$HTTP/ocsp" -CAfile "$SITE/ca/bundle.pem" -timeout 10 2>&1; }

# -- full
from=$(vector)
fill; ok $? "the disk is full"
# what still fits into a page that is there already may go on; a change of some size cannot
full() { for i in 1 2 3 4 5 6 7 8; do device_add "N-$(date +%N)-$i" pump; echo; done | grep -q 503; }
wait_for 30 full; ok $? "changes are refused"
refuse=$(api -d '{"uid":"FULL-1","model":"m-pump"}' "$HTTPS/api/v1/devices")
is "$(echo "$refuse" | jq -r '"\(.status) \(.reason)"')" "503 disk-full" "a device: 503 disk-full"
has "$refuse" 'nothing was changed|disk is full|database or disk is full' "which says what it means"
est st /simpleenroll D-4.csr; is "$code $reason" "503 disk-full" "an enrollment: 503 disk-full"
has "$(tr -d '\r' <head)" '^[Rr]etry-[Aa]fter: [0-9]' "with the time to come again"
is "$(patch D-1 revoked)" 503 "a revocation too: nothing is promised that is not durable"
is "$(state D-1)" provisioned "D-1 is not revoked"
is "$(api "$HTTPS/api/v1/devices/D-2" | jq -r .uid)" D-2 "reading works"
has "$(ocsp_of D-2)" 'D-2.pem: good' "OCSP works"
is "$(curl -s -o crl -w '%{http_code}' "$HTTP/crl/root/0.crl")" 200 "CRLs are served"
! grep -q 'died' "$T/cradled.log"; ok $? "no role died of it"

# -- room again
room
enrolls() { est st /simpleenroll "$1.csr"; [ "$code" = 200 ]; }
wait_for 30 enrolls D-4; ok $? "with room again D-4 is enrolled, without a restart"
is "$(certs_of D-4)" 1 "with one certificate"
is "$(patch D-1 revoked)" 200 "D-1 is revoked"

# -- full while the signer works: a certificate that cannot be stored is not given out
signer=$(role_pid signer:0); at=$(vector)
kill -STOP "$signer"
curl -s -m 60 --cacert "$SITE/ca/bundle.pem" --cert st.pem --key st.key -H 'Content-Type: application/pkcs10' --data-binary @D-5.csr -o D-5.out \
    -w '%{http_code}' "$HTTPS/.well-known/est/simpleenroll" >D-5.code 2>/dev/null & ASK=$!
waits() { [ "$(events_since "$at" cert-intent | wc -l)" = 1 ]; }
wait_for 20 waits; ok $? "D-5 waits for the signer"
fill; wait_for 30 full
kill -CONT "$signer"
wait $ASK
has "$(cat D-5.code)" '^(200|503)$' "full at that moment: the client gets its certificate, durable, or 503 ($(cat D-5.code))"
[ "$(cat D-5.code)" = 503 ] || [ "$(certs_of D-5)" = 1 ]; ok $? "never one that is not stored"

# -- core killed on a full disk
old=$(role_pid core:0); kill -9 "$old"
wait_for 30 grep -q 'core:0 died (signal 9)' "$T/cradled.log"
room
wait_for 60 healthy; ok $? "core killed on the full disk: well again once there is room"
wait_for 30 enrolls D-5; ok $? "D-5 holds its certificate now"
is "$(certs_of D-5)" 1 "one"
for i in 1 2 3; do [ "$(certs_of D-$i)" = 1 ] || break; done; ok $? "every certificate from before is there"
is "$(state D-1)" revoked "so is the revocation"
verified disk; ok $? "the evidence verifies offline"
site_stop; ok $? "cradled stops"
folds; ok $? "the events add up to the tables"

# -- read-only. refuses PATTERN NAME: cradled ends by itself, with a reason
DB=$SITE/db
starts() { : >"$T/cradled.log"; site_start; }
refuses() {
    : >"$T/cradled.log"
    cradled "$SITE" 2>>"$T/cradled.log" & CRADLED=$!; own $CRADLED
    ended 40; ok $? "$2: cradled does not run"
    [ "$rc" != 0 ]; ok $? "- it ends with an error (exit code $rc)"
    has "$(cat "$T/cradled.log")" "$1" "- that says why"
}
set_key restart_limit 3
sqlite3 "$DB/cradle.db" "VACUUM INTO '$T/older.db'"
starts; ok $? "it starts again"
device_add LATER pump >/dev/null; is "$(state LATER)" registered "a device is added"
covers() { cradle evidence export "$T/part.export" >/dev/null 2>&1 && cradle evidence verify "$T/part.export" --log-key "$SITE/trust/log.pub" 2>/dev/null | grep -q "$1"; }
wait_for 20 covers LATER; ok $? "the published log covers it"
site_stop
mkdir "$T/good"; cp -p "$DB"/cradle.db* "$T/good/"
restore() { rm -f "$DB"/cradle.db*; cp -p "$T"/good/cradle.db* "$DB/"; }
put() { rm -f "$DB"/cradle.db*; cp "$1" "$DB/cradle.db"; chown --reference="$T/good/cradle.db" "$DB/cradle.db"; chmod 600 "$DB/cradle.db"; }
chmod 0400 "$DB/cradle.db"
refuses 'read-?only|readonly' "the database read-only"
chmod 0600 "$DB/cradle.db"
chmod 0500 "$DB"
refuses 'cannot write in .*db|unable to open|read-only' "its folder read-only"
chmod 0700 "$DB"

# -- damaged
pages=$(sqlite3 "$DB/cradle.db" "SELECT pageno - 1 FROM dbstat WHERE name = 'event' AND pagetype = 'leaf' AND ncell > 1 ORDER BY pageno LIMIT 2") # of a table that has rows
for at in $pages; do dd if=/dev/urandom of="$DB/cradle.db" bs=1 seek=$((at * 4096 + 8)) count=64 conv=notrunc 2>/dev/null; done
refuses 'restore the newest backup' "two pages ($(echo $pages)) with flipped bytes"
is "$rc" 78 "- with the code of a fault that a restart does not mend"
! cradled -f "$SITE" >"$T/out" 2>&1; ok $? "cradled -f does not take it either"
restore
printf 'not a database' | dd of="$DB/cradle.db" conv=notrunc 2>/dev/null
refuses 'not a database' "a header that is overwritten"
restore
truncate -s $((size / 2 / 4096 * 4096)) "$DB/cradle.db"
refuses 'restore the newest backup|malformed' "a file cut in half"
restore

# -- older than what was published
put "$T/older.db"
refuses 'rollback|older than|published' "a backup from before the last published checkpoint"
rm -f "$DB"/cradle.db*
refuses 'missing' "no database at all beside a published log"
restore
starts; ok $? "with the good one back it starts"
is "$(state LATER)" registered "and knows what it knew"

# -- a write-ahead log that lost its end, and with it what was acknowledged
device_add WAL-1 pump >/dev/null; device_add WAL-2 pump >/dev/null
known=$(vector)
wait_for 20 covers WAL-2; ok $? "the published log covers the last device"
kill -9 $(kids) $(for p in $(kids); do cat "/proc/$p/task/$p/children"; done) $CRADLED 2>/dev/null; wait $CRADLED 2>/dev/null
wal=$(stat -c %s "$DB/cradle.db-wal" 2>/dev/null)
[ "${wal:-0}" -gt 20000 ]; ok $? "kill -9 leaves a write-ahead log ($wal bytes)"
rm -rf "$T/good"; mkdir "$T/good"; cp -p "$DB"/cradle.db* "$T/good/"
truncate -s 4152 "$DB/cradle.db-wal"; rm -f "$DB/cradle.db-shm"
refuses 'rollback|published|ahead|log' "the write-ahead log cut off"
restore; rm -f "$DB/cradle.db-shm"
printf '\377\377\377\377' | dd of="$DB/cradle.db-wal" bs=1 seek=2000 conv=notrunc 2>/dev/null
refuses 'rollback|published|ahead|log' "a flipped byte at its beginning"
restore; rm -f "$DB/cradle.db-shm"
starts; ok $? "with the whole one it starts"
is "$(state WAL-2)" registered "and nothing is lost"
verified end; ok $? "the evidence verifies offline"
site_stop; ok $? "cradled stops"
folds; ok $? "the events add up to the tables"
clean_log; ok $? "no finding of a sanitizer"
finish
