#!/bin/sh
# gate_fetch.sh: cradle-gate asks a server over mutual TLS (an nginx with what a server would say): newer roots are followed, the answer is kept for a time
# without network, a refusal of the server is final, what the gate decides is reported, and nothing that a server says makes it let in more.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/ceremony.sh
. t/offer.sh
need nginx nginx-light; need openssl openssl; need jq jq
offer_keys; ceremony "$T/trust"; ok $? "a ceremony"
image_signer; gate_device
cd "$T" || exit 1
PORT=$(free_ports)
head -c 50000 /dev/urandom >old.bin; head -c 50001 /dev/urandom >new.bin; N=2
release_make old.bin old 0.9.0 1 && release_make new.bin new 1.1.0 2; ok $? "two releases"
key tls; echo "subjectAltName=DNS:localhost" >tls.ext
openssl req -new -key tls.key -subj /CN=localhost -out tls.csr 2>/dev/null
openssl x509 -req -in tls.csr -CA image-ca.pem -CAkey image-ca.key -CAcreateserial -days 2 -extfile tls.ext -out tls.pem 2>/dev/null
cat >>gate.conf <<END
key_file = $T/dev.key
ca_file = $T/image-ca.pem
update_url = https://localhost:$PORT
END
WWW=$T/www/update/v1
mkdir -p "$WWW/metadata"
publish() { # what lies in the offer goes to the server
    cp "$OFFER/timestamp.json" "$WWW/metadata/"; cp "$OFFER/snapshot.json" "$WWW/metadata/$N.snapshot.json"; cp "$OFFER/targets.json" "$WWW/metadata/1.targets.json"
    cp "$OFFER/line.json" "$WWW/metadata/$N.vib.json"; rm -f "$WWW/directive"; mv "$OFFER/directive.json" "$WWW/directive"; rm -f "$OFFER"/*
}
{ [ "$(id -u)" != 0 ] || echo "user root;"
cat <<END
daemon off; worker_processes 1; pid $T/nginx.pid; error_log stderr warn; events { worker_connections 64; }
http {
    client_body_temp_path $T/b; proxy_temp_path $T/p; fastcgi_temp_path $T/f; uwsgi_temp_path $T/u; scgi_temp_path $T/s;
    log_format said escape=none '\$status \$request_method \$uri \$ssl_client_s_dn \$request_body';
    server {
        listen 127.0.0.1:$PORT ssl; ssl_certificate $T/tls.pem; ssl_certificate_key $T/tls.key;
        ssl_client_certificate $T/dev.pem; ssl_verify_client on;
        root $T/www; access_log $T/said said; default_type application/json;
        location = /update/v1/report { proxy_pass http://127.0.0.1:$((PORT + 1)); }
    }
    server { listen 127.0.0.1:$((PORT + 1)); access_log off; location / { return 200 '{"sequence":1}'; } }
}
END
} >nginx.conf
server_up() { nginx -e stderr -p "$T" -c "$T/nginx.conf" 2>>nginx.log & NGINX=$!; own $NGINX; wait_for 10 sh -c "ss -Hltn 'sport = :$PORT' | grep -q ."; }
server_down() { kill $NGINX; wait $NGINX 2>/dev/null; }
said() { grep "POST /update/v1/report CN=dev-1" said | tail -n 1 | cut -d' ' -f5- | jq -r "$1"; }
offer_metadata $N; offer_directive 1 new; publish; server_up; ok $? "a server"; sed "s/^/# /" nginx.log

$GATE fetch >out 2>err; ok $? "the gate fetches"; sed 's/^/# /' err
has "$(cat out)" "release new, version 1.1.0, is ordered for dev-1" "it says what is ordered"
is "$(ls "$OFFER" | tr '\n' ' ')" "directive.json line.json snapshot.json targets.json timestamp.json " "the answer is kept"
is "$(state sequence) $(state timestamp_version) $(state line_version)" "1 2 2" "what was seen is remembered"
is "$(grep -c report said)" 0 "fetching reports nothing"
$GATE check file new.bin >/dev/null; ok $? "the file of the order is let in"
$GATE check file old.bin 2>err; is $? 3 "another is refused"
is "$(said '"\(.sequence) \(.state) \(.reason) \(.version)"')" "1 refused wrong-length 1.0.0" "the server is told, and why"
$GATE installed; ok $? "installed"; is "$(said '"\(.sequence) \(.state)"')" "1 installed" "the server is told"
echo 1.1.0 >version; $GATE confirm >/dev/null; ok $? "confirmed"
is "$(said '"\(.sequence) \(.state) \(.version)"')" "1 confirmed 1.1.0" "with the version that runs"

# -- without the server
server_down
$GATE check file new.bin >/dev/null 2>err; ok $? "without network the last answer holds"
has "$(cat err)" "judging what it said last" "it says so"
server_up
mv "$WWW/directive" kept; $GATE check file new.bin 2>err; is $? 3 "a server that has no order any more is believed"
has "$(cat err)" no-order "no-order"
mv kept "$WWW/directive"
sed -i 's|ssl_verify_client on;|ssl_verify_client on; return 503;|' nginx.conf; server_down; server_up
$GATE check file new.bin >/dev/null 2>err; ok $? "a server that fails is as good as none"
sed -i 's| return 503;||' nginx.conf; server_down; server_up

# -- what a server may say
cp "$WWW/directive" kept
for junk in '' '{}' 'null' '<html>' '{"payload":"e30=","payloadType":"application/vnd.cradle.directive+json","signatures":[]}'; do
    printf '%s' "$junk" >"$WWW/directive"; $GATE check file new.bin >/dev/null 2>err || echo $?
done >codes; is "$(sort -u codes) $(wc -l <codes)" "3 5" "junk for an order is refused"
head -c 3000000 /dev/zero >"$WWW/directive"; $GATE check file new.bin >/dev/null 2>err; [ $? != 0 ]; ok $? "an endless order too"
cp kept "$WWW/directive"
cp "$WWW/metadata/timestamp.json" kept.ts; offer_metadata 1; cp "$OFFER/timestamp.json" "$WWW/metadata/"; cp "$OFFER/snapshot.json" "$WWW/metadata/1.snapshot.json"
$GATE check file new.bin 2>err; is $? 3 "older metadata is refused"; has "$(cat err)" metadata-rollback "metadata-rollback"
cp kept.ts "$WWW/metadata/timestamp.json"

# -- a new root: kim comes, and signs with bob from now on
cradle tuf key kim $PASS --quiet
cradle tuf rotate "$R" root --add kim.pub --quiet && both_sign root; ok $? "a second root"
cp "$R/2.root.json" "$WWW/metadata/"
$GATE check file new.bin >/dev/null 2>err; ok $? "the gate follows it"; sed 's/^/# /' err
is "$(state root_version)" 2 "and remembers it"
rm "$WWW/metadata/2.root.json"; $GATE check file new.bin >/dev/null; ok $? "it needs it only once"
jq -c '.signatures = [.signatures[0]]' "$R/2.root.json" >one; cp one "$WWW/metadata/3.root.json"
$GATE check file new.bin 2>err; is $? 3 "a root that is no next one is refused"
rm "$WWW/metadata/3.root.json"; $GATE check file new.bin >/dev/null; ok $? "and leaves nothing behind"
finish
