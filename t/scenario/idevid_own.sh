#!/bin/sh
# idevid_own.sh: initial identities (IDevIDs) that the site makes itself: a station enrolls one on the line, the device enrolls with it later, and it opens nothing else. openssl
# reads what was made, curl is station and device.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/est.sh
state() { cradle device show "$1" --json | jq -r .state; }

has "$(cat "$SITE/profiles/idevid.conf")" '^hw_type = 2\.25\.[0-9]+$' "cradle init makes a profile with a hardware type of its own"
cradle line add pump >/dev/null; cradle model add p1 --line pump >/dev/null
for i in 1 2 3; do cradle device add P-$i --model p1 --serial SN-$i >/dev/null; done
cradle device add bare --model p1 >/dev/null
cradle line add x.idevid >l.out 2>&1; has "$(cat l.out)" 'does not end with .idevid' "no line may be called like a label for IDevIDs"
key st; csr st /CN=st
api -d "{\"name\":\"st\",\"role\":\"station\",\"csr\":\"$(tr -d '\n' <st.csr)\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >st.pem

# -- on the line
est st /pump.idevid/simpleenroll P-1 id1
is "$code" 200 "a station gets an IDevID for a device"; unpack id1
text=$(openssl x509 -in id1.pem -noout -text -certopt ext_parse)
has "$(openssl x509 -in id1.pem -noout -enddate)" 'Dec 31 23:59:59 9999 GMT' "it has no end"
has "$(openssl x509 -in id1.pem -noout -subject -nameopt RFC2253)" 'serialNumber=SN-1|2.5.4.5=' "the serial number is in the subject"
has "$text" 'Key Usage: critical' "keyUsage is critical"
has "$text" 'Digital Signature' "it signs"
has "$(openssl asn1parse -in id1.pem)" 'PRINTABLESTRING *:SN-1' "openssl reads the serial number"
has "$(openssl asn1parse -in id1.pem -strparse "$(openssl asn1parse -in id1.pem | awk -F: '/X509v3 Subject Alternative Name/ { getline; print $1 + 0 }')")" 'OBJECT *:(1.3.6.1.5.5.7.8.4|Hardware Module Name)' "the hardwareModuleName is there (RFC 4108)"
is "$(printf '%s' "$text" | grep -c 'URI:http')" 0 "no URL is in it"
has "$(openssl verify -purpose sslclient -CAfile "$CA" id1.pem 2>&1)" 'purpose' "openssl takes it for no TLS client"
has "$(openssl verify -CAfile "$CA" id1.pem 2>&1)" 'OK$' "its signature is good"
is "$(state P-1)" registered "the device is registered as before: it has nothing that opens a door"
est st /pump.idevid/simpleenroll P-1 id1; unpack again
cmp -s id1.pem again.pem; ok $? "asked again: the same one"
est st /pump.idevid/simpleenroll P-1 id1b
is "$code $reason" "403 already-enrolled" "a second with another key is refused: $(cat out)"
est st /pump.idevid/simpleenroll bare
is "$code $reason" "403 idevid-name" "no serial number, no IDevID"
est st /other.idevid/simpleenroll P-2
is "$code $reason" "404 line-unknown" "the label names the line"
est st /pump.idevid/simplereenroll P-1 id1
is "$code $reason" "403 idevid-enrolls-only" "an IDevID is not renewed"

# -- it opens nothing
for path in /api/v1/devices /update/v1/poll /edge/v1/stream /metrics; do
    curl -s --cacert "$CA" --cert id1.pem --key id1.key -D head -o out "$HTTPS$path"
    is "$(tr -d '\r' <head | sed -n 's/^x-cradle-reason: //Ip')" idevid-enrolls-only "GET $path is refused"
done
est id1 /simplereenroll P-1
is "$code $reason" "403 idevid-enrolls-only" "renewal too"

# -- the device
est id1 /simpleenroll P-2
is "$code $reason" "403 idevid-name" "it enrolls no other device"
est id1 /simpleenroll P-1 id1
is "$code $reason" "403 idevid-key" "its own key gets no operational certificate"
est id1 /pump.idevid/simpleenroll P-1 id1c
is "$code $reason" "403 idevid-enrolls-only" "nor is an IDevID made of an IDevID"
est id1 /simpleenroll P-1
is "$code" 200 "with it the device enrolls itself, without a station"; unpack P-1
curl -s --cacert "$CA" --cert P-1.pem --key P-1.key -o /dev/null -w '%{http_code}' "$HTTPS/update/v1/poll" >poll; is "$(cat poll)" 200 "what it got is good for updates"
is "$(state P-1)" active "the device is active"
is "$(cradle cert list --device P-1 --json | jq -r '[.items[] | select(.profile == "idevid")] | .[0].status')" good "and its IDevID good as before"
est st /pump.idevid/simpleenroll P-1 P-1
is "$code $reason" "403 idevid-key" "an operational key becomes no IDevID"
est id1 /simpleenroll P-1 reset1
is "$code" 200 "after a factory reset it enrolls again, with another key"

# -- the agent
est st /pump.idevid/simpleenroll P-3 id3; unpack id3
printf 'uid = P-3\nserial = SN-3\nstate_dir = %s\nest_url = %s\nca_file = %s\nidevid_cert = %s\nidevid_key = %s\n' "$T/agent" "$HTTPS" "$CA" "$T/id3.pem" "$T/id3.key" >agent.conf
cradle-agent -c agent.conf enroll >agent.log 2>&1; ok $? "the agent enrolls with its IDevID"
cmp -s agent/current/key.pem id3.key; ok $((! $?)) "with a key of its own"
was=$(openssl x509 -in agent/current/cert.pem -noout -serial)
cradle-agent -c agent.conf reset --yes >>agent.log 2>&1; ok $? "a factory reset"
[ -s id3.pem ] && [ -s id3.key ]; ok $? "keeps the IDevID"
cradle-agent -c agent.conf enroll >>agent.log 2>&1
has "$(cat agent/current/cert.pem 2>&1)" 'BEGIN CERT' "and it is enrolled again"
[ "$(openssl x509 -in agent/current/cert.pem -noout -serial)" != "$was" ]; ok $? "with another certificate"
sed 's/^/# /' agent.log

# -- taken away
cradle cert revoke "$(openssl x509 -in id1.pem -noout -serial | cut -d= -f2)" >/dev/null; ok $? "the IDevID is revoked"
est id1 /simpleenroll P-1 reset2
is "$code $reason" "403 certificate-revoked" "it enrolls nothing any more"
est st /pump.idevid/simpleenroll P-1 id1d
is "$code" 200 "now a station may give the device another one"; unpack id1d
cradle device suspend P-1 >/dev/null
est id1d /simpleenroll P-1 reset3
[ "$code" = 403 ]; ok $? "a suspended device does not enroll ($reason)"
cradle device resume P-1 >/dev/null
est id1d /simpleenroll P-1 reset3
is "$code" 200 "resumed, it does"

# -- a CA of their own
has "$(cradle status 2>&1)" 'IDevIDs since the start were issued by a CA for devices' "the status tells that they come from the CA for devices"
cradle ca create born --use idevid --passphrase-file "$T/pass" >ca.out 2>&1; ok $? "a CA for IDevIDs"
has "$(openssl x509 -in "$SITE/ca/born.pem" -noout -subject)" 'IDevID CA born' "is called so"
end() { date -d "$(openssl x509 -in "$1" -noout -enddate | cut -d= -f2)" +%s; }
[ "$(end "$SITE/ca/born.pem")" -gt "$(end "$SITE/ca/device.pem")" ]; ok $? "it lives longer than the CA for devices"
issuer() { openssl x509 -in "$1.pem" -noout -issuer -nameopt multiline | sed -n 's/^ *commonName *= //p'; }
cradle device add P-4 --model p1 --serial SN-4 >/dev/null; cradle device add P-5 --model p1 --serial SN-5 >/dev/null
est st /pump.idevid/simpleenroll P-5 id5; unpack id5
is "$(issuer id5)" "test Device CA" "before it is activated it issues none"
cradle ca activate born >ca.out 2>&1; ok $? "activated"
est st /pump.idevid/simpleenroll P-4 id4
is "$code" 200 "an IDevID"; unpack id4
is "$(issuer id4)" "test IDevID CA born" "comes from it"
has "$(openssl verify -CAfile "$SITE/ca/bundle.pem" id4.pem 2>&1)" 'OK$' "the bundle verifies it"
est id4 /simpleenroll P-4
is "$code" 200 "the device enrolls with it"; unpack P-4
is "$(issuer P-4)" "test Device CA" "and its operational certificate is from the CA for devices"
est id5 /simpleenroll P-5
is "$code" 200 "an IDevID from before is as good"
curl -s --cacert "$CA" --cert id4.pem --key id4.key -D head -o out "$HTTPS/update/v1/poll"
is "$(tr -d '\r' <head | sed -n 's/^x-cradle-reason: //Ip')" idevid-enrolls-only "it opens nothing else"
cradle ca retire born --force >ca.out 2>&1; rc=$?
[ $rc != 0 ]; ok $? "the CA that issues is not retired"
cradle ca create born2 --use idevid --passphrase-file "$T/pass" >ca.out 2>&1 && cradle ca activate born2 >>ca.out 2>&1; ok $? "another one takes its place"
cradle ca retire born --force >ca.out 2>&1; ok $? "now it is retired"
est id4 /simpleenroll P-4 reset4
is "$code $reason" "403 ca-retired" "and its IDevIDs enroll nothing"
site_stop
cradled -f "$SITE" >fold.out 2>&1; ok $? "fold(events) = tables"
rm "$SITE/profiles/idevid.conf"
site_start; ok $? "a site without the profile starts"
est st /pump.idevid/simpleenroll P-3
is "$code $reason" "404 not-found" "and says that it makes none"
finish
