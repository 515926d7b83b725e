/* query_rows.c: see query_rows.h. CROSS JOIN keeps the driving table first, so that the order comes out of its index. */
#include "store/query_rows.h"

#include "base/log.h"
#include "base/mem.h"

#define DEVICE_COLUMNS \
    "SELECT d.uid, d.serial, d.model, d.line, d.batch, d.country, s.state, s.rev, d.created_at, s.changed_at, s.last_seen, " \
    "COALESCE(p.host, ''), COALESCE(p.addr, ''), COALESCE(p.tls, ''), COALESCE(p.online, 0), COALESCE(p.resumed, 0), COALESCE(p.since, 0), " \
    "COALESCE(p.at, 0) "
#define DEVICE_FIRST DEVICE_COLUMNS "FROM device d CROSS JOIN device_state s LEFT JOIN presence p ON p.uid = s.uid WHERE s.uid = d.uid AND "

/* $1 value, $2 from, $3 limit, $4 below */
static const char *const device_sql[DEVICE_ORDERS][2] = {
    [DEVICE_BY_UID] = { DEVICE_FIRST "d.uid >= $2 ORDER BY d.uid LIMIT $3",
                        DEVICE_FIRST "d.uid >= $2 AND d.uid < $4 ORDER BY d.uid LIMIT $3" },
    [DEVICE_BY_SERIAL] = { DEVICE_FIRST "d.serial <> '' AND d.serial >= $2 ORDER BY d.serial, d.uid LIMIT $3",
                           DEVICE_FIRST "d.serial <> '' AND d.serial >= $2 AND d.serial < $4 ORDER BY d.serial, d.uid LIMIT $3" },
    [DEVICE_BY_LINE] = { DEVICE_FIRST "d.line = $1 AND d.uid >= $2 ORDER BY d.uid LIMIT $3" },
    [DEVICE_BY_MODEL] = { DEVICE_FIRST "d.model = $1 AND d.uid >= $2 ORDER BY d.uid LIMIT $3" },
    [DEVICE_BY_BATCH] = { DEVICE_FIRST "d.batch <> '' AND d.batch = $1 AND d.uid >= $2 ORDER BY d.uid LIMIT $3" },
    [DEVICE_BY_TAG] = { DEVICE_COLUMNS "FROM device_tag g CROSS JOIN device d CROSS JOIN device_state s LEFT JOIN presence p ON p.uid = s.uid "
                                       "WHERE d.uid = g.uid AND s.uid = g.uid AND g.tag = $1 AND g.uid >= $2 ORDER BY g.uid LIMIT $3" },
    [DEVICE_BY_STATE] = { DEVICE_COLUMNS "FROM device_state s CROSS JOIN device d LEFT JOIN presence p ON p.uid = s.uid WHERE d.uid = s.uid AND s.state = $1 AND s.uid >= $2 "
                                         "ORDER BY s.uid LIMIT $3" },
};

void query_devices(struct db *db, enum device_order o, struct span value, struct span from, struct span below, int64_t limit,
                   struct db_rows *out)
{
    const char *sql = device_sql[o][below.n ? 1 : 0];
    INVARIANT(sql != NULL);
    db_rows(db, sql, DB_ARGS(DB_T(value), DB_T(from), DB_I(limit), DB_T(below)), out);
}

void query_device(struct db *db, struct span uid, struct db_rows *out) { db_rows(db, DEVICE_FIRST "d.uid = $1", DB_ARGS(DB_T(uid)), out); }

void query_device_item(const struct db_rows *r, struct device_item *out)
{
    *out = (struct device_item){ db_span(r, 0), db_span(r, 1), db_span(r, 2), db_span(r, 3), db_span(r, 4), db_span(r, 5),
                                 db_span(r, 6), db_i64(r, 7),  db_i64(r, 8),  db_i64(r, 9),  db_i64(r, 10),
                                 { db_span(r, 11), db_span(r, 12), db_span(r, 13), db_i64(r, 14), db_i64(r, 15), db_i64(r, 16), db_i64(r, 17) } };
}

#define CERT_COLUMNS                                                                                               \
    "SELECT c.kid, c.serial, c.holder, c.profile, c.spki, c.holder_kind, c.not_before, c.not_after, c.issued_at, " \
    "COALESCE(t.status, 0), COALESCE(t.revoked_at, 0), COALESCE(t.reason, 0), COALESCE(t.first_used_at, 0), d.line"
#define CERT_FROM                                                                   \
    " FROM cert c LEFT JOIN cert_state t ON t.kid = c.kid AND t.serial = c.serial " \
    "LEFT JOIN device d ON c.holder_kind = 2 AND d.uid = c.holder "

void query_certs(struct db *db, struct span from, struct span below, int64_t limit, struct db_rows *out)
{
    if (below.n)
        db_rows(db, CERT_COLUMNS CERT_FROM "WHERE c.serial >= $1 AND c.serial < $3 ORDER BY c.serial LIMIT $2",
                DB_ARGS(DB_B(from), DB_I(limit), DB_B(below)), out);
    else
        db_rows(db, CERT_COLUMNS CERT_FROM "WHERE c.serial >= $1 ORDER BY c.serial LIMIT $2", DB_ARGS(DB_B(from), DB_I(limit)), out);
}

void query_certs_of(struct db *db, int64_t kind, struct span holder, int64_t from_ms, int64_t limit, struct db_rows *out)
{
    if (kind)
        db_rows(db,
                CERT_COLUMNS CERT_FROM
                "WHERE c.holder = $1 AND c.holder_kind = $4 AND c.issued_at >= $2 ORDER BY c.issued_at, c.serial LIMIT $3",
                DB_ARGS(DB_T(holder), DB_I(from_ms), DB_I(limit), DB_I(kind)), out);
    else
        db_rows(db, CERT_COLUMNS CERT_FROM "WHERE c.holder = $1 AND c.issued_at >= $2 ORDER BY c.issued_at, c.serial LIMIT $3",
                DB_ARGS(DB_T(holder), DB_I(from_ms), DB_I(limit)), out);
}

void query_cert(struct db *db, struct span serial, struct db_rows *out)
{
    db_rows(db, CERT_COLUMNS ", c.der" CERT_FROM "WHERE c.serial = $1", DB_ARGS(DB_B(serial)), out);
}

void query_cert_item(const struct db_rows *r, struct cert_item *out)
{
    *out = (struct cert_item){ .kid = db_span(r, 0),
                               .serial = db_span(r, 1),
                               .holder = db_span(r, 2),
                               .profile = db_span(r, 3),
                               .spki = db_span(r, 4),
                               .holder_kind = db_i64(r, 5),
                               .not_before = db_i64(r, 6),
                               .not_after = db_i64(r, 7),
                               .issued_at = db_i64(r, 8),
                               .status = db_i64(r, 9),
                               .revoked_at = db_i64(r, 10),
                               .reason = db_i64(r, 11),
                               .first_used_at = db_i64(r, 12),
                               .line = db_span(r, 13),
                               .der = db_span(r, 14) };
}

void query_operators(struct db *db, struct span from, int64_t limit, struct db_rows *out)
{
    db_rows(db, "SELECT name, role, lines, state, rev, added_at, changed_at FROM operator WHERE name >= $1 ORDER BY name LIMIT $2",
            DB_ARGS(DB_T(from), DB_I(limit)), out);
}

void query_operator_item(const struct db_rows *r, struct operator_item *out)
{
    *out = (struct operator_item){ db_span(r, 0), db_span(r, 1), db_span(r, 2), db_span(r, 3), db_i64(r, 4), db_i64(r, 5), db_i64(r, 6) };
}

void query_lines(struct db *db, struct span from, int64_t limit, struct db_rows *out)
{
    db_rows(db,
            "SELECT l.name, l.title, l.clone_policy, l.validity_s, l.suspended, l.added_at, COALESCE(t.may_write, ''), COALESCE(t.may_read, ''), "
            "COALESCE(t.repair, ''), COALESCE(m.approvals, 0), COALESCE(m.enroll_approval, 0), COALESCE(m.grace_s, 0), COALESCE(m.grace_any_key, 0), "
            "COALESCE(m.service_until, ''), COALESCE(m.cmp_secret, 0), COALESCE(m.key_home, '') FROM line l "
            "LEFT JOIN topics t ON t.holder = 1 AND t.name = l.name LEFT JOIN line_more m ON m.line = l.name WHERE l.name >= $1 ORDER BY l.name LIMIT $2",
            DB_ARGS(DB_T(from), DB_I(limit)), out);
}

void query_line_item(const struct db_rows *r, struct line_item *out)
{
    *out = (struct line_item){ db_span(r, 0), db_span(r, 1), db_span(r, 2), db_i64(r, 3), db_i64(r, 4),
                               db_i64(r, 5),  db_span(r, 6), db_span(r, 7), db_span(r, 8), db_i64(r, 9), db_i64(r, 10), db_i64(r, 11), db_i64(r, 12), db_span(r, 13),
                               db_i64(r, 14), db_span(r, 15) };
}

void query_backends(struct db *db, struct span from, int64_t limit, struct db_rows *out)
{
    db_rows(db,
            "SELECT o.name, o.state, COALESCE(t.may_write, ''), COALESCE(t.may_read, '') FROM operator o "
            "LEFT JOIN topics t ON t.holder = 2 AND t.name = o.name WHERE o.role = 'backend' AND o.name >= $1 ORDER BY o.name LIMIT $2",
            DB_ARGS(DB_T(from), DB_I(limit)), out);
}

void query_backend_item(const struct db_rows *r, struct backend_item *out)
{
    *out = (struct backend_item){ db_span(r, 0), db_span(r, 1), db_span(r, 2), db_span(r, 3) };
}

void query_models(struct db *db, struct span from, int64_t limit, struct db_rows *out)
{
    db_rows(db, "SELECT name, line, title, hw_rev, added_at FROM model WHERE name >= $1 ORDER BY name LIMIT $2",
            DB_ARGS(DB_T(from), DB_I(limit)), out);
}

void query_model_item(const struct db_rows *r, struct model_item *out)
{
    *out = (struct model_item){ db_span(r, 0), db_span(r, 1), db_span(r, 2), db_span(r, 3), db_i64(r, 4) };
}

void query_streams(struct db *db, struct db_rows *out) { db_rows(db, "SELECT slot, nseq FROM node ORDER BY slot", DB_NOARGS, out); }

#define EVENT_SQL                                                                              \
    "SELECT e.slot, e.nseq, e.at, e.rev, e.kind, e.device, d.line, e.salt, e.payload, e.leaf " \
    "FROM event e LEFT JOIN device d ON d.uid = e.device AND e.device <> '' "

void query_events(struct db *db, int64_t slot, int64_t after, int64_t limit, struct db_rows *out)
{
    db_rows(db, EVENT_SQL "WHERE e.slot = $1 AND e.nseq > $2 ORDER BY e.nseq LIMIT $3", DB_ARGS(DB_I(slot), DB_I(after), DB_I(limit)), out);
}

void query_device_events(struct db *db, struct span uid, int64_t slot, int64_t after, int64_t limit, struct db_rows *out)
{
    db_rows(db, EVENT_SQL "WHERE e.device <> '' AND e.device = $1 AND e.slot = $2 AND e.nseq > $3 ORDER BY e.nseq LIMIT $4",
            DB_ARGS(DB_T(uid), DB_I(slot), DB_I(after), DB_I(limit)), out);
}

void query_event(struct db *db, int64_t slot, int64_t nseq, struct db_rows *out)
{
    db_rows(db, EVENT_SQL "WHERE e.slot = $1 AND e.nseq = $2", DB_ARGS(DB_I(slot), DB_I(nseq)), out);
}

void query_cuts(struct db *db, struct span device, const struct event_place *after, int64_t limit, struct db_rows *out)
{
    if (device.n)
        db_rows(db,
                EVENT_SQL "WHERE e.device <> '' AND e.device = $5 AND e.kind = 'cut' AND (e.at, e.slot, e.nseq) > ($1, $2, $3) "
                          "ORDER BY e.at, e.slot, e.nseq LIMIT $4",
                DB_ARGS(DB_I(after->at), DB_I(after->slot), DB_I(after->nseq), DB_I(limit), DB_T(device)), out);
    else
        db_rows(db, EVENT_SQL "WHERE e.kind = 'cut' AND (e.at, e.slot, e.nseq) > ($1, $2, $3) ORDER BY e.at, e.slot, e.nseq LIMIT $4",
                DB_ARGS(DB_I(after->at), DB_I(after->slot), DB_I(after->nseq), DB_I(limit)), out);
}

void query_drills(struct db *db, const struct event_place *before, int64_t limit, struct db_rows *out)
{
    db_rows(db,
            EVENT_SQL "WHERE e.kind = 'drill' AND (e.at, e.slot, e.nseq) < ($1, $2, $3) ORDER BY e.at DESC, e.slot DESC, e.nseq DESC LIMIT $4",
            DB_ARGS(DB_I(before->at), DB_I(before->slot), DB_I(before->nseq), DB_I(limit)), out);
}

void query_decisions(struct db *db, struct span uid, int64_t limit, struct db_rows *out)
{
    db_rows(db,
            EVENT_SQL "WHERE e.device <> '' AND e.device = $1 AND e.kind IN ('device-state', 'cut') "
                      "ORDER BY e.at DESC, e.slot DESC, e.nseq DESC LIMIT $2",
            DB_ARGS(DB_T(uid), DB_I(limit)), out);
}

void query_event_item(const struct db_rows *r, struct event_item *out)
{
    *out = (struct event_item){ db_i64(r, 0),  db_i64(r, 1),  db_i64(r, 2),  db_i64(r, 3),  db_span(r, 4),
                                db_span(r, 5), db_span(r, 6), db_span(r, 7), db_span(r, 8), db_span(r, 9) };
}

enum err query_leaf_index(struct db *db, int64_t slot, int64_t nseq, int64_t *index, struct fault *f)
{
    return db_get_i64(db,
                      "SELECT CASE WHEN $2 < r.nseq + r.n THEN r.idx + $2 - r.nseq ELSE -1 END FROM run r "
                      "WHERE r.slot = $1 AND r.nseq <= $2 ORDER BY r.nseq DESC LIMIT 1",
                      DB_ARGS(DB_I(slot), DB_I(nseq)), -1, index, f);
}

void query_online(struct db *db, const char *state, struct span from, int64_t limit, struct db_rows *out)
{
    db_rows(db,
            "SELECT s.uid, d.line, p.host, p.addr, e.vector, s.changed_at, CASE WHEN p.since > 0 THEN p.since ELSE p.at END FROM device_state s CROSS JOIN device d "
            "LEFT JOIN presence p ON p.uid = s.uid AND p.online = 1 LEFT JOIN edge e ON e.name = p.host "
            "WHERE d.uid = s.uid AND s.state = $1 AND s.uid >= $2 ORDER BY s.uid LIMIT $3",
            DB_ARGS(DB_S(state), DB_T(from), DB_I(limit)), out);
}

void query_online_item(const struct db_rows *r, struct online_item *out)
{
    *out = (struct online_item){ db_span(r, 0), db_span(r, 1), db_span(r, 2), db_span(r, 3), db_span(r, 4), db_i64(r, 5), db_i64(r, 6) };
}

void query_cas(struct db *db, struct db_rows *out) { db_rows(db, "SELECT name, kid FROM ca ORDER BY name", DB_NOARGS, out); }
