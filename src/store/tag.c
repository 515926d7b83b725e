/* store/tag.c: see store/tag.h. */
#include "store/tag.h"

enum err store_tags_get(struct db *db, struct span uid, struct buf *out, struct fault *f)
{
    struct db_rows r;
    db_rows(db, "SELECT tag FROM device_tag WHERE uid = $1 ORDER BY tag", DB_ARGS(DB_T(uid)), &r);
    while (db_next(&r)) {
        buf_put_span(out, db_span(&r, 0));
        buf_put_u8(out, '\n');
    }
    return db_rows_end(&r, f);
}

enum err store_tags_put(struct db *db, struct span uid, struct span tags, struct fault *f)
{
    struct span tag;
    enum err e = db_run(db, "DELETE FROM device_tag WHERE uid = $1", DB_ARGS(DB_T(uid)), NULL, f);
    while (!e && tags.n && span_cut(&tags, '\n', &tag))
        if (tag.n)
            e = db_run(db, "INSERT INTO device_tag (uid, tag) VALUES ($1, $2)", DB_ARGS(DB_T(uid), DB_T(tag)), NULL, f);
    return e;
}

enum err store_tag_has(struct db *db, struct span uid, struct span tag, bool *has, struct fault *f)
{
    int64_t n = 0;
    enum err e = db_get_i64(db, "SELECT count(*) FROM device_tag WHERE uid = $1 AND tag = $2", DB_ARGS(DB_T(uid), DB_T(tag)), 0, &n, f);
    *has = n > 0;
    return e;
}
