#!/bin/sh
# upload_resume.sh: files for devices come to the site in pieces, whatever dies meanwhile: the depot, a front, core, nginx, the client; the disk
# gets full; two send the same. Nothing is ever in place that has not the digest of its name. The site lies on a small file system of its own.
cd "$(dirname "$0")/../.." || exit 1
if [ -z "${UPLOAD_NS:-}" ]; then # a mount namespace of its own: the mount ends with it, whatever happens
    if [ "$(id -u)" = 0 ]; then how=-m; else how="-c -m --keep-caps"; fi
    UPLOAD_NS=1 exec unshare $how sh "$0" "$@"
fi
. t/lib.sh
. t/fault.sh
. t/ceremony.sh
mkdir "$T/site"
trap 'cd /; CRADLE_KEEP=1 cleanup; umount -l "$T/site"; rm -rf "$T"' EXIT
mount -t tmpfs -o size=400m,mode=755 cradle-test "$T/site"; ok $? "a file system of 400 MB"
site_init || { ok 1 "cradle init"; finish; }
printf 'restart_limit = 1000\nhang_limit = 20\n' >>"$SITE/cradled.conf"
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
sum() { sha256sum "$1" | cut -c1-64; }
bytes() { head -c "$1" /dev/urandom >"$2"; } # N FILE
begin() { api -o answer -w '%{http_code}' -d "{\"sha256\":\"$1\",\"length\":$2,\"name\":\"x\"}" "$HTTPS/api/v1/uploads"; } # SHA256 LENGTH
piece() { api -X PUT -H 'Content-Type: application/octet-stream' -o answer -w '%{http_code}' --data-binary @"$3" "$HTTPS/api/v1/uploads/$1?offset=$2"; } # SHA256 OFFSET FILE
end() { api -X POST -o answer -w '%{http_code}' "$HTTPS/api/v1/uploads/$1/finish"; }
why() { jq -r '.reason // empty' answer; }
stored() { [ "$(sum "$SITE/artifact/$1")" = "$1" ]; }
all_named_right() { for f in "$SITE"/artifact/*; do case $f in *.blocks | *.meta | */part | *'*') ;; *) stored "${f##*/}" || return 1 ;; esac; done; }

# -- by hand
bytes 3000000 f; H=$(sum f); head -c 1000000 f >f1; tail -c 2000000 f >f2
is "$(begin $H 3000000)" 201 "an upload begins"
is "$(jq -r '"\(.id) \(.offset)"' answer)" "$H 0" "its name is the digest"
is "$(piece $H 0 f1) $(jq .offset answer)" "200 1000000" "a piece"
is "$(piece $H 0 f1) $(why)" "409 offset-mismatch" "the same piece again is refused"
is "$(end $H) $(why)" "409 offset-mismatch" "it is not whole"
is "$(ls "$SITE/artifact")" part "nothing half is in place"
is "$(begin $H 3000000) $(jq .offset answer)" "201 1000000" "begun again it says where it goes on"
is "$(piece $H 1000000 f2)" 200 "the rest"; is "$(end $H)" 201 "it is whole"
stored $H; ok $? "and in place"
is "$(end $H)" 200 "the end once more"; is "$(begin $H 3000000)" 200 "an upload of what is here is over at once"
is "$(wc -c <"$SITE/artifact/$H.blocks")" 96 "three blocks"
is "$(head -c 1048576 f | sha256sum | cut -c1-64)" "$(head -c 32 "$SITE/artifact/$H.blocks" | od -An -tx1 | tr -d ' \n')" "the first is the digest of the first MiB"
is "$(ls "$SITE/run/nginx/client_body")" "" "no spooled body is left"
bytes 17000000 big; is "$(begin "$(sum big)" 17000000) $(piece "$(sum big)" 0 big) $(why)" "201 413 too-large" "a piece beyond 16 MiB"
is "$(begin abcd 5) $(why)" "400 bad-field" "a digest that is none"
is "$(begin "$(sum big)" 0) $(why)" "400 bad-field" "an empty file"
is "$(piece ffff 0 f1) $(why)" "400 bad-field" "a piece of no upload's name"
is "$(api -X PUT -o answer -w '%{http_code}' --data-binary @f1 "$HTTPS/api/v1/uploads/$H") $(why)" "400 bad-field" "a piece without its offset"
is "$(curl -s --cacert "$SITE/ca/bundle.pem" -o answer -w '%{http_code}' -X PUT --data-binary @f1 "$HTTPS/api/v1/uploads/$H?offset=0")" 401 "a stranger"
infra aud auditor ""; is "$(curl -s --cacert "$SITE/ca/bundle.pem" --cert aud.pem --key aud.key -o answer -w '%{http_code}' -X PUT --data-binary @f1 "$HTTPS/api/v1/uploads/$H?offset=0")" 403 "an auditor"
echo secret >"$SITE/run/nginx/client_body/7"
is "$(begin "$(sum big)" 17000000; api -X PUT -H "X-Cradle-Body: /x/7" -H 'Content-Length: 0' -o answer -w '%{http_code}' "$HTTPS/api/v1/uploads/$(sum big)?offset=0" | cut -c1)" 2014 "a client cannot name a file of the server"
rm "$SITE/run/nginx/client_body/7"

# -- wrong bytes
bytes 500000 w1; bytes 500000 w2; W=$(sum w1)
is "$(begin $W 500000) $(piece $W 0 w2) $(end $W) $(why)" "201 200 400 digest-mismatch" "other bytes than announced"
has "$(jq -r .detail answer)" "$(sum w2)" "it says which digest came"
is "$(ls "$SITE/artifact" | grep -c $W)" 0 "nothing of it is in place"
is "$(begin $W 500000) $(jq .offset answer)" "201 0" "and it begins anew"

# -- the command, while everything dies
bytes 150000000 large; L=$(sum large)
cradle artifact upload large --json >up.json 2>up.err & UP=$!; own $UP
part_grows() { [ "$(stat -c %s "$SITE/artifact/part/$L" 2>/dev/null || echo 0)" -gt 1000 ] || [ -e "$SITE/artifact/$L" ]; }
wait_for 30 part_grows; ok $? "an upload of 150 MB is under way"
n=0
for r in depot:0 front:0 core:0 nginx depot:0 front:1; do kill -0 $UP 2>/dev/null && p=$(role_pid $r) && kill -9 "$p" && n=$((n + 1)); sleep 0.15; done
echo "# killed $n processes during it"
[ $n -ge 2 ]; ok $? "processes died during it"
wait $UP; is "$?" 0 "the upload ends well"; sed 's/^/# /' up.err
is "$(jq -r '.artifacts[0].sha256' up.json)" "$L" "the digest is the file's"
stored $L; ok $? "it is in place"
wait_for 30 healthy; ok $? "the service is well"

# -- the client dies, another goes on
bytes 60000000 half; P=$(sum half)
cradle artifact upload half --quiet & UP=$!; own $UP
grows() { [ "$(stat -c %s "$SITE/artifact/part/$P" 2>/dev/null || echo 0)" -gt 1000000 ]; }
wait_for 30 grows; kill -9 $UP 2>/dev/null; wait $UP 2>/dev/null
sent=$(cradle artifact upload half --json | jq '.artifacts[0].sent'); echo "# $sent of 60000000 bytes went over the line again"
stored $P; ok $? "the next upload ends what a killed client began"
[ "$sent" -lt 60000000 ]; ok $? "and sends only what was missing"
is "$(cradle artifact upload half --json | jq '.artifacts[0].sent')" 0 "once more: nothing is sent"

# -- two at once
bytes 40000000 twice; D=$(sum twice)
cradle artifact upload twice --quiet & A=$!; own $A
cradle artifact upload twice --quiet & C=$!; own $C
wait $A; a=$?; wait $C; is "$a $?" "0 0" "two uploads of the same file end well"
stored $D; ok $? "with one file"
is "$(cradle event list --kind artifact-stored --json | jq '.items | length')" "$(api "$HTTPS/api/v1/artifacts?limit=500" | jq '.items | length')" "each file is one event"

# -- a full disk
bytes 30000000 last; F=$(sum last)
begin $F 30000000 >/dev/null; head -c 8000000 last >l1; is "$(piece $F 0 l1)" 200 "a piece while there is room"
dd if=/dev/zero of="$SITE/filler" bs=1M 2>/dev/null
is "$(begin "$(sum big)" 17000000) $(why)" "503 disk-full" "an upload that does not fit is not begun"
tail -c +8000001 last | head -c 8000000 >l2
is "$(piece $F 8000000 l2) $(why)" "503 disk-full" "a piece on a full disk: 503 disk-full"
out=$(cradle artifact upload last 2>&1); is "$?" "$(cradle artifact upload last >/dev/null 2>&1; echo $?)" "the command gives up"; has "$out" "no space|free" "and says why"
rm "$SITE/filler"
api "$HTTPS/api/v1/uploads/$F" >answer; is "$(jq .offset answer)" 8000000 "what was acknowledged is there"
wait_for 30 healthy; cradle artifact upload last --quiet; is "$?" 0 "with room again it goes on"
stored $F; ok $? "and ends well"
is "$(cradle event list --kind artifact-stored --json | jq -r --arg h "$F" '.items[] | select(.payload.sha256 == $h).payload.sha1')" "$(sha1sum last | cut -c1-40)" "its SHA-1 is in the evidence"
all_named_right; ok $? "every file has the digest of its name"

# -- what a release names stays
cradle line add vib --quiet; cradle model add vib-1 --line vib --quiet
publishes() { cradle tuf publish "$R"; } # again when a front has not heard of the targets yet
ceremony "$SITE/trust" && bytes 1200000 fw.bin && release_make fw.bin r1 1.0.0 1 && wait_for 20 publishes; ok $? "a release is published"
out=$(cradle release upload "$R" vib r1); ok $? "its files are uploaded"; has "$out" "vib/r1/fw.bin" "the file"; has "$out" "vib/r1/sbom.json" "the SBOM"
is "$(cradle artifact list --json | jq -r --arg h "$(sum fw.bin)" '.items[] | select(.sha256 == $h) | "\(.releases) \(.name)"')" "1 vib/r1/fw.bin" "the list says that a release names it"
cradle artifact remove "$(sum fw.bin)" 2>err; is "$? $(grep -c 'withdraw' err)" "5 1" "it cannot be removed"
cradle artifact remove $H --note "not used" --quiet; is "$?" 0 "one that no release names can"
[ ! -e "$SITE/artifact/$H" ] && [ ! -e "$SITE/artifact/$H.blocks" ]; ok $? "and is gone"
is "$(begin $H 3000000)" 201 "it can be sent anew"
printf x | dd of="$R/files/vib/r1/fw.bin" bs=1 count=1 conv=notrunc 2>/dev/null
out=$(cradle release upload "$R" vib r1 2>&1); is "$?" 2 "a file that is not the signed one is not sent"; has "$out" "not the file that was signed" "and the command says so"

verified all; ok $? "the evidence verifies"
site_stop; folds; ok $? "the events add up to the tables"
finish
