/* report.c: the report line as JSON and as a datagram. */
#include "wire/report.h"

static const struct {
    const char *kind;
    bool vital;
} kinds[] = {
    { "cut", true },        { "ack", true },           { "refused", false }, { "clone-suspected", true },
    { "connected", false }, { "disconnected", false }, { "stale", true },    { "fresh", true },
    { "counts", false },    { "synced", true },        { "ended", true },
};

static int kind_find(struct span kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (span_eq_str(kind, kinds[i].kind))
            return (int)i;
    return -1;
}

bool report_kind_vital(struct span kind)
{
    int i = kind_find(kind);
    return i >= 0 && kinds[i].vital;
}

static void put_str(struct json_out *j, const char *key, struct span v)
{
    if (v.n)
        json_str(j, key, v);
}

static void put_int(struct json_out *j, const char *key, int64_t v)
{
    if (v)
        json_int(j, key, v);
}

void report_json(struct json_out *j, const struct msg_report *r)
{
    json_obj(j, NULL);
    json_str(j, "id", r->id);
    json_str(j, "kind", r->kind);
    put_str(j, "uid", r->uid);
    if (r->serial.n)
        json_hex(j, "serial", r->serial);
    put_str(j, "reason", r->reason);
    put_str(j, "addr", r->addr);
    json_time_ms(j, "at", r->at);
    put_int(j, "count", r->count);
    put_int(j, "latency_us", r->latency_us);
    put_str(j, "vector", r->vector);
    if (r->frame_at)
        json_time_ms(j, "frame_at", r->frame_at);
    put_str(j, "text", r->text);
    put_str(j, "run", r->run);
    put_int(j, "session", r->session);
    put_int(j, "sync", r->sync);
    put_str(j, "tls", r->tls);
    if (r->resumed)
        json_bool(j, "resumed", true);
    put_str(j, "counts", r->counts);
    put_int(j, "sources", r->sources);
    put_int(j, "keepalive_s", r->keepalive_s);
    if (r->heard)
        json_time_ms(j, "heard", r->heard);
    put_str(j, "other", r->other);
    put_int(j, "score", r->score);
    json_obj_end(j);
}

enum err report_unpack(struct span in, struct msg_report *r)
{
    enum err e = msg_unpack_all(&msg_desc_report, in, r);
    if (e)
        return e;
    const int64_t numbers[] = { r->at, r->count, r->latency_us, r->session, r->sync, r->sources, r->frame_at, r->keepalive_s, r->heard, r->score };
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        if (numbers[i] < 0)
            return CE_BAD_FIELD;
    return kind_find(r->kind) < 0 ? CE_BAD_FIELD : CE_OK;
}
