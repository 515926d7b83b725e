#!/bin/sh
# fuzz.sh: runs libFuzzer targets. usage: t/fuzz.sh SECONDS [NAME ...]   (default: every target, two at a time)
# New inputs grow in build/fuzz/corpus/NAME (worth adding to t/corpus when they reach new code); what crashes a target is kept in build/fuzz/found/.
cd "$(dirname "$0")/.." || exit 1
case "${1:-}" in
'' | *[!0-9]*) echo "usage: t/fuzz.sh SECONDS [NAME ...]" >&2; exit 2 ;;
esac
if [ "$1" != 0 ] && [ "${2:-}" = --one ]; then
    name=$3
    mkdir -p "build/fuzz/corpus/$name" "build/fuzz/found"
    if build/fuzz/t/fuzz_"$name" -max_total_time="$1" -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 -artifact_prefix="build/fuzz/found/$name-" \
        "build/fuzz/corpus/$name" "t/corpus/$name" >"build/fuzz/$name.log" 2>&1; then
        echo "ok    $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log") runs in $1 s, no finding"
        exit 0
    fi
    echo "FOUND $name: see build/fuzz/$name.log and build/fuzz/found/"
    exit 1
fi
seconds=$1; shift
sh tools/packages.sh bench
[ $# -gt 0 ] || set -- $(for f in t/fuzz/*.c; do basename "$f" .c; done)
targets=
for name in "$@"; do targets="$targets build/fuzz/t/fuzz_$name"; done
# shellcheck disable=SC2086 # a list of targets
make -s -j"$(nproc)" VARIANT=fuzz $targets || exit 1
printf '%s\n' "$@" | xargs -P 2 -n 1 sh t/fuzz.sh "$seconds" --one
