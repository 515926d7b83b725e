/* cmp_mac.c: password-based MAC (RFC 4211 4.4, RFC 9481 6.1.1) and PBMAC1 with PBKDF2 (RFC 8018 7.1, RFC 9481 6.1.2). See cmp.h. By the hash
 * functions of hash.h alone, because core's jail lets no library open anything late. SHA-1 inside of HMAC is what OpenSSL's client takes
 * unless it is told otherwise; RFC 9481 6.1.1 lists it, and HMAC does not stand on what SHA-1 has lost.
 */
#include <openssl/crypto.h>

#include "base/mem.h"
#include "crypt/cert.h"
#include "crypt/cmp.h"
#include "crypt/der.h"
#include "crypt/key_impl.h"

#define OID_PBM "\x2a\x86\x48\x86\xf6\x7d\x07\x42\x0d"
#define OID_PKCS5 "\x2a\x86\x48\x86\xf7\x0d\x01\x05"
#define OID_RSADSI_DIGEST "\x2a\x86\x48\x86\xf7\x0d\x02"
#define OID_NIST_HASH "\x60\x86\x48\x01\x65\x03\x04\x02"

/* The first of each size is the one that is written. */
static const struct { unsigned bits; struct span oid; } hash_oids[] = {
    { 256, SPAN_LIT(OID_NIST_HASH "\x01") }, { 384, SPAN_LIT(OID_NIST_HASH "\x02") }, { 512, SPAN_LIT(OID_NIST_HASH "\x03") },
    { 160, SPAN_LIT("\x2b\x0e\x03\x02\x1a") },
}, hmac_oids[] = {
    { 256, SPAN_LIT(OID_RSADSI_DIGEST "\x09") }, { 384, SPAN_LIT(OID_RSADSI_DIGEST "\x0a") }, { 512, SPAN_LIT(OID_RSADSI_DIGEST "\x0b") },
    { 160, SPAN_LIT("\x2b\x06\x01\x05\x05\x08\x01\x02") }, { 160, SPAN_LIT(OID_RSADSI_DIGEST "\x07") },
};
#define SALT_MIN 8
#define SALT_MAX 64

/* -- HMAC and derivation --------------------------------------------------------------------------------------------------------------- */
static size_t hash_of(unsigned bits, struct span in, uint8_t out[SHA512_LEN])
{
    if (bits == 160)
        sha1(in, out);
    else if (bits == 256)
        sha256(in, out);
    else if (bits == 384)
        sha384(in, out);
    else
        sha512(in, out);
    return bits / 8;
}

/* room: for a block and the message. */
static size_t hmac_of(unsigned bits, struct span key, struct span in, struct buf *room, uint8_t out[SHA512_LEN])
{
    uint8_t short_key[SHA512_LEN], inner[SHA512_LEN];
    size_t block = bits > 256 ? 128 : 64, n = bits / 8;
    if (key.n > block)
        key = span_of(short_key, hash_of(bits, key, short_key));
    for (int outer = 0; outer < 2; outer++) {
        buf_reset(room);
        for (size_t i = 0; i < block; i++)
            buf_put_u8(room, (uint8_t)((i < key.n ? key.p[i] : 0) ^ (outer ? 0x5c : 0x36)));
        buf_put_span(room, outer ? span_of(inner, n) : in);
        hash_of(bits, buf_span(room), outer ? out : inner);
    }
    OPENSSL_cleanse(short_key, sizeof short_key);
    OPENSSL_cleanse(inner, sizeof inner);
    return n;
}

/* K = H(secret || salt), then hashed until `iterations` hashes were made. */
static size_t pbm_key(const struct cmp_mac *m, struct span secret, struct buf *room, uint8_t key[SHA512_LEN])
{
    buf_reset(room);
    buf_put_span(room, secret);
    buf_put_span(room, m->salt);
    size_t n = hash_of(m->hash, buf_span(room), key);
    uint8_t next[SHA512_LEN];
    for (int64_t i = 1; i < m->iterations; i++) {
        hash_of(m->hash, span_of(key, n), next);
        memcpy(key, next, n);
    }
    OPENSSL_cleanse(next, sizeof next);
    return n;
}

/* PBKDF2 (RFC 8018 5.2) of one block: keys are as long as the HMAC's hash at most. */
static size_t pbkdf2_key(const struct cmp_mac *m, struct span secret, struct buf *room, uint8_t key[SHA512_LEN])
{
    uint8_t u[SHA512_LEN], next[SHA512_LEN], first[SALT_MAX + 4];
    memcpy(first, m->salt.p, m->salt.n);
    memcpy(first + m->salt.n, "\0\0\0\1", 4);
    size_t n = hmac_of(m->hash, secret, span_of(first, m->salt.n + 4), room, u);
    memcpy(key, u, n);
    for (int64_t i = 1; i < m->iterations; i++) {
        hmac_of(m->hash, secret, span_of(u, n), room, next);
        memcpy(u, next, n);
        for (size_t k = 0; k < n; k++)
            key[k] ^= u[k];
    }
    OPENSSL_cleanse(u, sizeof u);
    OPENSSL_cleanse(next, sizeof next);
    return n;
}

size_t cmp_mac_make(const struct cmp_mac *m, struct span secret, struct span message, uint8_t out[SHA512_LEN])
{
    CLEANUP(buf_free) struct buf room = BUF_INIT(0);
    uint8_t key[SHA512_LEN];
    size_t n = m->pbmac1 ? pbkdf2_key(m, secret, &room, key) : pbm_key(m, secret, &room, key);
    n = hmac_of(m->mac, span_of(key, n), message, &room, out);
    OPENSSL_cleanse(key, sizeof key);
    return n;
}

/* -- AlgorithmIdentifiers ------------------------------------------------------------------------------------------------------------------ */
/* Bits by OID; parameters absent or NULL. 0: not one of ours. */
static unsigned bits_get(struct span *in, bool hmac)
{
    struct span alg, oid;
    if (der_get(in, DER_SEQUENCE, &alg) || der_get_oid(&alg, &oid) || (alg.n && !(alg.n == 2 && alg.p[0] == DER_NULL)))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(hash_oids) && !hmac; i++)
        if (span_eq(oid, hash_oids[i].oid))
            return hash_oids[i].bits;
    for (size_t i = 0; i < ARRAY_LEN(hmac_oids) && hmac; i++)
        if (span_eq(oid, hmac_oids[i].oid))
            return hmac_oids[i].bits;
    return 0;
}

unsigned cmp_hash_bits(struct span alg)
{
    unsigned bits = bits_get(&alg, false);
    return alg.n ? 0 : bits;
}

bool cmp_cert_hash_holds(struct span cert_der, unsigned bits, struct span hash)
{
    uint8_t own[SHA512_LEN];
    struct cert c;
    struct fault f;
    if (!bits && cert_parse(cert_der, &c, &f) == CE_OK && sig_desc_of(c.sig_alg))
        bits = sig_desc_of(c.sig_alg)->hash_bits ? sig_desc_of(c.sig_alg)->hash_bits : 512;
    return bits && span_eq(hash, span_of(own, hash_of(bits, cert_der, own)));
}

static enum err bad(struct fault *f, const char *what) { return fault_set(f, CE_CMP_ALG, "%s", what); }

static enum err limits(const struct cmp_mac *m, int64_t least, struct fault *f)
{
    if (m->salt.n < SALT_MIN || m->salt.n > SALT_MAX)
        return fault_set(f, CE_CMP_ALG, "the salt has %zu bytes; %d to %d are taken", m->salt.n, SALT_MIN, SALT_MAX);
    if (m->iterations < least || m->iterations > CMP_ITERATIONS_MAX)
        return fault_set(f, CE_CMP_ALG, "%lld iterations; %lld to %d are taken (RFC 9481 6.1)", (long long)m->iterations, (long long)least, CMP_ITERATIONS_MAX);
    return CE_OK;
}

static enum err pbm_parse(struct span params, struct cmp_mac *out, struct fault *f)
{
    struct span in;
    if (der_get(&params, DER_SEQUENCE, &in) || params.n || der_get(&in, DER_OCTET_STRING, &out->salt))
        return bad(f, "RFC 4211 4.4: malformed PBMParameter");
    if (!(out->hash = bits_get(&in, false)))
        return bad(f, "RFC 9481 6.1.1: the one-way function is SHA-256, SHA-384, SHA-512 or SHA-1");
    if (der_get_small(&in, &out->iterations))
        return bad(f, "RFC 4211 4.4: malformed iterationCount");
    if (!(out->mac = bits_get(&in, true)) || in.n)
        return bad(f, "RFC 9481 6.2.1: the MAC is HMAC with SHA-256, SHA-384, SHA-512 or SHA-1");
    return limits(out, CMP_PBM_ITERATIONS_MIN, f);
}

static enum err pbkdf2_parse(struct span alg, struct cmp_mac *out, int64_t *key_len, struct fault *f)
{
    struct span oid, in;
    if (der_get_oid(&alg, &oid) || !span_eq(oid, SPAN_LIT(OID_PKCS5 "\x0c")) || der_get(&alg, DER_SEQUENCE, &in) || alg.n)
        return bad(f, "RFC 9481 6.1.2: the key derivation of PBMAC1 is PBKDF2");
    if (der_get(&in, DER_OCTET_STRING, &out->salt) || der_get_small(&in, &out->iterations))
        return bad(f, "RFC 8018 A.2: malformed PBKDF2-params");
    *key_len = 0;
    if (der_peek(in, DER_INTEGER) && der_get_small(&in, key_len))
        return bad(f, "RFC 8018 A.2: malformed keyLength");
    out->hash = 160; /* the DEFAULT of prf */
    if (in.n && (!(out->hash = bits_get(&in, true)) || in.n))
        return bad(f, "RFC 9481 4.4: the function of PBKDF2 is HMAC with SHA-256, SHA-384, SHA-512 or SHA-1");
    return limits(out, CMP_PBKDF2_ITERATIONS_MIN, f);
}

static enum err pbmac1_parse(struct span params, struct cmp_mac *out, struct fault *f)
{
    struct span in, kdf;
    int64_t key_len = 0;
    if (der_get(&params, DER_SEQUENCE, &in) || params.n || der_get(&in, DER_SEQUENCE, &kdf))
        return bad(f, "RFC 8018 A.5: malformed PBMAC1-params");
    enum err e = pbkdf2_parse(kdf, out, &key_len, f);
    if (e)
        return e;
    if (!(out->mac = bits_get(&in, true)) || in.n)
        return bad(f, "RFC 9481 6.2.1: the MAC is HMAC with SHA-256, SHA-384, SHA-512 or SHA-1");
    if (key_len && key_len != out->hash / 8)
        return fault_set(f, CE_CMP_ALG, "a derived key of %lld bytes; the function of PBKDF2 gives %u, and no other length is taken", (long long)key_len, out->hash / 8);
    return CE_OK;
}

static bool alg_split(struct span alg, struct span *oid, struct span *params)
{
    struct span in;
    if (der_get(&alg, DER_SEQUENCE, &in) || alg.n || der_get_oid(&in, oid))
        return false;
    *params = in;
    return true;
}

bool cmp_alg_is_mac(struct span alg)
{
    struct span oid, params;
    return alg_split(alg, &oid, &params) && (span_eq(oid, SPAN_LIT(OID_PBM)) || span_eq(oid, SPAN_LIT(OID_PKCS5 "\x0e")));
}

enum err cmp_mac_parse(struct span alg, struct cmp_mac *out, struct fault *f)
{
    struct span oid, params;
    *out = (struct cmp_mac){ .hash = 256, .mac = 256 };
    if (!cmp_alg_is_mac(alg) || !alg_split(alg, &oid, &params))
        return bad(f, "RFC 9481 6.1: a message is protected by password-based MAC, PBMAC1 or a signature");
    out->pbmac1 = !span_eq(oid, SPAN_LIT(OID_PBM));
    return out->pbmac1 ? pbmac1_parse(params, out, f) : pbm_parse(params, out, f);
}

static void bits_put(unsigned bits, bool hmac, struct buf *out)
{
    size_t at = der_begin(out, DER_SEQUENCE);
    for (size_t i = 0; i < ARRAY_LEN(hash_oids); i++)
        if (hash_oids[i].bits == bits) {
            der_put(out, DER_OID, hmac ? hmac_oids[i].oid : hash_oids[i].oid);
            break;
        }
    if (hmac && bits != 160)
        der_put(out, DER_NULL, span_of(NULL, 0));
    der_end(out, at);
}

void cmp_mac_put(const struct cmp_mac *m, struct buf *out)
{
    size_t all = der_begin(out, DER_SEQUENCE);
    der_put(out, DER_OID, m->pbmac1 ? SPAN_LIT(OID_PKCS5 "\x0e") : SPAN_LIT(OID_PBM));
    size_t params = der_begin(out, DER_SEQUENCE);
    if (m->pbmac1) {
        size_t kdf = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_OID, SPAN_LIT(OID_PKCS5 "\x0c"));
        size_t in = der_begin(out, DER_SEQUENCE);
        der_put(out, DER_OCTET_STRING, m->salt);
        der_put_small(out, (uint64_t)m->iterations);
        der_put_small(out, m->hash / 8);
        if (m->hash != 160)
            bits_put(m->hash, true, out);
        der_end(out, in);
        der_end(out, kdf);
    } else {
        der_put(out, DER_OCTET_STRING, m->salt);
        bits_put(m->hash, false, out);
        der_put_small(out, (uint64_t)m->iterations);
    }
    bits_put(m->mac, true, out);
    der_end(out, params);
    der_end(out, all);
}
