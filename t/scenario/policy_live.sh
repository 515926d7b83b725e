#!/bin/sh
# policy_live.sh: what the server decides about topics, on sessions that live: a real cradled, cradle-edge and mosquitto with the plugin, none
# of which is restarted while templates change, a line is suspended, and a device is in quarantine.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
PATH="$B/t:$PATH"
need curl curl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
PORT=$((BASE + 5))
PKI=$T/dev
mkdir -p "$PKI"; cp "$SITE/ca/bundle.pem" "$PKI/bundle.pem"
est() { # IDENTITY OPERATION UID: "CODE REASON" of an enrollment for UID
    openssl req -new -key "$PKI/$3.key" -subj "/CN=$3" -outform DER 2>/dev/null | openssl base64 >"$T/csr"
    curl -s --cacert "$PKI/bundle.pem" --cert "$1.pem" --key "$1.key" -H 'Content-Type: application/pkcs10' --data-binary @"$T/csr" \
        -D "$T/head" -o "$T/p7" -w '%{http_code} ' "$HTTPS/.well-known/est/$2"
    tr -d '\r' <"$T/head" | sed -n 's/^x-cradle-reason: //Ip'
}
enroll() { # UID
    openssl ecparam -genkey -name prime256v1 -noout -out "$PKI/$1.key" 2>/dev/null
    est "$T/st/st" simpleenroll "$1"
    openssl base64 -d -in "$T/p7" | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 >"$PKI/$1.pem" 2>/dev/null
}
live() { # UID [options]: a session that stays; what it gets is in $T/UID.out
    u=$1; shift
    mq "$u" "$u" "$@" hold=120 >"$T/$u.out" 2>&1 & own $!
    wait_for 10 grep -q "connack 0" "$T/$u.out"
}
closed() { wait_for 10 grep -q closed "$T/$1.out"; }
stays() { ! grep -q closed "$T/$1.out"; }
count() { grep -cx "msg $2" "$T/$1.out"; }
# speak NAME TOPIC: a session that publishes there each time that say is called
speak() {
    mkfifo "$T/$1.in"
    mosquitto_pub -h localhost -p "$PORT" --cafile "$PKI/bundle.pem" --cert "$PKI/$1.pem" --key "$PKI/$1.key" -i "$1" -t "$2" -l <"$T/$1.in" 2>"$T/$1.err" & own $!
    eval "SPEAKS_$1=$!"
}
say() { case $1 in billing) echo . >&7 ;; d2) echo . >&8 ;; esac; }
hears() { [ "$(grep -c "^$1 " "$T/monitor.out")" -gt "${2:-0}" ]; }
# What say makes NAME get at TOPIC, counted in its output
reaches_d1() { n=$(count d1 d/d1/down/n); say billing; sleep 0.15; [ "$(count d1 d/d1/down/n)" -gt "$n" ]; }
d2_is_heard() { n=$(grep -c '^d/d2/up/t ' "$T/monitor.out"); say d2; sleep 0.15; hears d/d2/up/t "$n"; }
not() { ! "$@"; }
refused() { mq "$1" | grep -q "connack 5"; }
gets_in() { mq "$1" | grep -q "connack 0"; }
in_force() { cradle policy show >"$T/document"; for f in "$T"/edge/state/policy.*; do cmp -s "$f" "$T/document" && return 0; done; return 1; }
# The status of a device's newest certificate and what its CA says about it
status_of() { cradle cert list --device "$1" --json | jq -r '.items[-1].status'; }
has_event() { cradle event list --kind "$1" --json | jq -ne "input | .items | map(select(tostring | test(\"$2\"))) | length > 0"; }
within() { # NAME COMMAND…: it comes true, and after how long: a second is what is promised, more is allowed where other tests run beside this one
    from=$(date +%s%3N); name=$1; shift
    wait_for 5 "$@"; rc=$?; took=$(($(date +%s%3N) - from))
    [ $rc = 0 ] && [ $took -lt 5000 ]; ok $? "$name ($took ms)"
}

# -- a site with two lines, an edge, a broker
for l in pump valve; do cradle line add $l >/dev/null && cradle model add m-$l --line $l >/dev/null; done
for d in d1 d2; do cradle device add $d --model m-pump >/dev/null; done; cradle device add v1 --model m-valve >/dev/null
cradle station add st --out "$T/st" >/dev/null; ok $? "lines, devices and a station"
cradle edge add edge-1 --out "$T/edge" >/dev/null; ok $? "an edge"
echo "report_group = $(id -gn)" >>"$T/edge/edge.conf"
for d in d1 d2 v1; do is "$(enroll $d)" "200 " "$d enrolls"; done
cradle backend add billing --write 'd/+/down/#' --out "$PKI" >/dev/null && cradle backend add tool --write 'd/+/down/#' --write 'd/+/repair/#' --out "$PKI" >/dev/null &&
    cradle backend add monitor --read 'd/+/up/#' --read 'd/+/repair/#' --out "$PKI" >/dev/null; ok $? "backends with topics"
cradle backend add bare --out "$PKI" >/dev/null && cradle operator add auditor --role auditor --out "$PKI" >/dev/null; ok $? "one without, and somebody who is none"
cradle-edge -c "$T/edge/edge.conf" 2>>"$T/edge.log" & own $!
wait_for 10 test -s "$T/edge/state/revocation.snap"; ok $? "cradle-edge has a snapshot"
wait_for 5 in_force; ok $? "and the policy document that cradled shows"
cradle broker config --out "$T/broker" --edge-dir "$T/edge/state" --port $PORT --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >/dev/null
cp "$T/broker/mosquitto.conf" "$T/mosquitto.conf"
broker_start; ok $? "mosquitto starts with it"

# -- deny by default
mosquitto_sub -h localhost -p $PORT --cafile "$PKI/bundle.pem" --cert "$PKI/monitor.pem" --key "$PKI/monitor.key" -i monitor -t 'd/+/up/#' -t 'd/+/repair/#' -v >"$T/monitor.out" 2>"$T/monitor.err" & own $!
live d1 sub='d/d1/down/#'; ok $? "d1 is connected and listens"
speak billing d/d1/down/n; exec 7>"$T/billing.in"
speak d2 d/d2/up/t; exec 8>"$T/d2.in"
wait_for 5 reaches_d1; ok $? "a backend reaches d1 where its topics say so"
wait_for 5 d2_is_heard; ok $? "and another hears d2"
has "$(mq tool tool sub='#')" "suback 128" "a backend listens to nothing that is not its own"
mq tool tool pub=d/d2/up/forged >/dev/null; mq bare bare pub=d/d1/down/bare >/dev/null; mq tool tool pub=d/d1/down/end >/dev/null
wait_for 5 grep -qx "msg d/d1/down/end" "$T/d1.out"; ok $? "it publishes to devices"
not hears d/d2/up/forged; ok $? "not in a device's name"
is "$(count d1 d/d1/down/bare)" 0 "and one without topics publishes nowhere"
refused auditor; ok $? "an infrastructure identity that is no backend is refused"

# -- templates change under live sessions
cradle line set pump --write 'n/%l/%u' --read 'd/%u/in/#' >/dev/null; ok $? "pumps get other topics"
within "the subscription that d1 has brings nothing any more" not reaches_d1
within "and nobody hears d2 at its old topic" not d2_is_heard
in_force; ok $? "the edge holds the document of the server"
stays d1 && kill -0 $SPEAKS_d2; ok $? "both sessions live on"
cradle line set pump --default-topics >/dev/null
within "with the right the subscription is good again" reaches_d1
within "and so is what d2 publishes" d2_is_heard
cradle backend set billing --write 'else/#' >/dev/null
within "a backend that lost its topic reaches nobody" not reaches_d1
kill -0 $SPEAKS_billing; ok $? "and stays connected"
cradle backend set billing --write 'd/+/down/#' >/dev/null
within "until it has it again" reaches_d1

# -- quarantine
cradle device quarantine d1 --note 'seen twice' --wait >"$T/q.out"; ok $? "cradle device quarantine --wait"
has "$(cat "$T/q.out")" "edge-1 took it over" "the edge has taken it over"
closed d1; ok $? "its live session is closed"
wait_for 5 has_event cut 'd1.*device-quarantined'; ok $? "and that is in the evidence, with the reason"
has "$(mq d1 d1 sub='d/d1/down/#')" "suback 128" "it may log in again, but not listen as before"
mq d1 d1 pub=d/d1/up/no >/dev/null; mq d1 d1 pub=d/d1/repair/help >/dev/null
wait_for 5 hears d/d1/repair/help; ok $? "it is heard at its repair topic"
not hears d/d1/up/no; ok $? "and nowhere else"
live d1 sub='d/d1/repair/#'
mq tool tool pub=d/d1/repair/fix >/dev/null; wait_for 5 grep -qx "msg d/d1/repair/fix" "$T/d1.out"; ok $? "and is reached there"
is "$(est "$PKI/d1" simplereenroll d1)" "403 device-quarantined" "it does not renew"
is "$(status_of d1)" good "its certificate is good all the same"
has "$(cradle status)" "in quarantine 1" "status counts it"
cradle device resume d1 >/dev/null
free() { mq d1 d1 pub=d/d1/up/free >/dev/null; hears d/d1/up/free; }
within "resumed, it has its topics again" free

# -- a line is suspended
live v1; ok $? "v1 is connected"
cradle line suspend valve --note recall >/dev/null; ok $? "its line is suspended"
within "its live session is closed" closed v1
refused v1; ok $? "it is refused at the broker"
is "$(est "$PKI/v1" simplereenroll v1)" "403 line-suspended" "and at renewal"
d2_is_heard; ok $? "other lines go on"
is "$(status_of v1)" good "its certificate is good: OCSP and CRLs are as they were"
cradle line resume valve >/dev/null
within "resumed, it is let in" gets_in v1

# -- a backend's end
cradle operator remove billing >/dev/null
within "a removed backend is refused" refused billing
within "and reaches nobody" not reaches_d1
site_stop
cradled -f "$SITE" >"$T/fold" 2>&1; is $? 0 "the events add up to the tables"
exec 7>&- 8>&-
broker_stop
grep -E "Sanitizer|runtime error" "$T/broker.log" "$T/edge.log"; ok $((! $?)) "no finding of a sanitizer"
finish
