#!/bin/sh
# packages.sh: installs the Debian packages that a job needs, and starts no service while doing so; for tests also the MQTT clients of t/npm.
# usage: tools/packages.sh run|build|test|bench      (each includes the ones before it); debian13: test, and what t/debian13.sh makes a chroot with
set -eu
run="nginx-light mosquitto mosquitto-clients openssl curl jq ca-certificates procps iproute2"
build="gcc libc6-dev make pkg-config libssl-dev libevent-dev libjansson-dev libsqlite3-dev libseccomp-dev libcurl4-openssl-dev libzstd-dev libmosquitto-dev mosquitto-dev libtss2-dev"
test="sqlite3 softhsm2 opensc gnutls-bin mandoc strace perl patchelf haproxy cpio libmbedtls-dev swupdate rauc squashfs-tools dbus-daemon swtpm swtpm-tools tpm2-abrmd tpm2-tools libtss2-tcti-tabrmd0"
bench="wrk time clang-14 libclang-rt-14-dev llvm-14 debootstrap e2fsprogs zstd"
# for the clients of t/npm
node="nodejs npm"
npm_dir=$(dirname "$0")/../t/npm
clients_there() { cmp -s "$npm_dir/package-lock.json" "$npm_dir/node_modules/.installed"; }
# node and npm from elsewhere do as well, and conflict with Debian's; npm (400 packages) is for fetching only
if clients_there; then node=nodejs; fi
if command -v node >/dev/null && { clients_there || command -v npm >/dev/null; }; then node=; fi
case "${1:-}" in
run) want="$run" clients= ;;
build) want="$run $build" clients= ;;
test) want="$run $build $test $node" clients=yes ;;
debian13) want="$run $build $test $node debootstrap" clients=yes ;;
bench) want="$run $build $test $node $bench" clients=yes ;;
*) echo "usage: tools/packages.sh run|build|test|debian13|bench" >&2; exit 2 ;;
esac

install_debian() { # PACKAGE…
    if [ "$(id -u)" = 0 ]; then as_root=; elif command -v sudo >/dev/null; then as_root=sudo; else
        echo "cradle: these packages are missing and neither root nor sudo is at hand; please install: $*" >&2
        exit 1
    fi
    echo "installing: $*"
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
    if ! { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "cradle: apt-get could not install: $*" >&2
        exit 1
    fi
    rm -f "$log"
}
# What package-lock.json names, by hash, and no script of it is run
install_clients() {
    clients_there && return 0
    echo "installing: t/npm (npm ci)"
    log=$(mktemp)
    if ! npm ci --prefix "$npm_dir" --ignore-scripts --no-audit --no-fund >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        echo "cradle: npm ci in t/npm failed: the tests' MQTT clients (t/npm/package.json) are not installed" >&2
        exit 1
    fi
    rm -f "$log"
    cp "$npm_dir/package-lock.json" "$npm_dir/node_modules/.installed"
}

missing=
for p in $want; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
# shellcheck disable=SC2086 # names are words
[ -z "$missing" ] || install_debian $missing
[ -z "$clients" ] || install_clients
