#!/bin/sh
# log_thirdparty.sh: the running service's log, judged by programs that are not ours: inclusion proofs by t/tool/rfc6962, tiles and
# checkpoint over HTTPS by curl and od, the export by jq and sha256sum; then repair of lost tiles and the refusal to start on a
# database that is older than what was published.
. t/lib.sh
need jq jq
site_init || { ok 1 "a site"; finish; }
site_start || { ok 1 "cradled starts"; finish; }
LOG=$SITE/log
size() { sed -n 2p "$LOG/checkpoint"; }
published() { [ "$(size)" -ge "$1" ]; }
cradle line add pump --quiet && cradle model add p100 --line pump --quiet
seq 1 300 | sed 's/.*/dev-&,SN&,p100,b1,DE/' >"$T/devices.csv"
{ echo uid,serial,model,batch,country; cat "$T/devices.csv"; } >"$T/with_head.csv"
cradle device add --csv "$T/with_head.csv" --quiet >"$T/csv.out" 2>&1
is "$(cradle device list --json | jq '.items|length')" 300 "300 devices"
cp "$LOG/checkpoint" "$T/first.checkpoint"
cradle device revoke dev-7 --reason keyCompromise --quiet >"$T/revoke.out" 2>&1; ok $? "one is revoked"
wait_for 20 published 320; ok $? "their events are in the published log ($(size) leaves)"
wait_for 20 sh -c "[ \$(sed -n 2p $LOG/checkpoint) = \$(curl -s $ADMIN $HTTPS/api/v1/status | jq -r .nseq) ]"; ok $? "all of them"

# -- proofs
n=$(size)
i=0; bad=0
while [ "$i" -lt "$n" ]; do cradle evidence proof "$i" | grep '^inclusion' >>"$T/proofs" || bad=$((bad + 1)); i=$((i + 13)); done
is "$bad" 0 "a proof of every thirteenth leaf"
"$B/t/rfc6962" <"$T/proofs" >"$T/verdicts"; is $? 0 "the independent verifier accepts them"
is "$(sort -u "$T/verdicts")" ok "each of them"
sed 's/0$/z/; s/[1-9a-f]$/0/; s/z$/1/' "$T/proofs" | "$B/t/rfc6962" | sort -u >"$T/verdicts"
is "$(cat "$T/verdicts")" bad "and refuses each with its last digit changed"
sed 's/^inclusion \([0-9]*\)/inclusion 1\1/' "$T/proofs" | "$B/t/rfc6962" | sort -u >"$T/verdicts"
is "$(cat "$T/verdicts")" bad "and each for another index"

# -- tiles and checkpoint as anybody gets them
CURL="curl -sf --cacert $SITE/ca/bundle.pem"
$CURL "$HTTPS/log/checkpoint" >"$T/served"; ok $? "the checkpoint is served"
is "$(head -n 1 "$T/served")" "$(cut -d+ -f1 "$SITE/trust/log.pub")" "its origin is the key's name"
$CURL "$HTTPS/log/tile/0/000" >"$T/tile0" && $CURL "$HTTPS/log/tile/entries/000" >"$T/bundle0"; ok $? "full tiles are served"
is "$(wc -c <"$T/tile0") $(wc -c <"$T/bundle0")" "8192 8704" "256 hashes and 256 entries"
cradle evidence export "$T/log.jsonl" --quiet; ok $? "the log is exported"
hex() { od -An -v -tx1 | tr -d ' \n'; }
unhex() { env printf "$(sed 's/../\\x&/g')"; }
wrong=0
for i in 0 1 5 77 255; do
    leaf=$(sed -n $((i + 2))p "$T/log.jsonl")
    entry=$({ printf '%s' "$leaf" | jq -r .salt | tr -d '\n' | unhex; printf '%s' "$leaf" | jq -j .payload; } | sha256sum | cut -c1-64)
    hash=$({ printf '\000'; printf '%s' "$entry" | unhex; } | sha256sum | cut -c1-64)
    [ "$hash" = "$(tail -c +$((i * 32 + 1)) "$T/tile0" | head -c 32 | hex)" ] || wrong=$((wrong + 1))
    [ "0020$entry" = "$(tail -c +$((i * 34 + 1)) "$T/bundle0" | head -c 34 | hex)" ] || wrong=$((wrong + 1))
done
is "$wrong" 0 "salt and payload of the export give the tiles' hashes, by jq and sha256sum"
out=$(cradle evidence verify "$T/log.jsonl" --log-key "$SITE/trust/log.pub" --since "$T/first.checkpoint" --device dev-7 2>&1); is $? 0 "the export verifies offline and continues the first checkpoint"
has "$out" "to=revoked reason=keyCompromise" "the timeline tells of the revocation"

# -- lost tiles come back, an older database does not get in
site_stop; ok $? "cradled stops"
cp -a "$SITE/db" "$T/db.old"
rm "$LOG/tile/0/000" && rm -r "$LOG"/tile/entries/001*
site_start; ok $? "it starts without three tiles"
cmp -s "$LOG/tile/0/000" "$T/tile0"; ok $? "and has made them again, byte by byte"
wait_for 20 sh -c "cradle event list --kind repaired --json | jq -ne 'input | .items[].payload|select(.what==\"log-tiles\")'"; ok $? "an event says so"
cradle device add late-1 --model p100 --quiet
wait_for 20 published $((n + 2)); ok $? "the log goes on"
cradle evidence export "$T/later.jsonl" --quiet && cradle evidence verify "$T/later.jsonl" --since "$T/served" --quiet; is $? 0 "and continues what was published"
site_stop
rm -rf "$SITE/db" && cp -a "$T/db.old" "$SITE/db"
timeout 30 cradled "$SITE" >"$T/rollback.log" 2>&1; [ $? != 0 ] && [ $? != 124 ]; ok $? "with yesterday's database it does not start"
has "$(cat "$T/rollback.log")" "older than the published checkpoint" "and says why"
has "$(cat "$T/rollback.log")" "restore the newest backup" "and what to do"
finish
