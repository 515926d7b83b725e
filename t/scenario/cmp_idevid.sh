#!/bin/sh
# cmp_idevid.sh: devices that enroll by CMP with an initial identity (IDevID), of another maker or of this site, and devices whose certificate has ended.
# openssl is the maker and the client, unmodified; what is allowed is the same as by EST (idevid.sh, idevid_own.sh, grace.sh).
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/cmp.sh
. t/maker.sh
. t/est.sh
# -- the maker: a root, a CA below it, boards with a hardwareModuleName (RFC 4108)
maker_cas
maker xroot "/O=Other/CN=Other Root" "" "$AS_CA"
maker xca "/O=Other/CN=Other CA" xroot "$AS_CA"
for b in 1 2 3 4 5; do board b$b SN-$b; done
board twin SN-1
board stranger SN-3 xca
cat mca.pem mroot.pem >up.pem
by() { echo "-cert $1.pem -key $1.key -untrusted up.pem"; } # the client sends the CAs above its certificate along
events() { api "$HTTPS/api/v1/events?kind=$1&limit=500" | jq -r "[.items[] | select($2)] | length"; }
state() { cradle device show "$1" --json | jq -r .state; }

cradle line add pump --quiet; cradle line add free --quiet; cradle line add asked --quiet; cradle line add brief --validity 3 --quiet
cradle line set asked --enroll-approval yes --quiet
for l in pump free asked brief; do cradle model add m-$l --line $l --quiet; done
for i in 1 2 3; do cradle device add P-$i --model m-pump --serial SN-$i --quiet; done
cradle device add A-5 --model m-asked --serial SN-5 --quiet
for i in 1 2 3; do cradle device add B-$i --model m-brief --quiet; done
cradle station add st --out "$T/station" --quiet; cp station/st.pem station/st.key .
for d in P-1 P-2 P-3 SN-4 A-5 B-1 B-2 B-3 n; do key $d; done
# what ends while the rest is tested
for d in B-1 B-2 B-3; do cmp -cmd cr -cert st.pem -key st.key -newkey $d.key -subject /CN=$d -certout $d.pem || ok 1 "$d enrolls"; done

# -- another maker's
no signerNotTrusted certificate-foreign "without an anchor an IDevID is foreign" -cmd ir $(by b1) -newkey P-1.key -subject /CN=P-1
cradle anchor add pump --cert mroot.pem --map serial --quiet; ok $? "the root of the maker is pinned, without the CA below it"
no signerNotTrusted certificate-foreign "a message without the CA between" -cmd ir -cert b1.pem -key b1.key -newkey P-1.key -subject /CN=P-1
cat xca.pem xroot.pem >x.pem
no signerNotTrusted certificate-foreign "another maker's, with all of its CAs" -cmd ir -cert stranger.pem -key stranger.key -untrusted x.pem -newkey P-3.key -subject /CN=P-3
no notAuthorized idevid-name "an IDevID enrolls no other device" -cmd ir $(by b1) -newkey P-2.key -subject /CN=P-2
no badCertTemplate idevid-key "its own key gets no second certificate" -cmd ir $(by b1) -newkey b1.key -subject /CN=P-1
no notAuthorized role-forbidden "raVerified is a station's word" -cmd ir $(by b1) -popo 0 -newkey P-1.key -subject /CN=P-1
cmp -cmd ir $(by b1) -newkey P-1.key -subject /CN=P-1 -certout P-1.pem -path .well-known/cmp/p/pump; ok $? "ir: the CA between comes in extraCerts, the SAN of the IDevID in the template"
has "$(openssl verify -CAfile "$CA" -purpose sslclient P-1.pem 2>&1)" 'OK$' "its certificate (LDevID) verifies"
is "$(events cert-confirmed '.device == "P-1"')" 1 "the device has confirmed it, by its IDevID"
is "$(events cert-intent '.payload.by == "idevid:SN-1"')" 1 "the evidence says by which IDevID it came"
cmp -cmd kur -cert P-1.pem -key P-1.key -newkey P-1.key -certout again.pem; ok $? "with the LDevID it goes on"
cmp -cmd cr $(by b2) -newkey P-2.key -subject /CN=P-2 -implicit_confirm -certout P-2.pem; ok $? "cr"
openssl req -new -key P-3.key -subj /CN=P-3 -out P-3.csr 2>/dev/null
cmp -cmd p10cr $(by b3) -csr P-3.csr -certout P-3.pem; ok $? "p10cr"
no notAuthorized idevid-other "a second IDevID with the same name" -cmd ir $(by twin) -newkey n.key -subject /CN=P-1
is "$(events clone-suspected '.payload.reason == "idevid-other" and .device == "P-1"')" 1 "with an alarm"
no notAuthorized idevid-enrolls-only "an IDevID is not renewed" -cmd kur $(by b1) -newkey n.key -subject /CN=P-1
cmp -cmd rr $(by b1) -oldcert P-1.pem; grep -q notAuthorized c.log; ok $? "nor does it revoke"
cmp -cmd genm -infotype caCerts $(cmp_saves -cacertsout cas.pem) $(by b1); ok $? "it may ask for the CAs"
cradle anchor add free --cert mroot.pem --map serial --register m-free --quiet
cmp -cmd ir $(by b4) -newkey SN-4.key -subject /CN=SN-4 -certout SN-4.pem; ok $? "a device registers itself by its IDevID"
cradle anchor add asked --cert mroot.pem --map serial --quiet
cmp -cmd ir $(by b5) -newkey A-5.key -subject /CN=A-5 -certout A-5.pem -total_timeout 30 & WAITS=$!
own $WAITS
waiting() { cradle enroll list --json | jq -e '[.items[]|select(.state=="waiting" and .proto=="cmp")]|length == 1'; }
wait_for 10 waiting && cradle enroll approve A-5 --quiet; wait $WAITS; ok $? "one that waits for an approval polls, by its IDevID"

# -- this site's own
cmp -cmd ir -cert st.pem -key st.key -newkey n.key -subject /CN=P-2 -certout id2.pem -path .well-known/cmp/p/pump.idevid; ok $? "a station gets an IDevID of this site by CMP"
cp n.key id2.key; key l2
has "$(openssl x509 -in id2.pem -noout -enddate)" '9999 GMT' "it has no end"
no badRequest line-unknown "a label that names no line" -cmd ir -cert id2.pem -key id2.key -newkey l2.key -subject /CN=P-2 -path .well-known/cmp/p/nowhere
no notAuthorized idevid-name "it enrolls no other device" -cmd ir -cert id2.pem -key id2.key -newkey l2.key -subject /CN=P-3
cmp -cmd ir -cert id2.pem -key id2.key -newkey l2.key -subject /CN=P-2 -certout l2.pem; ok $? "the device enrolls anew with it"

# -- certificates that have ended
ended() { [ "$(date +%s)" -gt "$(date -d "$(openssl x509 -in $1.pem -noout -enddate | cut -d= -f2)" +%s)" ]; }
for d in B-1 B-2 B-3; do wait_for 10 ended $d; done; ok $? "three certificates have ended"
no signerNotTrusted certificate-expired "without a grace" -cmd kur -cert B-1.pem -key B-1.key -newkey B-1.key
cradle line set brief --grace 180d --quiet
no badCertTemplate name-mismatch "another key, where the grace is for the same" -cmd kur -cert B-1.pem -key B-1.key -newkey n.key
cmp -cmd kur -cert B-1.pem -key B-1.key -newkey B-1.key -certout B-1n.pem; ok $? "kur by a certificate that has ended, confirmed by it"
is "$(events cert-grace '.device == "B-1"') $(events cert-confirmed '.device == "B-1"')" "1 2" "the evidence has the grace, and the confirmation"
cradle line set brief --grace-key any --quiet; key n
cmp -cmd cr -cert B-2.pem -key B-2.key -newkey n.key -subject /CN=B-2 -certout B-2n.pem; ok $? "cr with another key, where the line allows it"
cmp -cmd rr -cert B-2.pem -key B-2.key -oldcert B-2.pem; grep -q signerNotTrusted c.log; ok $? "it revokes nothing"
cradle device revoke B-3 --quiet
no notAuthorized device-revoked "a revoked device" -cmd kur -cert B-3.pem -key B-3.key -newkey B-3.key
site_stop
cradled -f "$SITE" >fold.out 2>&1; ok $? "fold(events) = tables"
finish
