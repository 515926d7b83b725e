/* query_device.c: devices: the list with its filters and prefix search, and one device. */
#include "role/query_priv.h"
#include "store/attest.h"
#include "store/tag.h"
#include "wire/text_list.h"

#define CERTS_SHOWN 20 /* of one device, oldest first */

static enum err put_certs(struct query_job *job, struct json_out *j, struct span uid, struct fault *f)
{
    struct db_rows r;
    struct cert_item c;
    int64_t now_s = clock_now_s();
    json_arr(j, "certs");
    query_budget(job->q);
    query_certs_of(job->q->db, 2, uid, 0, CERTS_SHOWN, &r);
    while (db_next(&r)) {
        query_cert_item(&r, &c);
        json_obj(j, NULL);
        json_hex(j, "serial", c.serial);
        json_time_s(j, "not_before", c.not_before);
        json_time_s(j, "not_after", c.not_after);
        json_cstr(j, "status", cert_status_text(&c, now_s));
        json_obj_end(j);
    }
    json_arr_end(j);
    return db_rows_end(&r, f);
}

static enum err put_tags(struct query_job *job, struct json_out *j, struct span uid, struct fault *f)
{
    CLEANUP(buf_free) struct buf tags = BUF_INIT(0);
    query_budget(job->q);
    enum err e = store_tags_get(job->q->db, uid, &tags, f);
    text_list_json(j, "tags", buf_span(&tags));
    return e;
}

static enum err put_key_home(struct query_job *job, struct json_out *j, struct span uid, struct fault *f)
{
    struct key_home_row row = { 0 };
    struct span ek;
    query_budget(job->q);
    enum err e = store_key_home_get(job->q->db, &job->arena, uid, &row, f);
    if (!e) {
        json_obj(j, "key_home");
        json_str(j, "home", row.home.n ? row.home : SPAN_LIT("unknown"));
        json_bool(j, "proved", row.proved);
        json_hex(j, "spki", row.spki);
        json_str(j, "vendor", row.vendor);
        put_time_ms(j, "at", row.at);
        json_obj_end(j);
    } else if (e == CE_NOT_FOUND) {
        json_none(j, "key_home");
        e = CE_OK;
    }
    e = e ? e : store_device_ek_get(job->q->db, &job->arena, uid, &ek, f);
    if (!e)
        json_hex(j, "ek", ek);
    return e;
}

/* Does the key of the device live where the filter says? */
static enum err at_home(struct query_job *job, struct span uid, bool *yes, struct fault *f)
{
    struct key_home_row row = { 0 };
    struct span want = job->m->key_home;
    enum err e = store_key_home_get(job->q->db, &job->arena, uid, &row, f);
    *yes = span_eq_str(want, "proved") ? row.proved : span_eq_str(want, "unknown") ? !row.home.n : span_eq(want, row.home);
    return e == CE_NOT_FOUND ? CE_OK : e;
}

static void put_presence(struct json_out *j, const struct device_item *d)
{
    if (!d->presence.edge.n) {
        json_none(j, "presence");
        return;
    }
    json_obj(j, "presence");
    json_bool(j, "online", d->presence.online != 0);
    json_str(j, "edge", d->presence.edge);
    json_str(j, "addr", d->presence.addr);
    json_str(j, "tls", d->presence.tls);
    json_bool(j, "resumed", d->presence.resumed != 0);
    put_time_ms(j, "since", d->presence.since);
    put_time_ms(j, "at", d->presence.at);
    json_obj_end(j);
}

static enum err put_device(struct query_job *job, struct json_out *j, const struct device_item *d, struct fault *f)
{
    json_obj(j, NULL);
    json_str(j, "uid", d->uid);
    json_str(j, "serial", d->serial);
    json_str(j, "model", d->model);
    json_str(j, "line", d->line);
    json_str(j, "batch", d->batch);
    json_str(j, "country", d->country);
    json_str(j, "state", d->state);
    json_int(j, "rev", d->rev);
    put_time_ms(j, "created_at", d->created_at);
    put_time_ms(j, "changed_at", d->changed_at);
    put_time_ms(j, "last_seen", d->last_seen);
    put_presence(j, d);
    enum err e = put_tags(job, j, d->uid, f);
    e = e ? e : query_put_idevid(job, j, d->uid, f);
    e = e ? e : put_key_home(job, j, d->uid, f);
    e = e ? e : put_certs(job, j, d->uid, f);
    json_obj_end(j);
    return e;
}

static bool wanted(const struct query_job *job, const struct device_item *d)
{
    const struct msg_query *m = job->m;
    return pass(m->line, d->line) && pass(m->model, d->model) && pass(m->batch, d->batch) && pass(m->country, d->country) &&
           pass(m->state, d->state) &&
           in_scope(job, d->line);
}

/* Where one page stands: the driving order and the last key seen in it. */
struct place {
    enum device_order order;
    struct span value, from, below;
    struct span serial, uid; /* last row looked at */
};

/* A page of one order. *full: the page or its scan is at its end, place says where. */
static enum err scan(struct query_job *job, struct query_page *p, struct place *at, int64_t *scanned, bool *full, struct fault *f)
{
    struct db_rows r;
    struct device_item d;
    enum err e = CE_OK;
    int64_t rows = 0, most = QUERY_SCAN - *scanned;
    struct span skip_serial = at->serial, skip_uid = at->uid;
    query_budget(job->q);
    query_devices(job->q->db, at->order, at->value, at->from, at->below, most, &r);
    *full = false;
    while (!e && !*full && db_next(&r)) {
        rows++;
        query_device_item(&r, &d);
        if (at->order == DEVICE_BY_SERIAL && span_eq(d.serial, skip_serial) && span_cmp(d.uid, skip_uid) <= 0)
            continue;
        at->uid = arena_copy(&job->arena, d.uid);
        at->serial = arena_copy(&job->arena, d.serial);
        bool twice = at->order == DEVICE_BY_SERIAL && d.uid.n >= job->m->q.n && memcmp(d.uid.p, job->m->q.p, job->m->q.n) == 0;
        bool tagged = !twice && wanted(job, &d);
        if (tagged && job->m->tag.n && at->order != DEVICE_BY_TAG)
            e = store_tag_has(job->q->db, d.uid, job->m->tag, &tagged, f);
        if (!e && tagged && job->m->key_home.n)
            e = at_home(job, d.uid, &tagged, f);
        if (!e && tagged) {
            e = put_device(job, &p->j, &d, f);
            p->n++;
        }
        *full = p->n == job->limit;
    }
    enum err end = db_rows_end(&r, f);
    *full |= rows == most;
    *scanned += rows;
    return e ? e : end;
}

/* The index that selects best; what it does not select is filtered row by row. */
static void choose(const struct query_job *job, struct place *at)
{
    const struct msg_query *m = job->m;
    const struct {
        struct span value;
        enum device_order order;
    } ways[] = {
        {m->batch, DEVICE_BY_BATCH},
        {m->tag, DEVICE_BY_TAG},
        {m->model, DEVICE_BY_MODEL},
        {m->state, DEVICE_BY_STATE},
        {m->line, DEVICE_BY_LINE},
    };
    at->order = DEVICE_BY_UID;
    for (size_t i = 0; !m->q.n && i < ARRAY_LEN(ways); i++)
        if (ways[i].value.n) {
            at->order = ways[i].order;
            at->value = ways[i].value;
            return;
        }
    if (!m->q.n && m->scope.n && !memchr(m->scope.p, ',', m->scope.n)) {
        at->order = DEVICE_BY_LINE;
        at->value = span_trim(m->scope);
    }
}

enum err query_do_devices(struct query_job *job, struct fault *f)
{
    struct query_page p;
    struct place at = {0};
    struct span parts[CURSOR_PARTS];
    bool there, full;
    int64_t scanned = 0;
    enum err e = cursor_get(job, parts, CURSOR_PARTS, &there, f);
    if (e)
        return e;
    choose(job, &at);
    bool by_serial = there && span_eq_str(parts[0], "s");
    at.from = there && !by_serial ? text_after(&job->arena, parts[2]) : job->m->q;
    at.below = job->m->q.n ? text_below(&job->arena, job->m->q) : (struct span){0};
    page_begin(job, &p);
    full = false;
    if (!by_serial)
        e = scan(job, &p, &at, &scanned, &full, f);
    if (!e && !full && job->m->q.n) { /* the UIDs are through: now the serial numbers that begin so */
        at.order = DEVICE_BY_SERIAL;
        at.serial = by_serial ? parts[1] : (struct span){0};
        at.uid = by_serial ? parts[2] : (struct span){0};
        at.from = by_serial ? parts[1] : job->m->q;
        e = scan(job, &p, &at, &scanned, &full, f);
    }
    if (e)
        return e;
    struct span end[CURSOR_PARTS] = {span_str(at.order == DEVICE_BY_SERIAL ? "s" : "u"),
                                     at.order == DEVICE_BY_SERIAL ? at.serial : (struct span){0}, at.uid};
    struct span next = full ? cursor_put(job, end, CURSOR_PARTS) : (struct span){0};
    page_end(job, &p, full ? &next : NULL);
    return CE_OK;
}

enum err query_do_device(struct query_job *job, struct fault *f)
{
    struct db_rows r;
    struct device_item d;
    struct json_out j = JSON_OUT(&job->body);
    enum err e = fault_set(f, CE_UID_UNKNOWN, "no device with UID '" SPAN_FMT "' is registered", SPAN_ARG(job->m->key));
    query_device(job->q->db, job->m->key, &r);
    if (db_next(&r)) {
        query_device_item(&r, &d);
        job->rev = d.rev;
        e = in_scope(job, d.line)
                ? put_device(job, &j, &d, f)
                : fault_set(f, CE_LINE_FORBIDDEN, "the device is of line '" SPAN_FMT "', which is not one of yours", SPAN_ARG(d.line));
    }
    enum err end = db_rows_end(&r, f);
    return end ? end : e;
}
