#!/bin/sh
# cmp_refusals.sh: what CMP refuses, each with its failInfo, its reason in the evidence, and nothing issued: names and keys of others, proofs and
# protection that do not hold, replays, times, algorithms, secrets that are over, and certificates that are not the caller's to revoke.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need openssl openssl; need curl curl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
cradle line add pump --quiet && cradle model add p1 --line pump --quiet && cradle line add other --quiet && cradle model add o1 --line other --quiet
for d in d1 d2 d3 d4 d5; do cradle device add $d --model p1 --quiet; done; cradle device add x1 --model o1 --quiet; ok $? "devices"
cradle station add st --lines pump --out "$T/st" --quiet || cradle station add st --out "$T/st" --quiet; ok $? "a station"
cd "$T" || exit 1
for d in d1 d2 d3 d4 d5 n; do key $d; done
P="-path .well-known/cmp -trusted $SITE/ca/root.pem -unprotected_errors"
cmp() { openssl cmp -config "" -server "localhost:$((BASE + 1))" $P "$@" >c.log 2>&1; }
STATION="-cert st/st.pem -key st/st.key"
count() { api "$HTTPS/api/v1/certs?limit=500" | jq '.items|length'; }
reason() { api "$HTTPS/api/v1/events?kind=refused&limit=500" | jq -e --arg r "$1" '[.items[]|select(.payload.reason==$r or .reason==$r)]|length > 0'; }
no() { # NAME FAILINFO REASON [options]: refused so, and nothing is issued
    name=$1 fail=$2 why=$3; shift 3
    before=$(count)
    cmp "$@" -certout no.pem; refused=$?
    has "refused=$refused $(cat c.log)" "refused=[1-9].*" "$name: refused"
    grep -q "$fail" c.log; ok $? "$name: $fail"
    grep -q "$fail" c.log || sed 's/^/# /' c.log
    wait_for 10 reason "$why"; ok $? "$name: $why in the evidence"
    is "$(count)" "$before" "$name: nothing is issued"
}
cmp $STATION -cmd cr -newkey d1.key -subject /CN=d1 -certout d1.pem && cmp $STATION -cmd cr -newkey d2.key -subject /CN=d2 -certout d2.pem; ok $? "two devices have certificates"

if openssl cmp -help 2>&1 | grep -q -e -centralkeygen; then # OpenSSL 3.5: without a proof it asks for a key made elsewhere
    no "a key made by the server" badCertTemplate bad-cert-template $STATION -cmd ir -centralkeygen -newkeyout k.key -subject /CN=d3
else
    no "no proof of possession" badPOP csr-bad-signature $STATION -cmd ir -popo -1 -newkey n.key -subject /CN=d3
fi
no "raVerified by a device" notAuthorized role-forbidden -cmd cr -popo 0 -cert d1.pem -key d1.key -newkey n.key -subject /CN=d1
no "device 1 for device 2" badCertTemplate name-mismatch -cmd cr -cert d1.pem -key d1.key -newkey n.key -subject /CN=d2 -san_nodefault
no "the key of another device" badCertTemplate key-of-other $STATION -cmd cr -newkey d1.key -subject /CN=d3
no "an unknown device" badCertTemplate uid-unknown $STATION -cmd cr -newkey n.key -subject /CN=nobody
no "another issuer" wrongAuthority wrong-authority $STATION -cmd cr -issuer /CN=elsewhere -newkey n.key -subject /CN=d3
no "a key update too early" notAuthorized too-early -cmd kur -cert d1.pem -key d1.key -newkey n.key
no "no protection" wrongIntegrity cmp-unprotected -cmd ir -unprotected_requests -newkey n.key -subject /CN=d3 -ref x -secret pass:x
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout f.key -out f.pem -subj /CN=st -days 2 2>/dev/null
no "a foreign signer" signerNotTrusted certificate-foreign -cmd cr -cert f.pem -key f.key -newkey n.key -subject /CN=d3
no "an unknown secret" badMessageCheck secret-unknown -cmd ir -ref 0000000000000000 -secret pass:x -newkey n.key -subject /CN=d3

# -- secrets
cradle device secret d3 --json >s.json 2>s.log; ok $((! $?)) "no secret where the line forbids them"
cradle line set pump --cmp-secret yes --quiet; cradle device secret d3 --json >s.json
REF=$(jq -r .reference s.json) SECRET=$(jq -r .secret s.json)
no "the secret of another device" badCertTemplate name-mismatch -cmd ir -ref "$REF" -secret "pass:$SECRET" -newkey n.key -subject /CN=d4
for i in 1 2 3 4; do cmp -cmd ir -ref "$REF" -secret pass:wrong -newkey d3.key -subject /CN=d3 -certout no.pem; done
no "a fifth wrong try" badMessageCheck cmp-bad-protection -cmd ir -ref "$REF" -secret pass:wrong -newkey d3.key -subject /CN=d3
no "the right secret, after five" badMessageCheck secret-locked -cmd ir -ref "$REF" -secret "pass:$SECRET" -newkey d3.key -subject /CN=d3

# -- messages again, changed
post() { curl -s -o p.der -D p.head -w '%{http_code}' -H "Content-Type: ${2:-application/pkixcmp}" --data-binary "@$1" "$HTTP/.well-known/cmp"; }
why() { tr -d '\r' <p.head | sed -n 's/^x-cradle-reason: //Ip'; }
cmp $STATION -cmd cr -newkey d4.key -subject /CN=d4 -certout d4.pem -reqout q.der,conf.der; ok $? "a request, kept"
is "$(post q.der) $(why)" "200 transaction-in-use" "the same message again"
before=$(count)
{ head -c 60 q.der; printf '\377'; tail -c +62 q.der; } >bad.der
post bad.der >/dev/null; has "$(why)" "cmp-bad-protection|bad-cmp-message|cmp-time" "a changed byte in the header"
head -c 200 q.der >cut.der; is "$(post cut.der) $(why)" "200 bad-cmp-message" "half a message"
is "$(post q.der text/plain)" 415 "another media type is a fault of HTTP"
is "$(curl -s -o /dev/null -w '%{http_code}' "$HTTP/.well-known/cmp")" 405 "GET, too"
head -c 40000 /dev/zero >big; is "$(post big)" 413 "and 40000 bytes"
is "$(count)" "$before" "nothing is issued"

# -- the header: messages with other fields, protected anew (t/tool/cmpedit.c)
edit() { "$B/t/cmpedit" "$@" >e.der; }
new() { openssl rand -hex 16; }
said() { openssl cmp -config "" $P $STATION -cmd cr -newkey d4.key -subject /CN=d4 -certout x.pem -reqin e.der -rspin p.der 2>&1 | sed -n 's/.*PKIFailureInfo: \([A-Za-z]*\);.*/\1/p' | head -n 1; }
for at in -400 +400; do
    edit st/st.key "4=$(new)" time=$at <q.der; is "$(post e.der) $(why) $(said)" "200 cmp-time badTime" "a messageTime $at s from now"
done
edit st/st.key "4=$(new)" time=-200 <q.der; is "$(post e.der) $(why)" "200 " "200 s are taken"
edit st/st.key "4=$(new)" 5= <q.der; is "$(post e.der) $(why) $(said)" "200 cmp-sender-nonce badSenderNonce" "no senderNonce"
edit st/st.key "4=$(new)" 5=00112233445566778899aabbccddee <q.der; is "$(post e.der) $(why) $(said)" "200 cmp-sender-nonce badSenderNonce" "one of 15 bytes"
edit st/st.key 4= <q.der; is "$(post e.der) $(why) $(said)" "200 cmp-request badRequest" "no transactionID"
edit st/st.key "6=$(new)" <conf.der; is "$(post e.der) $(why) $(said)" "200 cmp-recipient-nonce badRecipientNonce" "a certConf that answers to another message"
edit st/st.key 6= <conf.der; is "$(post e.der) $(why) $(said)" "200 cmp-recipient-nonce badRecipientNonce" "one that answers to none"
edit st/st.key "4=$(new)" <conf.der; is "$(post e.der) $(why) $(said)" "200 transaction-unknown badRequest" "one of a transaction that never was"
edit d1.key "4=$(new)" <q.der; is "$(post e.der) $(why) $(said)" "200 cmp-bad-protection badMessageCheck" "a signature by another key than that of the certificate"

# -- PBMAC1 (RFC 9481 6.1.2)
cradle device secret d5 --json >s.json
REF=$(jq -r .reference s.json) SECRET=$(jq -r .secret s.json)
openssl cmp -config "" -use_mock_srv -srv_ref x -srv_secret pass:x -cmd ir -ref r -secret pass:s -newkey d5.key -subject /CN=d5 -implicit_confirm -certout x.pem -reqout ir.der >/dev/null 2>&1
edit "$REF:wrong" "4=$(new)" <ir.der; is "$(post e.der) $(why)" "200 cmp-bad-protection" "PBMAC1 by another secret"
edit "$REF:$SECRET" "4=$(new)" <ir.der; is "$(post e.der) $(why)" "200 " "PBMAC1 by the secret"
has "$(openssl asn1parse -inform DER -in p.der)" "PBMAC1" "the answer is protected by PBMAC1 too"
is "$(api "$HTTPS/api/v1/devices/d5/timeline?limit=500" | jq -r '[.items[] | select(.kind == "cert-issued" or .kind == "secret-used")] | length')" 2 "the device has its certificate, and the secret is used"

# -- revocation
cmp -cmd rr -cert d1.pem -key d1.key -oldcert d2.pem; grep -q notAuthorized c.log; ok $? "a device revokes no other"
cmp -cmd rr -cert "$SITE/operators/admin.pem" -key "$SITE/operators/admin.key" -oldcert f.pem; grep -q badCertId c.log; ok $? "nor is a foreign certificate revoked"
cmp -cmd rr -cert "$SITE/operators/admin.pem" -key "$SITE/operators/admin.key" -oldcert d2.pem; ok $? "an administrator may"
cmp -cmd rr -cert "$SITE/operators/admin.pem" -key "$SITE/operators/admin.key" -oldcert d2.pem; grep -q certRevoked c.log; ok $? "but not twice"
no "by a revoked certificate" certRevoked certificate-revoked -cmd kur -cert d2.pem -key d2.key -newkey n.key

# -- a site that was made before CMP came
site_stop; rm "$SITE/keys/cmp.key" "$SITE/ca/cmp.pem"
site_start; ok $? "without the key of CMP's answers the service starts"
cmp $STATION -cmd cr -newkey d4.key -subject /CN=d4 -certout no2.pem; refused=$?
[ $refused != 0 ] && [ ! -e no2.pem ]; ok $? "a signed request gets no signed answer"
cradle site renew >renew.log 2>&1; ok $? "cradle site renew makes it: $(grep cmp renew.log)"
site_stop; site_start
cmp $STATION -cmd cr -newkey d4.key -subject /CN=d4 -certout d4.pem; ok $? "and the site speaks CMP"
finish
