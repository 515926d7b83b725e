# agent_key.sh: what the tests of the agent's keys share: a site whose certificates may be renewed seconds after they were made, and a Mosquitto that takes them.
# Source after lib.sh.
need mosquitto mosquitto; need openssl openssl; need jq jq

key_site() { # a running site with a line, a model and a station
    site_init || return 1
    # a tenth of the life has passed when a certificate is born (backdating), so renewal is due after one hundredth of it
    sed -i 's/^renew_at_pct = .*/renew_at_pct = 10/' "$SITE/profiles/device.conf" && site_start || return 1
    cradle line add vib --validity 300 --quiet && cradle model add vib-1 --line vib --quiet && cradle station add st --out "$T/st" >"$T/log" 2>&1
}
key_device() { # UID [configuration lines]: registered and configured
    uid=$1; shift
    cat >"$T/$uid.conf" <<END
uid = $uid
state_dir = $T/$uid
est_url = $HTTPS
ca_file = $SITE/ca/bundle.pem
enroll_cert = $T/st/st.pem
enroll_key = $T/st/st.key
broker_host = localhost
broker_port = $((BASE + 5))
backoff_base_ms = 50
backoff_cap_ms = 200
END
    printf '%s\n' "$@" >>"$T/$uid.conf"
    cradle device add "$uid" --model vib-1 --quiet
}
agent() { # UID VERB…: its messages go to $T/agent.log
    uid=$1; shift
    cradle-agent -c "$T/$uid.conf" "$@" 2>>"$T/agent.log"
}
key_broker() { # TLSv1.2 or TLSv1.3: a Mosquitto that speaks this version only
    cat >"$T/openssl.cnf" <<END
openssl_conf = c
[c]
ssl_conf = s
[s]
system_default = d
[d]
MinProtocol = $1
MaxProtocol = $1
END
    cat >"$T/mosquitto.conf" <<END
listener $((BASE + 5)) 127.0.0.1
cafile $SITE/ca/bundle.pem
certfile $SITE/tls/server.pem
keyfile $SITE/tls/server.key
require_certificate true
use_identity_as_username true
user $(id -un)
log_dest stderr
END
    OPENSSL_CONF=$T/openssl.cnf mosquitto -c "$T/mosquitto.conf" 2>"$T/broker.$1.log" &
    BROKER=$!
    own $BROKER
    wait_for 10 sh -c "ss -Hltn | grep -q ':$((BASE + 5)) '"
}
broker_stop() { kill $BROKER && wait $BROKER 2>/dev/null; }
key_spki() { openssl x509 -in "$T/$1/current/cert.pem" -noout -pubkey 2>/dev/null; }
key_renewable() { # UID: its certificate is in the window of renewal
    from=$(date -d "$(openssl x509 -in "$T/$1/current/cert.pem" -noout -startdate | cut -d= -f2)" +%s)
    [ "$(date +%s)" -ge $((from + 34)) ]
}
key_life() { # UID: enroll, MQTT by TLS 1.3, renewal with a new key that MQTT by TLS 1.2 takes first
    uid=$1
    agent "$uid" enroll >"$T/out" || { sed 's/^/# /' "$T/agent.log"; return 1; }
    key_broker TLSv1.3; ok $? "$uid: a broker that speaks TLS 1.3 only"
    cradle-agent -c "$T/$uid.conf" run 2>>"$T/agent.log" & AGENT=$!; own $AGENT
    wait_for 15 grep -q "as $uid .*u'$uid'" "$T/broker.TLSv1.3.log"; ok $? "$uid: the agent is connected with its key"
    broker_stop; key_broker TLSv1.2; ok $? "$uid: a broker that speaks TLS 1.2 only"
    wait_for 15 grep -q "as $uid .*u'$uid'" "$T/broker.TLSv1.2.log"; ok $? "$uid: the agent is connected there too"
    key_spki "$uid" >"$T/old.pub"
    wait_for 30 key_renewable "$uid"
    agent "$uid" renew >"$T/out"; ok $? "$uid: a renewal is asked for"
    wait_for 20 key_other "$uid"; ok $? "$uid: the new key is in use, after the broker took it"
    kill $AGENT; wait $AGENT 2>/dev/null
    broker_stop
}
key_other() { [ ! -L "$T/$1/next" ] && [ "$(key_spki "$1")" != "$(cat "$T/old.pub")" ]; }
