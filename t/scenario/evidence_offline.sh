#!/bin/sh
# evidence_offline.sh: `cradle evidence verify` against exports that another program made (t/tool/mklog): good histories pass, and
# every kind of manipulation and of forbidden history ends with exit code 7 and a text that says what is wrong.
. t/lib.sh
need jq jq
K=00112233445566778899aabbccddeeff00112233
ev() { # kind device rev more: one payload
    printf '{"at":"2026-11-20T22:57:00.000Z","kind":"%s"%s%s}\n' "$1" "${2:+,\"device\":\"$2\",\"rev\":$3}" "${4:+,$4}"
}
state() { ev device-state "$1" "$2" "\"from\":\"$3\",\"to\":\"$4\",\"reason\":\"\",\"note\":\"\",\"by\":\"admin\""; }
cert() { # kind device rev serial [more]
    ev "$1" "$2" "$3" "\"kid\":\"$K\",\"serial\":\"$4\",\"holder_kind\":2,\"holder\":\"$2\",\"spki\":\"$(printf '%064d' 7)\"${5:+,$5}"
}
life() { # a whole device's life
    ev site-created "" "" '"name":"acme"'
    ev device-added pump-1 1 '"model":"p100","line":"pump","by":"admin"'
    cert cert-intent pump-1 0 41aa
    cert cert-issued pump-1 2 41aa '"run":"0011223344556677","counter":1'
    state pump-1 3 registered provisioned
    state pump-1 4 provisioned active
    ev cut pump-1 0 '"edge":"e1","latency_us":900'
    state pump-1 5 active suspended
    cert cert-revoked pump-1 0 41aa '"status":2'
    state pump-1 6 suspended active
    cert cert-revoked pump-1 0 41aa '"status":0'
    cert cert-intent pump-1 0 42bb
    cert cert-issued pump-1 7 42bb '"run":"0011223344556677","counter":2'
    state pump-1 8 active revoked
    cert cert-revoked pump-1 0 41aa '"status":1'
    cert cert-revoked pump-1 0 42bb '"status":1'
}
make_log() { "$B/t/mklog" acme.example/log "${2:-key one}" "$T/$1"; }
verify() { # name options...: prints the output, sets rc
    name=$1; shift
    out=$(cradle evidence verify "$T/$name.jsonl" --log-key "$T/$name.pub" "$@" 2>&1); rc=$?
}
unhex() { env printf "$(sed 's/../\\x&/g')"; }
bad() { # name pattern: the history in $T/h must be refused
    make_log "$1" <"$T/h"
    verify "$1"
    is "$rc" 7 "$1: exit code 7"
    has "$out" "$2" "$1: says $2"
}

# -- a good log, read by hand as well
life | make_log good
verify good
is "$rc" 0 "a good log of another maker verifies"
has "$out" "rev=8.*to=revoked" "and prints the timeline"
has "$out" "proof of 4 hashes" "with inclusion proofs"
has "$out" "2 signatures of the CAs' keys are accounted for" "and tells that the signer's account has no gap"
verify good --json
is "$(printf '%s' "$out" | jq -c '[.ok,.size,.devices,.certificates,(.timelines|length)]')" '[true,16,1,2,1]' "the JSON says the same"
verify good --device nobody
is "$rc" 4 "a device that is not in the log: exit code 4"
leaf=$(sed -n 3p "$T/good.jsonl")
entry=$( { printf '%s' "$leaf" | jq -r .salt | unhex; printf '%s' "$leaf" | jq -j .payload; } | sha256sum | cut -c1-64)
hash=$( { printf '\000'; printf '%s' "$entry" | unhex; } | sha256sum | cut -c1-64)
is "$(sed -n 3p "$T/good.jsonl" | jq -r .index)" 1 "leaf 1 by jq"
[ ${#hash} = 64 ]; ok $? "its hash by sha256sum"
printf '%s\n' '{"at":"x","kind":"refused\u001b[2J","slot":1,"nseq":1,"device":"x\u001b[2J\u009b31m\u202eok","rev":0,"reason":"\u001b[31m"}' | make_log hostile
verify hostile
has "$out" '^x\?\[2J\?31m\?ok ' "an export cannot steer the terminal of who verifies it"
printf '%s' "$out" | LC_ALL=C grep -q "$(printf '[\001-\010\013-\037]')"; ok $((! $?)) "not by any field"
seq 1 300 | sed 's/.*/{"at":"x","kind":"n&"}/' | make_log many
verify many
is "$rc" 0 "300 leaves verify"
: | make_log empty
verify empty
is "$rc" 0 "an empty log verifies"

{ life | head -n 6; state pump-1 5 active quarantined; state pump-1 6 quarantined suspended; state pump-1 7 suspended quarantined; state pump-1 8 quarantined active; } | make_log quarantine
verify quarantine
is "$rc" 0 "quarantine begins and ends"

# -- older checkpoints
life | head -n 7 | make_log old
verify good --since "$T/old.checkpoint"
is "$rc" 0 "the log continues an older checkpoint"
has "$out" "older checkpoint of 7 leaves" "and says so"
{ life | head -n 6; ev other "" ""; } | make_log fork
verify good --since "$T/fork.checkpoint"
is "$rc" 7 "a checkpoint of another history: exit code 7"
has "$out" "history was rewritten" "and says so"
verify old --since "$T/good.checkpoint"
is "$rc" 7 "an older checkpoint that is larger: exit code 7"
has "$out" "rolled back" "and says so"
: | make_log none
verify good --since "$T/none.checkpoint"
is "$rc" 0 "an older checkpoint of no leaves is continued by every log"
life | head -n 7 | make_log strange "another key"
verify good --since "$T/strange.checkpoint"
is "$rc" 7 "an older checkpoint by another key: exit code 7"

# -- manipulated files
life | make_log otherkey "key two"
out=$(cradle evidence verify "$T/good.jsonl" --log-key "$T/otherkey.pub" 2>&1); is $? 7 "another log's key: exit code 7"
change() { # name sed-script pattern
    sed "$2" "$T/good.jsonl" >"$T/$1.jsonl"; cp "$T/good.pub" "$T/$1.pub"
    cmp -s "$T/good.jsonl" "$T/$1.jsonl" && { ok 1 "$1: the script changed nothing"; return; }
    verify "$1"
    is "$rc" 7 "$1: exit code 7"
    has "$out" "$3" "$1: says $3"
}
change payload_changed '9s/suspended/activated/' 'leaf was changed|not allowed'
change salt_changed '5s/"salt":"./"salt":"x/' 'not 64 hex'
change leaf_removed '6d' 'missing or moved'
change leaves_swapped '6{h;d};7{G}' 'missing or moved'
change leaf_twice '4p' 'missing or moved'
change cut_off '12,$d' 'cut off'
change header_removed '1d' 'no header'
change header_size '1s/"size":16/"size":15/' 'header says 15'
change header_origin '1s/acme.example/acne.example/' 'origin'
change index_changed '8s/"index":6/"index":60/' 'leaf 60 stands'
change slot_changed '8s/"slot":1/"slot":2/' 'must be dense'
change checkpoint_size '$s/\\n16\\n/\\n17\\n/' 'does not verify'
change erased_falsely '5s/"salt":"[0-9a-f]*","payload":".*"}$/"salt":null,"payload":null,"leaf":"0000000000000000000000000000000000000000000000000000000000000000"}/' 'leaf was changed'
change garbage '7s/^.*$/garbage/' 'evidence export'
change extra_line '$p' 'after the checkpoint'
# every byte of one leaf's line
bad_bytes=0
line=$(sed -n 9p "$T/good.jsonl")
for at in 3 12 25 31 50 70 100 120 140 160 180; do
    head -c $((at - 1)) <<X >"$T/a"
$line
X
    { sed -n 1,8p "$T/good.jsonl"; cat "$T/a"; printf 'Q'; printf '%s\n' "$line" | tail -c +$((at + 1)); sed -n '10,$p' "$T/good.jsonl"; } >"$T/byte.jsonl"
    cp "$T/good.pub" "$T/byte.pub"
    verify byte
    [ "$rc" = 7 ] || { bad_bytes=$((bad_bytes + 1)); echo "# byte $at: exit code $rc"; }
done
is "$bad_bytes" 0 "a changed byte anywhere in a leaf is found"
# an erased leaf keeps the tree
sed "3s/\"salt\":\"[0-9a-f]*\",\"payload\":.*\$/\"salt\":null,\"payload\":null,\"leaf\":\"$entry\"}/" "$T/good.jsonl" >"$T/erased.jsonl"; cp "$T/good.pub" "$T/erased.pub"
verify erased
is "$rc" 0 "an erased leaf leaves every proof valid (its hash made by sha256sum)"
has "$out" "1 leaves are erased" "and is told"

# -- histories that were signed, and must not be
{ life | head -n 3; printf '!9 {"at":"x","kind":"y"}\n'; } >"$T/h"; bad hole 'from event 3 to 9'
{ life; state pump-1 9 revoked active; } >"$T/h"; bad back_from_revoked 'final'
{ life | head -n 2; state pump-1 2 registered decommissioned; state pump-1 3 decommissioned registered; } >"$T/h"; bad back_from_end 'final'
{ life | head -n 2; state pump-1 2 registered active; } >"$T/h"; bad shortcut 'not allowed'
{ life | head -n 2; state pump-1 2 registered quarantined; } >"$T/h"; bad quarantine_early 'not allowed'
{ life | head -n 2; state pump-1 2 active suspended; } >"$T/h"; bad wrong_from 'not in'
{ life | head -n 2; state pump-1 2 registered provisioned; state pump-1 2 provisioned active; } >"$T/h"; bad rev_twice 'two changes with rev 2'
{ life | head -n 2; state pump-1 5 registered provisioned; } >"$T/h"; bad rev_gap 'a change is missing'
{ life | head -n 2; state pump-1 3 provisioned active; state pump-1 2 registered provisioned; } >"$T/h"; bad rev_back 'before a lower one'
{ life | head -n 2; ev device-added pump-1 2; } >"$T/h"; bad added_twice 'second time'
state pump-9 1 registered active >"$T/h"; bad never_added 'before it is registered'
{ life | head -n 2; cert cert-issued pump-1 2 41aa; } >"$T/h"; bad no_intent 'without an intent'
{ life | head -n 4; cert cert-issued pump-1 3 41aa; } >"$T/h"; bad issued_twice 'issued already'
{ life | head -n 3; cert cert-orphan pump-1 0 41aa; cert cert-issued pump-1 2 41aa; } >"$T/h"; bad orphan_issued 'orphan'
{ life | head -n 3; cert cert-issued pump-1 2 41aa | sed 's/7"/8"/; s/"spki":"0/"spki":"1/'; } >"$T/h"; bad other_key 'another key'
{ life; cert cert-revoked pump-1 0 41aa '"status":0'; } >"$T/h"; bad cert_back 'final'
{ life; cert cert-intent pump-1 0 43cc; cert cert-issued pump-1 9 43cc; } >"$T/h"; bad issued_after_end 'after its end'
{ life | head -n 4; cert cert-intent pump-1 0 42bb; cert cert-issued pump-1 3 42bb '"run":"0011223344556677","counter":1'; } >"$T/h"; bad counter_twice 'number 1 of the signer stands in two events'
# the account of the CAs' keys: 3 of 5 is in no event, and the log goes on for minutes
signed() { ev "$1" "" "" "\"kid\":\"$K\",\"run\":\"${3:-0011223344556677}\",\"counter\":$2"; }
later() { ev "${1:-stale}" "" "" '"edge":"e1"' | sed 's/T22:57/T23:57/'; }
account() { life; signed crl-published 4; signed signature-unused 5; }
{ account; later; } >"$T/h"; bad gap 'made 1 signatures that are in no event .numbers 3 to 3'
{ account; later; cert cert-orphan "" 0 44dd | sed "s/$K/${K%33}44/"; } >"$T/h"; bad gap_of_other_key 'in no event'
{ life; cert cert-orphan pump-1 0 44dd; signed crl-published 4; later; } >"$T/h"; bad orphan_before 'in no event'
{ account; signed crl-published 2 8899aabbccddeeff; later; } | sed '/"counter":5/d' >"$T/h"; bad gap_in_second_run 'numbers 1 to 1'
{ life; signed crl-published 0; } >"$T/h"; bad no_number 'no number of the signer'
good() { make_log "$1" <"$T/h"; verify "$1"; is "$rc" 0 "$1: verifies"; has "$out" "$2" "$1: says $2"; }
{ account; signed crl-published 3; signed crl-published 1 8899aabbccddeeff; later; } >"$T/h"; good whole_account '6 signatures .* in 2 runs'
account >"$T/h"; good on_the_way '1 signatures were on their way'
{ account; cert cert-intent "" 0 44dd; cert cert-orphan "" 0 44dd; later; } >"$T/h"; good cut_off_by_crash '1 signatures may be those'
{ life | head -n 2; echo 'no JSON'; } >"$T/h"; bad no_json 'not a JSON object'

# -- what more than one person must have agreed to
job() { # what id more
    case $1 in
    created) ev mass-created "" "" "\"id\":$2,\"state\":\"suspended\",\"note\":\"\",\"by\":\"$3\"" ;;
    listed) ev mass-listed "" "" "\"id\":$2,\"uids\":\"$3\"" ;;
    counted) ev mass-counted "" "" "\"id\":$2,\"matched\":$3" ;;
    confirmed) ev mass-confirmed "" "" "\"id\":$2,\"matched\":$3,\"second\":$5,\"limit\":$6,\"note\":\"\",\"by\":\"$4\"" ;;
    esac
}
jobbed() { state "$1" "$2" "$3" "$4" | sed "s/\"by\":\"admin\"/&,\"job\":$5/"; }
two() { ev device-added pump-1 1 '"model":"p100","line":"pump"'; ev device-added pump-2 1 '"model":"p100","line":"pump"'; job created 1 admin; job listed 1 'pump-1\npump-2\n'; job counted 1 2; }
{ two; job confirmed 1 2 olga true 1; jobbed pump-1 2 registered suspended 1; jobbed pump-2 2 registered suspended 1; } >"$T/h"
good mass 'mass change 1: 2 of 2 devices were changed, confirmed by a second person'
{ two; job confirmed 1 2 admin false 5; jobbed pump-1 2 registered suspended 1; } >"$T/h"; good mass_few 'confirmed by its maker'
{ two; job confirmed 1 2 admin false 1; } >"$T/h"; bad mass_self 'confirmed by its maker; more than 1 take somebody else'
{ two; job confirmed 1 2 admin true 1; } >"$T/h"; bad mass_lie 'who confirmed is not who the event says'
{ two; job confirmed 1 3 olga true 1; } >"$T/h"; bad mass_number 'another number than was counted'
{ two; jobbed pump-1 2 registered suspended 1; job confirmed 1 2 olga true 1; } >"$T/h"; bad mass_before 'which was not confirmed'
{ two; job confirmed 1 2 olga true 1; ev device-added pump-3 1; jobbed pump-3 2 registered suspended 1; } >"$T/h"; bad mass_other 'which it is not in'
{ two; job confirmed 1 2 olga true 1; job listed 1 'pump-3\n'; } >"$T/h"; bad mass_late 'after it was confirmed'
{ ev device-added pump-1 1; jobbed pump-1 2 registered suspended 7; } >"$T/h"; bad mass_none 'mass change 7, which was not confirmed'
KEY=$(printf '%064d' 7)
asked() { ev enroll-requested pump-1 0 "\"spki\":\"$KEY\",\"line\":\"pump\",\"by\":\"$1\""; }
approved() { ev enroll-approved pump-1 0 "\"spki\":\"$KEY\",\"proto\":\"est\",\"by\":\"$1\""; }
wants() { ev device-added pump-1 1 '"model":"p100","line":"pump"'; ev line-enroll "" "" '"name":"pump","approval":true,"by":"admin"'; }
first() { cert cert-intent pump-1 0 41aa; cert cert-issued pump-1 2 41aa '"run":"0011223344556677","counter":1'; }
{ wants; asked st1; approved olga; first; cert cert-intent pump-1 0 42bb | sed "s/$KEY/$(printf '%064d' 8)/"; } >"$T/h"; good approved 'still open'
{ wants; first; } >"$T/h"; bad unapproved 'nobody approved it, as its line pump wants'
{ wants; asked st1; approved st1; first; } >"$T/h"; bad approved_self 'who asked for its enrollment approved it'
{ wants; approved olga; first; } >"$T/h"; bad approved_unasked 'nobody asked for'
{ wants; asked st1; first; approved olga; } >"$T/h"; bad approved_late 'nobody approved it'
ca() { ev ca-added "" "" "\"name\":\"device\",\"kid\":\"$1\",\"der\":\"\""; }
{ ca $K; life; } >"$T/h"; good ca_known 'accounted for'
{ ca "${K%33}44"; life; } >"$T/h"; bad ca_unknown 'a CA that the log does not know'
{ ca $K; ev ca-state "" "" '"name":"device","use":"device","state":"retired"'; life; } >"$T/h"; bad ca_retired 'by CA device, which is retired'

# -- usage
cradle evidence verify "$T/nothing.jsonl" --log-key "$T/good.pub" >/dev/null 2>&1; is $? 4 "a file that is not there: exit code 4"
cradle evidence verify "$T/good.jsonl" --log-key "$T/good.jsonl" >/dev/null 2>&1; is $? 2 "a key file that is none: exit code 2"
finish
