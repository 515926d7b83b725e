# hsm.sh: a SoftHSM token for the scenarios of keys in tokens, behind a module that can be slow or lose its token (t/module/faulty_p11.c).
# Sourced after lib.sh. The signer's user owns the folder $H, when there is such a user.
need softhsm2-util softhsm2; need pkcs11-tool opensc
H=$T/hsm
mkdir "$H" "$H/tokens"
SOFTHSM2_CONF=$H/softhsm.conf; export SOFTHSM2_CONF
printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' "$H/tokens" >"$SOFTHSM2_CONF"
FAULTY_P11_MODULE=$(find /usr/lib -name libsofthsm2.so | head -n 1); export FAULTY_P11_MODULE
FAULTY_P11_CONTROL=$H/control; export FAULTY_P11_CONTROL
MODULE=$B/t/faulty_p11.so
URI="pkcs11:token=site?module-path=$MODULE&pin-source=$H/pin"
softhsm2-util --init-token --free --label site --so-pin 12345678 --pin 654321 >/dev/null 2>&1
(umask 077; echo 654321 >"$H/pin")
token_does() { printf '%s' "$*" >"$H/control.new"; chmod 644 "$H/control.new"; mv "$H/control.new" "$H/control"; } # words of faulty_p11.c
token_does ""
hsm_conf() { # what cradled.conf needs for this module; gives the token to the signer's user. Arguments: more lines
    {
        printf 'hsm_env = SOFTHSM2_CONF=%s FAULTY_P11_MODULE=%s FAULTY_P11_CONTROL=%s\n' "$SOFTHSM2_CONF" "$FAULTY_P11_MODULE" "$FAULTY_P11_CONTROL"
        printf 'hsm_paths = %s\n' "$H"
        for line; do echo "$line"; done
    } >>"$SITE/cradled.conf"
    user=$(sed -n 's/^signer_user = //p' "$SITE/cradled.conf")
    [ -z "$user" ] || chown -R "$user" "$H"
}
health() { curl -s -m 5 --cacert "$SITE/ca/bundle.pem" "$HTTPS/healthz"; }
health_says() { health | grep -q "\"status\":\"$1\""; }
hsm_pid() { pgrep -P "$CRADLED" -f 'cradled -x hsm:0'; }
est() { # UID: enrolls UID.csr through the station st; code, retry (Retry-After), reason
    code=$(curl -s -m 60 --cacert "$SITE/ca/bundle.pem" --cert st.pem --key st.key -H 'Content-Type: application/pkcs10' --data-binary "@$1.csr" -D "$1.head" -o "$1.out" -w '%{http_code}' "$HTTPS/.well-known/est/simpleenroll")
    reason=$(tr -d '\r' <"$1.head" | sed -n 's/^x-cradle-reason: //Ip')
    retry=$(tr -d '\r' <"$1.head" | sed -n 's/^retry-after: //Ip')
}
est_good() { est "$1"; [ "$code" = 200 ]; }
unpack() { openssl base64 -d -in "$1.out" | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 >"$1.pem" 2>/dev/null; }
devices() { # UID ...: registered, each with a key and a request; a station st
    api -d '{"name":"pump"}' "$HTTPS/api/v1/lines" >/dev/null
    api -d '{"name":"m","line":"pump"}' "$HTTPS/api/v1/models" >/dev/null
    key st; csr st /CN=st
    api -d "{\"name\":\"st\",\"role\":\"station\",\"lines\":\"pump\",\"csr\":\"$(tr -d '\n' <st.csr)\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >st.pem
    for d; do
        api -d "{\"uid\":\"$d\",\"model\":\"m\",\"serial\":\"S-$d\"}" "$HTTPS/api/v1/devices" >/dev/null
        key "$d"; csr "$d" "/CN=$d"
    done
}
ocsp() { # CERTIFICATE ISSUER
    openssl ocsp -issuer "$SITE/ca/$2.pem" -cert "$1" -url "$HTTP/ocsp" -CAfile "$SITE/ca/root.pem" -verify_other "$SITE/ca/$2-ocsp.pem" -timeout 10 -no_nonce 2>&1
}
token_up() { api "$HTTPS/api/v1/status" | jq -e '.tokens[0].lost == false' >/dev/null; }
