#!/bin/sh
# chaos_kill.sh: clients enroll devices without a pause while roles are killed at random (kill -9). Afterwards: what a client holds an
# answer for is in the store and in the log, every certificate in the log verifies, no serial is there twice, events and tables agree.
# usage: t/scenario/chaos_kill.sh [KILLS]     (20; t/chaos.sh runs more)
kills=${1:-20}
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
need sqlite3 sqlite3; need perl perl
clients=6
site_init || { ok 1 "cradle init"; finish; }
set_key restart_limit 1000
set_key request_deadline 5
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
line pump
infra st station pump
mkdir answers

# -- clients: each registers a device, enrolls it until it holds an answer of 200, and keeps the certificate. One in four is revoked.
client() { # NUMBER
    n=0
    key c$1
    while [ ! -e stop ]; do
        n=$((n + 1)); uid=K-$1-$n; tries=0
        openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out c$1.key 2>/dev/null
        csr c$1 /CN=$uid
        until case $(curl -s -m 8 $ADMIN -H 'Content-Type: application/json' -d "{\"uid\":\"$uid\",\"model\":\"m-pump\"}" -o /dev/null -w '%{http_code}' "$HTTPS/api/v1/devices") in 201 | 409) true ;; *) false ;; esac; do
            tries=$((tries + 1)); [ $tries -lt 4000 ] || { echo "$uid cannot be added" >>stuck; return; }
            sleep 0.05
        done
        tries=0
        until [ "$(curl -s -m 8 --cacert "$SITE/ca/bundle.pem" --cert st.pem --key st.key -H 'Content-Type: application/pkcs10' --data-binary @c$1.csr \
            -o c$1.out -w '%{http_code}' "$HTTPS/.well-known/est/simpleenroll")" = 200 ]; do
            tries=$((tries + 1)); [ $tries -lt 4000 ] || { echo "$uid cannot be enrolled" >>stuck; return; }
            sleep 0.05
        done
        echo $tries >>tries.$1
        p7_pem c$1.out >answers/$uid.pem
        if [ $((n % 4)) = 0 ]; then
            [ "$(curl -s -m 8 $ADMIN -H 'Content-Type: application/json' -X PATCH -d '{"state":"revoked"}' -o /dev/null -w '%{http_code}' "$HTTPS/api/v1/devices/$uid")" = 200 ] &&
                echo $uid >>revoked.$1
        fi
    done
}
for i in $(seq $clients); do client $i & pids="$pids $!"; own $!; done

# -- kills, 0 to 0.5 s after the service was seen well
done=0 missed=0
while [ $done -lt "$kills" ]; do
    set -- core:0 core:0 signer:0 signer:0 front:0 front:1 query:0 nginx
    shift $(($(od -An -N1 -tu1 /dev/urandom) % 8))
    sleep 0.$(($(od -An -N1 -tu1 /dev/urandom) % 5))$(($(od -An -N1 -tu1 /dev/urandom) % 10))
    p=$(role_pid "$1") && kill -9 "$p" 2>/dev/null && { done=$((done + 1)); echo "$1" >>killed; }
    if [ $((done % 3)) = 0 ]; then wait_for 60 healthy || { missed=$((missed + 1)); break; }; fi
    [ -d "/proc/$CRADLED" ] || break
done
is $done "$kills" "roles were killed"
sort killed | uniq -c | sed 's/^/#/'
is $missed 0 "the service was well again after each"
wait_for 60 healthy; ok $? "and is in the end"
: >stop
for p in $pids; do wait "$p"; done
[ ! -e stuck ]; ok $? "no client was kept out"
acked=$(ls answers | wc -l)
echo "# $acked certificates acknowledged, $(cat tries.* | awk '{ s += $1 } END { print s + 0 }') requests repeated, $(cat revoked.* 2>/dev/null | wc -l) devices revoked"
[ "$acked" -ge 5 ]; ok $? "certificates were given out all the while"
is "$(find answers -size 0 | wc -l)" 0 "each of them was whole"

# -- the log
for f in answers/*.pem; do openssl x509 -in "$f" -outform DER | sha256sum | cut -c1-64; done | sort >acked.sha256
exported() { # everything acknowledged is under a published head
    cradle evidence export "$T/try.export" >/dev/null 2>&1 && grep -o '"sha256[\\]*":[\\]*"[0-9a-f]*' "$T/try.export" | grep -o '[0-9a-f]*$' | sort >exported.sha256 &&
        [ "$(comm -23 acked.sha256 exported.sha256 | wc -l)" = 0 ]
}
wait_for 30 exported; ok $? "every acknowledged certificate is in the published log"
verified chaos; ok $? "the evidence verifies offline"
site_stop; ok $? "cradled stops"
folds; ok $? "the events add up to the tables"
DB=$SITE/db/cradle.db
query() { sqlite3 "$DB" "$1"; }
query "SELECT hex(der) FROM cert WHERE holder_kind = 2" | 
    perl -MDigest::SHA=sha256_hex -ne 'chomp; print sha256_hex(pack("H*", $_)), "\n"' | sort >stored.sha256
query "SELECT json_extract(payload, '\$.sha256') FROM event WHERE kind = 'cert-issued' AND json_extract(payload, '\$.holder_kind') = 2" | sort >logged.sha256
is "$(comm -23 acked.sha256 stored.sha256 | wc -l)" 0 "every acknowledged certificate is in the store"
is "$(comm -23 acked.sha256 logged.sha256 | wc -l)" 0 "and in the log"
cmp -s stored.sha256 logged.sha256; ok $? "store and log hold the same $(wc -l <stored.sha256) certificates"
mkdir all
query "SELECT hex(serial), hex(der) FROM cert" | 
    perl -MMIME::Base64 -ne 'chomp; my ($serial, $der) = split /\|/; open my $o, ">", "all/$serial.pem" or die;
        print $o "-----BEGIN CERTIFICATE-----\n", encode_base64(pack("H*", $der)), "-----END CERTIFICATE-----\n"'
is "$(ls all | wc -l)" "$(query 'SELECT count(*) FROM cert')" "every certificate of the store is looked at"
is "$(openssl verify -CAfile "$SITE/ca/bundle.pem" all/*.pem 2>&1 | grep -vc ': OK$')" 0 "openssl verifies every one of them"
is "$(query 'SELECT count(*) - count(DISTINCT hex(serial)) FROM cert')" 0 "no serial is in the store twice"
is "$(query "SELECT count(*) FROM (SELECT json_extract(payload, '\$.serial') AS s FROM event WHERE kind = 'cert-intent' GROUP BY s HAVING count(*) > 1)")" 0 "none was meant for two certificates"
is "$(query "SELECT count(*) FROM (SELECT json_extract(payload, '\$.serial') AS s, count(*) AS n FROM event WHERE kind IN ('cert-issued', 'cert-orphan') GROUP BY s HAVING n > 1)")" 0 "none was issued and given up as well"
is "$(query 'SELECT count(*) FROM intent')" 0 "no intent is open"
echo "# $(query "SELECT count(*) FROM event") events, $(query "SELECT count(*) FROM event WHERE kind = 'cert-orphan'") orphans closed"
lost=0; for uid in $(cat revoked.* 2>/dev/null); do [ "$(query "SELECT state FROM device_state WHERE uid = '$uid'")" = revoked ] || lost=$((lost + 1)); done
is $lost 0 "no acknowledged revocation was lost"
clean_log; ok $? "no finding of a sanitizer"
finish
