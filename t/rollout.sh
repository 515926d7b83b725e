# rollout.sh: a fleet on one machine for tests of rollouts: a site that is killed at random, and devices that are agents with two slots each, run
# by t/tool/fleetrun.c. Source after lib.sh, fault.sh and ceremony.sh. FLEET has a folder for each device, L is what fleetrun wrote down.
need perl perl; need sqlite3 sqlite3
FLEET=$T/fleet L=$T/fleet.log DB=$SITE/db/cradle.db
AGENT=$B/cradle-agent
ms() { date +%s%3N; }
random() { echo $(($(od -An -N2 -tu2 /dev/urandom) % $1)); }
query() { sqlite3 -readonly -cmd '.timeout 5000' "$DB" "$1"; }

# -- devices
cat >"$T/switch" <<'EOS'
#!/bin/sh
# switch FOLDER SLOT: what a boot loader's tool does, and each time is counted
read -r v <"$1/slots/$2"; echo "$v" >>"$1/switches"; echo "$2" >"$1/boot"
EOS
chmod +x "$T/switch"
fleet_device() { # UID [configuration lines]: its folder, with version 1.0.0 in slot a
    d=$T/born/$1; uid=$1; shift
    mkdir -p "$d/slots" "$FLEET"
    cp "$T/img/1.0.0" "$d/slots/a"; echo 1.0.0 >"$d/running"; echo a >"$d/boot"; : >"$d/switches"
    d=$FLEET/$uid
    {
        printf '%s\n' "uid = $uid" "state_dir = $d/state" "est_url = $HTTPS" "ca_file = $SITE/ca/bundle.pem" "enroll_cert = $T/st/st.pem" "enroll_key = $T/st/st.key" \
            "backoff_base_ms = 50" "backoff_cap_ms = 500" "line = vib" "model = vib-1" "update_poll_s = 1" "update_root = $R/1.root.json" "update_handlers = raw" \
            "version_file = $d/running" "slot_a = $d/slots/a" "slot_b = $d/slots/b" "slot_active_command = /bin/cat $d/boot" "restart_command = /bin/touch $d/restart"
        case " $* " in *slot_switch_command*) ;; *) echo "slot_switch_command = $T/switch $d {slot}" ;; esac
        printf '%s\n' "$@"
    } >"$T/born/$uid/agent.conf"
}
fleet_enroll() { # registers those of $T/born, enrolls each with its own agent, and lets them go
    if [ -n "$(ls "$T/born")" ]; then # what a kill left half done is taken up where it was
        { echo uid,serial,model,batch,country; ls "$T/born" | sed 's/$/,,vib-1,,/'; } >"$T/fleet.csv"
        cradle device add --csv "$T/fleet.csv" --quiet || return 1
    fi
    ls "$T/born" | while read -r u; do mkdir "$T/go-$u" 2>/dev/null; mv "$T/born/$u/agent.conf" "$T/go-$u/"; mv "$T/born/$u" "$FLEET/"; done
    ls "$T" | sed -n 's/^go-//p' | xargs -P 4 -I @UID@ sh -c "'$AGENT' -c '$T/go-@UID@/agent.conf' enroll >>'$FLEET/@UID@/log' 2>&1 && mv '$T/go-@UID@/agent.conf' '$FLEET/@UID@/' && rmdir '$T/go-@UID@'"
    [ -z "$(ls "$T" | grep '^go-')" ]
}
fleet_run() { "$B/t/fleetrun" "$AGENT" "$FLEET" "$1" "$2" "$L" >"$T/fleet.json" & FLEETRUN=$!; own $FLEETRUN; } # AT_A_TIME INTERVAL_MS
# members ROLLOUT FROM TO: the devices on stdin whose share of the rollout is in FROM..TO percent, by the rule that docs/updates.md tells
members() {
    perl -MDigest::SHA=sha256 -ne 'BEGIN { ($r, $from, $to) = splice @ARGV, 0, 3 } chomp; my $s = unpack("Q>", sha256("$r\n$_")) % 10000;
        print "$_\n" if $s >= $from * 100 && $s < $to * 100' "$@"
}

# -- what devices say of themselves: the last state in fleetrun's log
said() { awk '$3 == "state" { s[$2] = $4 " " $5 " " $6 " " $7 } END { for (u in s) print u, s[u] }' "$L"; } # UID SEQUENCE VERSION STATE TOLD
said_n() { said | awk -v v="$1" -v s="$2" '$3 == v && $4 == s' | wc -l; } # VERSION STATE
running_n() { cat "$FLEET"/*/running | grep -cx "$1"; } # VERSION
switched_n() { for d in "$FLEET"/*; do [ "$(grep -cx "$1" "$d/switches")" = "$2" ] && echo "$d"; done | wc -l; } # VERSION TIMES: devices

# -- people, who ask again when nobody answers
alice() { curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert "$T/alice/alice.pem" --key "$T/alice/alice.key" -H 'Content-Type: application/json' "$@"; }
rollout_state() { api "$HTTPS/api/v1/rollouts/$1" | jq -r .state; }
rollout_is() { [ "$(rollout_state "$1")" = "$2" ]; }
rollout_has() { api "$HTTPS/api/v1/rollouts/$1" | jq -e "$2"; }
moved() { [ "$("$1" -o "$T/move.json" -w '%{http_code}' -d '{"note":"test"}' "$HTTPS/api/v1/rollouts/$2/$3")" = 200 ] || rollout_is "$2" "$4"; }
move() { wait_for 30 moved "$@"; } # who (api, alice), rollout, move, the state after it
rollout_begin() { move alice "$1" approve approved && move api "$1" start running; } # NAME

watching() { # ROLLOUT: the exit code of a watch to the end, once it has begun
    while :; do
        cradle rollout watch "$1" --json >"$T/watch" 2>>"$T/watch.err"; rc=$?
        [ ! -s "$T/watch" ] || return $rc
        sleep 0.2
    done
}

# -- kills
KILLS="core:0 signer:0 front:0 front:1 query:0 depot:0 nginx"
kill_loop() { # SECONDS: a role at random at most so long after the last one, each of them once first
    turns=$KILLS
    while [ ! -e "$T/calm" ]; do
        if [ -n "$turns" ]; then set -- "$1" $turns; else set -- "$1" $(printf '%s\n' $KILLS | sort -R); fi
        turns=$(echo $turns | cut -s -d' ' -f2-)
        p=$(role_pid "$2") && kill -9 "$p" 2>/dev/null && echo "$(ms) $2" >>"$T/kills"
        sleep "$(random "$1").$(random 10)"
    done
}
probe() { # polls that no front answers from memory, as the last device of the list, until T/calm
    d=$FLEET/$(tail -n 1 "$T/uids")/state/current
    while [ ! -e "$T/calm" ]; do # a new process after each kill of the server's side
        curl -s -m 5 --fail-early --rate 10/s --cacert "$SITE/ca/bundle.pem" --cert "$d/cert.pem" --key "$d/key.pem" -o /dev/null -w '%{time_starttransfer} %{time_appconnect} %{http_code}\n' \
            "$HTTPS/update/v1/poll?probe=[1-30]" >>"$T/probe"
        sleep 0.1
    done
}
probed() { # on connections that stand
    awk '$3 == 200 && $2 == 0 { print $1 * 1000 }' "$T/probe" | sort -g | awk '{ v[NR] = $1 } END { printf "%d answered, p50 %.1f ms, p99 %.1f ms, longest %.1f ms", NR, v[int((NR + 1) / 2)], v[int(NR * 0.99)], v[NR] }'
}
cpu_ticks() { # of cradled with its roles, the dead ones too
    for p in $CRADLED $(kids); do sed 's/.*) //' "/proc/$p/stat"; done | awk '{ s += $12 + $13 + $14 + $15 } END { print s }'
}
