#!/bin/sh
# mass_revoke.sh: all devices that a query matches, as a job of the server: dry run, the number, a second person, pause, kill -9 in the middle,
# cancel, the report; suspended devices in OCSP and CRL as OpenSSL sees them, and resumed ones too.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
need jq jq
run() { out=$("$@" 2>"$T/err"); rc=$?; err=$(cat "$T/err"); }
site_init || { ok 1 "cradle init"; finish; }
set_key mass_revoke_confirm 20
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
line pump; line valve
infra st1 station pump,valve
cat >many.awk <<'X'
BEGIN { for (i = 1; i <= n; i++) printf "lorry-%d,S%d,m-pump,b7,DE\n", i, i }
X
awk -v n=3000 -f many.awk | cradle device add --csv - >/dev/null; ok $? "3000 devices"
for d in V-1 V-2; do device_add $d valve >/dev/null; done
n_in() { cradle device list --state "$1" --line "$2" --limit 100000 --json | jq '.items | length'; }

# -- look, say the number
run cradle device revoke --query line=pump,batch=b7 --dry-run; is $rc 0 "a dry run"
has "$out" "3000 devices match; nothing was changed" "says how many"
run cradle device revoke --query line=pump,batch=b7 --expect 2999; is $rc 2 "another number is refused"
run cradle device revoke --query ''; is $rc 2 "an empty query is not all devices"
run cradle device revoke --query colour=red; is $rc 2 "nor is a key that there is not"
run cradle device revoke --query line=nowhere --expect 1; is $rc 4 "nothing matches"
run cradle device revoke V-1 --query line=pump; is $rc 2 "a UID and a query"
run cradle device revoke --query line=pump,batch=b7 --expect 3000 --reason keyCompromise --note 'lorry stolen'; is $rc 3 "more than mass_revoke_confirm: not by oneself"
has "$err" "no second person to confirm: cradle operator add" "what to do"
id=$(cradle revocation list --json | jq '.items[0].id')
is "$(cradle revocation list --json | jq -r '.items[0] | [.state, .matched, .done] | join(" ")')" "waiting 3000 0" "it waits"
run cradle revocation confirm "$id" --expect 3000; is $rc 3 "still not"
infra olga operator pump; infra vera operator valve
as() { who=$1; shift; curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert "$who.pem" --key "$who.key" -H 'Content-Type: application/json' "$@"; }
is "$(as vera -X POST -d '{"expect":3000}' "$HTTPS/api/v1/revocations/$id/confirm" | jq -r .reason)" line-forbidden "nobody of another line confirms"
is "$(as vera "$HTTPS/api/v1/revocations/$id" | jq -r .reason)" not-found "or sees it"
is "$(as olga -X POST -d '{"expect":1}' "$HTTPS/api/v1/revocations/$id/confirm" | jq -r .reason)" bad-field "with another number: refused"
is "$(as st1 -o out -w '%{http_code}' -X POST -d '{"expect":3000}' "$HTTPS/api/v1/revocations/$id/confirm")" 403 "a station: refused"

# -- pause, kill -9 in the middle
is "$(as olga -X POST -d '{"expect":3000}' "$HTTPS/api/v1/revocations/$id/confirm" | jq -r .state)" running "a second person confirms"
run cradle revocation pause "$id"; paused=$rc
if [ $paused = 0 ]; then
    some=$(n_in revoked pump); echo "# $some at the pause"
    is "$(cradle revocation show "$id" --json | jq -r '[.state, .done] | join(" ")')" "paused $some" "paused: the count is what is done"
    run cradle revocation resume "$id"; is $rc 0 "resumed"
else
    has "$err" "is done" "it was done before the pause came"; some=3000; is 0 0 "nothing to resume"
fi
kill_all
site_start; ok $? "after kill -9 of everything the site starts again"
run cradle revocation watch "$id"; is $rc 0 "and the job goes on to its end"
has "$out" "is done: done 3000, already so 0, refused 0 of 3000" "with a report"
has "$out" "evidence: events 1:[0-9]+ to 1:[0-9]+" "that names its evidence"
is "$(n_in revoked pump)" 3000 "all are revoked"
is "$(cradle event list --kind mass-ended --json | jq -r '.items[0].payload | [.to, .done, .refused] | join(" ")')" "cancelled 0 0" "ends are evidence: the dry run"
is "$(cradle event list --kind mass-confirmed --json | jq -r '.items[0].payload | [.by, .second, .matched] | join(" ")')" "olga true 3000" "who confirmed, too"

# -- suspended and resumed certificates: OCSP and CRL
for d in V-1 V-2; do key $d; csr $d "/CN=$d"; est st1 /simpleenroll $d.csr; base64 -d <out 2>/dev/null | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 -out $d.pem; done
ocsp() { openssl ocsp -issuer "$SITE/ca/device.pem" -cert "$1.pem" -url "$HTTP/ocsp" -CAfile "$SITE/ca/bundle.pem" -no_nonce 2>&1; }
serial() { openssl x509 -in "$1.pem" -noout -serial | cut -d= -f2; }
crl_reason() { for s in "$SITE"/pub/crl/device/*.crl; do openssl crl -inform DER -in "$s" -noout -text; done | grep -A6 -i "Serial Number: $(serial "$1")" | grep -A1 'Reason Code' | tail -1 | tr -d ' '; }
has "$(ocsp V-1)" "V-1.pem: good" "OCSP: good"
run cradle device suspend --query line=valve --expect 2 --note 'to be looked at'; is $rc 0 "few devices need no second person"
has "$(ocsp V-1)" "V-1.pem: revoked" "suspended: OCSP says revoked"
has "$(ocsp V-1)" "Reason: certificateHold" "on hold (RFC 5280 5.3.1)"
held() { [ "$(crl_reason V-1)" = CertificateHold ] && [ "$(crl_reason V-2)" = CertificateHold ]; }
wait_for 10 held; ok $? "the CRL says so too"
cradle device revoke V-2 >/dev/null
run cradle device resume --query line=valve,state=suspended --expect 1; is $rc 0 "resumed"
has "$(ocsp V-1)" "V-1.pem: good" "OCSP: good again"
has "$(ocsp V-2)" "Reason: unspecified|V-2.pem: revoked" "revoked for good stays revoked"
lifted() { [ -z "$(crl_reason V-1)" ]; }
wait_for 10 lifted; ok $? "the CRL lists it no more"
run cradle device suspend --query line=valve,key-alg=ec:P-256,enrolled-from=2026-01-01 --expect 1; is $rc 0 "by key and day of enrollment: V-2, revoked, counts no more"
run cradle device resume --query line=valve --expect 2; is $rc 5 "refused one by one: exit code"
run cradle revocation show "$(cradle revocation list --json | jq '.items[0].id')"; has "$out" "V-2 +state-change +device 'V-2' is revoked" "and told why"
site_stop; ok $? "cradled stops"
"$B/cradled" -f "$SITE" >fold 2>&1; ok $? "fold(events) = tables"
sed 's/^/# /' fold
finish
