/* query_log.c: the evidence export, a page at a time, and inclusion proofs. Both speak of the published checkpoint only.
 *
 * Export: {"origin","size","checkpoint","items":[leaf…],"next":"INDEX"|null}; a leaf as in wire/export.h; `after` is the last index
 * that the caller has. A caller keeps the checkpoint of its first page and reads until it has that many leaves.
 * Proof: key = leaf index; {"index","size","entry","leaf","root","path":[…],"checkpoint"}; a tool with no code of ours can check it.
 */
#include "crypt/merkle.h"
#include "role/query_priv.h"
#include "store/tree.h"
#include "wire/checkpoint.h"

static enum err head_read(struct query_job *job, struct buf *note, struct checkpoint *c, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%.480s/checkpoint", job->q->log_dir);
    enum err e = file_read(path, note);
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_NOT_FOUND, "no checkpoint has been published yet; try again in a second");
    if (e)
        return fault_set(f, e, "cannot read the published checkpoint: %s", err_text(e));
    return checkpoint_open(NULL, buf_span(note), c, f);
}

static void put_leaf(struct json_out *j, int64_t index, int64_t slot, const struct tree_event *ev)
{
    json_obj(j, NULL);
    json_int(j, "index", index);
    json_int(j, "slot", slot);
    json_int(j, "nseq", ev->nseq);
    if (ev->payload.n) {
        json_hex(j, "salt", ev->salt);
        json_str(j, "payload", ev->payload);
    } else {
        json_none(j, "salt");
        json_none(j, "payload");
        json_hex(j, "leaf", ev->leaf);
    }
    json_obj_end(j);
}

/* The leaves [at, at + most) that lie in this run. */
static enum err put_run(struct query_job *job, struct json_out *j, const struct tree_run *run, int64_t *at, int64_t most, struct fault *f)
{
    struct db_rows r;
    struct tree_event ev;
    int64_t first = run->nseq + (*at - run->idx), n = run->idx + run->n - *at;
    n = n < most ? n : most;
    query_budget(job->q);
    tree_events(job->q->db, run->slot, first - 1, n, &r);
    while (db_next(&r)) {
        tree_event_get(&r, &ev);
        put_leaf(j, (*at)++, run->slot, &ev);
    }
    return db_rows_end(&r, f);
}

enum err query_do_export(struct query_job *job, struct fault *f)
{
    CLEANUP(buf_free) struct buf note = BUF_INIT(NOTE_MAX);
    struct checkpoint c;
    struct db_rows r;
    struct tree_run run;
    struct json_out j = JSON_OUT(&job->body);
    int64_t last = -1;
    if (job->m->after.n && (!span_to_i64(job->m->after, &last) || last < 0))
        return fault_set(f, CE_BAD_CURSOR, "'after' is the index of the last leaf that you have");
    enum err e = head_read(job, &note, &c, f);
    if (e)
        return e;
    int64_t at = last + 1, size = (int64_t)c.size, end = at < size && job->limit < size - at ? at + job->limit : size;
    json_obj(&j, NULL);
    json_cstr(&j, "origin", c.origin);
    json_int(&j, "size", size);
    json_str(&j, "checkpoint", buf_span(&note));
    json_arr(&j, "items");
    tree_runs(job->q->db, at, &r);
    while (!e && at < end && db_next(&r)) {
        tree_run_get(&r, &run);
        if (run.idx + run.n > at)
            e = put_run(job, &j, &run, &at, end - at, f);
    }
    enum err over = db_rows_end(&r, f);
    if (e || over)
        return e ? e : over;
    if (at < end)
        return fault_set(f, CE_LOG_INCONSISTENT, "leaf %lld is in the log but not in the database", (long long)at);
    json_arr_end(&j);
    if (at < size)
        json_cstr(&j, "next", arena_printf(&job->arena, "%lld", (long long)(at - 1)));
    else
        json_none(&j, "next");
    json_obj_end(&j);
    return CE_OK;
}

enum err query_do_proof(struct query_job *job, struct fault *f)
{
    CLEANUP(buf_free) struct buf note = BUF_INIT(NOTE_MAX);
    struct checkpoint c;
    struct merkle_proof p;
    struct merkle_hash leaf;
    uint8_t entry[TILE_ENTRY];
    int64_t index;
    struct json_out j = JSON_OUT(&job->body);
    struct merkle_source s = {job->q->tiles, tiles_node};
    if (!span_to_i64(job->m->key, &index) || index < 0)
        return fault_set(f, CE_BAD_FIELD, "query parameter 'index' must be the index of a leaf");
    enum err e = head_read(job, &note, &c, f);
    if (e)
        return e;
    if ((uint64_t)index >= c.size)
        return fault_set(f, CE_NOT_FOUND, "the published log has %llu leaves, numbered from 0", (unsigned long long)c.size);
    tiles_reset(job->q->tiles, c.size);
    e = tiles_entry(job->q->tiles, (uint64_t)index, entry);
    e = e ? e : merkle_inclusion(&s, (uint64_t)index, c.size, &p);
    if (e)
        return fault_set(f, e == CE_NOT_FOUND ? CE_IO : e, "cannot read the log's tiles: %s", err_text(e));
    merkle_leaf(span_of(entry, sizeof entry), &leaf);
    json_obj(&j, NULL);
    json_int(&j, "index", index);
    json_int(&j, "size", (int64_t)c.size);
    json_hex(&j, "entry", span_of(entry, sizeof entry));
    json_hex(&j, "leaf", span_of(leaf.b, MERKLE_HASH));
    json_hex(&j, "root", span_of(c.root.b, MERKLE_HASH));
    json_arr(&j, "path");
    for (unsigned i = 0; i < p.n; i++)
        json_hex(&j, NULL, span_of(p.h[i].b, MERKLE_HASH));
    json_arr_end(&j);
    json_str(&j, "checkpoint", buf_span(&note));
    json_obj_end(&j);
    return CE_OK;
}
