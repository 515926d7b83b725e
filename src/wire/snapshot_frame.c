/* snapshot_frame.c: the frames of the revocation stream, and the policy documents between them. See wire/snapshot.h. */
#include "base/log.h"
#include "wire/snapshot_impl.h"

void snapshot_entry_put(struct buf *entries, enum snapshot_set set, enum snapshot_op op, const uint8_t key[SNAPSHOT_KEY])
{
    buf_put_u8(entries, (uint8_t)set);
    buf_put_u8(entries, (uint8_t)op);
    buf_put(entries, key, SNAPSHOT_KEY);
}

static bool entries_valid(struct span e)
{
    if (e.n % SNAPSHOT_ENTRY)
        return false;
    for (size_t i = 0; i < e.n; i += SNAPSHOT_ENTRY)
        if (e.p[i] < SNAPSHOT_SET_CERT || e.p[i] > SNAPSHOT_SETS || e.p[i + 1] < SNAPSHOT_OP_ADD || e.p[i + 1] > SNAPSHOT_OP_DEL)
            return false;
    return true;
}

enum err snapshot_frame_encode(const struct snapshot_frame *fr, struct key *stream_key, struct buf *out)
{
    size_t start = out->len;
    size_t all = 4 + 4 + 8 + 2 + fr->prev.n + 2 + fr->vector.n + 2 + fr->entries.n + SNAPSHOT_SIG;
    if (fr->at_ms < 0 || snapshot_vector_check(fr->prev, fr->vector) || !entries_valid(fr->entries) || all > SNAPSHOT_FRAME_MAX)
        return CE_BAD_FRAME;
    buf_put_str(out, SNAPSHOT_FRAME_MAGIC);
    buf_put_u32(out, (uint32_t)all);
    buf_put_u64(out, (uint64_t)fr->at_ms);
    buf_put_u16(out, (uint16_t)fr->prev.n);
    buf_put_span(out, fr->prev);
    buf_put_u16(out, (uint16_t)fr->vector.n);
    buf_put_span(out, fr->vector);
    buf_put_u16(out, (uint16_t)(fr->entries.n / SNAPSHOT_ENTRY));
    buf_put_span(out, fr->entries);
    return snapshot_sign(stream_key, start, out);
}

static bool frame_vector(struct span *in, struct span *out)
{
    uint16_t n;
    return span_get_u16(in, &n) && span_get(in, n, out) && snapshot_vector_valid(*out);
}

enum err snapshot_frame_parse(struct span *in, struct snapshot_frame *out)
{
    struct span rest = *in, magic, frame, sig;
    uint32_t all;
    uint64_t at_ms;
    if (rest.n && memcmp(rest.p, SNAPSHOT_FRAME_MAGIC, rest.n < 4 ? rest.n : 4) != 0)
        return CE_BAD_FRAME;
    if (!span_get(&rest, 4, &magic) || !span_get_u32(&rest, &all))
        return CE_TRUNCATED;
    if (all > SNAPSHOT_FRAME_MAX || all < 8 + 8 + 2 + 2 + 2 + SNAPSHOT_SIG)
        return CE_BAD_FRAME;
    if (!span_get(&rest, all - 8, &frame))
        return CE_TRUNCATED;
    if (!span_get_u64(&frame, &at_ms) || at_ms > INT64_MAX || !frame_vector(&frame, &out->prev) || !frame_vector(&frame, &out->vector) ||
        !span_get_u16(&frame, &out->n_entries) || !span_get(&frame, (size_t)out->n_entries * SNAPSHOT_ENTRY, &out->entries) ||
        !span_get(&frame, SNAPSHOT_SIG, &sig) || frame.n || !entries_valid(out->entries))
        return CE_BAD_FRAME;
    out->at_ms = (int64_t)at_ms;
    out->bytes = span_of(in->p, all);
    *in = rest;
    return CE_OK;
}

enum err snapshot_frame_verify(const struct snapshot_frame *fr, const uint8_t pub[ED25519_PUB])
{
    return snapshot_check_signature(fr->bytes, pub);
}

void snapshot_frame_entry(const struct snapshot_frame *fr, unsigned i, struct snapshot_entry *out)
{
    INVARIANT(i < fr->n_entries);
    const uint8_t *at = fr->entries.p + (size_t)i * SNAPSHOT_ENTRY;
    *out = (struct snapshot_entry){ .set = at[0], .op = at[1], .key = at + 2 };
}

/* -- policy documents ----------------------------------------------------------------------------------------------- */
#define POLICY_HEAD 8 /* magic and length */

enum err snapshot_policy_encode(struct span document, struct buf *out)
{
    if (document.n > SNAPSHOT_POLICY_MAX - POLICY_HEAD)
        return CE_TOO_LARGE;
    buf_put_str(out, SNAPSHOT_POLICY_MAGIC);
    buf_put_u32(out, (uint32_t)(POLICY_HEAD + document.n));
    buf_put_span(out, document);
    return buf_err(out);
}

enum err snapshot_policy_parse(struct span *in, struct span *document)
{
    struct span rest = *in, magic;
    uint32_t all;
    if (rest.n && memcmp(rest.p, SNAPSHOT_POLICY_MAGIC, rest.n < 4 ? rest.n : 4) != 0)
        return CE_BAD_FRAME;
    if (!span_get(&rest, 4, &magic) || !span_get_u32(&rest, &all))
        return CE_TRUNCATED;
    if (all < POLICY_HEAD || all > SNAPSHOT_POLICY_MAX)
        return CE_BAD_FRAME;
    if (!span_get(&rest, all - POLICY_HEAD, document))
        return CE_TRUNCATED;
    *in = rest;
    return CE_OK;
}
