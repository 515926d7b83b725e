#!/bin/sh
# ca_root.sh: a new root beside the old one. Who trusts only the old root reaches new certificates through the link (RFC 4210 4.4), who trusts only the
# new root reaches old ones through cross-signed CAs; openssl is the judge.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/cmp.sh
. t/ca.sh
ca_site pump || { ok 1 "a site with a broker"; finish; }
for d in d1 d2; do cradle device add $d --model m-pump >/dev/null; done
is "$(enroll d1)" 200 "a device of the old root's time"
cp "$SITE/ca/root.pem" "$T/old.pem"
printf 'another horse battery staple\n' >"$T/pass2"; chmod 600 "$T/pass2"

cradle ca rollover-root new --passphrase-file "$T/pass" 2>"$T/err"; has "$(cat "$T/err")" "begins with root" "a root is called like one"
# killed after the new root is made, the next run goes on
cradle ca rollover-root root2 --passphrase-file "$T/pass" --new-passphrase-file "$T/pass2" >"$T/out" 2>&1 & P=$!
wait_for 20 test -e "$SITE/ca/root2.pem"; kill -9 $P 2>/dev/null; wait $P 2>/dev/null
openssl pkey -in "$SITE/offline/root2.key" -passin "file:$T/pass2" -noout 2>/dev/null; ok $? "its key is encrypted with its own passphrase"
cradle ca rollover-root root2 --passphrase-file "$T/pass" --new-passphrase-file "$T/pass2" >"$T/out" 2>"$T/err"; ok $? "the root is rolled over"
sed 's/^/# /' "$T/out" "$T/err"
cradle ca rollover-root root2 --passphrase-file "$T/pass" --new-passphrase-file "$T/pass2" >/dev/null 2>&1; ok $? "and once more does no harm"
openssl verify -CAfile "$SITE/ca/root2.pem" "$SITE/ca/root2.pem" >/dev/null 2>&1; ok $? "the new root signs itself"
is "$(cradle ca list --json | jq -r '.items[] | select(.use=="link") | .name' | sort | tr '\n' ' ')" "device-by-root2 infra-by-root2 root-by-root2 root2-by-root " "links: both roots, and the issuing CAs"
is "$(openssl x509 -in "$SITE/ca/root2.pem" -noout -subject)" "$(openssl x509 -in "$T/old.pem" -noout -subject)" "both roots have one name, so links are self-issued"

# -- a CMP client asks for the root that follows the one it has (OpenSSL 3.0 cannot: the question for the CAs is edited and signed anew)
hex_file() { od -An -tx1 -v "$1" | tr -d ' \n'; }
der_hex() { openssl x509 -in "$SITE/ca/$1.pem" -outform DER | od -An -tx1 -v | tr -d ' \n'; }
cd "$T" && cmp -cmd genm -infotype caCerts -cert st/st.pem -key st/st.key -reqout genm.der $(cmp_saves -cacertsout cas.pem); cd "$OLDPWD" || exit 1
update_is_told() {
    LC_ALL=C sed 's/\x05\x07\x04\x11/\x05\x07\x04\x14/' "$T/genm.der" | "$B/t/cmpedit" "$T/st/st.key" "4=$(openssl rand -hex 16)" "5=$(openssl rand -hex 16)" >"$T/ask.der" &&
        curl -s -o "$T/genp.der" -H 'Content-Type: application/pkixcmp' --data-binary @"$T/ask.der" "$HTTP/.well-known/cmp" &&
        hex_file "$T/genp.der" | grep -Eq "06082b06010505070412[0-9a-f]{8,12}$(der_hex root2)a082[0-9a-f]{4}$(der_hex root2-by-root)a182[0-9a-f]{4}$(der_hex root-by-root2)"
}
wait_for 10 update_is_told; ok $? "CMP's rootCaKeyUpdate has the new root and both links"
[ -s "$T/genm.der" ] || sed 's/^/# /' "$T/c.log"

# -- new certificates
cradle ca create dev2 --use device --root root2 --passphrase-file "$T/pass2" >/dev/null; ok $? "an issuing CA under the new root"
cradle ca activate dev2 >/dev/null; ok $? "it issues"
is "$(enroll d2)" 200 "a device of the new root's time"
is "$(issuer d2)" "test Device CA dev2" "has a certificate of it"
cat "$SITE/ca/dev2.pem" "$SITE/ca/root2-by-root.pem" >"$T/up.pem"
has "$(openssl verify -CAfile "$T/old.pem" -untrusted "$T/up.pem" -purpose sslclient "$PKI/d2.pem" 2>&1)" 'OK$' "a client that trusts the old root alone verifies it through the link"
has "$(openssl verify -CAfile "$T/old.pem" -untrusted "$SITE/ca/dev2.pem" "$PKI/d2.pem" 2>&1)" 'error' "and without the link does not"
has "$(openssl verify -CAfile "$SITE/ca/root2.pem" -untrusted "$SITE/ca/device-by-root2.pem" -purpose sslclient "$PKI/d1.pem" 2>&1)" 'OK$' "a client that trusts the new root alone verifies an old device"
has "$(openssl verify -CAfile "$SITE/ca/root2.pem" -untrusted "$SITE/ca/infra-by-root2.pem" "$SITE/operators/admin.pem" 2>&1)" 'OK$' "and an operator"
cacerts >"$T/all.pem"
is "$(grep -c '^subject' "$T/all.pem")" 9 "EST's cacerts: two roots, three issuing CAs, four links (RFC 7030 4.1.3)"
has "$(openssl verify -CAfile "$T/old.pem" -untrusted "$T/all.pem" "$PKI/d2.pem" 2>&1)" 'OK$' "what EST gives is enough for one who trusts the old root"
has "$(openssl verify -CAfile "$SITE/ca/root2.pem" -untrusted "$T/all.pem" "$PKI/d1.pem" 2>&1)" 'OK$' "and for one who trusts the new one"
# -- the broker trusts the old root alone: nobody brought it another bundle
wait_for 10 gets_in d2; ok $? "a broker that trusts the old root alone lets the new device in"
gets_in d1; ok $? "and the old one"
is "$(est "$PKI/d2" simplereenroll d2)" "200 " "the service takes the new device"
is "$(curl -s "$HTTP/crl/root2/0.crl" | openssl crl -inform DER -noout -issuer 2>&1 | sed 's/issuer=//')" "$(openssl x509 -in "$SITE/ca/root2.pem" -noout -subject | sed 's/subject=//')" "the new root has a CRL"
cradle ca retire root >"$T/out" 2>"$T/err"; ok $? "the old root is retired"
cradle ca retire root2 2>"$T/err"; has "$(cat "$T/err")" "only root" "the last one is not"
# -- two new roots in a row, on a fast machine within one second: each begins later than the one before, for clients tell by that which is the newer
begins() { date -d "$(openssl x509 -in "$SITE/ca/$1.pem" -noout -startdate | cut -d= -f2)" +%s; }
cradle ca rollover-root root3 --root root2 --passphrase-file "$T/pass2" >/dev/null && cradle ca rollover-root root4 --root root3 --passphrase-file "$T/pass2" >/dev/null; ok $? "two more roots"
[ "$(begins root)" -lt "$(begins root2)" ] && [ "$(begins root2)" -lt "$(begins root3)" ] && [ "$(begins root3)" -lt "$(begins root4)" ]; ok $? "each begins later than the one before"
# -- a CA whose key is lost
site_stop; rm "$SITE/keys/dev2.key"
site_start; ok $? "without the key of a CA the service starts"
gets_in d2; ok $? "certificates of it go on"
cradle device add d3 --model m-pump >/dev/null
is "$(enroll d3)" 404not-found "it issues nothing"
cradle ca create dev3 --use device --root root2 --passphrase-file "$T/pass2" >/dev/null && cradle ca activate dev3 >/dev/null; ok $? "another CA is made and activated"
is "$(enroll d3)" 200 "and issues"
site_stop; ok $? "the service stops"
cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "the tables follow from the evidence"
sed 's/^/# /' "$T/fold"
finish
