#!/bin/sh
# rest_roles.sh: every route of route.def with every role over real mTLS, and the REST API's manners on the real daemon.
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
. t/lib.sh
need curl curl; need openssl openssl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
CA=$SITE/ca/bundle.pem
cd "$T" || exit 1
cp "$SITE/operators/admin.pem" "$SITE/operators/admin.key" .

api() { curl -s --cacert "$CA" --cert admin.pem --key admin.key -H 'Content-Type: application/json' "$@"; }
infra() {
    key "$1"
    csr=$(openssl req -new -key "$1.key" -subj "/CN=$1" -outform DER 2>/dev/null | openssl base64 -A)
    api -d "{\"name\":\"$1\",\"role\":\"$2\",\"csr\":\"$csr\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >"$1.pem"
}
# call WHO METHOD PATH [curl options]: sets code and reason
call() {
    who=$1 method=$2 path=$3; shift 3
    id="--cert $who.pem --key $who.key"; [ "$who" = none ] && id=
    code=$(curl -s --max-time 10 --cacert "$CA" $id -X "$method" -D head -o out -w '%{http_code}' "$@" "$HTTPS$path")
    reason=$(tr -d '\r' <head | sed -n 's/^x-cradle-reason: //Ip')
}

for r in operator station auditor edge backend; do infra $r $r; done
api -d '{"name":"pump"}' "$HTTPS/api/v1/lines" >/dev/null
api -d '{"name":"p1","line":"pump"}' "$HTTPS/api/v1/models" >/dev/null
api -d '{"uid":"device","model":"p1"}' "$HTTPS/api/v1/devices" >/dev/null
key device
openssl req -new -key device.key -subj /CN=device -outform DER 2>/dev/null | openssl base64 >device.csr
curl -s --cacert "$CA" --cert station.pem --key station.key -H 'Content-Type: application/pkcs10' --data-binary @device.csr "$HTTPS/.well-known/est/simpleenroll" |
    openssl base64 -d | openssl pkcs7 -inform DER -print_certs | openssl x509 >device.pem
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout foreign.key -out foreign.pem -subj /CN=admin -days 2 2>/dev/null

# -- route x role: allowed exactly when route.def says so
matrix() { sh "$root/t/api_table.sh" --rows <"$root/src/wire/route.def"; }   # METHOD PATH ROLE,ROLE,…
matrix >rows
[ "$(wc -l <rows)" -gt 30 ]; ok $? "route.def has been read ($(wc -l <rows) routes)"
while read -r method path roles; do
    case $path in /healthz | /metrics | /api/* | /edge/* | /.well-known/*) ;; *) continue ;; esac # OCSP is on the plain port
    url=$(printf '%s' "$path" | sed 's/{serial}/0a1b/; s/{[a-z]*}/nothing/')
    [ "$path" = /edge/v1/stream ] && url="$url?bad=1"
    for who in none admin operator station auditor edge backend device foreign; do
        call $who "$method" "$url"
        case ",$roles," in *,public,* | *",$who,"*) want=through ;; *) want=refused ;; esac
        got=through
        case "$code $reason" in "401 "* | "403 role-forbidden") got=refused ;; "000 "*) got=nothing ;; esac
        case "$got $who $code" in refused\ none\ 403 | refused\ foreign\ 403) got="wrong code $code" ;; through*501) ;; through*5??) got="wrong code $code" ;; esac
        [ "$got" = $want ]; ok $? "$method $path as $who: $code $reason"
    done
done <rows

# -- manners
H='Content-Type: application/json'
call admin POST /api/v1/devices -H "$H" -H 'Idempotency-Key: k-1' -d '{"uid":"D-1","model":"p1"}'
is "$code" 201 "a device is created"
has "$(cat head)" '^[Ll]ocation: /api/v1/devices/D-1' "Location says where it is"
cp out first
call admin POST /api/v1/devices -H "$H" -H 'Idempotency-Key: k-1' -d '{"uid":"D-1","model":"p1"}'
is "$code" 201 "the same request with the same Idempotency-Key is answered again"
cmp -s out first; ok $? "with the same body"
call admin POST /api/v1/devices -H "$H" -H 'Idempotency-Key: k-1' -d '{"uid":"D-2","model":"p1"}'
is "$code $reason" "409 idempotency-mismatch" "another request with that key is refused"
call admin POST /api/v1/devices -H "$H" -d '{"uid":"D-1","model":"p1"}'
is "$code $reason" "409 exists" "a second device of that name is refused"
call admin GET /api/v1/devices/D-1
etag=$(tr -d '\r' <head | sed -n 's/^etag: //Ip')
has "$etag" '^"[0-9]+"$' "a device has an ETag"
call admin PATCH /api/v1/devices/D-1 -H "$H" -H 'If-Match: "999"' -d '{"state":"suspended"}'
is "$code $reason" "412 rev-mismatch" "If-Match with another revision is refused"
call admin PATCH /api/v1/devices/D-1 -H "$H" -H "If-Match: $etag" -d '{"state":"suspended"}'
is "$code" 200 "If-Match with the right one changes it"
call admin PATCH /api/v1/devices/D-1 -H "$H" -H "If-Match: $etag" -d '{"state":"active"}'
is "$code $reason" "412 rev-mismatch" "but only once"
call admin PATCH /api/v1/devices/D-1 -H "$H" -d '{"state":"asleep"}'
has "$code $reason" '^(400 bad-field|409 state-change)$' "a state that does not exist"
for i in 1 2 3 4 5 6 7; do api -d "{\"uid\":\"PAGE-$i\",\"model\":\"p1\",\"batch\":\"pages\"}" "$HTTPS/api/v1/devices" >/dev/null; done
seen= next= pages=0
while [ $pages -lt 10 ]; do
    call admin GET "/api/v1/devices?batch=pages&limit=3${next:+&after=$next}"
    seen="$seen $(jq -r '.items[].uid' out | tr '\n' ' ')"
    next=$(jq -r '.next // empty | @uri' out)
    pages=$((pages + 1))
    [ -n "$next" ] || break
done
is "$(echo $seen)" "PAGE-1 PAGE-2 PAGE-3 PAGE-4 PAGE-5 PAGE-6 PAGE-7" "pages hold every row once ($pages pages)"
call admin GET '/api/v1/devices?after=junk'
is "$code $reason" "400 bad-cursor" "a cursor that nobody made"
call admin GET '/api/v1/devices?colour=red'
is "$code $reason" "400 bad-field" "an unknown query parameter"
has "$(cat out)" "colour" "is named"
jq -e '.type == "urn:cradle:problem:bad-field" and .status == 400 and (.instance | startswith("urn:cradle:request:"))' out >/dev/null
ok $? "a refusal is an RFC 9457 problem"
call admin GET '/api/v1/events?kind=device-added&limit=2'
is "$(jq -r '.items | length' out)" 2 "events by kind"
serial=$(openssl x509 -in device.pem -noout -serial | cut -d= -f2)
call admin GET "/api/v1/certs/$serial" -H 'Accept: application/pkix-cert'
openssl x509 -inform DER -in out -outform DER 2>/dev/null | cmp -s - out; ok $? "a certificate as DER on request"
call admin GET "/api/v1/certs/$serial"
is "$(jq -r .holder out)" device "and as JSON otherwise"

# -- an operator's end: at once, on the same connection as well
call operator GET /api/v1/devices; is "$code" 200 "an operator reads"
call admin DELETE /api/v1/operators/operator; is "$(echo "$code" | cut -c1)" 2 "the operator is removed"
gone() { call operator GET /api/v1/devices; [ "$code" = 403 ]; }
wait_for 5 gone; ok $? "and refused from then on ($reason)"
call admin DELETE /api/v1/operators/admin
is "$code $reason" "403 self-remove" "nobody removes itself"
all_fronts() { curl -s "$HTTP/metrics" >m.out; for n in 0 1; do grep -q "^cradle_front_requests_total{front=\"$n\"} [1-9]" m.out || return 1; done; }
wait_for 5 all_fronts; ok $? "one scrape tells of both fronts"
has "$(grep cradle_front_refusals_total m.out)" 'front="[0-9]",reason="role-forbidden"\}' "and counts refusals by reason"
call admin GET /api/v1/devices/a%2fb
is "$code $reason" "400 bad-uid" "a path with an encoded slash is data, and no UID"
site_stop; ok $? "cradled stops"
finish
