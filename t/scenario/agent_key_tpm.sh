#!/bin/sh
# agent_key_tpm.sh: the agent's key in a TPM (swtpm behind a resource manager): EST and MQTT by TLS 1.2 and 1.3, renewal, reset; wrapped in a file and at a
# persistent handle; another TPM cannot use it.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/agent_key.sh
. t/tpm.sh
key_site; ok $? "a site"
tpm_start a $((BASE + 6)); ok $? "a TPM behind a resource manager"

# -- wrapped
key_device w-1 "key = tpm" "tpm_tcti = $TPM_TCTI"; ok $? "a device that wants its key in the TPM"
key_life w-1; ok $? "w-1 enrolled"
is "$(ls "$T/w-1/current/")" "cert.pem
key.tpm" "its folder holds the wrapped key and the certificate"
has "$(cat "$T/w-1/current/key.tpm")" "BEGIN TSS2 PRIVATE KEY" "in the format that others read too"
is "$(stat -c %a "$T/w-1/current/key.tpm")" 600 "for nobody else to read"
openssl asn1parse -in "$T/w-1/current/key.tpm" | awk -F: '/OCTET STRING/ { print $4; exit }' | perl -ne 'chomp; print pack "H*", $_' >"$T/pub"
attributes=$(tpm2_print -t TPM2B_PUBLIC "$T/pub" | sed -n '/^attributes/,/raw/p')
has "$attributes" "fixedtpm.fixedparent.sensitivedataorigin.userwithauth.noda.sign" "what the TPM says of it: made there, stays there, signs"
is "$(printf '%s' "$attributes" | grep -c decrypt)" 0 "and does not decrypt"
is "$(find "$T/w-1" -name key.pem | wc -l)" 0 "no key file is anywhere"

# -- persistent, from the next renewal on
sed -i 's/^key = .*/key = tpm:0x81000100/' "$T/w-1.conf"
key_broker TLSv1.3; key_spki w-1 >"$T/old.pub"
wait_for 30 key_renewable w-1; agent w-1 renew >/dev/null; ok $? "a changed setting takes effect with the next key"
key_other w-1; ok $? "there is another key"
is "$(cat "$T/w-1/current/key.tpm")" "handle 0x81000100" "which the TPM keeps at its handle"
is "$(tpm2_getcap handles-persistent)" "- 0x81000100" "and no other"
key_spki w-1 >"$T/old.pub"
wait_for 30 key_renewable w-1; agent w-1 renew >/dev/null; ok $? "renewed again"
is "$(cat "$T/w-1/current/key.tpm")$(tpm2_getcap handles-persistent)" "handle 0x81000101- 0x81000101" "the new key is at the next handle, the old one is destroyed"
is "$(tpm2_getcap handles-transient)" "" "and nothing is left loaded"
tpm2_createprimary -Q -C o -c "$T/x.ctx" && tpm2_evictcontrol -Q -C o -c "$T/x.ctx" 0x81000100; ok $? "somebody else takes the other handle"
wait_for 30 key_renewable w-1; agent w-1 renew >"$T/out" 2>&1; [ $? != 0 ] && grep -q "0x81000100 and 0x81000101 are taken" "$T/agent.log"; ok $? "the next renewal says so"
has "$(tpm2_getcap handles-persistent | tr '\n' ' ')" "0x81000100 - 0x81000101" "and touches neither"
tpm2_evictcontrol -Q -C o -c 0x81000100

# -- reset
for s in $(cradle cert list --device w-1 --json | jq -r ".items[].serial"); do cradle cert revoke "$s" --reason superseded --quiet >>"$T/log" 2>&1; done # nobody else may have the name of an active device
agent w-1 reset --yes >"$T/out"; ok $? "a factory reset"
is "$(tpm2_getcap handles-persistent)" "- 0x81000100" "the old key is destroyed in the TPM, the new one is there"
has "$(cradle device show w-1 --json | jq -r '.state')" "active|provisioned|registered" "the device has enrolled anew"
broker_stop

# -- another TPM, none
key_device w-2 "key = tpm" "tpm_tcti = $TPM_TCTI" && sed -i '/^broker/d' "$T/w-2.conf" && agent w-2 enroll >/dev/null; ok $? "another device"
tpm_start b $((BASE + 8)); ok $? "another TPM"
cradle-agent -c "$T/w-2.conf" csr >/dev/null 2>"$T/said"; has "$(cat "$T/said")" "the TPM refused to load the key .it belongs to another TPM" "its folder is of no use there, and the agent says why"
sed -i "s|^tpm_tcti = .*|tpm_tcti = device:/dev/no-tpm|" "$T/w-2.conf"
cradle-agent -c "$T/w-2.conf" csr >/dev/null 2>"$T/said"; has "$(cat "$T/said")" "no TPM at tpm_tcti = device:/dev/no-tpm" "without a TPM as well"
sed -i "s|^key = .*|key = tpm:0x80000001|" "$T/w-2.conf"
cradle-agent -c "$T/w-2.conf" config >/dev/null 2>"$T/said"; has "$(cat "$T/said")" "none of file, tpm" "a handle that is not persistent is refused"
site_stop
finish
