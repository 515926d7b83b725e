#!/bin/sh
# gate_swupdate.sh: the real SWUpdate with cradle-gate as its -P command: what is ordered for this device is installed from the stream; everything
# else is refused before the first byte is written, although its signature holds.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/offer.sh
need swupdate swupdate; need cpio cpio; need openssl openssl; need jq jq
offer_keys; ceremony "$T/trust"; ok $? "a ceremony"
image_signer; gate_device
cd "$T" || exit 1
swu() { swu_make "$1" "$2" 300000; cp sw-description "$1.desc"; } # NAME VERSION
swu new 1.1.0; swu old 0.9.0; swu other 1.2.0; swu foreign 1.3.0
release() { release_make "$1.swu" "$1" "$2" "$3" --handler swupdate && N=$((N + 1)); }
N=0
release old 0.9.0 1 && release new 1.1.0 2 && release other 1.2.0 2; ok $? "three releases, each signed by two people"
cradle release create "$R" foreign.swu --line vib --model vib-2 --release foreign --version 1.3.0 --counter 2 --sbom sbom.json --support-end 2099-12-31 --handler swupdate --quiet &&
    both_sign vib && N=$((N + 1)); ok $? "a fourth, for another model"
offer_metadata $N
install() { # NAME: as on the device; 0 when SWUpdate says so
    rm -rf out tmp; mkdir -m 700 tmp
    TMPDIR=$T/tmp timeout 60 swupdate -v -f swu.cfg -H lab:1.0 -k image-ca.pem --cert-purpose codeSigning -P "$GATE check swupdate" -p "$GATE installed" -i "$1.swu" >swupdate.all 2>&1
    rc=$?; grep -aE 'cradle-gate|ERROR|error' swupdate.all >swupdate.log; return $rc
}
printf 'globals: { };\n' >swu.cfg
refused() { # NAME reason name
    install "$1"; [ $? != 0 ] && [ ! -e out ]; ok $? "$3: nothing is written"
    has "$(cat swupdate.log)" "cradle-gate: .*$2" "$3: $2"
}

refused new no-order "without an order"
offer_directive 5 new
refused old wrong-digest "an older image, validly signed"
refused other wrong-digest "another release, validly signed"
install new; ok $? "what is ordered is installed"
cmp -s out new.img; ok $? "the image is there"
has "$(cat swupdate.log)" "release new, version 1.1.0, is ordered for dev-1" "the log says why"
is "$(state sequence)" 5 "the order's number is remembered"
is "$(sed -n 's/^installed = //p' update/gate-order)" yes "SWUpdate has told the gate that it is done"
$GATE confirm 2>err; is $? 5 "before the new version runs nothing is confirmed"
is "$(state counter_floor)" 0 "the counter floor is where it was"
echo 1.1.0 >version
$GATE confirm >/dev/null; ok $? "the new version runs: confirmed"
is "$(state counter_floor)" 2 "now the floor has risen"
$GATE confirm 2>err; is $? 4 "a second time there is nothing to confirm"

offer_directive 6 old; refused old counter-low "ordered, but its security counter is below the floor"
offer_directive 7 new '.device = "dev-2"'; refused new wrong-device "another device's order"
offer_directive 7 new '.spki = "'"$(printf '%064d' 0)"'"'; refused new wrong-device "an order for another key"
offer_directive 7 foreign; refused foreign wrong-model "an image for another model"
offer_directive 7 new '.expires = "2026-01-01T00:00:00Z"'; refused new metadata-expired "an order that has expired"
offer_directive 4 new; refused new directive-replay "an order from before"
offer_directive 7 new '.action = "none"'; refused new no-order "an order to do nothing"
offer_directive 8 new
cp trust/directive.key keep; cp trust/tuf-timestamp.key trust/directive.key; offer_directive 8 new; cp keep trust/directive.key
refused new threshold "an order by a key that may not order"
offer_directive 8 new
offer_metadata $N 2026-01-01; refused new metadata-expired "a timestamp that has expired"
offer_metadata $N
sed -i 's/"payload":"eyJ/"payload":"eyK/' update/offer/line.json; refused new metadata-mix "tampered metadata"
offer_metadata $N

# -- what SWUpdate itself refuses: that sw-description stands for the whole image rests on it
cp new.desc sw-description; swu_sign; sed 's/1.1.0/1.1.1/' new.desc >sw-description; cp new.img rootfs.img
printf '%s\n' sw-description sw-description.sig rootfs.img | cpio -o -H crc --quiet >bent.swu
install bent; [ $? != 0 ] && [ ! -e out ]; ok $? "a tampered sw-description: SWUpdate refuses it before it asks"
[ "$(grep -c "cradle-gate:" swupdate.log)" = 0 ]; ok $? "the gate was not asked"
cp new.desc sw-description; cp other.img rootfs.img; swu_pack swapped
install swapped; [ $? != 0 ]; ok $? "other bytes under the ordered sw-description: SWUpdate refuses them"
has "$(cat swupdate.log)" "[Hh]ash|HASH|Error copying extracted file" "by their digest"
sed 's/ sha256 = "[0-9a-f]*";//' new.desc >sw-description; swu_pack nohash
install nohash; [ $? != 0 ] && [ ! -e out ]; ok $? "an image without a digest in sw-description: SWUpdate refuses it"

# -- who else could have written sw-description
install new; ok $? "the ordered image once more"
mkdir -p wide; cp new.desc wide/sw-description; chmod 666 wide/sw-description
TMPDIR=$T/wide $GATE check swupdate 2>err; is $? 2 "a sw-description that others may write is not believed"
ln -sf "$T/new.desc" wide/sw-description; TMPDIR=$T/wide $GATE check swupdate 2>err; is $? 2 "a link in its place neither"
# -- a file at hand
$GATE check file new.swu >/dev/null; ok $? "the whole file, for installers that have it"
$GATE check file old.swu 2>err; is $? 3 "another file is refused"
has "$(cat err)" "wrong-(length|digest)" "it says why"
finish
