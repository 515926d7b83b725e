#!/bin/sh
# agent_power.sh: the agent is killed at every moment of its enrollment and of its renewal in which its files differ (strace injects SIGKILL
# into a system call); whatever is left, the next start ends with a working identity, the key it enrolled, and no rubbish.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/power.sh
site_init; ok $? "a site"
sed -i 's/^renew_at_pct = .*/renew_at_pct = 10/' "$SITE/profiles/device.conf"
grep -q '^renew_at_pct = 10' "$SITE/profiles/device.conf"; ok $? "renewal is allowed from a tenth of the life"
site_start; ok $? "cradled answers"
# a tenth of the life has passed when a short one begins (backdating): such a certificate may be renewed 10 s later
{ cradle line add vib --validity 1y && cradle model add m --line vib && cradle line add short --validity 900 && cradle model add s --line short; } >"$T/log" 2>&1
ok $? "lines and models"
cradle station add st --out "$T/st" >>"$T/log" 2>&1; ok $? "a station"

device() { agent_conf "$1" && cradle device add "$1" --model "$2" >>"$T/log" 2>&1; } # UID MODEL
devices() { awk -F: -v p="$2" -v m="$3" '{ print p "-" $1 "-" $2 ",," m }' "$1" | cradle device add --csv - --quiet >>"$T/log" 2>&1; } # FILE PREFIX MODEL: one for each
agent() { cradle-agent -c "$T/$1.conf" "$2" >>"$T/agent.log" 2>&1; } # UID VERB
pair_fits() { # the certificate belongs to the key
    [ "$(openssl x509 -in "$1/cert.pem" -noout -pubkey)" = "$(openssl pkey -in "$1/key.pem" -pubout)" ]
}
clean() { [ -z "$(find "$T/$1/state" -name '*.tmp*')" ]; } # UID
renewable() { # UID
    [ "$(date +%s)" -ge $(($(date -d "$(openssl x509 -in "$T/$1/state/current/cert.pem" -noout -startdate | cut -d= -f2)" +%s) + 100)) ]
}
kinds="mkdir openat write pwrite64 fsync rename link symlink unlink rmdir"
device r-0 s && agent r-0 enroll; ok $? "a device, to be looked at later"
device e-0 m && power_calls "$T/e-0/state" cradle-agent -c "$T/e-0.conf" enroll >"$T/enroll.calls"; pair_fits "$T/e-0/state/current"; ok $? "an enrollment, looked at"

devices "$T/enroll.calls" e m; ok $? "devices to be killed"
n_kills=0; broken=0; moved=0
for at in $(cat "$T/enroll.calls"); do
    uid=e-$(echo "$at" | tr : -)
    agent_conf "$uid"
    killed_at "$at" cradle-agent -c "$T/$uid.conf" enroll && n_kills=$((n_kills + 1))
    key=; [ -e "$T/$uid/state/current/key.pem" ] && key=$(openssl pkey -in "$T/$uid/state/current/key.pem" -pubout)
    agent "$uid" enroll && pair_fits "$T/$uid/state/current" || { broken=$((broken + 1)); echo "# enrollment killed at $at is not repaired"; }
    [ -z "$key" ] || [ "$key" = "$(openssl pkey -in "$T/$uid/state/current/key.pem" -pubout)" ] || { moved=$((moved + 1)); echo "# key changed after $at"; }
    clean "$uid" || { broken=$((broken + 1)); echo "# rubbish after $at"; }
done
echo "# enrollment: $(tr '\n' ' ' <"$T/enroll.calls")"
[ $n_kills -ge 12 ]; ok $? "enrollment was killed at $n_kills file operations"
is $broken 0 "each time the next start enrolled, with nothing left over"
is $moved 0 "and a key once named is never replaced"

wait_for 60 renewable r-0; power_calls "$T/r-0/state" cradle-agent -c "$T/r-0.conf" renew >"$T/renew.calls"; pair_fits "$T/r-0/state/current"; ok $? "a renewal, looked at"
devices "$T/renew.calls" r s; ok $? "and devices for it"
for at in $(cat "$T/renew.calls"); do
    uid=r-$(echo "$at" | tr : -)
    agent_conf "$uid" && agent "$uid" enroll || echo "# no enrollment for $uid"
done
n_kills=0; broken=0; early=0
for at in $(cat "$T/renew.calls"); do
    uid=r-$(echo "$at" | tr : -)
    wait_for 60 renewable "$uid" || early=$((early + 1))
    killed_at "$at" cradle-agent -c "$T/$uid.conf" renew && n_kills=$((n_kills + 1))
    agent "$uid" enroll && pair_fits "$T/$uid/state/current" || { broken=$((broken + 1)); echo "# renewal killed at $at is not repaired"; }
    clean "$uid" || { broken=$((broken + 1)); echo "# rubbish after $at"; }
done
echo "# renewal: $(tr '\n' ' ' <"$T/renew.calls")"
is $early 0 "the renewal window was open each time"
[ $n_kills -ge 18 ]; ok $? "renewal was killed at $n_kills file operations"
is $broken 0 "each time a working identity was there at the next start"
site_stop
finish
