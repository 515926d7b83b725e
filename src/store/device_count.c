/* device_count.c: see device_count.h. Every filter that is not the index' own is judged row by row; without one, no row of the table is read. */
#include "store/device_count.h"

enum drive { BY_BATCH, BY_TAG, BY_MODEL, BY_LINE, BY_UID, DRIVES };

/* $1 value of the index, $2 after, $3 rows, $4… the filters */
#define PIECE(good, from, key, where)                                                                                               \
    "SELECT count(*), COALESCE(sum(c.good), 0), COALESCE(max(c.uid), '') FROM (SELECT " key " AS uid, " good " AS good FROM " from   \
    " WHERE " where key " > $2 ORDER BY " key " LIMIT $3) c"
#define GOOD                                                                                                                        \
    "CASE WHEN ($4 = '' OR d.line = $4) AND ($5 = '' OR d.model = $5) AND ($6 = '' OR d.batch = $6) AND ($7 = '' OR d.country = $7) " \
    "AND ($8 = '' OR EXISTS (SELECT 1 FROM device_state s WHERE s.uid = d.uid AND s.state = $8)) "                                  \
    "AND ($9 = '' OR EXISTS (SELECT 1 FROM device_tag g WHERE g.uid = d.uid AND g.tag = $9)) "                                      \
    "AND ($10 = '' OR EXISTS (SELECT 1 FROM device_version v WHERE v.uid = d.uid AND v.version = $10)) THEN 1 ELSE 0 END"
#define DRIVE(where) { PIECE("1", "device d", "d.uid", where), PIECE(GOOD, "device d", "d.uid", where) }

static const char *const sql[DRIVES][2] = { /* plain, filtered */
    [BY_BATCH] = DRIVE("d.batch <> '' AND d.batch = $1 AND "),
    [BY_TAG] = { PIECE("1", "device_tag t", "t.uid", "t.tag = $1 AND "),
                 PIECE(GOOD, "device_tag t CROSS JOIN device d", "t.uid", "t.tag = $1 AND d.uid = t.uid AND ") },
    [BY_MODEL] = DRIVE("d.model = $1 AND "),
    [BY_LINE] = DRIVE("d.line = $1 AND "),
    [BY_UID] = DRIVE(""),
};

static enum drive drive_of(const struct device_filter *by, struct span *value)
{
    const struct span values[] = { by->batch, by->tag, by->model, by->line };
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        if (values[i].n) {
            *value = values[i];
            return (enum drive)i;
        }
    *value = span_of(NULL, 0);
    return BY_UID;
}

bool device_count_is_plain(const struct device_filter *by)
{
    const struct span values[] = { by->batch, by->tag, by->model, by->line, by->country, by->state, by->version };
    size_t given = 0;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        given += values[i].n > 0;
    return given == 0 || (given == 1 && (by->batch.n || by->tag.n || by->model.n || by->line.n));
}

enum err device_count_piece(struct db *db, struct arena *a, const struct device_filter *by, struct span after, int64_t rows, struct device_count *out,
                            struct fault *f)
{
    struct db_rows r;
    struct span value;
    enum drive drive = drive_of(by, &value);
    *out = (struct device_count){ .last = after };
    db_rows(db, sql[drive][device_count_is_plain(by) ? 0 : 1],
            DB_ARGS(DB_T(value), DB_T(after), DB_I(rows), DB_T(by->line), DB_T(by->model), DB_T(by->batch), DB_T(by->country), DB_T(by->state), DB_T(by->tag),
                    DB_T(by->version)),
            &r);
    if (db_next(&r)) {
        out->looked = db_i64(&r, 0);
        out->matched = db_i64(&r, 1);
        out->last = arena_copy(a, db_span(&r, 2));
    }
    return db_rows_end(&r, f);
}
