#!/bin/sh
# delta.sh: an update of a whole root file system, as a device gets it: Debian 12 of its last point release, and the same with every update since;
# each an ext4 image of 384 MiB. Size and time of cradle's delta, which a device applies with 4 MiB, beside zstd --patch-from, which wants the whole
# old image in memory. As root, with debootstrap and a Debian mirror.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=delta
for p in debootstrap mke2fs zstd chroot; do command -v $p >/dev/null || die "$p is missing (Debian packages debootstrap, e2fsprogs, zstd)"; done
[ "$(id -u)" = 0 ] || die "the root file systems are made as root"
MIRROR=${MIRROR:-http://deb.debian.org}
OLD=$T/old NEW=$T/new
debootstrap --variant=minbase bookworm "$OLD" "$MIRROR/debian" >"$T/debootstrap.log" 2>&1 || die "debootstrap failed"
cp -a "$OLD" "$NEW"
cp -a "$OLD" "$T/apt" # apt works in a copy, so that only what packages bring is in NEW
cat >"$T/apt/etc/apt/sources.list" <<END
deb $MIRROR/debian bookworm main
deb $MIRROR/debian bookworm-updates main
deb $MIRROR/debian-security bookworm-security main
END
cp /etc/resolv.conf "$T/apt/etc/" 2>/dev/null
chroot "$T/apt" env DEBIAN_FRONTEND=noninteractive sh -c 'apt-get clean && apt-get update && apt-get -y -d dist-upgrade' >"$T/apt.log" 2>&1 || die "apt-get failed"
mkdir -p "$NEW/tmp/packages"
cp "$T"/apt/var/cache/apt/archives/*.deb "$NEW/tmp/packages/" 2>/dev/null || die "there is nothing to update: the pair would be of equal images"
COUNT=$(find "$NEW/tmp/packages" -name '*.deb' | wc -l)
chroot "$NEW" env DEBIAN_FRONTEND=noninteractive sh -c 'dpkg -i /tmp/packages/*.deb' >"$T/dpkg.log" 2>&1 || die "dpkg failed"
rm -rf "$NEW/tmp/packages"
for i in old new; do
    rm -rf "$T/$i/var/log" "$T/$i/var/cache" "$T/$i/var/lib/apt/lists"
    mke2fs -q -t ext4 -U 5ad7c6c5-1a2b-4c3d-8e4f-0123456789ab -E hash_seed=5ad7c6c5-1a2b-4c3d-8e4f-0123456789ab -O ^has_journal -d "$T/$i" "$T/$i.img" 384M >"$T/mke2fs.log" 2>&1 || die "mke2fs failed"
done
mb() { stat -c %s "$1" | awk '{ printf "%.2f\n", $1 / 1e6 }'; }
timed() { from=$(ns); "$@" >"$T/timed.log" 2>&1 || die "$1 failed"; TOOK=$(awk -v a="$from" -v b="$(ns)" 'BEGIN { printf "%.2f\n", (b - a) / 1e9 }'); }
for i in $(rounds 3); do
    timed "$BB/delta_pair" make "$T/old.img" "$T/new.img" "$T/delta"; sample make "$TOOK"; sample size "$(mb "$T/delta")"
    set -- $("$BB/delta_pair" apply "$T/old.img" "$T/new.img" "$T/delta") || die "the delta does not make the new image"
    sample apply "$1"; sample apply_kib "$2"
    timed zstd -q -f -19 --long=29 --patch-from "$T/old.img" "$T/new.img" -o "$T/patch"; sample patch "$TOOK"; sample patch_size "$(mb "$T/patch")"
    timed zstd -q -d -f --long=29 --patch-from "$T/old.img" "$T/patch" -o "$T/new.out"; sample unpatch "$TOOK"
    timed zstd -q -f -3 "$T/new.img" -o "$T/whole"; sample whole_size "$(mb "$T/whole")"
    timed zstd -q -f -3 "$T/new.img" -o "$T/whole"; sample whole "$TOOK"
done
row "delta of a Debian 12 root file system, $COUNT packages updated, 384 MiB" MB size "" "zstd -19 --patch-from" patch_size
row "the same, beside the whole file" MB size "" "zstd -3" whole_size
row "making it" s make "" "zstd -19 --patch-from" patch
row "applying it, each block verified" s apply "" "zstd -d --patch-from" unpatch
row "memory that applying takes" KiB apply_kib ""
