#!/bin/sh
# release_seal.sh: what a release gives third parties, judged by openssl, jq, sha256sum, SWUpdate and RAUC, none of which knows cradle: every format, and each
# again with one bit changed, another file, another key, an expired and a revoked signer. Then the same by cradle release verify.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
need openssl openssl; need jq jq; need swupdate swupdate; need rauc rauc; need mksquashfs squashfs-tools; need cpio cpio; need softhsm2-util softhsm2
mkdir "$T/trust"
for n in tuf-snapshot tuf-timestamp directive; do openssl ecparam -genkey -name prime256v1 -noout 2>/dev/null | openssl ec -pubout -out "$T/trust/$n.pub" 2>/dev/null; done
ceremony "$T/trust"; ok $? "a ceremony with one line"
cd "$T" || exit 1
P="--passphrase-file $T/pass" IP="--issuer release-ca.pem --issuer-key release-ca.key --issuer-passphrase-file $T/pass"
head -c 2600000 /dev/urandom >fw.bin
sbom_make
cradle release create "$R" fw.bin --line vib --model vib-1 --release r1 --version 1.0.0 --counter 3 --sbom sbom.json --support-end 2060-12-31 --quiet; ok $? "a release is drafted"

# -- the signer's certificate
cradle release cert release-ca --ca --org "Example Maker" --life 60y $P --quiet; ok $? "a release CA"
cradle release cert signer $IP $P --life 50y --quiet; ok $? "a signer, issued by it, with a new key"
cradle release cert short $IP $P --quiet; ok $? "a signer with the usual life"
cradle release cert self --key signer.key $P --life 50y --quiet; ok $? "a certificate that signs itself"
cradle release cert bypub --public ann.pub $IP --quiet; ok $? "one for a public key alone"
is "$(openssl x509 -in bypub.pem -noout -pubkey)" "$(cat ann.pub)" "it has that key"
cradle release cert signer $IP $P 2>err; is $? 5 "none is overwritten"
cradle tuf key edkey --alg ed25519 $P --quiet
cradle release cert ed --key edkey.key $IP $P 2>err; is $? 2 "an Ed25519 signer: refused"
has "$(cat err)" "P-256" "with the reason"
cradle release cert long $IP $P --life 99y 2>err; is $? 2 "one that outlives its CA: refused"
cradle release cert x --public ann.pub 2>err; is $? 2 "a public key without an issuer: refused"
text=$(openssl x509 -in signer.pem -noout -text)
has "$text" "Key Usage: critical" "key usage is critical"
is "$(echo "$text" | grep -A1 'X509v3 Key Usage' | tail -n 1 | tr -d ' ')" "DigitalSignature" "and digitalSignature alone"
has "$text" "Code Signing, E-mail Protection" "extended key usage: codeSigning and emailProtection"
openssl verify -CAfile release-ca.pem -purpose smimesign signer.pem >/dev/null; ok $? "openssl verifies it below the CA"
not_after=$(date -ud "$(openssl x509 -in short.pem -noout -enddate | cut -d= -f2)" +%s)
[ "$not_after" -gt $(($(date +%s) + 14 * 31536000)) ]; ok $? "the usual life is 15 years"

# -- sealing
seal() { cradle release seal "$R" vib r1 $P "$@"; }
seal --key signer.key --cert signer.pem 2>err; is $? 3 "what two people have not approved is not sealed"
both_sign vib
seal --key ann.key --cert bypub.pem 2>err; is $? 3 "a key of the release metadata does not seal"
has "$(cat err)" "signs nothing else" "one key, one purpose"
seal --key signer.key --cert short.pem 2>err; is $? 3 "the certificate of another key: refused"
seal --key short.key --cert short.pem 2>err; is $? 3 "a certificate that ends before the support: refused"
has "$(cat err)" "2060-12-31" "with the date"
F=$R/files/vib/r1
cp "$F/fw.bin" keep; printf x >>"$F/fw.bin"
seal --key signer.key --cert signer.pem 2>err; is $? 7 "a file that is not the approved one: refused"
mv keep "$F/fw.bin"
is "$(find "$F" -name '*.sig' -o -name '*.p7s' | wc -l)" 0 "nothing was written"
seal --key signer.key --cert signer.pem --quiet; ok $? "the release is sealed"
cp -r "$F" good
is "$(ls good | tr '\n' ' ')" "fw.bin fw.bin.attestation.sigstore.json fw.bin.blocks fw.bin.intoto.json fw.bin.sig fw.bin.sigstore.json manifest.json manifest.json.p7s sbom.json signer.pem signer.pub " "all is there"

# -- judged by others
flip() { # FILE OFFSET: one bit; negative from the end
    at=$2; [ "$at" -ge 0 ] || at=$(($(wc -c <"$1") + at))
    byte=$(od -An -tu1 -j "$at" -N 1 "$1" | tr -d ' ')
    printf "\\$(printf %o $((byte ^ 1)))" | dd of="$1" bs=1 seek="$at" conv=notrunc 2>/dev/null
}
blob() { openssl dgst -sha256 -verify "${2:-good/signer.pub}" -signature "${3:-good/fw.bin.sig}" "${1:-good/fw.bin}" >/dev/null 2>&1; }
cms() { # manifest, p7s, CA, more options
    m=${1:-good/manifest.json} s=${2:-good/manifest.json.p7s} ca=${3:-release-ca.pem}; shift $(($# < 3 ? $# : 3))
    openssl cms -verify -binary -inform DER -in "$s" -content "$m" -CAfile "$ca" "$@" -out /dev/null 2>cms.err
}
not() { ! "$@"; }
blob; ok $? "openssl verifies FILE.sig"
cp good/fw.bin bad.bin; flip bad.bin 1000000; not blob bad.bin; ok $? "not with one bit of the file changed"
cp good/fw.bin.sig bad.sig; flip bad.sig -1; not blob good/fw.bin good/signer.pub bad.sig; ok $? "nor one of the signature"
not blob good/fw.bin short.pub; ok $? "nor by another key"
not blob fw.bin.none; ok $? "nor another file"
cms; ok $? "openssl verifies the manifest's CMS signature below the release CA"
cms good/manifest.json good/manifest.json.p7s release-ca.pem -purpose any; ok $? "for any purpose"
cp good/manifest.json bad.json; flip bad.json 12; not cms bad.json; ok $? "not with one bit of the manifest changed"
cp good/manifest.json.p7s bad.p7s; flip bad.p7s -1; not cms good/manifest.json bad.p7s; ok $? "nor one of the signature"
cradle release cert other-ca --ca $P --cn release-ca --org "Example Maker" --quiet; not cms good/manifest.json good/manifest.json.p7s other-ca.pem; ok $? "nor below another CA of the same name"
not cms good/manifest.json good/manifest.json.p7s release-ca.pem -attime $(($(date +%s) + 55 * 31536000)); ok $? "nor when the signer has expired"
has "$(cat cms.err)" "expired" "which it says"
not cms good/manifest.json good/manifest.json.p7s release-ca.pem -attime $(($(date +%s) - 86400)); ok $? "nor before its time"
cradle release crl release.crl $IP --revoke short.pem --quiet; ok $? "a list of revoked signers"
cat release-ca.pem release.crl >ca+crl.pem
cms good/manifest.json good/manifest.json.p7s ca+crl.pem -crl_check; ok $? "checked against it, the signer is good"
cp release.crl crl.good
cradle release crl release.crl $IP --revoke signer.pem --quiet
cat release-ca.pem release.crl >ca+crl.pem
not cms good/manifest.json good/manifest.json.p7s ca+crl.pem -crl_check; ok $? "once revoked, it is not"
has "$(cat cms.err)" "revoked" "which it says"
is "$(openssl crl -in release.crl -noout -text | grep -c 'Serial Number')" 2 "the next list keeps the entries of the one before"
cradle release crl crl.other --issuer other-ca.pem --issuer-key other-ca.key --issuer-passphrase-file pass --revoke signer.pem 2>err; is $? 3 "a CA does not revoke what another issued"

# -- the manifest
q() { jq -r "$1" good/manifest.json; }
is "$(jq -r 'keys_unsorted | join(" ")' good/manifest.json)" "version firmware signature certificate sha256 min_version release_date" "the manifest's members"
is "$(q .version) $(q .firmware) $(q .min_version)" "1.0.0 fw.bin 0" "version, file and lowest version"
is "$(q .sha256)" "$(sha256sum fw.bin | cut -d' ' -f1)" "its digest is the file's"
q .signature | openssl base64 -d -A | cmp -s - good/fw.bin.sig; ok $? "its signature is FILE.sig"
is "$(q .certificate | openssl x509 -noout -fingerprint)" "$(openssl x509 -in signer.pem -noout -fingerprint)" "its certificate is the signer's"
is "$(openssl x509 -in good/signer.pem -noout -pubkey)" "$(cat good/signer.pub)" "signer.pub is the certificate's key"

# -- in-toto and sigstore
dsse_verify good/fw.bin.intoto.json good/signer.pub; ok $? "openssl verifies the in-toto envelope"
not dsse_verify good/fw.bin.intoto.json short.pub; ok $? "not by another key"
jq -c '.payload |= (.[:-8] + "AAAA" + .[-4:])' good/fw.bin.intoto.json >bad.json; not dsse_verify bad.json good/signer.pub; ok $? "nor with another payload"
payload good/fw.bin.intoto.json >st
is "$(jq -r '.subject[0] | "\(.name) \(.digest.sha256)"' st)" "fw.bin $(sha256sum fw.bin | cut -d' ' -f1)" "its subject is the file"
is "$(jq -r '.predicate.sbom.sha256' st)" "$(sha256sum sbom.json | cut -d' ' -f1)" "its predicate names the SBOM"
is "$(jq -r '.predicate.metadata.approved_by | length' st)" 2 "and who approved it"
is "$(jq -r .predicate.metadata.sha256 st)" "$(payload "$R/1.vib.json" | sha256sum | cut -d' ' -f1)" "in which metadata"
jq -e '.mediaType == "application/vnd.dev.sigstore.bundle.v0.3+json" and .verificationMaterial.publicKey.hint' good/fw.bin.sigstore.json >/dev/null; ok $? "a sigstore bundle v0.3 with a public key"
jq -r .messageSignature.signature good/fw.bin.sigstore.json | openssl base64 -d -A >b.sig; blob good/fw.bin good/signer.pub b.sig; ok $? "with a signature that openssl verifies"
is "$(jq -r .messageSignature.messageDigest.digest good/fw.bin.sigstore.json)" "$(openssl dgst -sha256 -binary fw.bin | openssl base64 -A)" "and the file's digest"
jq -c .dsseEnvelope good/fw.bin.attestation.sigstore.json >env; dsse_verify env good/signer.pub; ok $? "the other bundle holds the envelope"

# -- SWUpdate and RAUC
printf 'software = { version = "1.0.0"; hardware-compatibility = [ "1.0" ]; files: ( { filename = "fw.bin"; path = "/dev/null"; sha256 = "%s"; } ); }\n' \
    "$(sha256sum fw.bin | cut -d' ' -f1)" >sw-description
cradle release cms sw-description sw-description.sig --key signer.key --cert signer.pem $P --quiet; ok $? "cradle release cms signs a sw-description"
swu() { for f in sw-description sw-description.sig fw.bin; do echo $f; done | cpio -o -H crc >"$1" 2>/dev/null; }
swu good.swu
sw() { swupdate -c -H lab:1.0 -k "$2" --cert-purpose codeSigning -i "$1" >sw.log 2>&1; }
sw good.swu release-ca.pem; ok $? "SWUpdate accepts it below the release CA, for code signing"
not sw good.swu other-ca.pem; ok $? "not below another"
cp sw-description.sig keep; flip sw-description.sig -1; swu bad.swu; not sw bad.swu release-ca.pem; ok $? "nor with one bit changed"; mv keep sw-description.sig
openssl pkey -in signer.key -passin file:pass -out plain.key 2>/dev/null
mkdir content; cp fw.bin content/rootfs.img
printf '[update]\ncompatible=vib-1\nversion=1.0.0\n[image.rootfs]\nfilename=rootfs.img\n' >content/manifest.raucm
rauc bundle --cert=signer.pem --key=plain.key content fw.raucb >rauc.log 2>&1; ok $? "RAUC makes a bundle with the certificate"
rauc info --keyring=release-ca.pem fw.raucb >rauc.log 2>&1; ok $? "and verifies it below the release CA"
not rauc info --keyring=other-ca.pem fw.raucb >rauc.log 2>&1; ok $? "not below another"

# -- cradle release verify
check() { rm -rf now; cp -r good now; "$@"; cradle release verify now --ca release-ca.pem --json ${OPT:-} >out 2>err; rc=$?; }
fails() { # pattern name
    is "$rc" 7 "$2: refused"
    has "$(jq -r '.items[] | select(.holds | not) | "\(.what): \(.why)"' out)" "$1" "$2: says what"
}
cradle release verify good --ca release-ca.pem --crl crl.good >out; ok $? "cradle release verify: all of it holds"
is "$(grep -c '^holds' out)" 8 "eight things"
cradle release verify good --ca signer.pem --quiet; ok $? "with the signer's own certificate as the anchor, too"
cradle release verify good --ca release-ca.pem --metadata "$R" --root "$R/1.root.json" >out; ok $? "with the approvals, from the root of the ceremony"
has "$(tail -n 1 out)" "holds  approved by" "which it says"
sed 's/"keyid"/"keyId"/' "$R/1.root.json" >other.root.json
cradle release verify good --ca release-ca.pem --metadata "$R" --root other.root.json --json >out 2>err; rc=$?; fails "not the root that you trust" "another root"
cradle release verify good --ca release-ca.pem --metadata "$R" 2>err; is $? 2 "approvals without a root: refused"
cp -r "$R" meta; jq -c '.signatures = .signatures[:1]' "$R/1.vib.json" >meta/1.vib.json
cradle release verify good --ca release-ca.pem --metadata meta --root "$R/1.root.json" --json >out 2>err; rc=$?; fails "1 of 2 signatures" "one approval of two"
cradle release verify good 2>err; is $? 2 "an anchor must be given"
check flip now/fw.bin 5; fails "SHA-256" "one bit of the file"
check flip now/manifest.json 12; fails "CMS" "one bit of the manifest"
check flip now/manifest.json.p7s -1; fails "CMS" "one bit of its signature"
check flip now/fw.bin.sig -1; fails "FILE.sig" "one bit of FILE.sig"
check rm now/fw.bin.sig; fails "FILE.sig.*No such file" "FILE.sig is gone"
check flip now/sbom.json 30; fails "sbom.json" "one bit of the SBOM"
check flip now/fw.bin.intoto.json -20; fails "intoto.json" "one bit of the statement's envelope"
check cp env now/fw.bin.sigstore.json; fails "sigstore.json: .*bundle" "an envelope where a bundle should be"
check cp good/fw.bin.sigstore.json now/fw.bin.attestation.sigstore.json; fails "attestation.*no envelope" "a bundle of the other kind"
cradle release verify good --ca other-ca.pem --json >out 2>err; rc=$?; fails "not issued by" "another CA"
OPT="--crl release.crl"; check true; OPT=; fails "revoked" "a revoked signer"
OPT="--at 2085-01-01T00:00:00Z"; check true; OPT=; fails "ended" "an expired signer"
OPT="--at 2020-01-01T00:00:00Z"; check true; OPT=; fails "good from" "a signer before its time"
OPT="--crl release.crl --at 2028-06-01T00:00:00Z"; check true; OPT=; fails "has ended" "a list of revoked signers that has ended"
cp signer.pem keep.pem
cradle release seal "$R" vib r1 --key signer.key --cert self.pem $P --quiet; ok $? "sealed anew with the certificate that signs itself"
cradle release verify "$F" --ca self.pem --quiet; ok $? "it holds with that anchor"
cms "$F/manifest.json" "$F/manifest.json.p7s" self.pem; ok $? "for openssl too"
cp "$F/manifest.json" "$F/manifest.json.p7s" now/; cradle release verify now --ca release-ca.pem --json >out 2>err; rc=$?; fails "not issued by" "and not with the other one"

# -- keys in tokens: of the release CA and of the signer
SOFTHSM2_CONF="$T/softhsm.conf"; export SOFTHSM2_CONF
mkdir "$T/tokens"; printf 'directories.tokendir = %s/tokens\nobjectstore.backend = file\nlog.level = ERROR\n' "$T" >"$SOFTHSM2_CONF"
softhsm2-util --init-token --free --label release --so-pin 12345678 --pin 654321 >/dev/null; ok $? "a SoftHSM token"
(umask 077; echo 654321 >pin)
uri() { echo "pkcs11:token=release;object=$1?module-path=$(find /usr/lib -name libsofthsm2.so | head -n 1)&pin-source=$T/pin"; }
cradle tuf key hsm-ca --pkcs11 "$(uri ca)" --quiet && cradle tuf key hsm-signer --pkcs11 "$(uri signer)" --quiet; ok $? "two keys made in it"
cradle release cert hsm-ca --ca --pkcs11 "$(uri ca)" --life 60y --quiet; ok $? "a release CA whose key is there"
cradle release cert hsm-signer --public hsm-signer.pub --issuer hsm-ca.pem --issuer-pkcs11 "$(uri ca)" --life 50y --quiet; ok $? "a signer whose key is there"
cradle release seal "$R" vib r1 --pkcs11 "$(uri signer)" --cert hsm-signer.pem --quiet; ok $? "sealed by the token"
cradle release verify "$F" --ca hsm-ca.pem --quiet; ok $? "it holds"
blob "$F/fw.bin" "$F/signer.pub" "$F/fw.bin.sig"; ok $? "for openssl too: the file"
cms "$F/manifest.json" "$F/manifest.json.p7s" hsm-ca.pem; ok $? "and the manifest"
cradle release crl hsm.crl --issuer hsm-ca.pem --issuer-pkcs11 "$(uri ca)" --revoke hsm-signer.pem --quiet; ok $? "the CA's list is signed in the token"
cat hsm-ca.pem hsm.crl >ca+crl.pem; not cms "$F/manifest.json" "$F/manifest.json.p7s" ca+crl.pem -crl_check; ok $? "openssl refuses the revoked signer"
finish
