/* checkpoint.c: see checkpoint.h. */
#include "wire/checkpoint.h"

#include "base/mem.h"

void checkpoint_put(const struct checkpoint *c, struct buf *out)
{
    buf_printf(out, "%s\n%llu\n", c->origin, (unsigned long long)c->size);
    buf_put_base64(out, span_of(c->root.b, MERKLE_HASH), 0);
    buf_put_u8(out, '\n');
}

static enum err parse_size(struct span line, uint64_t *size)
{
    int64_t v;
    if (!line.n || line.n > 19 || (line.p[0] == '0' && line.n > 1) || line.p[0] == '-' || !span_to_i64(line, &v))
        return CE_BAD_CHECKPOINT;
    *size = (uint64_t)v;
    return CE_OK;
}

static enum err parse_root(struct span line, struct merkle_hash *root)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(64), again = BUF_INIT(64);
    if (base64_decode(line, &raw) || raw.len != MERKLE_HASH)
        return CE_BAD_CHECKPOINT;
    buf_put_base64(&again, buf_span(&raw), 0);
    if (!span_eq(buf_span(&again), line))
        return CE_BAD_CHECKPOINT; /* one text for one root */
    memcpy(root->b, raw.data, MERKLE_HASH);
    return CE_OK;
}

enum err checkpoint_parse(struct span text, struct checkpoint *c, struct fault *f)
{
    struct span origin, size, root, line;
    if (!text.n || text.p[text.n - 1] != '\n')
        return fault_set(f, CE_BAD_CHECKPOINT, "checkpoint: the text does not end in a newline");
    if (!span_cut(&text, '\n', &origin) || !origin.n || !span_is_utf8(origin) || span_to_cstr(origin, c->origin, sizeof c->origin))
        return fault_set(f, CE_BAD_CHECKPOINT, "checkpoint: the first line is not an origin");
    if (!span_cut(&text, '\n', &size) || parse_size(size, &c->size))
        return fault_set(f, CE_BAD_CHECKPOINT, "checkpoint: the second line is not a tree size in decimal");
    if (!span_cut(&text, '\n', &root) || parse_root(root, &c->root))
        return fault_set(f, CE_BAD_CHECKPOINT, "checkpoint: the third line is not a root hash in base64");
    while (span_cut(&text, '\n', &line))
        if (!line.n || !span_is_utf8(line))
            return fault_set(f, CE_BAD_CHECKPOINT, "checkpoint: an extension line is empty or not UTF-8");
    return CE_OK;
}

enum err checkpoint_open(const struct note_key *k, struct span note, struct checkpoint *c, struct fault *f)
{
    struct span text, sigs;
    enum err e = k ? note_verify(k, note, &text, f) : note_split(note, &text, &sigs, f);
    if (!e)
        e = checkpoint_parse(text, c, f);
    if (!e && k && strcmp(k->name, c->origin) != 0)
        return fault_set(f, CE_BAD_CHECKPOINT, "checkpoint: its origin is %s, the key is that of %s", c->origin, k->name);
    return e;
}

enum err checkpoint_sign(const struct note_key *k, struct key *key, uint64_t size, const struct merkle_hash *root, struct buf *out)
{
    struct checkpoint c = { .size = size, .root = *root };
    CLEANUP(buf_free) struct buf text = BUF_INIT(NOTE_MAX);
    memcpy(c.origin, k->name, sizeof c.origin);
    checkpoint_put(&c, &text);
    return buf_err(&text) ? buf_err(&text) : note_sign(k, key, buf_span(&text), out);
}
