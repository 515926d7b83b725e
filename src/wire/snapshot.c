/* snapshot.c: snapshot headers and whole snapshots; frames are snapshot_frame.c. See wire/snapshot.h. */
#include "wire/snapshot.h"

#include "base/log.h"
#include "crypt/hash.h"
#include "wire/snapshot_impl.h"

static void snapshot_key(struct span what, struct span a, struct span b, uint8_t out[SNAPSHOT_KEY])
{
    uint8_t digest[SHA256_LEN];
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, what);
    sha256_add(&h, a);
    sha256_add(&h, b);
    sha256_end(&h, digest);
    memcpy(out, digest, SNAPSHOT_KEY);
}

void snapshot_key_cert(struct span issuer_kid, struct span serial, uint8_t out[SNAPSHOT_KEY])
{
    snapshot_key(SPAN_LIT("cert"), issuer_kid, serial, out);
}

void snapshot_key_ident(struct span uid, uint8_t out[SNAPSHOT_KEY]) { snapshot_key(SPAN_LIT("uid"), uid, span_of(NULL, 0), out); }
void snapshot_key_line(struct span name, uint8_t out[SNAPSHOT_KEY]) { snapshot_key(SPAN_LIT("line"), name, span_of(NULL, 0), out); }
void snapshot_key_policy(struct span document, uint8_t out[SNAPSHOT_KEY])
{
    snapshot_key(SPAN_LIT("policy"), document, span_of(NULL, 0), out);
}

/* -- vectors ------------------------------------------------------------------------------------------------------ */

static bool vector_number(struct span s, int64_t *out)
{
    bool leading = s.n == 0 || s.p[0] == '-' || (s.n > 1 && s.p[0] == '0');
    return !leading && span_to_i64(s, out);
}

/* Takes one "slot:nseq" from the front; slots must be above *slot. */
static bool vector_next(struct span *in, int64_t *slot, int64_t *nseq)
{
    struct span item, left;
    int64_t prev = *slot;
    if (in->n == 0 || in->p[in->n - 1] == ',' || !span_cut(in, ',', &item) || !memchr(item.p, ':', item.n))
        return false;
    span_cut(&item, ':', &left);
    return vector_number(left, slot) && vector_number(item, nseq) && *slot > prev;
}

bool snapshot_vector_valid(struct span text)
{
    int64_t slot = 0, nseq;
    if (text.n > SNAPSHOT_VECTOR_MAX)
        return false;
    while (text.n)
        if (!vector_next(&text, &slot, &nseq))
            return false;
    return true;
}

enum err snapshot_vector_check(struct span before, struct span now)
{
    int64_t slot = 0, nseq = 0, now_slot = 0, now_nseq = 0;
    if (!snapshot_vector_valid(before) || !snapshot_vector_valid(now))
        return CE_BAD_FRAME;
    while (before.n) {
        INVARIANT(vector_next(&before, &slot, &nseq));
        while (now_slot < slot && now.n)
            INVARIANT(vector_next(&now, &now_slot, &now_nseq));
        if (now_slot != slot || now_nseq < nseq)
            return CE_VECTOR_LOWER;
    }
    return CE_OK;
}

/* -- header ------------------------------------------------------------------------------------------------------- */

enum err snapshot_sign(struct key *stream_key, size_t start, struct buf *out)
{
    uint8_t sig[ED25519_SIG];
    enum err e = buf_err(out);
    if (!e)
        e = ed25519_sign(stream_key, span_of(out->data + start, out->len - start), sig);
    if (!e)
        buf_put(out, sig, sizeof sig);
    if (!e)
        e = buf_err(out);
    if (e)
        out->len = start;
    return e;
}

enum err snapshot_check_signature(struct span bytes, const uint8_t pub[ED25519_PUB])
{
    if (bytes.n < SNAPSHOT_SIG)
        return CE_BAD_SIGNATURE;
    size_t n = bytes.n - SNAPSHOT_SIG;
    return ed25519_verify(pub, span_of(bytes.p, n), span_of(bytes.p + n, SNAPSHOT_SIG));
}

enum err snapshot_header_encode(const struct snapshot_header *h, struct key *stream_key, struct buf *out)
{
    size_t start = out->len;
    if (h->at_ms < 0 || h->body_sha256.n != SHA256_LEN || !snapshot_vector_valid(h->vector) || h->n[SNAPSHOT_SET_POLICY - 1] != 1)
        return CE_BAD_FRAME;
    buf_put_str(out, SNAPSHOT_MAGIC);
    buf_put_u64(out, (uint64_t)h->at_ms);
    for (int i = 0; i < SNAPSHOT_SETS; i++)
        buf_put_u32(out, h->n[i]);
    buf_put_span(out, h->body_sha256);
    buf_put_u16(out, (uint16_t)h->vector.n);
    buf_put_span(out, h->vector);
    return snapshot_sign(stream_key, start, out);
}

/* How many keys each set has; false: more bytes are needed. *keys: all together. */
static bool header_counts(struct span *in, struct snapshot_header *out, uint64_t *keys)
{
    *keys = 0;
    for (int i = 0; i < SNAPSHOT_SETS; i++) {
        if (!span_get_u32(in, &out->n[i]))
            return false;
        *keys += out->n[i];
    }
    return true;
}

enum err snapshot_header_parse(struct span *in, struct snapshot_header *out)
{
    struct span rest = *in, magic, sig;
    uint64_t at_ms, keys;
    uint16_t vector_n;
    if (rest.n && memcmp(rest.p, SNAPSHOT_MAGIC, rest.n < 8 ? rest.n : 8) != 0)
        return CE_BAD_FRAME;
    if (!span_get(&rest, 8, &magic) || !span_get_u64(&rest, &at_ms) || !header_counts(&rest, out, &keys) ||
        !span_get(&rest, SHA256_LEN, &out->body_sha256) || !span_get_u16(&rest, &vector_n))
        return CE_TRUNCATED;
    if (at_ms > INT64_MAX || vector_n > SNAPSHOT_VECTOR_MAX || out->n[SNAPSHOT_SET_POLICY - 1] != 1 ||
        keys > SIZE_MAX / 2 / SNAPSHOT_KEY) /* so that snapshot_body_size fits */
        return CE_BAD_FRAME;
    if (!span_get(&rest, vector_n, &out->vector) || !span_get(&rest, SNAPSHOT_SIG, &sig))
        return CE_TRUNCATED;
    if (!snapshot_vector_valid(out->vector))
        return CE_BAD_FRAME;
    out->at_ms = (int64_t)at_ms;
    out->bytes = span_of(in->p, in->n - rest.n);
    *in = rest;
    return CE_OK;
}

enum err snapshot_header_verify(const struct snapshot_header *h, const uint8_t pub[ED25519_PUB])
{
    return snapshot_check_signature(h->bytes, pub);
}

size_t snapshot_body_size(const struct snapshot_header *h)
{
    size_t keys = 0;
    for (int i = 0; i < SNAPSHOT_SETS; i++)
        keys += h->n[i];
    return keys * SNAPSHOT_KEY;
}

/* -- whole snapshot ------------------------------------------------------------------------------------------------- */

static bool ascending(const uint8_t *keys, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++)
        if (memcmp(keys + (size_t)(i - 1) * SNAPSHOT_KEY, keys + (size_t)i * SNAPSHOT_KEY, SNAPSHOT_KEY) >= 0)
            return false;
    return true;
}

enum err snapshot_open(struct span in, const uint8_t pub[ED25519_PUB], struct snapshot *out)
{
    uint8_t digest[SHA256_LEN];
    enum err e = snapshot_header_parse(&in, &out->header);
    if (!e)
        e = snapshot_header_verify(&out->header, pub);
    if (e)
        return e;
    size_t want = snapshot_body_size(&out->header);
    if (in.n != want)
        return in.n < want ? CE_TRUNCATED : CE_TRAILING;
    sha256(in, digest);
    if (!span_eq(span_of(digest, sizeof digest), out->header.body_sha256))
        return CE_BAD_SIGNATURE;
    bool sorted = true;
    for (int i = 0; i < SNAPSHOT_SETS; i++) {
        out->keys[i] = in.p;
        in.p += (size_t)out->header.n[i] * SNAPSHOT_KEY;
        sorted = sorted && ascending(out->keys[i], out->header.n[i]);
    }
    return sorted ? CE_OK : CE_BAD_FRAME;
}

bool snapshot_find(const uint8_t *keys, uint32_t n, const uint8_t key[SNAPSHOT_KEY])
{
    uint32_t lo = 0, hi = n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        int c = memcmp(keys + (size_t)mid * SNAPSHOT_KEY, key, SNAPSHOT_KEY);
        if (c == 0)
            return true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}
