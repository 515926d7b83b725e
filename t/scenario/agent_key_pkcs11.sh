#!/bin/sh
# agent_key_pkcs11.sh: the agent's key in a PKCS#11 token (SoftHSM, behind a module that fails as told): EST and MQTT by TLS 1.2 and 1.3, renewal, a kill while a
# key is made, a token that is away, a wrong PIN, reset.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/agent_key.sh
. t/hsm.sh
FAULTY_P11_LOGINS=$H/logins; export FAULTY_P11_LOGINS
objects() { pkcs11-tool --module "$FAULTY_P11_MODULE" --token-label site --login --pin 654321 --list-objects --type "$1" 2>>"$T/log"; }
labels() { objects "${1:-privkey}" | sed -n 's/^ *label: *//p' | sort | tr '\n' ' '; } # [TYPE]: of the keys in the token
label_of() { sed 's/.*object=\([^?]*\).*/\1/' "$T/$1/current/key.uri"; }
logins() { grep -c . "$FAULTY_P11_LOGINS"; }
said() { tail -c +$(($1 + 1)) "$T/agent.log"; } # BYTES: what agents said since their log had so many
key_site; ok $? "a site"

key_device p-1 "key = $URI"; ok $? "a device that wants its key in a token"
key_life p-1; ok $? "p-1 enrolled"
is "$(ls "$T/p-1/current/")" "cert.pem
key.uri" "its folder holds a URI and the certificate"
is "$(stat -c %a "$T/p-1/current/key.uri")" 600 "for nobody else to read"
has "$(cat "$T/p-1/current/key.uri")" "^pkcs11:token=site;object=cradle-[0-9a-f]{16}\?module-path=.*&pin-source=.*/pin$" "the key has a label of its own"
is "$(labels) $(labels pubkey)" "$(label_of p-1)  $(label_of p-1) " "the key before the renewal is destroyed, both halves"
has "$(objects privkey)" "Access: *sensitive, always sensitive, never extracta*ble, local" "it was made in the token and never leaves it"
is "$(find "$T/p-1" -name key.pem | wc -l)" 0 "no key file is anywhere"
is "$(cradle device show p-1 --json | jq -r .key_home.home)" pkcs11 "the register knows where it is"

# -- killed while a key is made
wait_for 30 key_renewable p-1
old=$(label_of p-1)
token_does die-after; agent p-1 renew >"$T/out" 2>&1; is $? 137 "killed when the next key was made"
is "$(labels | wc -w)" 2 "which is in the token"
token_does die-before; agent p-1 renew >"$T/out" 2>&1; is $? 137 "killed again, before a key was made"
is "$(labels)" "$old " "the start before that has destroyed the key that nobody uses"
token_does ""; agent p-1 csr >"$T/out"; ok $? "the next start"
is "$(labels)$(find "$T/p-1/" -maxdepth 1 -name 'id-*' | wc -l)" "$old 1" "leaves nothing but the key in use"
key_device p-2 "key = pkcs11:token=site;object=my%20key?${URI#*\?}" && sed -i '/^broker/d' "$T/p-2.conf"; ok $? "a second device"
token_does die-after; agent p-2 enroll >"$T/out" 2>&1; is $? 137 "killed when its first key was made"
token_does ""; agent p-2 enroll >"$T/out"; ok $? "the next start enrolls"
is "$(labels | grep -o 'my key-[0-9a-f]*')" "$(label_of p-2 | sed 's/%20/ /')" "with the only key of that name, which its setting gives"

# -- the token goes away and comes back
token_does lost
agent p-2 csr >"$T/out" 2>"$T/said"; [ $? != 0 ]; ok $? "without the token there is no request"
has "$(tail -n 3 "$T/agent.log")" "no initialized PKCS#11 token has the label 'site'" "and the agent says why"
key_broker TLSv1.3
cradle-agent -c "$T/p-1.conf" run 2>>"$T/agent.log" & AGENT=$!; own $AGENT
at=$(wc -c <"$T/agent.log")
told() { [ "$(said "$at" | grep -c "$1")" -ge 3 ]; }
wait_for 15 told "no initialized PKCS#11 token"; ok $? "a daemon that is started now goes on trying"
token_does ""; wait_for 15 grep -q "as p-1 .*u'p-1'" "$T/broker.TLSv1.3.log"; ok $? "and connects when the token is there"
token_does lost; broker_stop; at=$(wc -c <"$T/agent.log"); key_broker TLSv1.2
wait_for 15 told "token.* is gone\|no initialized PKCS#11 token"; ok $? "a token that goes away while it runs is missed with the next connection"
token_does ""; wait_for 15 grep -q "as p-1 .*u'p-1'" "$T/broker.TLSv1.2.log"; ok $? "which comes when it is back"

# -- a wrong PIN is tried once
kill $AGENT; wait $AGENT 2>/dev/null
: >"$FAULTY_P11_LOGINS"; (umask 077; echo 111111 >"$H/pin.new"; mv "$H/pin.new" "$H/pin")
agent p-1 csr >"$T/out"; [ $? != 0 ]; ok $? "a wrong PIN"
has "$(tail -n 2 "$T/agent.log")" "the PIN is wrong" "is told"
agent p-1 csr >"$T/out"; agent p-1 enroll >"$T/out"
has "$(tail -n 2 "$T/agent.log")" "refused the PIN in $H/pin; it is not tried again before that file is written anew" "and not tried again"
cradle-agent -c "$T/p-1.conf" run 2>>"$T/agent.log" & AGENT=$!; own $AGENT
at=$(wc -c <"$T/agent.log"); wait_for 15 told "refused the PIN"; ok $? "a daemon neither, as often as it needs the key"
is "$(cat "$FAULTY_P11_LOGINS")" 160 "the token has seen it once"
is "$(grep -c 111111 "$T/p-1/"pin-refused-*)" 0 "the note about it does not hold it"
(umask 077; echo 654321 >"$H/pin.new"; mv "$H/pin.new" "$H/pin")
connections() { grep -c "as p-1 .*u'p-1'" "$T/broker.TLSv1.2.log"; }
more() { [ "$(connections)" -gt 1 ]; }
wait_for 15 more; ok $? "with the right one the daemon connects"
is "$(find "$T/p-1/" -name 'pin-refused*')" "" "and the note is gone"
kill $AGENT; wait $AGENT 2>/dev/null; broker_stop

# -- HTTPS by the older version (OpenSSL is still told so), both the renewal and the trial of the new certificate
key_spki p-2 >"$T/old.pub"; old=$(labels | grep -o 'my key-[0-9a-f]*')
OPENSSL_CONF=$T/openssl.cnf agent p-2 renew >"$T/out"; ok $? "a renewal where HTTPS is TLS 1.2 only"
key_other p-2 && [ "$(labels | grep -o 'my key-[0-9a-f]*')" != "$old" ]; ok $? "has replaced the key"

# -- reset
for s in $(cradle cert list --device p-2 --json | jq -r ".items[].serial"); do cradle cert revoke "$s" --reason superseded --quiet >>"$T/log" 2>&1; done # nobody else may have the name of an active device
old=$(labels | grep -o 'my key-[0-9a-f]*')
token_does lost; agent p-2 reset --yes >"$T/out"; [ $? != 0 ]; ok $? "a reset while the token is away does not end"
token_does ""; agent p-2 enroll >"$T/out"; ok $? "it goes on when the token is back"
new=$(labels | grep -o 'my key-[0-9a-f]*')
[ "$new" ] && [ "$new" != "$old" ]; ok $? "the old key is destroyed in the token, the new one is there"
is "$(labels pubkey | grep -o 'my key-[0-9a-f]*')" "$new" "in both halves"
is "$(cradle device show p-2 --json | jq -r .key_home.spki)" "$(key_spki p-2 | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)" "the device has enrolled anew, with that key"

# -- settings that cannot work
refused() { # URI WHAT
    sed "s|^key = .*|key = $1|" "$T/p-2.conf" >"$T/bad.conf"
    cradle-agent -c "$T/bad.conf" config >/dev/null 2>"$T/said"; has "$(cat "$T/said")" "$2" "refused: $2"
}
refused "pkcs11:token=site?module-path=/m" "lacks pin-source=FILE"
refused "pkcs11:token=site?module-path=/m\&pin-value=1" "pin-value is refused"
refused "pkcs11:token=site;id=%01?module-path=/m\&pin-source=/p" "id in the PKCS#11 URI names one key"
site_stop
finish
