#!/bin/sh
# docs_ca.sh: every command of docs/ca.md that is marked as tested, in the order of the page, each part on a fresh site.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need jq jq
(umask 077; printf 'another horse battery staple\n' >"$T/pass2")
PASS=$T/pass PASS2=$T/pass2
export PASS PASS2
commands() { awk -v part="<!-- tested: $1 -->" '$0 == part { next_one = 1; next } /^```sh$/ { on = next_one; next_one = 0; next } /^```$/ { on = 0 } on' docs/ca.md; }
top=$T n=0
reaches() { openssl s_client -connect "localhost:$BASE" -CAfile "$1" -verify_return_error </dev/null 2>&1 | grep -q 'Verify return code: 0'; } # ROOT
for part in issuing root compromise lost-ca lost-root; do
    T=$top/$part; mkdir -p "$T"
    site_init && site_start || { ok 1 "a site"; finish; }
    cp "$T/pass" "$top/pass" # where the page's variable looks
    cradle line add pump >/dev/null
    case $part in
    lost-ca) site_stop; rm "$SITE/keys/device.key"; site_start; ok $? "without the key of a CA the service starts" ;;
    lost-root) mv "$SITE/offline/root.key" "$T/nobody" ;;
    esac
    commands $part >"$T/commands"
    while read -r line <&3; do
        eval "$line" >"$T/out" 2>&1; ok $? "$line"
        grep -q '^cradle' "$T/out" && sed 's/^/# /' "$T/out"
        n=$((n + 1))
    done 3<"$T/commands"
    case $part in
    lost-root)
        wait_for 20 reaches "$SITE/ca/root2.pem"; ok $? "who trusts the new root alone reaches the server"
        wait_for 20 reaches "$SITE/ca/root.pem"; ok $? "and who trusts the old one alone"
        [ ! -e "$SITE/ca/root2-by-root.pem" ]; ok $? "there is no link by the lost key"
        ;;
    esac
    site_stop
    cradled -f "$SITE" >/dev/null 2>&1; ok $? "$part: the tables follow from the evidence"
done
T=$top
is $n 24 "the page has so many tested commands"
finish
