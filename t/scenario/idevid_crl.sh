#!/bin/sh
# idevid_crl.sh: a maker's revocation lists, made by openssl: an IDevID on one enrolls nothing, nor one whose CA is on the root's list; lists that are not the maker's,
# old, damaged, or over, and what happens when a list is over.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
. t/maker.sh
. t/est.sh

# -- the maker: a root, a CA below it, boards
serial() { openssl x509 -in "$1.pem" -noout -serial | cut -d= -f2; }
list() { # CA NUMBER DAYS NAME...: list.pem of CA, with these certificates
    ca=$1 number=$2 days=$3; shift 3
    : >index.txt; echo "unique_subject = no" >index.txt.attr
    for c; do printf 'R\t491231000000Z\t260101000000Z,keyCompromise\t%s\tunknown\t/CN=%s\n' "$(serial "$c")" "$c" >>index.txt; done
    printf '%x\n' "$number" | awk '{ printf "%s%s\n", length($0) % 2 ? "0" : "", $0 }' >number
    printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ncrl_extensions=e\n[e]\nauthorityKeyIdentifier=keyid\n' >ca.cnf
    openssl ca -config ca.cnf -gencrl -cert "$ca.pem" -keyfile "$ca.key" -crldays "$days" -out list.pem 2>ca.err || sed 's/^/# /' ca.err
}
maker_cas
maker xroot "/O=Other/CN=Other Root" "" "$AS_CA"
maker nolist "/O=Boards Inc/CN=Boards Second CA" mroot 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n'
for b in 1 2 3; do board b$b SN-$b; done
cradle line add pump >/dev/null; cradle model add p1 --line pump >/dev/null
for i in 1 2 3; do cradle device add P-$i --model p1 --serial SN-$i >/dev/null; done
list mca 1 30
cradle anchor crl pump list.pem >c.out 2>&1; has "$(cat c.out)" 'has 0 anchors' "a list without an anchor is of nobody"
cradle anchor add pump --cert mroot.pem --intermediate mca.pem --intermediate nolist.pem --map serial >/dev/null; ok $? "the maker"
est b1 /simpleenroll P-1
is "$code" 200 "a board enrolls"

# -- lists that are refused
list xroot 1 30
cradle anchor crl pump list.pem >c.out 2>&1; is "$?" 2 "another maker's list: exit code"; has "$(cat c.out)" 'neither the anchor nor' "and why"
list nolist 1 30
cradle anchor crl pump list.pem >c.out 2>&1; has "$(cat c.out)" 'no cRLSign \(RFC 5280 4.2.1.3\)' "a CA that may sign no lists"
list mca 5 30 b2
openssl crl -in list.pem -outform DER -out list.der
{ head -c 60 list.der; printf 'X'; tail -c +62 list.der; } >bad.der
cradle anchor crl pump bad.der >c.out 2>&1; [ $? -ne 0 ]; ok $? "a list with a byte changed: $(head -n 1 c.out)"
head -c 100 list.der >cut.der
cradle anchor crl pump cut.der >c.out 2>&1; has "$(cat c.out)" 'RFC 5280 5.1' "half a list"
cradle anchor crl pump mroot.pem >c.out 2>&1; has "$(cat c.out)" 'no X509 CRL block' "a certificate"
cradle anchor crl pump list.der --stale never >c.out 2>&1; has "$(cat c.out)" 'stale is refuse or warn' "a policy that there is not"
est b2 /simpleenroll P-2 b2try
is "$code" 200 "nothing of that counts"

# -- a list
cradle device forget-idevid P-2 >/dev/null
cradle anchor crl pump list.der --note 'mail of the maker' >c.out 2>&1; ok $? "the maker's list: $(tr '\n' ' ' <c.out)"
est b2 /simpleenroll P-2 b2again
is "$code $reason" "403 certificate-revoked" "a board on it enrolls nothing: $(cat out)"
est b3 /simpleenroll P-3
is "$code" 200 "another one does"
is "$(cradle event list --kind anchor-crl --json | jq -r '.items[0].payload | [.line, .number, .entries, .stale, .note, .by] | join(" ")')" "pump 5 1 refuse mail of the maker admin" "the list is evidence"
is "$(cradle event list --kind anchor-crl --json | jq -r '.items[0].payload.revoked' | tr a-f A-F)" "$(serial b2)" "with the serial numbers"
list mca 4 30
cradle anchor crl pump list.pem >c.out 2>&1; is $? 5 "an older list: exit code"; has "$(cat c.out)" 'older than list 5' "and why"
est b2 /simpleenroll P-2 b2again
is "$code $reason" "403 certificate-revoked" "the newer one stays"
list mca 6 30
cradle anchor crl pump list.pem >/dev/null; ok $? "a newer one without the board"
est b2 /simpleenroll P-2 b2again
is "$code" 200 "lets it in again"

# -- a list that is over
sleep_until_over() { wait_for 20 sh -c "[ \$(date +%s) -gt $1 ]"; }
over() { # NUMBER SECONDS: a list of mca
    list mca "$1" 30; printf '%02x\n' "$1" >number
    openssl ca -config ca.cnf -gencrl -cert mca.pem -keyfile mca.key -crlsec "$2" -out list.pem 2>/dev/null
    end=$(date -d "$(openssl crl -in list.pem -noout -nextupdate | cut -d= -f2)" +%s)
}
over 7 1; sleep_until_over "$end"
cradle anchor crl pump list.pem >c.out 2>&1; has "$(cat c.out)" 'RFC 5280 5.1.2.5' "a list that is over is not taken"
over 8 4
cradle anchor crl pump list.pem >/dev/null; ok $? "one that will be in 4 s"
sleep_until_over "$end"
est b3 /simpleenroll P-3 b3again
is "$code $reason" "403 maker-crl-stale" "then nobody of that maker enrolls: $(cat out)"
cradle anchor crl pump list.pem --stale warn >/dev/null; ok $? "the same with warn"
est b3 /simpleenroll P-3 b3again
is "$code" 200 "enrolls"
has "$(cradle status 2>&1)" 'revocation list of their maker that is not good any more' "and the status tells"

# -- the CA itself
list mroot 1 30 mca
cradle anchor crl pump list.pem >/dev/null; ok $? "the root revokes the CA between"
est b1 /simpleenroll P-1 b1again
is "$code $reason" "403 certificate-revoked" "none of its boards enrolls"
root=$(cradle anchor list pump --json | jq -r '.items[0].sha256')
cradle anchor remove pump "$root" >/dev/null && cradle anchor add pump --cert mroot.pem --intermediate mca.pem --map serial >/dev/null
est b1 /simpleenroll P-1 b1again
is "$code" 200 "lists go with their anchor"
site_stop
cradled -f "$SITE" >fold.out 2>&1; ok $? "fold(events) = tables"; sed 's/^/# /' fold.out
finish
