# offer.sh: for scenario tests of devices without a server: what a server would say, signed by the test with openssl: snapshot, timestamp and
# directives beside a real ceremony. Source after lib.sh and ceremony.sh.
OFFER=$T/update/offer
hex_of() { sha256sum "$1" | cut -d' ' -f1; }
at() { date -u -d "$1" +%Y-%m-%dT%H:%M:%SZ; }
keyid() { payload "$R/1.root.json" | jq -r "$1.keyids[0]"; } # jq path of a role
envelope() { # type key keyid <payload: DSSE
    cat >"$T/say"
    { printf 'DSSEv1 %d %s %d ' "${#1}" "$1" "$(wc -c <"$T/say")"; cat "$T/say"; } >"$T/say.pae"
    sig=$(openssl dgst -sha256 -sign "$2" "$T/say.pae" | openssl base64 -A)
    printf '{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}' "$(openssl base64 -A <"$T/say")" "$1" "$3" "$sig"
}
tuf() { envelope application/vnd.tuf+json "$T/trust/tuf-$1.key" "$(keyid ".roles.$1")"; }
offer_keys() { # the site's online keys
    mkdir -p "$T/trust" "$OFFER"
    for n in tuf-snapshot tuf-timestamp directive; do
        openssl ecparam -genkey -name prime256v1 -noout -out "$T/trust/$n.key" && openssl ec -in "$T/trust/$n.key" -pubout -out "$T/trust/$n.pub" 2>/dev/null || return 1
    done
}
offer_metadata() { # VERSION-OF-LINE [expiry of the timestamp]: targets and line as signed, snapshot and timestamp made for them
    cp "$R/1.targets.json" "$OFFER/targets.json" && cp "$R/$1.vib.json" "$OFFER/line.json"
    jq -nc --arg t "$(hex_of "$OFFER/targets.json")" --arg l "$(hex_of "$OFFER/line.json")" --argjson v "$1" --arg e "$(at +7days)" \
        '{_type: "snapshot", spec_version: "1.0.31", version: $v, expires: $e, meta: {"targets.json": {version: 1, hashes: {sha256: $t}}, "vib.json": {version: $v, hashes: {sha256: $l}}}}' |
        tr -d '\n' | tuf snapshot >"$OFFER/snapshot.json"
    jq -nc --arg s "$(hex_of "$OFFER/snapshot.json")" --argjson v "$1" --arg e "$(at "${2:-+1day}")" \
        '{_type: "timestamp", spec_version: "1.0.31", version: $v, expires: $e, meta: {"snapshot.json": {version: $v, hashes: {sha256: $s}}}}' |
        tr -d '\n' | tuf timestamp >"$OFFER/timestamp.json"
}
offer_target() { payload "$OFFER/line.json" | jq -c --arg r "$1" '[.targets | to_entries[] | select(.value.custom.cradle.release == $r)][0]'; }
offer_directive() { # sequence, release, then jq assignments that bend it
    sequence=$1 target=$(offer_target "$2"); shift 2
    bend=
    for a in "$@"; do bend="$bend | $a"; done
    spki=$(openssl x509 -in "$T/dev.pem" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
    jq -nc --argjson t "$target" --argjson n "$sequence" --arg spki "$spki" --arg now "$(at -1min)" --arg until "$(at +1day)" \
        '{_type: "directive", spec: 1, device: "dev-1", spki: $spki, line: "vib", model: "vib-1", hw_rev: "", sequence: $n, issued: $now, expires: $until, action: "install",
          release: $t.value.custom.cradle.release, path: $t.key, version: $t.value.custom.cradle.version, sha256: $t.value.hashes.sha256, sbom_sha256: $t.value.custom.cradle.sbom.sha256,
          length: $t.value.length, counter_floor: 0}'"$bend" | tr -d '\n' |
        envelope application/vnd.cradle.directive+json "$T/trust/directive.key" "$(keyid '."x-cradle-directive"')" >"$OFFER/directive.json"
}
image_signer() { # a certificate that openssl, SWUpdate and RAUC take for a signer of images: T/sign.pem, sign.key, under T/image-ca.pem
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/image-ca.key" -out "$T/image-ca.pem" -days 3650 -subj "/CN=image CA" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/sign.key" -out "$T/sign.csr" -subj "/CN=image signer" 2>/dev/null
    printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning,emailProtection\n' >"$T/sign.ext"
    openssl x509 -req -in "$T/sign.csr" -CA "$T/image-ca.pem" -CAkey "$T/image-ca.key" -CAcreateserial -days 3650 -extfile "$T/sign.ext" -out "$T/sign.pem" 2>/dev/null
}
swu_make() { # NAME VERSION BYTES: NAME.swu, signed by image_signer's certificate, with one image for the file out, kept as NAME.img
    head -c "$3" /dev/urandom >rootfs.img; cp rootfs.img "$1.img"
    cat >sw-description <<END
software = { version = "$2"; hardware-compatibility = [ "1.0" ];
  images: ( { filename = "rootfs.img"; type = "rawfile"; path = "$T/out"; installed-directly = true; sha256 = "$(hex_of rootfs.img)"; } ); }
END
    swu_pack "$1"
}
swu_sign() { openssl cms -sign -in sw-description -out sw-description.sig -signer sign.pem -inkey sign.key -outform DER -nosmimecap -binary; }
swu_pack() { swu_sign && printf '%s\n' sw-description sw-description.sig rootfs.img | cpio -o -H crc --quiet >"$1.swu"; } # NAME: what lies in the folder
gate_device() { # the device: its certificate, its root, its configuration; the version that runs in T/version
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/dev.key" -out "$T/dev.pem" -days 30 -subj "/CN=dev-1" 2>/dev/null
    echo 1.0.0 >"$T/version"
    cat >"$T/gate.conf" <<END
uid = dev-1
line = vib
model = vib-1
cert_file = $T/dev.pem
update_dir = $T/update
factory_root = $R/1.root.json
version_file = $T/version
END
    GATE="cradle-gate -c $T/gate.conf"
}
state() { sed -n "s/^$1 = //p" "$T/update/state"; }
