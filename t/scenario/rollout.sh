#!/bin/sh
# rollout.sh: a rollout over HTTPS on a real site: made, approved by others, refused by the gate until the file is there, offered to a device with a
# directive that openssl verifies, reported, confirmed; idle polls from memory; the evidence verifies with every directive's signature in it.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
need openssl openssl; need jq jq; need curl curl
site_init || finish
site_start; ok $? "a site"
cradle line add vib --quiet; cradle model add vib-1 --line vib --quiet
ceremony "$SITE/trust"; ok $? "a ceremony"
for n in st:station ann:admin olga:operator; do cradle operator add "${n%%:*}" --role "${n##*:}" --out "$T/${n%%:*}" --quiet; done; ok $? "a station and two more people"
head -c 100000 /dev/urandom >"$T/fw.bin"
release_make "$T/fw.bin" r1 1.0.0 1 && cradle tuf publish "$R" >/dev/null; ok $? "a release is published"
call() { who=$1; shift; curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert "$T/$who.pem" --key "$T/$who.key" "$@"; }
as() { n=$1; shift; call "$n/$n" -H 'Content-Type: application/json' "$@"; }
dev() { d=$1; shift; call "$d" -H 'Content-Type: application/json' "$@"; }
born() { # device: registered, and enrolled by the station
    key "$T/$1" && csr "$T/$1" "/CN=$1" && cradle device add "$1" --model vib-1 --quiet &&
        call st/st -H 'Content-Type: application/pkcs10' --data-binary @"$T/$1.csr" "$HTTPS/.well-known/est/simpleenroll" | openssl base64 -d |
        openssl pkcs7 -inform DER -print_certs -out "$T/$1.pem" 2>/dev/null && grep -q BEGIN "$T/$1.pem"
}
born dev-1 && born dev-2; ok $? "two devices"
poll() { dev "$1" "$HTTPS/update/v1/poll?version=0.9.0&sequence=0&utc_offset_s=3600&news=1" | tee "$T/poll" | jq -r .state; }
is "$(poll dev-1)" idle "nothing is ordered"; is "$(poll dev-1)" idle "nor a moment later"
api "$HTTPS/metrics" >"$T/metrics"; [ "$(awk '/^cradle_front_poll_cache_hits_total/ { n += $2 } END { print n + 0 }' "$T/metrics")" -le 1 ]; ok $? "the metrics count polls from memory"

# -- a rollout
body='{"name":"r1-all","line":"vib","release":"r1","waves":[{"devices":1,"soak_s":0},{"percent":100,"success_percent":50,"error_percent":60}],"note":"first"}'
is "$(api -d '{"name":"x","line":"vib","release":"r1","qwery":{}}' "$HTTPS/api/v1/rollouts" | jq -r .reason)" bad-field "a misspelt query is refused"
is "$(api -d '{"name":"x","line":"vib","release":"r1","query":{"modle":"a"}}' "$HTTPS/api/v1/rollouts" | jq -r .reason)" bad-field "within it too"
is "$(api -d '{"name":"x","line":"vib","release":"r1","window":{"from":"25:00","to":"05:00"}}' "$HTTPS/api/v1/rollouts" | jq -r .reason)" bad-field "a day has no 25th hour"
is "$(api -d "$body" "$HTTPS/api/v1/rollouts" | jq -r .state)" draft "a rollout is made"
do_it() { who=$1; as "$who" -X POST -d '{}' "$HTTPS/api/v1/rollouts/r1-all/$2" | jq -r '.state // .reason'; }
is "$(api -X POST "$HTTPS/api/v1/rollouts/r1-all/approve" | jq -r .reason)" self-approval "not approved by who made it"
is "$(do_it ann approve) $(do_it olga approve)" "draft approved" "two others approve"
is "$(do_it ann start)" gate-refused "without the file it does not start"
cradle artifact upload "$T/fw.bin" --quiet; ok $? "the file is uploaded"
is "$(do_it ann start)" running "then it does"
both() { poll dev-1 >"$T/s1"; poll dev-2 >"$T/s2"; cat "$T/s1" "$T/s2" | sort | tr '\n' ' '; }
for i in 1 2 3 4 5 6 7 8; do now=$(both); [ "$now" = "idle ready " ] && break; sleep 0.5; done
is "$now" "idle ready " "one device is told: the first wave has one"
first=dev-1 second=dev-2; [ "$(poll dev-1)" = ready ] || { first=dev-2 second=dev-1; }
dev $first "$HTTPS/update/v1/directive" >"$T/directive"; dsse_verify "$T/directive" "$SITE/trust/directive.pub"; ok $? "its directive verifies by openssl"
is "$(jq -r '"\(.device) \(.release) \([.approvals[].by] | join(","))"' "$T/payload")" "$first r1 ann,olga" "and says for whom, what, and who approved"
is "$(dev $second -o /dev/null -w '%{http_code}' "$HTTPS/update/v1/directive")" 404 "the other one has none"
report() { dev "$1" -d "$2" "$HTTPS/update/v1/report" | jq -r '.sequence // .reason'; }
is "$(report $first '{"sequence":1,"state":"installed"}') $(report $first '{"sequence":1,"state":"confirmed","version":"1.0.0"}')" "1 1" "it installs and confirms"
is "$(report $first '{"sequence":1,"state":"sleeping"}')" bad-field "an unknown word is refused"
for i in 1 2 3 4 5 6 7 8 9 10; do [ "$(poll $second)" = ready ] && break; sleep 0.5; done
is "$(poll $second)" ready "the second wave follows"
is "$(report $second '{"sequence":1,"state":"failed","reason":"no-space"}')" 1 "where it fails"
went() { cradle event list --kind rollout-state --json | tr -d ' ' | grep -q "\"to\":\"$1\""; }
wait_for 10 went paused; ok $? "which is too much: the rollout pauses by itself"
is "$(do_it olga resume)" running "somebody looks, and resumes it"
is "$(report $second '{"sequence":1,"state":"confirmed","version":"1.0.0"}')" 1 "the device does it after all"
wait_for 10 went done; ok $? "and it is done"
is "$(cradle event list --kind firmware-failed --json | jq '.items | length') $(cradle event list --kind firmware-confirmed --json | jq '.items | length')" "1 2" "each end is evidence"
cradle evidence export "$T/export.jsonl" --quiet && out=$(cradle evidence verify "$T/export.jsonl" --log-key "$SITE/trust/log.pub"); ok $? "the evidence verifies, with every signature of a directive in it"
site_stop; cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "fold(events) = tables"
finish
