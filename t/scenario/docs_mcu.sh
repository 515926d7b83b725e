#!/bin/sh
# docs_mcu.sh: the example of docs/mcu.md, built with mbedTLS and run on a PC with files for flash and network: it installs what is ordered and refuses the
# rest, with other cryptography than everything else here.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/offer.sh
need gcc gcc; need jq jq; need openssl openssl
[ -e /usr/include/psa/crypto.h ] || { ok 1 "the headers of PSA Crypto are installed (Debian package libmbedtls-dev)"; finish; }
gcc -std=c11 -Os -g -Wall -Wextra -Werror -Wshadow -fsanitize=address,undefined -fno-sanitize-recover=all -Iinclude -Isrc -o "$T/host" examples/mcu/*.c src/dev/update*.c src/dev/envelope.c src/dev/djson.c \
    src/dev/base64.c src/dev/calendar.c -lmbedcrypto >"$T/cc.log" 2>&1
ok $? "the example compiles, in plain C11"; sed 's/^/# /' "$T/cc.log"
offer_keys; ceremony "$T/trust"; ok $? "a ceremony"
gate_device
cd "$T" || exit 1
head -c 200000 /dev/urandom >old.bin; head -c 200001 /dev/urandom >new.bin; N=2
release_make old.bin old 0.9.0 1 --handler mcu && release_make new.bin new 1.1.0 2 --handler mcu; ok $? "two releases"
offer_metadata $N
SPKI=$(openssl x509 -in dev.pem -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
payload "$R/1.root.json" >root.payload
run() { # image: a run of the board; what it says
    cp "$OFFER/timestamp.json" flash/; cp "$OFFER/snapshot.json" flash/$N.snapshot.json; cp "$OFFER/targets.json" flash/1.targets.json
    cp "$OFFER/line.json" flash/$N.vib.json; cp "$OFFER/directive.json" flash/directive; cp "$1" flash/image
    ./host flash dev-1 "$SPKI" 1.0.0 "$(hex_of root.payload)"
}
mkdir flash; cp "$R/1.root.json" flash/root
offer_directive 1 new '.action = "none"'; is "$(run new.bin)" "nothing to do" "an order to do nothing"
offer_directive 2 new '.device = "dev-2"'; is "$(run new.bin)" wrong-device "another device's order"
offer_directive 2 new; is "$(run old.bin)" wrong-length "another image: the end"
head -c 200000 new.bin >bent.bin; printf x >>bent.bin; is "$(run bent.bin)" wrong-digest "one byte of the image is another"
[ ! -e flash/active ]; ok $? "the slot was never switched"
is "$(run new.bin)" 1.1.0 "what is ordered is installed"
cmp -s flash/slot new.bin && [ "$(cat flash/active)" = 1.1.0 ]; ok $? "the slot holds it and is switched to"
offer_directive 1 new; is "$(run new.bin)" directive-replay "an order from before"
offer_directive 3 new; offer_metadata $N 2026-01-01; is "$(run new.bin)" metadata-expired "a timestamp that has expired"
offer_metadata $N; cp "$R/1.vib.json" flash/$N.vib.json; cp "$R/1.vib.json" "$OFFER/line.json"; is "$(run new.bin)" metadata-mix "metadata of the line from before"
# -- what the page says of its own example
cd "$OLDPWD" || exit 1
has "$(cat docs/mcu.md)" "$(sed -n 's/^#define UPDATE_META_MAX \([0-9]*\).*/\1/p' examples/mcu/update_loop.h) B" "the page names the example's buffer"
finish
