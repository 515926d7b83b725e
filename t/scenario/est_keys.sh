#!/bin/sh
# est_keys.sh: keys that get no certificate, sent by curl through EST: each is refused for its own reason, and the refusal is evidence. The list of compromised
# keys: import, who uses one now, revocation, and taking a key off it.
cd "$(dirname "$0")/../.." || exit 1
. t/lib.sh
need curl curl; need openssl openssl; need jq jq; need perl perl
site_init || { ok 1 "cradle init"; finish; }
sed -i 's/^key_algs = .*/key_algs = ec:P-256 rsa:3072/' "$SITE/profiles/device.conf"
site_start || { ok 1 "cradled starts"; finish; }
cd "$T" || exit 1
api -d '{"name":"pump"}' "$HTTPS/api/v1/lines" >/dev/null
api -d '{"name":"m","line":"pump"}' "$HTTPS/api/v1/models" >/dev/null
for d in K-1 K-2 K-3; do api -d "{\"uid\":\"$d\",\"model\":\"m\",\"serial\":\"S-$d\"}" "$HTTPS/api/v1/devices" >/dev/null; done
key st; csr st /CN=st
api -d "{\"name\":\"st\",\"role\":\"station\",\"lines\":\"pump\",\"csr\":\"$(tr -d '\n' <st.csr)\"}" "$HTTPS/api/v1/operators" | jq -r .certificate >st.pem

est() { # CSRFILE [WHO PATH]: sets code, reason
    code=$(curl -s --cacert "$SITE/ca/bundle.pem" --cert "${2:-st}.pem" --key "${2:-st}.key" -H 'Content-Type: application/pkcs10' --data-binary "@$1" -D head -o out \
        -w '%{http_code}' "$HTTPS/.well-known/est/${3:-simpleenroll}")
    reason=$(tr -d '\r' <head | sed -n 's/^x-cradle-reason: //Ip')
}
reasons=
refused() { # CODE REASON NAME
    is "$code $reason" "$1 $2" "$3"
    reasons="$reasons $2"
}
# A request with any public key, and with a signature that is none: keys are judged before the proof of possession.
forge() { # KEY-ALGORITHM SIGNATURE-OID ITS-PARAMETERS SECTION-TEXT: bad.csr
    cat >bad.conf <<END
asn1=SEQUENCE:csr
[csr]
tbs=SEQUENCE:tbs
alg=SEQUENCE:sig
sig=FORMAT:HEX,BITSTRING:00
[tbs]
version=INTEGER:0
subject=SEQUENCE:name
spki=SEQUENCE:spki
attributes=IMPLICIT:0,SEQUENCE:none
[none]
[name]
rdn=SET:rdn
[rdn]
atv=SEQUENCE:atv
[atv]
type=OID:2.5.4.3
value=UTF8String:K-1
[sig]
alg=OID:$2
$3
[spki]
alg=SEQUENCE:$1
$4
[ec]
alg=OID:id-ecPublicKey
curve=OID:prime256v1
[rsakey]
alg=OID:rsaEncryption
none=NULL
END
    openssl asn1parse -genconf bad.conf -noout -out bad.der && openssl base64 -in bad.der >bad.csr
}
forge_rsa() { forge rsakey 1.2.840.113549.1.1.11 none=NULL "key=BITWRAP,SEQUENCE:rsa
[rsa]
n=INTEGER:0x$1
e=INTEGER:0x010001"; }

# -- weak, by their numbers
key w -algorithm RSA -pkeyopt rsa_keygen_bits:2048; csr w /CN=K-1; est w.csr; refused 400 key-weak "RSA with 2048 bits"
key w -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -pkeyopt rsa_keygen_pubexp:3; csr w /CN=K-1; est w.csr; refused 400 key-exponent "RSA with exponent 3"
key w -algorithm EC -pkeyopt ec_paramgen_curve:P-224; csr w /CN=K-1; est w.csr; refused 400 key-weak "a key on P-224"
key w -algorithm EC -pkeyopt ec_paramgen_curve:P-384; csr w /CN=K-1; est w.csr; refused 400 key-algorithm "a good key of a kind that the profile does not name"
forge ec 1.2.840.10045.4.3.2 "" "key=FORMAT:HEX,BITSTRING:04$(head -c 32 /dev/zero | openssl sha256 -r | cut -c1-64)$(echo y | openssl sha256 -r | cut -c1-64)"
est bad.csr; refused 400 key-invalid "a point that is not on the curve"
# moduli as bad generators make them, of factors that no prime below 2^16 divides: whether they are primes nobody can ask of a modulus
cat >moduli.pl <<'END'
use Math::BigInt try => 'GMP';
my $kind = shift;
my @sieve = (1) x 65536;
my @small = grep { my $p = $_; my $is = $sieve[$p]; if ($is) { for (my $i = $p * $p; $i < 65536; $i += $p) { $sieve[$i] = 0 } } $is } 2 .. 65535;
sub digits { my $h = shift->as_hex; $h =~ s/^0x//; return '0' x (-length($h) % 6) . $h; }
sub sound {
    my @word = map { hex } digits(shift) =~ /.{6}/g;
    for my $p (@small) { my $r = 0; $r = ($r * 16777216 + $_) % $p for @word; return 0 unless $r; }
    return 1;
}
sub random { return Math::BigInt->from_hex(`openssl rand -hex @{[$_[0] / 8]}`); }
sub next_sound { my $n = shift; $n |= 1; $n += 2 until sound($n); return $n; }
sub top { return random($_[0]) | (Math::BigInt->new(3) << ($_[0] - 2)); }
my $n;
if ($kind eq 'close') { my $p = next_sound(top(1536)); $n = $p * next_sound($p + 2); }
if ($kind eq 'square') { my $p = next_sound(top(1536)); $n = $p * $p; }
if ($kind eq 'factor') { $n = next_sound(top(3064)) * 65521; }
if ($kind eq 'roca') { # CVE-2017-15361: k M + (65537^a mod M), M the product of the first 126 primes
    my $m = Math::BigInt->new(1);
    $m *= $_ for @small[0 .. 125];
    my @p = map {
        my $p;
        do { $p = $m * ((Math::BigInt->new(7) << 1533) / $m + random(480)) + Math::BigInt->new(65537)->bmodpow(random(64), $m) } until sound($p);
        $p } 1, 2;
    $n = $p[0] * $p[1];
}
print digits($n);
END
for pair in factor:key-small-factor square:key-prime-power close:key-close-primes roca:key-roca; do
    kind=${pair%%:*}
    forge_rsa "$(perl moduli.pl "$kind")"; est bad.csr; refused 400 "${pair##*:}" "a modulus with the weakness '$kind'"
done

# -- known keys
key K-1; csr K-1 /CN=K-1; est K-1.csr; is "$code" 200 "a good key is certified"
openssl base64 -d -in out | openssl pkcs7 -inform DER -print_certs 2>/dev/null | openssl x509 >K-1.pem
cp K-1.key K-2.key; csr K-2 /CN=K-2; est K-2.csr; refused 403 key-of-other "a key that another device has"
cp st.key K-2.key; csr K-2 /CN=K-2; est K-2.csr; refused 403 key-of-other "a key that a station has"
cp "$SITE/keys/device.key" K-2.key; csr K-2 /CN=K-2; est K-2.csr; refused 403 key-of-other "the key of a CA"
key K-2; csr K-2 /CN=K-2
spki() { openssl pkey -in "$1" -pubout -outform DER | openssl sha256 -r | cut -c1-64; }
{ echo '# leaked keys'; spki K-2.key; } >leaked.txt
has "$(cradle key block leaked.txt --note 'build server' 2>&1)" '^1 key blocked \(0 were there already\)' "cradle key block FILE"
est K-2.csr; refused 403 key-blocked "a key of the list"
has "$(cradle key block leaked.txt 2>&1)" '^0 keys blocked \(1 was there already\)' "the same file again changes nothing"
has "$(cradle key list)" "$(spki K-2.key).*build server" "cradle key list"
echo 'not a key' >>leaked.txt
cradle key block leaked.txt >l 2>&1; is "$?" 2 "a file with another line is refused"
has "$(cat l)" 'line 3: .* nothing was sent' "its line is named"
cradle key unblock "$(spki K-2.key)" >l 2>&1; ok $? "cradle key unblock"
est K-2.csr; is "$code" 200 "the key is certified again"

# -- openssl-blacklist's form: the end of the SHA-1 of the modulus
key K-3 -algorithm RSA -pkeyopt rsa_keygen_bits:3072; csr K-3 /CN=K-3
openssl rsa -in K-3.key -modulus -noout 2>/dev/null | openssl sha1 -r | cut -c21-40 >blacklist.RSA-3072
cradle key block blacklist.RSA-3072 >l 2>&1; ok $? "a list of openssl-blacklist"
est K-3.csr; refused 403 key-blocked "an RSA key of that list"

# -- in use now
got=$(cradle key block --cert K-1.pem --json 2>&1)
is "$(printf '%s' "$got" | jq -r '.used[0] | .kind + " " + .holder')" "device K-1" "the device that uses a key is named"
csr K-1 /CN=K-1; est K-1.csr st simpleenroll; refused 403 key-blocked "its key gets no other certificate"
has "$(cradle key block --cert K-1.pem --revoke 2>&1)" 'device K-1: revoked' "--revoke"
is "$(api "$HTTPS/api/v1/devices/K-1" | jq -r .state)" revoked "the device is revoked"
has "$(api "$HTTPS/api/v1/certs?device=K-1" | jq -r '.items[0].status + " " + (.items[0].reason|tostring)')" 'revoked (keyCompromise|1)' "for its key"

# -- evidence
told() { for r in $reasons; do api "$HTTPS/api/v1/events?kind=refused&limit=500" | grep -q "\"$r\"" || return 1; done; }
wait_for 20 told; ok $? "every refusal is in the evidence"
n=$(api "$HTTPS/api/v1/events?kind=keys-blocked&limit=10" | jq '.items | length'); is "$n" 3 "and every import that changed the list"
site_stop
cradled -f "$SITE" >fold.log 2>&1; ok $? "fold(events) = tables"
sed -n '1,5s/^/# /p' fold.log
finish
