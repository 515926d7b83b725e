#!/bin/sh
# agent_trust.sh: a device learns a new root by itself, by its link (RFC 4210 4.4), and lets the old one go when every server is reached without it. What does not
# prove itself changes nothing; a kill at any file operation leaves whole roots. The forged bundles come from openssl s_server.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/broker.sh
. t/ca.sh
. t/ceremony.sh
need curl curl; need jq jq; need strace strace
ca_site pump || { ok 1 "a site with a broker"; finish; }
cp "$SITE/ca/root.pem" "$T/ca_file.pem"
cradle line set pump --validity 1800 --quiet
sed -i "s/^renew_at_pct = .*/renew_at_pct = 10/" "$SITE/profiles/device.conf" # in force when the roles restart: renewal is due at once
cp "$SITE/tls/server.pem" "$T/server-old.pem"
printf 'another horse battery staple\n' >"$T/pass2"; chmod 600 "$T/pass2"
for d in d1 d2; do
    agent_conf $d
    sed -i "s|^ca_file = .*|ca_file = $T/ca_file.pem|" "$T/$d.conf"
    cradle device add $d --model m-pump >/dev/null
done
printf 'broker_host = localhost\nbroker_port = %s\ntrust_check_s = 2\n' $PORT >>"$T/d1.conf"
a() { d=$1; shift; cradle-agent -c "$T/$d.conf" "$@" 2>"$T/err"; }
roots() { a "$1" trust | jq -r '.roots | length'; }
has_roots() { [ "$(roots "$1")" = "$2" ]; }
print_of() { openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//' | tr -d : | tr A-F a-f; }
connections() { grep -c 'is connected to' "$T/d1.log"; }
connected_after() { [ "$(connections)" -gt "$1" ]; }

a d1 enroll >/dev/null; ok $? "a device enrolls under the first root"
a d2 enroll >/dev/null; ok $? "and another, which then sleeps"
cradle-agent -c "$T/d1.conf" run 2>"$T/d1.log" & AGENT=$!; own $AGENT
wait_for 10 connected_after 0; ok $? "the first one is at the broker"
is "$(a d1 trust | jq -r '.trust_file, (.roots[].sha256)' | tr '\n' ' ')" "$T/ca_file.pem $(print_of "$SITE/ca/root.pem") " "it trusts the root of its ca_file"

# -- a second root
cradle ca rollover-root root2 --passphrase-file "$T/pass" --new-passphrase-file "$T/pass2" >"$T/log" 2>&1; ok $? "the root is rolled over"
wait_for 15 has_roots d1 2; ok $? "the device takes the second root by itself"
is "$(a d1 trust | jq -r '.trust_file, .roots[1].sha256' | tr '\n' ' ')" "$T/d1/state/trust/roots.pem $(print_of "$SITE/ca/root2.pem") " "it is the one that was made"
has "$(cat "$T/d1.log")" "roots: 1 new, 0 replaced" "and says so"
cradle ca create infra2 --use infra --root root2 --passphrase-file "$T/pass2" >"$T/log" 2>&1 && cradle ca activate infra2 >>"$T/log" 2>&1; ok $? "an infra CA under the second root"
cradle site renew --ca infra2 >"$T/log" 2>&1; ok $? "signs the TLS server's certificate"
kill -HUP "$CRADLED"
reaches() { openssl s_client -connect "localhost:$BASE" -CAfile "$1" -verify_return_error </dev/null 2>&1 | grep -q 'Verify return code: 0'; } # ROOT
serves_new() { openssl s_client -connect "localhost:$BASE" -showcerts </dev/null 2>/dev/null | grep -q 'CN *= *test Infra CA infra2'; }
wait_for 20 serves_new; ok $? "the server shows it"
wait_for 20 reaches "$SITE/ca/root2.pem"; ok $? "who trusts the second root alone reaches the server"
wait_for 20 reaches "$SITE/ca/root.pem"; ok $? "and who slept through all of it too: the link is in the chain"
wait_for 20 cradle ca retire root; ok $? "the first root is retired, when the roles have restarted"
wait_for 20 grep -q 'the broker is not reached' "$T/d1.log"; ok $? "a broker that is still under it keeps it on the device"
is "$(roots d1)" 2 "nothing is dropped"
n=$(connections)
cradle broker config --out "$T/broker" --edge-dir "$T/edge/state" --port $PORT --user "$(id -un)" --plugin "$B/cradle_mosquitto.so" >"$T/log" 2>&1
broker_stop; broker_start; ok $? "the broker gets its new certificate"
wait_for 20 has_roots d1 1; ok $? "then the device lets the first root go"
is "$(a d1 trust | jq -r '.roots[].sha256')" "$(print_of "$SITE/ca/root2.pem")" "and trusts the second one alone"
wait_for 20 connected_after "$n"; ok $? "it is at the broker again"
a d1 trust renew >"$T/out"; has "$(cat "$T/out")" "told the running agent" "a running agent is asked to look"
kill $AGENT; wait $AGENT 2>/dev/null
a d1 trust renew >"$T/out"; ok $? "EST answers to the second root alone"
has "$(cat "$T/err")" "^$" "with nothing new to say"

# -- the one that slept
renews() { a d2 renew >"$T/out"; }
wait_for 60 renews; ok $? "the device that slept comes back over the link and renews its certificate"
is "$(a d2 trust | jq -r ".roots[].sha256")" "$(print_of "$SITE/ca/root2.pem")" "and a renewal asks for roots: it trusts the second one alone"

# -- bundles that do not prove themselves
mkdir -p "$T/www/.well-known/est"
FAKE=$((BASE + 7)) W=$T/www/.well-known/est/cacerts
fake() { # CERT KEY
    (cd "$T/www" && exec openssl s_server -WWW -quiet -accept "127.0.0.1:$FAKE" -cert "$1" -cert_chain "$1" -key "$2") >/dev/null 2>&1 & FAKER=$!
    own $FAKER
    wait_for 10 sh -c "ss -Hltn 'sport = :$FAKE' | grep -q ."
}
fake "$SITE/tls/server.pem" "$SITE/tls/server.key"; ok $? "an EST server with the site's own certificate"
sed "s|^est_url = .*|est_url = https://localhost:$FAKE|; /^broker/d" "$T/d1.conf" >"$T/forged.conf"
bundle() { # CERT…
    cat "$@" >"$T/bundle.pem"
    openssl crl2pkcs7 -nocrl -certfile "$T/bundle.pem" -outform DER | openssl base64 >"$W"
}
before=$(cksum <"$T/d1/state/trust/roots.pem")
unchanged() { [ "$before" = "$(cksum <"$T/d1/state/trust/roots.pem")" ] && [ ! -e "$T/d1/state/trust/next.pem" ]; }
refused_for() { # pattern name
    a forged trust renew >"$T/out" && { ok 1 "$2"; return; }
    has "$(cat "$T/err")" "$1" "refused: $2"
    unchanged; ok $? "and nothing is changed"
}
bundle "$SITE/ca/root2.pem"
a forged trust renew >"$T/out"; ok $? "its true bundle is taken"
dn=$(openssl x509 -in "$SITE/ca/root2.pem" -noout -subject -nameopt compat | sed 's/^subject=//; s/^ *//')
printf 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n' >"$T/ca.ext"
for k in evil3 evil4; do
    key "$T/$k"; openssl req -new -key "$T/$k.key" -subj "$dn" -out "$T/$k.csr"
    openssl x509 -req -in "$T/$k.csr" -signkey "$T/$k.key" -days 30 -extfile "$T/ca.ext" -out "$T/$k.pem" 2>/dev/null
done
openssl x509 -req -in "$T/evil3.csr" -CA "$T/evil4.pem" -CAkey "$T/evil4.key" -set_serial 7 -days 30 -extfile "$T/ca.ext" -out "$T/evil-link.pem" 2>/dev/null
openssl verify -CAfile "$T/evil4.pem" "$T/evil-link.pem" >/dev/null 2>&1; ok $? "a forger's root, and a link by another forger's"
bundle "$SITE/ca/root2.pem" "$T/evil3.pem"; refused_for "is new, and no link leads to it from a root that is trusted here \(RFC 4210 4.4\)" "a root without a link"
bundle "$SITE/ca/root2.pem" "$T/evil3.pem" "$T/evil-link.pem"; refused_for "its link is not signed by a root that is trusted here" "a link that another root signed"
printf 'no base64 at all!\n' >"$W"; refused_for "not base64" "an answer that is not base64"
openssl base64 -in "$T/ca_file.pem" >"$W"; refused_for "PKCS#7" "one that is not PKCS#7"
kill $FAKER; wait $FAKER 2>/dev/null
bundle "$T/evil3.pem"
key "$T/evil-tls"; openssl req -new -key "$T/evil-tls.key" -subj /CN=localhost -addext subjectAltName=DNS:localhost -out "$T/evil-tls.csr" 2>/dev/null
openssl x509 -req -in "$T/evil-tls.csr" -CA "$T/evil3.pem" -CAkey "$T/evil3.key" -set_serial 9 -days 30 -copy_extensions copy -out "$T/evil-tls.pem" 2>/dev/null
fake "$T/evil-tls.pem" "$T/evil-tls.key"; refused_for "is not the one that .* vouches for" "a server that the roots in hand do not vouch for"
kill $FAKER; wait $FAKER 2>/dev/null

# -- cradle-gate beside it: a server that sends no link is reached by who knows the second root
awk '/BEGIN/ { n++ } n <= 2' "$SITE/tls/server.pem" >"$T/short.pem"
fake "$T/short.pem" "$SITE/tls/server.key"
ceremony "$SITE/trust" && echo "factory_root = $R/1.root.json" >"$T/gate.conf"; ok $? "a maker's root of updates"
printf 'uid = d1\nline = pump\nmodel = m-pump\ncert_file = %s\nkey_file = %s\nca_file = %s\nupdate_url = https://localhost:%s\nupdate_dir = %s\n' \
    "$T/d1/state/current/cert.pem" "$T/d1/state/current/key.pem" "$T/ca_file.pem" $FAKE "$T/gate" >>"$T/gate.conf"
cradle-gate -c "$T/gate.conf" fetch >"$T/out" 2>&1; has "$(cat "$T/out")" "is not the one that '$T/ca_file.pem' vouches for" "cradle-gate with its ca_file alone does not reach a server under the second root"
echo "agent_state_dir = $T/d1/state" >>"$T/gate.conf"
cradle-gate -c "$T/gate.conf" fetch >"$T/out" 2>&1; ! grep -q 'vouches for' "$T/out"; ok $? "with what the agent has learnt it does"
kill $FAKER; wait $FAKER 2>/dev/null

# -- killed at every file operation of the change
n_kills=0; broken=0
for kind in mkdir write fsync rename unlink; do
    n=1
    while [ $n -le 9 ]; do
        rm -rf "$T/d2/state/trust"
        strace -f -o /dev/null -e trace=$kind -e inject=$kind:signal=KILL:when=$n "$PWD/build/release/cradle-agent" -c "$T/d2.conf" trust renew >"$T/out" 2>&1
        [ $? = 137 ] || break
        n_kills=$((n_kills + 1))
        case $(roots d2) in 1) ;; *) broken=$((broken + 1)); echo "# no roots after $kind $n" ;; esac
        a d2 trust renew >"$T/out" && [ "$(jq -r '.roots[].sha256' "$T/out")" = "$(print_of "$SITE/ca/root2.pem")" ] || { broken=$((broken + 1)); echo "# not repaired after $kind $n"; }
        [ -z "$(find "$T/d2/state/trust" -name '*.tmp*' -o -name next.pem)" ] || { broken=$((broken + 1)); echo "# rubbish after $kind $n"; }
        n=$((n + 1))
    done
done
[ $n_kills -ge 10 ]; ok $? "the change of roots was killed at $n_kills file operations"
is $broken 0 "each time the roots were whole, and the next run took the new one"

# -- another ca_file, or a damaged file
echo damaged >>"$T/ca_file.pem"
is "$(a d2 trust | jq -r .trust_file)" "$T/ca_file.pem" "another ca_file, brought by an update, counts at once"
a d2 trust renew >/dev/null; is "$(a d2 trust | jq -r .trust_file)" "$T/d2/state/trust/roots.pem" "and what follows from it is learnt again"
sed -i '2,$d' "$T/d2/state/trust/roots.pem"
is "$(a d2 trust | jq -r .trust_file)" "$T/ca_file.pem" "a damaged file of roots does not count"
site_stop; ok $? "the service stops"
finish
