#!/bin/sh
# cli.sh: every verb of `cradle` against a running service: what it says, its JSON, its exit code.
. t/lib.sh
need jq jq; need openssl openssl; need curl curl; need mandoc mandoc

# -- without a service
HOME=$T/home; XDG_CONFIG_HOME=$T/home/config; export HOME XDG_CONFIG_HOME
unset CRADLE_SITE
run() { out=$("$@" 2>"$T/err"); rc=$?; err=$(cat "$T/err"); } # sets out, err, rc
run cradle status; is $rc 2 "no site: exit code"
has "$err" "profile set --site" "no site: it says what to do"
run cradle nonsense; is $rc 2 "unknown command: exit code"
run cradle device; is $rc 2 "a group without a verb: exit code"
has "$err" "device revoke" "a group without a verb: its verbs"
run cradle --help; is $rc 0 "--help"
has "$out" "cradle init" "--help lists the verbs"
run cradle version; has "$out" "^cradle [0-9]" "version"
is "$(cradle version --json | jq -r .version)" "${out#cradle }" "version --json"
cradle completion bash >"$T/completion" && bash -n "$T/completion"; ok $? "completion is a good script"
is "$(bash -c '. "$0"; COMP_WORDS=(cradle device re); COMP_CWORD=2; _cradle; echo ${COMPREPLY[*]}' "$T/completion")" "revoke resume" "completion of a verb"
has "$(bash -c '. "$0"; COMP_WORDS=(cradle device revoke --re); COMP_CWORD=3; _cradle; echo ${COMPREPLY[*]}' "$T/completion")" "^--reason$" "completion of an option"
site_init || { ok 1 "init"; finish; }
run cradle status; is $rc 1 "service not running: exit code"
has "$err" "cannot reach https://localhost:$BASE.*is cradled running" "service not running: message"
run cradle --site "$T/nowhere" status; is $rc 4 "a site that is not there: exit code"
for v in $(cradle --help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sort -u) cradle; do
    cradle --man "$v" >"$T/page.1" || ok 1 "manual page of $v"
    mandoc -Tlint "$T/page.1" | grep -v 'referenced manual not found' >>"$T/lint"
done
is "$(cat "$T/lint")" "" "mandoc finds nothing in the manual pages"

# -- the service
site_start; ok $? "cradled runs"
unset CRADLE_SITE
run cradle profile set --site "$SITE"; is $rc 0 "profile set"
is "$(stat -c %a "$XDG_CONFIG_HOME/cradle/profile")" 600 "the profile is 0600"
is "$(cradle profile show --json | jq -r .site)" "$SITE" "profile show"
run cradle status; is $rc 0 "status without any flag"
has "$out" "^OK " "status says OK first"
has "$out" "Evidence +[0-9]+ leaves" "status shows the evidence"
is "$(cradle status --json | jq -r '.findings | length')" 0 "status --json"
cradle status --check --quiet; ok $? "status --check"
has "$(cradle metrics)" "^cradle_log_size [0-9]" "metrics"
is "$(cradle status | tr -d '\n' | grep -c "$(printf '\033')")" 0 "no colour when it is not a terminal"

run cradle line add pump --validity 3y --title "Pümpen"; is $rc 0 "line add"
has "$out" "cradle model add" "line add says what is next"
run cradle line add pump; is $rc 5 "line add again: exit code"
run cradle line add "a/b"; is $rc 2 "line add with a bad name: exit code"
is "$(cradle line list --json | jq -r '.items[] | .name + " " + .title')" "pump Pümpen" "line list --json"
run cradle line add closed; run cradle model add P1 --line pump; is $rc 0 "model add"
run cradle model add P2 --line nothere; is $rc 4 "model of an unknown line: exit code"
run cradle model add P2; is $rc 2 "model without a line: exit code"
has "$(cradle model list --line pump)" "^P1 +pump" "model list"

run cradle device add d1 --model P1 --serial 0001 --batch b7 --country DE; is $rc 0 "device add"
run cradle device add d1 --model P1; is $rc 5 "device add again: exit code"
has "$err" "d1" "the refusal names the device"
run cradle device add 'bad/uid' --model P1; is $rc 2 "device add with a bad UID: exit code"
run cradle device add d2 --model nothing; is $rc 4 "device of an unknown model: exit code"
is "$(cradle device show d1 --json | jq -r '[.uid, .serial, .batch, .country, .state, .line] | join(" ")')" "d1 0001 b7 DE registered pump" "device show --json"
has "$(cradle device show d1 --timeline)" "device-added +d1 .*by=admin" "device show --timeline"
run cradle device show nobody; is $rc 4 "device show of nobody: exit code"
{ echo "uid,serial,model,batch,country"; i=0; while [ $i -lt 40 ]; do i=$((i + 1)); echo "c$i,s$i,P1,b8,AT"; done; echo 'c1,s1,P1,b8,AT'; echo 'bad uid,x,P1,,'; echo '"c,41",x,P1,,'; echo 'c99,s,"P1","b8",FR'; } >"$T/devices.csv"
run cradle device add --csv "$T/devices.csv" --refused "$T/refused.csv"; is $rc 5 "CSV: exit code of the first refusal"
has "$out" "41 of 44 devices registered" "CSV: the count"
has "$out" "line 42 c1" "CSV: the refused line"
is "$(grep -vc '^#' "$T/refused.csv")" 3 "CSV: the file of refused lines"
is "$(cradle device add --csv - --json 2>/dev/null <"$T/refused.csv" | jq -c '[.added, (.refused | map(.reason))]')" '[0,["exists","bad-uid","bad-uid"]]' "CSV from standard input, --json"
has "$(cradle device tag d1 --add canary --add lab)" "^Tags  *canary, lab$" "device tag says which tags there are now"
is "$(cradle device list --tag canary --json | jq -r '.items[] | .uid + " " + (.tags | join(","))')" "d1 canary,lab" "device list by tag"
has "$(cradle device show d1)" "^Tags  *canary, lab$" "device show"
is "$(cradle device tag d1 --remove lab --json | jq -c .tags)" '["canary"]' "a tag is taken away"
run cradle device tag d1; is $rc 2 "device tag without a change: exit code"
run cradle device tag d1 --add 'a b'; is $rc 2 "a tag that is no label: exit code"
is "$(cradle device list --batch b8 --json | jq '.items | length')" 41 "device list by batch"
is "$(cradle device list --prefix c1 --limit 3 --json | jq -r '[(.items | length), (.next != null)] | tostring')" "[3,true]" "device list: limit and cursor"
next=$(cradle device list --batch b8 --limit 30 --json | jq -r .next)
is "$(cradle device list --batch b8 --after "$next" --json | jq '.items | length')" 11 "device list: the next page"
run cradle device list --after nonsense; is $rc 2 "device list with a bad cursor: exit code"
run cradle device list --state wrong --limit x; is $rc 2 "a bad number: exit code"
is "$(cradle device list --model none)" "No device matches. Register one: cradle device add UID --model MODEL" "an empty list says so"

# -- operators, stations, edges
run cradle operator add alice --role operator --out "$T/alice"; is $rc 0 "operator add"
is "$(stat -c %a "$T/alice/alice.key")" 600 "the new key is 0600"
is "$(openssl verify -purpose sslclient -CAfile "$SITE/ca/root.pem" -untrusted "$T/alice/alice.pem" "$T/alice/alice.pem" 2>&1)" "$T/alice/alice.pem: OK" "the stored chain verifies"
is "$(openssl pkey -in "$T/alice/alice.key" -pubout)" "$(openssl x509 -in "$T/alice/alice.pem" -noout -pubkey)" "the certificate is for the key"
run cradle operator add alice --role operator --out "$T/alice"; is $rc 5 "operator add again: exit code"
run cradle operator add alice --role operator --out "$T/alice2"; is $rc 5 "operator add again elsewhere: exit code"
[ ! -e "$T/alice2/alice.key" ]; ok $? "a refused operator leaves no key behind"
run cradle operator add x --role king; is $rc 2 "an unknown role: exit code"
run cradle station add st1 --lines pump --out "$T/st1"; is $rc 0 "station add"
run cradle edge add e1 --out "$T/e1"; is $rc 0 "edge add"
is "$(cd "$T/e1" && ls -d * | tr '\n' ' ')" "bundle.pem device.pem edge.conf edge.key edge.pem log.pub state stream.pub " "the edge's folder is complete"
is "$(cradle operator list --json | jq -r '.items | map(.name + ":" + .role) | sort | join(" ")')" "admin:admin alice:operator e1:edge st1:station" "operator list --json"
cat >"$T/alice.profile" <<EOF
url = $HTTPS
ca = $SITE/ca/bundle.pem
cert = $T/alice/alice.pem
key = $T/alice/alice.key
EOF
mkdir -p "$T/alice/config"
alice() { XDG_CONFIG_HOME=$T/alice/config "$@"; }
alice cradle profile set --url "$HTTPS/" --ca "$SITE/ca/bundle.pem" --cert "$T/alice/alice.pem" --key "$T/alice/alice.key" --quiet; ok $? "a profile for a site on another machine"
cmp -s "$T/alice.profile" "$T/alice/config/cradle/profile"; ok $? "it holds the four keys"
run alice cradle device show d1; is $rc 0 "alice may read"
run alice cradle operator add bob --role admin --out "$T/bob"; is $rc 3 "alice may not add operators: exit code"
[ ! -e "$T/bob/bob.key" ]; ok $? "and no key is left"
run cradle --site "$SITE" --as nobody status; is $rc 2 "--as somebody who is not there: exit code"
run cradle operator renew; is $rc 0 "operator renew before its time"
run cradle operator remove alice --note "left"; is $rc 0 "operator remove"
run alice cradle device show d1; is $rc 3 "a removed operator is refused: exit code"
run cradle operator remove admin; is $rc 3 "admin cannot remove itself: exit code"
cp "$T/st1/st1.pem" "$SITE/operators/wrong.pem"; cp "$SITE/operators/admin.key" "$SITE/operators/wrong.key"
run cradle --site "$SITE" --as wrong status; is $rc 2 "a key that does not fit the certificate: exit code"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/foreign.key" -out "$T/foreign.pem" -subj /CN=foreign -days 1 2>/dev/null
run alice cradle profile set --url "$HTTPS" --ca "$T/foreign.pem" --cert "$T/alice/alice.pem" --key "$T/alice/alice.key"
run alice cradle status; is $rc 7 "a server that the CA file does not vouch for: exit code"

# -- a device's states
run cradle device suspend d1 --note lost; is $rc 0 "device suspend"
has "$out" "suspended d1: durable [0-9.]+ ms" "it prints the milliseconds"
run cradle device resume d1 --if-match 1; is $rc 5 "resume with an old revision: exit code"
run cradle device resume d1; is $rc 0 "device resume"
run cradle device quarantine d1 --note 'seen in two places'; is $rc 0 "device quarantine"
is "$(cradle device show d1 --json | jq -r .state)" quarantined "it is in quarantine"
has "$(cradle status)" "in quarantine 1" "status counts it"
run cradle device resume d1; is $rc 0 "resume ends it"
run cradle device quarantine c1; is $rc 5 "a device without a certificate: exit code"
run cradle device revoke d1 --reason nonsense; is $rc 2 "an unknown reason: exit code"
run cradle device revoke d1 --reason keyCompromise --note stolen --wait --wait-time 1 --json; is $rc 6 "revoke --wait without the edge running: exit code"
has "$err" "durable.*e1 \((never heard of|heard of|stale)" "it says that it is durable, and who did not acknowledge"
is "$(cradle device show d1 --json | jq -r .state)" revoked "it is revoked all the same"
run cradle device resume d1; is $rc 5 "a revoked device stays revoked: exit code"
run cradle device decommission c1; is $rc 0 "device decommission"
cradle-edge -c "$T/e1/edge.conf" >"$T/edge.log" 2>&1 & own $!
wait_for 15 test -s "$T/e1/state/revocation.snap"; ok $? "the folder of edge add is what cradle-edge needs"
run cradle device revoke c2 --wait --wait-time 10 --json; is $rc 0 "revoke --wait with the edge running"
is "$(printf '%s' "$out" | jq -r '[.uid, .state, .edges[0].edge, .edges[0].acked] | join(" ")')" "c2 revoked e1 true" "revoke --wait --json"
has "$(cradle device revoke c3 --wait)" "e1 took it over after [0-9]+ ms" "revoke --wait says when"
has "$(cradle status)" "e1: fresh" "status shows the edge"

# -- lines and backends at the brokers
run cradle line set pump --write 'm/%l/%u' --write 'a/%u/#' --read '' --clone-policy quarantine --note 'less'; is $rc 0 "line set"
has "$out" "may publish +m/%l/%u  a/%u/#" "it says what devices may do now"
has "$out" "may receive +nothing" "an empty text takes a list away"
has "$(cradle policy show)" "line pump quarantine" "policy show prints the document"
is "$(cradle policy show | sed -n '/^line pump /,/^[lb]/p' | grep -c '^ w ')" 2 "with the topics"
run cradle line set pump --write 'a/#/b'; is $rc 2 "a topic that breaks MQTT's rules: exit code"
has "$err" "write.*a/#/b.*4.7" "it names list, topic and rule"
run cradle line set pump --default-topics --clone-policy alarm --json; is $rc 0 "back to the defaults"
is "$(printf '%s' "$out" | jq -r '.write[0] + " " + .clone_policy')" "d/%u/up/# alarm" "line set --json"
run cradle line set nope --default-topics; is $rc 4 "an unknown line: exit code"
run cradle line suspend pump --note 'recall'; is $rc 0 "line suspend"
has "$out" "cradle line resume pump" "it says how to undo it"
run cradle line suspend pump; is $rc 5 "twice: exit code"
has "$(cradle line list)" "pump.*yes" "line list shows it"
run cradle line resume pump; is $rc 0 "line resume"
run cradle backend add billing --read 'd/+/up/#' --write 'd/+/down/#' --out "$T/billing"; is $rc 0 "backend add"
[ "$(stat -c %a "$T/billing/billing.key")" = 600 ]; ok $? "its key was made here, for the owner alone"
has "$(openssl x509 -in "$T/billing/billing.pem" -noout -subject)" "billing" "and it has a certificate"
has "$(cradle backend list)" "may publish +d/\+/down/#" "backend list shows its topics"
run cradle backend set billing --read 'x/#' --json; is "$rc $(printf '%s' "$out" | jq -c '[.write[0], .read[0]]')" '0 ["d/+/down/#","x/#"]' "backend set"
run cradle backend set admin --read x; is $rc 4 "an administrator is no backend: exit code"
has "$(cradle policy show)" "backend billing" "it stands in the policy"
run cradle operator remove billing; is $rc 0 "a backend is removed as an operator is"
is "$(cradle policy show | grep -c billing)" 0 "and leaves the policy"

# -- certificates and events
# -- certificates and events
serial=$(cradle cert list --json | jq -r '.items[] | select(.holder == "st1") | .serial')
has "$serial" "^[0-9a-f]{32}$" "cert list --json"
has "$(cradle cert show "$serial")" "st1" "cert show"
is "$(cradle cert show "$serial" --pem | openssl x509 -noout -serial | tr A-F a-f)" "serial=$serial" "cert show --pem"
run cradle cert show 00ff; is $rc 4 "cert show of none: exit code"
run cradle cert show xyz; is $rc 2 "cert show of nonsense: exit code"
run cradle cert revoke "$serial" --reason superseded; is $rc 0 "cert revoke"
is "$(cradle cert show "$serial" --json | jq -r .status)" revoked "the certificate is revoked"
is "$(cradle event list --device d1 --json | jq -r '[.items[] | select(.kind == "device-state") | .payload.to] | join(" ")')" "suspended active quarantined active revoked" "event list by device"
is "$(cradle event list --kind refused --json | jq '[.items[].kind] | unique == ["refused"]')" true "event list by kind"
cradle event follow --limit 1 --kind line-added >"$T/follow" & follow=$!
own $follow
sleep 1
cradle line add later --quiet
wait_for 10 sh -c "! kill -0 $follow"; ok $? "event follow ends after its limit"
has "$(cat "$T/follow")" "line-added.*name=later" "event follow prints what happens"
cradle event follow --from-start --json >"$T/follow.json" & follow=$!
own $follow
wait_for 10 sh -c "grep -q '\"later\"' $T/follow.json"; ok $? "event follow --from-start"
kill -INT $follow 2>/dev/null; kill -TERM $follow; wait $follow; is $? 0 "event follow ends well on a signal"
jq -s 'length > 50' <"$T/follow.json" | grep -q true; ok $? "every line of event follow --json is JSON"
run cradle root crl --passphrase-file "$T/pass"; is $rc 0 "root crl"
has "$(curl -s "$HTTP/crl/root/0.crl" | openssl crl -inform DER -noout -crlnumber -CAfile "$SITE/ca/root.pem" 2>&1)" "0x0?2" "the new root CRL is served"
site_stop; ok $? "cradled ends"

# -- what status warns of
sed -i 's/^validity_s = .*/validity_s = 10d/' "$SITE/profiles/operator.conf"
cradle site renew --validity 20d --quiet; ok $? "site renew"
site_start; ok $? "cradled runs again"
unset CRADLE_SITE
cradle operator add short --role auditor --out "$T/short" --quiet
out=$(cradle status)
has "$out" "^WARNING" "status says WARNING first"
has "$out" "warning: tls/server.pem ends in (19|20) days; run cradle site renew" "status names a server certificate that ends"
has "$out" "warning: the certificate of short ends in [0-9]+ days" "status names an operator's certificate that ends"
cradle status --check --quiet; ok $? "a warning is no alarm"
site_stop; ok $? "cradled ends again"
finish
