#!/bin/sh
# attack_renew.sh: a device, or a thief of its key, against its own revocation: renewals that race it, every way back in afterwards, other
# devices' names, and OCSP answers kept from before.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need openssl openssl; need curl curl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
CA=$SITE/ca/bundle.pem
cd "$T" || exit 1
est() { # WHO WHO'S-KEY OPERATION KEY OUT: sets OUT.code, OUT.reason, OUT.pem
    curl -s --max-time 15 --cacert "$CA" --cert "$1.pem" --key "$2.key" -H 'Content-Type: application/pkcs10' --data-binary "@$4.csr" -D "$5.head" \
        -o "$5.out" -w '%{http_code}' "$HTTPS/.well-known/est/$3" >"$5.code"
    tr -d '\r' <"$5.head" | sed -n 's/^x-cradle-reason: //Ip' >"$5.reason"
    [ "$(cat "$5.code")" = 200 ] && openssl base64 -d -in "$5.out" | openssl pkcs7 -inform DER -print_certs | openssl x509 >"$5.pem" 2>/dev/null
}
device() { api -d "{\"uid\":\"$1\",\"model\":\"m\"}" "$HTTPS/api/v1/devices" >/dev/null; key "$1"; csr "$1" "/CN=$1"; est st st simpleenroll "$1" "$1"; }

key st
b64=$(openssl req -new -key st.key -subj /CN=st -outform DER 2>/dev/null | openssl base64 -A)
api -d "{\"name\":\"st\",\"role\":\"station\",\"csr\":\"$b64\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >st.pem
api -d '{"name":"fast","validity_s":90}' "$HTTPS/api/v1/lines" >/dev/null; api -d '{"name":"m","line":"fast"}' "$HTTPS/api/v1/models" >/dev/null
for d in d1 d2 d3 d4; do device $d; done
is "$(cat d1.code d2.code d3.code d4.code)" 200200200200 "four devices have certificates"

# -- other identities
key x; csr x /CN=d2
est d1 d1 simplereenroll x other; is "$(cat other.reason)" name-mismatch "a device cannot renew under another's name"
est d1 d1 simpleenroll x other; is "$(cat other.reason)" role-forbidden "nor enroll"
csr d1 /CN=d2; est st st simpleenroll d1 other; is "$(cat other.reason)" key-of-other "a key of one device is not certified for another"
csr d1 /CN=d1
curl -s -o /dev/null -w '%{http_code}' --cacert "$CA" --cert d1.pem --key x.key "$HTTPS/healthz" >/dev/null 2>&1; ok $((! $?)) "a certificate without its key is no certificate"

# -- the renewal window opens, then everything at once; the answer of an OCSP cache is warm
ocsp() { openssl ocsp -issuer "$SITE/ca/device.pem" -cert "$1.pem" -url "$HTTP/ocsp" -CAfile "$SITE/ca/root.pem" -verify_other "$SITE/ca/device-ocsp.pem" $2 2>/dev/null; }
has "$(ocsp d1 -no_nonce)" ': good' "OCSP says good"
i=0; while [ $i -lt 30 ]; do for d in d1 d2 d3; do key $d-$i; csr $d-$i /CN=$d; done; i=$((i + 1)); done
opened() { est d4 d4 simplereenroll d4 d4n; [ "$(cat d4n.code)" = 200 ]; }
key d4n; csr d4n /CN=d4
wait_for 90 opened; ok $? "the window opens"
key d2-0a; csr d2-0a /CN=d2; est d2 d2 simplereenroll d2-0a d2-0a
serial2=$(openssl x509 -noout -serial -in d2.pem | cut -d= -f2)
pids=; i=0
while [ $i -lt 30 ]; do
    for d in d1 d2 d3; do est $d $d simplereenroll $d-$i $d-$i & pids="$pids $!"; done
    case $i in
    3) api -X PATCH -d '{"state":"revoked"}' "$HTTPS/api/v1/devices/d1" >r1 & pids="$pids $!" ;;
    4) api -X PATCH -d '{"state":"suspended"}' "$HTTPS/api/v1/devices/d3" >r3 & pids="$pids $!" ;;
    5) api -d '{"reason":"keyCompromise"}' "$HTTPS/api/v1/certs/$serial2/revoke" >r2 & pids="$pids $!" ;;
    esac
    i=$((i + 1))
done
for p in $pids; do wait "$p"; done
is "$(jq -r .state r1) $(jq -r .status r2) $(jq -r .state r3)" "revoked revoked suspended" "a revocation, a revoked certificate and a suspension, each among 30 renewals"
echo "# certificates made meanwhile: $(cat d1-*.code | grep -o 200 | wc -l) $(cat d2-*.code | grep -o 200 | wc -l) $(cat d3-*.code | grep -o 200 | wc -l)"
for d in d1 d3; do
    is "$(api "$HTTPS/api/v1/certs?device=$d&limit=500" | jq '[.items[]|select(.status=="good" or .status=="superseded")]|length')" 0 "$d: no certificate of it is good"
    is "$(api "$HTTPS/api/v1/devices/$d/timeline?limit=500" | jq '[.items[].kind] | (index("cert-revoked")) as $r | [.[$r:][]|select(.=="cert-intent")]|length')" 0 \
        "$d: nothing was begun after it"
done
n=$(cat d1-*.code d2-*.code d3-*.code | grep -o 5.. | wc -l); is "$n" 0 "no request met an error of the server"

# -- every way back
back() { # KEY-OF-CERT WHAT REASON
    key again; csr again /CN=d1
    est "$1" "$2" simplereenroll again again; is "$(cat again.code) $(cat again.reason)" "403 $3" "$4"
}
back d1 d1 device-revoked "the old certificate renews nothing"
for f in d1-*.pem; do [ -s "$f" ] && { back "${f%.pem}" "${f%.pem}" device-revoked "nor does one that was made in the race"; break; }; done
est st st simpleenroll again again; is "$(cat again.reason)" device-revoked "a station cannot enroll it again"
is "$(api -d '{"uid":"d1","model":"m"}' "$HTTPS/api/v1/devices" | jq -r .reason)" exists "its UID cannot be registered again"
for s in active registered provisioned suspended decommissioned; do
    case $(api -X PATCH -d "{\"state\":\"$s\"}" "$HTTPS/api/v1/devices/d1" | jq -r .reason) in state-change | bad-field) true ;; *) false ;; esac
    ok $? "revoked does not become $s"
done
api -d '{"uid":"d9","model":"m"}' "$HTTPS/api/v1/devices" >/dev/null; csr d1 /CN=d9
est st st simpleenroll d1 again; is "$(cat again.reason)" key-of-other "its key is certified for no other device"
est d2 d2 simplereenroll d2-1 again; is "$(cat again.reason)" certificate-revoked "a revoked certificate renews nothing"
csr d2 /CN=d2; for f in d2-*.pem; do [ -s "$f" ] && { est "${f%.pem}" "${f%.pem}" simplereenroll d2 again; break; }; done
is "$(cat again.reason)" key-revoked "and its key comes into no certificate, whoever asks"
has "$(ocsp d1 -no_nonce)" ': revoked' "OCSP without nonce says revoked at once, from no cache"
has "$(ocsp d1 -nonce)" ': revoked' "and with one"
shard=$(openssl x509 -noout -ext crlDistributionPoints -in d1.pem | sed -n 's/.*URI://p')
listed() { curl -s "$shard" | openssl crl -inform DER -noout -text | grep -qi "$(openssl x509 -noout -serial -in d1.pem | cut -d= -f2)"; }
wait_for 5 listed; ok $? "and so does the CRL"
finish
