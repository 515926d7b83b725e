#!/bin/sh
# tuf_ceremony.sh: a release ceremony on paper and USB stick: keys, root by two of three, signers of a line, rotation, a stolen key. The
# signatures are checked by openssl and jq alone.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
need openssl openssl; need jq jq
printf 'correct horse battery staple\n' >"$T/pass"; chmod 600 "$T/pass"
P="--passphrase-file $T/pass"
mkdir "$T/trust"
for n in tuf-snapshot tuf-timestamp directive; do openssl ecparam -genkey -name prime256v1 -noout 2>/dev/null | openssl ec -pubout -out "$T/trust/$n.pub" 2>/dev/null; done
cd "$T" || exit 1
for n in ann bob eve kim; do cradle tuf key $n $P --quiet; ok $? "a key for $n"; done
cradle tuf key sam --alg ed25519 $P --quiet; ok $? "an Ed25519 key for sam"
is "$(stat -c %a ann.key)" 600 "a key's file is its owner's alone"
has "$(head -n1 ann.key)" "ENCRYPTED PRIVATE KEY" "and encrypted"
cradle tuf key ann $P --quiet 2>err; is $? 5 "no key is overwritten"
cradle tuf status "$R" 2>err; is $? 4 "no ceremony there: said"
has "$(cat err)" "cradle tuf init" "with what to do"
cradle tuf init "$R" --root-key ann.pub 2>err; has "$(cat err)" "trust" "the online keys are asked for"
cradle tuf init "$R" --trust trust --root-key ann.pub --root-key bob.pub --root-key eve.pub --targets-key ann.pub 2>err; is $? 2 "two of one: refused"
init="cradle tuf init $R --trust trust --root-key ann.pub --root-key bob.pub --root-key eve.pub --targets-key ann.pub --targets-key bob.pub"
$init --quiet; ok $? "a ceremony begins"
$init --quiet 2>err; is $? 5 "it begins once"

sign() { cradle tuf sign "$R" "$1" --key "$2.key" $P --yes "${3:---quiet}"; }
state() { cradle tuf status "$R" --json | jq -r ".items[] | select(.role == \"$1\") | \"\(.version) \(.state) \(.signed_by)/\(.threshold)\""; }
is "$(state root)" "1 draft 0/2" "the root is a draft"
sign root kim 2>err; is $? 3 "a stranger's key does not sign it"
sign root ann; ok $? "ann signs"
is "$(state root)" "1 draft 1/2" "one is not enough"
sign root ann; is "$(state root)" "1 draft 1/2" "nor is one twice"
out=$(sign root eve --no-such-option 2>&1); has "$out" "no-such-option" "an unknown option is refused"
has "$(cradle tuf sign "$R" root --key eve.key $P --yes)" "root: 2 of 3 keys" "eve sees what she signs, and signs"
is "$(state root)" "1 complete 2/2" "two of three: complete"
dsse_verify "$R/1.root.json" ann.pub; ok $? "openssl verifies ann's signature"
dsse_verify "$R/1.root.json" eve.pub; ok $? "and eve's"
dsse_verify "$R/1.root.json" bob.pub; [ $? != 0 ]; ok $? "bob did not sign"
cradle tuf rotate "$R" root --threshold 3 --add sam.pub --remove "$(payload "$R/1.root.json" | jq -r '.signed // . | .roles.root.keyids[0]' | cut -c1-10)" --quiet 2>err
is $? 2 "three of root, one of them Ed25519: refused"
sign targets ann; sign targets bob
is "$(state targets)" "1 complete 2/2" "the first targets are signed"
cradle tuf sign "$R" root --key bob.key $P </dev/null >seen 2>err; is $? 2 "without a terminal nobody signs unseen"

# signers of a line
cradle tuf line "$R" vib --key ann.pub --key sam.pub 2>err; is $? 2 "two of two, one of them Ed25519, which devices do not count: refused"
has "$(cat err)" "warning: key [0-9a-f]{16} of role vib is ed25519" "with a warning that says which key"
has "$(cat err)" "has 1 P-256 keys" "and how many are left"
is "$(state targets)" "1 complete 2/2" "nothing was drafted"
cradle tuf line "$R" vib --key ann.pub --key sam.pub --not-for-devices --quiet; ok $? "a line gets its signers"
is "$(state targets)" "2 draft 0/2" "that is a change of targets"
cradle tuf line "$R" vib --key ann.pub --key sam.pub --quiet 2>err; is $? 5 "twice: refused"
sign targets ann; sign targets bob
is "$(state targets)" "2 complete 2/2" "signed"
is "$(state vib)" "0 none 0/2" "no release yet"
payload "$R/2.targets.json" | jq -e '.delegations.roles == [{"keyids": .delegations.roles[0].keyids, "name": "vib",
    "paths": ["vib/*/*"], "terminating": true, "threshold": 2}]' >/dev/null; ok $? "the delegation is for the line's own folder only"

# rotation: the new root is signed as the old one and as the new one ask
bob=$(cradle tuf key probe $P --json | jq -r .keyid); [ ${#bob} = 64 ]; ok $? "--json tells a key's identifier"
evekey=$(payload "$R/1.root.json" | jq -r --arg p "$(cat eve.pub)
" '.keys | to_entries[] | select(.value.keyval.public == $p) | .key')
cradle tuf rotate "$R" root --remove "$(printf %.10s "$evekey")" --add kim.pub --quiet; ok $? "eve leaves, kim comes"
is "$(state root)" "2 draft 0/2" "a new root is drafted"
sign root kim; sign root ann
is "$(state root)" "2 draft 1/2" "kim is none of the old root's: one old signature lacks"
sign root bob
is "$(state root)" "2 complete 2/2" "two of the old, two of the new"
sign root eve 2>err; is $? 3 "eve signs no more"

# a stolen key
annkey=$(payload "$R/1.root.json" | jq -r --arg p "$(cat ann.pub)
" '.keys | to_entries[] | select(.value.keyval.public == $p) | .key')
cradle tuf revoke-key "$R" "$(printf %.10s "$annkey")" 2>err; is $? 2 "a key that is needed is not taken away before another is there"
has "$(cat err)" "rotate" "it says what to do first"
cradle tuf rotate "$R" targets --add kim.pub --quiet; cradle tuf rotate "$R" vib --add kim.pub 2>err; ok $? "a second P-256 key for the line"
has "$(cat err)" "warning" "the warning stays"
cradle tuf revoke-key "$R" "$(printf %.10s "$annkey")" --quiet 2>err; is $? 2 "nor when what is left is no P-256 key"
cradle tuf revoke-key "$R" "$(printf %.10s "$annkey")" --not-for-devices --quiet; ok $? "then it is"
sign root bob; sign root kim
is "$(state root)" "3 complete 2/2" "the root without ann is complete"
sign targets bob; sign targets kim
is "$(state targets)" "3 complete 2/2" "the targets too"
for f in "$R"/3.*.json; do payload "$f"; done | grep -c "$annkey" >count; is "$(cat count)" 0 "ann's key is in none of them"
is "$(find "$R" -name '*.key' | wc -l)" 0 "the folder holds no private key"
printf '{"payloadType":"x"' >"$R/3.targets.json"
cradle tuf status "$R" 2>err; [ $? != 0 ] && grep -q "3.targets.json" err; ok $? "a damaged file is named"
finish
