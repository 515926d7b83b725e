/* seal.c: see seal.h. */
#include "wire/seal.h"

#include "base/file.h"
#include "base/mem.h"
#include "crypt/hash.h"
#include "crypt/hpke.h"
#include "crypt/key.h"

enum err seal_begin(struct seal *s, const uint8_t sha256[32], uint64_t length)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    uint8_t prefix[7];
    *s = (struct seal){ .length = length, .segments = length ? (length - 1) / SEAL_SEGMENT + 1 : 1 };
    if (s->segments > UINT32_MAX)
        return CE_TOO_LARGE;
    enum err e = random_bytes(s->key, sizeof s->key);
    e = e ? e : random_bytes(prefix, sizeof prefix);
    buf_put_str(&b, "cradle sealed 1\n");
    buf_put(&b, sha256, 32);
    buf_put_u64(&b, length);
    buf_put_u32(&b, SEAL_SEGMENT);
    buf_put(&b, prefix, sizeof prefix);
    buf_put_u8(&b, 0);
    memcpy(s->head, b.data, sizeof s->head);
    return e;
}

enum err seal_segment(struct seal *s, struct span plain, uint8_t *out)
{
    uint64_t left = s->length - s->segment * SEAL_SEGMENT;
    uint8_t nonce[12];
    if (seal_done(s) || plain.n != (left < SEAL_SEGMENT ? left : SEAL_SEGMENT))
        return CE_BAD_INPUT;
    memcpy(nonce, s->head + 60, 7);
    for (int i = 0; i < 4; i++)
        nonce[7 + i] = (uint8_t)(s->segment >> (24 - 8 * i));
    nonce[11] = s->segment + 1 == s->segments;
    s->segment++;
    return gcm_seal(s->key, nonce, span_of(s->head, sizeof s->head), plain, out);
}

bool seal_done(const struct seal *s) { return s->segment == s->segments; }
void seal_end(struct seal *s) { mem_zero(s, sizeof *s); }

uint64_t seal_length(uint64_t plain_length)
{
    return SEAL_HEAD + plain_length + SEAL_TAG * (plain_length ? (plain_length - 1) / SEAL_SEGMENT + 1 : 1);
}

enum err seal_wrap(const uint8_t key[SEAL_KEY], const uint8_t sha256_plain[32], struct span spki, struct span uid, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf info = BUF_INIT(0);
    struct spki_info pub;
    uint8_t id[SHA256_LEN];
    enum err e = spki_parse(spki, &pub, f);
    if (e)
        return e;
    if (pub.alg != KEY_EC_P256)
        return fault_set(f, CE_KEY_ALG, "content keys are wrapped for P-256 keys; this device has %s", pub.name);
    sha256(spki, id);
    buf_put_str(&info, "cradle content key 1");
    buf_put_u8(&info, 0);
    buf_put(&info, sha256_plain, 32);
    buf_put(&info, id, sizeof id);
    buf_put_span(&info, uid);
    e = hpke_seal(pub.key, buf_span(&info), span_of(key, SEAL_KEY), out);
    return e ? fault_set(f, e, "the content key cannot be wrapped for this device: %s", err_text(e)) : CE_OK;
}
