/* store/order.c: see store/order.h. */
#include "store/order.h"

#include "store/crypto.h"

#define ORDER_COLUMNS "uid, sequence, action, rollout, wave, line, release, by_whom, state, reason, phase, percent, ordered_at, offered_at, changed_at, " \
                      "until_at, spki, expires_at, envelope"

enum err store_order_get(struct db *db, struct arena *a, struct span uid, struct order_row *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct order_row){ .uid = uid };
    db_rows(db, "SELECT " ORDER_COLUMNS " FROM device_order WHERE uid = $1", DB_ARGS(DB_T(uid)), &r);
    if (db_next(&r))
        *out = (struct order_row){ .uid = uid, .sequence = db_i64(&r, 1), .action = arena_copy(a, db_span(&r, 2)), .rollout = arena_copy(a, db_span(&r, 3)),
                                   .wave = db_i64(&r, 4), .line = arena_copy(a, db_span(&r, 5)), .release = arena_copy(a, db_span(&r, 6)),
                                   .by = arena_copy(a, db_span(&r, 7)), .state = arena_copy(a, db_span(&r, 8)), .reason = arena_copy(a, db_span(&r, 9)),
                                   .phase = arena_copy(a, db_span(&r, 10)), .percent = db_i64(&r, 11), .ordered_at = db_i64(&r, 12),
                                   .offered_at = db_i64(&r, 13), .changed_at = db_i64(&r, 14), .until_at = db_i64(&r, 15),
                                   .spki = arena_copy(a, db_span(&r, 16)), .expires_at = db_i64(&r, 17), .envelope = arena_copy(a, db_span(&r, 18)) };
    return db_rows_end(&r, f);
}

enum err store_order_put(struct db *db, const struct order_row *r, struct fault *f)
{
    return db_run(db,
                  "INSERT INTO device_order (" ORDER_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) "
                  "ON CONFLICT (uid) DO UPDATE SET sequence = excluded.sequence, action = excluded.action, rollout = excluded.rollout, wave = excluded.wave, "
                  "line = excluded.line, release = excluded.release, by_whom = excluded.by_whom, state = excluded.state, reason = excluded.reason, "
                  "phase = excluded.phase, percent = excluded.percent, ordered_at = excluded.ordered_at, offered_at = excluded.offered_at, "
                  "changed_at = excluded.changed_at, until_at = excluded.until_at, spki = excluded.spki, expires_at = excluded.expires_at, "
                  "envelope = excluded.envelope",
                  DB_ARGS(DB_T(r->uid), DB_I(r->sequence), DB_T(r->action), DB_T(r->rollout), DB_I(r->wave), DB_T(r->line), DB_T(r->release), DB_T(r->by),
                          DB_T(r->state), DB_T(r->reason), DB_T(r->phase), DB_I(r->percent), DB_I(r->ordered_at), DB_I(r->offered_at), DB_I(r->changed_at),
                          DB_I(r->until_at), DB_B(r->spki), DB_I(r->expires_at), DB_B(r->envelope)),
                  NULL, f);
}

#define VERSION_COLUMNS "uid, line, release, version, counter_floor, before_release, confirmed_at, sequence"

enum err store_version_get(struct db *db, struct arena *a, struct span uid, struct version_row *out, struct fault *f)
{
    struct db_rows r;
    *out = (struct version_row){ .uid = uid };
    db_rows(db, "SELECT " VERSION_COLUMNS " FROM device_version WHERE uid = $1", DB_ARGS(DB_T(uid)), &r);
    if (db_next(&r))
        *out = (struct version_row){ .uid = uid, .line = arena_copy(a, db_span(&r, 1)), .release = arena_copy(a, db_span(&r, 2)),
                                     .version = arena_copy(a, db_span(&r, 3)), .counter_floor = db_i64(&r, 4), .before_release = arena_copy(a, db_span(&r, 5)),
                                     .confirmed_at = db_i64(&r, 6), .sequence = db_i64(&r, 7) };
    return db_rows_end(&r, f);
}

/* What the device has run until now is counted once less. */
static enum err version_uncount(struct db *db, struct span uid, struct fault *f)
{
    int64_t changed = 0;
    enum err e = db_run(db, "UPDATE version_count SET n = n - 1 WHERE (line, release, version) IN (SELECT line, release, version FROM device_version WHERE uid = $1)",
                        DB_ARGS(DB_T(uid)), &changed, f);
    if (e || !changed)
        return e;
    return db_run(db, "DELETE FROM version_count WHERE n = 0 AND (line, release, version) IN (SELECT line, release, version FROM device_version WHERE uid = $1)",
                  DB_ARGS(DB_T(uid)), NULL, f);
}

enum err store_version_put(struct db *db, const struct version_row *r, struct fault *f)
{
    enum err e = version_uncount(db, r->uid, f);
    e = e ? e : db_run(db, "INSERT INTO version_count (line, release, version, n) VALUES ($1, $2, $3, 1) ON CONFLICT (line, release, version) "
                       "DO UPDATE SET n = version_count.n + 1", DB_ARGS(DB_T(r->line), DB_T(r->release), DB_T(r->version)), NULL, f);
    e = e ? e : db_run(db,
                  "INSERT INTO device_version (" VERSION_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (uid) DO UPDATE SET line = excluded.line, "
                  "release = excluded.release, version = excluded.version, counter_floor = excluded.counter_floor, before_release = excluded.before_release, "
                  "confirmed_at = excluded.confirmed_at, sequence = excluded.sequence",
                  DB_ARGS(DB_T(r->uid), DB_T(r->line), DB_T(r->release), DB_T(r->version), DB_I(r->counter_floor), DB_T(r->before_release),
                          DB_I(r->confirmed_at), DB_I(r->sequence)),
                  NULL, f);
    return e ? e : store_crypto_release(db, r->uid, r->release, f);
}
