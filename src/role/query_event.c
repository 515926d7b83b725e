/* query_event.c: events by stream, and one device's timeline.
 *
 * Events: `after` is a vector "slot:nseq,…" (as answers give it in "vector" and "next"), "now" (nothing but the vector of this
 * moment) or "-N" (the newest N of each stream). Every answer has "vector": where a follower goes on, also when "next" is null.
 */
#include <stdlib.h>

#include "role/query_priv.h"

#define SLOTS 64

struct stream {
    int64_t slot, end, at; /* committed, and read so far */
};

struct streams {
    struct stream s[SLOTS];
    size_t n;
};

static enum err streams_load(struct query_job *job, struct streams *v, struct fault *f)
{
    struct db_rows r;
    v->n = 0;
    query_streams(job->q->db, &r);
    while (v->n < SLOTS && db_next(&r))
        v->s[v->n++] = (struct stream){db_i64(&r, 0), db_i64(&r, 1), 0};
    return db_rows_end(&r, f);
}

static enum err vector_read(struct span text, struct streams *v, struct fault *f)
{
    struct span one, slot_text;
    int64_t slot, nseq, last = 0;
    while (span_cut(&text, ',', &one)) {
        if (!span_cut(&one, ':', &slot_text) || !span_to_i64(slot_text, &slot) || !span_to_i64(one, &nseq) || slot <= last || nseq < 0)
            return fault_set(f, CE_BAD_CURSOR, "'after' is not a vector of events (slot:nseq,slot:nseq), \"now\" or \"-N\"");
        last = slot;
        for (size_t i = 0; i < v->n; i++)
            if (v->s[i].slot == slot)
                v->s[i].at = nseq;
    }
    return CE_OK;
}

static enum err streams_seek(struct query_job *job, struct streams *v, struct fault *f)
{
    struct span after = job->m->after;
    int64_t back = 0;
    if (!after.n)
        return CE_OK;
    if (span_eq_str(after, "now") || (after.p[0] == '-' && span_to_i64(after, &back))) {
        for (size_t i = 0; i < v->n; i++)
            v->s[i].at = v->s[i].end + back > 0 ? v->s[i].end + back : 0;
        return CE_OK;
    }
    return vector_read(after, v, f);
}

static struct span vector_text(struct query_job *job, const struct streams *v)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(SLOTS * 48);
    for (size_t i = 0; i < v->n; i++)
        if (v->s[i].at)
            buf_printf(&b, "%s%lld:%lld", b.len ? "," : "", (long long)v->s[i].slot, (long long)v->s[i].at);
    return arena_copy(&job->arena, buf_span(&b));
}

void put_event_head(struct json_out *j, const struct event_item *ev)
{
    json_int(j, "slot", ev->slot);
    json_int(j, "nseq", ev->nseq);
    json_time_ms(j, "at", ev->at);
    json_str(j, "kind", ev->kind);
    json_str(j, "device", ev->device);
    json_int(j, "rev", ev->rev);
}

void put_event_payload(struct json_out *j, const struct event_item *ev)
{
    if (ev->payload.n)
        json_raw(j, "payload", ev->payload);
    else
        json_none(j, "payload");
}

static enum err put_event(struct query_job *job, struct json_out *j, const struct event_item *ev, bool with_index, struct fault *f)
{
    int64_t index = -1;
    json_obj(j, NULL);
    put_event_head(j, ev);
    enum err e = with_index ? query_leaf_index(job->q->db, ev->slot, ev->nseq, &index, f) : CE_OK;
    if (with_index && index >= 0)
        json_int(j, "index", index);
    else if (with_index)
        json_none(j, "index");
    put_event_payload(j, ev);
    json_obj_end(j);
    return e;
}

static bool wanted(const struct query_job *job, const struct event_item *ev)
{
    const struct msg_query *m = job->m;
    return pass(m->key, ev->device) && pass(m->kind, ev->kind) && pass(m->line, ev->line) && in_scope(job, ev->line);
}

/* One stream from where it stands; stops at a hole, which is "not yet". */
static enum err stream_page(struct query_job *job, struct query_page *p, struct stream *s, int64_t *scanned, struct fault *f)
{
    struct db_rows r;
    struct event_item ev;
    enum err e = CE_OK;
    int64_t from = s->at;
    query_budget(job->q);
    if (job->m->key.n)
        query_device_events(job->q->db, job->m->key, s->slot, from, QUERY_SCAN - *scanned, &r);
    else
        query_events(job->q->db, s->slot, from, QUERY_SCAN - *scanned, &r);
    while (!e && p->n < job->limit && db_next(&r)) {
        query_event_item(&r, &ev);
        ++*scanned;
        if (!job->m->key.n && ev.nseq != s->at + 1)
            break;
        s->at = ev.nseq;
        if (wanted(job, &ev)) {
            e = put_event(job, &p->j, &ev, false, f);
            p->n++;
        }
    }
    enum err end = db_rows_end(&r, f);
    if (!e && !end && job->m->key.n && p->n < job->limit && *scanned < QUERY_SCAN && s->at < s->end)
        s->at = s->end; /* nothing of this device up to here */
    return e ? e : end;
}

enum err query_do_events(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct streams v;
    int64_t scanned = 0;
    enum err e = streams_load(job, &v, f);
    e = e ? e : streams_seek(job, &v, f);
    if (e)
        return e;
    page_begin(job, &p);
    for (size_t i = 0; !e && i < v.n && p.n < job->limit && scanned < QUERY_SCAN; i++)
        if (v.s[i].at < v.s[i].end)
            e = stream_page(job, &p, &v.s[i], &scanned, f);
    if (e)
        return e;
    bool more = p.n == job->limit || scanned >= QUERY_SCAN;
    struct span vector = vector_text(job, &v);
    json_arr_end(&p.j);
    if (more)
        json_str(&p.j, "next", vector);
    else
        json_none(&p.j, "next");
    json_str(&p.j, "vector", vector);
    json_obj_end(&p.j);
    return CE_OK;
}

static enum err device_known(struct query_job *job, struct fault *f)
{
    struct db_rows r;
    struct device_item d;
    bool known = false;
    query_device(job->q->db, job->m->key, &r);
    if (db_next(&r)) {
        query_device_item(&r, &d);
        known = in_scope(job, d.line);
    }
    enum err e = db_rows_end(&r, f);
    if (!e && !known)
        return fault_set(f, CE_UID_UNKNOWN, "no device with UID '" SPAN_FMT "' is registered", SPAN_ARG(job->m->key));
    return e;
}

/* One stream's part of a timeline; s->at moves on. */
static enum err timeline_page(struct query_job *job, struct query_page *p, struct stream *s, struct fault *f)
{
    struct db_rows r;
    struct event_item ev;
    enum err e = CE_OK;
    query_budget(job->q);
    query_device_events(job->q->db, job->m->key, s->slot, s->at, job->limit - p->n, &r);
    while (!e && db_next(&r)) {
        query_event_item(&r, &ev);
        s->at = ev.nseq;
        e = put_event(job, &p->j, &ev, true, f);
        p->n++;
    }
    enum err end = db_rows_end(&r, f);
    return e ? e : end;
}

enum err query_do_timeline(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct streams v;
    struct span parts[2], next = {0};
    bool there;
    int64_t slot = 0, nseq = 0;
    enum err e = cursor_get(job, parts, 2, &there, f);
    if (!e && there && (!span_to_i64(parts[0], &slot) || !span_to_i64(parts[1], &nseq)))
        e = fault_set(f, CE_BAD_CURSOR, "'after' is not a cursor of this list; begin again without it");
    e = e ? e : device_known(job, f);
    e = e ? e : streams_load(job, &v, f);
    if (e)
        return e;
    page_begin(job, &p);
    for (size_t i = 0; !e && i < v.n && p.n < job->limit; i++) {
        if (v.s[i].slot < slot)
            continue;
        v.s[i].at = v.s[i].slot == slot ? nseq : 0;
        e = timeline_page(job, &p, &v.s[i], f);
        slot = v.s[i].slot;
        nseq = v.s[i].at;
    }
    if (e)
        return e;
    bool full = p.n == job->limit;
    if (full) {
        struct span last[2] = {span_str(arena_printf(&job->arena, "%lld", (long long)slot)),
                               span_str(arena_printf(&job->arena, "%lld", (long long)nseq))};
        next = cursor_put(job, last, 2);
    }
    page_end(job, &p, full ? &next : NULL);
    return CE_OK;
}
