#!/bin/sh
# agent_power.sh: the agent is killed at every file operation of its enrollment and of its renewal (strace injects SIGKILL into the n-th call
# of each kind); whatever is left, the next start ends with a working identity, the key it enrolled, and no rubbish.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
under_strace
site_init; ok $? "a site"
sed -i 's/^renew_at_pct = .*/renew_at_pct = 10/' "$SITE/profiles/device.conf"
grep -q '^renew_at_pct = 10' "$SITE/profiles/device.conf"; ok $? "renewal is allowed from a tenth of the life"
site_start; ok $? "cradled answers"
cradle line add vib --validity 1y >"$T/log" 2>&1 && cradle model add m --line vib >>"$T/log" 2>&1
ok $? "a line and a model"
cradle station add st --out "$T/st" >>"$T/log" 2>&1; ok $? "a station"

device() { agent_conf "$1" && cradle device add "$1" --model m >>"$T/log" 2>&1; }
pair_fits() { # the certificate belongs to the key
    [ "$(openssl x509 -in "$1/cert.pem" -noout -pubkey)" = "$(openssl pkey -in "$1/key.pem" -pubout)" ]
}
# kills VERB of UID at the N-th call of KIND; status 0: it was killed, 1: it ended before the N-th call
killed_at() { # uid verb kind n
    strace -f -o /dev/null -e trace="$3" -e inject="$3":signal=KILL:when="$4" cradle-agent -c "$T/$1.conf" "$2" >>"$T/agent.log" 2>&1
    [ $? = 137 ]
}
kinds="mkdir openat write pwrite64 fsync rename link symlink unlink rmdir"

n_kills=0; broken=0; moved=0
for kind in $kinds; do
    n=1
    while [ $n -le 60 ]; do
        uid=e-$kind-$n
        device $uid
        killed_at $uid enroll $kind $n || break
        n_kills=$((n_kills + 1))
        key=; [ -e "$T/$uid/state/current/key.pem" ] && key=$(openssl pkey -in "$T/$uid/state/current/key.pem" -pubout)
        cradle-agent -c "$T/$uid.conf" enroll >>"$T/agent.log" 2>&1 && pair_fits "$T/$uid/state/current" || { broken=$((broken + 1)); echo "# enrollment killed at $kind $n is not repaired"; }
        [ -z "$key" ] || [ "$key" = "$(openssl pkey -in "$T/$uid/state/current/key.pem" -pubout)" ] || { moved=$((moved + 1)); echo "# key changed after $kind $n"; }
        [ -z "$(find "$T/$uid/state" -name '*.tmp*')" ] || { broken=$((broken + 1)); echo "# rubbish after $kind $n"; }
        n=$((n + 1))
    done
done
[ $n_kills -ge 20 ]; ok $? "enrollment was killed at $n_kills file operations"
is $broken 0 "each time the next start enrolled, with nothing left over"
is $moved 0 "and a key once named is never replaced"

# renewal: the profile opens the window early in life; all are born first, then renewed
cradle line add short --validity 1800 >>"$T/log" 2>&1 && cradle model add s --line short >>"$T/log" 2>&1
list=
for kind in $kinds; do
    n=1
    while [ $n -le 14 ]; do
        uid=r-$kind-$n
        agent_conf $uid && cradle device add $uid --model s >>"$T/log" 2>&1
        cradle-agent -c "$T/$uid.conf" enroll >>"$T/agent.log" 2>&1 || echo "# no enrollment for $uid"
        list="$list $kind:$n"
        n=$((n + 1))
    done
done
due=$(($(date -d "$(openssl x509 -in "$T/$uid/state/current/cert.pem" -noout -startdate | cut -d= -f2)" +%s) + 180 + 22))
wait_for 60 sh -c "[ \$(date +%s) -ge $due ]"; ok $? "the renewal window is open"
n_kills=0; broken=0
for kn in $list; do
    kind=${kn%:*}; uid=r-$kind-${kn#*:}
    killed_at $uid renew $kind ${kn#*:} && n_kills=$((n_kills + 1))
    cradle-agent -c "$T/$uid.conf" enroll >>"$T/agent.log" 2>&1 && pair_fits "$T/$uid/state/current" || { broken=$((broken + 1)); echo "# renewal killed at $kn is not repaired"; }
    [ -z "$(find "$T/$uid/state" -name '*.tmp*')" ] || { broken=$((broken + 1)); echo "# rubbish after $kn"; }
done
[ $n_kills -ge 15 ]; ok $? "renewal was killed at $n_kills file operations"
is $broken 0 "each time a working identity was there at the next start"
site_stop
finish
