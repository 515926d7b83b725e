#!/bin/sh
# release_cosign.sh: the commands of docs/verify.md that need Debian 13: cosign over the sigstore bundles and the statement, python-tuf's client over the metadata that a
# site publishes; each with something changed as well. The first without a network, so that nothing is fetched from anywhere. Run by t/debian13.sh.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
need cosign cosign; need python3 python3; need openssl openssl; need jq jq; need unshare util-linux
python3 -c 'import tuf.ngclient' 2>/dev/null; ok $? "python-tuf is installed (Debian package python3-tuf)"
block() { awk -v want="${3:-1}" -v lang="$2" '$0 == "```" lang { n++; on = n == want; next } $0 == "```" { on = 0 } on' "$1"; }
DOCS=$PWD/docs/verify.md
site_init || finish
site_start; ok $? "a site"
cradle line add vib --quiet && cradle model add vib-1 --line vib --quiet
ceremony "$SITE/trust"; ok $? "a ceremony"
head -c 1500000 /dev/urandom >"$T/fw.bin"
release_make "$T/fw.bin" r1 1.7.0 1; ok $? "a release"
cd "$T" || exit 1
cradle release cert release-ca --ca --life 99y $PASS --quiet && cradle release cert signer --issuer release-ca.pem --issuer-key release-ca.key --issuer-passphrase-file "$T/pass" $PASS --life 98y --quiet &&
    cradle release crl release.crl --issuer release-ca.pem --issuer-key release-ca.key --issuer-passphrase-file "$T/pass" --quiet &&
    cradle release seal "$R" vib r1 --key signer.key --cert signer.pem $PASS --quiet; ok $? "sealed"
cp -r "$R/files/vib/r1" theirs; cp release-ca.pem release.crl theirs/
for i in 1 2 3; do
    block "$DOCS" sh $i >block
    (cd theirs && bash -e -o pipefail ../block >../out 2>&1); ok $? "openssl of this Debian: block $i of the page"
done
openssl cms -verify -binary -inform DER -in theirs/manifest.json.p7s -content theirs/manifest.json -CAfile release-ca.pem -purpose codesign -out /dev/null 2>err; ok $? "for code signing too, which OpenSSL 3.2 learned"

# -- cosign, line by line
block "$DOCS" cosign | head -n 1 >line; (cd theirs && bash ../line)
cosign_line() { block "$DOCS" cosign | sed -n "$1p" >line; (cd theirs && unshare -n bash ../line) >out 2>&1; }
for i in 2 3 4; do
    cosign_line $i; ok $? "cosign accepts: $(sed 's/--new.*--bundle/--bundle/' line | cut -c1-90)"
    has "$(cat out)" "Verified OK" "and says so"
done
cp -r theirs good
for i in 2 3 4; do
    rm -rf theirs; cp -r good theirs; printf x >>theirs/fw.bin
    cosign_line $i; [ $? != 0 ]; ok $? "line $i: another file is refused"
    rm -rf theirs; cp -r good theirs; openssl ecparam -genkey -name prime256v1 -noout 2>/dev/null | openssl ec -pubout -out theirs/good.pub 2>/dev/null
    cosign_line $i; [ $? != 0 ]; ok $? "line $i: another key is refused"
done
rm -rf theirs; cp -r good theirs
jq -c '.messageSignature.signature |= "MEUC" + .[4:-4] + "AAA="' good/fw.bin.sigstore.json >theirs/fw.bin.sigstore.json; cosign_line 2; [ $? != 0 ]; ok $? "another signature is refused"
jq -c '.dsseEnvelope.payload |= (.[:-8] + "AAAA" + .[-4:])' good/fw.bin.attestation.sigstore.json >theirs/fw.bin.attestation.sigstore.json; cosign_line 3; [ $? != 0 ]; ok $? "another statement is refused"
block "$DOCS" cosign | sed -n 4p | sed 's/release:v1/release:v2/' >line; (cd theirs && unshare -n bash ../line) >out 2>&1; [ $? != 0 ]; ok $? "with --signature another type of statement is refused, as the page says"
block "$DOCS" cosign | sed -n 2p | sed 's/--insecure-ignore-tlog//' >line; (cd theirs && unshare -n bash ../line) >out 2>&1; [ $? != 0 ]; ok $? "without --insecure-ignore-tlog it refuses, as the page says"

# -- python-tuf
cradle tuf publish "$R" >out; ok $? "published"
wait_for 20 sh -c "curl -sf $HTTP/tuf/timestamp.json >ts.json && curl -sf $HTTP/tuf/1.vib.json >vib.json"
block "$DOCS" python >client.py
client() { # the first root; the digest that the client prints
    rm -rf metadata; mkdir metadata; cp "$1" metadata/root.json
    timeout 60 python3 client.py "$HTTP/tuf" vib/r1/fw.bin 2>err
}
is "$(client "$R/1.root.json")" "$(sha256sum fw.bin | cut -d' ' -f1) 1500000 vib/r1/fw.bin" "python-tuf follows the metadata to the file's digest"
[ -s err ] && tail -n 3 err | sed 's/^/# /'
jq -c '.signatures = .signatures[:1]' "$R/1.root.json" >one.json
is "$(client one.json)" "" "it does not begin with a root that one person signed"
cradle tuf key kim $PASS --quiet; cradle tuf rotate "$R" root --add kim.pub --quiet; both_sign root; cradle tuf publish "$R" >/dev/null; ok $? "a new root"
wait_for 20 sh -c "curl -sf $HTTP/tuf/2.root.json >/dev/null"
is "$(client "$R/1.root.json")" "$(sha256sum fw.bin | cut -d' ' -f1) 1500000 vib/r1/fw.bin" "from the first root it follows the second"
is "$(jq -rj .payload metadata/root.json | openssl base64 -d -A | jq .version)" 2 "which it keeps"
# every key has the identifier that securesystemslib computes
cat >ids.py <<'END'
import base64, json, sys
from securesystemslib.signer import SSlibKey
from securesystemslib.formats import encode_canonical
from hashlib import sha256
n = 0
for path in sys.argv[1:]:
    keys = json.loads(base64.b64decode(json.load(open(path))["payload"]))
    for keyid, key in (keys.get("keys") or keys["delegations"]["keys"]).items():
        assert sha256(encode_canonical(key).encode()).hexdigest() == keyid, keyid
        SSlibKey.from_dict(keyid, dict(key))
        n += 1
print(n)
END
is "$(python3 ids.py "$R/1.root.json" "$R/1.targets.json" 2>err)" 7 "securesystemslib computes the same identifiers of all keys"; [ ! -s err ] || tail -n 3 err | sed "s/^/# /"
finish
