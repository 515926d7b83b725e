#!/bin/sh
# init.sh: `cradle init`: what it makes is judged by openssl and certtool; what it refuses; what an interruption leaves.
. t/lib.sh
need openssl openssl; need certtool gnutls-bin; need jq jq; need softhsm2-util softhsm2; need pkcs11-tool opensc; need script bsdutils

(umask 077; printf 'correct horse battery staple\n' >"$T/pass"; printf 'short\n' >"$T/weak")
pass="--passphrase-file $T/pass"
refused() { # exit-code pattern name args...: init must fail so, and leave nothing
    want=$1; pattern=$2; name=$3; shift 3
    text=$(cradle init "$T/none" "$@" 2>&1 </dev/null); rc=$?
    is $rc "$want" "$name: exit code"
    has "$text" "$pattern" "$name: message"
    is "$(find "$T" -maxdepth 1 -name '*none*')" "" "$name: nothing is left"
}

# -- a site
S=$T/site
out=$(cradle init "$S" --name acme --org "Acme GmbH" --host cradle.example --host 192.0.2.7 --port-base 23450 $pass \
    --root-validity 15y --ca-validity 8y --device-validity 3y)
ok $? "init"
has "$out" "offline" "it says what to do next"
want="birth.json ca/bundle.pem ca/cmp.pem ca/device-ocsp.pem ca/device.pem ca/infra-ocsp.pem ca/infra.pem ca/root.pem cradled.conf \
keys/cmp.key keys/device-ocsp.key keys/device.key keys/directive.key keys/infra-ocsp.key keys/infra.key keys/log.key keys/stream.key keys/tuf-snapshot.key \
keys/tuf-timestamp.key offline/root.key \
operators/admin.key operators/admin.pem profiles/device.conf profiles/idevid.conf profiles/operator.conf pub/ca/device.cer pub/ca/infra.cer \
pub/ca/root.cer pub/crl/root/0.crl tls/server.key tls/server.pem trust/directive.pub trust/log.pub trust/stream.pub \
trust/tuf-snapshot.pub trust/tuf-timestamp.pub"
is "$(cd "$S" && find . -type f | sed 's|^\./||' | LC_ALL=C sort | tr '\n' ' ' | sed 's/ $//')" "$want" "exactly the files of a site"
is "$(find "$S" -name '*.key' ! -perm 600)" "" "all keys are 0600"
is "$(cd "$S" && find keys offline operators tls db run log -maxdepth 0 ! -perm 700)" "" "folders with secrets are 0700"
is "$(find "$T" -maxdepth 1 -name '.*init-*')" "" "no folder of the making is left"

# -- chains
v() { openssl verify -x509_strict "$@" 2>&1 | tail -n 1; }
has "$(v -CAfile "$S/ca/root.pem" "$S/ca/device.pem")" OK "the device CA chains to the root"
has "$(v -CAfile "$S/ca/root.pem" "$S/ca/infra.pem")" OK "the infra CA chains to the root"
for n in device infra; do
    has "$(v -CAfile "$S/ca/root.pem" -untrusted "$S/ca/$n.pem" "$S/ca/$n-ocsp.pem")" OK "the $n OCSP responder chains"
    has "$(openssl x509 -in "$S/ca/$n-ocsp.pem" -noout -text)" "OCSP Signing" "the $n OCSP responder may sign answers"
done
server="-CAfile $S/ca/root.pem -untrusted $S/tls/server.pem $S/tls/server.pem"
admin="-CAfile $S/ca/root.pem -untrusted $S/operators/admin.pem $S/operators/admin.pem"
has "$(v -purpose sslserver -verify_hostname cradle.example $server)" OK "the server certificate is for its name"
has "$(v -purpose sslserver -verify_ip 192.0.2.7 $server)" OK "the server certificate is for its address"
has "$(v -purpose sslclient $admin)" OK "admin's certificate is for clients"
v -purpose sslserver $admin | grep -q ': OK'; is $? 1 "admin's certificate is not for servers"
openssl crl -inform DER -in "$S/pub/crl/root/0.crl" -out "$T/root.crl.pem"
has "$(openssl verify -crl_check -CAfile "$S/ca/root.pem" -CRLfile "$T/root.crl.pem" "$S/ca/device.pem" 2>&1)" OK "the root's CRL vouches for the device CA"
has "$(certtool --verify --load-ca-certificate "$S/ca/root.pem" --infile "$S/ca/device.pem" 2>&1)" "The certificate is trusted" "certtool agrees"

# -- what the certificates say
text() { openssl x509 -in "$1" -noout -text; }
key_id() { openssl x509 -in "$1" -noout -ext "$2" | sed -n 's/^ *\([0-9A-F:]\{59\}\).*/\1/p'; }
has "$(text "$S/ca/root.pem")" "CA:TRUE, pathlen:1" "the root's path length is 1"
for n in device infra; do
    t=$(text "$S/ca/$n.pem")
    has "$t" "CA:TRUE, pathlen:0" "$n CA: path length 0"
    has "$t" "http://cradle.example:23451/crl/root/0.crl" "$n CA: CRL distribution point"
    has "$t" "CA Issuers - URI:http://cradle.example:23451/ca/root.cer" "$n CA: issuer's certificate"
    is "$(key_id "$S/ca/$n.pem" authorityKeyIdentifier)" "$(key_id "$S/ca/root.pem" subjectKeyIdentifier)" "$n CA: AKI is the root's SKI"
done
has "$(text "$S/operators/admin.pem")" "http://cradle.example:23451/crl/infra/[0-9]+.crl" "admin: CRL shard"
has "$(text "$S/operators/admin.pem")" "OCSP - URI:http://cradle.example:23451/ocsp" "admin: OCSP"
is "$(openssl x509 -in "$S/ca/root.pem" -outform DER | sha256sum)" "$(sha256sum <"$S/pub/ca/root.cer")" "the published root is the root"
lives() { # file days: ends within a day of that
    openssl x509 -in "$1" -noout -checkend $((($2 - 1) * 86400)) >/dev/null && ! openssl x509 -in "$1" -noout -checkend $((($2 + 1) * 86400)) >/dev/null
}
lives "$S/ca/root.pem" 5475; ok $? "the root lives 15 years"
lives "$S/ca/device.pem" 2920; ok $? "the issuing CAs live 8 years"
has "$(cat "$S/profiles/device.conf")" "^validity_s = 3y" "the device profile has the life asked for"
is "$(grep -c validity_s "$S/profiles/device.conf")" 1 "and has it once"

# -- keys, birth, trust
openssl pkey -in "$S/offline/root.key" -passin pass:wrong -noout 2>/dev/null; is $? 1 "the root key is encrypted"
same_key() { is "$(openssl pkey -in "$1" -passin file:"$T/pass" -pubout)" "$(openssl x509 -in "$2" -noout -pubkey)" "$3"; }
same_key "$S/offline/root.key" "$S/ca/root.pem" "the root key is the root's"
same_key "$S/tls/server.key" "$S/tls/server.pem" "the server's key is the server's"
same_key "$S/operators/admin.key" "$S/operators/admin.pem" "admin's key is admin's"
for n in device infra device-ocsp infra-ocsp; do same_key "$S/keys/$n.key" "$S/ca/$n.pem" "keys/$n.key fits ca/$n.pem"; done
is "$(for k in "$S"/*/*.key; do openssl pkey -in "$k" -passin file:"$T/pass" -pubout -outform DER | sha256sum; done | sort -u | wc -l)" 13 "thirteen keys, all different"
is "$(jq -r '.format, .site.name, .site.org, .site.http_url, (.cas | map(.name) | join(",")), .operators[0].role' "$S/birth.json" | tr '\n' '|')" \
    "cradle-birth-1|acme|Acme GmbH|http://cradle.example:23451|root,device,infra|admin|" "birth.json"
is "$(jq -r '.operators[0].cert' "$S/birth.json" | base64 -d | sha256sum)" "$(openssl x509 -in "$S/operators/admin.pem" -outform DER | sha256sum)" "birth.json holds admin's certificate"
has "$(cat "$S/trust/log.pub")" '^cradle.example/acme\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}$' "the log's verifier key"
is "$(base64 -d <"$S/trust/stream.pub" | wc -c)" 32 "the stream's public key"
has "$(cat "$S/cradled.conf")" "^listen = 0.0.0.0" "a site with a public name listens on all addresses"

# -- refusals
text=$(cradle init "$S" --name x --org y $pass 2>&1); is $? 5 "a folder that is not empty: exit code"
has "$text" "is not empty" "a folder that is not empty: message"
refused 2 "passphrase-file" "no passphrase" --name a --org b
refused 2 "at least 12" "a short passphrase" --name a --org b --passphrase-file "$T/weak"
refused 4 "cannot read" "no passphrase file" --name a --org b --passphrase-file "$T/nothing"
chmod 644 "$T/weak"
refused 2 "chmod 600" "a passphrase that others may read" --name a --org b --passphrase-file "$T/weak"
refused 2 "needs --name" "no name" --org b $pass
refused 2 "needs --org" "no organisation" --name a $pass
refused 2 "name" "a name with a slash" --name a/b --org b $pass
refused 2 "comment" "an organisation that would begin a comment" --name a --org "b #1" $pass
refused 2 "empty" "an empty organisation" --name a --org "" $pass
refused 2 "host" "a host with a newline" --name a --org b $pass --host "a
b"
refused 2 "longer than the life" "an issuing CA that outlives the root" --name a --org b --ca-validity 30y $pass
refused 2 "port-base" "a port out of range" --name a --org b --port-base 70000 $pass
refused 2 "pin-value" "a PIN on the command line" --name a --org b --root-pkcs11 'pkcs11:token=a?module-path=/m&pin-value=1'
refused 2 "go with --pkcs11-ca" "OCSP keys in no token" --name a --org b $pass --pkcs11-ocsp
refused 2 "names a token, not a key" "one key for all CAs" --name a --org b $pass --pkcs11-ca 'pkcs11:token=a;object=o?module-path=/m&pin-source=/p'
mkdir "$T/empty"; cradle init "$T/empty/" --name a --org b $pass --quiet; ok $? "an empty folder is taken"
is "$(ls -A "$T/empty" | tr '\n' ' ')" "artifact birth.json ca cradled.conf db delta depot keys log offline operators profiles pub run tls trust " "and holds a site, nothing else"
mkdir "$T/here"; inode=$(stat -c %i "$T/here"); (cd "$T/here" && cradle init . --name a --org b $pass --quiet); ok $? "the current folder is taken"
is "$(stat -c %i "$T/here")" "$inode" "and stays the same folder (it may be a mount point)"
mkdir -p "$T/rest/.init-4194304" "$T/rest/keys" "$T/rest/ca"; touch "$T/rest/keys/device.key"
cradle init "$T/rest" --name a --org b $pass --quiet; ok $? "what a killed init left in a folder is cleared away"
mkdir -p "$T/rest2/keys"; cradle init "$T/rest2" --name a --org b $pass --quiet 2>/dev/null; is $? 5 "a folder with keys/ of somebody else is not touched"
is "$(cradle init "$T/j" --name a --org b $pass --json | jq -r .host)" localhost "--json, default host"
has "$(cat "$T/j/cradled.conf")" "^listen = 127.0.0.1" "a site on localhost listens there only"
cradle init "$T/odd" --name odd --org 'Öl & Söhne, "GmbH" = \x' --host ::1 $pass --quiet; ok $? "an odd organisation, an IPv6 host"
is "$(openssl x509 -in "$T/odd/operators/admin.pem" -noout -subject -nameopt utf8)" 'subject=CN=admin, OU=admin, O=Öl & Söhne, "GmbH" = \x' "the organisation is as it was given"
has "$(cat "$T/odd/cradled.conf")" '^listen = 127.0.0.1 \[::1\]' "it listens on the IPv6 address too"
has "$(text "$T/odd/operators/admin.pem")" "http://\[::1\]:[0-9]+/ocsp" "URLs with an IPv6 address have brackets"
for s in site odd j; do cradled -t "$T/$s" >"$T/t.log" 2>&1; ok $? "cradled takes the configuration of $s"; sed 's/^/# /' "$T/t.log"; done
port_of() { sed -n 's/^https_port = \([0-9]*\).*/\1/p' "$1/cradled.conf"; }
p1=$(port_of "$T/j")
openssl s_server -accept "$p1" -cert "$S/tls/server.pem" -key "$S/tls/server.key" >/dev/null 2>&1 & own $!
wait_for 10 sh -c "ss -Hltn | grep -q ':$p1 '"
cradle init "$T/full/x/y" --name a --org b $pass --quiet; ok $? "missing parents are made"
[ "$(port_of "$T/full/x/y")" != "$p1" ]; ok $? "a port that is taken is not chosen"

# -- who owns what
if [ "$(id -u)" = 0 ]; then
    user=$(sed -n 's/^user = //p' "$S/cradled.conf"); signer=$(sed -n 's/^signer_user = //p' "$S/cradled.conf")
    owner() { stat -c %U:%u "$1" | awk -F: -v n="$2" '{ print ($1 == n || $2 == n) ? "yes" : $0 }'; }
    [ -n "$user" ] && [ -n "$signer" ] && [ "$user" != "$signer" ]; ok $? "root: two users of their own"
    is "$(for k in "$S"/keys "$S"/keys/*; do owner "$k" "$signer"; done | sort -u)" yes "root: keys/ is the signer's alone"
    is "$(for d in db log run pub tls tls/server.key; do owner "$S/$d" "$user"; done | sort -u)" yes "root: what the service writes is the service's"
    is "$(for d in . offline offline/root.key operators operators/admin.key cradled.conf birth.json; do stat -c %u "$S/$d"; done | sort -u)" 0 "root: the rest is root's"
    mkdir -m 777 "$T/pub"; cp "$(command -v cradle)" "$T/cradle"; cp "$T/pass" "$T/pub/pass"; chown 65534 "$T/pub/pass"
    as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
else
    mkdir "$T/pub"; cp "$T/pass" "$T/pub/pass"; cp "$(command -v cradle)" "$T/cradle"
    as_user() { "$@"; }
fi
as_user "$T/cradle" init "$T/pub/site" --name a --org b --passphrase-file "$T/pub/pass" --quiet; ok $? "no root needed"
is "$(find "$T/pub/site" -exec stat -c %u {} + | sort -u | wc -l)" 1 "without root all files are the caller's"
is "$(find "$T/pub/site" -type d ! -perm 700)" "" "without root all folders are 0700"
is "$(grep -c '^user' "$T/pub/site/cradled.conf")" 0 "without root no user is configured"

# -- renewals that need the site's folder
cradle init "$T/old" --name a --org b --host a.example --host 192.0.2.1 $pass --quiet --server-validity 20d
cradle site renew --site "$T/old" >/dev/null; ok $? "site renew"
lives "$T/old/tls/server.pem" 1825 && lives "$T/old/ca/device-ocsp.pem" 1825; ok $? "server and OCSP responders live 5 years again"
has "$(openssl x509 -in "$T/old/tls/server.pem" -noout -ext subjectAltName)" "DNS:a.example, IP Address:192.0.2.1" "the names stay"
same_key "$T/old/tls/server.key" "$T/old/tls/server.pem" "the key stays"
has "$(v -purpose sslserver -CAfile "$T/old/ca/root.pem" -untrusted "$T/old/tls/server.pem" "$T/old/tls/server.pem")" OK "the new server certificate chains"
cradle root crl --site "$T/old" $pass >/dev/null; ok $? "root crl"
openssl crl -inform DER -in "$T/old/pub/crl/root/0.crl" -noout -crlnumber | grep -q '0x0*2$'; ok $? "the root's CRL has the next number"
has "$(openssl crl -inform DER -in "$T/old/pub/crl/root/0.crl" -noout -CAfile "$T/old/ca/root.pem" 2>&1)" "verify OK" "and the root's signature"
(umask 077; echo "not the passphrase" >"$T/wrong")
text=$(cradle root crl --site "$T/old" --passphrase-file "$T/wrong" 2>&1); is $? 1 "root crl with a wrong passphrase: exit code"
has "$text" "passphrase is wrong" "root crl with a wrong passphrase: message"
rm "$T/old/offline/root.key"; text=$(cradle root crl --site "$T/old" $pass 2>&1); is $? 4 "root crl without the key: exit code"
has "$text" "give --key" "root crl without the key: message"

# -- a terminal: the passphrase is asked twice, and not shown
typed() { # [PROMPT ANSWER]… END: each answer when the terminal shows its prompt, then nothing until it shows the end
    while [ $# -gt 1 ]; do wait_for 20 grep -q "$1" "$T/tty.log"; printf '%s\n' "$2"; shift 2; done
    wait_for 20 grep -q "$1" "$T/tty.log"
}
typed "^Name of" acme "^Organisation" Acme "^Host name" "" "^Passphrase" "long enough pass" "^The same again" "long enough pass" "everybody who will check" |
    script -qefc "cradle init $T/tty" "$T/tty.log" >/dev/null 2>&1
is "$(jq -r '.site.name + "/" + .site.org' "$T/tty/birth.json" 2>/dev/null)" acme/Acme "questions on a terminal"
openssl pkey -in "$T/tty/offline/root.key" -passin 'pass:long enough pass' -noout 2>/dev/null; ok $? "the passphrase asked for opens the root key"
grep -q "long enough" "$T/tty.log"; is $? 1 "the passphrase is not shown"
mv "$T/tty.log" "$T/tty1.log"
typed "^Passphrase" "long enough pass" "^The same again" "another long pass" "differ" | script -qefc "cradle init $T/tty2 --name a --org b" "$T/tty.log" >/dev/null 2>&1
has "$(cat "$T/tty.log")" "differ" "two passphrases that differ are refused"
[ ! -e "$T/tty2" ]; ok $? "and nothing is made"

# -- interruption: a signal at different moments, every third one kill -9; never half a site
half=0; whole=0; left=0; i=0
while [ $i -lt 12 ]; do
    i=$((i + 1)); sig=TERM; [ $((i % 3)) = 0 ] && sig=KILL
    cradle init "$T/cut" --name a --org b $pass --quiet 2>/dev/null & pid=$!
    wait_for 5 sh -c "ls -d $T/.cut.init-* || ! kill -0 $pid"
    sleep 0.0$i
    kill -$sig $pid 2>/dev/null; wait $pid 2>/dev/null
    if [ -e "$T/cut" ]; then
        if [ -f "$T/cut/birth.json" ]; then whole=$((whole + 1)); else half=$((half + 1)); fi
    fi
    [ $sig = KILL ] || [ ! -e "$T/.cut.init-$pid" ] || left=$((left + 1))
    rm -rf "$T/cut"
done
is $half 0 "12 interruptions leave no half-made site"
is $left 0 "SIGTERM leaves nothing at all"
[ $whole -lt 12 ]; ok $? "at least one of them came in time ($whole sites were complete)"
cradle init "$T/cut" --name a --org b $pass --quiet; ok $? "the next init works"
is "$(find "$T" -maxdepth 1 -name '.cut.init-*')" "" "and clears away what kill -9 left"

# -- the root key in a PKCS#11 token
SOFTHSM2_CONF="$T/softhsm.conf"; export SOFTHSM2_CONF
mkdir "$T/tokens"
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$T/tokens" >"$SOFTHSM2_CONF"
softhsm2-util --init-token --free --label "root token" --so-pin 12345678 --pin 654321 >/dev/null; ok $? "a SoftHSM token"
module=$(find /usr/lib -name 'libsofthsm2.so' | head -n 1)
(umask 077; echo 654321 >"$T/pin"; echo 111111 >"$T/badpin")
uri="pkcs11:token=root%20token;object=acme-root?module-path=$module&pin-source=file:$T/pin"
cradle init "$T/hsm" --name acme --org b --root-pkcs11 "$uri" --quiet; ok $? "init with the root key in the token"
[ ! -e "$T/hsm/offline/root.key" ] && [ -f "$T/hsm/offline/root.uri" ]; ok $? "the root key is in no file"
has "$(v -CAfile "$T/hsm/ca/root.pem" "$T/hsm/ca/device.pem")" OK "the token's signature verifies"
point() { tail -c 65 | od -An -tx1 | tr -d ' \n'; }
is "$(openssl x509 -in "$T/hsm/ca/root.pem" -noout -pubkey | openssl pkey -pubin -outform DER | point)" \
    "$(pkcs11-tool --module "$module" --token-label "root token" --read-object --type pubkey --label acme-root 2>/dev/null | point)" "pkcs11-tool shows the same public key"
cradle init "$T/hsm2" --name acme2 --org b --root-pkcs11 "$uri" --quiet; ok $? "a second site with the key that is there"
is "$(openssl x509 -in "$T/hsm2/ca/root.pem" -noout -pubkey)" "$(openssl x509 -in "$T/hsm/ca/root.pem" -noout -pubkey)" "it uses the same key"
cradle root crl --site "$T/hsm" >/dev/null; ok $? "root crl by the token"
has "$(openssl crl -inform DER -in "$T/hsm/pub/crl/root/0.crl" -noout -CAfile "$T/hsm/ca/root.pem" 2>&1)" "verify OK" "the token's CRL verifies"
chmod 644 "$T/pin"; refused 2 "chmod 600 $T/pin" "a PIN file that others may read" --name a --org b --root-pkcs11 "$uri"; chmod 600 "$T/pin"
refused 1 "PIN is wrong" "a wrong PIN" --name a --org b --root-pkcs11 "pkcs11:token=root%20token?module-path=$module&pin-source=$T/badpin"
refused 4 "no initialized" "an unknown token" --name a --org b --root-pkcs11 "pkcs11:token=other?module-path=$module&pin-source=$T/pin"
refused 4 "cannot load" "no such module" --name a --org b --root-pkcs11 "pkcs11:token=other?module-path=/nothing.so&pin-source=$T/pin"
(umask 077; echo "a passphrase for the root" >"$T/pass2")
refused 2 "lacks pin-source" "CA keys without a PIN file" --name a --org b --passphrase-file "$T/pass2" --pkcs11-ca "pkcs11:token=root%20token?module-path=$module"
finish
