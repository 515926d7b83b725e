#!/bin/sh
# rollout_cli.sh: what people see of rollouts: drafts with the devices that match, approval by somebody else, bars, members, the pause that
# follows failures, who runs a release and who is behind, and what one device has run; on a real site, devices played by curl.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
need openssl openssl; need jq jq; need curl curl
HOME=$T/home; XDG_CONFIG_HOME=$T/home/config; export HOME XDG_CONFIG_HOME
run() { out=$("$@" 2>&1); rc=$?; }
site_init || finish
site_start; ok $? "a site"
cradle line add vib --quiet; cradle model add vib-1 --line vib --quiet
cradle operator add alice --role operator --out "$T/alice" >"$T/log" 2>&1; ok $? "a second person"
alice() { (unset CRADLE_SITE; XDG_CONFIG_HOME=$T/alice/config; export XDG_CONFIG_HOME; exec "$@"); }
mkdir -p "$T/alice/config"
alice cradle profile set --url "$HTTPS/" --ca "$SITE/ca/bundle.pem" --cert "$T/alice/alice.pem" --key "$T/alice/alice.key" --quiet; ok $? "with a profile of their own"
cradle station add st --out "$T/st" >>"$T/log" 2>&1; ok $? "a station"
enroll() { # UID
    cradle device add "$1" --model vib-1 --quiet && key "$T/$1" && csr "$T/$1" "/CN=$1" &&
        curl -sf --cacert "$SITE/ca/bundle.pem" --cert "$T/st/st.pem" --key "$T/st/st.key" -H 'Content-Type: application/pkcs10' \
            --data-binary @"$T/$1.csr" "$HTTPS/.well-known/est/simpleenroll" | openssl base64 -d | openssl pkcs7 -inform DER -print_certs >"$T/$1.pem"
}
for d in v1 v2 v3 v4; do enroll $d || break; done; ok $? "four devices"
dev() { d=$1; shift; curl -s -m 10 --cacert "$SITE/ca/bundle.pem" --cert "$T/$d.pem" --key "$T/$d.key" -H 'Content-Type: application/json' "$@"; }
poll() { dev "$1" "$HTTPS/update/v1/poll?version=$2"; }
report() { dev "$1" -d "{\"sequence\":$2,\"state\":\"$3\",\"version\":\"$4\",\"reason\":\"$5\"}" "$HTTPS/update/v1/report" >/dev/null; } # device sequence state version reason
ready() { [ "$(poll "$1" "$2" | jq -r .state)" = ready ]; }
for d in v1 v2 v3 v4; do report $d 0 running 1.0.0 ""; done
cradle device tag v1 --add canary --quiet; ok $? "one is a canary"

ceremony "$SITE/trust"; head -c 5000 /dev/urandom >"$T/fw1.bin"; head -c 5000 /dev/urandom >"$T/fw.bin"
release_make "$T/fw1.bin" r1 1.0.0 1 && SUPPORT_END=$(date -ud '+40 days' +%F) && release_make "$T/fw.bin" r7 1.7.0 1 && cradle tuf publish "$R" --quiet; ok $? "two releases are published"
cradle artifact upload "$T/fw.bin" --quiet; ok $? "the file is in the depot"

run cradle rollout create x --line vib --release r7 --wave 1; has "$rc$out" "^0" "a wave of one device"
cradle rollout cancel x --quiet
run cradle rollout create bad --line vib --release r7; is $rc 2 "a rollout without waves: exit code"
run cradle rollout create bad --line vib --release r7 --wave 300%; is $rc 2 "a wave of 300 %: exit code"; has "$out" "share .1% to 100%." "and what a wave is"
run cradle rollout create bad --line vib --release r7 --wave 1%,soak=x; is $rc 2 "a soak that is no time: exit code"
run cradle rollout create bad --line vib --release r99 --wave 1%; is $rc 4 "an unknown release: exit code"
run cradle rollout create r7-all --line vib --release r7 --model vib-1 --wave tag=canary,success=100,errors=0 --wave 100%,success=90,errors=0 --dry-run
is $rc 0 "a dry run"; has "$out" "^4 devices match" "says how many devices match"
has "$(cradle rollout create x --line vib --release r7 --version 1.0.0 --tag canary --wave 1 --dry-run)" "^1 device matches" "also of those that run a version"
is "$(cradle rollout list --json | jq '[.items[] | select(.name == "r7-all")] | length')" 0 "and makes nothing"
run cradle rollout create r7-all --line vib --release r7 --model vib-1 --wave tag=canary,success=100,errors=0 --wave 100%,success=90,errors=0 --note 'try'
is $rc 0 "the rollout is drafted"; has "$out" "approve r7-all" "the next step is named"
run cradle rollout approve r7-all; [ $rc != 0 ]; ok $? "who made it does not approve it"
run cradle rollout start r7-all; [ $rc != 0 ]; ok $? "without an approval it does not start"; has "$out" "gate|approv" "and says why"
alice cradle rollout approve r7-all --quiet; ok $? "somebody else does"
run cradle rollout start r7-all; is $rc 0 "it starts"; has "$out" "is running.*next: cradle rollout watch r7-all" "and says so, and what is next"; echo "$out" | sed 's/^/# /'
run cradle rollout show r7-all; has "$out" "^wave 1  tag canary " "a bar for each wave"; has "$out" "^Approved by alice" "who approved"

wait_for 20 ready v1 1.0.0; ok $? "the canary is offered it"
is "$(poll v2 1.0.0 | jq -r .state)" idle "the others are not"
seq=$(poll v1 1.0.0 | jq .sequence)
report v1 "$seq" installed 1.0.0 ""; report v1 "$seq" confirmed 1.7.0 ""
wait_for 20 ready v2 1.0.0; ok $? "confirmed by the canary, the next wave opens"
is "$(cradle rollout show r7-all --json | jq -c '[.waves[0].counts.confirmed, .waves[0].counts.total]')" "[1,1]" "the first wave is through"
has "$(cradle rollout show r7-all)" "\[########################################\] 1 of 1 confirmed" "its bar is full"
report v2 "$(poll v2 1.0.0 | jq .sequence)" failed 1.0.0 bad-digest
paused() { [ "$(cradle rollout show r7-all --json | jq -r .state)" = paused ]; }
wait_for 20 paused; ok $? "a failure pauses it"
run cradle rollout watch r7-all --once; [ $rc != 0 ]; ok $? "watch ends with an exit code that says so"; has "$out" "paused: ." "and why"
is "$(cradle rollout devices r7-all --state failed --json | jq -r '.items[] | "\(.uid) \(.reason)"')" "v2 bad-digest" "who failed, and why"
run cradle status; has "$out" "warning: rollout r7-all is paused for .*threshold of wave 2.*; cradle rollout show r7-all" "the status says that it is paused, and why"
has "$out" "warning: support of release r7 of line vib ends in 40 days, and 1 of the devices run it" "and that support ends of what a device runs"
cradle tuf rotate "$R" targets --expires 20d --quiet && both_sign targets && cradle tuf publish "$R" --quiet; ok $? "targets for twenty days"
run cradle status; has "$out" "warning: update metadata of targets ends in (19|20) days; cradle tuf rotate DIR targets, sign, publish" "the status says that they end"
is "$(cradle status --json | jq -c '[(.updates.metadata | map(.role) | sort | join(" ")), .updates.depot.fronts_without]')" '["root snapshot targets timestamp vib",0]' \
    "as JSON too, with the depot in place"
run cradle rollout resume r7-all --note 'one bad flash'; is $rc 0 "somebody lets it go on"
has "$(cradle rollout list)" "^r7-all +running " "the list says so"

is "$(cradle release show vib r7 --json | jq -c '[.on, .behind, .behind_exact, (.rollouts | map(.name) | index("r7-all") != null)]')" '[1,3,true,true]' "a release: how many run it, how many less, which rollouts"
is "$(cradle release show vib r7 --on --json | jq -r '.items[].uid')" v1 "who runs it"
is "$(cradle release show vib r7 --behind --json | jq -r '[.items[].uid] | join(" ")')" "v2 v3 v4" "who is behind"
api "$HTTPS/metrics" >"$T/metrics"; metric() { awk -v n="$1" '$1 == n { s += $2 } END { print s + 0 }' "$T/metrics"; }
is "$(metric 'cradle_orders_total{state="confirmed"}') $(metric 'cradle_orders_total{state="failed"}') $(metric 'cradle_orders_total{state="installed"}')" "1 1 1" "the metrics: orders by what became of them"
is "$(metric 'cradle_rollouts{state="running"}') $(metric 'cradle_rollouts{state="cancelled"}')" "1 1" "rollouts by state"
is "$(metric 'cradle_rollout_devices{state="confirmed"}') $(metric 'cradle_rollout_devices{state="failed"}')" "1 1" "devices of those that run, by state"
is "$(metric cradle_update_reports_total)" 7 "reports"; [ "$(metric cradle_update_polls_total)" -ge 4 ] && grep -q "^cradle_front_downloads_total" "$T/metrics"; ok $? "polls and downloads"
run cradle release show vib r99; is $rc 4 "an unknown release: exit code"
is "$(cradle device firmware v1 --json | jq -r '[.items[] | select(.kind == "firmware-confirmed") | .release, .approvals[0].by, (.sbom_sha256 | length)] | join(" ")')" \
    "r7 alice 64" "what a device has run: the release, who approved, which parts list"
run cradle device firmware nobody; is $rc 4 "of an unknown device: exit code"
curl -sN -m 60 --cacert "$SITE/ca/bundle.pem" --cert "$T/alice/alice.pem" --key "$T/alice/alice.key" "$HTTPS/api/v1/rollouts/r7-all/stream" >"$T/sse" & SSE=$!; own $SSE
events() { [ "$(grep -c '^event: progress$' "$T/sse")" -ge "$1" ]; }
wait_for 10 events 1; ok $? "a stream of the rollout begins with how far it is"
role_pids() { for p in $(cat /proc/"$CRADLED"/task/"$CRADLED"/children); do tr '\0' ' ' <"/proc/$p/cmdline" | grep -q "^cradled -x $1:" && echo "$p"; done; }
cradle rollout watch r7-all --json >"$T/watch" 2>"$T/watch.err" & WATCH=$!; own $WATCH
lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }
wait_for 10 lines "$T/watch" 1; ok $? "watch begins with how far it is"
kill -9 $(role_pids front)
wait_for 10 grep -q "no stream, asking now and then" "$T/watch.err"; ok $? "the fronts are killed: watch says that its stream broke"
wait_for 20 grep -q "following the stream again" "$T/watch.err"; ok $? "and follows it again when they are back"; sed 's/^/# /' "$T/watch.err"
kill "$SSE"; wait "$SSE" 2>/dev/null
curl -sN -m 60 --cacert "$SITE/ca/bundle.pem" --cert "$T/alice/alice.pem" --key "$T/alice/alice.key" "$HTTPS/api/v1/rollouts/r7-all/stream" >"$T/sse" & SSE=$!; own $SSE
wait_for 10 events 1
report v3 "$(poll v3 1.0.0 | jq .sequence)" confirmed 1.7.0 ""
wait_for 10 events 2; ok $? "and says each change"
is "$(sed -n 's/^data: //p' "$T/sse" | tail -n 1 | jq -c '[.name, .counts.failed]')" '["r7-all",1]' "as GET rollouts/NAME does"
is "$(api -o /dev/null -w '%{http_code}' "$HTTPS/api/v1/rollouts/none/stream")" 404 "of an unknown rollout there is none"
wait_for 10 lines "$T/watch" 2; ok $? "watch printed the change"
cradle operator add bob --role operator --out "$T/bob" --quiet && mkdir -p "$T/bob/config" && XDG_CONFIG_HOME=$T/bob/config cradle profile set --url "$HTTPS/" --ca "$SITE/ca/bundle.pem" --cert "$T/bob/bob.pem" --key "$T/bob/bob.key" --quiet
(unset CRADLE_SITE; XDG_CONFIG_HOME=$T/bob/config exec cradle rollout watch r7-all --json) >"$T/bob.out" 2>"$T/bob.err" & BOB=$!; own $BOB
wait_for 10 lines "$T/bob.out" 1; ok $? "a third person watches too"
cradle operator remove bob --quiet; ok $? "and is removed"
wait "$BOB"; is $? 3 "their watch ends: exit code"; sed 's/^/# /' "$T/bob.err"
run cradle rollout cancel r7-all; is $rc 0 "it is cancelled"
wait "$WATCH"; is $? 0 "watch ends by itself"; is "$(tail -n 1 "$T/watch" | jq -r .state)" cancelled "with the last state"
wait "$SSE"; is $? 0 "the stream ends by itself when the rollout is over"
is "$(sed -n 's/^data: //p' "$T/sse" | tail -n 1 | jq -r .state)" cancelled "with the last event first"
run cradle rollout watch r7-all --json; is "$rc $(echo "$out" | jq -r .state)" "0 cancelled" "watch of one that is over"
run cradle rollout show none; is $rc 4 "an unknown rollout: exit code"
kill "$CRADLED"; wait "$CRADLED" 2>/dev/null
cradled -f "$SITE" >"$T/log" 2>&1; ok $? "the events give the tables"; sed 's/^/# /' "$T/log" | tail -3
finish
