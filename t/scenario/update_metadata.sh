#!/bin/sh
# update_metadata.sh: a ceremony's result on a real site: what people signed is published, what they did not sign is refused with its reason,
# snapshot and timestamp follow by themselves, and everything verifies by openssl and sha256sum.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
need openssl openssl; need jq jq; need curl curl
site_init || finish
site_start; ok $? "a site"
cradle line add vib --quiet; cradle model add vib-1 --line vib --quiet; cradle line add gas --quiet
ceremony "$SITE/trust"; ok $? "a ceremony"
out=$(curl -s "$HTTP/tuf/timestamp.json"); has "$out" "publishes no update metadata" "a site without metadata says so"
head -c 300000 /dev/urandom >"$T/fw.bin"
cradle release create "$R" "$T/fw.bin" --line vib --model vib-1 --release r1 --version 1.0.0 --counter 1 --sbom "$(sbom_make; echo "$T/sbom.json")" \
    --support-end 2099-12-31 --quiet
out=$(cradle tuf publish "$R"); ok $? "what is signed is published"
has "$out" "published 1.root.json" "the root"; has "$out" "published 1.targets.json" "the targets"
has "$out" "1.vib.json is a draft: 0 of 2" "a release that nobody signed stays where it is"
both_sign vib
is "$(cradle tuf publish "$R")" "published 1.vib.json" "signed by two, it goes out"
is "$(cradle tuf publish "$R")" "the site has all of it already" "publishing again changes nothing"
is "$(cradle release list vib --json | jq -r '.items[] | "\(.name) \(.version) \(.state) \(.sha256)"')" "r1 1.0.0 signed $(sha256sum "$T/fw.bin" | cut -d' ' -f1)" "the release is listed"

# -- what a client fetches
get() { curl -sf -o "$T/get" "$HTTP/tuf/$1"; }
follow() { # timestamp -> snapshot -> vib: each by the digest in the one before
    get timestamp.json && dsse_verify "$T/get" "$SITE/trust/tuf-timestamp.pub" || return 1
    cp "$T/payload" "$T/ts"
    want=$(jq -r '.meta["snapshot.json"] | .hashes.sha256' "$T/ts")
    get "$(jq -r '.meta["snapshot.json"].version' "$T/ts").snapshot.json" && dsse_verify "$T/get" "$SITE/trust/tuf-snapshot.pub" || return 1
    [ "$(sha256sum <"$T/get" | cut -d' ' -f1)" = "$want" ] || return 1
    cp "$T/payload" "$T/sn"
    for role in targets vib; do
        get "$(jq -r ".meta[\"$role.json\"].version" "$T/sn").$role.json" || return 1
        [ "$(sha256sum <"$T/get" | cut -d' ' -f1)" = "$(jq -r ".meta[\"$role.json\"].hashes.sha256" "$T/sn")" ] || return 1
    done
    [ "$(jq -r ".meta[\"vib.json\"].version" "$T/sn")" = "$1" ] && cp "$T/get" "$T/vib.json"
}
wait_for 10 follow 1; ok $? "timestamp, snapshot, targets and line lead to each other, signed and by digest"
dsse_verify "$T/vib.json" "$T/ann.pub" && dsse_verify "$T/vib.json" "$T/bob.pub"; ok $? "the line's file carries both people's signatures"
get 1.root.json && dsse_verify "$T/get" "$T/ann.pub"; ok $? "the root is there for who begins"
get 2.root.json; [ $? != 0 ]; ok $? "a next root is not"
for bad in 1.nothing.json x.root.json 0.root.json timestamp timestamp.json.x 1.root.jso; do get $bad && echo "$bad"; done >"$T/odd"; is "$(cat "$T/odd")" "" "other names are not found"

# -- what is refused
post() { curl -s -o "$T/answer" -w '%{http_code}' $ADMIN -H 'Content-Type: application/json' --data-binary @"$2" "$HTTPS/api/v1/tuf/$1"; }
why() { jq -r '.reason' "$T/answer"; }
is "$(post vib "$R/1.vib.json") $(why)" "409 metadata-rollback" "the same version again is refused"
is "$(post gas "$R/1.vib.json") $(why)" "404 line-unknown" "a line without signers is refused"
jq -c 'del(.signatures[1])' "$R/1.vib.json" >"$T/one"; is "$(post vib "$T/one") $(why)" "403 threshold" "one signature of two is refused"
sed 's/"payload":"eyJ/"payload":"eyK/' "$R/1.vib.json" >"$T/bent"; is "$(post vib "$T/bent") $(why)" "403 threshold" "a tampered payload is refused"
printf '{"payload":' >"$T/half"; is "$(post vib "$T/half") $(why)" "400 bad-json" "half a file is refused"
is "$(post root "$R/1.targets.json" | cut -c1)" 4 "targets are no root"
cp -r "$R" "$T/thief"; for f in "$T/thief"/*.json; do rm "$f"; done
cradle tuf init "$T/thief" --trust "$SITE/trust" --root-key "$T/eve.pub" --root-threshold 1 --targets-key "$T/eve.pub" --targets-threshold 1 --quiet
cradle tuf sign "$T/thief" root --key "$T/eve.key" $PASS --yes --quiet
is "$(post root "$T/thief/1.root.json") $(why)" "409 metadata-rollback" "a stranger's root is refused"

# -- the next release, a withdrawn one, and one that changes under its name
head -c 310000 /dev/urandom >"$T/fw2.bin"
release_make "$T/fw2.bin" r2 1.1.0 1 && cradle tuf publish "$R" --quiet; ok $? "a second release"
wait_for 10 follow 2; ok $? "snapshot and timestamp follow"
cradle release withdraw "$R" vib r1 --quiet && both_sign vib && cradle tuf publish "$R" --quiet; ok $? "the first is withdrawn"
is "$(cradle release list vib --json | jq -r '.items[] | select(.name == "r1").state')" withdrawn "it says so"
release_make "$T/fw.bin" r1 1.2.0 1; cradle tuf publish "$R" 2>"$T/err"; is $? 5 "a withdrawn name does not come back"
has "$(cat "$T/err")" "another name" "it says what to do"

# -- nothing is lost
kill -9 "$(pgrep -P "$CRADLED" -f 'cradled -x signer')"; wait_for 20 site_ready; ok $? "signer and core are restarted"
wait_for 10 follow 3; ok $? "the metadata is as before"
site_stop; cradled -f "$SITE" >"$T/fold" 2>&1; ok $? "the events explain the tables"
sed 's/^/# /' "$T/fold"
site_start
cradle evidence export "$T/ev" --quiet && cradle evidence verify "$T/ev" --log-key "$SITE/trust/log.pub" >"$T/verify" 2>&1; ok $? "the evidence verifies"
tail -n 3 "$T/verify" | sed 's/^/# /'
is "$(cradle event list --kind tuf-accepted --json | jq -r '[.items[] | .payload.role] | sort | join(" ")')" "root targets vib vib vib" "each file that was taken over is in it"
site_stop
finish
