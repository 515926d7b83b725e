#!/bin/sh
# grace.sh: devices whose certificate ended in the warehouse: what the grace of their line lets them renew, and what stays refused. curl and openssl are the
# devices; certificates live for seconds.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/est.sh
# a certificate has been over for so many seconds
ended() { [ "$(date +%s)" -gt $(($(date -d "$(openssl x509 -in "$1.pem" -noout -enddate | cut -d= -f2)" +%s) + ${2:-0})) ]; }
line() { api -X PATCH -d "$1" "$HTTPS/api/v1/lines/brief" | jq -r '.reason // "set"'; }

cradle line add brief --validity 4 >/dev/null; cradle model add m1 --line brief >/dev/null
for d in D-1 D-2 D-3 D-4; do cradle device add $d --model m1 >/dev/null; done
key st; csr st /CN=st
api -d "{\"name\":\"st\",\"role\":\"station\",\"csr\":\"$(tr -d '\n' <st.csr)\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >st.pem
for d in D-1 D-2 D-3 D-4; do est st /simpleenroll $d; unpack $d; done
is "$code" 200 "four devices are enrolled, for four seconds"
curl -s --cacert "$CA" --cert D-2.pem --key D-2.key -o /dev/null "$HTTPS/update/v1/poll"
cp D-2.pem d2old.pem; cp D-2.key d2old.key
for d in D-1 D-2 D-3 D-4; do wait_for 20 ended $d; done; ok $? "the certificates end"

# -- no grace
est D-1 /simplereenroll D-1
is "$code $reason" "401 certificate-expired" "without grace an ended certificate is refused: $(cat out)"
has "$(cat out)" 'has no grace' "and the answer says why"
is "$(line '{"grace_key":"some"}')" bad-field "grace_key is same or any"
is "$(line '{"grace_s":-1}')" bad-field "grace_s is not below zero"
cradle line set brief --grace 1 >/dev/null; ok $? "a grace of a second"
wait_for 20 ended D-1 1; ok $? "and the second is over"
est D-1 /simplereenroll D-1
is "$code $reason" "401 certificate-expired" "it is over: $(cat out)"
cradle line set brief --grace 180d >l.out 2>&1; has "$(cat l.out)" '15552000 s after' "a grace of 180 days: $(cat l.out)"

# -- only renewal, only with the same key
for path in /update/v1/poll /api/v1/devices; do
    curl -s --cacert "$CA" --cert D-1.pem --key D-1.key -D head -o out "$HTTPS$path"
    is "$(tr -d '\r' <head | sed -n 's/^x-cradle-reason: //Ip')" certificate-expired "GET $path stays refused"
done
est D-1 /simpleenroll D-1
is "$code $reason" "401 certificate-expired" "simpleenroll too"
est D-1 /simplereenroll D-2
is "$code $reason" "403 name-mismatch" "it renews no other device"
est D-1 /simplereenroll D-1 fresh1
is "$code $reason" "403 name-mismatch" "another key is refused: $(cat out)"
est D-1 /simplereenroll D-1
is "$code" 200 "the same key is renewed"; cp D-1.pem d1old.pem; unpack D-1
has "$(openssl verify -CAfile "$CA" D-1.pem 2>&1)" 'OK$' "the new certificate is good"
is "$(api "$HTTPS/api/v1/events?kind=cert-grace" | jq -r '.items[0] | .device + " " + (.payload.age_s >= 0 and .payload.age_s < 60 | tostring) + " " + (.payload.grace_s | tostring)')" "D-1 true 15552000" \
    "the event cert-grace says how old it was"
is "$(curl -s "$HTTP/metrics" | awk '$1 == "cradle_certs_grace_total" { print $2 }')" 1 "the metrics count it"
is "$(api "$HTTPS/api/v1/events?kind=cert-first-use&limit=500" | jq '[.items[] | select(.device == "D-1")] | length')" 0 "an ended certificate counts as used by nobody"

# -- what was used since does not come back
cradle line set brief --grace-key any >/dev/null
est d2old /simplereenroll D-2 d2new
is "$code" 200 "with grace_key any, another key is renewed too"; unpack d2new
curl -s --cacert "$CA" --cert d2new.pem --key d2new.key -o /dev/null -w '%{http_code}' "$HTTPS/update/v1/poll" >poll; is "$(cat poll)" 200 "the device uses its new certificate"
est d2old /simplereenroll D-2 d2thief
is "$code $reason" "401 certificate-expired" "a copy of the old one renews nothing any more: $(cat out)"

# -- what was taken away stays away
cradle device revoke D-3 >/dev/null
est D-3 /simplereenroll D-3
is "$code $reason" "403 device-revoked" "a revoked device"
cradle device suspend D-4 >/dev/null
est D-4 /simplereenroll D-4
is "$code $reason" "403 device-suspended" "a suspended one"
cradle line set brief --grace none >/dev/null
wait_for 20 ended D-1
est D-1 /simplereenroll D-1
is "$code $reason" "401 certificate-expired" "grace none: it is as before"
cradle line list --json | jq -ne 'input | .items[0].grace_s == 0' >/dev/null; ok $? "the list says so"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout self.key -out self.pem -subj /CN=D-1 -days 1 2>/dev/null
est self /simplereenroll D-1
is "$code $reason" "401 certificate-foreign" "a self-signed namesake"
site_stop
cradled -f "$SITE" >fold.out 2>&1; ok $? "fold(events) = tables"
finish
