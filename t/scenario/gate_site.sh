#!/bin/sh
# gate_site.sh: the whole way with an installer that knows nothing of it: a .swu image is released and published, a real site orders it for a device, SWUpdate
# asks cradle-gate, the gate asks the site, and what became of it is in the evidence.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/offer.sh
. t/update.sh
need swupdate swupdate; need cpio cpio
update_site; ok $? "a site with a ceremony"
image_signer
cd "$T" || exit 1
swu() { # NAME VERSION COUNTER: a signed image, released and published
    swu_make "$1" "$2" 300000 &&
        release_make "$1.swu" "$1" "$2" "$3" --handler swupdate && cradle tuf publish "$R" --quiet
}
swu one 1.1.0 1 && swu two 1.2.0 2; ok $? "two releases for SWUpdate"
device dev-1 && device dev-2; ok $? "two devices"
conf() { # UID
    cat >"$T/$1.gate" <<END
uid = $1
line = vib
model = vib-1
cert_file = $T/$1/state/current/cert.pem
key_file = $T/$1/state/current/key.pem
ca_file = $SITE/ca/bundle.pem
update_url = $HTTPS
update_dir = $T/$1/gate
factory_root = $R/1.root.json
version_file = $T/$1/running
END
}
conf dev-1; conf dev-2
printf 'globals: { };\n' >swu.cfg
install() { # UID IMAGE
    rm -rf out tmp; mkdir -m 700 tmp
    TMPDIR=$T/tmp timeout 60 swupdate -v -f swu.cfg -H lab:1.0 -k image-ca.pem --cert-purpose codeSigning -P "cradle-gate -c $T/$1.gate check swupdate" \
        -p "cradle-gate -c $T/$1.gate installed" -i "$2.swu" >swupdate.log 2>&1
}
said() { cradle event list --kind "firmware-$2" --json | jq -r --arg d "$1" '[.items[] | select(.device == $d)] | length'; } # UID WORD: events of it
word() { grep -ao 'cradle-gate: .*' swupdate.log | head -n 1; }
install dev-1 one; [ $? != 0 ] && [ ! -e out ]; ok $? "a published release that nobody ordered is not installed"; has "$(word)" no-order "no-order"
has "$(order dev-1 two)" '^[0-9]+$' "the site orders the second one for dev-1"
install dev-1 one; [ $? != 0 ] && [ ! -e out ]; ok $? "the first one is not it"; has "$(word)" wrong-digest "wrong-digest"
is "$(said dev-1 refused)" 1 "the site's evidence has the refusal"
install dev-2 two; [ $? != 0 ] && [ ! -e out ]; ok $? "for dev-2 there is no order"
order dev-1 two >/dev/null; install dev-1 two; ok $? "SWUpdate on dev-1 installs what is ordered"; sed 's/^/# /' swupdate.log | grep -a cradle-gate
cmp -s out two.img; ok $? "it is there"
is "$(said dev-1 installed) $(said dev-1 confirmed)" "1 0" "the site knows: installed, not confirmed"
echo 1.2.0 >dev-1/running; cradle-gate -c dev-1.gate confirm >/dev/null; ok $? "the new version runs"
is "$(said dev-1 confirmed)" 1 "the site knows that too"
is "$(sed -n 's/^counter_floor = //p' dev-1/gate/state)" 2 "and the floor has risen"
site_stop
finish
