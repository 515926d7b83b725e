#!/bin/sh
# poll.sh: devices that ask for updates and have none: answered from the front's memory, and by core; four clients with one kept-alive mTLS connection
# each, through nginx. The clients are curl, which takes a good part of the machine: the server can do more.
cd "$(dirname "$0")/../.." || exit 1
. bench/lib.sh
PART=poll
N=$(few 10000 200)
station_site
key_make "$T/d.key" && openssl req -new -key "$T/d.key" -subj /CN=d-0 -outform DER 2>/dev/null | openssl base64 >"$T/d.csr"
register d 1 >/dev/null || die "no device"
curl -s --cacert "$SITE/ca/bundle.pem" --cert "$T/station.pem" --key "$T/station.key" -H 'Content-Type: application/pkcs10' --data-binary @"$T/d.csr" \
    "$HTTPS/.well-known/est/simpleenroll" | openssl base64 -d | openssl pkcs7 -inform DER -print_certs -out "$T/d.pem" 2>/dev/null
DEV="--cacert $SITE/ca/bundle.pem --cert $T/d.pem --key $T/d.key"
curl -sf $DEV "$HTTPS/update/v1/poll" | grep -q '"state":"idle"' || die "the poll is not answered"
load() { # what distinguishes one question from the next, of N: "#" is not sent, so all are the same
    from=$(ns); pids=
    for c in 1 2 3 4; do curl -sf $DEV -o /dev/null "$HTTPS/update/v1/poll?client=$c$1[1-$2]" & pids="$pids $!"; done
    for p in $pids; do wait "$p" || die "a poll failed"; done
    rate $((4 * $2)) "$from" "$(ns)"
}
for i in $(rounds 3); do
    sample memory "$(load '#' "$N")"
    sample core "$(load "&round=$i&n=" $((N / 10)))"
done
row "idle polls from the front's memory, 4 kept-alive mTLS clients (curl)" requests/s memory 10000 "the same polls, each decided by core" core
