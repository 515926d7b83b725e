/* presence.c: sessions that brokers report: one row an identity. See presence.h. */
#include "core/presence.h"

#include "core/cert.h"
#include "core/clone.h"
#include "store/presence.h"
#include "store/registry.h"

/* Does a report about an open session tell more than the row? */
static bool begins(const struct presence_row *was, const struct msg_report *r, struct span host)
{
    if (!span_eq(was->host, host) || !span_eq(was->run, r->run) || !r->run.n)
        return r->at >= was->since && (was->since || r->at >= was->at);
    return r->session > was->session || (r->session == was->session && r->sync > was->sync);
}

/* Does a report about a session that has ended? One that ends elsewhere, or is not the newest, says nothing about where it is now. */
static bool ends(const struct presence_row *was, const struct msg_report *r, struct span host)
{
    if (!span_eq(was->host, host) || !span_eq(was->run, r->run))
        return false;
    return r->run.n ? r->session >= was->session : r->at >= was->at;
}

static struct presence_row row_next(const struct presence_row *was, bool online, const struct msg_report *r, struct span host)
{
    struct presence_row now = { .host = host, .run = r->run, .addr = r->addr, .tls = r->tls, .session = r->session, .sync = r->sync,
                                .resumed = r->resumed, .online = online, .since = r->at, .at = r->at,
                                .keepalive_s = r->keepalive_s, .serial = r->serial };
    bool same = span_eq(was->host, host) && span_eq(was->run, r->run) && was->session == r->session;
    if (!online) {
        now.since = same ? was->since : 0;
        now.sync = was->sync;
        now.tls = same ? was->tls : r->tls;
        now.resumed = same ? was->resumed : r->resumed;
        now.keepalive_s = same ? was->keepalive_s : 0;
        now.serial = same ? was->serial : r->serial;
    }
    return now;
}

void presence_event(struct batch *b, struct span edge, bool online, const struct presence_open *p, int64_t at_ms)
{
    struct json_out *j = event_begin(b, EVENT_PRESENCE, p->uid, 0);
    json_str(j, "edge", edge);
    json_bool(j, "online", online);
    json_hex(j, "serial", p->serial);
    json_str(j, "addr", p->addr);
    json_str(j, "tls", p->tls);
    json_time_ms(j, "seen_at", at_ms);
    event_end(b);
}

/* A session of somebody who was put out: its end is evidence, unless the cut is (a broker tells the cut first). */
static enum err end_untold(struct batch *b, const struct msg_report *r, bool *tell, struct fault *f)
{
    *tell = false;
    return span_eq_str(r->reason, "cut") ? CE_OK : store_presence_is_barred(b->db, r->uid, tell, f);
}

/* Coming and going keeps the row; only a new place is evidence, or ten million meters would fill the log by reconnecting; and the end of
 * a session that had to end. */
enum err presence_take(struct batch *b, const struct caller *c, const struct msg_report *r, struct fault *f)
{
    bool online = span_eq_str(r->kind, "connected"), there = false;
    struct presence_row was;
    enum err e = store_presence_get(b->db, b->arena, r->uid, &was, &there, f);
    bool take = !there || (online ? begins(&was, r, c->name) : ends(&was, r, c->name));
    bool moved = take && (!there || !span_eq(was.host, c->name) || !span_eq(was.addr, r->addr));
    if (!e && take) {
        struct presence_row now = row_next(&was, online, r, c->name);
        e = store_presence_put(b->db, r->uid, &now, f);
    }
    if (!e)
        e = online ? clone_session_open(b, c, r, &was, take, f) : clone_session_ended(b, c, r, f);
    e = e ? e : store_device_seen(b->db, r->uid, r->at, f);
    if (!e && online && r->serial.n)
        e = cert_seen(b, r->uid, (struct span){ 0 }, r->serial, f);
    if (!e && !online && take && was.online && !moved)
        e = end_untold(b, r, &moved, f);
    const struct presence_open p = { r->uid, r->addr, r->tls, r->serial };
    if (!e && moved)
        presence_event(b, c->name, online, &p, r->at);
    return e;
}
