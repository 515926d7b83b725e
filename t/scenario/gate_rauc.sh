#!/bin/sh
# gate_rauc.sh: the real RAUC with cradle-gate as its pre-install handler, as docs/rauc.md says: the ordered bundle is installed; other bundles with
# good signatures are refused before a slot is touched. RAUC mounts bundles, so this needs root, loop devices and squashfs.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/offer.sh
need rauc rauc; need mksquashfs squashfs-tools; need dbus-daemon dbus-daemon; need openssl openssl; need jq jq
PAGE=$PWD/docs/rauc.md
block() { awk -v lang="$1" -v want="$2" '$0 == "```" lang { n++; on = n == want; next } /^```/ { on = 0 } on' "$PAGE"; } # LANG N
offer_keys; ceremony "$T/trust"; ok $? "a ceremony"
image_signer; gate_device
cd "$T" || exit 1
sed -i "s|^version_file.*|version_file = $T/version|" gate.conf
bundle() { # NAME VERSION: NAME.raucb by the page's command
    rm -rf bundle; mkdir bundle
    head -c 300000 /dev/urandom >bundle/rootfs.img; cp bundle/rootfs.img "$1.img"
    printf '[update]\ncompatible=lab\nversion=%s\n\n[image.rootfs]\nfilename=rootfs.img\n' "$2" >bundle/manifest.raucm
    block sh 1 | sed "s|fw.raucb|$1.raucb|; s|image-ca.pem|$T/image-ca.pem|" | head -n 1 >block
    sh -e block >bundle.log 2>&1 || sed 's/^/# /' bundle.log
}
bundle new 1.1.0; bundle old 0.9.0; bundle other 1.2.0
[ -s new.raucb ] && [ -s other.raucb ]; ok $? "signed bundles by the page's command"
sbom_make
release_make old.raucb old 0.9.0 1 --handler rauc && release_make new.raucb new 1.1.0 2 --handler rauc && release_make other.raucb other 1.2.0 2 --handler rauc; ok $? "three releases"
offer_metadata 3

# -- RAUC's service on a bus of its own
cat >bus.conf <<END
<busconfig><type>system</type><listen>unix:path=$T/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/><allow user="*"/></policy></busconfig>
END
dbus-daemon --config-file=bus.conf --nofork >bus.log 2>&1 & own $!
export DBUS_SYSTEM_BUS_ADDRESS=unix:path=$T/bus
printf '#!/bin/sh\nexec cradle-gate -c %s/gate.conf check rauc\n' "$T" >pre-install
printf '#!/bin/sh\nexec cradle-gate -c %s/gate.conf installed\n' "$T" >post-install
printf '#!/bin/sh\ncase $1 in get-primary | get-current) echo A ;; get-state) echo good ;; esac\n' >boot
chmod +x pre-install post-install boot; mkdir mnt
block ini 1 | sed "s|/usr/lib/rauc/pre-install|$T/pre-install|; s|/usr/lib/rauc/post-install|$T/post-install|; s|/etc/rauc/image-ca.pem|$T/image-ca.pem|" >system.conf
cat >>system.conf <<END
bootloader-custom-backend=$T/boot
[slot.rootfs.0]
device=$T/slot0
type=raw
bootname=A
[slot.rootfs.1]
device=$T/slot1
type=raw
bootname=B
END
sed -i "s|^bootloader=.*|bootloader=custom\nmountprefix=$T/mnt\nstatusfile=$T/status|" system.conf
truncate -s 1M slot0 slot1
wait_for 10 test -S bus
rauc service -c system.conf --override-boot-slot=A >rauc.log 2>&1 & own $!
install() { # NAME
    : >rauc.log; truncate -s 0 slot1; truncate -s 1M slot1
    timeout 60 rauc install "$T/$1.raucb" >install.log 2>&1
}
untouched() { [ "$(tr -d '\0' <slot1 | wc -c)" = 0 ]; }
refused() { # NAME reason name
    install "$1"; [ $? != 0 ] && untouched; ok $? "$3: no slot is touched"
    has "$(cat rauc.log install.log)" "cradle-gate: .*$2" "$3: $2"
}
wait_for 10 rauc status >/dev/null 2>&1
refused new no-order "without an order"
offer_directive 1 new
refused other "wrong-(digest|length)" "another bundle with a good signature"
refused old "wrong-(digest|length)" "an older one"
install new; ok $? "what is ordered is installed"
[ "$(head -c 300000 slot1 | sha256sum)" = "$(sha256sum <new.img)" ]; ok $? "the slot holds it"
is "$(sed -n 's/^installed = //p' update/gate-order)" yes "RAUC has told the gate that it is done"
echo 1.1.0 >version; $GATE confirm >/dev/null; ok $? "the new version runs: confirmed"
is "$(state counter_floor)" 2 "the counter floor has risen"
offer_directive 2 old; refused old counter-low "ordered, but its security counter is below the floor"
offer_directive 3 new '.device = "dev-2"'; refused new wrong-device "another device's order"
offer_directive 3 new '.expires = "2026-01-01T00:00:00Z"'; refused new metadata-expired "an order that has expired"
offer_directive 3 new
cp new.raucb moved.raucb; mv new.raucb kept.raucb; cp moved.raucb new.raucb; install new; ok $? "a copy of the bundle is as good: the bytes count"
RAUC_BUNDLE_MOUNT_POINT=$T $GATE check rauc 2>err; is $? 2 "a folder that is no mounted bundle is refused"
sed 's/^/# /' err
finish
