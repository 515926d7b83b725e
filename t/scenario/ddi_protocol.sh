#!/bin/sh
# ddi_protocol.sh: hawkBit's DDI as its clients need it, by curl: what RAUC's updater and Zephyr's client send, and what they compare. The real
# SWUpdate is ddi_swupdate.sh.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/offer.sh
. t/ddi.sh
need openssl openssl; need jq jq; need curl curl; need cpio cpio
cd "$T" || exit 1
ddi_site; ok $? "a site, a ceremony"
ddi_device d1 && ddi_device d2; ok $? "two devices"
swu_make r1 1.1.0 300000 && swu_make r2 1.2.0 300000; ok $? "two images"
release_make r1.swu r1 1.1.0 1 --handler swupdate && release_make r2.swu r2 1.2.0 1 --handler swupdate && cradle tuf publish "$R" --quiet; ok $? "two releases"
link() { jq -r "._links.$1.href // \"none\"" body; }
base() { ddi "$1" "$D1/$1"; }
why() { jq -r .reason body; }

# -- nothing to do
is "$(base d1)" 200 "a poll"
is "$(jq -r .config.polling.sleep body)" 00:05:00 "it says when to ask again"
is "$(link deploymentBase) $(link cancelAction) $(link configData)" "none none $HTTPS/$D1/d1/configData" "there is nothing to do but to say what the device is"
is "$(ddi d1 $D1/d1/configData -X PUT -H 'Content-Type: application/json' -d '{"mode":"merge","data":{"VIN":"01","hwRevision":3}}') $(wc -c <body)" "200 0" "attributes without a version (Zephyr)"
attributes() { ddi d1 $D1/d1/configData -X PUT -H 'Content-Type: application/json' -d '{"data":{}}' >/dev/null; base d1 >/dev/null; [ "$(link configData)" = none ]; }
wait_for 10 attributes; ok $? "each front asks for them once"
is "$(ddi d1 $D1/d1/configData -X PUT -H 'Content-Type: application/json' -d '{"id":"","time":"","status":{"result":{"finished":"success"},"execution":"closed","details":[""]},"data":{"version":"1.0.0"}}')" 200 "attributes with one (SWUpdate)"
is "$(events_of d1)" firmware-running "what runs is in the evidence"
is "$(ddi d1 vib/controller/v1/d1)" 200 "the product line is a tenant as well"
is "$(ddi d1 gas/controller/v1/d1) $(why)" "404 not-found" "another is not"

# -- who
is "$(ddi d1 $D1/d2) $(why)" "403 other-device" "another device's path"
is "$(ddi d1 $D1/d2 -H 'X-Controller-Id: d2' -H 'Authorization: GatewayToken x') $(why)" "403 other-device" "whatever the headers say"
is "$(curl -s --cacert "$SITE/ca/bundle.pem" -H 'Authorization: TargetToken x' -o body -w '%{http_code}' "$HTTPS/$D1/d1") $(why)" "401 no-client-certificate" "a token is no certificate"
is "$(curl -s $ADMIN -o body -w '%{http_code}' "$HTTPS/$D1/d1") $(why)" "403 role-forbidden" "an admin is no device"
is "$(curl -s -o body -w '%{http_code}' "$HTTP/$D1/d1")" 404 "and nothing of it is on the plain port"

# -- an order: the file must be here
is "$(order d1 r1)" 1 "an order"
is "$(base d1) $(link deploymentBase)" "200 none" "a client is not told of a file that is not here"
cradle release upload "$R" vib r1 --quiet && cradle release upload "$R" vib r2 --quiet; ok $? "the files are uploaded"
is "$(base d1) $(link deploymentBase)" "200 $HTTPS/$D1/d1/deploymentBase/1" "now it is told"
is "$(link configData)" none "and not asked for attributes beside it: SWUpdate would install nothing"
is "$(ddi d1 $D1/d1/deploymentBase/1)" 200 "the action"
is "$(jq -c '[.id, .deployment.download, .deployment.update, (.deployment.chunks | length), (.deployment.chunks[0] | .part, .version, .name, (.artifacts | length))]' body)" '["1","attempt","attempt",1,"bApp","1.1.0","r1",1]' "one chunk, one artifact, part bApp"
is "$(jq -c '.deployment.chunks[0].artifacts[0] | [.filename, .size, .hashes.sha1, .hashes.sha256]' body)" \
    "[\"r1.swu\",$(wc -c <r1.swu),\"$(sha1sum r1.swu | cut -c1-40)\",\"$(hex_of r1.swu)\"]" "the file with its checksums"
url=$(jq -r '.deployment.chunks[0].artifacts[0]._links["download-http"].href' body)
is "$url" "$HTTPS/$D1/d1/artifact/1/r1.swu" "where it is, as Zephyr wants it"
is "$(jq -r '.deployment.chunks[0].artifacts[0]._links.download.href' body)" "$url" "and as the others do"
is "$(ddi d1 $D1/d1/deploymentBase/2) $(why)" "404 not-found" "another action is not"
is "$(ddi d1 $D1/d1/deploymentBase/01) $(ddi d1 $D1/d1/deploymentBase/x)" "404 404" "nor what is no number"
is "$(ddi d2 $D1/d2/deploymentBase/1)" 404 "nor for another device"

# -- the file
path=${url#"$HTTPS"/}
is "$(ddi d1 "$path") $(cmp body r1.swu && echo same)" "200 same" "the file"
is "$(ddi d1 "$path" -I | head -c 3) $(tr -d '\r' <head | sed -n 's/^[Cc]ontent-[Ll]ength: //p')" "200 $(wc -c <r1.swu)" "HEAD says how long it is"
is "$(ddi d1 "$path" -r 1000-1999) $(tail -c +1001 r1.swu | head -c 1000 | cmp - body && echo same)" "206 same" "a range of it"
is "$(ddi d1 "$path" -r "$(wc -c <r1.swu)-")" 416 "behind its end: 416, which RAUC takes as complete"
is "$(ddi d2 "$path")" 403 "another device's path"
is "$(ddi d2 "$D1/d2/artifact/1/r1.swu")" 404 "another device's own"

# -- RAUC: closes the action when the file is written
is "$(feedback d1 1 "$(status 2 none proceeding x)") $(why)" "400 bad-field" "a feedback that contradicts its path"
is "$(feedback d1 1 '{"id":"1"}') $(why)" "400 bad-field" "a feedback without a status"
is "$(feedback d1 1 '{') $(why)" "400 bad-json" "half a feedback"
bad=0; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ "$(feedback d1 1 "$(status 1 none proceeding "$((i * 5))% step $i")")" = 200 ] || bad=1; done
is $bad 0 "20 feedbacks of progress: exactly 200 each"
is "$(reported d1)" downloading "it is on its way"
is "$(feedback d1 1 "$(status 1 success closed 'Software bundle installed successfully.')") $(wc -c <body)" "200 0" "closed with success"
is "$(reported d1)" installed "a file that is written is installed, not confirmed"
is "$(base d1) $(link deploymentBase) $(link configData)" "200 none $HTTPS/$D1/d1/configData" "the action is closed; what runs then is asked for"
is "$(feedback d1 1 "$(status 1 success closed again)") $(reported d1)" "200 installed" "closing it again confirms nothing"
is "$(feedback d1 1 "$(status 1 none proceeding late)") $(reported d1)" "200 installed" "a late line of a log takes nothing back"
config() { ddi "$1" "$D1/$1/configData" -X PUT -H 'Content-Type: application/json;charset=UTF-8' -d "{\"time\":\"t\",\"status\":{\"result\":{\"finished\":\"success\"},\"execution\":\"closed\"},\"data\":{\"version\":\"$2\"}}"; }
is "$(config d1 1.0.0) $(reported d1)" "200 installed" "the old version still runs"
is "$(config d1 1.1.0) $(reported d1)" "200 confirmed" "after the restart the new one does: confirmed"
is "$(base d1) $(link deploymentBase)" "200 none" "that is all"
is "$(feedback d1 1 "$(status 1 failure closed x)") $(reported d1)" "200 confirmed" "a confirmation stands"
is "$(events_of d1 | tr ' ' '\n' | sort | uniq -c | awk '{print $2 $1}' | tr '\n' ' ')" "firmware-confirmed1 firmware-downloading1 firmware-installed1 firmware-offered1 firmware-ordered1 firmware-running1 " "20 feedbacks are one event"

# -- the words that clients have for not doing it
is "$(order d1 r2)" 2 "another order"; base d1 >/dev/null
is "$(feedback d1 2 "$(status 2 none rejected 'not now')") $(reported d1)" "200 postponed" "rejected: not now"
is "$(feedback d1 2 "$(status 2 none scheduled soon)") $(reported d1)" "200 downloading" "scheduled: it goes on"
printf '{"id":2,"status":{"result":{"finished":"failure"},"execution":"closed","details":["ERROR : no "space" on \033[31m/dev/x\377"]}}' >odd
is "$(feedback d1 2 @odd) $(reported d1)" "200 failed" "a failure with unescaped bytes"
is "$(cradle event list --device d1 --kind firmware-failed --json | jq -r '.items[0].payload.text')" 'ERROR : no "space" on [31m/dev/x' "its text is in the evidence, without what steers a terminal"
is "$(base d1) $(link deploymentBase)" "200 none" "a failed action is over"
is "$(order d1 r1)" 3 "an older one is ordered"; base d1 >/dev/null
is "$(feedback d1 3 "$(status 3 none canceled 'the user said no')") $(reported d1)" "200 declined" "canceled by the user"
is "$(feedback d1 2 "$(status 2 success closed late)") $(reported d1)" "200 declined" "a late word about an older action changes nothing"
# -- an image whose bytes are not those that were announced: the client compares, and says so
file=$SITE/artifact/$(hex_of r2.swu)
is "$(order d1 r2)" 4 "an order"; base d1 >/dev/null; ddi d1 $D1/d1/deploymentBase/4 >/dev/null
want=$(jq -r '.deployment.chunks[0].artifacts[0].hashes.sha256' body) path=$(jq -r '.deployment.chunks[0].artifacts[0]._links.download.href' body)
cp "$file" kept; printf 'x' | dd of="$file" bs=1 seek=1000 conv=notrunc 2>/dev/null
is "$(ddi d1 "${path#"$HTTPS"/}") $([ "$(hex_of body)" = "$want" ] && echo same)" "200 " "a file that was changed at the site does not have the announced SHA-256"
is "$(feedback d1 4 "$(status 4 failure closed 'checksum mismatch')") $(reported d1)" "200 failed" "the client says so: failed"
is "$(cradle event list --device d1 --kind firmware-failed --json | jq -r '.items[-1].payload | "\(.sequence) \(.text)"')" "4 checksum mismatch" "in its words, as evidence"
cp kept "$file"

# -- an order that is taken back
cradle operator add amy --role operator --out amy --quiet; ok $? "a second person"
cradle rollout create back --line vib --release r2 --model vib-1 --wave 100% --quiet && amy_says() { curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert amy/amy.pem --key amy/amy.key -H 'Content-Type: application/json' -d '{}' "$HTTPS/api/v1/rollouts/back/$1" >answer; }
amy_says approve; cradle rollout start back --quiet; ok $? "a rollout"
offered() { base d2 >/dev/null; [ "$(link deploymentBase)" != none ]; }
wait_for 15 offered; ok $? "is offered"; url=$(link deploymentBase) n=${url##*/}
is "$(ddi d2 "$D1/d2/cancelAction/$n") $(why)" "404 not-found" "nothing is cancelled"
cradle rollout cancel back --quiet; ok $? "it is taken back"
cancelled() { base d2 >/dev/null; [ "$(link deploymentBase) $(link cancelAction)" = "none $HTTPS/$D1/d2/cancelAction/$n" ]; }
wait_for 15 cancelled; ok $? "the client is told of the cancel, and of no action"
is "$(ddi d2 "$D1/d2/cancelAction/$n") $(jq -c . body)" "200 {\"id\":\"$n\",\"cancelAction\":{\"stopId\":\"$n\"}}" "the cancel"
is "$(ddi d2 "$D1/d2/cancelAction/$((n + 1))") $(ddi d2 "$D1/d2/deploymentBase/$n") $(ddi d1 "$D1/d1/cancelAction/$n")" "404 404 404" "of this action and this device only"
is "$(feedback d2 "$n" "$(status $((n + 1)) success closed x)" cancelAction) $(why)" "400 bad-field" "a feedback that contradicts its path"
is "$(feedback d2 "$n" "$(status "$n" none proceeding 'stopping')" cancelAction)" 200 "the client is at it"
cancelled; ok $? "it is told again until it has done it"
is "$(feedback d2 "$n" "$(status "$n" failure closed 'too late')" cancelAction)" 200 "it could not"
cancelled; ok $? "it is told again"
is "$(feedback d2 "$n" "$(status "$n" success closed 'stopped')" cancelAction) $(wc -c <body)" "200 0" "it has stopped"
over() { base d2 >/dev/null; [ "$(link deploymentBase) $(link cancelAction)" = "none none" ]; }
wait_for 10 over; ok $? "that is all"
is "$(feedback d2 "$n" "$(status "$n" success closed late)") $(reported d2)" "200 cancelled" "a late word about it changes nothing"

# -- the settings: how often to ask, and links that need no certificate
for bad in 'update_poll_interval = 24h' 'update_poll_interval = 0' 'ddi_links = token'; do
    { cat "$SITE/cradled.conf"; echo "$bad"; } >bad.conf
    cradled -t -c bad.conf >bad.out 2>&1; [ $? != 0 ]; ok $? "no such setting: $bad"; sed 's/^/# /' bad.out
done
site_stop; printf 'update_poll_interval = 86399\nddi_links = capability\n' >>"$SITE/cradled.conf"; site_start; ok $? "the longest interval, and links by token"
is "$(base d1) $(jq -r .config.polling.sleep body)" "200 23:59:59" "it says to ask again in a day"
is "$(order d1 r1)" 5 "an order"; base d1 >/dev/null
is "$(ddi d1 $D1/d1/deploymentBase/5)" 200 "the action"
url=$(jq -r '.deployment.chunks[0].artifacts[0]._links["download-http"].href' body)
has "$url" "^$HTTPS/get/[A-Za-z0-9_-]*/r1\.swu$" "its link is a token's"
is "$(jq -r '.deployment.chunks[0].artifacts[0]._links.download.href' body)" "$url" "whatever the client calls it"
bare() { curl -s -m 30 --cacert "$SITE/ca/bundle.pem" -o body -w '%{http_code}' "$@"; }
is "$(bare "$url") $(cmp body r1.swu && echo same)" "200 same" "without a certificate: the file"
is "$(bare -r 1000-1999 "$url") $(tail -c +1001 r1.swu | head -c 1000 | cmp - body && echo same)" "206 same" "a range of it"
is "$(ddi d1 "$D1/d1/artifact/5/r1.swu")" 200 "with one the other link is good too"
is "$(bare "$HTTPS/$D1/d1/deploymentBase/5") $(why)" "401 no-client-certificate" "the action itself wants one"
is "$(feedback d1 5 "$(status 5 success closed done)") $(reported d1)" "200 installed" "written"
is "$(feedback d1 5 "$(status 5 failure closed 'does not boot')") $(reported d1)" "200 failed" "and given up"
is "$(bare "$url") $(why)" "403 artifact-not-ordered" "then the link gives nothing any more"

site_stop; cradled -f "$SITE" >fold 2>&1; ok $? "the events explain the tables"
sed 's/^/# /' fold
finish
