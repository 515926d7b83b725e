#!/bin/sh
# debian13.sh: builds cradle in a Debian of another suite (trixie: OpenSSL 3.5 with ML-DSA, Mosquitto 2.0.21, nginx 1.26, cosign, python-tuf) and runs there the
# whole suite and t/trixie, which needs that Debian.
# usage: t/debian13.sh [SUITE [TEST …]]      as root; the chroot is build/chroot/SUITE, made once by debootstrap and used again, packages and built files included
# The tests run with the release build there: sanitisers are Debian 12's part of ./check, and threads are looked at (TSan) there too.
# Everything runs in mount and process namespaces of its own: no mount and no process stays. Ends in "N passed, N failed" like t/run.sh.
set -eu
cd "$(dirname "$0")/.."
suite=${1:-trixie}
[ $# = 0 ] || shift
root=$PWD/build/chroot/$suite
[ "$(id -u)" = 0 ] || { echo "debian13: chroot needs root" >&2; exit 1; }
sh tools/packages.sh debian13 # debootstrap; t/npm/node_modules, which is copied
if [ ! -e "$root/.made" ]; then
    echo "making $root ..."
    rm -rf "$root"
    mkdir -p "$root"
    debootstrap --variant=minbase "$suite" "$root" >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; echo "0 passed, 1 failed"; exit 1; }
    touch "$root/.made"
fi
# the tree as it is, without what git ignores; what was built stays, and files keep their times, so that only what changed is built again
mkdir -p "$root/cradle"
find "$root/cradle" -mindepth 1 -maxdepth 1 ! -name build -exec rm -rf {} +
{ git ls-files -co --exclude-standard; find t/npm/node_modules -type f; } | while read -r f; do [ ! -e "$f" ] || echo "$f"; done | tar cf - -T - | tar xf - -C "$root/cradle"
cat >"$root/cradle.sh" <<'END'
set -eu
mount -t proc proc /proc
mount -t sysfs -o ro sysfs /sys
mount -t tmpfs tmpfs /tmp
echo "127.0.0.1 localhost" >/etc/hosts
cd /cradle
export LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
sh tools/packages.sh test
. /etc/os-release
more=
if [ "${VERSION_CODENAME:-}" = trixie ]; then more=$(cat t/trixie/packages); fi
# shellcheck disable=SC2086 # names are words
dpkg-query -W $more >/dev/null 2>&1 || apt-get install -y --no-install-recommends $more >/dev/null
echo "$PRETTY_NAME, $(mosquitto -h | head -n 1), $(openssl version), node $(node --version)"
began=$(date +%s)
make -s -j"$(nproc)" VARIANT=release tests >/cradle.log 2>&1 || { tail -n 40 /cradle.log; echo "0 passed, 1 failed"; exit 1; }
echo "built in $(($(date +%s) - began)) s"
export CRADLE_BUILD="$PWD/build/release"
if [ $# = 0 ]; then
    # shellcheck disable=SC2046
    set -- $(sh t/run.sh --list | grep -vE '^(tsan/|scenario/leak$)') # those need a sanitizer's build
    for f in t/trixie/*.sh; do [ "${VERSION_CODENAME:-}" != trixie ] || set -- "trixie/$(basename "$f" .sh)" "$@"; done
fi
exec sh t/run.sh "$@"
END
# mounted on itself: tests that make mount namespaces of their own need a root that is a mount, installers loop devices
# shellcheck disable=SC2016
exec unshare --mount --pid --fork --kill-child sh -c 'mount --bind "$0" "$0" && mount --rbind /dev "$0/dev" && exec chroot "$0" /bin/sh /cradle.sh "$@"' "$root" "$@"
