#!/bin/sh
# soak_short.sh: cradle-edge, Mosquitto and every role of cradled are killed (kill -9) at random, while a fleet comes and goes and devices are
# revoked one after the other. Nobody revoked is let in past its deadline, whoever was put out is in the evidence, and in the end everybody
# else is connected and the register knows it. t/soak_check.sh judges. usage: t/scenario/soak_short.sh [SECONDS SESSIONS BOUND_MS]
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/load.sh
need sqlite3 sqlite3
seconds=${1:-20} n=${2:-60} bound=${3:-2000}
rate=2; [ "$seconds" -lt 60 ] || rate=1
victims=$((seconds * rate))
ms() { date +%s%3N; }
random() { echo $(($(od -An -N2 -tu2 /dev/urandom) % $1)); }

fleet_site; ok $? "a site"
set_key restart_window 2 # roles are killed often: no long waits for it
site_stop && site_start; ok $? "cradled starts again with it"
PORT=$((BASE + 5))
fleet_make d $((n + victims)); ok $? "a fleet is enrolled"
edge_make e1
fleet_broker b1 e1 $PORT; ok $? "an edge and a broker"
keep() { # NAME COMMAND …: starts it again whenever it ends, as a service manager does; its pid in NAME.pid
    name=$1; shift
    trap "kill \$kept 2>/dev/null; exit" TERM
    while [ ! -e "$T/stop" ]; do
        "$@" >>"$T/$name.log" 2>&1 & kept=$!
        echo $kept >"$T/$name.pid"
        wait $kept
        sleep 0.3
    done
}
keep e1 "$B/cradle-edge" -c "$T/e1/edge.conf" & own $!
edge_ready e1; ok $? "the edge has a snapshot"
keep b1 env LD_PRELOAD="$PRELOAD" ASAN_OPTIONS=detect_leaks=0:exitcode=99 mosquitto -c "$T/b1/mosquitto.conf" & own $!
load_start l1 "$PORT" "-p 50 -b 100:2000"
wait_for 60 load_live l1 $((n + victims)); ok $? "all $((n + victims)) devices are connected"
watch_way() { # one look at the way from core to the broker's host after the other
    while [ ! -e "$T/stop" ]; do
        t=$(ms) good=0
        healthy && jq -e ".connected and .age_ms < 1500 and (.at | sub(\"\\\\.[0-9]+Z\$\"; \"Z\") | fromdateiso8601) >= $t / 1000 - 1.5" "$T/e1/state/edge.status" >/dev/null 2>&1 && good=1
        echo "$t $good"
        sleep 0.2
    done
}
watch_way >"$T/samples" & own $!

# -- kills and revocations
ls "$T/fleet" | sed 's/\.pem$//' | sort -R | head -n "$victims" | revoke_all "-a -r $rate" 2 >"$T/revoked" & revoker=$!; own $revoker
until=$(($(ms) + seconds * 1000))
parts="broker edge core:0 signer:0 front:0 front:1 query:0 nginx"
one_of() { shift "$(random $#)"; echo "$1"; }
turns=$parts # each once, then any
while [ "$(ms)" -lt $until ]; do
    chosen=${turns%% *}
    [ -n "$chosen" ] || chosen=$(one_of broker edge core:0 $parts)
    case $turns in *' '*) turns=${turns#* } ;; *) turns= ;; esac
    case $chosen in
    broker) p=$(cat "$T/b1.pid") ;;
    edge) p=$(cat "$T/e1.pid") ;;
    *) p=$(role_pid "$chosen") ;;
    esac
    t=$(ms)
    [ -n "$p" ] && kill -9 "$p" 2>/dev/null && echo "$t $chosen" >>"$T/kills"
    sleep "$(random 3).$(random 10)"
done
awk '{ print $2 }' "$T/kills" | sort | uniq -c | sed 's/^/#/'
wait $revoker; ok $? "every revocation was acknowledged"
is "$(wc -l <"$T/revoked")" "$victims" "all $victims of them"
wait_for 60 healthy; ok $? "the service is well in the end"
wait_for 60 load_live l1 "$n"; ok $? "all others are connected, $n"
sleep $((bound / 1000 + 3)) # whole for longer than the bound: every deadline has passed
wait_for 60 presence_is e1 "$n"; ok $? "the register shows $n devices online"
spooled() { jq -e '.connected and .reports_waiting == 0' "$T/e1/state/edge.status"; }
wait_for 30 spooled; ok $? "no report waits"
is "$(load_get l1 live)" "$n" "nobody was lost meanwhile"
: >"$T/stop"

# -- judgement
exported() { verified soak && grep -qF "\\\"$(awk 'END { print $1 }' "$T/revoked")\\\"" "$T/soak.export"; }
sleep 2
exported; ok $? "the evidence verifies offline"
sh t/soak_check.sh "$T/soak.export" "$T/l1.load" "$T/revoked" "$T/kills" "$T/samples" "$bound" >"$T/judged"; ok $? "no revoked device was let in late, whoever was put out is in the evidence"
sed 's/^/# /' "$T/judged"
forged=$(awk "/ ok\$/ { print \$1; exit }" "$T/revoked")
{ cat "$T/l1.load"; echo "$(ms)000 up $forged 1"; } >"$T/forged.load"
sh t/soak_check.sh "$T/soak.export" "$T/forged.load" "$T/revoked" "$T/kills" "$T/samples" "$bound" | grep -q "^VIOLATION $forged was let in"
ok $? "the judge finds a login that was not"
kill "$(cat "$T/b1.pid")" "$(cat "$T/e1.pid")"
site_stop; ok $? "cradled stops"
folds; ok $? "the events add up to the tables"
clean_log && ! grep -hE "Sanitizer|runtime error" "$T/e1.log" "$T/b1.log"; ok $? "no finding of a sanitizer"
finish
