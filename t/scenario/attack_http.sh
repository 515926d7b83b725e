#!/bin/sh
# attack_http.sh: callers without a certificate and callers with the wrong one, on both ports: forged headers, paths, smuggling, methods,
# certificates that are not for clients, and names that are somebody else's.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need openssl openssl; need curl curl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
CA=$SITE/ca/bundle.pem
cd "$T" || exit 1
as() { w=$1; shift; curl -s --cacert "$CA" --cert "$w.pem" --key "$w.key" -H 'Content-Type: application/json' "$@"; }
reason() { jq -r .reason 2>/dev/null; }
infra() { # name role lines
    [ -f "$1.key" ] || key "$1"
    csr=$(openssl req -new -key "$1.key" -subj "/CN=$1" -outform DER 2>/dev/null | openssl base64 -A)
    api -d "{\"name\":\"$1\",\"role\":\"$2\",\"lines\":\"${3:-}\",\"csr\":\"$csr\"}" "$HTTPS/api/v1/operators" >"$1.json"
    jq -r '.certificate // empty' "$1.json" >"$1.pem"; [ -s "$1.pem" ]
}
status() { curl -s --path-as-is --max-time 5 -o out -w '%{http_code}' "$@"; }

for l in pump valve; do api -d "{\"name\":\"$l\"}" "$HTTPS/api/v1/lines" >/dev/null; done
api -d '{"name":"p1","line":"pump"}' "$HTTPS/api/v1/models" >/dev/null; api -d '{"name":"v1","line":"valve"}' "$HTTPS/api/v1/models" >/dev/null
infra telemetry auditor; infra st station pump; infra op operator; infra oppump operator pump; infra edge1 edge
ok $? "a site with people on it"

# -- names that are somebody else's
is "$(as st -d '{"uid":"telemetry","model":"p1"}' "$HTTPS/api/v1/devices" | reason)" exists "a station cannot register a device under a backend's name"
is "$(as st -d '{"uid":"admin","model":"p1"}' "$HTTPS/api/v1/devices" | reason)" exists "nor under an administrator's"
infra half admin pump; is "$(reason <half.json)" bad-field "there is no administrator of some lines: it could make one of all"
is "$(as st -d '{"uid":"V-1","model":"v1"}' "$HTTPS/api/v1/devices" | reason)" line-forbidden "a station of one line registers nothing in another"
api -d '{"uid":"V-1","model":"v1"}' "$HTTPS/api/v1/devices" >/dev/null; api -d '{"uid":"P-1","model":"p1"}' "$HTTPS/api/v1/devices" >/dev/null
is "$(as oppump -X PATCH -d '{"state":"suspended"}' "$HTTPS/api/v1/devices/V-1" | reason)" line-forbidden "an operator of one line changes nothing in another"
is "$(as oppump "$HTTPS/api/v1/devices/V-1" | reason)" line-forbidden "nor reads it"
is "$(as oppump "$HTTPS/api/v1/events?limit=500" | grep -c V-1)" 0 "nor its events"
for u in '$SYS' '+' '#' a/b ../x -x '' ' x' 'x ' "$(printf 'x\303\251')" "$(printf '%065d' 0)"; do
    is "$(jq -nc --arg u "$u" '{uid:$u,model:"p1"}' | as st -d @- "$HTTPS/api/v1/devices" | jq -r .status)" 400 "no device is called '$(printf %.20s "$u")'"
done
for s in '\u001b[31m' '\u009b31m' '\u202egnp' '\u2028'; do
    is "$(as st -d "{\"uid\":\"T-1\",\"model\":\"p1\",\"serial\":\"$s\"}" "$HTTPS/api/v1/devices" | jq -r .status)" 400 "text that steers a terminal is refused ($s)"
done

# -- roles and answers of others
for r in '"device"' '"public"' '"ADMIN"' '"admin "' '""'; do
    csr=$(openssl req -new -key op.key -subj "/CN=r1" -outform DER 2>/dev/null | openssl base64 -A)
    is "$(api -d "{\"name\":\"r1\",\"role\":$r,\"csr\":\"$csr\"}" "$HTTPS/api/v1/operators" | jq -r .status)" 400 "there is no role $r"
done
is "$(as op -d "{\"name\":\"r1\",\"role\":\"admin\",\"csr\":\"$csr\"}" "$HTTPS/api/v1/operators" | reason)" role-forbidden "an operator adds nobody"
is "$(as op -X DELETE "$HTTPS/api/v1/operators/st" | reason)" role-forbidden "and removes nobody"
adminserial=$(openssl x509 -noout -serial -in "$SITE/operators/admin.pem" | cut -d= -f2)
is "$(as op -d '{}' "$HTTPS/api/v1/certs/$adminserial/revoke" | reason)" role-forbidden "nor revokes an administrator's certificate"
as op -H 'Idempotency-Key: same' -d '{"uid":"I-1","model":"p1"}' "$HTTPS/api/v1/devices" >/dev/null
is "$(as oppump -H 'Idempotency-Key: same' -d '{"uid":"I-1","model":"p1"}' "$HTTPS/api/v1/devices" | reason)" exists "an Idempotency-Key is its caller's own"

# -- an edge that lies, over the real API
at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
as edge1 -d "[{\"id\":\"1\",\"kind\":\"connected\",\"uid\":\"GHOST\",\"at\":\"$at\"},{\"id\":\"2\",\"kind\":\"connected\",\"uid\":\"P-1\",\"at\":\"9999-12-31T23:59:59Z\"}]" "$HTTPS/edge/v1/report" >out
is "$(jq -r .accepted out)" 2 "reports are taken"
is "$(api "$HTTPS/api/v1/events?limit=500" | jq '[.items[]|select(.kind=="presence" and (.payload.device? // .device)=="GHOST")]|length')" 0 "a device that is not registered has no presence"
case $(api "$HTTPS/api/v1/devices/P-1" | jq -r .last_seen) in 9999* | null) false ;; *) true ;; esac; ok $? "nobody is seen in the future"

# -- no certificate, forged headers
forged=$(jq -sRr @uri <"$SITE/operators/admin.pem")
is "$(status --cacert "$CA" -H 'X-Cradle-Verify: SUCCESS' -H "X-Cradle-Client-Cert: $forged" -H 'X-Cradle-Port: plain' -H 'X-Cradle-Addr: 127.0.0.1' "$HTTPS/api/v1/operators")" 401 \
    "a client's own X-Cradle headers mean nothing"
is "$(status --cacert "$CA" -H 'X-Cradle-Port: plain' "$HTTPS/metrics")" 401 "the TLS port is not the plain one because a header says so"
is "$(status -H 'X-Cradle-Verify: SUCCESS' -H "X-Cradle-Client-Cert: $forged" "$HTTP/api/v1/operators")" 404 "the plain port has no API"
for c in tls/server:tls/server ca/infra-ocsp:keys/infra-ocsp ca/infra:keys/infra; do
    is "$(status --cacert "$CA" --cert "$SITE/${c%:*}.pem" --key "$SITE/${c#*:}.key" "$HTTPS/api/v1/status")" 401 "the site's own ${c%:*} is no caller"
done

# -- paths
for p in /crl/../keys/device.key /crl../keys/device.key /crl/../../keys/device.key /log/tile/../../keys/device.key /log/tile/%2e%2e/%2e%2e/keys/device.key \
    /log/tile/..%2f..%2fkeys%2fdevice.key /log/checkpoint/../../db/cradle.db /ca/%2e%2e/%2e%2e/birth.json //api/v1/operators /api/v1/%2e%2e/v1/operators \
    /.well-known/est/../../api/v1/operators /API/v1/operators /problem/400 /log/tile/ /crl/ /ca/; do
    a=$(status --cacert "$CA" "$HTTPS$p"); b=$(status "$HTTP$p")
    case $a$b in *2??* | *5??*) false ;; *) case $a in 4??) true ;; *) false ;; esac ;; esac; ok $? "$p: $a $b"
done

# -- requests that mean two things
raw() { { printf "$1"; sleep 1; } | timeout 5 openssl s_client -quiet -connect "localhost:$BASE" -servername localhost -CAfile "$CA" 2>/dev/null | tr -d '\r'; }
EST=/.well-known/est/simpleenroll
two() { # name, request: at most one answer, and it is a refusal
    got=$(raw "$2" | grep '^HTTP/')
    is "$(printf '%s\n' "$got" | wc -l) $(printf '%s' "$got" | cut -d' ' -f2 | cut -c1)" "1 ${3:-4}" "$1"
}
two "Content-Length and Transfer-Encoding" "POST $EST HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
two "a blank before the colon" "POST $EST HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
two "two lengths" "POST $EST HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nabcdGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
two "two hosts" "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n"
two "an unknown transfer coding" "POST $EST HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\nContent-Length: 3\r\n\r\nabc" 5
two "an absolute URI is still the API" "GET https://evil/api/v1/operators HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
two "a request hidden in a body that the route does not take" "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 36\r\n\r\nGET /metrics HTTP/1.1\r\nHost: xyz\r\n\r\n"
for m in TRACE TRACK CONNECT OPTIONS PROPFIND PUT; do
    case $(status --cacert "$CA" -X $m "$HTTPS/api/v1/devices") in 405 | 501 | 400) true ;; *) false ;; esac; ok $? "$m is nothing here"
done
is "$(curl -s $ADMIN -X POST -H 'X-HTTP-Method-Override: PATCH' -H 'Content-Type: application/json' -d '{"state":"revoked"}' "$HTTPS/api/v1/devices/P-1" | reason)" \
    method-not-allowed "a method cannot be overridden"
finish
