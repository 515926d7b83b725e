#!/bin/sh
# tls_resume.sh: a resumed TLS session never lets a revoked or an expired device in, at the server and at the broker, TLS 1.2 and 1.3.
# Clients as they are: openssl s_client, ocsp and verify, curl, mosquitto_pub and mosquitto_sub.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
. t/broker.sh
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
CA=$SITE/ca/bundle.pem
PORT=$((BASE + 5))
cd "$T" || exit 1
line pump; line brief 25
infra st station pump,brief
for d in a1 a2 r12 r13 keep; do device_add $d pump >/dev/null; done
for d in e12 e13; do device_add $d brief >/dev/null; done
enroll() { key "$1"; csr "$1" "/CN=$1"; est st /simpleenroll "$1.csr"; unpack "$1"; is "$code" 200 "$1 is enrolled"; }
for d in a1 a2 r12 r13 keep; do enroll $d; done

# -- the broker
cradle backend add telemetry --read 'd/+/up/#' --write 'd/+/down/#' --out "$T/backend" >/dev/null; ok $? "a backend client"
cradle edge add edge-1 --out "$T/edge" >/dev/null; ok $? "an edge"
echo "report_group = $(id -gn)" >>"$T/edge/edge.conf"
cradle-edge -c "$T/edge/edge.conf" 2>>"$T/edge.log" & own $!
wait_for 20 test -s "$T/edge/state/revocation.snap"; ok $? "it has a snapshot"
cradle broker config --out "$T/broker" --edge-dir "$T/edge/state" --port $PORT --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null
cp "$T/broker/mosquitto.conf" "$T/mosquitto.conf"
LD_PRELOAD=$PRELOAD ASAN_OPTIONS=detect_leaks=0:exitcode=99 mosquitto -c "$T/mosquitto.conf" >>"$T/broker.log" 2>&1 & own $!
wait_for 20 sh -c "ss -Hltn 'sport = :$PORT' | grep -q ."; ok $? "mosquitto runs with the plugin"

# -- mosquitto_pub and mosquitto_sub as they are
mosquitto_sub -h localhost -p $PORT --cafile "$CA" --cert backend/telemetry.pem --key backend/telemetry.key -i telemetry -t 'd/+/up/#' -v >sub.out 2>&1 & own $!
pub() { mosquitto_pub -h localhost -p $PORT --cafile "$CA" --cert "$1.pem" --key "$1.key" -i "$1" -q 1 -t "d/$1/up/t" -m "$2" 2>&1; }
heard() { pub a1 hello >/dev/null; grep -q '^d/a1/up/t hello' sub.out; }
wait_for 20 heard; ok $? "mosquitto_pub publishes, mosquitto_sub hears it"

# mqtt NAME VERSION in|new: a CONNECT with that client id over openssl s_client, a TLS session taken up or begun; sets resumed, connack
connect_packet() { # MQTT 3.1.1, clean session, keep alive 60
    n=${#1}
    printf "\\020\\$(printf '%o' $((12 + n)))\\000\\004MQTT\\004\\002\\000\\074\\000\\$(printf '%o' "$n")%s" "$1"
}
mqtt() {
    case $3 in in) how="-sess_in $1.$2.sess" ;; *) how="-sess_out $1.$2.sess" ;; esac
    connect_packet "$1" >mqtt.packet
    timeout 20 openssl s_client -connect localhost:$PORT -CAfile "$CA" -cert "$1.pem" -key "$1.key" "-$2" $how -quiet -ign_eof <mqtt.packet >mqtt.bin 2>/dev/null &
    S=$!
    i=0; while [ $i -lt 100 ] && kill -0 $S 2>/dev/null && [ "$(wc -c <mqtt.bin 2>/dev/null || echo 0)" -lt 4 ]; do sleep 0.1; i=$((i + 1)); done
    kill $S 2>/dev/null; wait $S 2>/dev/null
    connack=$(od -An -tu1 -N4 mqtt.bin | tr -s ' ')
}
# once more without -quiet, to hear whether the session was taken up
resumes() { # NAME VERSION
    { connect_packet "$1"; sleep 1; } | timeout 20 openssl s_client -connect localhost:$PORT -CAfile "$CA" -cert "$1.pem" -key "$1.key" "-$2" -sess_in "$1.$2.sess" -ign_eof 2>/dev/null | grep -a '^Reused' >/dev/null
}
lets_in=' 32 2 0 0'
for v in tls1_2 tls1_3; do
    d=r1${v#tls1_}
    mqtt $d $v new; is "$connack" "$lets_in" "$v: $d is let in by the broker"
    [ -s $d.$v.sess ]; ok $? "- and has a TLS session to take up"
    mqtt $d $v in; is "$connack" "$lets_in" "- taken up, it is let in again"
done

# -- the server: no session can be taken up, so each connection shows its certificate anew
ask_as() { # NAME VERSION sess option: the status of a re-enrollment over openssl s_client
    body=$(cat "$1.csr"); len=$(wc -c <"$1.csr")
    printf 'POST /.well-known/est/simplereenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s\n' "$len" "$body" |
        timeout 20 openssl s_client -connect "localhost:$BASE" -CAfile "$CA" -cert "$1.pem" -key "$1.key" "-$2" "$3" "$1.$2.web" -ign_eof >web.out 2>/dev/null
    status=$(tr -d '\r' <web.out | sed -n 's/^HTTP\/1.1 \([0-9]*\).*/\1/p' | head -n 1)
    why=$(tr -d '\r' <web.out | sed -n 's/^x-cradle-reason: //Ip' | head -n 1)
}
for v in tls1_2 tls1_3; do
    d=r1${v#tls1_}
    ask_as $d $v -sess_out; is "$status" 200 "$v: the server answers $d"
done

# -- revoked
for d in r12 r13; do is "$(patch $d revoked)" 200 "$d is revoked"; done
wait_for 10 grep -q 'r13' "$T/broker.log"
for v in tls1_2 tls1_3; do
    d=r1${v#tls1_}
    resumes $d $v; ok $? "$v: the broker's TLS takes up the session of the revoked $d"
    mqtt $d $v in; [ "$connack" != "$lets_in" ]; ok $? "- but the plugin does not let it in ($connack)"
    mqtt $d $v new; [ "$connack" != "$lets_in" ]; ok $? "- nor by a new session"
    if [ -s $d.$v.web ]; then how=-sess_in; else how=-sess_out; fi
    ask_as $d $v $how
    is "$status $why" "403 device-revoked" "$v: the server refuses it with its old session offered ($how)"
    ! grep -aq '^Reused' web.out; ok $? "- which is not taken up"
done
has "$(pub r13 x)" '[Rr]efused|not authori[sz]ed|denied' "mosquitto_pub is told so too"
is "$(curl -s --cacert "$CA" --cert r12.pem --key r12.key -H 'Content-Type: application/pkcs10' --data-binary @r12.csr -o out -w '%{http_code}' "$HTTPS/.well-known/est/simplereenroll")" 403 "curl as well"

# -- expired: certificates of 25 seconds
enroll e12; enroll e13
for v in tls1_2 tls1_3; do
    d=e1${v#tls1_}
    mqtt $d $v new; is "$connack" "$lets_in" "$v: $d is let in while its certificate lasts"
    ask_as $d $v -sess_out
done
wait_for 60 sh -c "! openssl x509 -in $T/e13.pem -noout -checkend -1"; ok $? "their certificates have ended"
for v in tls1_2 tls1_3; do
    d=e1${v#tls1_}
    mqtt $d $v in; [ "$connack" != "$lets_in" ]; ok $? "$v: the broker does not let the expired $d in by its old session ($connack)"
    if [ -s $d.$v.web ]; then how=-sess_in; else how=-sess_out; fi
    ask_as $d $v $how
    is "$status $why" "401 certificate-expired" "$v: nor does the server"
done
heard; ok $? "honest devices go on"

# -- what the certificates point to: OCSP, the CRL shard at its CDP, the issuer at its AIA, with openssl and curl
url_of() { openssl x509 -in "$1.pem" -noout -text | grep -o "http://[^ ]*$2[^ ]*" | head -n 1; }
for d in keep r12; do
    curl -s -o $d.crl "$(url_of $d /crl/)"; openssl crl -inform DER -in $d.crl -out $d.crl.pem 2>/dev/null; ok $? "$d: openssl reads the CRL shard at its CDP"
    curl -s -o $d.cer "$(url_of $d /ca/)"; openssl x509 -inform DER -in $d.cer -out $d.ca.pem 2>/dev/null; ok $? "$d: and the issuer at its AIA"
done
shown() { curl -s -o r12.crl "$(url_of r12 /crl/)" && openssl crl -inform DER -in r12.crl -noout -text 2>/dev/null | grep -q "$(openssl x509 -in r12.pem -noout -serial | cut -d= -f2)"; }
wait_for 30 shown; ok $? "the shard lists the revoked certificate"
openssl crl -inform DER -in r12.crl -out r12.crl.pem 2>/dev/null
has "$(openssl verify -crl_check -CAfile "$SITE/ca/root.pem" -untrusted keep.ca.pem -CRLfile keep.crl.pem keep.pem 2>&1)" 'keep.pem: OK' "openssl verify -crl_check: keep is good"
has "$(openssl verify -crl_check -CAfile "$SITE/ca/root.pem" -untrusted r12.ca.pem -CRLfile r12.crl.pem r12.pem 2>&1)" 'certificate revoked' "openssl verify -crl_check: r12 is revoked"
for d in keep:good r12:revoked; do
    has "$(openssl ocsp -issuer "${d%:*}.ca.pem" -cert "${d%:*}.pem" -url "$(openssl x509 -in "${d%:*}.pem" -noout -ocsp_uri)" -CAfile "$CA" 2>&1)" "${d%:*}.pem: ${d#*:}" "openssl ocsp at its AIA: ${d%:*} is ${d#*:}"
done
site_stop; ok $? "cradled stops"
! grep -E "Sanitizer|runtime error" "$T/broker.log" "$T/edge.log" "$T/cradled.log"; ok $? "no finding of a sanitizer"
finish
