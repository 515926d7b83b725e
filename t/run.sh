#!/bin/sh
# run.sh: runs tests that print TAP, CRADLE_TEST_JOBS at a time (default: two for each processor, for most of the time they wait), and counts.
# usage: t/run.sh [--list | NAME ...]    without names: all; those of t/slow first, so that none of them is left alone at the end
# A test that ends without a plan, with another count than its plan, with an exit code, or not in time counts as failed. What failed beside others is run once
# more, alone, when it is few: tests with real servers and clocks share the processors. A test that passes only then is named in the end; its first output is kept
# as NAME.first. The files of tests lie in memory (/dev/shm) where there is room: flushes to disk cost more than the tests; TMPDIR says otherwise.
cd "$(dirname "$0")/.." || exit 1
B=${CRADLE_BUILD:-$PWD/build/asan}
export CRADLE_BUILD="$B"
export ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:exitcode=99${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
export TSAN_OPTIONS="halt_on_error=1:exitcode=98${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
tsan_dir=${CRADLE_TSAN_BUILD:-$PWD/build/tsan}
# unit tests with threads, run with ThreadSanitizer too
TSAN_TESTS="evlog evlog_core alarm_queue plugin_watch token hsm_work"
limit_s=${CRADLE_TEST_LIMIT_S:-420}
jobs=${CRADLE_TEST_JOBS:-$(($(nproc) * 2))}
again_most=8

all_tests() {
    echo layers
    for f in t/unit/*.c; do [ -e "$f" ] && echo "unit/$(basename "$f" .c)"; done
    for t in $TSAN_TESTS; do echo "tsan/$t"; done
    for f in t/fuzz/*.c; do [ -e "$f" ] && echo "replay/$(basename "$f" .c)"; done
    for f in t/scenario/*.sh; do [ -e "$f" ] && echo "scenario/$(basename "$f" .sh)"; done
}
slow_first() { # tests on standard input
    awk 'NR == FNR { if ($1 !~ /^#/) slow[++n] = $1; next } { all[++m] = $1; there[$1] = 1 }
        END { for (i = 1; i <= n; i++) if (slow[i] in there) { print slow[i]; delete there[slow[i]] } for (i = 1; i <= m; i++) if (all[i] in there) print all[i] }' t/slow -
}
cpu_s() { # processor seconds of children, as `times` wrote them (in this shell: a subshell has none)
    awk 'NR == 2 { for (i = 1; i <= 2; i++) { split($i, a, "m"); t += a[1] * 60 + a[2] } } END { printf "%d", t }' "$out.times"
}
run_one() { # name: TAP to build/…/t/out/NAME.tap
    out="$B/t/out/$(echo "$1" | tr / _).tap"
    name=${1#*/}
    began=$(date +%s)
    case "$1" in
    layers) timeout "$limit_s" sh t/layers.sh ;;
    unit/*) timeout "$limit_s" "$B/t/$name" ;;
    tsan/*) timeout "$limit_s" "$tsan_dir/t/$name" ;;
    replay/*) timeout "$limit_s" "$B/t/replay_$name" "t/corpus/$name" ;;
    scenario/*) timeout -k 10 "$limit_s" sh "t/scenario/$name.sh" ;;
    trixie/*) timeout -k 10 "$limit_s" sh "t/trixie/$name.sh" ;; # needs packages that Debian 12 has not: t/debian13.sh runs it
    esac >"$out" 2>"$out.err" </dev/null
    rc=$?
    good=$(grep -c '^ok ' "$out"); bad=$(grep -c '^not ok ' "$out")
    plan=$(sed -n 's/^1\.\.\([0-9][0-9]*\)$/\1/p' "$out" | tail -n 1)
    why=
    if [ $rc = 124 ] || [ $rc = 137 ]; then why="did not end within $limit_s s"
    elif [ -z "$plan" ]; then why="ended without a plan (exit code $rc)"
    elif [ "$plan" != $((good + bad)) ]; then why="planned $plan, ran $((good + bad))"
    elif [ "$plan" = 0 ]; then why="tested nothing"
    elif [ $rc != 0 ] && [ "$bad" = 0 ]; then why="exit code $rc"; fi
    [ -z "$why" ] || { bad=$((bad + 1)); echo "not ok - $1 $why" >>"$out"; }
    took=$(($(date +%s) - began))
    times >"$out.times"
    cpu=$(cpu_s)
    echo "$good $bad $took $cpu $1" >"$out.count"
    if [ "$bad" = 0 ]; then echo "ok    $1 ($good, $took s, cpu $cpu s)"; return; fi
    {
        echo "FAIL  $1 ($good passed, $bad failed)"
        grep -A 12 '^not ok' "$out" | head -n 60
        tail -n 40 "$out.err" | sed 's/^/    | /'
    }
}
run_again() { # name
    out="$B/t/out/$(echo "$1" | tr / _).tap"
    mv "$out" "$out.first"
    echo "again $1, alone"
    sh t/run.sh --one "$1"
    [ "$(awk '{ print $2 }' "$out.count")" != 0 ] || unsteady="$unsteady $1"
}

if [ "${1:-}" = --list ]; then all_tests; exit 0; fi
if [ "${1:-}" = --one ]; then run_one "$2"; exit 0; fi
rm -rf "$B/t/out"
mkdir -p "$B/t/out"
if [ -z "${TMPDIR:-}" ] && [ "$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print int($4 / 1048576) }')" -ge 4 ] 2>/dev/null && TMPDIR=$(mktemp -d /dev/shm/ck.XXXXXX); then
    chmod 755 "$TMPDIR" # servers that give up their rights pass through it
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
    trap 'exit 130' INT TERM
fi
unsteady=
began=$(date +%s)
{ if [ $# -gt 0 ]; then printf '%s\n' "$@"; else all_tests; fi; } | slow_first | xargs -P "$jobs" -n 1 sh t/run.sh --one
failed=$(awk '$2 > 0 { print $5 }' "$B"/t/out/*.count)
if [ $# != 1 ] && [ "$(echo "$failed" | wc -w)" -le "$again_most" ]; then
    for t in $failed; do run_again "$t"; done
fi
if [ "$(ls "$B"/t/out/*.count | wc -l)" -gt 20 ]; then # where the time went
    echo "longest: $(sort -k3,3nr "$B"/t/out/*.count | head -n 12 | awk '{ printf "%s%s %d", (NR > 1 ? ", " : ""), $5, $3 }')"
    echo "$(($(date +%s) - began)) s with $jobs at a time; $(cat "$B"/t/out/*.count | awk '{ w += $3; c += $4 } END { printf "%d s in tests, %d s of processors", w, c }')"
fi
[ -z "$unsteady" ] || echo "passed only alone, the second time:$unsteady"
cat "$B"/t/out/*.count | awk '{ good += $1; bad += $2 } END { printf "%d passed, %d failed\n", good, bad; exit bad > 0 || good == 0 }'
