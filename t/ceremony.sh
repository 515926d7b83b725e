# ceremony.sh: a release ceremony for scenario tests: ann and bob hold the root, and sign for the line vib. Source after lib.sh.
R=$T/release
PASS="--passphrase-file $T/pass"
tuf_sign() { cradle tuf sign "$R" "$1" --key "$T/$2.key" $PASS --yes --quiet; } # role, who
both_sign() { tuf_sign "$1" ann && tuf_sign "$1" bob; }
ceremony() { # folder trust/ of the site
    [ -e "$T/pass" ] || { (umask 077; printf 'correct horse battery staple\n' >"$T/pass"); }
    for n in ann bob eve; do cradle tuf key "$T/$n" $PASS --quiet || return 1; done
    cradle tuf init "$R" --trust "$1" --root-key "$T/ann.pub" --root-key "$T/bob.pub" --targets-key "$T/ann.pub" --targets-key "$T/bob.pub" --quiet &&
        cradle tuf line "$R" vib --key "$T/ann.pub" --key "$T/bob.pub" --quiet && both_sign root && both_sign targets
}
sbom_make() { printf '{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"zlib","version":"1.3"}]}' >"$T/sbom.json"; }
release_make() { # file, release, version, counter, more options…
    file=$1 name=$2 version=$3 counter=$4; shift 4
    [ -e "$T/sbom.json" ] || sbom_make
    cradle release create "$R" "$file" --line vib --model vib-1 --release "$name" --version "$version" --counter "$counter" --sbom "$T/sbom.json" \
        --support-end "${SUPPORT_END:-2099-12-31}" --quiet "$@" && both_sign vib
}
payload() { jq -rj .payload "$1" | openssl base64 -d -A; } # of an envelope
dsse_verify() { # envelope, public key: by openssl, over the protocol's encoding; any signature
    payload "$1" >"$T/payload"
    type=$(jq -rj .payloadType "$1")
    { printf 'DSSEv1 %d %s %d ' "${#type}" "$type" "$(wc -c <"$T/payload")"; cat "$T/payload"; } >"$T/pae"
    n=$(jq '.signatures | length' "$1"); i=0
    while [ $i -lt "$n" ]; do
        jq -rj ".signatures[$i].sig" "$1" | openssl base64 -d -A >"$T/sig"
        if openssl dgst -sha256 -verify "$2" -signature "$T/sig" "$T/pae" >/dev/null 2>&1 ||
            openssl pkeyutl -verify -pubin -inkey "$2" -rawin -in "$T/pae" -sigfile "$T/sig" >/dev/null 2>&1; then return 0; fi
        i=$((i + 1))
    done
    return 1
}
