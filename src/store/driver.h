/* driver.h: what a database behind db.h must do. One table a driver: SQLite now; PostgreSQL takes the same text. Private to src/store.
 * A driver reports errors as enum err with the database's own words in the fault.
 */
#ifndef CRADLE_STORE_DRIVER_H
#define CRADLE_STORE_DRIVER_H

#include "store/db.h"

enum db_step { DB_STEP_ROW, DB_STEP_DONE, DB_STEP_ERROR };

struct db_driver {
    const char *name;
    enum err (*open)(const char *path, unsigned flags, void **conn, struct fault *f);
    void (*close)(void *conn);
    enum err (*prepare)(void *conn, const char *sql, void **stmt, struct fault *f);
    void (*finish)(void *stmt);
    enum err (*bind)(void *conn, void *stmt, const struct db_arg *args, size_t nargs, struct fault *f);
    enum db_step (*step)(void *stmt);
    enum err (*error)(void *conn, const char *sql, struct fault *f); /* of the last call */
    void (*reset)(void *stmt);
    int64_t (*i64)(void *stmt, int col);
    struct span (*bytes)(void *stmt, int col);
    bool (*is_null)(void *stmt, int col);
    int (*columns)(void *stmt);
    int64_t (*changes)(void *conn, void *stmt); /* of the statement just run; 0 when it cannot write rows */
    enum err (*ddl)(void *conn, const char *sql, struct fault *f);
    bool (*in_tx)(void *conn);
    void (*progress)(void *conn, int every, int (*fn)(void *), void *ctx);
    const char *has_table_sql;   /* $1: name; one row with a count */
};

extern const struct db_driver db_driver_sqlite;

#endif
