# ddi.sh: for scenario tests of hawkBit's DDI: a site with a release, devices with certificates, orders, and images that SWUpdate takes. Source
# after lib.sh, ceremony.sh and offer.sh; works in $T.
. t/fault.sh
ddi_site() { # [line of cradled.conf...]: line vib, model vib-1, a ceremony
    site_init || return 1
    for line; do printf '%s\n' "$line" >>"$SITE/cradled.conf"; done
    site_start && cradle line add vib --quiet && cradle model add vib-1 --line vib --quiet && ceremony "$SITE/trust" && image_signer
}
ddi_device() { # UID: registered, and enrolled by a station: UID.key, UID.pem
    [ -e station.pem ] || infra station station vib
    cradle device add "$1" --model vib-1 --quiet || return 1
    key "$1" && csr "$1" "/CN=$1" && curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert station.pem --key station.key -H 'Content-Type: application/pkcs10' --data-binary @"$1.csr" "$HTTPS/.well-known/est/simpleenroll" >"$1.p7" || return 1
    openssl base64 -d -in "$1.p7" 2>/dev/null | openssl pkcs7 -inform DER -print_certs 2>/dev/null >"$1.pem"
    grep -q BEGIN "$1.pem"
}
order() { # UID RELEASE: an order for one device; its number
    api -o "$T/answer" -d "{\"release\":\"$2\",\"note\":\"test\"}" "$HTTPS/api/v1/devices/$1/order"
    jq -r '.sequence // .reason' "$T/answer"
}
D1=DEFAULT/controller/v1
ddi() { # UID PATH [curl options]: body in $T/body, prints the status
    u=$1 p=$2; shift 2
    curl -s -m 30 --cacert "$SITE/ca/bundle.pem" --cert "$u.pem" --key "$u.key" -D "$T/head" -o "$T/body" -w '%{http_code}' "$@" "$HTTPS/$p"
}
feedback() { # UID ACTION BODY [deploymentBase|cancelAction]
    ddi "$1" "$D1/$1/${4:-deploymentBase}/$2/feedback" -H 'Content-Type: application/json;charset=UTF-8' --data-binary "$3"
}
status() { printf '{"id":"%s","status":{"result":{"finished":"%s"},"execution":"%s","details":["%s"]}}' "$1" "$2" "$3" "$4"; } # ID FINISHED EXECUTION TEXT
events_of() { cradle event list --device "$1" --json | jq -r '[.items[].kind | select(startswith("firmware-"))] | join(" ")'; } # UID
reported() { ddi "$1" update/v1/poll >/dev/null; jq -r '.reported' "$T/body"; } # UID: as a device of ours would see it
