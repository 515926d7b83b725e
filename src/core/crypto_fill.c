/* crypto_fill.c: devices that got their certificate before there was an inventory of algorithms (store/crypto.h) are filled in, once: a walk over the devices after the
 * database was migrated, CRYPTO_PIECE a batch, that goes on after a restart where it was. What was read is an event (certs-read), so that
 * fold(events) = tables. See crypto_fill.h.
 */
#include "core/crypto_fill.h"

#include <stdlib.h>

#include "base/log.h"
#include "crypt/cert.h"
#include "crypt/key.h"
#include "store/crypto.h"

struct fill {
    bool due, known;
    int64_t filled, unreadable;
};

static void settled(void *data, bool committed)
{
    ((struct fill *)data)->known &= committed;
}

/* One line of the event: holder kid serial key_alg sig_alg not_after. */
static enum err read_one(struct batch *b, struct fill *x, const struct crypto_unread *u, struct buf *lines, struct fault *f)
{
    struct cert c;
    struct spki_info key;
    struct fault why;
    if (!u->kid.n)
        return CE_OK;
    if (cert_parse(u->der, &c, &why) || spki_parse(c.spki, &key, &why)) {
        x->unreadable++;
        return CE_OK;
    }
    const struct crypto_row row = { u->uid, u->kid, u->serial, arena_copy(b->arena, span_str(key.name)), span_str(sig_alg_name(c.sig_alg)), u->not_after };
    buf_put_span(lines, row.uid);
    buf_put_u8(lines, ' ');
    buf_put_hex(lines, row.kid);
    buf_put_u8(lines, ' ');
    buf_put_hex(lines, row.serial);
    buf_printf(lines, " " SPAN_FMT " " SPAN_FMT " %lld\n", SPAN_ARG(row.key_alg), SPAN_ARG(row.sig_alg), (long long)row.not_after);
    x->filled++;
    return store_crypto_put(b->db, b->arena, &row, f);
}

static enum err fill_work(struct batch *b, void *state, struct fault *f)
{
    CLEANUP(buf_free) struct buf lines = BUF_INIT(0);
    struct fill *x = state;
    struct crypto_unread *u;
    struct span after, last;
    size_t n = 0;
    batch_then(b, settled, x);
    enum err e = store_crypto_place(b->db, b->arena, &x->due, &after, f);
    if (e || !x->due)
        return e;
    e = store_crypto_unread(b->db, b->arena, after, CRYPTO_PIECE, &u, &n, &last, f);
    for (size_t i = 0; !e && i < n; i++)
        e = read_one(b, x, &u[i], &lines, f);
    e = e ? e : store_crypto_place_put(b->db, last, f);
    if (e)
        return e;
    if (lines.len) {
        struct json_out *j = event_begin(b, EVENT_CERTS_READ, (struct span){ 0 }, 0);
        json_str(j, "certs", buf_span(&lines));
        event_end(b);
    }
    x->due = last.n > 0;
    if (x->due && !after.n)
        log_info(0, "the inventory of algorithms is being filled with the certificates that there are");
    if (!x->due && x->filled + x->unreadable)
        log_info(0, "the inventory of algorithms is filled: %lld devices since the start, %lld certificates could not be read", (long long)x->filled, (long long)x->unreadable);
    return CE_OK;
}

static bool fill_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct fill *x = state;
    struct span after;
    struct fault f = { 0 };
    *next_ms = b->mono_ms + 60000;
    if (!x->known) {
        x->known = store_crypto_place(b->db, b->arena, &x->due, &after, &f) == CE_OK;
        if (!x->known)
            log_warn(0, "the inventory of algorithms could not be looked at: %s", f.text);
    }
    return x->due;
}

static enum err fill_open(struct core *core, void **state, struct fault *f)
{
    (void)core;
    (void)f;
    *state = mem_calloc(1, sizeof(struct fill));
    return CE_OK;
}

const struct core_part crypto_fill_part = { .name = "crypto", .open = fill_open, .close = free, .tick = fill_tick, .work = fill_work };
