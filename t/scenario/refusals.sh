#!/bin/sh
# refusals.sh: the reasons for which nobody gets a certificate, each met over every enrollment protocol: the same decision and the same
# evidence. A protocol is one column: three functions and its name in PROTOCOLS.
#   PROTO_first  WHO KEY SUBJECT [openssl req options]   first enrollment by WHO ("-": nobody) of KEY.key
#   PROTO_renew  WHO KEY SUBJECT [openssl req options]   renewal by the holder of WHO.pem
#   PROTO_badpop WHO KEY SUBJECT                         a request that KEY did not sign, for SUBJECT with z as its last character
# Each sets reason, empty when the certificate came; it is then in KEY.pem. Each protocol has devices of its own, named after it.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
PROTOCOLS="est cmp"

est_send() { # OPERATION WHO KEY SUBJECT [openssl req options]
    operation=$1 sender=$2 named=$3; shift 2
    csr "$@"
    est "$sender" "/$operation" "$named.csr"
    [ "$code" != 200 ] || { reason=; unpack "$named"; }
}
est_first() { est_send simpleenroll "$@"; }
est_renew() { est_send simplereenroll "$@"; }
est_badpop() { # the same length, another name under the signature
    named=${3#/CN=}
    csr "$2" "$3"
    openssl base64 -d -in "$2.csr" | LC_ALL=C sed "s/$named/${named%?}z/" | openssl base64 >bad.csr
    est "$1" /simpleenroll bad.csr
}

# CMP: the request is made by openssl's client, posted by curl, which sees the reason, and the answer is given back to the client, which sees the rest.
cmp_send() { # WHO KEY openssl cmp options: fail, too: the PKIFailureInfo that the client reads
    sender=$1 named=$2; shift 2
    rm -f "$named.q" "$named.new"
    set -- -config "" "$@" -certout "$named.new" -trusted "$SITE/ca/root.pem" -unprotected_errors -implicit_confirm
    if [ "$sender" = - ]; then set -- "$@" -unprotected_requests -ref x -secret pass:x; else set -- "$@" -cert "$sender.pem" -key "$sender.key"; fi
    openssl cmp "$@" -use_mock_srv -srv_ref x -srv_secret pass:x -reqout "$named.q" >/dev/null 2>&1
    code=$(curl -s -H 'Content-Type: application/pkixcmp' --data-binary "@$named.q" -D "$named.head" -o "$named.p" -w '%{http_code}' "$HTTP/.well-known/cmp")
    reason=$(tr -d '\r' <"$named.head" | sed -n 's/^x-cradle-reason: //Ip')
    openssl cmp "$@" -reqin "$named.q" -rspin "$named.p" >"$named.log" 2>&1 && mv "$named.new" "$named.pem"
    fail=$(sed -n 's/.*PKIFailureInfo: \([A-Za-z]*\);.*/\1/p' "$named.log" | head -n 1)
    [ "$code" = 200 ] && [ "$reason$fail" != "$reason" ] || [ -z "$reason" ] || [ "$reason" = enrollment-pending ] || reason="$reason, in no message: $(cat "$named.log")"
}
cmp_ask() { # COMMAND WHO KEY SUBJECT [openssl req options]: with those by p10cr
    command=$1 sender=$2 named=$3 subject=$4
    [ $# -gt 4 ] || { cmp_send "$sender" "$named" -cmd "$command" -newkey "$named.key" -subject "$subject"; return; }
    shift 3
    csr "$named" "$@"
    openssl base64 -d -in "$named.csr" -out "$named.csr.der"
    cmp_send "$sender" "$named" -cmd p10cr -csr "$named.csr.der"
}
cmp_first() { cmp_ask cr "$@"; }
cmp_renew() { cmp_ask kur "$@"; }
cmp_badpop() {
    named=${3#/CN=}
    csr "$2" "$3"
    openssl base64 -d -in "$2.csr" | LC_ALL=C sed "s/$named/${named%?}z/" >bad.csr
    cmp_send "$1" "$2" -cmd p10cr -csr bad.csr
}
cmp_fail() { # REASON: its PKIFailureInfo (RFC 9810 5.2.3)
    case $1 in
    cmp-unprotected) echo wrongIntegrity ;;
    certificate-foreign | certificate-expired) echo signerNotTrusted ;;
    certificate-revoked) echo certRevoked ;;
    uid-unknown | bad-uid | bad-name | name-mismatch | key-of-other | key-revoked) echo badCertTemplate ;;
    key-weak | key-algorithm) echo badAlg ;;
    csr-bad-signature) echo badPOP ;;
    already-enrolled | enrollment-running) echo duplicateCertReq ;;
    rate-limited) echo systemUnavail ;;
    enrollment-pending) ;; # no refusal: status waiting
    *) echo notAuthorized ;;
    esac
}
# what EST and CMP call differently: CMP has no TLS certificate, and every request of a device by its certificate is a renewal
either() { if [ "$1" = est ]; then echo "$2"; else echo "$3"; fi; }

# row PROTO REASON UID TEXT FUNCTION ARGUMENTS: what the caller hears; that the evidence has it, for UID ("-": whoever), is judged at the end
row() {
    row_proto=$1 row_want=$2 row_uid=$3 row_text=$4 row_call=$5; shift 5
    reason=unanswered
    "${row_proto}_$row_call" "$@"
    is "$reason" "$row_want" "$row_proto: $row_text: $row_want"
    [ "$row_proto" = est ] || is "$fail" "$(cmp_fail "$row_want")" "$row_proto: $row_text: $fail"
    [ "$row_want" = enrollment-pending ] || echo "$row_want $row_uid $row_proto: $row_text" >>wanted
}
granted() { # PROTO TEXT FUNCTION ARGUMENTS
    row_proto=$1 row_text=$2 row_call=$3; shift 3
    reason=unanswered
    "${row_proto}_$row_call" "$@"
    is "$reason" "" "$row_proto: $row_text"
}

site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
from=$(vector)
line pump; line valve; line held; line asked; line brief 3
infra st1 station pump,valve,held,asked,brief; infra st2 station valve; infra gone station pump; infra aud auditor ""
cradle operator remove gone >/dev/null
cradle line set asked --enroll-approval yes >/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout foreign.key -out foreign.pem -subj /CN=st1 -days 2 2>/dev/null
key fresh
key weak -algorithm RSA -pkeyopt rsa_keygen_bits:2048
key curve -algorithm EC -pkeyopt ec_paramgen_curve:P-521

strangers() { # PROTO: who is not known, or may not
    row "$1" "$(either "$1" no-client-certificate cmp-unprotected)" - "nobody" first - fresh "/CN=$1-a"
    row "$1" certificate-foreign - "a certificate of another CA" first foreign fresh "/CN=$1-a"
    row "$1" operator-removed - "a station that was removed" first gone fresh "/CN=$1-a"
    row "$1" role-forbidden - "an auditor" first aud fresh "/CN=$1-a"
    row "$1" line-forbidden "$1-a" "a station of another line" first st2 fresh "/CN=$1-a"
}
keys_and_names() { # PROTO: what the request says
    row "$1" uid-unknown "$1-nobody" "a UID that nobody registered" first st1 fresh "/CN=$1-nobody"
    row "$1" bad-uid - "a UID with a topic character" first st1 fresh "/CN=$1#a"
    row "$1" name-mismatch "$1-a" "another serial number than the register's" first st1 fresh "/CN=$1-a/serialNumber=x"
    row "$1" name-mismatch "$1-a" "another SAN than the profile's" first st1 fresh "/CN=$1-a" -addext subjectAltName=URI:urn:cradle:pump:x
    row "$1" bad-name "$1-a" "a DNS name in the SAN" first st1 fresh "/CN=$1-a" -addext subjectAltName=DNS:example.org
    row "$1" key-weak "$1-a" "RSA with 2048 bits" first st1 weak "/CN=$1-a"
    row "$1" key-algorithm "$1-a" "a curve that the profile does not name" first st1 curve "/CN=$1-a"
    row "$1" csr-bad-signature "$1-z" "no proof of possession" badpop st1 fresh "/CN=$1-a"
}
devices() { # PROTO: keys that are somebody's, devices that may not
    key "$1-a"; granted "$1" "a device enrolls" first st1 "$1-a" "/CN=$1-a"
    row "$1" key-of-other "$1-b" "the key of another device" first st1 "$1-a" "/CN=$1-b"
    row "$1" "$(either "$1" role-forbidden name-mismatch)" - "a device enrolls another one" first "$1-a" fresh "/CN=$1-b"
    row "$1" too-early "$1-a" "a new key before the renewal window" renew "$1-a" fresh "/CN=$1-a"
    granted "$1" "the same key before its window: the same certificate, and the device is in use" renew "$1-a" "$1-a" "/CN=$1-a"
    row "$1" already-enrolled "$1-a" "a second key for a device in use" first st1 fresh "/CN=$1-a"
    row "$1" name-mismatch "$1-b" "a renewal under another name" renew "$1-a" fresh "/CN=$1-b"
    row "$1" name-mismatch "$1-a" "a renewal with another SAN" renew "$1-a" fresh "/CN=$1-a" -addext "subjectAltName=URI:urn:cradle:pump:$1-b"
    key "$1-b"; granted "$1" "another device" first st1 "$1-b" "/CN=$1-b"
    api -o /dev/null -d '{"reason":"keyCompromise"}' "$HTTPS/api/v1/certs/$(openssl x509 -in "$1-b.pem" -noout -serial | cut -d= -f2)/revoke"
    row "$1" certificate-revoked "$1-b" "a renewal with a revoked certificate" renew "$1-b" fresh "/CN=$1-b"
    row "$1" key-revoked "$1-b" "the key of a revoked certificate" first st1 "$1-b" "/CN=$1-b"
    for s in quarantined:device-quarantined suspended:device-suspended revoked:device-revoked; do
        patch "$1-a" "${s%:*}" >/dev/null
        row "$1" "${s#*:}" "$1-a" "first enrollment, ${s%:*}" first st1 fresh "/CN=$1-a"
        row "$1" "${s#*:}" "$1-a" "renewal, ${s%:*}" renew "$1-a" fresh "/CN=$1-a"
    done
    patch "$1-c" decommissioned >/dev/null
    row "$1" device-decommissioned "$1-c" "a decommissioned device" first st1 fresh "/CN=$1-c"
    row "$1" line-suspended "$1-h" "a device of a suspended line" first st1 fresh "/CN=$1-h"
    key "$1-t"; granted "$1" "a certificate with a short life" first st1 "$1-t" "/CN=$1-t"
}
approvals() { # PROTO
    for k in 1 2 3 4 5; do key "$1-w$k"; done
    for k in 1 2 3 4; do row "$1" enrollment-pending "$1-w" "key $k of a line that wants approvals" first st1 "$1-w$k" "/CN=$1-w"; done
    row "$1" rate-limited "$1-w" "more keys of one device than may wait" first st1 "$1-w5" "/CN=$1-w"
    cradle enroll refuse "$(openssl pkey -in "$1-w1.key" -pubout -outform DER | sha256sum | cut -d' ' -f1)" --note no >/dev/null
    row "$1" enrollment-refused "$1-w" "a key that an operator refused" first st1 "$1-w1" "/CN=$1-w"
    row "$1" key-of-other "$1-x" "a key that waits for another device" first st1 "$1-w2" "/CN=$1-x"
}
flood() { # PROTO: a device that is reset on the line again and again
    for k in 1 2 3 4 5 6 7 8 9; do key "$1-n$k"; done
    for k in 1 2 3 4 5 6 7 8; do "${1}_first" st1 "$1-n$k" "/CN=$1-n"; done
    is "$reason" "" "$1: eight certificates of a device in an hour"
    row "$1" rate-limited "$1-n" "the ninth" first st1 "$1-n9" "/CN=$1-n"
}
# the signer stands still: the first of two enrollments waits, the second one has another key
running() { # PROTO
    key "$1-r1"; key "$1-r2"
    kill -STOP "$(role_pid signer:0)"
    ("${1}_first" st1 "$1-r1" "/CN=$1-r" >/dev/null 2>&1) & first=$!
    wait_for 10 sh -c "cradle event list --device $1-r --kind cert-intent --json | jq -e '.items | length == 1'"
    (row "$1" enrollment-running "$1-r" "another key while the first is with the signer" first st1 "$1-r2" "/CN=$1-r" >second) & second=$!
    wait_for 10 sh -c "cradle event list --kind refused --limit 50 --json | jq -e '[.items[] | select(.payload.reason == \"enrollment-running\" and .payload.uid == \"$1-r\")] | length == 1'"
    kill -CONT "$(role_pid signer:0)"
    wait $first; wait $second
    cat second; tap_count=$((tap_count + $(grep -c ok second))); grep -q "^not ok" second && tap_bad=1
}
for p in $PROTOCOLS; do
    for d in a b c n r; do device_add $p-$d pump >/dev/null; done
    device_add $p-h held >/dev/null; device_add $p-w asked >/dev/null; device_add $p-x asked >/dev/null; device_add $p-t brief >/dev/null
done
cradle line suspend held >/dev/null
for p in $PROTOCOLS; do strangers $p; keys_and_names $p; devices $p; approvals $p; flood $p; running $p; done
for p in $PROTOCOLS; do
    over() { [ "$(date +%s)" -gt "$(date -d "$(openssl x509 -in $p-t.pem -noout -enddate | cut -d= -f2)" +%s)" ]; } # its last second still counts
    wait_for 15 over
    row $p certificate-expired - "a certificate that has ended" renew $p-t fresh /CN=$p-t
done

# -- the same evidence
missing() { # REASON UID that were answered and are no event; UID empty: whoever
    events_since "$from" refused | jq -r '.payload | "\(.reason) \(.uid)"' | sort -u >seen
    cut -d" " -f1,2 wanted | sed "s/ -\$//" | sort -u | awk 'NR == FNR { seen[$0]; reasons[$1]; next } NF == 2 ? !($0 in seen) : !($1 in reasons) { print "# not seen: " $0 }' seen -
}
all_seen() { [ -z "$(missing)" ]; }
wait_for 10 all_seen; ok $? "each is an event with its reason and its device ($(wc -l <wanted) refusals)"
missing
for p in $PROTOCOLS; do
    is "$(events_since "$from" enroll-requested | jq -r "select(.device == \"$p-w\") | .payload.proto" | sort -u)" $p "what waits names its protocol: $p"
    is "$(events_since "$from" clone-suspected | jq -r .device | grep -c "^$p-")" 2 "a key in two hands is an alarm, over $p"
done
verified refusals; ok $? "the evidence verifies offline"
site_stop; ok $? "cradled stops"
clean_log; ok $? "nothing odd in the log"
finish
