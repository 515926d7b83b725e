#!/bin/sh
# idevid.sh: devices of another maker enroll with their initial identity (IDevID, IEEE 802.1AR) over real TLS: openssl is the maker, curl the device. Mapping
# rules, the first IDevID that stays, devices that register themselves, and every other route, which refuses.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/maker.sh
. t/est.sh

# -- the maker: a root, a CA below it, and devices with a hardwareModuleName (RFC 4108)
maker_cas
maker xroot "/O=Other/CN=Other Root" "" "$AS_CA"
for b in 1 2 3 4; do board b$b SN-$b; done
board twin SN-1
board stranger SN-3 xroot
board fake SN-2 b1 # signed by a device

events() { api "$HTTPS/api/v1/events?kind=$1&limit=500" | jq -r "[.items[] | select($2)] | length"; }

cradle line add pump >/dev/null; cradle line add valve >/dev/null; cradle line add free >/dev/null
cradle model add p1 --line pump >/dev/null; cradle model add v1 --line valve >/dev/null; cradle model add f1 --line free >/dev/null
for i in 1 2 3; do cradle device add P-$i --model p1 --serial SN-$i >/dev/null; done
cradle device add V-1 --model v1 --serial HW-SN-2 >/dev/null
cradle device add bare --model p1 >/dev/null

# -- before the maker is known
est b1 /simpleenroll P-1
is "$code $reason" "401 certificate-foreign" "without an anchor an IDevID is as foreign as any certificate"

# -- anchors
cradle anchor add pump --cert mroot.pem --map name >a.out 2>&1; has "$(cat a.out)" 'serial, cn or hwserial' "a rule that does not exist is refused"
cradle anchor add pump --cert b1.pem --map serial >a.out 2>&1; has "$(cat a.out)" '4.2.1.9: is no CA' "a device's certificate is no anchor"
cradle anchor add pump --cert "$SITE/ca/root.pem" --map serial >a.out 2>&1; has "$(cat a.out)" "this site's own" "nor is a CA of this site"
cradle anchor add pump --cert mroot.pem --map serial --title "Boards Inc" >a.out 2>&1; ok $? "the root of the maker is pinned: $(cat a.out)"
est b1 /simpleenroll P-1
is "$code $reason" "401 certificate-foreign" "a path with a gap: the CA between is not known"
root=$(cradle anchor list pump --json | jq -r '.items[0].sha256')
is "$root" "$(openssl x509 -in mroot.pem -outform DER | sha256sum | cut -d' ' -f1)" "an anchor is named by the SHA-256 that openssl finds"
cradle anchor remove pump "$root" >/dev/null; ok $? "it is removed"
cradle anchor add pump --cert mroot.pem --intermediate mca.pem --map serial >/dev/null; ok $? "and pinned again with the CA between"
cradle anchor add pump --cert mroot.pem --map cn >a.out 2>&1; has "$(cat a.out)" 'already' "twice is refused"

# -- enrollment
est b1 /simpleenroll P-2
is "$code $reason" "403 idevid-name" "an IDevID enrolls no other device: $(cat out)"
est b1 /simpleenroll bare
is "$code $reason" "403 idevid-name" "nor one that is registered without a serial number"
est b1 /valve/simpleenroll P-1
is "$code $reason" "403 line-forbidden" "nor under another line's label"
est b1 /simpleenroll P-1 b1
is "$code $reason" "403 idevid-key" "its own key gets no second certificate"
est stranger /simpleenroll P-3
is "$code $reason" "401 certificate-foreign" "another maker's device stays out"
est fake /simpleenroll P-2
is "$code" 401 "a device that plays CA makes no IDevIDs ($reason)"
est b1 /pump/simpleenroll P-1
is "$code" 200 "a device enrolls with its IDevID, under its line's label"; unpack P-1
has "$(openssl verify -CAfile "$CA" -purpose sslclient P-1.pem 2>&1)" 'OK$' "its certificate (LDevID) verifies"
est b1 /pump/simpleenroll P-1
is "$code" 200 "asked again"; unpack again; cmp -s P-1.pem again.pem; ok $? "it gets the same certificate"
is "$(cradle device show P-1 --json | jq -r '.idevid.name + " " + .idevid.anchor')" "SN-1 $root" "the register shows by which IDevID it came"
is "$(events cert-intent '.payload.by == "idevid:SN-1"')" 1 "the evidence says so too"
is "$(events idevid-pinned '.device == "P-1"')" 1 "the first use of the IDevID is an event"
curl -s --cacert "$CA" --cert P-1.pem --key P-1.key -o /dev/null -w '%{http_code}' "$HTTPS/update/v1/poll" >poll; is "$(cat poll)" 200 "the LDevID is good for updates"

# -- the first stays: an alarm for another
est twin /simpleenroll P-1 twin2
is "$code $reason" "403 idevid-other" "a second IDevID with the same name is refused"
is "$(events clone-suspected '.payload.reason == "idevid-other" and .device == "P-1"')" 1 "with an alarm"
cradle device forget-idevid P-1 --note RMA >/dev/null; ok $? "an operator lets the device have another board"
est twin /simpleenroll P-1 twin2
is "$code" 200 "the other IDevID enrolls it now, though it is active: its old certificate lives until the new one is used"
est b1 /simpleenroll P-1 b1new
is "$code $reason" "403 idevid-other" "the old one does not any more"

# -- an IDevID does nothing else
for path in /api/v1/devices /api/v1/status /update/v1/poll /update/v1/metadata/root.json /edge/v1/stream /metrics /DEFAULT/controller/v1/P-1; do
    curl -s --cacert "$CA" --cert b1.pem --key b1.key -D head -o out "$HTTPS$path"
    is "$(tr -d '\r' <head | sed -n 's/^x-cradle-reason: //Ip')" idevid-enrolls-only "GET $path with an IDevID"
done
est b1 /simplereenroll P-1
is "$code $reason" "403 idevid-enrolls-only" "an IDevID is not renewed"
wait_for 10 sh -c "[ \$(curl -s $ADMIN '$HTTPS/api/v1/events?kind=refused&limit=500' | jq '[.items[] | select(.payload.reason == \"idevid-enrolls-only\")] | length') -ge 1 ]"; ok $? "the refusals are evidence"

# -- hwserial, with the hardware type
cradle anchor add valve --cert mroot.pem --intermediate mca.pem --map hwserial --hw-type 1.3.6.1.4.1.32473.8 >/dev/null
est b2 /simpleenroll V-1
is "$code $reason" "403 idevid-name" "another hardware type is refused: $(cat out)"
cradle anchor remove valve "$root" >/dev/null
cradle anchor add valve --cert mroot.pem --intermediate mca.pem --map hwserial --hw-type 1.3.6.1.4.1.32473.7 >/dev/null
est b2 /simpleenroll V-1
is "$code" 200 "a device named by its hardwareModuleName enrolls"
est b2 /simpleenroll P-2
is "$code $reason" "403 idevid-other" "one IDevID is one device's, also across lines"

# -- devices that register themselves
est b4 /simpleenroll SN-4
is "$code $reason" "404 uid-unknown" "a device that nobody registered is refused"
cradle anchor add free --cert mroot.pem --intermediate mca.pem --map serial --register p1 >a.out 2>&1; has "$(cat a.out)" "is of line" "a model of another line is refused"
cradle anchor add free --cert mroot.pem --intermediate mca.pem --map serial --register f1 >/dev/null
est b4 /simpleenroll other
is "$code $reason" "403 idevid-name" "it may not choose its name"
est b4 /simpleenroll SN-4
is "$code" 200 "it is registered by its IDevID, under the name in it"
is "$(cradle device show SN-4 --json | jq -r '.line + " " + .model + " " + .serial')" "free f1 SN-4" "as a device of the line"
is "$(events device-added '.device == "SN-4" and .payload.by == "idevid:SN-4"')" 1 "and the evidence says by what"

# -- removed, suspended, restarted
cradle device suspend P-1 >/dev/null
est twin /simpleenroll P-1 twin3
is "$code $reason" "403 device-suspended" "a suspended device does not enroll anew"
cradle anchor remove pump "$root" >/dev/null
est b3 /simpleenroll P-3
is "$code $reason" "403 line-forbidden" "without the anchor of its line a device stays out, whatever other lines take"
site_stop
cradled -f "$SITE" >fold.out 2>&1; ok $? "fold(events) = tables"
site_start; ok $? "cradled starts again"
est b4 /free/simpleenroll SN-4 sn4new
is "$code" 200 "anchors are there after a restart"
finish
