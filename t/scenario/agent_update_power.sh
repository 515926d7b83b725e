#!/bin/sh
# agent_update_power.sh: the update client is killed at every moment of an installation, of a confirmation and of a way back in which its files differ
# (strace injects SIGKILL into a system call), and the power comes back: the device ends in the version that was ordered or in the one before, never boots a
# slot that was not verified, never installs the same order twice, and what it knows only grows.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/power.sh
. t/update.sh
update_site; ok $? "a site with a ceremony"
image 1.1.0 1200000; publish r11 1.1.0; image 1.2.0 1200000; publish r12 1.2.0; ok $? "two releases"
device p-1 "health_command = /usr/bin/test -e $T/well" "trial_limit_s = 1"; ok $? "a device"
road_start p-1; ok $? "a road"
echo "update_url = $ROAD" >>"$T/p-1.conf"
U=$T/p-1/state/update
CLIENT="cradle-agent -c $T/p-1.conf update once"
known=" $(sum "$T/img/1.0.0") $(sum "$T/img/1.1.0") $(sum "$T/img/1.2.0") "
unverified=0; back=0; lost=0; n_kills=0; n_orders=0; n_confirmed=0
floor=0; sequence=0
value() { sed -n "s/^$1 = //p" "$U/state" 2>/dev/null; }
look() { # WHERE: what must hold at any moment
    slot=$(cat "$U/slot" 2>/dev/null || echo a)
    case "$known" in *" $(sum "$T/p-1/slots/$slot") "*) ;; *) unverified=$((unverified + 1)); echo "# slot $slot is not verified after $1" ;; esac
    s=$(value sequence); c=$(value counter_floor)
    [ "${s:-0}" -ge $sequence ] && [ "${c:-0}" -ge $floor ] || { back=$((back + 1)); echo "# the state went back after $1"; }
    sequence=${s:-0} floor=${c:-0}
}
settle() { # the power comes back, until the order has ended
    for i in 1 2 3 4 5 6 7 8; do
        boot p-1; once p-1; look "$1"
        case $(value_of_order) in confirmed | rolled-back | failed) break ;; esac
    done
    boot p-1
}
value_of_order() { sed -n 's/^state = //p' "$U/order"; }
next() { # orders the release that does not run
    old=$(running p-1)
    if [ "$old" = 1.1.0 ]; then want=1.2.0 rel=r12; else want=1.1.0 rel=r11; fi
    order p-1 $rel >/dev/null
    n_orders=$((n_orders + 1))
}
expect() { # STATE VERSION WHERE
    [ "$(value_of_order) $(running p-1)" = "$1 $2" ] || { lost=$((lost + 1)); echo "# after $3: $(value_of_order), $(running p-1) runs; wanted $1, $2"; }
    [ "$1" = rolled-back ] || n_confirmed=$((n_confirmed + 1))
}
ended() { if [ "$2" = rolled-back ]; then expect rolled-back "$old" "$1"; else expect confirmed $want "$1"; fi; } # WHERE STATE
kinds="mkdir write pwrite64 fsync rename unlink ftruncate"

every_operation() { # WHAT, how it begins, how it must end: looked at once, then killed at each moment that differs
    n_kills=0
    $2; once p-1; settle "$1"; ended "$1" $3 # the first one fetches more than the others do
    $2; power_calls "$T/p-1" $CLIENT >"$T/points"; look "$1"; settle "$1"; ended "$1" $3
    echo "# $1: $(tr '\n' ' ' <"$T/points")"
    for at in $(cat "$T/points"); do
        $2
        killed_at $at $CLIENT && n_kills=$((n_kills + 1))
        look "$at"; settle "$at of $1"; ended "$at of $1" $3
    done
}
installed() { next; once p-1; boot p-1; }
unwell() { touch "$T/well"; installed; rm "$T/well"; }

touch "$T/well"
every_operation "an installation" next confirmed
[ $n_kills -ge 20 ]; ok $? "an installation was killed at $n_kills file operations"
is $lost 0 "each time the ordered version ran in the end, and was confirmed"

every_operation "a confirmation" installed confirmed
[ $n_kills -ge 9 ]; ok $? "a confirmation was killed at $n_kills file operations"
is $lost 0 "each time the new version stayed"

every_operation "a way back" unwell rolled-back
[ $n_kills -ge 10 ]; ok $? "a way back was killed at $n_kills file operations"
is $lost 0 "each time the old version ran in the end"
is $unverified 0 "no slot was ever named that does not hold a whole, signed image"
is $back 0 "sequence and counter never went back"
is "$(awk '$4 == "update" && / trial$/ { tried[$5] = 1 } $4 == "update" && / installing$/ && tried[$5] { print $5 }' "$T/agent.log")" "" "no order was installed a second time"
is "$(cradle event list --kind firmware-confirmed --limit 5000 --json | jq -r '[.items[].payload.sequence] | "\(length) \(unique | length)"')" "$n_confirmed $n_confirmed" "the site heard of each confirmation once"
[ -z "$(find "$U" -name '*.tmp*')" ]; ok $? "nothing is left over"
echo "# $n_orders orders"
site_stop
finish
