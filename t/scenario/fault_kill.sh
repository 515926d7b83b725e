#!/bin/sh
# fault_kill.sh: kill -9 of a role at its worst moment: core between intent and finalise, the signer while it signs, a front, query and
# nginx in a request, everything at once. Clients get a clean answer, nothing that was acknowledged is lost, what is left open is closed.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
site_init || { ok 1 "cradle init"; finish; }
set_key restart_limit 1000
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
line pump
infra st station pump
for d in C-1 C-2 P-1 R-1 R-2; do device_add $d pump >/dev/null; key $d; csr $d /CN=$d; done
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    for k in S F N; do device_add $k-$i pump >/dev/null; key $k-$i; csr $k-$i /CN=$k-$i; done
done
# ask NAME: enrolls in the background; NAME.code, NAME.head, NAME.out
ask() {
    curl -s -m 60 --cacert "$SITE/ca/bundle.pem" --cert st.pem --key st.key -H 'Content-Type: application/pkcs10' --data-binary "@$1.csr" \
        -D "$1.head" -o "$1.out" -w '%{http_code}' "$HTTPS/.well-known/est/simpleenroll" >"$1.code" 2>/dev/null &
    asked="$asked $!"
}
answered() { for p in $asked; do wait "$p"; done; asked=; }
why() { tr -d '\r' <"$1.head" | sed -n 's/^x-cradle-reason: //Ip'; }
intents() { [ "$(events_since "$from" cert-intent | wc -l)" -ge "$1" ]; }
serials_of() { api "$HTTPS/api/v1/certs?device=$1" | jq -r '.items[].serial'; }
ocsp_says() { # SERIAL PATTERN
    openssl ocsp -issuer "$SITE/ca/device.pem" -serial "0x$1" -url "$HTTP/ocsp" -CAfile "$SITE/ca/bundle.pem" -timeout 10 2>&1 | grep -q "$2"
}

# -- core, between intent and finalise: the signer is held, so the certificate cannot come
from=$(vector)
signer=$(role_pid signer:0)
kill -STOP "$signer"
ask C-1
wait_for 20 intents 1; ok $? "the intent is durable and in the evidence"
role_kill core:0; ok $? "core is killed before the certificate comes, and is back"
gone "$signer"; ok $? "the signer that was held is gone with it"
answered
has "$(cat C-1.code)" '^50[23]$' "the client is told at once ($(cat C-1.code) $(why C-1))"
orphan=$(events_since "$from" cert-orphan | jq -r '.payload | select(.holder == "C-1") | .serial')
is "$orphan" "$(events_since "$from" cert-intent | jq -r .payload.serial)" "the serial of the intent is revoked and logged as an orphan"
evidence "$from" repaired 'serials are revoked","count":1'; ok $? "the repair is in the evidence"
grep -q 'repaired: 1 certificates were asked for and not stored' "$T/cradled.log"; ok $? "and in the log"
wait_for 20 ocsp_says "$orphan" revoked; ok $? "openssl ocsp: that serial is revoked"
is "$(state C-1)" registered "the device is registered as before"
ask C-1; answered; is "$(cat C-1.code)" 200 "it is enrolled with the next request"
p7_pem C-1.out >C-1.pem
[ "$(openssl x509 -in C-1.pem -noout -serial | cut -d= -f2)" != "$(echo "$orphan" | tr a-f A-F)" ]; ok $? "under another serial"

# -- all processes at once, as when the power goes
from=$(vector)
kill -STOP "$(role_pid signer:0)"
ask C-2
wait_for 20 intents 1; ok $? "another intent waits"
kill_all
answered
: >"$T/cradled.log"
site_start; ok $? "after kill -9 of every process the site starts again"
grep -q 'repaired: 1 certificates were asked for and not stored' "$T/cradled.log"; ok $? "and says what it repaired"
evidence "$from" cert-orphan C-2; ok $? "the orphan is in the evidence"
ask C-2; answered; is "$(cat C-2.code)" 200 "the device is enrolled"

# -- the signer, while it signs
from=$(vector)
signer=$(role_pid signer:0)
kill -STOP "$signer"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ask S-$i; done
wait_for 30 intents 12; ok $? "twelve enrollments wait for the signer"
kill -9 "$signer"
answered
is "$(cat S-*.code | tr -d '\n' | sed 's/200//g; s/503//g')" "" "the signer killed: every client gets a certificate or 503 to try again"
echo "# at once: $(grep -l 200 S-*.code | wc -l) certificates, $(grep -l 503 S-*.code | wc -l) told to come again"
wait_for 20 healthy; ok $? "the service is well"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do [ "$(cat S-$i.code)" = 200 ] && p7_pem S-$i.out >S-$i.first; ask S-$i; done
answered
again() { # as a client does that was told to come again: those of 503 ask once more; true when there are none left
    waits=0
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do [ "$(cat S-$i.code)" != 503 ] || { ask S-$i; waits=1; }; done
    answered
    [ $waits = 0 ]
}
wait_for 30 again
is "$(grep -l 200 S-*.code | wc -l)" 12 "asked once more, all twelve hold a certificate"
same=0
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    p7_pem S-$i.out >S-$i.pem
    openssl verify -CAfile "$SITE/ca/bundle.pem" S-$i.pem >/dev/null 2>&1 && { [ ! -s S-$i.first ] || cmp -s S-$i.first S-$i.pem; } && same=$((same + 1))
done
is $same 12 "that verifies, and is the one they had if they had one"
loose=$(events_since "$from" | jq -r 'select(.kind == "cert-intent" or .kind == "cert-issued" or .kind == "cert-orphan") | .payload.serial' | sort | uniq -c | awk '$1 != 2' | wc -l)
is "$loose" 0 "every intent ended in exactly one certificate or one orphan"

# -- a front, in a request: core is held, so all of them are open
core=$(role_pid core:0)
kill -STOP "$core"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ask F-$i; done
tls_open() { [ "$(ss -Htn state established "sport = :$BASE" | wc -l)" -ge "$1" ]; }
front_open() { [ "$(ss -Hx state established | grep -c "$SITE/run/front-..sock")" -ge "$1" ]; }
wait_for 20 tls_open 12 && wait_for 20 front_open 12; ok $? "twelve requests are open in the fronts"
front=$(role_pid front:0)
kill -9 "$front"
kill -CONT "$core"
answered
is "$(cat F-*.code | tr -d '\n' | sed 's/200//g; s/50[234]//g')" "" "a front killed: its clients get 502 or 503, the others their certificate"
echo "# $(grep -l 200 F-*.code | wc -l) certificates, $(grep -lE '50[234]' F-*.code | wc -l) errors: $(for i in 1 2 3 4 5 6 7 8 9 10 11 12; do why F-$i; done | sort | uniq -c | tr '\n' ' ')"
lost=0; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do [ "$(cat F-$i.code)" = 200 ] || [ -n "$(why F-$i)" ] || lost=$((lost + 1)); done
is $lost 0 "each error has a reason"
wait_for 30 new_pid front:0 "$front" && wait_for 30 healthy; ok $? "the front is back"
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do ask F-$i; done
answered
is "$(grep -l 200 F-*.code | wc -l)" 12 "asked once more, all hold a certificate"
n=0; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do n=$((n + $(serials_of F-$i | wc -l))); done
is $n 12 "one each: what the dead front had passed on was not made twice"

# -- query, in a request
query=$(role_pid query:0)
kill -STOP "$query"
curl -s -m 30 $ADMIN -o list.out -w '%{http_code}' "$HTTPS/api/v1/devices" >list.code 2>/dev/null & LIST=$!
wait_for 20 tls_open 1
kill -9 "$query"
wait $LIST
is "$(cat list.code) $(jq -r .reason <list.out)" "503 role-restarting" "query killed: the list is 503 with its reason"
wait_for 30 new_pid query:0 "$query" && wait_for 30 healthy; ok $? "query is back"
is "$(api -o /dev/null -w '%{http_code}' "$HTTPS/api/v1/devices")" 200 "and lists"

# -- nginx, in a request
master=$(role_pid nginx); workers=$(cat "/proc/$master/task/$master/children")
kill -STOP "$core"
for i in 1 2 3 4; do ask N-$i; done
wait_for 20 tls_open 4 && wait_for 20 front_open 4
kill -9 "$master"
kill -CONT "$core"
answered
is "$(cat N-[1234].code | tr -d '\n' | sed 's/200//g; s/000//g; s/50[234]//g')" "" "nginx killed: its clients get their answer or lose the connection"
wait_for 30 new_pid nginx "$master" && wait_for 30 healthy; ok $? "nginx is back"
old() { for p in $workers; do gone "$p" || return 1; done; }
wait_for 20 old; ok $? "no worker of the old one serves on"
for i in 1 2 3 4; do ask N-$i; done; answered
is "$(cat N-[1234].code)" 200200200200 "all four hold a certificate"

# -- the whole of it
for d in core:0 signer:0 front:0 query:0 tls:0; do
    evidence 1:0 role-restarted "\"$d\".*signal 9"; ok $? "the death of $d is in the evidence"
done
verified kill; ok $? "the evidence verifies offline"
site_stop; ok $? "cradled stops"
folds; ok $? "the events add up to the tables"
is "$(sqlite3 "$SITE/db/cradle.db" 'SELECT count(*) FROM intent')" 0 "no intent is left open"
is "$(sqlite3 "$SITE/db/cradle.db" 'SELECT count(*) - count(DISTINCT hex(serial)) FROM cert')" 0 "no serial was given out twice"
clean_log; ok $? "no finding of a sanitizer"
finish
