/* evlog_start.c: the evidence log at start: takes the tree over, reads its right edge from the tiles, makes missing tiles again
 * from the rows, and refuses to go on when what was published is ahead of the database or of another history. */
#include <stdlib.h>

#include "base/log.h"
#include "core/evlog_priv.h"

#define REPLAY_FILES 64 /* written and flushed together */

static void tiles_free_p(struct tiles **t)
{
    free(*t);
}

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

/* Adds the leaves of a run from leaf `from` on, out of the rows. */
static enum err replay_run(struct evlog *l, const struct tree_run *run, int64_t from, struct tile_job *j, struct fault *f)
{
    struct db_rows r;
    struct tree_event ev;
    enum err e = CE_OK;
    int64_t nseq = run->nseq + (from - run->idx), end = run->nseq + run->n;
    tree_events(l->c.db, run->slot, nseq - 1, end - nseq, &r);
    while (!e && db_next(&r)) {
        uint8_t entry[TILE_ENTRY];
        tree_event_get(&r, &ev);
        e = ev.nseq == nseq ? evlog_entry(&ev, entry) : CE_LOG_INCONSISTENT;
        if (!e)
            evlog_edge_add(l->edge, entry, j);
        nseq += e == CE_OK;
        if (!e && tile_job_files(j) >= REPLAY_FILES)
            e = tile_job_run(j);
    }
    enum err over = db_rows_end(&r, f);
    if (over)
        return over;
    if (e == CE_LOG_INCONSISTENT || (!e && nseq != end))
        return fault_set(f, CE_LOG_INCONSISTENT,
                         "event %lld:%lld, which the log holds, is missing or damaged; restore the database from a backup",
                         (long long)run->slot, (long long)nseq);
    return e;
}

/* Adds the leaves from `at` to the tree's size. */
static enum err replay(struct evlog *l, int64_t at, struct tile_job *j, struct fault *f)
{
    struct db_rows r;
    struct tree_run run;
    enum err e = CE_OK;
    tree_runs(l->c.db, at, &r);
    while (!e && at < l->tree.size && db_next(&r)) {
        tree_run_get(&r, &run);
        if (run.idx > at || run.n < 1 || run.idx + run.n <= at || run.idx + run.n > l->tree.size)
            e = fault_set(f, CE_LOG_INCONSISTENT, "table run has a gap at leaf %lld; restore the database from a backup", (long long)at);
        else
            e = replay_run(l, &run, at, j, f);
        at = run.idx + run.n;
    }
    enum err end = db_rows_end(&r, f);
    if (!e && !end && at != l->tree.size)
        e = fault_set(f, CE_LOG_INCONSISTENT, "table run ends at leaf %lld of %lld; restore the database from a backup", (long long)at,
                      (long long)l->tree.size);
    return e ? e : end;
}

static bool edge_fits(const struct evlog *l)
{
    struct merkle_hash root;
    evlog_edge_root(l->edge, &root);
    return memcmp(root.b, l->tree.root, MERKLE_HASH) == 0;
}

static enum err edge_write(struct evlog *l, struct tile_job *j, struct fault *f)
{
    evlog_edge_flush(l->edge, j);
    enum err e = tile_job_run(j);
    return e ? fault_set(f, e, "cannot write the evidence log below %.100s: %s", l->dir, err_text(e)) : CE_OK;
}

/* The usual case after a power loss: all full tiles are there, partial ones are not. The upper rows come out of the full tiles
 * below them, the newest leaves out of the rows. *done false: the full tiles are damaged as well. */
static enum err rebuild_edge(struct evlog *l, struct tiles *t, bool *done, struct fault *f)
{
    CLEANUP(tile_job_free_p) struct tile_job *j = tile_job_new(l->dir);
    uint64_t size = (uint64_t)l->tree.size;
    struct merkle_hash left, right;
    memset(l->edge, 0, sizeof *l->edge);
    *done = false;
    for (unsigned level = 1; level < TILE_LEVELS; level++) {
        uint64_t all = size >> (8 * level);
        for (uint64_t i = all - all % TILE_WIDTH; i < all; i++) {
            if (tiles_node(t, 8 * level - 1, 2 * i, &left) || tiles_node(t, 8 * level - 1, 2 * i + 1, &right))
                return CE_OK;
            merkle_node(&left, &right, &l->edge->row[level][i % TILE_WIDTH]);
        }
    }
    l->edge->size = size - size % TILE_WIDTH;
    enum err e = replay(l, (int64_t)l->edge->size, j, f);
    if (e || !edge_fits(l))
        return e;
    *done = true;
    return edge_write(l, j, f);
}

static enum err rebuild_all(struct evlog *l, struct fault *f)
{
    CLEANUP(tile_job_free_p) struct tile_job *j = tile_job_new(l->dir);
    memset(l->edge, 0, sizeof *l->edge);
    log_warn(0, "the evidence log's tiles are incomplete: making %lld leaves again from the database", (long long)l->tree.size);
    enum err e = replay(l, 0, j, f);
    if (!e && !edge_fits(l))
        e = fault_set(
            f, CE_LOG_INCONSISTENT,
            "the events in the database do not give the log's root at size %lld: a row was changed; restore the database from a backup",
            (long long)l->tree.size);
    if (e && f && !f->code)
        fault_set(f, e, "cannot write the evidence log below %.100s: %s", l->dir, err_text(e));
    return e ? e : edge_write(l, j, f);
}

static enum err load_tiles(struct evlog *l, struct tiles *t, struct fault *f)
{
    struct tiles_missing missing;
    bool done = false;
    tiles_check(t, &missing);
    enum err e = missing.full || missing.partial ? CE_NOT_FOUND : edge_read(l, t);
    if (!e)
        return CE_OK;
    if (e != CE_NOT_FOUND && e != CE_LOG_INCONSISTENT)
        return fault_set(f, e, "cannot read the evidence log below %.100s: %s", l->dir, err_text(e));
    l->repaired = missing.full || missing.partial ? (int64_t)(missing.full + missing.partial) : 1;
    e = missing.full ? CE_OK : rebuild_edge(l, t, &done, f);
    if (!e && !done)
        e = rebuild_all(l, f);
    tiles_reset(t, t->size); /* it may hold what was damaged */
    if (!e)
        log_warn(0, "repaired the evidence log: %lld tiles were missing or damaged", (long long)l->repaired);
    return e;
}

/* The root that this tree had at an earlier size. */
static enum err root_before(struct evlog *l, struct tiles *t, uint64_t size, struct merkle_hash *out, struct fault *f)
{
    struct merkle_source s = {t, tiles_node};
    enum err e = merkle_root_at(&s, size, out);
    return e ? fault_set(f, e, "cannot read the evidence log below %.100s: %s", l->dir, err_text(e)) : CE_OK;
}

static enum err check_signed(struct evlog *l, struct tiles *t, struct fault *f)
{
    struct merkle_hash h;
    if (l->tree.signed_size == 0)
        return CE_OK;
    if (l->tree.signed_size > l->tree.size)
        return fault_set(f, CE_LOG_INCONSISTENT,
                         "the database says that a head of %lld leaves was signed, but has %lld; restore it from a backup",
                         (long long)l->tree.signed_size, (long long)l->tree.size);
    enum err e = root_before(l, t, (uint64_t)l->tree.signed_size, &h, f);
    if (!e && memcmp(h.b, l->tree.signed_root, MERKLE_HASH) != 0)
        e = fault_set(f, CE_LOG_INCONSISTENT,
                      "the log disagrees with the head of %lld leaves that it signed; restore the database from a backup",
                      (long long)l->tree.signed_size);
    return e;
}

static enum err check_published(struct evlog *l, struct tiles *t, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf note = BUF_INIT(NOTE_MAX);
    struct checkpoint c;
    struct merkle_hash h;
    struct fault why = {0};
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
        return fault_set(
            f, CE_ROLLBACK,
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
