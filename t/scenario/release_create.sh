#!/bin/sh
# release_create.sh: files become releases of a product line: what is inconsistent is refused, two people sign, and what the signature is
# under are the digests that sha256sum computes.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
need openssl openssl; need jq jq; need cpio cpio
printf 'correct horse battery staple\n' >"$T/pass"; chmod 600 "$T/pass"
P="--passphrase-file $T/pass"
mkdir "$T/trust"
for n in tuf-snapshot tuf-timestamp directive; do openssl ecparam -genkey -name prime256v1 -noout 2>/dev/null | openssl ec -pubout -out "$T/trust/$n.pub" 2>/dev/null; done
cd "$T" || exit 1
for n in ann bob; do cradle tuf key $n $P --quiet; done
cradle tuf init "$R" --trust trust --root-key ann.pub --root-key bob.pub --targets-key ann.pub --targets-key bob.pub --quiet
cradle tuf line "$R" vib --key ann.pub --key bob.pub --quiet; ok $? "a ceremony with one line"
sign() { cradle tuf sign "$R" "$1" --key "$2.key" $P --yes --quiet; }
for role in root targets; do sign $role ann; sign $role bob; done
head -c 2600000 /dev/urandom >fw.bin
printf '{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"zlib","version":"1.3"}]}' >fw.cdx.json
printf '{"spdxVersion":"SPDX-2.3","packages":[{"name":"zlib"}]}' >fw.spdx.json
printf 'Fixes the clock.\n' >notes
create() { cradle release create "$R" fw.bin --line vib --model vib-1 --support-end 2099-12-31 "$@"; }
refused() { # exit-code pattern name options…
    want=$1 pattern=$2 name=$3; shift 3
    create "$@" >out 2>err; is $? "$want" "$name: refused"; has "$(cat err)" "$pattern" "$name: says why"
}
ok1="--release r1 --version 1.0.0 --counter 3 --sbom fw.cdx.json"
refused 2 "counter" "no security counter" --release r1 --version 1.0.0 --sbom fw.cdx.json
refused 2 "sbom" "no SBOM" --release r1 --version 1.0.0 --counter 3
printf '{"a":1}' >no.json; refused 2 "neither CycloneDX" "an SBOM of another kind" --release r1 --version 1.0.0 --counter 3 --sbom no.json
printf '{"bomFormat":"CycloneDX","components":[]}' >no.json; refused 2 "components" "an SBOM of nothing" --release r1 --version 1.0.0 --counter 3 --sbom no.json
refused 2 "version" "a version that is none" --release r1 --version latest --counter 3 --sbom fw.cdx.json
refused 2 "higher" "a lowest version above its own" $ok1 --min-version 1.0.1
refused 2 "swu" "a handler that does not fit the file" $ok1 --handler swupdate
cradle release create "$R" fw.bin --line vib --model vib-1 --support-end 2020-01-01 $ok1 2>err; is $? 2 "a support that has ended: refused"
cradle release create "$R" fw.bin --line gas --model vib-1 --support-end 2099-12-31 $ok1 2>err; is $? 4 "a line without signers: refused"
: >empty; cradle release create "$R" empty --line vib --model vib-1 --support-end 2099-12-31 $ok1 2>err; is $? 2 "an empty file: refused"
is "$(ls "$R" | grep -c vib.json)" 0 "nothing of all this is left in the metadata"

create $ok1 --hw-rev A --hw-rev B --notes notes --quiet; ok $? "a release is drafted"
payload "$R/1.vib.json" >p
q() { jq -r ".targets[\"vib/r1/fw.bin\"]$1" p; }
is "$(q .hashes.sha256)" "$(sha256sum fw.bin | cut -d' ' -f1)" "its digest is the file's"
is "$(q .length)" "$(stat -c %s fw.bin)" "its length too"
is "$(q .custom.cradle.sbom.sha256)" "$(sha256sum fw.cdx.json | cut -d' ' -f1)" "the SBOM's digest is bound"
is "$(q .custom.cradle.notes_sha256)" "$(sha256sum notes | cut -d' ' -f1)" "the notes' too"
split -b 1048576 fw.bin block.
for b in block.*; do openssl dgst -sha256 -binary "$b"; done >blocks
is "$(q .custom.cradle.blocks.sha256)" "$(sha256sum blocks | cut -d' ' -f1)" "the digest of the block list is right"
cmp -s blocks "$R/files/vib/r1/fw.bin.blocks"; ok $? "the block list lies beside the file"
cmp -s fw.bin "$R/files/vib/r1/fw.bin"; ok $? "the file is there"
is "$(q '.custom.cradle.hw_revs | join(",")')" A,B "hardware revisions"
refused 5 "already" "the same release again" $ok1
sign vib ann
is "$(cradle tuf status "$R" --json | jq -r '.items[] | select(.role == "vib").state')" draft "one signature is not enough"
sign vib bob
is "$(cradle tuf status "$R" --json | jq -r '.items[] | select(.role == "vib").state')" complete "two are"

refused 2 "does not fit" "a newer version with a lower counter" --release r2 --version 1.1.0 --counter 2 --sbom fw.spdx.json
create --release r2 --version 1.10.0 --counter 3 --sbom fw.spdx.json --security-only --quiet; ok $? "the next release, with an SPDX SBOM"
refused 2 "does not fit" "an older version with a higher counter" --release r3 --version 1.9.0 --counter 4 --sbom fw.cdx.json
is "$(payload "$R/2.vib.json" | jq -r '.targets | keys | join(" ")')" "vib/r1/fw.bin vib/r2/fw.bin" "both are in the next metadata"
is "$(payload "$R/2.vib.json" | jq -r '.targets["vib/r2/fw.bin"].custom.cradle | "\(.security_only) \(.sbom.format)"')" "true spdx" "security-only is marked"

# an image of SWUpdate: whoever installs it from the stream sees only sw-description before it writes
echo 'software = { version = "1.11.0"; };' >sw-description
printf '%s\n' sw-description fw.bin | cpio -o -H crc --quiet >fw.swu
printf '%s\n' fw.bin sw-description | cpio -o -H crc --quiet >late.swu
swu() { cradle release create "$R" "$1" --line vib --model vib-1 --support-end 2099-12-31 --release r4 --version 1.11.0 --counter 3 --sbom fw.cdx.json --handler swupdate --quiet; }
swu late.swu 2>err; is $? 2 "a .swu that does not begin with sw-description: refused"; has "$(cat err)" "first file" "it says so"
cp fw.bin no.swu; swu no.swu 2>err; is $? 2 "a .swu that is no cpio archive: refused"
swu fw.swu; ok $? "an image of SWUpdate"
is "$(payload "$R/2.vib.json" | jq -r '.targets["vib/r4/fw.swu"].custom.cradle.inner_sha256')" "$(sha256sum <sw-description | cut -d' ' -f1)" "the digest of its sw-description is signed too"
cradle release withdraw "$R" vib r4 --quiet
sign vib ann; sign vib bob
cradle release withdraw "$R" vib r9 2>err; is $? 4 "an unknown release cannot be withdrawn"
cradle release withdraw "$R" vib r1 --quiet; ok $? "a release is withdrawn"
is "$(payload "$R/3.vib.json" | jq -r '.targets | keys | join(" ")')" "vib/r2/fw.bin" "the next metadata does not name it"
finish
