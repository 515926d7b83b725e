/* evlog.c: see evlog.h: the integration of events and the life of a head. What happens at start is evlog_start.c, the writing of
 * files tiles_write.c and job_thread.c. */
#include "core/evlog.h"

#include <stdlib.h>

#include "base/log.h"
#include "core/evlog_priv.h"
#include "crypt/hash.h"

/* -- the right edge ------------------------------------------------------------------------------------------------------- */
static enum err edge_node(void *ctx, unsigned level, uint64_t index, struct merkle_hash *out)
{
    const struct evlog_edge *edge = ctx;
    unsigned row = level / 8, rest = level % 8;
    INVARIANT(row < TILE_LEVELS);
    merkle_root(&edge->row[row][(index << rest) % TILE_WIDTH], UINT64_C(1) << rest, out);
    return CE_OK;
}

void evlog_edge_root(const struct evlog_edge *edge, struct merkle_hash *out)
{
    /* the perfect subtrees of the whole tree all lie in unfinished tiles, so the edge knows every one of them */
    struct merkle_source s = {(void *)edge, edge_node};
    enum err e = merkle_root_at(&s, edge->size, out);
    INVARIANT(e == CE_OK);
}

static void put_bundle(const struct evlog_edge *edge, uint64_t n, unsigned width, struct tile_job *j)
{
    uint8_t bundle[TILE_MAX];
    for (unsigned i = 0; i < width; i++) {
        uint8_t *p = bundle + i * (2 + TILE_ENTRY);
        p[0] = 0;
        p[1] = TILE_ENTRY;
        memcpy(p + 2, edge->entry[i], TILE_ENTRY);
    }
    tile_job_put(j, TILE_BUNDLES, n, width, span_of(bundle, tile_bytes(TILE_BUNDLES, width)));
}

static void put_row(const struct evlog_edge *edge, unsigned level, uint64_t n, unsigned width, struct tile_job *j)
{
    tile_job_put(j, level, n, width, span_of(edge->row[level], tile_bytes(level, width)));
}

void evlog_edge_add(struct evlog_edge *edge, const uint8_t entry[TILE_ENTRY], struct tile_job *j)
{
    unsigned at = edge->size % TILE_WIDTH;
    struct merkle_hash h;
    memcpy(edge->entry[at], entry, TILE_ENTRY);
    merkle_leaf(span_of(entry, TILE_ENTRY), &h);
    uint64_t n = edge->size++;
    for (unsigned level = 0; level < TILE_LEVELS; level++) {
        edge->row[level][n % TILE_WIDTH] = h;
        if (n % TILE_WIDTH != TILE_WIDTH - 1)
            break;
        n /= TILE_WIDTH;
        if (level == 0)
            put_bundle(edge, n, TILE_WIDTH, j);
        put_row(edge, level, n, TILE_WIDTH, j);
        merkle_root(edge->row[level], TILE_WIDTH, &h);
    }
}

void evlog_edge_flush(const struct evlog_edge *edge, struct tile_job *j)
{
    uint64_t n = edge->size;
    if (n % TILE_WIDTH)
        put_bundle(edge, n / TILE_WIDTH, n % TILE_WIDTH, j);
    for (unsigned level = 0; n && level < TILE_LEVELS; level++, n /= TILE_WIDTH)
        if (n % TILE_WIDTH)
            put_row(edge, level, n / TILE_WIDTH, n % TILE_WIDTH, j);
}

enum err evlog_entry(const struct tree_event *ev, uint8_t out[TILE_ENTRY])
{
    if (!ev->payload.n && ev->leaf.n == TILE_ENTRY)
        memcpy(out, ev->leaf.p, TILE_ENTRY);
    else if (ev->payload.n && ev->salt.n == 32)
        sha256_two(ev->salt, ev->payload, out);
    else
        return CE_LOG_INCONSISTENT;
    return CE_OK;
}

/* -- integration ------------------------------------------------------------------------------------------------------------ */
static enum err take_events(struct evlog *l, int64_t slot, int64_t after, size_t max, size_t *n, struct fault *f)
{
    struct db_rows r;
    struct tree_event ev;
    struct tree_run run = {(int64_t)l->next->size, slot, after + 1, 0};
    enum err e = CE_OK;
    tree_events(l->c.db, slot, after, (int64_t)max, &r);
    while (!e && db_next(&r)) {
        uint8_t entry[TILE_ENTRY];
        tree_event_get(&r, &ev);
        if (ev.nseq != run.nseq + run.n)
            break; /* a hole is "not yet" */
        e = evlog_entry(&ev, entry);
        if (e)
            fault_set(f, e, "event %lld:%lld has neither salt and payload nor a kept leaf; restore the database from a backup",
                      (long long)slot, (long long)ev.nseq);
        else
            evlog_edge_add(l->next, entry, l->job);
        run.n += e == CE_OK;
    }
    enum err end = db_rows_end(&r, f);
    if (e || end)
        return e ? e : end;
    if (run.n)
        l->runs[l->nruns++] = run;
    *n += (size_t)run.n;
    return CE_OK;
}

struct waiting {
    int64_t slot, after;
};

static enum err find_waiting(struct evlog *l, struct waiting *out, size_t *n, struct fault *f)
{
    struct db_rows r;
    *n = 0;
    tree_streams(l->c.db, &r);
    while (*n < EVLOG_RUNS && db_next(&r))
        if (db_i64(&r, 1) > db_i64(&r, 2))
            out[(*n)++] = (struct waiting){db_i64(&r, 0), db_i64(&r, 2)};
    return db_rows_end(&r, f);
}

static enum err run_job(void *job) { return tile_job_run(job); }

enum err evlog_prepare(struct evlog *l, size_t max, size_t *n, struct fault *f)
{
    struct waiting w[EVLOG_RUNS];
    size_t nw;
    INVARIANT(max <= EVLOG_BATCH && !db_in_tx(l->c.db) && l->stage == EVLOG_IDLE);
    *n = 0;
    enum err e = find_waiting(l, w, &nw, f);
    if (e || !nw)
        return e;
    *l->next = *l->edge;
    l->nruns = 0;
    tile_job_reset(l->job);
    for (size_t i = 0; !e && i < nw && *n < max; i++)
        e = take_events(l, w[i].slot, w[i].after, max - *n, n, f);
    if (e || !*n) {
        *n = 0;
        evlog_done(l, false);
        return e;
    }
    evlog_edge_flush(l->next, l->job);
    evlog_edge_root(l->next, &l->next_root);
    l->stage = EVLOG_TILES;
    job_thread_give(l->writer, run_job, l->job);
    return CE_OK;
}

enum err evlog_write(struct evlog *l, struct fault *f)
{
    INVARIANT(db_in_tx(l->c.db) && l->stage == EVLOG_ROWS);
    enum err e = tree_grow(l->c.db, &l->tree, (int64_t)l->next->size, l->next_root.b, f);
    for (size_t i = 0; !e && i < l->nruns; i++)
        e = tree_run_add(l->c.db, &l->runs[i], f);
    return e;
}

void evlog_done(struct evlog *l, bool committed)
{
    if (committed && l->next->size > l->edge->size) {
        struct evlog_edge *was = l->edge;
        l->edge = l->next;
        l->next = was;
        l->tree.size = (int64_t)l->edge->size;
        memcpy(l->tree.root, l->next_root.b, MERKLE_HASH);
    }
    l->next->size = l->edge->size;
    l->nruns = 0;
    l->stage = EVLOG_IDLE;
}

/* -- heads ------------------------------------------------------------------------------------------------------------------- */
bool evlog_head_due(struct evlog *l, int64_t *size, struct merkle_hash *root)
{
    if (l->tree.size == 0 || l->tree.size == l->published || l->note_is_due)
        return false;
    *size = l->head_size = l->tree.size;
    memcpy(l->head_root.b, l->tree.root, MERKLE_HASH);
    *root = l->head_root;
    return true;
}

enum err evlog_head_write(struct evlog *l, struct span note, int64_t now_ms, struct fault *f)
{
    struct checkpoint c;
    INVARIANT(db_in_tx(l->c.db) && !l->note_is_due);
    buf_reset(&l->note);
    enum err e = checkpoint_open(l->keyed ? &l->key : NULL, note, &c, f);
    if (e)
        return e;
    if (!l->head_size || c.size != (uint64_t)l->head_size || !merkle_eq(&c.root, &l->head_root))
        return fault_set(f, CE_LOG_INCONSISTENT, "the signer's checkpoint is not the one that was asked for (size %lld)",
                         (long long)l->head_size);
    e = tree_signed(l->c.db, &l->tree, l->head_size, l->head_root.b, now_ms, f);
    if (!e)
        buf_put_span(&l->note, note);
    return e;
}

void evlog_head_done(struct evlog *l, bool committed)
{
    l->note_is_due = committed && l->note.len;
    if (!l->note_is_due) {
        buf_reset(&l->note);
        return;
    }
    l->tree.signed_size = l->head_size;
    memcpy(l->tree.signed_root, l->head_root.b, MERKLE_HASH);
}

bool evlog_publish_due(const struct evlog *l)
{
    return l->note_is_due;
}

void evlog_publish(struct evlog *l)
{
    if (!l->note_is_due || l->stage != EVLOG_IDLE)
        return;
    uint64_t from = (uint64_t)l->published, to = (uint64_t)l->head_size;
    tile_job_reset(l->job);
    tile_job_put_checkpoint(l->job, buf_span(&l->note));
    for (unsigned level = 0; level < TILE_LEVELS && to / TILE_WIDTH; level++, from /= TILE_WIDTH, to /= TILE_WIDTH)
        for (uint64_t n = from / TILE_WIDTH; n < to / TILE_WIDTH; n++) {
            tile_job_drop_partials(l->job, level, n);
            if (level == 0)
                tile_job_drop_partials(l->job, TILE_BUNDLES, n);
        }
    l->stage = EVLOG_HEAD;
    job_thread_give(l->writer, run_job, l->job);
}

/* -- the writer --------------------------------------------------------------------------------------------------------------- */
enum evlog_stage evlog_stage(const struct evlog *l)
{
    return l->stage;
}

enum err evlog_poll(struct evlog *l, struct fault *f)
{
    enum err e;
    if ((l->stage != EVLOG_TILES && l->stage != EVLOG_HEAD) || !job_thread_take(l->writer, &e))
        return CE_OK;
    if (l->stage == EVLOG_TILES) {
        l->stage = EVLOG_ROWS;
        if (e)
            evlog_done(l, false);
    } else {
        l->stage = EVLOG_IDLE;
        if (!e) {
            l->published = l->head_size;
            l->note_is_due = false;
            buf_reset(&l->note);
        }
    }
    return e ? fault_set(f, e, "cannot write the evidence log below %.100s: %s", l->dir, err_text(e)) : CE_OK;
}

bool evlog_wait(struct evlog *l, int64_t timeout_ms)
{
    return job_thread_wait(l->writer, timeout_ms);
}

enum err evlog_threads(struct evlog *l, struct fault *f)
{
    INVARIANT(l->stage == EVLOG_IDLE);
    return job_thread_start(l->writer, f);
}

/* -- life ----------------------------------------------------------------------------------------------------------------------- */
static enum err read_key(struct evlog *l, struct fault *f)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
    if (!l->c.vkey_path)
        return CE_OK;
    enum err e = file_read(l->c.vkey_path, &b);
    if (e)
        return fault_set(f, CE_BAD_CONFIG, "cannot read the log's verifier key %.160s: %s", l->c.vkey_path, err_text(e));
    l->keyed = true;
    return note_key_parse(buf_span(&b), &l->key, f);
}

enum err evlog_open(const struct evlog_config *c, struct evlog **out, struct fault *f)
{
    struct evlog *l = mem_calloc(1, sizeof *l);
    l->c = *c;
    l->note = BUF_INIT(NOTE_MAX);
    l->edge = mem_calloc(1, sizeof *l->edge);
    l->next = mem_calloc(1, sizeof *l->next);
    path_join(l->dir, "%.400s", c->dir);
    l->job = tile_job_new(l->dir);
    l->writer = job_thread_new(c->wake_fd);
    enum err e = read_key(l, f);
    l->c.dir = l->dir;
    l->c.vkey_path = NULL; /* the caller's strings live no longer than this call */
    if (!e && (e = file_mkdirs(l->dir, 0755)))
        fault_set(f, e, "cannot make the folder %.200s: %s", l->dir, err_text(e));
    if (!e)
        e = evlog_start(l, f);
    if (e) {
        evlog_close(l);
        return e;
    }
    evlog_done(l, false);
    *out = l;
    return CE_OK;
}

void evlog_close(struct evlog *l)
{
    if (!l)
        return;
    if (job_thread_stop(l->writer, EVLOG_CLOSE_MS))
        tile_job_free(l->job);
    else
        log_warn(0, "the disk below %.100s does not answer: the files of the evidence log are finished at the next start", l->dir);
    buf_free(&l->note);
    free(l->edge);
    free(l->next);
    free(l);
}

int64_t evlog_size(const struct evlog *l)
{
    return l->tree.size;
}
int64_t evlog_published(const struct evlog *l)
{
    return l->published;
}
int64_t evlog_repaired(const struct evlog *l)
{
    return l->repaired;
}
