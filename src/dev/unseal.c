/* unseal.c: see cradle/unseal.h. */
#include "cradle/unseal.h"

#include <string.h>

#define MAGIC "cradle sealed 1\n"
#define MAGIC_LEN 16
#define WHOLE (CRADLE_UNSEAL_SEGMENT + CRADLE_UNSEAL_TAG)
#define INFO "cradle content key 1"
#define UID_MAX 64

enum { STEP_HEAD, STEP_SEGMENT, STEP_END };

static void wipe(void *p, size_t n)
{
    volatile uint8_t *v = p;
    while (n--)
        *v++ = 0;
}

/* -- the key: HPKE, names as in RFC 9180 --------------------------------------------------------------------------------------------- */
struct part { const void *p; size_t n; };

static int hash_parts(const struct cradle_update_port *h, const struct part *parts, size_t n, uint8_t out[32])
{
    int bad = h->sha256_begin(h->ctx);
    for (size_t i = 0; !bad && i < n; i++)
        bad = parts[i].n ? h->sha256_add(h->ctx, parts[i].p, parts[i].n) : 0;
    return bad ? bad : h->sha256_end(h->ctx, out);
}

/* HMAC-SHA-256 with a key of 32 bytes (all zero: HKDF's empty salt) over up to 6 parts. */
static int hmac(const struct cradle_update_port *h, const uint8_t key[32], const struct part *parts, size_t n, uint8_t out[32])
{
    uint8_t pad[64], inner[32];
    struct part all[7] = { { pad, sizeof pad } };
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] = (i < 32 ? key[i] : 0) ^ 0x36;
    memcpy(all + 1, parts, n * sizeof *parts);
    int bad = hash_parts(h, all, n + 1, inner);
    for (size_t i = 0; i < sizeof pad; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    all[1] = (struct part){ inner, sizeof inner };
    bad = bad ? bad : hash_parts(h, all, 2, out);
    wipe(pad, sizeof pad);
    return bad;
}

static const struct part kem = { "KEM\x00\x10", 5 }, hpke = { "HPKE\x00\x10\x00\x01\x00\x02", 10 };

static int extract(const struct cradle_update_port *h, const uint8_t salt[32], struct part suite, const char *label, struct part ikm, uint8_t out[32])
{
    const struct part parts[] = { { "HPKE-v1", 7 }, suite, { label, strlen(label) }, ikm };
    return hmac(h, salt, parts, 4, out);
}

static int expand(const struct cradle_update_port *h, const uint8_t prk[32], struct part suite, const char *label, struct part info, uint8_t length, uint8_t out[32])
{
    const uint8_t two[2] = { 0, length }, one = 1;
    const struct part parts[] = { { two, 2 }, { "HPKE-v1", 7 }, suite, { label, strlen(label) }, info, { &one, 1 } };
    return hmac(h, prk, parts, 6, out);
}

static const uint8_t zero[32];

/* DHKEM: secret out of enc. */
static int decap(const struct cradle_unseal_port *port, const uint8_t enc[65], const uint8_t point[65], uint8_t secret[32])
{
    uint8_t dh[32], prk[32], both[130];
    memcpy(both, enc, 65);
    memcpy(both + 65, point, 65);
    int bad = enc[0] != 4 || port->ecdh(port->ctx, enc, dh);
    bad = bad ? bad : extract(port->hash, zero, kem, "eae_prk", (struct part){ dh, 32 }, prk);
    bad = bad ? bad : expand(port->hash, prk, kem, "shared_secret", (struct part){ both, sizeof both }, 32, secret);
    wipe(dh, sizeof dh);
    wipe(prk, sizeof prk);
    return bad;
}

int cradle_unseal_key(const struct cradle_unseal_port *port, const uint8_t *wrapped, size_t n, const uint8_t sha256[32], const uint8_t point[65],
                      const uint8_t spki_sha256[32], const char *uid, uint8_t key[32])
{
    uint8_t info[sizeof INFO + 64 + UID_MAX], context[65] = { 0 }, secret[32], prk[32], wrap[32], nonce[32];
    size_t uid_n = strlen(uid);
    const struct part none = { NULL, 0 }, all = { context, sizeof context };
    if (n != CRADLE_UNSEAL_WRAPPED || uid_n > UID_MAX)
        return CRADLE_UNSEAL_FORMAT;
    memcpy(info, INFO, sizeof INFO);
    memcpy(info + sizeof INFO, sha256, 32);
    memcpy(info + sizeof INFO + 32, spki_sha256, 32);
    memcpy(info + sizeof INFO + 64, uid, uid_n);
    int bad = decap(port, wrapped, point, secret);
    bad = bad ? bad : extract(port->hash, zero, hpke, "psk_id_hash", none, context + 1);
    bad = bad ? bad : extract(port->hash, zero, hpke, "info_hash", (struct part){ info, sizeof INFO + 64 + uid_n }, context + 33);
    bad = bad ? bad : extract(port->hash, secret, hpke, "secret", none, prk);
    bad = bad ? bad : expand(port->hash, prk, hpke, "key", all, 32, wrap);
    bad = bad ? bad : expand(port->hash, prk, hpke, "base_nonce", all, 12, nonce);
    memcpy(key, wrapped + 65, 32);
    int open = bad ? -1 : port->gcm_open(port->ctx, wrap, nonce, NULL, 0, key, 32, wrapped + 97);
    wipe(secret, sizeof secret);
    wipe(prk, sizeof prk);
    wipe(wrap, sizeof wrap);
    if (open)
        wipe(key, 32);
    return open < 0 ? CRADLE_UNSEAL_CRYPTO : open ? CRADLE_UNSEAL_KEY : CRADLE_UNSEAL_OK;
}

/* -- the file -------------------------------------------------------------------------------------------------------------------------- */
static uint32_t segments(uint64_t length) { return length ? (uint32_t)((length - 1) / CRADLE_UNSEAL_SEGMENT + 1) : 1; }

uint64_t cradle_unseal_offset(uint32_t segment) { return CRADLE_UNSEAL_HEAD + (uint64_t)segment * WHOLE; }

void cradle_unseal_begin(struct cradle_unseal *u, const struct cradle_unseal_port *port, const uint8_t key[32], const uint8_t sha256[32], uint64_t length,
                         uint8_t *mem)
{
    memset(u, 0, sizeof *u);
    u->port = port;
    u->mem = mem;
    u->length = length;
    memcpy(u->key, key, sizeof u->key);
    memcpy(u->sha256, sha256, sizeof u->sha256);
    if (length > (uint64_t)UINT32_MAX * CRADLE_UNSEAL_SEGMENT) /* the counter must not come round */
        u->err = CRADLE_UNSEAL_FORMAT;
}

static uint64_t get_be(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

static int header_judge(const struct cradle_unseal *u)
{
    if (memcmp(u->head, MAGIC, MAGIC_LEN) != 0 || get_be(u->head + 56, 4) != CRADLE_UNSEAL_SEGMENT || u->head[67])
        return CRADLE_UNSEAL_FORMAT;
    return memcmp(u->head + 16, u->sha256, 32) == 0 && get_be(u->head + 48, 8) == u->length ? CRADLE_UNSEAL_OK : CRADLE_UNSEAL_OTHER;
}

static size_t segment_len(const struct cradle_unseal *u)
{
    uint64_t left = u->length - (uint64_t)u->segment * CRADLE_UNSEAL_SEGMENT;
    return left < CRADLE_UNSEAL_SEGMENT ? (size_t)left : CRADLE_UNSEAL_SEGMENT;
}

static int segment_end(struct cradle_unseal *u)
{
    uint8_t nonce[12];
    size_t n = segment_len(u);
    int last = u->segment + 1 == segments(u->length);
    memcpy(nonce, u->head + 60, 7);
    for (int i = 0; i < 4; i++)
        nonce[7 + i] = (uint8_t)(u->segment >> (24 - 8 * i));
    nonce[11] = (uint8_t)last;
    int open = u->port->gcm_open(u->port->ctx, u->key, nonce, u->head, sizeof u->head, u->mem, n, u->mem + n);
    if (open)
        return open < 0 ? CRADLE_UNSEAL_CRYPTO : CRADLE_UNSEAL_TAMPER;
    if (n && u->port->write(u->port->ctx, (uint64_t)u->segment * CRADLE_UNSEAL_SEGMENT, u->mem, n))
        return CRADLE_UNSEAL_WRITE;
    u->segment++;
    u->have = 0;
    u->step = last ? STEP_END : STEP_SEGMENT;
    return CRADLE_UNSEAL_OK;
}

static size_t gather(uint8_t *to, size_t *have, size_t want, const uint8_t *data, size_t n)
{
    n = n < want - *have ? n : want - *have;
    memcpy(to + *have, data, n);
    *have += n;
    return n;
}

int cradle_unseal_add(struct cradle_unseal *u, const void *data, size_t n)
{
    const uint8_t *p = data;
    while (!u->err && n) {
        size_t used = 0;
        if (u->step == STEP_HEAD) {
            used = gather(u->head, &u->have, sizeof u->head, p, n);
            if (u->have == sizeof u->head) {
                u->err = header_judge(u);
                u->have = 0;
                u->step = STEP_SEGMENT;
            }
        } else if (u->step == STEP_SEGMENT) {
            used = gather(u->mem, &u->have, segment_len(u) + CRADLE_UNSEAL_TAG, p, n);
            if (u->have == segment_len(u) + CRADLE_UNSEAL_TAG)
                u->err = segment_end(u);
        } else {
            u->err = CRADLE_UNSEAL_FORMAT;
        }
        p += used;
        n -= used;
    }
    return u->err;
}

int cradle_unseal_resume(struct cradle_unseal *u, uint32_t segment)
{
    if (u->err || u->step != STEP_SEGMENT || u->have || segment >= segments(u->length))
        return u->err ? u->err : CRADLE_UNSEAL_FORMAT;
    u->segment = segment;
    return CRADLE_UNSEAL_OK;
}

int cradle_unseal_end(struct cradle_unseal *u)
{
    wipe(u->key, sizeof u->key);
    return u->err ? u->err : u->step == STEP_END ? CRADLE_UNSEAL_OK : CRADLE_UNSEAL_SHORT;
}

const char *cradle_unseal_reason(int err)
{
    switch (err) {
    case CRADLE_UNSEAL_OK: return "ok";
    case CRADLE_UNSEAL_FORMAT: return "sealed-format";
    case CRADLE_UNSEAL_OTHER: return "sealed-other";
    case CRADLE_UNSEAL_KEY: return "sealed-key";
    case CRADLE_UNSEAL_TAMPER: return "sealed-tampered";
    case CRADLE_UNSEAL_CRYPTO: return "sealed-crypto";
    case CRADLE_UNSEAL_WRITE: return "sealed-write";
    case CRADLE_UNSEAL_SHORT: return "sealed-short";
    default: return "unknown";
    }
}
