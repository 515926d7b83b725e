#!/bin/sh
# install.sh: make install puts everything where a distribution expects it; units verify and are confined; manual pages lint.
cd "$(dirname "$0")/../.." || exit 1
T=$(mktemp -d /tmp/cradle-install-XXXXXX)
trap 'rm -rf "$T"' EXIT
n=0 bad=0
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; sed 's/^/# /' "$T/out" 2>/dev/null | tail -n 20; fi; }

make -s install DESTDIR="$T/root" PREFIX=/usr >"$T/out" 2>&1; ok $? "make install with DESTDIR"
for f in bin/cradled bin/cradle bin/cradle-agent bin/cradle-gate bin/cradle-edge lib/cradle/cradle_mosquitto.so lib/libcradle-dev.a lib/libcradle-edge.a lib/libcradle-edge.so lib/libcradle-edge.so.0 include/cradle/dev.h include/cradle/trust.h include/cradle/edge.h include/cradle/update.h include/cradle/delta.h include/cradle/unseal.h \
    include/cradle/snapshot.h lib/pkgconfig/cradle-dev.pc lib/pkgconfig/cradle-edge.pc lib/systemd/system/cradled.service lib/systemd/system/cradle-edge.service \
    lib/systemd/system/cradle-agent.service lib/sysusers.d/cradle.conf lib/tmpfiles.d/cradle.conf share/man/man8/cradled.8 \
    share/man/man5/cradled.conf.5 share/man/man8/cradle-edge.8 share/man/man5/cradle-edge.conf.5 share/man/man5/cradle-alarm.conf.5 share/man/man1/cradle-alarm.1 lib/systemd/system/cradle-alarm.service share/man/man8/cradle-agent.8 share/man/man5/cradle-agent.conf.5 share/man/man8/cradle-gate.8 share/man/man5/cradle-gate.conf.5 share/man/man1/cradle.1 share/man/man1/cradle-device.1 share/doc/cradle/LICENSE share/doc/cradle/examples/mcu/update_loop.c; do
    [ -s "$T/root/usr/$f" ]; ok $? "/usr/$f"
done
! grep -rlE '@[A-Z]+@' "$T/root/usr/lib/systemd" "$T/root/usr/lib/pkgconfig" >"$T/out"; ok $? "no unfilled names in units and pkg-config files"
PKG_CONFIG_PATH=$T/root/usr/lib/pkgconfig pkg-config --define-variable=prefix="$T/root/usr" --cflags --libs cradle-dev >"$T/out"; ok $? "pkg-config finds cradle-dev"
# its headers' functions resolve with nothing else, and its other names are out of a firmware's way
cat >"$T/a.c" <<'END'
#include <cradle/delta.h>
#include <cradle/dev.h>
#include <cradle/snapshot.h>
#include <cradle/unseal.h>
#include <cradle/update.h>
int der_next, keys_read, role_read, base64_digits;
void *const all[] = { (void *)cradle_csr_make, (void *)cradle_est_answer, (void *)cradle_step, (void *)cradle_update_directive, (void *)cradle_update_line,
                      (void *)cradle_update_file_end, (void *)cradle_delta_add, (void *)cradle_unseal_add };
int main(void) { return der_next + keys_read + role_read + base64_digits + (all[0] == all[1]); }
END
cc -o "$T/a" "$T/a.c" $(cat "$T/out") >"$T/out" 2>&1; ok $? "a program compiles and links by it"

# the same with a prefix that exists, because systemd looks for the programs
make -s install PREFIX="$T/usr" >"$T/out" 2>&1; ok $? "make install with PREFIX"
for g in $("$T/usr/bin/cradle" --help | awk '/^  [a-z]/ && $2 ~ /^[a-z]/ { print $1 }' | sort -u); do
    [ -s "$T/usr/share/man/man1/cradle-$g.1" ] || echo "$g"
done >"$T/out"; [ "$(grep -c . "$T/out")" = 0 ]; ok $? "every group of commands has its manual page"
for u in cradled cradle-edge cradle-agent cradle-alarm; do
    f=$T/usr/lib/systemd/system/$u.service
    for k in NoNewPrivileges=yes ProtectSystem=strict PrivateTmp=yes MemoryDenyWriteExecute=yes CapabilityBoundingSet= SystemCallFilter= LimitCORE=0; do
        grep -q "^$k" "$f" || echo "$u: $k"
    done
    if command -v systemd-analyze >/dev/null; then
        systemd-analyze verify --man=no --recursive-errors=no "$f" 2>&1 || echo "$u: verify"
        systemd-analyze security --offline=yes --threshold=45 --no-pager "$f" >/dev/null || echo "$u: exposed"
    fi
done >"$T/out" 2>&1
! [ -s "$T/out" ]; ok $? "the units verify and are confined"
if command -v mandoc >/dev/null; then
    mandoc -Tlint -Wwarning "$T"/usr/share/man/man*/* >"$T/out" 2>&1; ok $? "manual pages have no warnings"
fi
for pair in role/cradled:cradled edge/edge:cradle-edge agent/agent:cradle-agent gate/gate:cradle-gate cli/alarm:cradle-alarm cli/alarm_rule:cradle-alarm cli/alarm_channel:cradle-alarm; do
    page=$T/usr/share/man/man5/${pair#*:}.conf.5
    for k in $(sed -n 's/^CFG([A-Z_]*, \([a-z_0-9]*\),.*/\1/p' "src/${pair%:*}.def"); do grep -q "^\.It Va $k\$" "$page" || echo "$k"; done >"$T/out"
    [ -s "$page" ] && [ ! -s "$T/out" ]; ok $? "${pair#*:}.conf(5) names every key"
done
# and away again
mkdir -p "$T/root/usr/bin" && echo mine >"$T/root/usr/bin/mine"
make -s uninstall DESTDIR="$T/root" PREFIX=/usr >"$T/out" 2>&1; ok $? "make uninstall"
(cd "$T/root" && find . ! -type d; ls -d usr/lib/cradle usr/include/cradle usr/share/doc/cradle 2>/dev/null) >"$T/out"
[ "$(cat "$T/out")" = ./usr/bin/mine ]; ok $? "leaves nothing but what is not ours"
echo "1..$n"
exit $bad
