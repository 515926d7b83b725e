# attack.sh: what the attacks on updates share: an attacker who owns the road between a device and its site, and any keys that a test gives him. What lies
# in $T/lie the device gets in the place of the site's answer. Source after lib.sh, ceremony.sh and update.sh.
LIE=$T/lie/update/v1
M=$LIE/metadata
honest() { rm -rf "$LIE"; mkdir -p "$M"; }
version() { payload "$1" | jq .version; } # of an envelope
pub() { payload "$R/1.root.json" | jq -r --arg p "$(cat "$1")" '.keys | to_entries[] | select((.value.keyval.public | rtrimstr("\n")) == $p) | .key'; } # FILE.pub: its identifier
sign() { # type [KEY PUB]… <payload: an envelope by these keys, each under the identifier of that public key
    type=$1; shift
    cat >"$T/say"
    { printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c <"$T/say")"; cat "$T/say"; } >"$T/say.pae"
    sigs= between=
    while [ $# -gt 0 ]; do
        sigs="$sigs$between{\"keyid\":\"$(pub "$2")\",\"sig\":\"$(openssl dgst -sha256 -passin "file:$T/pass" -sign "$1" "$T/say.pae" | openssl base64 -A)\"}"
        between=,; shift 2
    done
    printf '{"payload":"%s","payloadType":"%s","signatures":[%s]}' "$(openssl base64 -A <"$T/say")" "$type" "$sigs"
}
tuf_by() { sign application/vnd.tuf+json "$@"; }
online() { echo "$SITE/keys/$1.key $SITE/trust/$1.pub"; } # what a thief of the server has
engineer() { echo "$T/$1.key $T/$1.pub"; }
at() { date -u -d "$1" +%Y-%m-%dT%H:%M:%SZ; }
keep() { # FOLDER: what the site publishes now: timestamp, snapshot, targets, line .json
    mkdir -p "$1"
    curl -sf -o "$1/timestamp.json" "$HTTP/tuf/timestamp.json" &&
        curl -sf -o "$1/snapshot.json" "$HTTP/tuf/$(payload "$1/timestamp.json" | jq '.meta["snapshot.json"].version').snapshot.json" &&
        curl -sf -o "$1/targets.json" "$HTTP/tuf/$(payload "$1/snapshot.json" | jq '.meta["targets.json"].version').targets.json" &&
        curl -sf -o "$1/line.json" "$HTTP/tuf/$(payload "$1/snapshot.json" | jq '.meta["vib.json"].version').vib.json"
}
settled() { keep "$T/new" && [ "$(version "$T/new/line.json")" = "$1" ]; } # VERSION of the line that is the newest
stolen() { # TARGETS LINE [end]: a new snapshot and timestamp that name them, by the site's own keys
    n=$(($(version "$T/new/timestamp.json") + 1000))
    cp "$1" "$M/$(version "$1").targets.json"; cp "$2" "$M/$(version "$2").vib.json"
    jq -nc --arg t "$(sum "$1")" --arg l "$(sum "$2")" --argjson tv "$(version "$1")" --argjson lv "$(version "$2")" --argjson v $n --arg e "$(at +7days)" \
        '{_type: "snapshot", spec_version: "1.0.31", version: $v, expires: $e, meta: {"targets.json": {version: $tv, hashes: {sha256: $t}}, "vib.json": {version: $lv, hashes: {sha256: $l}}}}' |
        tr -d '\n' | tuf_by $(online tuf-snapshot) >"$M/$n.snapshot.json"
    jq -nc --arg s "$(sum "$M/$n.snapshot.json")" --argjson v $n --arg e "$(at "${3:-+1day}")" \
        '{_type: "timestamp", spec_version: "1.0.31", version: $v, expires: $e, meta: {"snapshot.json": {version: $v, hashes: {sha256: $s}}}}' |
        tr -d '\n' | tuf_by $(online tuf-timestamp) >"$M/timestamp.json"
}
bent() { # FILE jq [KEY PUB]…: its payload, bent, signed anew by these keys
    file=$1 how=$2; shift 2
    payload "$file" | jq -c "$how" | tr -d '\n' | tuf_by "$@"
}
poll_of() { # UID: what the site answers
    curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert "$T/$1/state/current/cert.pem" --key "$T/$1/state/current/key.pem" "$HTTPS/update/v1/poll?version=$(running "$1" | head -n 1)"
}
directive_of() { poll_of "$1" | jq -c .directive; } # UID: the envelope
tell() { poll_of dev-1 | jq -c --slurpfile d "$1" '.directive = $d[0] | .action = "install" | .state = "ready" | .sequence = ($d[0].payload | @base64d | fromjson | .sequence)' >"$T/poll" && cp "$T/poll" "$LIE/poll"; } # FILE: it is the directive
order_bent() { # jq: the directive of the order at hand, bent, signed by the site's own key
    directive_of dev-1 >"$T/directive"
    payload "$T/directive" | jq -c "$1" | tr -d '\n' | sign application/vnd.cradle.directive+json $(online directive) >"$T/forged" && tell "$T/forged"
}
names() { payload "$T/new/line.json" | jq -c --arg r "$1" '[.targets | to_entries[] | select(.value.custom.cradle.release == $r)][0] |
    {release: $r, path: .key, version: .value.custom.cradle.version, sha256: .value.hashes.sha256, sbom_sha256: .value.custom.cradle.sbom.sha256, length: .value.length}'; } # RELEASE: as a directive names it

# -- one attack after the other ------------------------------------------------------------------------------------------------------
: >"$T/table"
other() { [ "$(running dev-1 | head -n 1)" = 1.2.0 ] && echo r13 || echo r12; } # of the two releases that may come after each other for ever
fingerprint() { readlink "$T/dev-1/app"; sum "$T/dev-1/app"; grep -E '^(counter_floor|sequence|time_s|[a-z]*_version)' "$T/dev-1/state/update/state"; }
idle() { [ "$(readlink "$T/dev-1/app")" = app.a ] && echo "$T/dev-1/app.b" || echo "$T/dev-1/app.a"; } # the slot that is not in use
aim() { honest; SEQ=$(order dev-1 "$(other)"); before=$(fingerprint); } # the site orders something
reason_of() { cradle event list --kind "firmware-$1" --json | jq -r --argjson n "$2" '[.items[] | select(.device == "dev-1" and .payload.sequence == $n)][0].payload.reason // "nothing"'; } # WORD SEQUENCE
genuine() { # NAME: the site's next order is carried out
    honest; rm -f "$(idle)"
    want=$(order dev-1 "$(other)"); once dev-1
    is "$(status dev-1 | jq -r '"\(.state) \(.sequence)"')" "confirmed $want" "$1: then a genuine update is installed"
}
row() { printf '%s\t%s\t%s\t%s\n' "$@" >>"$T/table"; }
attack() { # NAME, who has what, state, reason: carried out; nothing has changed, the site's evidence says why, and the next genuine order is carried out
    once dev-1; got=$(status dev-1 | jq -r '"\(.state) \(.reason)"')
    is "$got" "$3 $4" "$1: $3, $4"
    is "$(fingerprint)" "$before" "$1: what runs and what the device remembers is as before"
    is "$(reason_of "$3" "$SEQ")" "$4" "$1: the site's evidence says so"
    row "$1" "$2" "${got% *}" "${got#* }"
    genuine "$1"
}
held() { # NAME, who has what: nothing is decided by it, and it ends
    once dev-1; [ $? != 0 ]; ok $? "$1: the client comes no further, and says so"
    is "$(fingerprint)" "$before" "$1: what runs and what the device remembers is as before"
    row "$1" "$2" "asks again" ""
    genuine "$1"
}
rekey() { # dev-1 gets another key
    for s in $(cradle cert list --device dev-1 --json | jq -r '.items[].serial'); do cradle cert revoke "$s" --reason superseded --quiet >>"$T/log" 2>&1; done
    rm -rf "$T"/dev-1/state/[!u]*
    cradle-agent -c "$T/dev-1.conf" enroll >>"$T/agent.log" 2>&1 && road_bend ""
}
table() { awk -F'\t' 'BEGIN { printf "# %-72s | %-44s | %-10s | %s\n", "attack", "who has what", "the device", "reason" } { printf "# %-72s | %-44s | %-10s | %s\n", $1, $2, $3, $4 }' "$T/table"; }
