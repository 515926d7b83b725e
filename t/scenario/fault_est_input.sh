#!/bin/sh
# fault_est_input.sh: bad input at EST of the running service. Every case: the right status, its stable reason, an event `refused` with
# that reason and that device, and nothing else in the evidence: nothing changed.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
need badcsr "of this tree: make VARIANT=asan tests"
cd "$T" || exit 1

# -- a site: two lines, one whose renewal window is open at once, one whose certificates end soon
line pump; line quick 60; line brief 3
for d in P-1 P-2 P-3 P-4 P-5 P-6 P-7 P-8 P-9 X-1 X-2; do is "$(device_add $d pump)" 201 "device $d"; done
for d in Q-1 Q-2 Q-3 Q-4; do is "$(device_add $d quick)" 201 "device $d"; done
is "$(device_add B-1 brief)" 201 "device B-1"
infra st station pump,quick,brief
infra narrow station quick
infra gone station pump
enroll() { key "$1"; csr "$1" "/CN=$1"; est "${2:-st}" /simpleenroll "$1.csr"; unpack "$1"; is "$code" 200 "$1 is enrolled"; }
enroll P-1; enroll P-2; enroll P-8; enroll P-9; enroll Q-1; enroll Q-2; enroll Q-3; enroll Q-4; enroll B-1
enroll P-7 gone
for d in P-1 P-2 Q-1 Q-2 Q-3 Q-4; do est $d /simplereenroll $d.csr; done # their certificates are in use now
is "$(patch Q-2 suspended)$(patch Q-3 revoked)$(patch Q-4 decommissioned)$(patch P-8 decommissioned)" 200200200200 "one suspended, one revoked, two decommissioned"
serial=$(openssl x509 -in P-2.pem -noout -serial | cut -d= -f2)
is "$(api -X POST -d '{"reason":"keyCompromise"}' -o /dev/null -w '%{http_code}' "$HTTPS/api/v1/certs/$serial/revoke")" 200 "one certificate revoked"
is "$(api -X DELETE -o /dev/null -w '%{http_code}' "$HTTPS/api/v1/operators/gone")" 204 "one station removed"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout foreign.key -out foreign.pem -subj /CN=P-1 -days 2 2>/dev/null
brief_ended() { api "$HTTPS/api/v1/certs?device=B-1" | jq -ne 'input | .items[0].status == "expired"'; }
wait_for 20 brief_ended; ok $? "the brief certificate has ended"

# what must not change
register() {
    for path in devices certs operators lines; do
        at=
        while :; do
            api "$HTTPS/api/v1/$path?limit=100${at:+&after=$at}" >reg.page
            jq -c '.items[] | {uid, name, state, rev, serial, status, holder}' reg.page
            at=$(jq -r '.next // empty' reg.page); [ -n "$at" ] || break
        done
    done
}
register >register.before
from=$(vector)
: >wanted
# bad STATUS REASON UID WHO PATH CSR NAME: UID is "" where the name cannot be told, or is no UID
bad() {
    est "$4" "$5" "$6"
    is "$code $reason" "$1 $2" "$7"
    has "$(cat out)" "^$2: " "- said in one line of text"
    echo "$2 $3" >>wanted
}
der() { openssl base64 -in "$1" >"$2.csr"; }
raw() { # KIND NAME: the common name on stdin
    badcsr "$1" >raw.der && der raw.der "$2"
}

# -- keys and proof of possession
printf P-3 | raw wrong-pop c; bad 400 csr-bad-signature P-3 st /simpleenroll c.csr "signed by another key"
printf P-3 | raw rsa:1024 c; bad 400 key-weak P-3 st /simpleenroll c.csr "RSA with 1024 bits"
printf P-4 | raw ec:P-192 c; bad 400 key-weak P-4 st /simpleenroll c.csr "P-192"
printf P-5 | raw rsa-e1 c; bad 400 key-weak P-5 st /simpleenroll c.csr "RSA with the exponent 1, whose proof of possession anybody can make"
printf P-3 | raw ec:secp256k1 c; bad 400 key-algorithm P-3 st /simpleenroll c.csr "a curve outside the profile"

# -- names
printf 'P-3\000' | raw ec c; bad 400 bad-name "" st /simpleenroll c.csr "a NUL in the CN"
printf 'P-3\n' | raw ec c; bad 400 bad-name "" st /simpleenroll c.csr "a newline in the CN"
printf 'P-3\377\376' | raw ec c; bad 400 bad-name "" st /simpleenroll c.csr "a CN that is not UTF-8"
head -c 300 /dev/zero | tr '\0' P | raw ec c; bad 400 bad-name "" st /simpleenroll c.csr "a CN of 300 bytes"
printf '' | raw ec c; bad 400 bad-name "" st /simpleenroll c.csr "an empty CN"
for c in + '#' / '$' ' ' '*' '"' '<'; do
    printf 'P%s3' "$c" | raw ec c; bad 400 bad-uid "" st /simpleenroll c.csr "a CN with the character $c"
done
printf 'P-3\303\244' | raw ec c; bad 400 bad-uid "" st /simpleenroll c.csr "a CN with an umlaut"
key n; openssl req -new -key n.key -subj "/CN=P-3/CN=P-4" -outform DER 2>/dev/null >raw.der; der raw.der c
bad 400 bad-name "" st /simpleenroll c.csr "two CNs"
openssl req -new -key n.key -subj "/CN=P-3/OU=admin" -outform DER 2>/dev/null >raw.der; der raw.der c
bad 400 bad-name P-3 st /simpleenroll c.csr "an OU, which the profile does not know"
openssl req -new -key n.key -subj "/CN=P-3" -addext subjectAltName=URI:urn:cradle:quick:P-3 -outform DER 2>/dev/null >raw.der; der raw.der c
bad 403 name-mismatch P-3 st /simpleenroll c.csr "a SAN of another line"
openssl req -new -key n.key -subj "/CN=P-3" -addext basicConstraints=CA:TRUE -outform DER 2>/dev/null >raw.der; der raw.der c
est st /simpleenroll c.csr; is "$code $reason" "400 bad-csr" "a CSR for a CA"

# -- who may not have one
csr n /CN=NEVER; bad 404 uid-unknown NEVER st /simpleenroll n.csr "a UID that nobody registered"
csr n /CN=P-8; bad 403 device-decommissioned P-8 st /simpleenroll n.csr "a decommissioned device by the station"
csr n /CN=Q-3; bad 403 device-revoked Q-3 st /simpleenroll n.csr "a revoked one"
csr n /CN=Q-2; bad 403 device-suspended Q-2 st /simpleenroll n.csr "a suspended one"
csr n /CN=P-4; bad 403 line-forbidden P-4 st /quick/simpleenroll n.csr "a device of another line than the label"
bad 403 line-forbidden P-4 narrow /simpleenroll n.csr "a station beyond its line"
csr n /CN=P-1; bad 403 already-enrolled P-1 st /simpleenroll n.csr "a second key for a device in use"
csr P-9 /CN=P-6; bad 403 key-of-other P-6 st /simpleenroll P-9.csr "the key of another device"
csr P-2 /CN=P-2; bad 403 key-revoked P-2 st /simpleenroll P-2.csr "a key whose certificate is revoked"
csr st /CN=P-5; bad 403 key-of-other P-5 st /simpleenroll st.csr "the station's own key for a device"

# -- who may not ask
csr n /CN=P-4
bad 401 no-client-certificate "" - /simpleenroll n.csr "nobody"
bad 401 certificate-foreign P-1 foreign /simplereenroll n.csr "a certificate of a foreign CA"
csr n /CN=B-1; bad 401 certificate-expired B-1 B-1 /simplereenroll n.csr "an expired certificate"
csr n /CN=P-2; bad 403 certificate-revoked P-2 P-2 /simplereenroll n.csr "a revoked certificate"
csr n /CN=Q-2; bad 403 device-suspended Q-2 Q-2 /simplereenroll n.csr "a suspended device"
csr n /CN=Q-3; bad 403 device-revoked Q-3 Q-3 /simplereenroll n.csr "a revoked device"
csr n /CN=Q-4; bad 403 device-decommissioned Q-4 Q-4 /simplereenroll n.csr "a decommissioned device"
csr n /CN=P-4; bad 403 operator-removed "" gone /simpleenroll n.csr "a removed station"
bad 403 role-forbidden P-1 P-1 /simpleenroll n.csr "a device that enrolls others"
csr n /CN=Q-9; bad 403 name-mismatch Q-9 Q-1 /simplereenroll n.csr "a re-enrollment for another name"
csr n /CN=P-4; bad 403 name-mismatch P-4 Q-1 /simplereenroll n.csr "and for another registered device"
csr n /CN=P-1; bad 403 too-early P-1 P-1 /simplereenroll n.csr "a re-enrollment before its time"

# -- bytes
csr n /CN=P-3
head -c 4000 /dev/urandom | openssl base64 >c.csr; est st /simpleenroll c.csr; has "$code $reason" '^400 (bad-der|truncated|trailing-bytes|bad-csr)$' "noise"
head -c 9000 /dev/urandom | openssl base64 >c.csr; bad 413 too-large "" st /simpleenroll c.csr "a CSR of 9000 bytes"
head -c 20000 /dev/zero | tr '\0' A >c.csr; est st /simpleenroll c.csr; is "$code $reason" "413 too-large" "a body beyond the route's limit"
openssl req -new -key n.key -subj /CN=P-3 -outform DER 2>/dev/null >good.der
{ cat good.der; printf '\0'; } >raw.der; der raw.der c; bad 400 trailing-bytes "" st /simpleenroll c.csr "a byte after the end"
printf '' >c.csr; est st /simpleenroll c.csr; has "$code" '^4..$' "nothing at all ($code $reason)"
code=$(curl -s $ADMIN -H 'Content-Type: text/html' --data-binary @n.csr -o out -w '%{http_code}' --cert st.pem --key st.key "$HTTPS/.well-known/est/simpleenroll")
has "$code" '^(400|415|200)$' "another content type ($code)"
[ "$code" = 200 ] && echo "# the service is tolerant there" && rm -f register.before

# every truncation, and every byte with one bit flipped, over one connection
size=$(wc -c <good.der)
mkdir -p many
perl -e '
    use MIME::Base64;
    my ($n) = @ARGV; local $/; open my $f, "<", "good.der" or die; binmode $f; my $der = <$f>;
    sub put { my ($name, $bytes) = @_; open my $o, ">", $name or die; print $o encode_base64($bytes); close $o; }
    for my $i (0 .. $n - 1) {
        put("many/cut$i", substr($der, 0, $i)) if $i;
        my $x = $der; substr($x, $i, 1) = chr(ord(substr($x, $i, 1)) ^ (1 << ($i % 8))); put("many/flip$i", $x);
    }' "$size"
: >many.conf
for f in many/*; do
    [ -s many.conf ] && echo next >>many.conf
    printf 'url = "%s"\ncacert = "%s"\ncert = st.pem\nkey = st.key\nsilent\nmax-time = 30\noutput = out\nheader = "Content-Type: application/pkcs10"\ndata-binary = "@%s"\nwrite-out = "%s %%{http_code} %%header{x-cradle-reason}\\n"\n' \
        "$HTTPS/.well-known/est/simpleenroll" "$SITE/ca/bundle.pem" "$f" "$f" >>many.conf
done
curl -K many.conf >many.out 2>/dev/null
is "$(grep -c . many.out)" $((2 * size - 1)) "every truncation and every flipped byte of a CSR of $size bytes is answered"
is "$(grep -cv ' 4[0-9][0-9] ' many.out)" 0 "each with 4xx"
grep -v ' 4[0-9][0-9] ' many.out | head -n 5 | sed 's/^/# /'
is "$(grep '^many/cut' many.out | grep -cvE ' 400 (truncated|bad-der|bad-csr|bad-base64)')" 0 "every truncation is told as such"
grep '^many/cut' many.out | grep -vE ' 400 (truncated|bad-der|bad-csr|bad-base64)' | head -n 5 | sed 's/^/# /'
[ "$(awk '{ print $3 }' many.out | sort | uniq -c | sort -rn | tee many.reasons | wc -l)" -ge 3 ]; ok $? "with reasons of their own"
sed 's/^/# /' many.reasons
healthy >/dev/null; ok $? "the service is in good health"

# -- nothing happened, and it is on record
register >register.after
cmp -s register.before register.after; ok $? "devices, certificates, operators and lines are as before"
diff register.before register.after | head -n 5 | sed 's/^/# /'
recorded() {
    events_since "$from" refused | jq -r '"\(.payload.reason) \(.payload.uid)"' >refused.have
    sort -u wanted | grep -vxFf refused.have >refused.missing
    [ ! -s refused.missing ]
}
wait_for 20 recorded; ok $? "every refusal is in the evidence, with its reason and its device"
sed 's/^/# missing: /' refused.missing
others=$(events_since "$from" | jq -r .kind | sort -u | grep -vxE 'refused|clone-suspected|crl-published|cert-first-use' | tr '\n' ' ')
is "$others" "" "no other event was written"
is "$(events_since "$from" clone-suspected | jq -r .device | sort -u | tr '\n' ' ')" " P-9 " "a key in two hands raises the alarm: one of a device, one of a station"

# -- two enrollments of one UID at the same moment
key X-1; csr X-1 /CN=X-1
for i in 1 2 3 4 5 6 7 8; do
    key k$i; csr k$i /CN=X-2
    for w in same:X-1 other:k$i; do
        curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert st.pem --key st.key -H 'Content-Type: application/pkcs10' --data-binary "@${w#*:}.csr" \
            -D "${w%:*}$i.head" -o "${w%:*}$i.out" -w '%{http_code}\n' "$HTTPS/.well-known/est/simpleenroll" >"${w%:*}$i.code" &
        pids="$pids $!"
    done
done
for p in $pids; do wait "$p"; done
is "$(cat same?.code | sort | uniq -c | awk '{ print $1, $2 }')" "8 200" "eight enrollments with the same key at once: all succeed"
for i in 1 2 3 4 5 6 7 8; do p7_pem same$i.out | openssl x509 -noout -serial; done | sort -u >same.serials
is "$(grep -c . same.serials)" 1 "with one certificate"
is "$(grep -lE '^(200|403|409)$' other?.code | wc -l)" 8 "eight with eight keys: each is answered 200, 403 or 409"
cat other?.head | tr -d '\r' | sed -n 's/^x-cradle-reason: //Ip' | sort | uniq -c | sed 's/^/# /'
: >other.serials
for i in 1 2 3 4 5 6 7 8; do [ "$(cat other$i.code)" = 200 ] && p7_pem other$i.out | openssl x509 -noout -serial | cut -d= -f2 >>other.serials; done
[ -s other.serials ]; ok $? "at least one gets in"
is "$(sort -u other.serials | wc -l)" "$(wc -l <other.serials)" "no certificate is given out twice"
registered=$(api "$HTTPS/api/v1/certs?device=X-2&limit=100" | jq -r '.items[] | select(.holder == "X-2") | .serial' | tr a-f A-F | sort)
is "$registered" "$(tr a-f A-F <other.serials | sort)" "the register holds exactly the certificates that were answered"
is "$(state X-1)/$(state X-2)" provisioned/provisioned "both devices are provisioned"

verified input; ok $? "the evidence verifies offline"
site_stop; ok $? "cradled stops"
folds; ok $? "the events add up to the tables"
clean_log; ok $? "no finding of a sanitizer"
finish
