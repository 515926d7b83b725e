#!/bin/sh
# cmp_openssl.sh: CMP with the client of OpenSSL, unmodified: every command of it over plain HTTP and HTTPS, by secret and by signature, confirmed
# explicitly and implicitly; transactions that outlive a front; certificates that nobody confirms. The commands are those of docs/cmp.md.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/cmp.sh
need openssl openssl; need curl curl; need jq jq
site_init || { ok 1 "cradle init"; finish; }
conf() { sed -i "s/^#* *$1 = .*/$1 = $2/" "$3"; grep --quiet "^$1 = " "$3" || echo "$1 = $2" >>"$3"; }
conf renew_at_pct 1 "$SITE/profiles/device.conf"
conf cmp_confirm_time 3s "$SITE/cradled.conf"
site_start || { ok 1 "cradled starts"; finish; }
cradle line add pump --validity 3000s --quiet && cradle model add p1 --line pump --quiet && cradle line set pump --cmp-secret yes --quiet; ok $? "a line whose devices may enroll by a secret"
for d in d1 d2 d3 d4 d5 d6 d7 d8; do cradle device add $d --model p1 --quiet || ok 1 "device add $d"; done
cradle station add st --out "$T/st" --quiet; ok $? "a station"
cd "$T" || exit 1
ROOT=$SITE/ca/root.pem
cmp() { # instead of that one: OUT [options of openssl cmp]
    out=$1; shift
    stdbuf -oL openssl cmp -config "" -server "localhost:$((BASE + 1))" -path .well-known/cmp -trusted "$ROOT" "$@" >"$out.log" 2>&1 && return
    sed 's/^/# /' "$out.log"; return 1
}
secret() { cradle device secret "$1" --json >"$1.json"; SECRET="-ref $(jq -r .reference "$1.json") -secret pass:$(jq -r .secret "$1.json")"; }
events() { api "$HTTPS/api/v1/devices/$1/timeline?limit=500" | jq -r '[.items[].kind]|join(" ")'; }
state() { api "$HTTPS/api/v1/certs/$(openssl x509 -noout -serial -in "$1" | cut -d= -f2)" | jq -r .status; }
STATION="-cert st/st.pem -key st/st.key"

# -- ir by a secret: explicit confirmation, the certificate of the root comes with it
for d in d1 d2 d3 d4 d5 d6 d7 d8 new; do key $d; done
secret d1
cmp ir -cmd ir $SECRET -newkey d1.key -subject /CN=d1 -certout d1.pem -cacertsout got.pem; ok $? "ir, protected by a secret"
has "$(openssl verify -CAfile "$ROOT" -untrusted "$SITE/ca/device.pem" d1.pem)" OK "the certificate chains to the root"
is "$(openssl x509 -noout -fingerprint -in got.pem)" "$(openssl x509 -noout -fingerprint -in "$ROOT")" "caPubs is the root"
has "$(cat ir.log)" "received PKICONF" "certConf over one HTTP/1.0 connection is answered"
has "$(events d1)" "secret-made .*cert-intent cert-issued device-state secret-used cert-confirmed" "the evidence has each step"
cmp again -cmd ir $SECRET -newkey d1.key -subject /CN=d1 -certout x.pem >/dev/null; ok $((! $?)) "a secret is good once"
secret d2
cmp ir2 -cmd ir $SECRET -mac hmacWithSHA256 -digest sha384 -newkey d2.key -subject /CN=d2 -implicit_confirm -certout d2.pem; ok $? "ir with HMAC-SHA256 and implicit confirmation"
has "$(grep -c CERTCONF ir2.log)" '^0$' "then there is no certConf"

# -- by a station
cmp cr $STATION -cmd cr -newkey d3.key -subject /CN=d3 -certout d3.pem -extracertsout extra.pem; ok $? "cr, signed by a station"
is "$(grep -c BEGIN extra.pem)" 3 "extraCerts: the signer of the answer and both issuing CAs"
openssl x509 -in extra.pem -noout -text | grep --quiet "CMC Registration Authority\|cmcRA\|1.3.6.1.5.5.7.3.28"; ok $? "it has the extended key usage cmcRA"
openssl req -new -key d4.key -subj /CN=d4 -out d4.csr 2>/dev/null
cmp p10 $STATION -cmd p10cr -csr d4.csr -certout d4.pem; ok $? "p10cr"
cmp ir5 $STATION -cmd ir -newkey d5.key -subject /CN=d5 -sans "urn:cradle:pump:d5" -implicit_confirm -certout d5.pem; ok $? "ir by a station, with the SAN that it gets anyway, implicit confirmation"
cmp ra $STATION -cmd ir -popo 0 -newkey d6.key -subject /CN=d6 -certout d6.pem; ok $? "raVerified by a station"
cmp path $STATION -cmd cr -newkey d3.key -subject /CN=d3 -certout again.pem -path .well-known/cmp/p/pump; ok $? "the same request again, at the path of the product line"

# -- by the device itself, over HTTPS
TLS="-tls_used -tls_trusted $ROOT -server localhost:$BASE"
cmp kur -cmd kur -cert d3.pem -key d3.key -newkey new.key -certout d3n.pem $TLS; ok $? "kur over HTTPS"
is "$(openssl x509 -noout -pubkey -in d3n.pem)" "$(openssl pkey -in new.key -pubout)" "the new certificate has the new key"
cmp rr -cmd rr -cert d3n.pem -key new.key -oldcert d3n.pem -revreason 4; ok $? "rr: a device revokes its own certificate"
is "$(state d3n.pem)" revoked "it is revoked"
cmp rrst -cmd rr -cert "$SITE/operators/admin.pem" -key "$SITE/operators/admin.key" -oldcert d5.pem -revreason 5; ok $? "rr by an administrator"
is "$(state d5.pem)" revoked "it is revoked"
hex_file() { od -An -tx1 -v "$1" | tr -d ' \n'; }
openssl x509 -in "$SITE/ca/device.pem" -outform DER -out device.der
cmp cas $STATION -cmd genm -infotype caCerts -reqout genm.der -rspout genp.der $(cmp_saves -cacertsout cas.pem); ok $? "genm caCerts"
case $(hex_file genp.der) in *06082b06010505070411*"$(hex_file device.der)"*) ok 0 "has the CA of devices" ;; *) ok 1 "has the CA of devices" ;; esac
cmp template $STATION -cmd genm -infotype certReqTemplate -rspout genp.der $(cmp_saves -template tmpl.der); ok $? "genm certReqTemplate"
has "$(hex_file genp.der)" '06082b0601050507041330' "has a template"
LC_ALL=C sed 's/\x05\x07\x04\x11/\x05\x07\x04\x14/' genm.der | "$B/t/cmpedit" st/st.key "4=$(openssl rand -hex 16)" >root.der # rootCaCert, which OpenSSL 3.0 cannot ask for
curl -s -o genp.der -H 'Content-Type: application/pkixcmp' --data-binary @root.der "$HTTP/.well-known/cmp"
has "$(hex_file genp.der)" 'b60e300c300a06082b06010505070412' "genm rootCaCert: there is no newer root, rootCaKeyUpdate without a value"
cmp other $STATION -cmd genm -infotype currentCRL -rspout genp.der; ok $? "genm for what is not offered is answered too"

# -- a line whose first enrollments wait for an approval: waiting, pollReq, pollRep, and the certificate when somebody approves
cradle line add slow --quiet && cradle line set slow --enroll-approval yes --cmp-secret yes --quiet && cradle model add s1 --line slow --quiet && cradle device add d9 --model s1 --quiet && cradle device add d10 --model s1 --quiet
ok $? "a line that wants approvals"
key d9; key d10; secret d9
cmp wait -cmd ir $SECRET -newkey d9.key -subject /CN=d9 -certout d9.pem -total_timeout 40 & WAITS=$!
own $WAITS
waiting() { cradle enroll list --json | jq -e '[.items[]|select(.state=="waiting" and .proto=="cmp")]|length == 1'; }
wait_for 20 waiting; ok $? "the request waits, and is in the list"
wait_for 30 grep -q "received POLLREP" wait.log; ok $? "it is told to ask again: pollRep"
cradle enroll approve d9 --quiet; ok $? "somebody approves it"
wait $WAITS; ok $? "the client, which polls, gets its certificate"
is "$(state d9.pem)" good "it is good"

# -- a transaction outlives the front that began it
cmp half $STATION -cmd cr -newkey d7.key -subject /CN=d7 -certout d7.pem -reqout q1.der,q2.der -rspout p1.der,p2.der; ok $? "a transaction, kept"
openssl cmp -config "" -use_mock_srv -srv_ref x -srv_secret pass:x -cmd ir $SECRET -newkey d8.key -subject /CN=d8 -reqout q8.der -certout x.pem >/dev/null 2>&1
post() { curl -s -o "$2" -w '%{http_code} %{content_type}' -H 'Content-Type: application/pkixcmp' --data-binary "@$1" "$HTTP/.well-known/cmp"; }
is "$(post q2.der again.der)" "200 application/pkixcmp" "a certConf that is repeated"
has "$(openssl asn1parse -inform DER -in again.der | grep 'd=1' | tail -n 3)" "cont \[ 19 \]" "gets its pkiConf again"
for p in $(pgrep -P "$CRADLED" -f 'x front'); do kill -9 "$p"; done
wait_for 20 site_ready
has "$(post q2.der again.der; openssl asn1parse -inform DER -in again.der | grep 'd=1')" "cont \[ 19 \]" "also from a front that was not there before"

# -- nobody confirms
cmp no $STATION -cmd cr -newkey d8.key -subject /CN=d8 -disable_confirm -certout d8.pem; ok $? "a client that does not confirm"
gone() { [ "$(state d8.pem)" = revoked ]; }
wait_for 15 gone; ok $? "the certificate is revoked"
has "$(events d8)" "cert-unconfirmed cert-revoked" "the evidence says why"
cmp retry $STATION -cmd cr -newkey d8.key -subject /CN=d8 -certout d8.pem; ok $? "the same key may try again"
is "$(state d8.pem)" good "and has a good certificate then"
is "$(state d1.pem) $(state d2.pem) $(state d4.pem)" "good good good" "those that were confirmed stay"

# -- evidence
site_stop; ok $? "cradled stops"
has "$(cradled -f "$SITE" 2>&1; echo "exit $?")" "exit 0" "the events explain the tables"
finish
