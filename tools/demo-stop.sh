#!/bin/sh
# demo-stop.sh: ends what ./demo --stay left running: only processes that it started, only its own folder.
env=$1
[ -e "$env" ] || { echo "demo: nothing is running (there is no demo.env)"; exit 0; }
. "$env"
mine() { # the process still is one that works for this demonstration (numbers are reused)
    { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF "$DEMO_DIR"
}
for p in $DEMO_PIDS; do mine "$p" && kill "$p"; done
for p in $DEMO_PIDS; do
    i=0
    while mine "$p" && [ $i -lt 150 ]; do sleep 0.1; i=$((i + 1)); done
    mine "$p" && kill -9 "$p"
done
case "$DEMO_DIR" in /tmp/cradle-demo.*) rm -rf "$DEMO_DIR" ;; esac
rm -f "$env"
echo "demo: stopped"
