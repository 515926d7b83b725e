#!/bin/sh
# roles.sh: the daemon as a set of processes: start, each role killed in turn, nginx killed, roles that stand still, SIGHUP with good and bad
# configuration, a role that keeps dying, one that cannot work, tls = external, SIGTERM. Real cradled, real nginx. Prints TAP.
cd "$(dirname "$0")/../.." || exit 1
B=${CRADLE_BUILD:-$PWD/build/asan}
CRADLED=${CRADLED:-$B/cradled}
T=$(mktemp -d /tmp/cradle-roles-XXXXXX) && chmod 711 "$T"
S=$T/site
LOG=$T/log
n=0 bad=0 pid=
ok() { # condition's exit code, name
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; tail -n 15 "$LOG" | sed 's/^/# /'; fi
}
cleanup() {
    if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
        kids=$(children)
        kill -9 $pid $kids 2>/dev/null
    fi
    rm -rf "$T"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
within() { # seconds, command …: until it succeeds
    end=$(($(date +%s) + $1)); shift
    while ! "$@" >/dev/null 2>&1; do [ "$(date +%s)" -lt $end ] || return 1; sleep 0.05; done
}
children() { cat /proc/"$pid"/task/"$pid"/children 2>/dev/null; }
role_pid() { # core:0, or nginx
    for p in $(children); do
        tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q "^cradled -x $1\|^$1: master" && { echo "$p"; return 0; }
    done
    return 1
}
new_pid() { p=$(role_pid "$1") && [ "$p" != "$2" ]; }
start() { # arguments: log in $LOG, process id in $pid
    : >"$LOG"
    "$CRADLED" "$@" >>"$LOG" 2>&1 &
    pid=$!
}
ready() { grep -q 'cradled: ready: https://' "$LOG"; }
gone() { ! kill -0 "$1" 2>/dev/null; }
ended() { # seconds: waits for $pid; its exit code in $rc
    within "$1" gone_or_zombie && { wait "$pid"; rc=$?; pid=; }
}
gone_or_zombie() { ! [ -d /proc/"$pid" ] || grep -q '^State:.Z' /proc/"$pid"/status; }
get() { curl -s -m 5 --cacert "$S/ca/bundle.pem" "$@"; }
healthy() { get "$URL/healthz" | jq -ne 'input | .status == "ok" and .core == true and .query >= 1' ; }
as_admin() { get --cert "$S/operators/admin.pem" --key "$S/operators/admin.key" "$@"; }
ocsp() {
    openssl ocsp -issuer "$S/ca/infra.pem" -cert "$S/operators/admin.pem" -url "$HTTP/ocsp" -CAfile "$S/ca/root.pem" \
        -verify_other "$S/ca/infra-ocsp.pem" -timeout 5 2>&1 | grep -q ': good'
}
set_key() { sed -i "/^$1 *=/d" "$S/cradled.conf"; echo "$1 = $2" >>"$S/cradled.conf"; }

echo "a passphrase for the roles test" >"$T/pass"; chmod 600 "$T/pass"
"${CRADLE:-$B/cradle}" init "$S" --name roles --org "Roles Test" --passphrase-file "$T/pass" >"$LOG" 2>&1; ok $? "cradle init makes a site"
PORT=$(sed -n 's/^https_port = \([0-9]*\).*/\1/p' "$S/cradled.conf")
HPORT=$(sed -n 's/^http_port = \([0-9]*\).*/\1/p' "$S/cradled.conf")
URL=https://localhost:$PORT HTTP=http://localhost:$HPORT

# -- the command line
"$CRADLED" -t "$S" >"$LOG" 2>&1; ok $? "cradled -t accepts it, nginx -t too"
"$CRADLED" -T "$S" >"$T/effective" && cp "$T/effective" "$T/cradled.conf" && "$CRADLED" -T -c "$T/cradled.conf" | cmp -s - "$T/effective"
ok $? "cradled -T prints a configuration that reads back to itself"
printf '# x\nhots = y\n' >"$T/cradled.conf"; "$CRADLED" -t -c "$T/cradled.conf" 2>&1 | grep -q "cradled.conf:2: unknown key 'hots'"
ok $? "an unknown key is an error with file and line"
"$CRADLED" -x core:0 </dev/null >"$LOG" 2>&1 3</dev/null; [ $? = 1 ]; ok $? "a role cannot be started by hand"

if [ "$(id -u)" = 0 ]; then
    chmod o+w "$S/cradled.conf"; "$CRADLED" -t "$S" 2>&1 | grep -q 'can be changed by others'; ok $? "root refuses a configuration that others can change"
    chmod o-w "$S/cradled.conf"
fi

# -- start
start "$S"; within 60 ready; ok $? "cradled is ready"
grep -q "cradled: ready: $URL, $HTTP, site $S" "$LOG"; ok $? "the ready line names both URLs and the site"
[ "$(cat "$S/run/cradled.pid")" = "$pid" ]; ok $? "the pid file names the parent"
within 10 healthy; ok $? "GET /healthz over TLS: core and query are there"
curl -s -m 5 "$HTTP/healthz" | jq -ne 'input | .core' >/dev/null; ok $? "and over the plain port from loopback"
"$CRADLED" "$S" >"$T/second" 2>&1; [ $? = 5 ] && grep -q 'another cradled already runs' "$T/second"; ok $? "a second cradled on the same site is refused"
within 10 ocsp; ok $? "openssl ocsp gets an answer"
curl -s -m 5 -o "$T/crl" -w '%{content_type}' "$HTTP/crl/root/0.crl" | grep -q application/pkix-crl && openssl crl -inform DER -in "$T/crl" -noout 2>/dev/null
ok $? "the root's CRL is served with its content type"
[ "$(as_admin -o "$T/out" -w '%{http_code}' "$URL/api/v1/devices")" = 200 ]; ok $? "the first operator lists devices"

cradle() { "${CRADLE:-$B/cradle}" "$@" --site "$S" --json; }
cradle line add lamps >"$T/out" 2>&1 && cradle model add l1 --line lamps >"$T/out" 2>&1 && cradle device add lamp-1 --model l1 >"$T/out" 2>&1 &&
    cradle device list | jq -ne 'input | .items[0].uid == "lamp-1"' >/dev/null
ok $? "a line, a model, a device: changes pass front, core and the log"
(cd "$T" && cradle station add st1 --out "$T/st1") >"$T/out" 2>&1; ok $? "a station gets its certificate: front, core, signer"
as_admin "$URL/metrics" | grep -q '^cradle_'; ok $? "metrics are served"
within 10 sh -c "curl -s --cacert $S/ca/bundle.pem $URL/log/checkpoint | grep -q '^— '"; ok $? "the log's checkpoint is served and signed"

# -- confinement
for r in core:0 signer:0 query:0 depot:0 front:0 front:1; do
    st=/proc/$(role_pid $r)/status
    grep -q '^Seccomp:.2' "$st" && grep -q '^NoNewPrivs:.1' "$st" && [ "$(awk '/^Max core/ {print $5}' "${st%status}limits")" = 0 ]
    ok $? "$r runs under seccomp, without new privileges and core dumps"
done
if [ "$(id -u)" = 0 ]; then
    for p in $(children); do [ "$(stat -c %u /proc/$p)" != 0 ] || [ "$(awk '/^Uid:/ {print $3}' /proc/$p/status)" != 0 ] || echo "$p"; done >"$T/roots"
    [ ! -s "$T/roots" ]; ok $? "no role runs as root"
    [ "$(awk '/^Uid:/ {print $3}' /proc/"$(role_pid signer:0)"/status)" != "$(awk '/^Uid:/ {print $3}' /proc/"$(role_pid core:0)"/status)" ]
    ok $? "the signer runs as a user of its own"
fi
[ "$(find /proc/"$(role_pid signer:0)"/fd -lname 'socket:*' | wc -l)" -le 1 ]; ok $? "the signer holds one socket"

# -- the TLS front
[ "$(get -o "$T/out" -w '%{http_code} %{content_type}' "$URL/nothing")" = "404 application/problem+json" ] && jq -e '.reason == "no-route"' <"$T/out" >/dev/null
ok $? "an unknown path is a problem document from nginx"
for path in /crl/../../keys/device.key /crl/..%2f..%2fkeys/device.key; do
    [ "$(curl -s -m 5 --path-as-is -o "$T/out" -w '%{http_code}' "$HTTP$path")" = 400 ] && jq -e '.reason == "bad-input"' <"$T/out" >/dev/null
    ok $? "$path is 400 with a problem document"
done
[ "$(curl -s -m 5 --path-as-is -o "$T/out" -w '%{http_code}' "$HTTP/crl../keys/device.key")" = 404 ]; ok $? "no way out of the served folders"
openssl ocsp -issuer "$S/ca/infra.pem" -cert "$S/operators/admin.pem" -no_nonce -reqout "$T/req" >/dev/null 2>&1
curl -s -m 5 -o "$T/resp" "$HTTP/ocsp/$(base64 -w0 "$T/req" | jq -rR @uri)" &&
    openssl ocsp -no_nonce -respin "$T/resp" -issuer "$S/ca/infra.pem" -cert "$S/operators/admin.pem" -CAfile "$S/ca/bundle.pem" 2>/dev/null | grep -q ': good'
ok $? "OCSP by GET (RFC 5019)"
head -c 100000 /dev/zero >"$T/big"
[ "$(as_admin -o "$T/out" -w '%{http_code}' -H 'Content-Type: application/json' --data-binary @"$T/big" "$URL/api/v1/devices")" = 413 ] && jq -e '.reason == "too-large"' <"$T/out" >/dev/null
ok $? "a body beyond the route's limit is 413 too-large"
cert=$(jq -rn --rawfile c "$S/operators/admin.pem" '$c|@uri')
[ "$(get -o "$T/out" -w '%{http_code}' -H "X-Cradle-Client-Cert: $cert" -H 'X-Cradle-Verify: SUCCESS' "$URL/api/v1/devices")" = 401 ] && jq -e '.reason == "no-client-certificate"' <"$T/out" >/dev/null
ok $? "identity headers sent by a client do not reach front"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/f.key" -out "$T/f.pem" -subj /CN=admin -days 2 2>/dev/null
[ "$(get --cert "$T/f.pem" --key "$T/f.key" -o "$T/out" -w '%{http_code}' "$URL/api/v1/devices")" = 401 ] && jq -e '.reason == "certificate-foreign"' <"$T/out" >/dev/null
ok $? "a foreign certificate is refused by front, with its reason"
for v in -tls1_2 -tls1_3; do
    (sleep 1) | openssl s_client -connect localhost:"$PORT" $v -sess_out "$T/sess" >"$T/tls" 2>&1
    (sleep 1) | openssl s_client -connect localhost:"$PORT" $v -sess_in "$T/sess" >"$T/tls2" 2>&1
    grep -q '^New, TLSv1' "$T/tls" && ! grep -q '^Reused' "$T/tls2"; ok $? "$v: a session is never resumed"
    rm -f "$T/sess"
done

# -- deaths
for r in front:0 front:1 query:0 depot:0 signer:0 core:0; do
    old=$(role_pid $r); kill -9 "$old"
    within 5 new_pid $r "$old" && within 5 healthy && within 5 ocsp; ok $? "$r killed: it is back and the service answers within 5 s"
    grep -q "${r} died (signal 9)" "$LOG"; ok $? "$r: its death is logged"
done
old=$(role_pid nginx); kill -9 "$old"
within 5 new_pid nginx "$old" && within 5 healthy; ok $? "nginx killed: it is back and the service answers within 5 s"
kill -0 "$pid"; ok $? "the parent lives"
within 5 sh -c "'${CRADLE:-$B/cradle}' event list --kind role-restarted --site $S --json | jq -ne 'input | [.items[].payload | select(.why == \"signal 9\") | .role] | contains([\"front:0\", \"query:0\", \"depot:0\", \"signer:0\", \"core:0\", \"tls:0\"])'"
ok $? "every death is an event"
cradle event list --kind role-restarted | jq -e '[.items[].payload | select(.role == "core:0")] | length == 1' >/dev/null; ok $? "core's death is one event"

# -- SIGHUP
cp "$S/cradled.conf" "$T/good.conf"; echo 'no_such_key = 1' >>"$S/cradled.conf"; old=$(role_pid core:0)
kill -HUP "$pid"; within 5 grep -q "configuration is not changed: .*cradled.conf:[0-9]*: unknown key 'no_such_key'" "$LOG"
ok $? "SIGHUP with a bad configuration: it says why"
healthy >/dev/null && [ "$(role_pid core:0)" = "$old" ]; ok $? "and nothing changes"
cp "$T/good.conf" "$S/cradled.conf"; set_key log_level debug; front=$(role_pid front:1)
kill -HUP "$pid"; within 20 new_pid core:0 "$old" && within 20 new_pid front:1 "$front"; ok $? "SIGHUP with a good one: the roles restart one after the other"
within 10 healthy && within 10 ocsp; ok $? "and the service answers"
[ "$(grep -c 'died (exit' "$LOG")" = 0 ]; ok $? "no role counted as dead by that"

NEW=$((PORT + 5)); set_key https_port $NEW; set_key server_names "localhost other.example"
kill -HUP "$pid"; URL=https://localhost:$NEW; within 20 healthy; ok $? "another https_port: nginx answers there without a restart of cradled"
[ "$(get -o "$T/out" -w '%{http_code}' -H 'Host: evil.example' "$URL/healthz")" = 421 ]; ok $? "a host name outside server_names is 421"
sed -i '/^https_port/d; /^server_names/d' "$T/good.conf"; echo "https_port = $PORT" >>"$T/good.conf"

# -- the end
kids=$(children); workers=$(cat /proc/"$(role_pid nginx)"/task/*/children)
kill -TERM "$pid"; ended 20 && [ "$rc" = 0 ]; ok $? "SIGTERM: exit code 0 within the bound"
alive=; for p in $kids $workers; do [ -d "/proc/$p" ] && ! grep -q '^State:.Z' "/proc/$p/status" && alive="$alive $p"; done; [ -z "$alive" ]; ok $? "no process is left"
[ ! -e "$S/run/cradled.pid" ]; ok $? "no pid file is left"
grep -q 'killed' "$LOG"; [ $? = 1 ]; ok $? "nobody had to be killed"

"$CRADLED" -f "$S" >"$T/out" 2>&1 && "$CRADLED" -m "$S" >>"$T/out" 2>&1 && grep -q 'add up' "$T/out" && grep -q 'already' "$T/out"
ok $? "cradled -f: the events add up to the tables; -m: the schema is current"

# -- a role that keeps dying
cp "$T/good.conf" "$S/cradled.conf"; set_key restart_limit 3
start "$S"; within 60 ready; ok $? "started again on the same site"
for i in 1 2 3; do p=; within 10 role_pid query:0 && p=$(role_pid query:0) && kill -9 "$p"; within 10 gone "$p"; done
ended 20 && [ "$rc" = 70 ] && grep -q 'query:0 died 3 times within 60 s' "$LOG"; ok $? "a role that died too often stops the service with code 70 and a clear message"

# -- one that cannot work
cp "$T/good.conf" "$S/cradled.conf"; mv "$S/keys/stream.key" "$T/stream.key"
start "$S"; ended 30 && [ "$rc" = 78 ] && grep -q 'stream.key' "$LOG"; ok $? "a missing key stops the service at once with code 78 and names the file"
mv "$T/stream.key" "$S/keys/stream.key"
mv "$S/keys/device.key" "$T/device.key"
start "$S"; within 60 ready && grep -q "CA device has no key (keys/device.key" "$LOG"; ok $? "without the key of one CA it runs, and names the file"
kill -TERM "$pid"; ended 20; mv "$T/device.key" "$S/keys/device.key"

# -- roles that live but stand still
cp "$T/good.conf" "$S/cradled.conf"; set_key hang_limit 4; URL=https://localhost:$PORT
start "$S"; within 60 ready; ok $? "started with hang_limit = 4"
stopped="front:0 query:0 depot:0 signer:0"
for r in $stopped; do eval "old_${r%:0}=$(role_pid $r)"; done
kill -STOP $old_front $old_query $old_depot $old_signer
for r in $stopped; do
    eval "old=\$old_${r%:0}"
    within 30 new_pid $r "$old" && gone "$old"; ok $? "$r stopped: it is killed and replaced"
    grep -q "$r died (it stood still for 4 s and was killed)" "$LOG"; ok $? "$r: the log says why"
done
within 20 healthy && within 20 ocsp; ok $? "the service answers"
old=$(role_pid core:0); kill -STOP "$old"; within 30 new_pid core:0 "$old"; ok $? "core:0 stopped: it is killed and replaced"
within 20 healthy && within 20 ocsp; ok $? "the service answers"
hung_events() { cradle event list --kind role-restarted | jq -r '.items[].payload | select(.why | startswith("it stood still")) | .role' | sort | tr '\n' ' '; }
all_hung() { [ "$(hung_events)" = "core:0 depot:0 front:0 query:0 signer:0 " ]; }; within 10 all_hung; ok $? "each is one event"
kill -TERM "$pid"; ended 20 && [ "$rc" = 0 ]; ok $? "and it stops"

# -- somebody else's TLS
set_key tls external
start "$S"; within 60 ready; ok $? "tls = external: ready without nginx"
[ -z "$(role_pid nginx)" ] && curl -s -m 5 --unix-socket "$S/run/front-0.sock" http://x/healthz | jq -ne "input | .core" >/dev/null; ok $? "the front's socket answers"
kill -TERM "$pid"; ended 20 && [ "$rc" = 0 ]; ok $? "and it stops"

echo "1..$n"
exit $bad
