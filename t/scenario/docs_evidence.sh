#!/bin/sh
# docs_evidence.sh: every command of docs/evidence.md, exactly as printed, against a running site's log: it accepts the log and its
# certificates, refuses a changed one, and needs nothing of cradle for that.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need jq jq; need basenc coreutils
block() { # number: the commands of this block of the page
    awk -v want="$1" '/^```sh$/ { inside = 1; n++; next } /^```$/ { inside = 0 } inside && n == want' docs/evidence.md
}
site_init || { ok 1 "a site"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
cradle line add pumps --quiet && cradle model add P100 --line pumps --quiet && cradle device add pump-0001 --model P100 --quiet
cradle station add station-7 --lines pumps --out "$T/station" --quiet; ok $? "a station"
W=$T/work
mkdir "$W"
cp "$SITE/trust/log.pub" "$W/log.pub"
cp "$SITE/log/checkpoint" "$W/checkpoint-of-last-year"
cp "$SITE/ca/bundle.pem" "$W/bundle.pem"
cp "$SITE/ca/device.pem" "$W/device-ca.pem"
printf 'uid = pump-0001\nstate_dir = %s\nest_url = %s\nca_file = %s\nenroll_cert = %s\nenroll_key = %s\n' "$T/state" "$HTTPS" "$SITE/ca/bundle.pem" \
    "$T/station/station-7.pem" "$T/station/station-7.key" >"$T/agent.conf"
cradle-agent -c "$T/agent.conf" enroll >"$T/enroll.log" 2>&1; ok $? "a device is born"
cp "$T/state/current/cert.pem" "$W/device.pem"
settled() { [ "$(sed -n 2p "$SITE/log/checkpoint")" = "$(curl -s $ADMIN "$HTTPS/api/v1/status" | jq -r .nseq)" ]; }
wait_for 20 settled; ok $? "its events are in the published log"

for n in 1 2 3; do block $n >"$T/block$n"; done
is "$(grep -c cradle "$T/block1") $(grep -c 'cradle' "$T/block2" "$T/block3" | tr '\n' ' ')" "4 $T/block2:0 $T/block3:0 " "the page has three blocks, two without cradle"
out=$(cd "$W" && sh -e "$T/block1" 2>&1); is $? 0 "the check with cradle"
has "$out" "continues the older checkpoint" "which the log continues"
has "$out" "^pump-0001$" "with the device's timeline"
third_party() { ( cd "$W" && PATH=/usr/bin:/bin sh "$T/block2" 2>&1 ); }
out=$(third_party)
has "$out" "^The leaves give the root\.$" "jq and sha256sum: the leaves give the root"
has "$out" "^Signature Verified Successfully$" "openssl: the signature of the checkpoint"
is "$(cat "$W/tree")" "$(cd "$W" && cradle evidence verify log.jsonl --log-key log.pub --json | jq -r .root)" "the root is the one that cradle prints"

out=$(cd "$W" && PATH=/usr/bin:/bin bash -e "$T/block3" 2>&1); is $? 0 "CRL and OCSP by curl and openssl"
has "$out" "^device.pem: OK" "the certificate is not on its list"
has "$out" "^device.pem: good" "OCSP says good"
cradle device revoke pump-0001 --reason keyCompromise --quiet; ok $? "the device is revoked"
listed() { ! ( cd "$W" && PATH=/usr/bin:/bin bash -e "$T/block3" ) >"$T/block3.out" 2>&1; }
wait_for 20 listed; ok $? "its certificate comes onto the list"
has "$(cat "$T/block3.out")" "certificate revoked" "openssl verify refuses it"

cp "$W/log.jsonl" "$T/good.jsonl"
sed 's/pump-0001/pump-0002/' "$T/good.jsonl" >"$W/log.jsonl"
! cmp -s "$T/good.jsonl" "$W/log.jsonl"; ok $? "the export is changed"
out=$(third_party)
! printf '%s' "$out" | grep -q 'give the root'; ok $? "jq and sha256sum: its leaves do not give the root"
{ sed '$d' "$T/good.jsonl"; tail -n 1 "$T/good.jsonl" | sed 's/\\u000a[0-9]*\\u000a/\\u000a99\\u000a/'; } >"$W/log.jsonl"
has "$(third_party)" "Verification Failure" "openssl: a changed checkpoint does not verify"
finish
