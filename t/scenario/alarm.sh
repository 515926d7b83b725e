#!/bin/sh
# alarm.sh: alarms by webhook, mail and command out of a running service: each event once, whoever is killed or away.
. t/lib.sh
need jq jq; need openssl openssl; need nginx nginx-light
HOME=$T/home; XDG_CONFIG_HOME=$T/home/config; export HOME XDG_CONFIG_HOME
run() { out=$("$@" 2>"$T/err"); rc=$?; err=$(cat "$T/err"); } # sets out, err, rc
site_init || { ok 1 "init"; finish; }
# certificates of people and machines live for an hour and may be renewed early, so that the test sees it
sed -i 's/^validity_s = .*/validity_s = 1h/; s/^renew_at_pct = .*/renew_at_pct = 1/' "$SITE/profiles/operator.conf"
site_start; ok $? "cradled runs"
cradle line add pump --quiet && cradle model add P1 --line pump --quiet; ok $? "a line and a model"

# -- the receivers: nginx that logs what is posted, a sendmail and a command that store what they get
HOOK=$((BASE + 4)) HOOKS=$((BASE + 5)) INNER=$((BASE + 6))
mkdir -p "$T/ngx" "$T/mails"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/ngx/tls.key" -out "$T/ngx/tls.pem" -subj /CN=localhost -days 2 \
    -addext subjectAltName=DNS:localhost 2>/dev/null
receiver() { echo "$1" >"$T/ngx/answer.conf"; [ -z "${NGX:-}" ] || { kill -HUP "$NGX"; sleep 0.3; }; }
receiver "return 204;"
cat >"$T/ngx/nginx.conf" <<END
daemon off; worker_processes 1; pid $T/ngx/pid; error_log $T/ngx/error.log;
events { worker_connections 64; }
http {
    client_body_temp_path $T/ngx/b; proxy_temp_path $T/ngx/p; fastcgi_temp_path $T/ngx/f; uwsgi_temp_path $T/ngx/u; scgi_temp_path $T/ngx/s;
    log_format hook escape=json '{"status":\$status,"id":"\$http_webhook_id","key":"\$http_idempotency_key","ts":"\$http_webhook_timestamp","sig":"\$http_webhook_signature","auth":"\$http_authorization","type":"\$content_type","body":"\$request_body"}';
    client_body_buffer_size 64k; access_log off;
    server { listen 127.0.0.1:$HOOK; location / { access_log $T/hook.log hook; proxy_pass http://127.0.0.1:$INNER; } }
    server { listen 127.0.0.1:$HOOKS ssl; ssl_certificate $T/ngx/tls.pem; ssl_certificate_key $T/ngx/tls.key; location / { return 200 "x"; } }
    server { listen 127.0.0.1:$INNER; include $T/ngx/answer.conf; }
}
END
nginx -e "$T/ngx/error.log" -c "$T/ngx/nginx.conf" & NGX=$!
own $NGX
cat >"$T/sendmail" <<END
#!/bin/sh
f=\$(mktemp $T/mails/tmp.XXXXXX) && cat >\$f && echo "\$*" >>$T/sendmail.args && mv \$f $T/mails/\$(basename \$f | sed s/tmp/mail/)
END
cat >"$T/command" <<END
#!/bin/sh
body=\$(cat)
echo "\$CRADLE_ALARM_ID \$CRADLE_ALARM_SEVERITY \$*" >>$T/command.env
printf '%s\n' "\$body" >>$T/command.log
END
chmod 755 "$T/sendmail" "$T/command"; : >"$T/command.log"

# -- configuration
A=$T/alarm; CONF=$A/alarm.conf
run cradle alarm add alarm-1 --out "$A" --name plant --webhook "http://127.0.0.1:$HOOK/hook?x=1"; is $rc 0 "alarm add"
has "$out" "alarm test --config" "it says what is next"
is "$(stat -c %a "$A/alarm.key")" 600 "its key is 0600"
unset CRADLE_SITE # from here on it is a host of its own
run cradle alarm check --config "$CONF"; is $rc 0 "alarm check: what alarm add made is right"
(umask 077; openssl rand -base64 32 >"$T/secret"; echo "Authorization: Bearer token-1" >"$T/header")
sed -i '/^# Who is told/,$d' "$CONF"
sed -i "s|^urls = |urls = https://localhost:$((BASE + 7)) |" "$CONF" # nobody is at the first one
cat >>"$CONF" <<END
renew_at_pct = 1
away_after = 2s
failing_after = 3s
retry_max = 1s
check_every = 2s
[channel hook]
type = webhook
url = http://127.0.0.1:$HOOK/hook?x=1
secret = $T/secret
header = $T/header
[channel mail]
type = mail
to = one@example.com two@example.com
from = cradle@example.com
sendmail = $T/sendmail
[channel cmd]
type = command
command = $T/command --oncall team
[rule added]
kinds = device-added
[rule revoked]
kinds = device-state
when = to=revoked
severity = critical
channels = mail cmd
[rule lines]
kinds = line-added
group = 2s
channels = cmd
END
run cradle alarm check --config "$CONF"; is $rc 0 "alarm check"
sed 's/^kinds = line-added/kinds = line-aded/' "$CONF" >"$T/bad.conf"
run cradle alarm check --config "$T/bad.conf"; is $rc 2 "alarm check: a kind that does not exist"
has "$err" "no kind of event 'line-aded'" "it names it"
chmod 644 "$T/secret"; run cradle alarm check --config "$CONF"; is $rc 2 "alarm check: a secret that others may read"; chmod 600 "$T/secret"
cradle alarm check --config "$CONF" --print >"$T/printed.conf" && cradle alarm check --config "$T/printed.conf" --quiet; ok $? "what --print prints is a configuration"
run cradle alarm status --config "$CONF"; is $rc 4 "alarm status before the first start"

# -- test alarms
run cradle alarm test --config "$CONF" --json; is $rc 0 "alarm test"
is "$(printf '%s' "$out" | jq -rs '[.[].outcome] | join(" ")')" "taken taken taken" "every channel takes it"
hook() { jq -r "$1" "$T/hook.log"; }
is "$(hook '.body | fromjson | .text')" "this is a test of the alarms; nothing has happened" "the webhook got JSON"
is "$(hook '.auth + " " + .type')" "Bearer token-1 application/json" "with the header of the file"
[ "$(hook .id)" = "$(hook .key)" ] && [ "$(hook .id)" = "$(hook '.body | fromjson | .id')" ]; ok $? "its id is the Idempotency-Key"
hexkey=$(openssl base64 -d <"$T/secret" | od -An -v -tx1 | tr -d ' \n')
mac=$({ printf '%s.%s.' "$(hook .id)" "$(hook .ts)"; jq -j .body "$T/hook.log"; } | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$hexkey" -binary | openssl base64)
is "$(hook .sig)" "v1,$mac" "openssl gets the same signature"
is "$(cat "$T/sendmail.args")" "-t -i -f cradle@example.com" "sendmail is called as it should be"
is "$(cut -d' ' -f2- "$T/command.env")" "info --oncall team" "the command gets its arguments and environment"
receiver "return 410;"
run cradle alarm test --config "$CONF" --channel hook; is $rc 1 "alarm test: a receiver that refuses"
has "$out" "hook +refused after [0-9]+ ms: HTTP status 410" "it says so"
receiver "return 204;"
run cradle alarm test --config "$CONF" --channel none; is $rc 4 "alarm test: no such channel"
for ca in "$T/ngx/tls.pem" "$A/bundle.pem"; do
    printf '[channel x]\ntype = webhook\nurl = https://localhost:%s/\nca = %s\n' "$HOOKS" "$ca" >"$T/tls.conf"
    cradle alarm test --config "$T/tls.conf"; echo "$?"
done >"$T/tls.out" 2>&1
is "$(grep -c '^[01]$' "$T/tls.out") $(grep '^[01]$' "$T/tls.out" | tr '\n' ' ')" "2 0 1 " "https: the CA file decides whom we tell"

# -- 50 events, and a service that is killed all the time
: >"$T/hook.log"; : >"$T/command.log"; rm -f "$T"/mails/*
serve() { cradle alarm serve --config "$CONF" "$@" 2>>"$T/serve.log" & SERVE=$!; own $SERVE; }
status() { cradle alarm status --config "$CONF" --json 2>/dev/null | jq -ne "input | $1"; }
serve
wait_for 20 status '.connected and .vector != ""'; ok $? "alarm serve follows the events"
run cradle alarm serve --config "$CONF"; is $rc 5 "a second one on the same folder is refused"
(
    for i in 0 1 2 3 4 5 6 7 8 9; do
        { echo uid,serial,model; for k in 0 1 2 3 4; do echo "d$i$k,,P1"; done; } >"$T/d$i.csv"
        cradle --site "$SITE" device add --csv "$T/d$i.csv" --quiet || echo "batch $i" >>"$T/add.failed"
    done
) & adding=$!
own $adding
kills=0
while kill -0 $adding 2>/dev/null || [ $kills -lt 6 ]; do
    sleep "0.$(od -An -N1 -tu1 /dev/urandom | awk '{ print 2 + $1 % 7 }')"
    kill -9 $SERVE; wait $SERVE 2>/dev/null
    kills=$((kills + 1))
    serve
done
wait $adding
[ ! -e "$T/add.failed" ]; ok $? "50 devices are added meanwhile"
idle() { status '[.channels[].waiting] | add == 0'; }
wait_for 30 sh -c "[ \$(jq -r .id $T/hook.log | sort -u | wc -l) = 50 ]" && wait_for 10 idle; ok $? "every alarm went out"
wanted=$(cradle --site "$SITE" event list --kind device-added --json | jq -r '.items[] | "plant.added.\(.slot)-\(.nseq)"' | sort)
is "$(printf '%s\n' "$wanted" | wc -l)" 50 "there are 50 events"
is "$(hook .id | sort -u)" "$wanted" "webhook: one id for each event, none left out"
is "$(jq -r .id "$T/command.log" | sort -u)" "$wanted" "command: the same"
is "$(grep -h '^Message-ID' "$T"/mails/mail.* | sed 's/.*<\(.*\)@example.com>/\1/' | sort -u)" "$wanted" "mail: the same"
for n in $(hook .id | wc -l) $(wc -l <"$T/command.log") $(ls "$T"/mails/mail.* | wc -l); do
    [ "$n" -le $((50 + kills)) ]; ok $? "at most the one in flight was repeated: $n deliveries, $kills kills"
done
kill $SERVE; wait $SERVE; is $? 0 "it ends well on SIGTERM"
n=$(hook .id | wc -l)
serve; wait_for 20 status .connected; sleep 1
is "$(hook .id | wc -l)" "$n" "a start without anything new sends nothing"

# -- a receiver that is down holds nobody up, and gets everything later
receiver "return 503;"
cradle --site "$SITE" device add e1 --model P1 --quiet
commands() { [ "$(jq -c "select($1)" "$T/command.log" | wc -l)" = "$2" ]; }
wait_for 15 commands '.subjects == ["e1"]' 1; ok $? "the command is told while the webhook is down"
wait_for 15 commands '.trouble == "failing" and (.over | not) and (.text | test("channel hook has taken nothing"))' 1; ok $? "and that the webhook is down"
wait_for 5 status '.troubles == ["failing:hook"]'; ok $? "alarm status --json knows the trouble"
run cradle alarm status --config "$CONF"; is $rc 7 "alarm status: exit code"
has "$out" "channel +hook \(webhook\): failing, [1-9].* waiting" "alarm status says which channel"
receiver "return 204;"
delivered() { jq -r "select(.status == 204) | .body | fromjson | $1" "$T/hook.log" | grep -qx "$2"; }
wait_for 20 delivered '.subjects[0]' e1; ok $? "when it is back, it gets what waited"
wait_for 15 commands '.trouble == "failing" and .over' 1; ok $? "and the others are told that it is back"
receiver "return 404;"
cradle --site "$SITE" device add e2 --model P1 --quiet
wait_for 15 commands '.trouble == "refused"' 1; ok $? "what a receiver refuses for good is told to the others"
has "$(cat "$T/serve.log")" "error alarm - alarm plant.added.[0-9-]*: hook refused it for good: HTTP status 404" "and is in the log"
receiver "return 204;"

# -- the service is away
site_stop; ok $? "cradled ends"
wait_for 15 commands '.trouble == "away" and (.over | not)' 1; ok $? "that cradled is away is told"
kill -9 $SERVE; wait $SERVE 2>/dev/null; serve
sleep 3
CRADLE_SITE=$SITE; export CRADLE_SITE; site_start; ok $? "cradled runs again"
wait_for 20 commands '.trouble == "away" and .over' 1; ok $? "that it is back is told"
commands '.trouble == "away" and (.over | not)' 1; ok $? "a restart in between told nothing twice"
cradle device revoke d00 --reason keyCompromise --note "gestohlen, ä: Bcc: x@example.com" --quiet
wait_for 15 commands '.rule == "revoked" and .subjects == ["d00"] and .events[0].payload.reason == "keyCompromise"' 1; ok $? "and events go on"
wait_for 10 sh -c "grep -lq 'X-Cradle-Alarm: plant.revoked' $T/mails/mail.*"; ok $? "by mail too"
mail=$(grep -l 'X-Cradle-Alarm: plant.revoked' "$T"/mails/mail.*)
has "$(cat "$mail")" "^To: one@example.com,$" "the mail has its receivers"
is "$(grep -ci '^bcc:' "$mail")" 0 "and none that a note names"
has "$(perl -MMIME::QuotedPrint -0777 -ne 'print decode_qp($_)' "$mail")" "note=gestohlen, ä: Bcc: x@example.com" "the note is in its text"

has "$(cat "$T/serve.log")" "info alarm - our certificate is good until" "it has renewed its certificate"
is "$(cradle cert list --json | jq '[.items[] | select(.holder == "alarm-1")] | length >= 2')" true "which the register knows"

# -- a storm is gathered
for i in 1 2 3 4 5 6; do cradle line add "line$i" --quiet; done
wait_for 15 sh -c "[ \$(jq -r 'select(.rule == \"lines\") | .count' $T/command.log | awk '{ n += \$1 } END { print n }') = 6 ]"; ok $? "six lines are told"
n=$(jq -r 'select(.rule == "lines") | .id' "$T/command.log" | wc -l)
[ "$n" -ge 2 ] && [ "$n" -lt 6 ]; ok $? "in fewer alarms than lines ($n)"
run cradle alarm status --config "$CONF"
has "$out" "^cursor +1:[0-9]+, [0-9]+ s old" "alarm status shows the cursor"
kill $SERVE; wait $SERVE; is $? 0 "it ends well"
run cradle alarm serve --config "$CONF" --from-start; is $rc 5 "--from-start is for the first start only"
has "$err" "the journal says where to go on" "and it says why"

# -- a service that has gone back in its stream: a journal that is ahead stands for a database that is older
sed "s|^state_dir = .*|state_dir = $T/state2|" "$CONF" >"$T/back.conf"
: >"$T/command.log"; CONF=$T/back.conf
serve --after 1:999999
wait_for 20 commands '.trouble == "back"' 1; ok $? "a stream that has gone back is told"
cradle device add late1 --model P1 --quiet
wait_for 15 commands '.subjects == ["late1"] and (.id | endswith("-1"))' 1; ok $? "and followed from there, with other ids"
kill $SERVE; wait $SERVE; is $? 0 "it ends well"
site_stop; ok $? "cradled ends"

# -- the example of the documents
{ sed '/^\[rule added\]/,$d' "$CONF"; sed -n '/^```ini/,/^```/p' docs/security-engineer.md | grep -v '^```'; } >"$T/doc.conf"
run cradle alarm check --config "$T/doc.conf"; is $rc 0 "the rule in docs/security-engineer.md is right"
finish
