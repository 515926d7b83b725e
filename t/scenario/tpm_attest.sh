#!/bin/sh
# tpm_attest.sh: a TPM proves to the site that a device's key lives in it. By the agent, with two TPMs (swtpm) and their makers' certificates; and by hand, with tpm2-tools
# and curl, where every lie about it is refused.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/agent_key.sh
. t/tpm.sh
key_site; ok $? "a site"
cradle line set vib --key-home tpm --quiet; ok $? "a line that takes keys only that are proved to live in a TPM"
tpm_start a $((BASE + 6)) --create-ek-cert --lock-nvram; ok $? "a TPM with a certificate of its endorsement key"
dev() { key_device "$@" "tpm_tcti = $TPM_TCTI" && sed -i '/^broker/d' "$T/$1.conf"; }
said() { cradle-agent -c "$T/$1.conf" "$2" 2>&1 >/dev/null | tail -n 3; }
home_of() { cradle device show "$1" --json | jq -r '.key_home | "\(.home) \(.proved) \(.vendor)"'; }

# -- the agent
dev d-file "key = file"
has "$(said d-file enroll)" "key-home" "a key in a file is refused"
dev d-1 "key = tpm"
has "$(said d-1 enroll)" "ek-unknown.*|nobody vouches for the TPM" "as is one in a TPM that nobody vouches for"
cradle tpm trust vib --cert "$T/tpm-ca/issuercert.pem" --quiet; ok $? "the CA of the TPM's maker is trusted"
cradle tpm trust vib --cert "$T/tpm-ca/issuercert.pem" 2>"$T/said"; is $? 5 "not twice"
has "$(cradle tpm list vib)" "swtpm-localca" "and listed"
agent d-1 enroll >/dev/null; ok $? "the TPM proves where the key lives, and the device is enrolled"
is "$(home_of d-1)" "tpm true id:00001014" "the register says so, and who made the TPM"
has "$(cradle device show d-1)" "^Key  *tpm, proved by its TPM of id:00001014" "for people too"
ek=$(agent d-1 ek)
is "$(cradle device show d-1 --json | jq -r .ek)" "$ek" "the TPM belongs to the device from now on"
tpm2_createek -Q -G rsa -c "$T/ek.ctx" -u "$T/ek.pem" -f pem
tpm2_createek -Q -G ecc -c "$T/ek2.ctx" -u "$T/ek2.pem" -f pem
for p in ek ek2; do openssl pkey -pubin -in "$T/$p.pem" -outform DER | sha256sum | cut -d' ' -f1; done | grep -qx "$ek"; ok $? "by its endorsement key, as tpm2-tools know it"
is "$(cradle device list --key-home proved --json | jq -r '[.items[].uid] | join(" ")')" d-1 "searches find it"
is "$(cradle event list --device d-1 --kind key-home --json | jq -c '[.items[].payload.proved]')" "[true]" "the proof is evidence"
wait_for 30 key_renewable d-1; agent d-1 renew >/dev/null; ok $? "the next key is proved as well"
spki() { openssl x509 -in "$T/$1/current/cert.pem" -noout -pubkey | openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1; }
is "$(cradle device show d-1 --json | jq -r .key_home.spki)" "$(spki d-1)" "the register knows the new one"
dev d-2 "key = tpm:0x81000100"
has "$(said d-2 enroll)" "belongs to device d-1" "the TPM of one device is not another's"
cradle tpm bind d-2 --ek "$ek" 2>"$T/said"; has "$(cat "$T/said")" "belongs to device d-1" "nor can it be given to another"
tpm_start b $((BASE + 8)); ok $? "another TPM, without a certificate"
cradle tpm bind d-2 --ek "$(agent d-2 ek)" --quiet; ok $? "bound to the other device by hand"
rm -rf "$T/d-2"; agent d-2 enroll >/dev/null; ok $? "proves where its key lives"
is "$(home_of d-2)" "tpm true " "at a persistent handle"
sed -i 's|^key = .*|key = tpm|' "$T/d-1.conf"; rm -rf "$T/d-1"
has "$(said d-1 enroll)" "not the one of this device|belongs to device d-2" "a device does not move to another TPM by itself"

# -- bound by people, without certificates
cradle line add plain --validity 600 --quiet && cradle model add plain-1 --line plain --quiet && cradle line set plain --key-home tpm --quiet
tpm_bus a
tpm2_createek -Q -G ecc -c "$T/ek.ctx" -u "$T/ek.pub" && tpm2_readpublic -Q -c "$T/ek.ctx" -f pem -o "$T/ek.pem"; ok $? "an endorsement key by tpm2-tools"
cradle device add hand --model plain-1 --ek "$(openssl pkey -pubin -in "$T/ek.pem" -outform DER | sha256sum | cut -d' ' -f1)" --quiet; ok $? "a device is registered with its TPM"
STATION="--cacert $SITE/ca/bundle.pem --cert $T/st/st.pem --key $T/st/st.key"
b64() { openssl base64 -A -in "$1"; }
tpm2_createak -Q -C "$T/ek.ctx" -c "$T/ak.ctx" -G ecc -g sha256 -s ecdsa -u "$T/ak.pub" -n "$T/ak.name" && tpm2_createprimary -Q -C o -G ecc -c "$T/srk.ctx"; ok $? "an attestation key"
good='fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|noda'
made() { # NAME ATTRIBUTES [AK]: a key, certified
    tpm2_create -Q -C "$T/srk.ctx" -G ecc:ecdsa-sha256 -a "$2" -u "$T/$1.pub" -r "$T/$1.priv" -c "$T/$1.ctx" && tpm2_certify -Q -c "$T/$1.ctx" -C "${3:-$T/ak.ctx}" -g sha256 -o "$T/$1.attest" -s "$T/$1.sig"
}
challenge() { # UID KEY [EK AK ATTEST SIG]: to $T/ch; prints the reason of a refusal, or "challenge"
    jq -n --arg uid "$1" --arg ek "$(b64 "${3:-$T/ek.pub}")" --arg ak "$(b64 "${4:-$T/ak.pub}")" --arg key "$(b64 "$T/$2.pub")" --arg at "$(b64 "${5:-$T/$2.attest}")" --arg sig "$(b64 "${6:-$T/$2.sig}")" \
        '{uid: $uid, ek: $ek, ak: $ak, key: $key, attest: $at, signature: $sig}' >"$T/body"
    curl -s -m 20 $STATION -H 'Content-Type: application/json' --data-binary @"$T/body" "$HTTPS/attest/v1/challenge" >"$T/ch"
    jq -r 'if .id then "challenge" else .reason end' "$T/ch"
}
activate() { # opens the challenge of $T/ch to $T/secret
    { printf '\272\334\300\336\000\000\000\001'; jq -r .credential "$T/ch" | openssl base64 -d -A; jq -r .secret "$T/ch" | openssl base64 -d -A; } >"$T/cred"
    tpm2_startauthsession -Q --policy-session -S "$T/session" && tpm2_policysecret -Q -S "$T/session" -c e &&
        tpm2_activatecredential -Q -c "$T/ak.ctx" -C "$T/ek.ctx" -i "$T/cred" -o "$T/secret" -P "session:$T/session" 2>"$T/said"
    rc=$?
    tpm2_flushcontext -Q "$T/session"
    return $rc
}
answer() { # SECRETFILE: prints the reason, or the home
    jq -n --arg id "$(jq -r .id "$T/ch")" --arg s "$(b64 "$1")" '{id: $id, secret: $s}' >"$T/body"
    curl -s -m 20 $STATION -H 'Content-Type: application/json' --data-binary @"$T/body" "$HTTPS/attest/v1/answer" | jq -r '.key_home // .reason'
}
made k "$good"; ok $? "a key, certified by it"
is "$(challenge hand k)" challenge "the site asks"
activate; ok $? "tpm2_activatecredential opens what the site made"
cp "$T/ch" "$T/ch.first"; cp "$T/secret" "$T/secret.first"
is "$(answer "$T/secret")" tpm "the secret is the proof"
is "$(answer "$T/secret")" not-found "an answer counts once"
is "$(challenge hand k)" challenge "asked again"
head -c 32 /dev/urandom >"$T/guess"
is "$(answer "$T/guess")" bad-proof "a guess is refused"
activate; is "$(answer "$T/secret")" not-found "and ends the challenge"
is "$(challenge hand k)" challenge "the secret of one challenge"
is "$(answer "$T/secret.first")" bad-proof "does not answer another"
key_spki_of() { tpm2_readpublic -Q -c "$T/$1.ctx" -f der -o "$T/x.der" && sha256sum <"$T/x.der" | cut -d' ' -f1; }
is "$(cradle device show hand --json | jq -r '.key_home | "\(.proved) \(.spki)"')" "true $(key_spki_of k)" "what was proved stays, for this key"

# -- lies
made loose 'sensitivedataorigin|userwithauth|sign|noda'; ok $? "a key that may leave the TPM"
is "$(challenge hand loose)" key-home "is refused"
cp "$T/ak.pub" "$T/r.pub"; tpm2_certify -Q -c "$T/ak.ctx" -C "$T/ak.ctx" -g sha256 -o "$T/r.attest" -s "$T/r.sig"
is "$(challenge hand r)" key-home "a restricted key, which cannot serve TLS, as well"
made u "$good" "$T/k.ctx"; ok $? "a key certified by one that signs anything"
is "$(challenge hand u "$T/ek.pub" "$T/k.pub")" key-home "an attestation key that is not restricted is refused"
is "$(challenge hand k "$T/ek.pub" "$T/ak.pub" "$T/u.attest")" bad-signature "as is an attestation of another key"
is "$(challenge hand u "$T/ek.pub" "$T/ak.pub" "$T/k.attest" "$T/k.sig")" key-home "and a key that is not the one certified"
openssl ecparam -name prime256v1 -genkey -noout -out "$T/soft.key" 2>/dev/null
tpm2_loadexternal -Q -C n -G ecc -r "$T/soft.key" -c "$T/soft.ctx" -a 'sign|userwithauth' && tpm2_readpublic -Q -c "$T/soft.ctx" -o "$T/soft.pub"
is "$(challenge hand soft "$T/ek.pub" "$T/ak.pub" "$T/k.attest" "$T/k.sig")" key-home "a key of software"
is "$(challenge hand k "$T/ak.pub")" key-home "an endorsement key that is none"
head -c 60 "$T/k.pub" >"$T/short.pub"; cp "$T/k.attest" "$T/short.attest"; cp "$T/k.sig" "$T/short.sig"
is "$(challenge hand short)" truncated "half a structure"
tpm_bus b
tpm2_createek -Q -G ecc -c "$T/other.ctx" -u "$T/other.pub"
is "$(challenge hand k "$T/other.pub")" ek-unknown "the endorsement key of another TPM"
tpm_bus a
cradle device add hand2 --model plain-1 --ek "$(printf x | sha256sum | cut -d' ' -f1)" --quiet
is "$(challenge hand2 k)" ek-unknown "the TPM of another device"
is "$(challenge nobody k)" uid-unknown "a device that nobody registered"
is "$(curl -s -m 20 --cacert "$SITE/ca/bundle.pem" -H 'Content-Type: application/json' --data-binary @"$T/body" "$HTTPS/attest/v1/challenge" | jq -r .reason)" no-client-certificate "nobody asks without a certificate"
has "$(cradle event list --kind refused --json | jq -r '.items[].payload.reason' | sort -u | tr '\n' ' ')" "bad-proof.*ek-unknown.*key-home" "refusals are evidence"

# -- another key without a proof
key "$T/plain" && csr "$T/plain" /CN=hand
est() { curl -s -m 20 -o "$T/out" -w '%{http_code}' $STATION -H 'Content-Type: application/pkcs10' --data-binary @"$T/plain.csr" "$HTTPS/.well-known/est/simpleenroll"; }
is "$(est)" 403 "another key of the device is not enrolled"
cradle line set plain --key-home any --quiet; is "$(est)" 200 "but for the line's rule"
is "$(home_of hand)" "unknown false " "then the register does not know where it lives"
cradle tpm bind hand --none --note "new board" --quiet && cradle tpm distrust vib "$(cradle tpm list vib --json | jq -r '.items[0].sha256')" --quiet; ok $? "both can be taken back"
site_stop
cradled -f "$SITE" >"$T/out" 2>&1; ok $? "the tables follow from the events"
finish
