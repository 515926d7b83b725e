#!/bin/sh
# ddi_swupdate.sh: the real, unmodified SWUpdate against a real site, with the certificate that the device enrolled for: it installs, confirms after
# the restart, says what failed, begins again after a loss of power, obeys a cancel, and is refused when revoked.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/offer.sh
. t/ddi.sh
need swupdate swupdate; need cpio cpio; need openssl openssl; need jq jq; need curl curl
cd "$T" || exit 1
ddi_site 'update_poll_interval = 1'; ok $? "a site that wants to be asked each second"
ddi_device d1 && ddi_device d2; ok $? "two devices"
(umask 077; cradle operator add amy --role admin --out "$T/amy" --quiet); ok $? "a second admin"
swu_make r1 1.1.0 300000 && swu_make r2 1.2.0 3000000; ok $? "images"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout thief.key -out thief.pem -days 30 -subj "/CN=thief" \
    -addext extendedKeyUsage=codeSigning,emailProtection 2>/dev/null
mv sign.pem keep.pem; mv sign.key keep.key; cp thief.pem sign.pem; cp thief.key sign.key; swu_make r3 1.3.0 300000; mv keep.pem sign.pem; mv keep.key sign.key
release() { release_make "$1.swu" "$1" "$2" 1 --handler swupdate; }
release r1 1.1.0 && release r2 1.2.0 && release r3 1.3.0 && cradle tuf publish "$R" --quiet; ok $? "releases, one of them with an image that a stranger signed"
for r in r1 r2 r3; do cradle release upload "$R" vib $r --quiet || break; done; ok $? "their files"

swu_conf() { # UID [UID of the certificate]: swu-UID.cfg
    cat >"swu-$1.cfg" <<END
globals : { };
suricatta : { tenant = "DEFAULT"; id = "$1"; url = "$HTTPS"; retry = 1; retrywait = 1;
  cafile = "$SITE/ca/bundle.pem"; sslkey = "$T/${2:-$1}.key"; sslcert = "$T/${2:-$1}.pem"; };
identify : ( { name = "version"; value = "$(cat "$1.version" 2>/dev/null || echo 1.0.0)"; } );
END
}
module= # newer ones have several, and want to be told which
if swupdate --help 2>&1 | grep -q -- "-S, --server .*Suricatta"; then module="-S hawkbit"; fi
swu_start() { # UID [suricatta's options]: SWUpdate runs as the device's daemon
    [ -d "tmp-$1" ] || mkdir -m 700 "tmp-$1"
    : >"swu-$1.log"
    TMPDIR=$T/tmp-$1 swupdate -v -f "swu-$1.cfg" -H lab:1.0 -k image-ca.pem --cert-purpose codeSigning ${GATE:+-P "$GATE check swupdate" -p "$GATE installed"} -u "$module $2" >>"swu-$1.log" 2>&1 &
    SWU=$!; own $SWU; LOG=swu-$1.log
}
swu_stop() { # as a loss of power does: all of its processes
    for p in $(pgrep -P "$SWU") $SWU; do kill -9 "$p" 2>/dev/null; done
    wait "$SWU" 2>/dev/null
    rm -f tmp-*/sockinstctrl tmp-*/swupdateprog
}
is_reported() { [ "$(reported "$1")" = "$2" ]; }
until_reported() { # UID STATE NAME: what the site knows, within 30 s
    wait_for 30 is_reported "$1" "$2"; ok $? "$3"
    is_reported "$1" "$2" || { echo "# it is $(reported "$1"), not $2"; grep -a "$(printf '\033')\|TRACE\|INFO\|ERROR" "$LOG" | tail -n 25 | sed 's/^/# /'; }
}
text_of() { cradle event list --device "$1" --kind firmware-failed --json | jq -r '.items[-1].payload.text'; }

# -- installs, and confirms after the restart
swu_conf d1; swu_start d1
runs() { events_of d1 | grep -q firmware-running; }
wait_for 30 runs; ok $? "SWUpdate polls and says what runs"
is "$(order d1 r1)" 1 "an order"
until_reported d1 installed "it is installed"
cmp -s out r1.img; ok $? "the image is there"
sleep 2; is "$(reported d1)" installed "and not confirmed, while the old system runs"
swu_stop; echo 1.1.0 >d1.version; swu_conf d1; swu_start d1 '-c 2'
until_reported d1 confirmed "restarted with -c 2 it confirms"
swu_stop
has "$(events_of d1 | tr ' ' '\n' | sort | uniq -c | awk '{print $2 $1}' | tr '\n' ' ')" "firmware-confirmed1 (firmware-downloading1 )?firmware-installed1 firmware-offered1 firmware-ordered1 " "each step is one event"

# -- the power goes while it loads; then the new system does not come up
is "$(order d1 r2)" 2 "an order"; rm -f out
swu_start d1 '-n 300k'; begun() { [ -s out ]; }
wait_for 30 begun; ok $? "it writes while it loads"
swu_stop; [ "$(stat -c %s out)" -lt 3000000 ] && ! is_reported d1 installed; ok $? "the power goes: $(stat -c %s out) of 3000000 bytes are written"
swu_start d1; until_reported d1 installed "after the start it installs"
cmp -s out r2.img; ok $? "the image is whole"
swu_stop; swu_start d1 '-c 3'; until_reported d1 failed "restarted with -c 3, the new system did not come up: failed"
swu_stop

# -- an image that a stranger signed
swu_conf d2; is "$(order d2 r3)" 1 "an order of an image that a stranger signed"
rm -f out; swu_start d2
until_reported d2 failed "SWUpdate refuses it: failed"
[ ! -e out ]; ok $? "nothing is written"
has "$(text_of d2)" "ERROR|found" "its own words are in the evidence: $(text_of d2)"
swu_stop

# -- cradle-gate before the installation: the file at the site is another one than was announced; both are of the maker, and signed
ddi_device d3; ok $? "a third device"
swu_conf d3
cat >d3.gate <<END
uid = d3
line = vib
model = vib-1
cert_file = $T/d3.pem
key_file = $T/d3.key
ca_file = $SITE/ca/bundle.pem
update_url = $HTTPS
update_dir = $T/gate-d3
factory_root = $R/1.root.json
END
GATE="cradle-gate -c $T/d3.gate"
is "$(order d3 r1)" 1 "an order"
is "$(ddi d3 "$D1/d3") $(jq -r .config.polling.sleep body)" "200 00:00:01" "it is offered"
file=$SITE/artifact/$(hex_of r1.swu); cp "$file" kept.swu; cp r2.swu swapped.swu; mv swapped.swu "$file"; chmod 644 "$file"
rm -f out; swu_start d3
until_reported d3 refused "the gate refuses what came in its place"
[ ! -e out ]; ok $? "nothing is written"
has "$(grep -a cradle-gate swu-d3.log)" wrong-digest "SWUpdate says why: wrong-digest"
is "$(cradle event list --device d3 --kind firmware-refused --json | jq -r '.items | map(.payload | "\(.sequence) \(.reason)") | join(" ")')" "1 wrong-digest" "it is in the evidence"
swu_stop; mv kept.swu "$file"; chmod 644 "$file"
is "$(order d3 r1)" 2 "the file is what it was: another order"
swu_start d3; until_reported d3 installed "SWUpdate installs, and the gate agrees"
cmp -s out r1.img; ok $? "the image is there"
swu_stop; GATE=

# -- a rollout whose maintenance window is closed, then open; then it is taken back
rollout() { # NAME RELEASE MORE
    api -o answer -d "{\"name\":\"$1\",\"line\":\"vib\",\"release\":\"$2\",\"note\":\"test\",\"query\":{\"model\":\"vib-1\"}$3}" "$HTTPS/api/v1/rollouts"
    curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert amy/amy.pem --key amy/amy.key -H 'Content-Type: application/json' -d '{"note":"test"}' "$HTTPS/api/v1/rollouts/$1/approve" >answer
    move "$1" start
}
move() { api -o answer -d '{"note":"test"}' "$HTTPS/api/v1/rollouts/$1/$2"; }
hour() { date -u -d "$1" +%H:00; }
links() { ddi d2 "$D1/d2" >/dev/null; jq -r '._links | [has("deploymentBase"), has("cancelAction")] | join(" ")' body; }
said() { ddi d2 update/v1/poll >/dev/null; [ "$(jq -r .state body)" = "$1" ]; }
rollout later r1 ",\"window\":{\"from\":\"$(hour '+3 hours')\",\"to\":\"$(hour '+5 hours')\"}"
wait_for 15 said waiting; ok $? "a rollout whose maintenance window is closed: the order waits"; [ "$(jq -r .state answer)" = running ] || sed 's/^/# /' answer
rm -f out; swu_start d2; sleep 3
is "$(links)" "false false" "the client is told of nothing"
[ ! -e out ] && is_reported d2 failed; ok $? "nothing is installed"
swu_stop; move later cancel
rollout now r1 ",\"window\":{\"from\":\"$(hour '-1 hours')\",\"to\":\"$(hour '+2 hours')\"}"
shown() { [ "$(links)" = "true false" ]; }
wait_for 15 shown; ok $? "the window is open: here is the action"; [ "$(jq -r .state answer)" = running ] || sed 's/^/# /' answer
move now cancel; taken() { [ "$(links)" = "false true" ]; }; wait_for 15 taken; is "$(links)" "false true" "it is taken back before the client has begun: a cancel"
swu_start d2
acknowledged() { [ "$(links)" = "false false" ]; }
wait_for 20 acknowledged; ok $? "SWUpdate acknowledges the cancel"
[ ! -e out ] && is_reported d2 cancelled; ok $? "and has installed nothing"
swu_stop

# -- who may not
refused() { grep -aqE "\b403\b|[Nn]ot authorized|[Dd]enied" "$LOG"; }
swu_conf d2 d1; order d2 r1 >/dev/null; swu_start d2
wait_for 20 refused; ok $? "with another device's certificate SWUpdate is refused"
[ ! -e out ]; ok $? "nothing is installed"
swu_stop; swu_conf d2
serial=$(openssl x509 -in d2.pem -noout -serial | cut -d= -f2 | tr A-F a-f)
api -o answer -d '{"reason":"keyCompromise","note":"test"}' "$HTTPS/api/v1/certs/$serial/revoke"
is "$(ddi d2 $D1/d2)" 403 "a revoked certificate is refused"
swu_start d2; wait_for 20 refused; ok $? "SWUpdate hears the same"
[ ! -e out ]; ok $? "nothing is installed"
swu_stop
site_stop; cradled -f "$SITE" >fold 2>&1; ok $? "the events explain the tables"
sed 's/^/# /' fold
finish
