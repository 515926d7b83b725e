#!/bin/sh
# packages.sh: installs the Debian packages that a job needs, and starts no service while doing so.
# usage: tools/packages.sh run|build|test|bench      (each includes the ones before it)
set -eu
run="nginx-light mosquitto mosquitto-clients openssl curl jq ca-certificates procps iproute2"
build="gcc libc6-dev make pkg-config libssl-dev libevent-dev libjansson-dev libsqlite3-dev libseccomp-dev libcurl4-openssl-dev libmosquitto-dev mosquitto-dev"
test="sqlite3 softhsm2 opensc gnutls-bin mandoc strace perl patchelf haproxy"
bench="wrk time clang-14 libclang-rt-14-dev llvm-14"
case "${1:-}" in
run) want="$run" ;;
build) want="$run $build" ;;
test) want="$run $build $test" ;;
bench) want="$run $build $test $bench" ;;
*) echo "usage: tools/packages.sh run|build|test|bench" >&2; exit 2 ;;
esac
missing=
for p in $want; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ]; then as_root=; elif command -v sudo >/dev/null; then as_root=sudo; else
    echo "cradle: these packages are missing and neither root nor sudo is at hand; please install:$missing" >&2
    exit 1
fi
echo "installing:$missing"
# Debian's nginx, haproxy and mosquitto start a service when installed; this policy forbids it for the time of the installation.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
    made=yes
fi
trap '[ -z "$made" ] || $as_root rm -f $policy' EXIT INT TERM
log=$(mktemp)
if ! { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "cradle: apt-get could not install:$missing" >&2
    exit 1
fi
rm -f "$log"
