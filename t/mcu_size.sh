#!/bin/sh
# mcu_size.sh: what the update half of libcradle-dev costs on a microcontroller: code by object file, static RAM, and the deepest stack, from
# arm-none-eabi-gcc -Os. Prints the table of docs/mcu.md. Not a part of ./check: the compiler is large. usage: t/mcu_size.sh [CPU…]
cd "$(dirname "$0")/.." || exit 1
for p in arm-none-eabi-gcc:gcc-arm-none-eabi arm-none-eabi-size:binutils-arm-none-eabi; do
    command -v "${p%:*}" >/dev/null || { echo "mcu_size.sh: ${p%:*} is missing (Debian packages gcc-arm-none-eabi, libnewlib-arm-none-eabi)" >&2; exit 1; }
done
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
UPDATE="update update_target envelope djson base64 calendar"
flags="-std=gnu17 -Os -mthumb -ffunction-sections -fdata-sections -fstack-usage -fcallgraph-info=su -Wall -Wextra -Werror -Iinclude -Isrc"
# The deepest path through the call graph; calls through pointers (the port) are leaves here.
deepest() {
    cat "$T/$1"/*.ci | awk '
        /^node:/ {
            t = $0; sub(/.*title: "/, "", t); sub(/".*/, "", t)
            if (match($0, /[0-9]+ bytes/)) own[t] = substr($0, RSTART, RLENGTH) + 0
        }
        /^edge:/ {
            s = $0; sub(/.*sourcename: "/, "", s); sub(/".*/, "", s)
            d = $0; sub(/.*targetname: "/, "", d); sub(/".*/, "", d)
            calls[s] = calls[s] SUBSEP d
        }
        function depth(f,    n, i, list, best, d) {
            if (f in known) return known[f]
            if (busy[f]) return 0
            busy[f] = 1; best = 0
            n = split(calls[f], list, SUBSEP)
            for (i = 1; i <= n; i++) if (list[i] != "") { d = depth(list[i]); if (d > best) best = d }
            busy[f] = 0
            return known[f] = own[f] + best
        }
        END { for (f in own) if (f ~ /cradle_update_[a-z_]+$/) { d = depth(f); if (d > most) { most = d; which = f } } sub(/.*:/, "", which); print most, which }'
}
echo "| processor | code (text) | static RAM | deepest stack | in |"
echo "|---|---|---|---|---|"
for cpu in ${*:-cortex-m0plus cortex-m3 cortex-m4}; do
    mkdir "$T/$cpu"
    for f in $UPDATE; do
        # shellcheck disable=SC2086 # flags are words
        arm-none-eabi-gcc $flags -mcpu="$cpu" -c "src/dev/$f.c" -o "$T/$cpu/$f.o" || exit 1
    done
    arm-none-eabi-size "$T/$cpu"/*.o | awk 'NR > 1 { text += $1; ram += $2 + $3 } END { print text, ram }' >"$T/sum"
    read -r text ram <"$T/sum"
    set -- $(deepest "$cpu")
    echo "| $cpu | $text B | $ram B | $1 B | \`$2\` |"
done
# sizes of the caller's structs, out of the object's symbol table
printf '#include "cradle/update.h"\nchar state[sizeof(struct cradle_update_state)], look[sizeof(struct cradle_update)];\n' >"$T/sizes.c"
arm-none-eabi-gcc -std=gnu17 -mthumb -mcpu=cortex-m3 -fno-common -Iinclude -c "$T/sizes.c" -o "$T/sizes.o" || exit 1
arm-none-eabi-nm -S --radix=d "$T/sizes.o" | awk '{ size[$4] = $2 + 0 } END { printf "\n`struct cradle_update_state`: %d B, to be stored; `struct cradle_update`: %d B, while it looks.\n", size["state"], size["look"] }'
