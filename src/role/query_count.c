/* query_count.c: how many devices match, exactly when the time allowed is enough, else "at least so many". */
#include "role/query_priv.h"
#include "store/device_count.h"

#define COUNT_MS 250     /* of all pieces: others wait meanwhile */
#define PIECE_ROWS 2000
#define PLAIN_ROWS 20000 /* when the index alone answers */

struct count { int64_t matched, end_ms; bool exact; };

static enum err count_all(struct query_job *job, const struct device_filter *by, struct count *c, struct fault *f)
{
    struct device_count piece = { .last = span_of(NULL, 0) };
    int64_t rows = device_count_is_plain(by) ? PLAIN_ROWS : PIECE_ROWS;
    do {
        if (clock_mono_ms() >= c->end_ms) {
            c->exact = false;
            return CE_OK;
        }
        query_budget(job->q);
        enum err e = device_count_piece(job->q->db, &job->arena, by, piece.last, rows, &piece, f);
        if (e == CE_BUDGET && !job->q->cancelled) { /* what was counted stands */
            c->exact = false;
            return CE_OK;
        }
        if (e)
            return e;
        c->matched += piece.matched;
    } while (piece.looked == rows);
    return CE_OK;
}

/* A caller who is bound to lines: one after the other. */
static enum err count_scope(struct query_job *job, struct device_filter *by, struct count *c, struct fault *f)
{
    struct span rest = job->m->scope, line;
    enum err e = CE_OK;
    if (!rest.n || by->line.n)
        return by->line.n && !in_scope(job, by->line) ? CE_OK : count_all(job, by, c, f);
    while (!e && span_cut(&rest, ',', &line)) {
        by->line = span_trim(line);
        if (by->line.n)
            e = count_all(job, by, c, f);
    }
    return e;
}

enum err query_do_device_count(struct query_job *job, struct fault *f)
{
    const struct msg_query *m = job->m;
    struct device_filter by = { m->line, m->model, m->batch, m->country, m->state, m->tag, m->q };
    struct count c = { .end_ms = clock_mono_ms() + COUNT_MS, .exact = true };
    struct json_out j = JSON_OUT(&job->body);
    enum err e = count_scope(job, &by, &c, f);
    if (e)
        return e;
    json_obj(&j, NULL);
    json_int(&j, "matched", c.matched);
    json_bool(&j, "exact", c.exact);
    json_obj_end(&j);
    return CE_OK;
}
