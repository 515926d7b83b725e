# fault.sh: what the fault tests share: clients of the running service with curl and openssl alone. Source after lib.sh.
need curl curl; need openssl openssl; need jq jq
PATH="$B/t:$PATH"

# est WHO PATH CSRFILE [curl options]: the content type is in media, if set; sets code and reason, the answer in out; WHO is NAME of NAME.pem and NAME.key, or "-"
est() {
    who=$1; path=$2; file=$3; shift 3
    id="--cert $who.pem --key $who.key"; [ "$who" = - ] && id=
    : >head
    code=$(curl -s -m 30 --cacert "$SITE/ca/bundle.pem" $id -H "Content-Type: ${media:-application/pkcs10}" --data-binary "@$file" -D head -o out -w '%{http_code}' "$@" "$HTTPS/.well-known/est$path")
    reason=$(tr -d '\r' <head | sed -n 's/^x-cradle-reason: //Ip')
}
p7_pem() { openssl base64 -d -in "$1" 2>/dev/null | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 2>/dev/null; }
unpack() { p7_pem out >"$1.pem"; } # NAME: the certificate of the last answer
infra() { # NAME ROLE LINES: NAME.key NAME.pem
    key "$1"; csr "$1" "/CN=$1"
    api -d "{\"name\":\"$1\",\"role\":\"$2\",\"lines\":\"$3\",\"csr\":\"$(tr -d '\n' <"$1.csr")\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >"$1.pem"
}
line() { # NAME [validity_s]: a line and its model m-NAME
    api -o /dev/null -d "{\"name\":\"$1\"${2:+,\"validity_s\":$2}}" "$HTTPS/api/v1/lines"
    api -o /dev/null -d "{\"name\":\"m-$1\",\"line\":\"$1\"}" "$HTTPS/api/v1/models"
}
device_add() { api -o /dev/null -w '%{http_code}' -d "{\"uid\":\"$1\",\"model\":\"m-$2\"}" "$HTTPS/api/v1/devices"; } # UID LINE
state() { api "$HTTPS/api/v1/devices/$1" | jq -r .state; }
patch() { api -X PATCH -d "{\"state\":\"$2\"}" "$HTTPS/api/v1/devices/$1" -o /dev/null -w '%{http_code}'; } # UID STATE: the HTTP status

# -- evidence
vector() { api "$HTTPS/api/v1/events?after=now" | jq -r .vector; }
events_since() { # VECTOR [KIND]: one JSON event a line
    at=$1
    while :; do
        api "$HTTPS/api/v1/events?after=$at${2:+&kind=$2}" >ev.page || return 1
        jq -c '.items[]' ev.page || return 1
        at=$(jq -r '.next // empty' ev.page)
        [ -n "$at" ] || return 0
    done
}
evidence() { events_since "$1" "$2" | grep -qE -- "$3"; } # VECTOR KIND PATTERN
verified() { # NAME: exports the evidence and verifies it offline; what went wrong as comments
    cradle evidence export "$T/$1.export" >"$T/$1.out" 2>&1 && cradle evidence verify "$T/$1.export" --log-key "$SITE/trust/log.pub" >>"$T/$1.out" 2>&1 && return 0
    tail -n 10 "$T/$1.out" | sed "s/^/# /"
    return 1
}
folds() { cradled -f "$SITE" >"$T/fold.out" 2>&1 && grep -q 'add up' "$T/fold.out"; } # cradled must be stopped

# -- processes of the daemon that this test started
kids() { cat "/proc/$CRADLED/task/$CRADLED/children" 2>/dev/null; }
role_pid() { # core:0, nginx
    for p in $(kids); do
        tr '\0' ' ' <"/proc/$p/cmdline" 2>/dev/null | grep -q "^cradled -x $1 \|^$1: master" && { echo "$p"; return 0; }
    done
    return 1
}
kill_all() { # kill -9 of every process of the service, nginx' workers too
    all="$CRADLED $(kids)"
    for p in $all; do [ "$(tr '\0' ' ' <"/proc/$p/cmdline" | cut -c1-6)" != "nginx:" ] || all="$all $(cat "/proc/$p/task/$p/children")"; done
    kill -9 $all; wait "$CRADLED" 2>/dev/null
}
new_pid() { p=$(role_pid "$1") && [ "$p" != "$2" ]; }
healthy() { [ "$(curl -s -m 5 --cacert "$SITE/ca/bundle.pem" "$HTTPS/healthz" | jq '.status == "ok" and .core == true and .query >= 1')" = true ]; }
role_kill() { # ROLE: kill -9; waits until it is back and the service answers
    old=$(role_pid "$1") || return 1
    kill -9 "$old"
    wait_for 30 new_pid "$1" "$old" && wait_for 30 healthy
}
gone() { ! kill -0 "$1" 2>/dev/null || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
ended() { wait_for "$1" gone "$CRADLED" && { wait "$CRADLED"; rc=$?; }; } # SECONDS: waits for cradled; its exit code in rc
clean_log() { ! grep -E 'Sanitizer|runtime error|invariant' "$T/cradled.log"; }
set_key() { sed -i "/^#* *$1 *=/d" "$SITE/cradled.conf"; echo "$1 = $2" >>"$SITE/cradled.conf"; }
