/* crypto.c: see crypto.h. A count that falls to 0 stays as a row: months come back, and there are few. */
#include "store/crypto.h"

#include "base/clock.h"
#include "store/rows.h"

#define GROUP "line, release, key_alg, sig_alg, month"

static int64_t month_of(int64_t at_s)
{
    struct clock_civil c;
    clock_civil(at_s, &c);
    return (int64_t)c.year * 100 + c.month;
}

static enum err count_less(struct db *db, struct span uid, struct fault *f)
{
    return db_run(db, "UPDATE crypto_count SET n = n - 1 WHERE (" GROUP ") IN (SELECT " GROUP " FROM device_crypto WHERE uid = $1)", DB_ARGS(DB_T(uid)), NULL, f);
}

static enum err count_more(struct db *db, struct span uid, struct fault *f)
{
    return db_run(db, "INSERT INTO crypto_count (" GROUP ", n) SELECT " GROUP ", 1 FROM device_crypto WHERE uid = $1 ON CONFLICT (" GROUP ") DO UPDATE SET n = crypto_count.n + 1",
                  DB_ARGS(DB_T(uid)), NULL, f);
}

/* One more with this key and signature: UPDATE first, because its row is there but for the first of a month. */
static enum err count_one(struct db *db, struct span line, struct span release, const struct crypto_row *r, struct fault *f)
{
    const struct db_arg group[] = { DB_T(line), DB_T(release), DB_T(r->key_alg), DB_T(r->sig_alg), DB_I(month_of(r->not_after)) };
    int64_t n = 0;
    enum err e = db_run(db, "UPDATE crypto_count SET n = n + 1 WHERE line = $1 AND release = $2 AND key_alg = $3 AND sig_alg = $4 AND month = $5", group, ARRAY_LEN(group), &n, f);
    return e || n ? e : db_run(db, "INSERT INTO crypto_count (" GROUP ", n) VALUES ($1, $2, $3, $4, $5, 1)", group, ARRAY_LEN(group), NULL, f);
}

static enum err crypto_change(struct db *db, const struct crypto_row *r, struct fault *f)
{
    enum err e = count_less(db, r->uid, f);
    e = e ? e : db_run1(db, "UPDATE device_crypto SET kid = $2, serial = $3, key_alg = $4, sig_alg = $5, not_after = $6, month = $7 WHERE uid = $1",
                        DB_ARGS(DB_T(r->uid), DB_B(r->kid), DB_B(r->serial), DB_T(r->key_alg), DB_T(r->sig_alg), DB_I(r->not_after), DB_I(month_of(r->not_after))), f);
    return e ? e : count_more(db, r->uid, f);
}

/* A device that is not there gets no row. */
enum err store_crypto_put(struct db *db, struct arena *a, const struct crypto_row *r, struct fault *f)
{
    struct db_rows d;
    struct span line = { 0 }, release = { 0 };
    bool there, had = false;
    db_rows(db,
            "SELECT d.line, COALESCE(v.release, ''), c.month FROM device d LEFT JOIN device_version v ON v.uid = d.uid LEFT JOIN device_crypto c ON c.uid = d.uid "
            "WHERE d.uid = $1", DB_ARGS(DB_T(r->uid)), &d);
    if ((there = db_next(&d))) {
        line = arena_copy(a, db_span(&d, 0));
        release = arena_copy(a, db_span(&d, 1));
        had = !db_is_null(&d, 2);
    }
    enum err e = db_rows_end(&d, f);
    if (e || !there)
        return e;
    if (had)
        return crypto_change(db, r, f);
    e = db_run(db, "INSERT INTO device_crypto (uid, kid, serial, line, release, key_alg, sig_alg, not_after, month) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
               DB_ARGS(DB_T(r->uid), DB_B(r->kid), DB_B(r->serial), DB_T(line), DB_T(release), DB_T(r->key_alg), DB_T(r->sig_alg), DB_I(r->not_after), DB_I(month_of(r->not_after))), NULL, f);
    return e ? e : count_one(db, line, release, r, f);
}

enum err store_crypto_drop(struct db *db, struct span uid, struct span kid, struct span serial, struct fault *f)
{
    int64_t here = 0;
    enum err e = db_get_i64(db, "SELECT count(*) FROM device_crypto WHERE uid = $1 AND kid = $2 AND serial = $3", DB_ARGS(DB_T(uid), DB_B(kid), DB_B(serial)), 0, &here, f);
    if (e || !here)
        return e;
    e = count_less(db, uid, f);
    return e ? e : db_run(db, "DELETE FROM device_crypto WHERE uid = $1", DB_ARGS(DB_T(uid)), NULL, f);
}

enum err store_crypto_release(struct db *db, struct span uid, struct span release, struct fault *f)
{
    int64_t other = 0;
    enum err e = db_get_i64(db, "SELECT count(*) FROM device_crypto WHERE uid = $1 AND release <> $2", DB_ARGS(DB_T(uid), DB_T(release)), 0, &other, f);
    if (e || !other)
        return e;
    e = count_less(db, uid, f);
    e = e ? e : db_run(db, "UPDATE device_crypto SET release = $2 WHERE uid = $1", DB_ARGS(DB_T(uid), DB_T(release)), NULL, f);
    return e ? e : count_more(db, uid, f);
}

/* -- the walk over devices of before ------------------------------------------------------------------------------------------------ */
enum err store_crypto_place(struct db *db, struct arena *a, bool *due, struct span *after, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT value FROM meta WHERE name = 'crypto_after'", DB_NOARGS, &r);
    *due = db_next(&r);
    if (*due)
        *after = arena_copy(a, db_span(&r, 0));
    return db_rows_end(&r, f);
}

static enum err newest_cert(struct db *db, struct arena *a, struct crypto_unread *u, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT c.kid, c.serial, c.der, c.not_after, COALESCE(s.status, 0) FROM cert c LEFT JOIN cert_state s ON s.kid = c.kid AND s.serial = c.serial "
                "WHERE c.holder = $1 AND c.holder_kind = 2 ORDER BY c.issued_at DESC LIMIT 1", DB_ARGS(DB_T(u->uid)), &r);
    if (db_next(&r) && db_i64(&r, 4) != 1)
        *u = (struct crypto_unread){ u->uid, arena_copy(a, db_span(&r, 0)), arena_copy(a, db_span(&r, 1)), arena_copy(a, db_span(&r, 2)), db_i64(&r, 3) };
    return db_rows_end(&r, f);
}

enum err store_crypto_unread(struct db *db, struct arena *a, struct span after, int64_t limit, struct crypto_unread **out, size_t *n, struct span *last, struct fault *f)
{
    struct db_rows r;
    struct rows_list l = ROWS_LIST(struct crypto_unread);
    int64_t seen = 0;
    *last = after;
    db_rows(db, "SELECT d.uid, CASE WHEN x.uid IS NULL THEN 1 ELSE 0 END FROM device d LEFT JOIN device_crypto x ON x.uid = d.uid WHERE d.uid > $1 ORDER BY d.uid LIMIT $2",
            DB_ARGS(DB_T(after), DB_I(limit)), &r);
    for (; db_next(&r); seen++) {
        *last = arena_copy(a, db_span(&r, 0));
        if (db_i64(&r, 1))
            ((struct crypto_unread *)rows_add(&l, a))->uid = *last;
    }
    enum err e = db_rows_end(&r, f);
    struct crypto_unread *u = l.items;
    for (size_t i = 0; !e && i < l.n; i++)
        e = newest_cert(db, a, &u[i], f);
    if (seen < limit)
        *last = span_of(NULL, 0);
    *out = u;
    *n = l.n;
    return e;
}

enum err store_crypto_place_put(struct db *db, struct span last, struct fault *f)
{
    if (!last.n)
        return db_run(db, "DELETE FROM meta WHERE name = 'crypto_after'", DB_NOARGS, NULL, f);
    return db_run(db, "UPDATE meta SET value = $1 WHERE name = 'crypto_after'", DB_ARGS(DB_T(last)), NULL, f);
}

void crypto_total_rows(struct db *db, struct db_rows *out)
{
    db_rows(db, "SELECT line, key_alg, sig_alg, month, sum(n) FROM crypto_count WHERE n > 0 GROUP BY line, key_alg, sig_alg, month ORDER BY line, key_alg, sig_alg, month", DB_NOARGS, out);
}

void crypto_service_rows(struct db *db, struct db_rows *out)
{
    db_rows(db,
            "SELECT c.line, c.release, COALESCE(r.support_end, ''), COALESCE(m.service_until, ''), c.key_alg, c.sig_alg, sum(c.n) FROM crypto_count c LEFT JOIN release r ON r.line = c.line AND r.name = c.release "
            "LEFT JOIN line_more m ON m.line = c.line WHERE c.n > 0 GROUP BY c.line, c.release, r.support_end, m.service_until, c.key_alg, c.sig_alg ORDER BY c.line, c.release, c.key_alg, c.sig_alg",
            DB_NOARGS, out);
}

#define DEVICE_SQL "SELECT uid, line, release, sig_alg, not_after FROM device_crypto WHERE key_alg = $1 "
void crypto_device_rows(struct db *db, struct span key_alg, struct span line, const struct span after[3], int64_t limit, struct db_rows *out)
{
    if (line.n)
        db_rows(db, DEVICE_SQL "AND line = $2 AND (release, uid) > ($3, $4) ORDER BY release, uid LIMIT $5",
                DB_ARGS(DB_T(key_alg), DB_T(line), DB_T(after[1]), DB_T(after[2]), DB_I(limit)), out);
    else
        db_rows(db, DEVICE_SQL "AND (line, release, uid) > ($2, $3, $4) ORDER BY line, release, uid LIMIT $5",
                DB_ARGS(DB_T(key_alg), DB_T(after[0]), DB_T(after[1]), DB_T(after[2]), DB_I(limit)), out);
}
