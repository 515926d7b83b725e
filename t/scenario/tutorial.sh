#!/bin/sh
# tutorial.sh: every command of docs/tutorial.md, in order, in a copy of its surroundings; only the port is another.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
tree=$PWD
awk '/^```sh/ { on = 1; next } /^```/ { on = 0 } on' docs/tutorial.md | sed -e "s/^PORT=8443$/PORT=$(free_ports)/" -e 's/^make .*/:/' -e 's/^sh tools.*/:/' >"$T/commands"
has "$(cat "$T/commands")" '^PORT=[0-9]*$' "the tutorial's commands are found"
mkdir "$T/copy" && ln -s "$tree/build" "$T/copy/build"
cd "$T/copy" || exit 1
setsid timeout -k 10 200 bash -e "$T/commands" >"$T/out" 2>&1 &
group=$!
wait $group
rc=$?
cd "$tree" || exit 1
kill -9 -- -$group 2>/dev/null # whatever an unfinished run left
for f in "$T"/copy/tutorial/site/run/*.pid; do [ -e "$f" ] && own "$(cat "$f")"; done
is $rc 0 "every command works"
[ $rc = 0 ] || { tail -n 30 "$T/out" | sed 's/^/# /'; for f in "$T"/copy/tutorial/*.log; do tail -n 5 "$f" | sed 's/^/# | /'; done; }
out=$(cat "$T/out")
has "$out" 'subject=CN ?= ?pump-0001, serialNumber ?= ?0001, O ?= ?My Company' "the certificate is as described"
has "$out" 'd/pump-0001/up/status' "telemetry arrives"
has "$out" 'nothing found that would let a revoked device in' "the broker's configuration is right"
has "$out" '^1.1.0$' "the update is installed"
has "$out" 'confirmed .*1\.1\.0|1\.1\.0.*confirmed' "and confirmed"
has "$out" 'olga' "its history names who approved it"
has "$out" 'closed a live session' "the live session is closed"
has "$out" 'cert.pem: revoked' "openssl ocsp says so"
has "$out" 'ok   every leaf hashed again' "the evidence holds"
has "$out" "device-state .*to=revoked" "and tells of the revocation that was made a moment before"
finish
