#!/bin/sh
# debian13.sh: builds cradle in a Debian of another suite (trixie: Mosquitto 2.0.21, OpenSSL 3.5, cosign) and runs there the tests of the broker and of what a
# release gives others.
# usage: t/debian13.sh [SUITE [TEST …]]      as root; the chroot is build/chroot/SUITE, made once by debootstrap and used again
# Everything runs in mount and process namespaces of its own: no mount and no process stays. Ends in "N passed, N failed" like t/run.sh.
set -eu
cd "$(dirname "$0")/.."
suite=${1:-trixie}
[ $# = 0 ] || shift
if [ $# = 0 ]; then
    set -- scenario/broker_plugin scenario/broker_full scenario/broker_conformance
    [ "$suite" != trixie ] || set -- "$@" scenario/release_seal trixie/release_cosign
fi
root=$PWD/build/chroot/$suite
[ "$(id -u)" = 0 ] || { echo "debian13: chroot needs root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "debian13: debootstrap is missing (Debian package debootstrap)" >&2; exit 1; }
sh tools/packages.sh test # for t/npm/node_modules, which is copied
if [ ! -e "$root/.made" ]; then
    echo "making $root ..."
    rm -rf "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase "$suite" "$root" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
    touch "$root/.made"
fi
# the tree as it is, without what git ignores; files that are gone are gone there too, what was built stays
mkdir -p "$root/cradle"
find "$root/cradle" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
{ git ls-files -co --exclude-standard; find t/npm/node_modules -type f; } | while read -r f; do [ ! -e "$f" ] || echo "$f"; done |
    tar cf - -T - | tar xf - -C "$root/cradle"
extra=
case " $* " in *release_*) extra="cosign python3-tuf python3-securesystemslib swupdate rauc squashfs-tools cpio softhsm2" ;; esac
echo "EXTRA='$extra'" >"$root/cradle.sh"
cat >>"$root/cradle.sh" <<'END'
set -eu
mount -t proc proc /proc
mount -t tmpfs tmpfs /tmp
echo "127.0.0.1 localhost" >/etc/hosts
cd /cradle
export LC_ALL=C.UTF-8
sh tools/packages.sh build
[ -z "$EXTRA" ] || apt-get install -y --no-install-recommends $EXTRA >/dev/null 2>&1
command -v node >/dev/null || apt-get install -y --no-install-recommends nodejs >/dev/null
. /etc/os-release
echo "$PRETTY_NAME, $(mosquitto -h | head -n 1), $(openssl version), node $(node --version)"
make -s -j"$(nproc)" VARIANT=asan all build/asan/t/mqttcli build/asan/t/snapmake
exec sh t/run.sh "$@"
END
exec unshare --mount --pid --fork --kill-child chroot "$root" /bin/sh /cradle.sh "$@"
