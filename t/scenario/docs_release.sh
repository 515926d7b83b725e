#!/bin/sh
# docs_release.sh: every command of docs/ceremony.md, docs/release-engineer.md and docs/verify.md, exactly as printed but for the site's folder: the ceremony, a
# release, its verification with OpenSSL, sha256sum and jq alone, the yearly duties, a stolen key.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need openssl openssl; need jq jq; need curl curl
block() { awk -v want="$3" -v lang="$2" '$0 == "```" lang { n++; on = n == want; next } $0 == "```" { on = 0 } on' "$1"; } # FILE LANGUAGE N
site_init || finish
site_start; ok $? "a site"
cradle line add vib --quiet && cradle model add vib-1 --line vib --quiet; ok $? "with a product line"
DOCS=$PWD/docs
# People type their passphrase and a yes; here an own cradle gives the answers.
mkdir "$T/bin" "$T/work"
cat >"$T/bin/cradle" <<END
#!/bin/sh
case "\$1 \$2" in
"tuf key") set -- "\$@" --passphrase-file $T/pass ;;
"tuf sign") set -- "\$@" --passphrase-file $T/pass --yes ;;
"release cert") set -- "\$@" --passphrase-file $T/pass --issuer-passphrase-file $T/pass ;;
"release crl") set -- "\$@" --issuer-passphrase-file $T/pass ;;
"release seal" | "release cms") set -- "\$@" --passphrase-file $T/pass ;;
esac
exec $B/cradle "\$@"
END
chmod 755 "$T/bin/cradle"
cd "$T/work" || exit 1
page() { # PAGE N: runs this block in the current folder; each command must succeed; the output is in $T/out
    block "$DOCS/$1" sh "$2" | sed "s|/srv/cradle|$SITE|" >"$T/block"
    [ -s "$T/block" ] && PATH="$T/bin:$PATH" bash -e -o pipefail "$T/block" >"$T/out" 2>&1 || { sed 's/^/# /' "$T/out"; return 1; }
}
state() { cradle tuf status release --json | jq -r ".items[] | select(.role == \"$1\") | \"\(.version) \(.state)\""; }

# -- the first time
page ceremony.md 1; ok $? "ceremony: each person makes a key"
page ceremony.md 2; ok $? "ceremony: the first root, and a line"
is "$(state root), $(state targets)" "1 complete, 1 complete" "both are complete"
page ceremony.md 3; has "$(cat "$T/out")" '^[0-9a-f]{64}  release/1.root.json' "ceremony: the digest of the root"
page ceremony.md 4; ok $? "ceremony: the release CA, a signer, an empty list"

# -- a release
head -c 1500000 /dev/urandom >fw.bin
printf '{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"type":"library","name":"zlib","version":"1.3"}]}' >fw.cdx.json
echo 'software = { version = "1.7.0"; };' >sw-description
page release-engineer.md 1; ok $? "release: made"
is "$(cut -d' ' -f1 "$T/out" | grep -cx "$(sha256sum fw.bin | cut -d' ' -f1)")" 2 "the same digest twice"
page release-engineer.md 2; ok $? "release: approved by two"
is "$(state vib)" "1 complete" "it is complete"
page release-engineer.md 3; ok $? "release: sealed, and verified"
is "$(grep -c '^holds' "$T/out")" 9 "nine things hold"
page release-engineer.md 4; ok $? "release: a sw-description signed for SWUpdate"
openssl cms -verify -binary -inform DER -in sw-description.sig -content sw-description -CAfile release-ca.pem -out /dev/null 2>/dev/null; ok $? "which openssl verifies"
page release-engineer.md 5; ok $? "release: published"
has "$(cat "$T/out")" "1.7.0" "the site lists it"

# -- others verify it, without cradle: nothing of it is in the path
cp -r release/files/vib/r7 "$T/theirs"; cp release-ca.pem release.crl "$T/theirs/"
rm -f "$T/bin/cradle.off"; mv "$T/bin/cradle" "$T/bin/cradle.off"
theirs() { (cd "$T/theirs" && block "$DOCS/verify.md" sh "$1" >"$T/block" && PATH=/usr/bin:/bin bash -e -o pipefail "$T/block" >"$T/out" 2>&1) || { sed 's/^/# /' "$T/out"; return 1; }; }
theirs 1; ok $? "verify: who signed"
has "$(cat "$T/out")" "CN ?= ?signer" "the signer is named"
theirs 2; ok $? "verify: the file"
theirs 3; ok $? "verify: SBOM and approvals"
is "$(tail -n +2 "$T/out" | sed -n '/^{/,$p' | jq -r '"\(.version) \(.counter) \(.support_end) \(.approved_by | length)"')" "1.7.0 4 2031-12-31 2" "they are shown"
printf x >>"$T/theirs/fw.bin"
theirs 2 >/dev/null; [ $? != 0 ]; ok $? "verify: another file does not pass"
theirs 3 >/dev/null; [ $? != 0 ]; ok $? "nor does the statement about it"
mv "$T/bin/cradle.off" "$T/bin/cradle"

# -- the years after
page ceremony.md 5; ok $? "ceremony: the yearly signatures"
is "$(state root), $(state targets), $(state vib)" "2 complete, 2 complete, 2 complete" "all have a new version"
page ceremony.md 6; ok $? "ceremony: the yearly list"
page ceremony.md 7; ok $? "ceremony: kim for eve"
is "$(state root)" "3 complete" "signed by enough"
page ceremony.md 8; ok $? "ceremony: bob's key is stolen"
is "$(state root), $(state targets), $(state vib)" "4 complete, 3 complete, 3 complete" "every file that it signed is signed anew"
has "$(cat "$T/out")" "published 3.vib.json" "and published"
bob=$(openssl pkey -pubin -in bob.pub -outform DER | openssl base64 -A | cut -c 40-80)
for f in release/4.root.json release/3.targets.json; do jq -rj .payload $f | openssl base64 -d -A | tr -d '\n' | sed 's/\\n//g'; done >all
is "$(grep -cF "$bob" all)" 0 "bob's key is in none of them"
page ceremony.md 9; ok $? "ceremony: the seal's key is stolen"
cradle release verify release/files/vib/r7 --ca release-ca.pem --crl release.crl >"$T/out" 2>&1; is $? 7 "its seals do not hold any more"
page release-engineer.md 6
is $? 1 "bob cannot withdraw a release any more"
for p in ceremony.md:10 release-engineer.md:7 verify.md:4; do is "$(block "$DOCS/${p%:*}" sh "${p#*:}")" "" "$p: there is no such block"; done
finish
