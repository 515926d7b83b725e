#!/bin/sh
# est_approval.sh: a line whose first enrollments wait for somebody: 202 and Retry-After for a real client, decisions by the command line and
# by REST, kill -9 of the whole service between approval and issue, the end of waiting, evidence.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
refused() { is "$code $reason" "$1" "$2"; }
ask() { est "${2:-st1}" /simpleenroll "$1.csr"; } # CSR [WHO]
newkey() { key "$1"; csr "$1" "/CN=$2"; } # NAME UID
print_of() { openssl pkey -in "$1.key" -pubout -outform DER 2>/dev/null | sha256sum | cut -d' ' -f1; }

site_init || { ok 1 "cradle init"; finish; }
set_key enroll_waiting 3
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
line pump; line valve
for d in P-1 P-2 P-3 P-4 P-5 P-6; do device_add $d pump >/dev/null; done
device_add V-1 valve >/dev/null
infra st1 station pump,valve; infra olga operator pump; infra vera operator valve
as() { who=$1; shift; curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert "$who.pem" --key "$who.key" -H 'Content-Type: application/json' "$@"; }
cradle line set pump --enroll-approval yes >out 2>&1; ok $? "cradle line set --enroll-approval yes"
is "$(cradle line list --json | jq -r '.items[] | "\(.name) \(.enroll_approval)"' | sort | tr '\n' ' ')" "pump true valve false " "line list says which lines want approvals"
before=$(vector)

# -- waiting
newkey p1 P-1; ask p1
is "$code $reason" "202 enrollment-pending" "a first enrollment waits: 202 (RFC 7030 4.2.3)"
has "$(tr -d '\r' <head)" '^[Rr]etry-[Aa]fter: [1-9][0-9]*$' "with Retry-After"
has "$(cat out)" '^enrollment-pending: ' "and a line of text that says what happens"
ask p1; is "$code" 202 "the same request again joins it"
newkey v1 V-1; ask v1; is "$code" 200 "a line that wants no approval gives the certificate at once"
is "$(cradle enroll list --json | jq -r '[.items[] | "\(.uid) \(.state) \(.asked_by) \(.proto)"] | join(",")')" "P-1 waiting st1 est" "cradle enroll list: one request"
has "$(cradle enroll list)" "P-1 .*pump .*waiting .*st1.* $(print_of p1)" "as a table, with the key's SHA-256 as the device can compute it"
has "$(cradle enroll show P-1)" '^key type +ec:P-256$' "cradle enroll show"
csr p1 /CN=P-2; ask p1; refused "403 key-of-other" "a key that waits for one device is not taken for another"
csr p1 /CN=P-1

# -- who decides
code=$(as st1 -o out -w '%{http_code}' -X POST "$HTTPS/api/v1/enrollments/$(print_of p1)/approve"); is "$code" 403 "a station decides nothing"
code=$(as vera -o out -w '%{http_code}' -X POST "$HTTPS/api/v1/enrollments/$(print_of p1)/approve")
is "$code $(jq -r .reason out)" "403 line-forbidden" "nor an operator of another line"
is "$(as vera "$HTTPS/api/v1/enrollments" | jq -c .items)" "[]" "who does not even see it"
is "$(as vera "$HTTPS/api/v1/enrollments/$(print_of p1)" | jq -r .reason)" not-found "not by its key either"
cradle enroll refuse P-1 >out 2>err; is $? 2 "a refusal without a reason is refused"
cradle enroll approve P-9 >out 2>err; is $? 4 "nothing waits for an unknown device"
code=$(as olga -o out -w '%{http_code}' -X POST "$HTTPS/api/v1/enrollments/$(print_of p1)/approve")
is "$code $(jq -r '"\(.uid) \(.state) \(.by)"' out)" "200 P-1 approved olga" "an operator of the line approves"
ask p1; is "$code" 200 "the same POST gets its certificate now"; unpack p1
has "$(openssl verify -CAfile "$SITE/ca/bundle.pem" p1.pem 2>&1)" 'OK$' "which openssl verifies"
is "$(cradle enroll show P-1 --json | jq -r .state)" done "and the request is done"
ask p1; is "$code" 200 "asked again: the same certificate, without another approval"

# -- refused, and taken back
newkey p2 P-2; ask p2; is "$code" 202 "another device"
cradle enroll refuse P-2 --note "not on the line today" >out; ok $? "cradle enroll refuse"
ask p2; refused "403 enrollment-refused" "a refused key"
has "$(cat out)" 'not on the line today' "is told why"
cradle enroll approve "$(print_of p2)" --note "mistake" >out; ok $? "a refusal is taken back by its key"
ask p2; is "$code" 200 "and the device gets its certificate"

# -- kill -9 of everything between approval and issue
newkey p3 P-3; ask p3; is "$code" 202 "a third device"
cradle enroll approve P-3 >out; ok $? "is approved"
kill_all
set_key enroll_wait 5
site_start; ok $? "killed right after; started again"
ask p3; is "$code" 200 "the approval is there"
is "$(cradle enroll list --state done --json | jq '.items | length')" 3 "three are done"

# -- too many, too long
for k in p4:P-4 p4b:P-4 p5:P-5 p6:P-6; do newkey ${k%:*} ${k#*:}; done
ask p4; ask p4b; ask p5; is "$code" 202 "three wait"
ask p6; refused "429 rate-limited" "a fourth does not: enroll_waiting"
cradle enroll approve P-4 >out 2>err; is $? 2 "two keys of one device: the UID alone is not enough"
cradle enroll approve P-5 >out; ok $? "one of those that wait is approved, and nobody comes for it"
all_over() { [ "$(cradle enroll list --state any --json | jq '[.items[] | select(.state == "waiting" or .state == "approved")] | length')" = 0 ]; }
wait_for 15 all_over; ok $? "enroll_wait later all of them have expired"
ask p4; is "$code" 202 "and may be asked for anew"

# -- the agent
cradle station add st --lines pump --out "$T/st" --quiet; ok $? "a station for the agent"
agent_conf P-6; mkdir -p "$T/P-6"
cradle-agent -c P-6.conf enroll 2>err; is $? 6 "cradle-agent enroll: to be tried again"
has "$(cat err)" 'approve this enrollment first' "and says that somebody has to approve"
has "$(cradle status)" 'enrollments? waits? for an approval|enrollments wait for an approval' "cradle status says that something waits"
cradle enroll approve P-6 >out; ok $? "approved"
cradle-agent -c P-6.conf enroll 2>err; is $? 0 "the same key gets its certificate"

# -- evidence
events_since "$before" | jq -r '"\(.kind) \(.device // "")"' >seen
is "$(grep -c '^enroll-requested' seen) $(grep -c '^enroll-approved' seen) $(grep -c '^enroll-refused' seen) $(grep -c '^enroll-expired' seen)" "8 5 1 3" \
    "every request, decision and end is an event"
verified approvals; ok $? "the evidence verifies offline"
site_stop; ok $? "cradled stops"
folds; ok $? "fold(events) = tables"
clean_log; ok $? "nothing odd in the log"
finish
