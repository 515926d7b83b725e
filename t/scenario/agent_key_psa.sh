#!/bin/sh
# agent_key_psa.sh: the agent's key in PSA Crypto (mbedTLS), through a module made of examples/psa: EST and MQTT by TLS 1.2 and 1.3, renewal, reset, and the same
# source as a port of libcradle-dev in a firmware.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/agent_key.sh
need gcc gcc
[ -e /usr/include/psa/crypto.h ] || { ok 1 "the headers of PSA Crypto are installed (Debian package libmbedtls-dev)"; finish; }
gcc -std=c11 -Os -g -Wall -Wextra -Werror -Wshadow -Iinclude -shared -fPIC -o "$T/psa.so" examples/psa/port_psa.c -lmbedcrypto >"$T/cc.log" 2>&1
ok $? "a module is made of the example, in plain C11"; sed 's/^/# /' "$T/cc.log"

# -- in a firmware: the example, libcradle-dev, and nothing else of ours
cat >"$T/firmware.c" <<'END'
#include <stdio.h>
#include <string.h>
#include "cradle/psa.h"
int main(int argc, char **argv)
{
    static const struct cradle_name name = { .uid = "mcu-1" };
    static struct cradle_psa k;
    uint8_t csr[CRADLE_CSR_MAX];
    size_t n = sizeof csr;
    int r = argc == 2 && strcmp(argv[1], "make") == 0 ? cradle_psa_make(7) : argc == 2 && strcmp(argv[1], "destroy") == 0 ? cradle_psa_destroy(7) : 0;
    if (r || (argc == 1 && (r = cradle_psa_open(7, &k))))
        return printf("%d\n", r), 1;
    if (argc == 1 && (cradle_csr_make(&k.port, &name, csr, &n) || fwrite(csr, 1, n, stdout) != n))
        return 2;
    return 0;
}
END
gcc -std=c11 -Os -g -Wall -Wextra -Werror -fsanitize=address,undefined -fno-sanitize-recover=all -Iinclude -Isrc -o "$T/firmware" "$T/firmware.c" examples/psa/port_psa.c src/dev/csr.c src/dev/der.c -lmbedcrypto >"$T/cc.log" 2>&1
ok $? "a firmware compiles with it"; sed 's/^/# /' "$T/cc.log"
mkdir "$T/flash"; cd "$T/flash" || exit 1 # mbedTLS keeps keys in the working folder
is "$("$T/firmware")" -140 "without a key it says that there is none"
"$T/firmware" make; ok $? "it makes one"
is "$("$T/firmware" make)" -139 "and no other over it"
good=0
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do # r and s of every length
    "$T/firmware" >"$T/$i.csr" && openssl req -in "$T/$i.csr" -inform DER -verify -noout >>"$T/log" 2>&1 && good=$((good + 1))
done
is $good 20 "each request that it signs verifies"
"$T/firmware" destroy && [ "$("$T/firmware")" = -140 ] && "$T/firmware" destroy; ok $? "destroyed, it is gone"

# -- in the agent
key_site; ok $? "a site"
key_device p-1 "key = psa:0x1000" "psa_module = $T/psa.so"; ok $? "a device that wants its key in PSA Crypto"
key_life p-1; ok $? "p-1 enrolled"
is "$(ls "$T/p-1/current/")" "cert.pem
key.psa" "its folder holds an ID and the certificate"
is "$(cat "$T/p-1/current/key.psa") $(stat -c %a "$T/p-1/current/key.psa")" "psa 0x1001 600" "the renewed key has the next ID"
is "$(ls)" 0000000000001001.psa_its "and is the only one that PSA Crypto has"
is "$(find "$T/p-1" -name key.pem | wc -l)" 0 "no key file is anywhere"
is "$(cradle device show p-1 --json | jq -r .key_home.home)" psa "the register knows where it is"
for s in $(cradle cert list --device p-1 --json | jq -r ".items[].serial"); do cradle cert revoke "$s" --reason superseded --quiet >>"$T/log" 2>&1; done # nobody else may have the name of an active device
sed -i '/^broker/d' "$T/p-1.conf"; key_spki p-1 >"$T/old.pub"
agent p-1 reset --yes >"$T/out"; ok $? "a factory reset"
key_other p-1; ok $? "there is another key"
is "$(ls)" 0000000000001000.psa_its "the old one is destroyed"
mkdir "$T/p-1/id-98" "$T/p-1/id-99" && (umask 077; echo "psa 0x7" >"$T/p-1/id-98/key.psa"; printf "psa 0x10" >"$T/p-1/id-99/key.psa") && "$T/firmware" make; ok $? "as a kill leaves it: a key that no identity uses, a file that is not whole"
agent p-1 csr >"$T/out"; is "$(ls) $(find "$T/p-1/" -maxdepth 1 -name 'id-9*')" "0000000000001000.psa_its " "the next start removes both, and the key"
agent p-1 csr >"$T/out" && mkdir "$T/empty" && cd "$T/empty" && ! agent p-1 csr >"$T/out"; ok $? "without its storage the key cannot be used"
has "$(tail -n 1 "$T/agent.log")" "PSA Crypto has no key 0x1000" "and the agent says why"

# -- settings that cannot work
refused() { # KEY MODULE WHAT
    sed "s|^key = .*|key = $1|; s|^psa_module = .*|psa_module = $2|" "$T/p-1.conf" >"$T/bad.conf"
    cradle-agent -c "$T/bad.conf" csr >/dev/null 2>"$T/said"; has "$(cat "$T/said")" "$3" "refused: $3"
}
refused psa:0 "$T/psa.so" "none of file, tpm"
refused psa:0x3fffffff "$T/psa.so" "none of file, tpm"
refused psa:1 "" "needs psa_module"
refused psa:1 /usr/lib/none.so "psa_module: /usr/lib/none.so"
refused psa:1 "$(find /usr/lib -name libmbedcrypto.so | head -n 1)" "not built from examples/psa"
site_stop
finish
