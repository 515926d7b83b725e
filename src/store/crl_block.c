/* store/crl_block.c: SQL and packing of crl_block. See crl_block.h.
 *
 * A block holds serials from its `first` on, up to the next block's. The first block of a shard has an empty `first`. An entry: u8 length of the serial, serial,
 * u8 reason, 5 bytes revoked_at, 5 bytes not_after (big-endian). A row stays below a quarter of a page, so that it lies in its leaf: a change writes one page.
 */
#include "store/crl_block.h"

#include "base/mem.h"

#define BLOCK_MAX 880   /* bytes of entries; more are two blocks */
#define TIME_BYTES 5
#define SERIAL_MAX 20
#define FIXED (2 + 2 * TIME_BYTES)

static int64_t time_get(const uint8_t *p) { return (int64_t)p[0] << 32 | (int64_t)p[1] << 24 | (int64_t)p[2] << 16 | (int64_t)p[3] << 8 | p[4]; }

static void time_put(uint8_t *p, int64_t at)
{
    for (int i = TIME_BYTES; i-- > 0; at >>= 8)
        p[i] = (uint8_t)at;
}

static bool entry_get(struct span *in, struct crl_listed *out)
{
    size_t n = in->n ? in->p[0] : 0;
    if (n < 1 || n > SERIAL_MAX || in->n < n + FIXED)
        return false;
    const uint8_t *p = in->p + 1 + n;
    *out = (struct crl_listed){ span_of(in->p + 1, n), time_get(p + 1), time_get(p + 1 + TIME_BYTES), p[0] };
    *in = span_of(in->p + n + FIXED, in->n - n - FIXED);
    return true;
}

static void entry_put(struct buf *b, const struct crl_listed *c)
{
    uint8_t *p = buf_grow(b, c->serial.n + FIXED);
    if (!p)
        return;
    *p++ = (uint8_t)c->serial.n;
    memcpy(p, c->serial.p, c->serial.n);
    p += c->serial.n;
    *p++ = (uint8_t)c->reason;
    time_put(p, c->revoked_at);
    time_put(p + TIME_BYTES, c->not_after);
}

static enum err damaged(struct fault *f) { return fault_set(f, CE_STORE_DAMAGED, "the blocks of revoked certificates are damaged; restore the newest backup"); }

struct block {
    struct buf first, entries; /* owned */
    bool there;
};

static void block_free(struct block *b)
{
    buf_free(&b->first);
    buf_free(&b->entries);
}

/* The block that the serial belongs to. */
static enum err block_find(struct db *db, struct span kid, int64_t shard, struct span serial, struct block *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct block){ .first = BUF_INIT(64), .entries = BUF_INIT(4096) };
    db_rows(db, "SELECT first, entries FROM crl_block WHERE kid = $1 AND shard = $2 AND first <= $3 ORDER BY first DESC LIMIT 1",
            DB_ARGS(DB_B(kid), DB_I(shard), DB_B(serial)), &r);
    if (db_next(&r)) {
        out->there = true;
        buf_put_span(&out->first, db_span(&r, 0));
        buf_put_span(&out->entries, db_span(&r, 1));
    }
    enum err e = db_rows_end(&r, f);
    return e ? e : buf_err(&out->first) || buf_err(&out->entries) ? damaged(f) : CE_OK;
}

static enum err block_put(struct db *db, struct span kid, int64_t shard, struct span first, struct span entries, struct fault *f)
{
    return db_run(db, "INSERT INTO crl_block (kid, shard, first, entries) VALUES ($1, $2, $3, $4) ON CONFLICT (kid, shard, first) DO UPDATE SET entries = excluded.entries",
                  DB_ARGS(DB_B(kid), DB_I(shard), DB_B(first), DB_B(entries)), NULL, f);
}

/* The entries with c in its place instead of the one of that serial; c NULL: without it. *changed: they are others than before. */
static enum err merge(struct span in, struct span serial, const struct crl_listed *c, struct buf *out, bool *changed, struct fault *f)
{
    struct crl_listed x;
    *changed = c != NULL;
    while (in.n) {
        struct span at = in;
        if (!entry_get(&in, &x))
            return damaged(f);
        int order = span_cmp(x.serial, serial);
        if (order >= 0 && c) {
            entry_put(out, c);
            c = NULL;
        }
        if (order == 0)
            *changed = true;
        else
            buf_put(out, at.p, at.n - in.n);
    }
    if (c)
        entry_put(out, c);
    return buf_err(out) ? damaged(f) : CE_OK;
}

/* Where the second half of the entries begins. */
static size_t middle(struct span all)
{
    struct span in = all;
    struct crl_listed x;
    while (in.n > all.n / 2 && entry_get(&in, &x))
        ;
    return all.n - in.n;
}

static enum err block_store(struct db *db, struct span kid, int64_t shard, const struct block *b, struct span entries, struct fault *f)
{
    if (entries.n <= BLOCK_MAX)
        return block_put(db, kid, shard, buf_span(&b->first), entries, f);
    size_t half = middle(entries);
    struct span second = span_of(entries.p + half, entries.n - half), in = second;
    struct crl_listed x;
    if (!entry_get(&in, &x))
        return damaged(f);
    enum err e = block_put(db, kid, shard, buf_span(&b->first), span_of(entries.p, half), f);
    return e ? e : block_put(db, kid, shard, x.serial, second, f);
}

static enum err change(struct db *db, struct span kid, int64_t shard, struct span serial, const struct crl_listed *c, struct fault *f)
{
    CLEANUP(block_free) struct block b;
    CLEANUP(buf_free) struct buf entries = BUF_INIT(4096);
    bool changed = false;
    enum err e = block_find(db, kid, shard, serial, &b, f);
    e = e ? e : merge(buf_span(&b.entries), serial, c, &entries, &changed, f);
    return e || !changed ? e : block_store(db, kid, shard, &b, buf_span(&entries), f);
}

enum err store_crl_list_put(struct db *db, struct span kid, int64_t shard, const struct crl_listed *c, struct fault *f)
{
    const int64_t end = INT64_C(1) << (8 * TIME_BYTES);
    if (!c->serial.n || c->serial.n > SERIAL_MAX || c->revoked_at < 0 || c->revoked_at >= end || c->reason < 0 || c->reason > 255)
        return fault_set(f, CE_BAD_FIELD, "a certificate that cannot be listed: its serial has %zu bytes", c->serial.n);
    struct crl_listed one = *c;
    one.not_after = c->not_after < 0 ? 0 : c->not_after >= end ? end - 1 : c->not_after;
    return change(db, kid, shard, c->serial, &one, f);
}

enum err store_crl_list_drop(struct db *db, struct span kid, int64_t shard, struct span serial, struct fault *f)
{
    return change(db, kid, shard, serial, NULL, f);
}

enum err store_crl_list_each(struct db *db, struct span kid, int64_t shard, store_crl_listed_fn *fn, void *ctx, struct fault *f)
{
    struct db_rows r;
    bool more = true, good = true;
    db_rows(db, "SELECT entries FROM crl_block WHERE kid = $1 AND shard = $2 ORDER BY first", DB_ARGS(DB_B(kid), DB_I(shard)), &r);
    while (more && good && db_next(&r))
        for (struct span in = db_span(&r, 0); more && good && in.n;) {
            struct crl_listed c;
            good = entry_get(&in, &c);
            more = good && fn(ctx, &c);
        }
    enum err e = db_rows_end(&r, f);
    return e ? e : good ? CE_OK : damaged(f);
}

/* -- from a database without them ---------------------------------------------------------------------------------------------------- */
static enum err list_all(struct db *db, int64_t *n, struct fault *f)
{
    struct db_rows r;
    enum err e = CE_OK;
    db_rows(db, "SELECT kid, shard, serial, revoked_at, not_after, reason FROM cert_state WHERE status > 0 AND status < 3", DB_NOARGS, &r);
    for (*n = 0; !e && db_next(&r); ++*n) {
        const struct crl_listed c = { db_span(&r, 2), db_i64(&r, 3), db_i64(&r, 4), (int)db_i64(&r, 5) };
        e = store_crl_list_put(db, db_span(&r, 0), db_i64(&r, 1), &c, f);
    }
    enum err end = db_rows_end(&r, e ? NULL : f);
    return e ? e : end;
}

enum err store_crl_list_make(struct db *db, int64_t *made, struct fault *f)
{
    int64_t there = 0;
    *made = -1;
    enum err e = db_get_i64(db, "SELECT count(*) FROM meta WHERE name = 'crl_block'", DB_NOARGS, 0, &there, f);
    if (e || there)
        return e;
    e = list_all(db, made, f);
    return e ? e : db_run(db, "INSERT INTO meta (name, value) VALUES ('crl_block', '1')", DB_NOARGS, NULL, f);
}
