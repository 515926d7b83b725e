#!/bin/sh
# docs_swupdate.sh: the commands of docs/swupdate.md, exactly as printed but for paths, with the real SWUpdate.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/offer.sh
need swupdate swupdate; need cpio cpio; need openssl openssl; need jq jq
PAGE=$PWD/docs/swupdate.md
block() { awk -v lang="$1" -v want="$2" '$0 == "```" lang { n++; on = n == want; next } /^```/ { on = 0 } on' "$PAGE"; } # LANG N
offer_keys; ceremony "$T/trust"; ok $? "a ceremony"
image_signer; gate_device
cd "$T" || exit 1
page() { # N
    block sh "$1" | sed "s|/run/swupdate|$T/run|g; s|cradle-gate |cradle-gate -c $T/page.conf |g; s|cradle release create release|cradle release create $R --quiet|" >block
    [ -s block ] && sh -e block >out.log 2>&1
}
is "$(block sh 4)" "" "the page has three blocks of commands"
head -c 100000 /dev/urandom >rootfs.img; sbom_make; cp sbom.json fw.cdx.json; printf 'globals: { };\n' >swupdate.cfg
cat >sw-description <<END
software = { version = "1.7.0"; hardware-compatibility = [ "1.0" ];
  images: ( { filename = "rootfs.img"; type = "rawfile"; path = "$T/out"; installed-directly = true; sha256 = "$(hex_of rootfs.img)"; } ); }
END
block ini 1 | sed "s|/var/lib/cradle-agent/current/cert.pem|$T/dev.pem|; s|/var/lib/cradle-agent/current/key.pem|$T/dev.key|; s|/etc/cradle-agent/root.pem|$T/dev.pem|; s|= /var/lib/cradle-agent$|= $T/agent|
    s|/etc/cradle/1.root.json|$R/1.root.json|; s|/etc/version|$T/version|; s|trust.example:8443|localhost:9|" >page.conf
echo "update_dir = $T/update" >>page.conf
page 1; ok $? "the image is signed, packed and drafted as a release"; cat out.log | sed 's/^/# /'
both_sign vib; offer_metadata 1; offer_directive 1 r7
page 2; grep -q "SWUPDATE successful" out.log # the exit code of SWUpdate 2022.12 is 1 now and then after it has said so, also without a gate's -p
ok $? "SWUpdate installs it; the server is away, so the gate judges what it was told last"
cmp -s out rootfs.img; ok $? "the image is there"
page 3; [ $? != 0 ]; ok $? "nothing is confirmed while the old version runs"
echo 1.7.0 >version; page 3; ok $? "the new one is"
is "$(state counter_floor)" 4 "and the floor has risen"
finish
