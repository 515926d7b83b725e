#!/bin/sh
# agent_reset.sh: a factory reset, ordered by the site or at the device, offline too, and killed at every moment of it: the user's data and the operational
# key are gone, what the factory gave and what is known of updates stays, and the receipt verifies by the key that no longer exists.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/power.sh
. t/update.sh
update_site; ok $? "a site with a ceremony"
image 1.1.0 300000; publish r11 1.1.0 2; ok $? "a release"
fill() { # UID: what a user leaves on a device
    mkdir -p "$T/$1/data/photos/2026" "$T/outside"
    echo secret >"$T/$1/data/photos/2026/one"; echo secret >"$T/$1/data/.hidden"; echo wifi >"$T/$1/settings"
    echo kept >"$T/outside/file"; ln -sf "$T/outside" "$T/$1/data/link"
}
erased() { [ -d "$T/$1/data" ] && [ -z "$(ls -A "$T/$1/data")" ] && [ ! -e "$T/$1/settings" ] && [ -e "$T/outside/file" ]; }
pub() { openssl pkey -in "$T/$1/state/current/key.pem" -pubout 2>/dev/null; }
# without a receipt the site lets nobody else have the identity of an active device: its certificate is revoked first
revoke() { for s in $(cradle cert list --device "$1" --json | jq -r '.items[].serial'); do cradle cert revoke "$s" --reason superseded --quiet >>"$T/log" 2>&1; done; }
receipt_good() { # TEXT KEYFILE
    printf '%s' "${1% *}" >"$T/said"
    printf '%s' "${1##* }" | openssl base64 -d -A >"$T/sig"
    openssl dgst -sha256 -verify "$2" -signature "$T/sig" "$T/said" >/dev/null 2>&1
}

device r-1 "reset_paths = $T/r-1/data $T/r-1/settings"; ok $? "a device"
road_start r-1; ok $? "a road"
echo "update_url = $ROAD" >>"$T/r-1.conf"
U=$T/r-1/state/update
order r-1 r11 >/dev/null; once r-1; boot r-1; once r-1; state_is r-1 confirmed; ok $? "with an update"
fill r-1
pub r-1 >"$T/old.pub"
seq=$(api -d '{"note":"sold"}' "$HTTPS/api/v1/devices/r-1/reset" | jq -r .sequence); has "$seq" '^[0-9]+$' "the site orders a reset"
cradle-agent -c "$T/r-1.conf" run 2>>"$T/agent.log" & agent=$!; own $agent
wait_for 20 erased r-1; ok $? "the user's data are erased, what a link points at is not"
told() { cradle event list --kind device-reset --json | jq -r '.items[-1].payload.text // empty' >"$T/told"; [ -s "$T/told" ]; }
wait_for 20 told; ok $? "the site has the receipt"
receipt_good "$(cat "$T/told")" "$T/old.pub"; ok $? "signed by the key that is destroyed now"
has "$(cat "$T/told")" "^cradle-reset 1 r-1 $seq [0-9]+ " "for this device and order"
fresh() { [ ! -e "$U/reset" ] && [ -e "$T/r-1/state/current/cert.pem" ] && [ "$(pub r-1)" != "$(cat "$T/old.pub")" ]; }
wait_for 20 sh -c "[ ! -e $T/r-1/state/id-1 ]"; ok $? "the old key is gone"
wait_for 30 fresh; ok $? "it has a new key and certificate: by its receipt the site lets it enroll anew"
[ ! -e "$U/receipt" ]; ok $? "and nothing left to tell"
grep -q '^counter_floor = 2' "$U/state"; ok $? "the floor of updates stays"
is "$(cat "$U/slot")" b "and so does the firmware"
kill $agent; wait $agent 2>/dev/null

# -- at the device, while the site is away: told later
fill r-1; pub r-1 >"$T/old.pub"
api -d '{"note":"lost"}' "$HTTPS/api/v1/devices/r-1/reset" >/dev/null
kill $road_pid; wait $road_pid 2>/dev/null; road_open # with the new certificate
once r-1; ok $? "an order to reset is taken"
sed -i "s|^update_url = .*|update_url = https://localhost:$((BASE + 9))|" "$T/r-1.conf"
cradle-agent -c "$T/r-1.conf" csr >"$T/csr" 2>>"$T/agent.log"; ok $? "whatever is started next goes on with it"
erased r-1; ok $? "the data are erased"
[ "$(pub r-1)" != "$(cat "$T/old.pub")" ]; ok $? "the key is another one"
receipt_good "$(cat "$U/receipt")" "$T/old.pub"; ok $? "the receipt is kept, since nobody could be told"
sed -i "s|^update_url = .*|update_url = $HTTPS|" "$T/r-1.conf"
cradle event list --kind device-reset --json | jq '.items | length' >"$T/n"
revoke r-1
cradle-agent -c "$T/r-1.conf" enroll >>"$T/agent.log" 2>&1; ok $? "it enrolls anew"
is "$(cradle event list --kind device-reset --json | jq '.items | length')" $(($(cat "$T/n") + 1)) "and tells the receipt then"
is "$(cradle device show r-1 --json | jq -r .state)" active "with the key that followed, which keeps its standing"
[ ! -e "$U/reset" ]; ok $? "which ends the reset"
fill r-1; pub r-1 >"$T/old.pub"
cradle-agent -c "$T/r-1.conf" reset --yes >"$T/out" 2>>"$T/agent.log"; is $? 0 "a reset at the device, with the site at hand"
has "$(cat "$T/out")" "r-1 is reset" "it says so"
erased r-1 && [ "$(pub r-1)" != "$(cat "$T/old.pub")" ]; ok $? "data and key are gone, there is a new identity"
told
receipt_good "$(cat "$T/told")" "$T/old.pub"; ok $? "the site has that receipt too, signed by the key that is gone"
has "$(cat "$T/told")" "^cradle-reset 1 r-1 0 [0-9]+ " "which names no order"
cradle-agent -c "$T/r-1.conf" reset 2>"$T/err"; is $? 2 "without --yes nothing is reset"
has "$(cat "$T/err")" "$T/r-1/data" "it says what it would erase"
sed "s|^reset_paths = .*|reset_paths = $T/r-1|" "$T/r-1.conf" >"$T/bad.conf"
cradle-agent -c "$T/bad.conf" config >/dev/null 2>"$T/err"; [ $? != 0 ] && grep -q "a reset keeps" "$T/err"; ok $? "a path that holds the agent's own state is refused"

# -- killed at every moment in which its files differ
device r-2 "reset_paths = $T/r-2/data $T/r-2/settings"; ok $? "another device"
sed -i "s|^est_url = .*|est_url = https://localhost:$((BASE + 9))|" "$T/r-2.conf"
sed 's/^enroll_/#&/' "$T/r-2.conf" >"$T/r-2x.conf"
RESET="cradle-agent -c $T/r-2x.conf reset --yes"
kinds="openat write pwrite64 mkdir fsync rename link unlink unlinkat rmdir symlink"
whole() { rm -f "$T/r-2/state/update/reset" "$T/r-2/state/update/receipt"; fill r-2; pub r-2 >"$T/old.pub"; } # in use, and no reset is under way
whole; $RESET >>"$T/agent.log" 2>&1 # the first one has no key to destroy
whole; power_calls "$T/r-2/" $RESET >"$T/points"; erased r-2; ok $? "a reset, looked at"
echo "# $(tr '\n' ' ' <"$T/points")"
n_kills=0; left=0; same=0
for at in $(cat "$T/points"); do
    whole
    killed_at $at $RESET && n_kills=$((n_kills + 1))
    if [ -e "$T/r-2/state/update/reset" ]; then
        cradle-agent -c "$T/r-2x.conf" csr >"$T/csr" 2>>"$T/agent.log"
        erased r-2 || { left=$((left + 1)); echo "# data are left after $at"; }
        [ "$(pub r-2)" != "$(cat "$T/old.pub")" ] || { same=$((same + 1)); echo "# the key is the same after $at"; }
        grep -q '^phase = enroll' "$T/r-2/state/update/reset" || { left=$((left + 1)); echo "# the reset stands still after $at"; }
    else # it was not begun: nothing may be missing
        [ -e "$T/r-2/settings" ] && [ "$(pub r-2)" = "$(cat "$T/old.pub")" ] || { left=$((left + 1)); echo "# half a reset without a note after $at"; }
    fi
done
[ $n_kills -ge 20 ]; ok $? "a reset was killed at $n_kills file operations"
is "$left $same" "0 0" "each time the next start went on: data erased, key destroyed"
is "$(find "$T/r-2/state" -name "*.tmp*")" "" "nothing is left over"
site_stop
finish
