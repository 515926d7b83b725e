#!/bin/sh
# rest_faults.sh: bad clients against the real daemon: trickled bodies, aborts by the thousand, edges that lose their right.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need curl curl; need openssl openssl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
sed -i '/^#* *request_deadline/d' "$SITE/cradled.conf"
echo 'request_deadline = 2' >>"$SITE/cradled.conf"
site_start || { ok 1 "cradled starts"; finish; }
CA=$SITE/ca/bundle.pem
cd "$T" || exit 1
edge() { # NAME
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null
    csr=$(openssl req -new -key "$1.key" -subj "/CN=$1" -outform DER 2>/dev/null | openssl base64 -A)
    api -d "{\"name\":\"$1\",\"role\":\"edge\",\"csr\":\"$csr\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >"$1.pem"
}
metric() { curl -s "$HTTP/metrics" | awk -v n="$1" 'index($1, n) == 1 { s += $2 } END { print s + 0 }'; }

# -- a body that trickles: nginx would wait for ever, front does not
began=$(date +%s)
{
    printf 'POST /api/v1/lines HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n'
    i=0; while [ $i -lt 60 ]; do printf ' ' || break; sleep 0.2; i=$((i + 1)); done
} | timeout 15 openssl s_client -connect "localhost:$BASE" -CAfile "$CA" -cert "$SITE/operators/admin.pem" -key "$SITE/operators/admin.key" -quiet 2>/dev/null >slow.out
took=$(($(date +%s) - began))
has "$(tr -d '\r' <slow.out | sed -n '1p;s/^X-Cradle-Reason: //p' | tr '\n' ' ')" '^HTTP/1.1 408 .* timeout $' "a trickled body is refused with its reason"
[ $took -lt 14 ]; ok $? "and not waited for ($took s)"

# -- clients that go away
curl -s -Z --parallel-max 40 --max-time 0.03 $ADMIN "$HTTPS/api/v1/devices?q=[1-1000]" >/dev/null 2>&1
curl -s -Z --parallel-max 40 --max-time 0.02 -X POST -H 'Content-Type: application/json' -d '{"uid":"A-1","model":"none"}' $ADMIN "$HTTPS/api/v1/devices?[1-1000]" >/dev/null 2>&1
wait_for 10 curl -sf $ADMIN "$HTTPS/api/v1/devices"; ok $? "after 2000 aborted requests it answers"
quiet() { [ "$(metric cradle_front_open)" -le 1 ] && [ "$(metric cradle_front_open)" -le 1 ] && [ "$(metric cradle_front_open)" -le 1 ]; }
wait_for 10 quiet; ok $? "and nothing stays open"
[ -z "$(grep -c 'died' "$T/cradled.log" | grep -v '^0$')" ]; ok $? "no role died"

# -- the stream of an edge
edge e1
curl -sN --cacert "$CA" --cert e1.pem --key e1.key "$HTTPS/edge/v1/stream" >stream.out 2>/dev/null & pid=$!
own $pid
magic() { [ "$(head -c 4 stream.out)" = CRP1 ] && grep -aqE "CRDLSNP2|CRF1" stream.out; }
wait_for 5 magic; ok $? "an edge's stream begins with the policy document and a snapshot or a frame"
size=$(wc -c <stream.out)
grown() { [ "$(wc -c <stream.out)" -gt "$size" ]; }
wait_for 5 grown; ok $? "and goes on by itself (heartbeats)"
ended() { ! kill -0 $pid 2>/dev/null; }
! ended; ok $? "beyond the deadline of a request"
api -X DELETE "$HTTPS/api/v1/operators/e1" -o /dev/null
wait_for 3 ended; ok $? "removing the edge ends its stream"
wait $pid; [ $? != 0 ]; ok $? "as an unfinished answer"
code=$(curl -s --cacert "$CA" --cert e1.pem --key e1.key -o out -w '%{http_code}' "$HTTPS/edge/v1/stream")
is "$code" 403 "and it does not come back"
edge e2
out=$(curl -s --cacert "$CA" --cert e2.pem --key e2.key -H 'Content-Type: application/json' -d '[{"id":"r-1","kind":"stale","at":"2026-01-01T00:00:00Z"}]' "$HTTPS/edge/v1/report")
is "$out" '{"accepted":1}' "a report is accepted"
out=$(curl -s --cacert "$CA" --cert e2.pem --key e2.key -H 'Content-Type: application/json' -d '[{"id":"r-1","kind":"stale","at":"2026-01-01T00:00:00Z"}]' "$HTTPS/edge/v1/report")
is "$out" '{"accepted":1}' "and accepted again when the edge was not sure"
out=$(curl -s --cacert "$CA" --cert e2.pem --key e2.key -H 'Content-Type: application/json' -d '[{"id":"r-2","kind":"nonsense","at":"yesterday"}]' "$HTTPS/edge/v1/report" | jq -r .reason)
is "$out" bad-field "a bad report is refused"
site_stop; ok $? "cradled stops"
finish
