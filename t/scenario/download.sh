#!/bin/sh
# download.sh: who is ordered to have a file gets it, by certificate or by a token in the URL, in ranges, at the speed that the site allows; nobody else
# does, and no longer than the order and the device stand. Real nginx, curl and openssl; tokens are also made here, by openssl alone.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/fault.sh
. t/ceremony.sh
site_init || { ok 1 "cradle init"; finish; }
printf 'download_max = 3\ndownloads_per_device = 2\n' >>"$SITE/cradled.conf"
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
cradle line add vib --quiet; cradle model add vib-1 --line vib --quiet
infra st station vib
for d in vib-a vib-b; do
    api -o /dev/null -d "{\"uid\":\"$d\",\"model\":\"vib-1\"}" "$HTTPS/api/v1/devices"
    key $d; csr $d /CN=$d; est st /simpleenroll $d.csr; unpack $d; is "$code" 200 "$d is enrolled"
done
as() { who=$1; shift; curl -s -m 60 --cacert "$SITE/ca/bundle.pem" --cert "$who.pem" --key "$who.key" "$@"; } # DEVICE [curl options] URL
sum() { sha256sum "$1" | cut -c1-64; }
head -c 30000000 /dev/urandom >fw.bin; H=$(sum fw.bin); URL=$HTTPS/update/v1/artifact/$H
publishes() { cradle tuf publish "$R"; } # again when a front has not heard of the targets yet
ceremony "$SITE/trust" && release_make fw.bin r1 1.0.0 1 && wait_for 20 publishes; ok $? "a release is published"
status() { as "$1" -o answer -w '%{http_code}' "$2"; } # DEVICE URL
why() { jq -r '.reason // empty' answer; }
is "$(status vib-a "$URL") $(why)" "403 artifact-not-ordered" "nothing is ordered: nothing is given"
is "$(api -o answer -w '%{http_code}' -d '{"release":"r1"}' "$HTTPS/api/v1/devices/vib-a/order" | cut -c1)" 2 "the release is ordered for vib-a"
offered() { as vib-a "$HTTPS/update/v1/poll" | jq -e '.action == "install"'; }
wait_for 20 offered; ok $? "and offered"
is "$(status vib-a "$URL") $(why)" "404 not-found" "the file is not uploaded yet"; has "$(jq -r .detail answer)" "release upload" "the answer says what to do"
cradle release upload "$R" vib r1 --quiet; ok $? "it is uploaded"

# -- the file
as vib-a -D head -o got "$URL"; cmp -s got fw.bin; ok $? "vib-a gets the file"
has "$(tr -d '\r' <head)" "^[Ee][Tt]ag: \"$H\"" "its ETag is the digest"; has "$(tr -d '\r' <head)" '^[Aa]ccept-[Rr]anges: bytes' "ranges are taken"
is "$(grep -ci '^x-accel' head)" 0 "nothing of the inside is told"
as vib-a -I "$URL" | tr -d '\r' >head; has "$(cat head)" '^[Cc]ontent-[Ll]ength: 30000000' "HEAD"
as vib-a -o got "$HTTPS/update/v1/blocks/$H"; is "$(wc -c <got) $(head -c 1048576 fw.bin | sha256sum | cut -c1-64)" "928 $(head -c 32 got | od -An -v -tx1 | tr -d ' \n')" "the block list"
is "$(status vib-b "$URL") $(why)" "403 artifact-not-ordered" "another device does not"
is "$(status vib-b "$HTTPS/update/v1/blocks/$H") $(why)" "403 artifact-not-ordered" "nor the block list"
is "$(api -o answer -w '%{http_code}' "$URL") $(why)" "403 role-forbidden" "nor an administrator"
is "$(curl -s --cacert "$SITE/ca/bundle.pem" -o answer -w '%{http_code}' "$URL") $(why)" "401 no-client-certificate" "nor a stranger"
is "$(status vib-a "$HTTPS/update/v1/artifact/$(sum "$R/files/vib/r1/sbom.json")") $(why)" "403 artifact-not-ordered" "another file is not given"
for p in xx "$H%00" "$H.blocks" "..%2f..%2fkeys" "$(echo "$H" | cut -c1-63)"; do is "$(status vib-a "$HTTPS/update/v1/artifact/$p" | cut -c1)" 4 "no file is called $p"; done
is "$(status vib-a "$HTTPS/inside/artifact/$H")" 404 "the folder itself cannot be asked for"
is "$(curl -s -o answer -w '%{http_code}' "$HTTP/inside/artifact/$H")" 404 "nor on the plain port"
is "$(curl -s -o answer -w '%{http_code}' "$HTTP/update/v1/artifact/$H")" 404 "the plain port has downloads by token only"

# -- ranges
range() { as vib-a -D head -o got -H "Range: $1" -w '%{http_code}' "$URL"; }
is "$(range bytes=1000-1999)" 206 "a range"; tail -c +1001 fw.bin | head -c 1000 | cmp -s - got; ok $? "the right bytes"
is "$(range bytes=-500)" 206 "the end"; tail -c 500 fw.bin | cmp -s - got; ok $? "the right bytes"
is "$(range bytes=29999000-)" 206 "from there on"; tail -c +29999001 fw.bin | cmp -s - got; ok $? "the right bytes"
is "$(range bytes=0-9,100-109,29999990-)" 206 "three ranges"
boundary=$(tr -d '\r' <head | sed -n 's/^content-type: multipart\/byteranges; boundary=//Ip'); has "$boundary" '^[0-9]+$' "the boundary is of digits: $boundary"
is "$(grep -ac "^--$boundary" got)" 4 "three parts and the end"
for r in bytes=30000000- bytes=39999999-99999999; do is "$(range $r)" 416 "$r: 416"; done
odd=0
for r in bytes=5-2 bytes= bytes=a-b bytes=-0 bytes=0-0,-0 bytes=18446744073709551616- bytes=0-18446744073709551616 bytes=1-2,,3-4 chars=1-2 "bytes = 1-2" "$(awk 'BEGIN { printf "bytes=0-0"; for (i = 0; i < 300; i++) printf ",0-" }')"; do
    c=$(range "$r"); case $c in 200 | 206 | 416) ;; *) odd=$((odd + 1)); echo "# $r: $c" ;; esac
    [ "$(wc -c <got)" -le 30100000 ] || odd=$((odd + 1))
done
is "$odd" 0 "strange ranges are served whole, in part or 416, and never multiply the file"
is "$(as vib-a -o got -w '%{http_code}' -H 'Range: bytes=5-9' -H "If-Range: \"$H\"" "$URL")" 206 "If-Range with the digest: the range"
is "$(as vib-a -o got -w '%{http_code}' -H 'Range: bytes=5-9' -H 'If-Range: "other"' "$URL")" 200 "If-Range with another: all of it"

# -- tokens
unhex() { tr a-f A-F | tr -d '\n' | basenc -d --base16; }
hex() { od -An -v -tx1 | tr -d ' \n'; }
token() { # UID SHA256 END: as docs/updates.md says
    body=$(printf '01%016x%s%02x' "$3" "$2" ${#1})$(printf %s "$1" | hex)
    mac=$({ printf 'cradle get v1\n'; echo "$body" | unhex; } | openssl dgst -sha256 -mac HMAC -macopt hexkey:"$(hex <"$SITE/depot/token.key")" -r | cut -c1-64)
    echo "$body$mac" | unhex | base64 -w0 | tr '+/' '-_' | tr -d '='
}
is "$(stat -c %a "$SITE/depot/token.key")" 600 "the key of tokens is its owner's"
end=$(($(date +%s) + 600)); tok=$(token vib-a "$H" $end)
curl -s -m 30 -o got "$HTTP/get/$tok/fw.bin"; cmp -s got fw.bin; ok $? "by token on the plain port, without a certificate"
curl -s -m 30 --cacert "$SITE/ca/bundle.pem" -o got "$HTTPS/get/$tok/fw.bin"; cmp -s got fw.bin; ok $? "and over TLS"
is "$(curl -s -o got -w '%{http_code}' -H 'Range: bytes=10-19' "$HTTP/get/$tok/fw.bin")" 206 "in ranges too"
plain() { curl -s -o answer -w '%{http_code}' "$HTTP/get/$1/fw.bin"; }
is "$(plain "$(token vib-a "$H" $(($(date +%s) - 5)))") $(why)" "403 bad-token" "one that has ended"
is "$(plain "$(token vib-b "$H" $end)") $(why)" "403 artifact-not-ordered" "one of a device without an order"
is "$(plain "$(token nobody "$H" $end)") $(why)" "404 uid-unknown" "one of no device"
flip=$(echo "$tok" | sed 's/^\(.\{70\}\)./\1A/'); [ "$flip" = "$tok" ] && flip=$(echo "$tok" | sed 's/^\(.\{70\}\)./\1B/')
is "$(plain "$flip") $(why)" "403 bad-token" "one that was changed"
is "$(plain "$tok=") $(why)" "403 bad-token" "one in another spelling"
is "$(plain abc) $(why)" "403 bad-token" "one that is none"
old=$(role_pid depot:0); kill -9 "$old"; wait_for 10 new_pid depot:0 "$old"; tokens_work() { [ "$(plain "$tok")" = 200 ]; }; wait_for 10 tokens_work; ok $? "a new depot knows the tokens of the old one"

# -- how many, how fast
slow() { as vib-a -o "slow$1" --limit-rate 6M -w '%{http_code}' "$URL" >"code$1" & own $!; }
slow 1; S1=$!; slow 2; S2=$!; sleep 1
code=$(as vib-a -D head -o answer -w '%{http_code}' "$URL"); is "$code $(why)" "503 busy" "a third download at once by one device"; has "$(tr -d '\r' <head)" '^[Rr]etry-[Aa]fter: 30' "with the time to come again"
is "$(plain "$tok")" 200 "another client is not held up"
wait $S1 $S2; is "$(cat code1) $(cat code2)" "200 200" "the first two end well"
grew() { api "$HTTPS/metrics" | awk '$1 ~ /^cradle_front_downloads_total/ { n += $2 } END { exit n < 10 }'; }
wait_for 10 grew; ok $? "downloads are counted"
printf 'download_rate = 6000000\n' >>"$SITE/cradled.conf"; old=$(role_pid front:0); old1=$(role_pid front:1); kill -HUP "$CRADLED"
wait_for 30 new_pid front:1 "$old1" && wait_for 30 new_pid front:0 "$old" && wait_for 30 healthy; ok $? "download_rate = 6000000"
took=$(as vib-a -o got -w '%{time_total}' "$URL"); echo "# 30 MB in $took s"; awk "BEGIN { exit !($took > 3.5 && $took < 15) }"; ok $? "the speed is as configured"
sed -i '/^download_rate/d' "$SITE/cradled.conf"; printf 'download_total = 12000000\n' >>"$SITE/cradled.conf"; old=$(role_pid front:0); old1=$(role_pid front:1); kill -HUP "$CRADLED"
wait_for 30 new_pid front:1 "$old1" && wait_for 30 new_pid front:0 "$old" && wait_for 30 healthy; ok $? "download_total = 12000000"
as vib-a -o s1 -w '%{time_total}' "$URL" >t1 & S1=$!; own $S1; sleep 0.7; took=$(curl -s -o s2 -w '%{time_total}' "$HTTP/get/$tok/x"); wait $S1; echo "# 30 MB in $(cat t1) s and $took s"
awk "BEGIN { exit !($took > 3.5) }"; ok $? "who comes second gets a half of the budget"

# -- the end of the right
as vib-a -o cut --limit-rate 3M "$URL" & CUT=$!; own $CUT; sleep 1
is "$(patch vib-a revoked)" 200 "vib-a is revoked"
refused() { status vib-a "$URL" >code; [ "$(cat code) $(why)" = "403 device-revoked" ] || [ "$(cat code) $(why)" = "403 certificate-revoked" ]; }
refused; ok $? "its next request is refused: $(cat code) $(why)"
is "$(plain "$tok") $(why)" "403 device-revoked" "and its token is void"
kill $CUT 2>/dev/null; wait $CUT 2>/dev/null
site_stop; folds; ok $? "the events add up to the tables"
finish
