/* evlog_start.c: the evidence log at start: takes the tree over, reads its right edge from the tiles, makes missing tiles again
 * from the rows, and refuses to go on when what was published is ahead of the database or of another history. */
#include <stdlib.h>

#include "base/log.h"
#include "core/evlog_priv.h"

static void tiles_free_p(struct tiles **t) { free(*t); }

/* The edge as the tiles have it; it counts only when it gives the tree's root. */
static enum err edge_read(struct evlog *l, struct tiles *t)
{
    struct evlog_edge *edge = l->edge;
    struct merkle_hash h;
    uint64_t size = (uint64_t)l->tree.size;
    edge->size = size;
    enum err e = CE_OK;
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        uint64_t all = size >> (8 * level), first = all - all % TILE_WIDTH;
        for (uint64_t i = first; !e && i < all; i++)
            e = tiles_node(t, 8 * level, i, &edge->row[level][i - first]);
    }
    for (uint64_t i = size - size % TILE_WIDTH; !e && i < size; i++) {
        e = tiles_entry(t, i, edge->entry[i % TILE_WIDTH]);
        if (e)
            break;
        merkle_leaf(span_of(edge->entry[i % TILE_WIDTH], TILE_ENTRY), &h);
        if (!merkle_eq(&h, &edge->row[0][i % TILE_WIDTH]))
            e = CE_LOG_INCONSISTENT;
    }
    if (e)
        return e;
    evlog_edge_root(edge, &h);
    return memcmp(h.b, l->tree.root, MERKLE_HASH) == 0 ? CE_OK : CE_LOG_INCONSISTENT;
}

static enum err rebuild_run(struct evlog *l, const struct tree_run *run, struct tile_writer *w, struct fault *f)
{
    struct db_rows r;
    struct tree_event ev;
    enum err e = CE_OK;
    int64_t n = 0;
    tree_events(l->c.db, run->slot, run->nseq - 1, run->n, &r);
    while (!e && db_next(&r)) {
        uint8_t entry[TILE_ENTRY];
        tree_event_get(&r, &ev);
        e = ev.nseq == run->nseq + n ? evlog_entry(&ev, entry) : CE_LOG_INCONSISTENT;
        if (!e)
            e = evlog_edge_add(l->edge, entry, w);
        n += e == CE_OK;
    }
    enum err end = db_rows_end(&r, f);
    if (end)
        return end;
    if (e == CE_LOG_INCONSISTENT || n != run->n)
        return fault_set(f, CE_LOG_INCONSISTENT, "event %lld:%lld, which the log holds, is missing or damaged; restore the database from a backup",
                         (long long)run->slot, (long long)(run->nseq + n));
    return e;
}

static enum err rebuild_runs(struct evlog *l, struct tile_writer *w, struct fault *f)
{
    struct db_rows r;
    struct tree_run run;
    enum err e = CE_OK;
    int64_t at = 0;
    tree_runs(l->c.db, 0, &r);
    while (!e && at < l->tree.size && db_next(&r)) {
        tree_run_get(&r, &run);
        if (run.idx != at || run.n < 1 || run.n > l->tree.size - at)
            e = fault_set(f, CE_LOG_INCONSISTENT, "table run has a gap at leaf %lld; restore the database from a backup", (long long)at);
        else
            e = rebuild_run(l, &run, w, f);
        at += run.n;
    }
    enum err end = db_rows_end(&r, f);
    if (!e && !end && at != l->tree.size)
        e = fault_set(f, CE_LOG_INCONSISTENT, "table run ends at leaf %lld of %lld; restore the database from a backup", (long long)at,
                      (long long)l->tree.size);
    return e ? e : end;
}

static enum err rebuild(struct evlog *l, struct fault *f)
{
    CLEANUP(tile_writer_free_p) struct tile_writer *w = tile_writer_new(l->dir);
    struct merkle_hash root;
    memset(l->edge, 0, sizeof *l->edge);
    log_warn(0, "the evidence log's tiles are incomplete: making %lld leaves again from the database", (long long)l->tree.size);
    enum err e = rebuild_runs(l, w, f);
    if (!e)
        e = evlog_edge_flush(l->edge, w);
    if (!e)
        e = tile_writer_commit(w);
    if (e) {
        if (f && !f->code)
            fault_set(f, e, "cannot write the evidence log below %.100s: %s", l->dir, err_text(e));
        return e;
    }
    evlog_edge_root(l->edge, &root);
    if (memcmp(root.b, l->tree.root, MERKLE_HASH) != 0)
        return fault_set(f, CE_LOG_INCONSISTENT,
                         "the events in the database do not give the log's root at size %lld: a row was changed; restore the database from a backup",
                         (long long)l->tree.size);
    log_warn(0, "repaired the evidence log: %lld tiles were missing or damaged", (long long)l->repaired);
    return CE_OK;
}

static enum err load_tiles(struct evlog *l, struct tiles *t, struct fault *f)
{
    uint64_t missing = 0;
    enum err e = tiles_check(t, &missing);
    if (!e && !missing)
        e = edge_read(l, t);
    if (!e && !missing)
        return CE_OK;
    if (e && e != CE_NOT_FOUND && e != CE_LOG_INCONSISTENT)
        return fault_set(f, e, "cannot read the evidence log below %.100s: %s", l->dir, err_text(e));
    l->repaired = missing ? (int64_t)missing : 1;
    tiles_reset(t, t->size); /* it may hold what was damaged */
    return rebuild(l, f);
}

/* The root that this tree had at an earlier size. */
static enum err root_before(struct evlog *l, struct tiles *t, uint64_t size, struct merkle_hash *out, struct fault *f)
{
    struct merkle_source s = { t, tiles_node };
    enum err e = merkle_root_at(&s, size, out);
    return e ? fault_set(f, e, "cannot read the evidence log below %.100s: %s", l->dir, err_text(e)) : CE_OK;
}

static enum err check_signed(struct evlog *l, struct tiles *t, struct fault *f)
{
    struct merkle_hash h;
    if (l->tree.signed_size == 0)
        return CE_OK;
    if (l->tree.signed_size > l->tree.size)
        return fault_set(f, CE_LOG_INCONSISTENT, "the database says that a head of %lld leaves was signed, but has %lld; restore it from a backup",
                         (long long)l->tree.signed_size, (long long)l->tree.size);
    enum err e = root_before(l, t, (uint64_t)l->tree.signed_size, &h, f);
    if (!e && memcmp(h.b, l->tree.signed_root, MERKLE_HASH) != 0)
        e = fault_set(f, CE_LOG_INCONSISTENT, "the log disagrees with the head of %lld leaves that it signed; restore the database from a backup",
                      (long long)l->tree.signed_size);
    return e;
}

static enum err check_published(struct evlog *l, struct tiles *t, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf note = BUF_INIT(NOTE_MAX);
    struct checkpoint c;
    struct merkle_hash h;
    struct fault why = { 0 };
    path_join(path, "%.500s/checkpoint", l->dir);
    enum err e = file_read(path, &note);
    if (e == CE_NOT_FOUND)
        return CE_OK;
    if (!e)
        e = checkpoint_open(l->keyed ? &l->key : NULL, buf_span(&note), &c, &why);
    if (e)
        return fault_set(f, e, "%.80s: %s; put the published checkpoint back (any copy that verifies), then start again", path,
                         why.code ? why.text : err_text(e));
    if (c.size > (uint64_t)l->tree.size)
        return fault_set(f, CE_ROLLBACK,
                         "the database is older than the published checkpoint (%lld events in the log, %llu published): restore the newest "
                         "backup with its event segments; starting would fork the log",
                         (long long)l->tree.size, (unsigned long long)c.size);
    e = root_before(l, t, c.size, &h, f);
    if (!e && !merkle_eq(&h, &c.root))
        return fault_set(f, CE_ROLLBACK,
                         "the published checkpoint of %llu leaves is of another history than the database: restore the database that belongs to "
                         "it; starting would fork the log",
                         (unsigned long long)c.size);
    l->published = e ? 0 : (int64_t)c.size;
    return e;
}

enum err evlog_start(struct evlog *l, struct fault *f)
{
    enum err e = db_begin(l->c.db, f);
    if (e)
        return e;
    e = tree_take(l->c.db, &l->tree, f);
    e = e ? e : db_commit(l->c.db, f);
    if (e) {
        db_rollback(l->c.db);
        return e;
    }
    CLEANUP(tiles_free_p) struct tiles *t = tiles_new(l->dir, (uint64_t)l->tree.size);
    if (l->tree.size)
        e = load_tiles(l, t, f);
    e = e ? e : check_signed(l, t, f);
    return e ? e : check_published(l, t, f);
}
