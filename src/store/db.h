/* db.h: the one way to the database: a connection with a cache of prepared statements, typed parameters and rows.
 * What it is not: an object mapper. SQL text lives in src/store/ only, one file a table, and keeps to the common dialect of
 * SQLite and PostgreSQL (BIGINT TEXT BLOB, $n parameters, ON CONFLICT, RETURNING, keyset paging; no now(), booleans or
 * autoincrement); t/unit/store_dialect.c reads every SQL text and says where one does not.
 *
 * Ownership: the connection owns its statements. Spans read from a row are valid until the next db_next or db_rows_end.
 * Errors: CE_DISK_FULL, CE_STORE_READONLY, CE_STORE_DAMAGED (corrupt or not a database), CE_EXISTS (unique key taken), otherwise
 * CE_STORE; the fault says what the database said and at which statement. Not thread-safe: one connection, one thread.
 */
#ifndef CRADLE_STORE_DB_H
#define CRADLE_STORE_DB_H

#include "base/span.h"

struct db;

enum db_flags {
    DB_CREATE = 1,    /* make the database when it is not there; otherwise CE_NOT_FOUND */
    DB_READONLY = 2,  /* for readers beside the one writer */
    DB_MEMORY = 4,    /* private, in memory; path is ignored */
    DB_SMALL = 16,    /* a small cache: for reading much once */
    DB_CHECK = 8,     /* run the database's own consistency check first: CE_STORE_DAMAGED */
};

/* CE_NOT_FOUND when there is no file and DB_CREATE is not set. Close with db_close. */
MUST_USE enum err db_open(const char *path, unsigned flags, struct db **out, struct fault *f);
void db_close(struct db *db);                 /* legal on NULL */
void db_close_p(struct db **db);              /* for CLEANUP(db_close_p) */

/* -- parameters: DB_ARGS(DB_I(5), DB_T(span), DB_B(span)) is $1, $2, $3 -------------------------------------------------- */
struct db_arg {
    enum { DB_ARG_INT, DB_ARG_TEXT, DB_ARG_BLOB } type;
    int64_t i;
    struct span s; /* borrowed for the call (for rows: until db_rows_end) */
};
#define DB_I(v) ((struct db_arg){ .type = DB_ARG_INT, .i = (int64_t)(v) })
#define DB_T(v) ((struct db_arg){ .type = DB_ARG_TEXT, .s = (v) })
#define DB_S(v) ((struct db_arg){ .type = DB_ARG_TEXT, .s = span_str(v) })
#define DB_B(v) ((struct db_arg){ .type = DB_ARG_BLOB, .s = (v) })
#define DB_ARGS(...) \
    (const struct db_arg[]){ __VA_ARGS__ }, (sizeof((const struct db_arg[]){ __VA_ARGS__ }) / sizeof(struct db_arg))
#define DB_NOARGS NULL, 0

/* Runs one statement that returns no rows. changed (may be NULL) gets the number of rows touched. sql is a string literal. */
MUST_USE enum err db_run(struct db *db, const char *sql, const struct db_arg *args, size_t nargs, int64_t *changed, struct fault *f);
/* The same for a statement that must touch exactly one row: CE_NOT_FOUND when it touched none. */
MUST_USE enum err db_run1(struct db *db, const char *sql, const struct db_arg *args, size_t nargs, struct fault *f);

/* -- rows ------------------------------------------------------------------------------------------------------------- */
struct db_rows {
    struct db *db;
    struct db_stmt *stmt; /* borrowed from the cache until db_rows_end */
    struct fault why;     /* code CE_OK until something failed */
};
/* struct db_rows r; db_rows(db, SQL, DB_ARGS(…), &r); while (db_next(&r)) … db_i64(&r, 0) …; e = db_rows_end(&r, f);
 * An error at any point ends the loop and comes out of db_rows_end, which must always be called. */
void db_rows(struct db *db, const char *sql, const struct db_arg *args, size_t nargs, struct db_rows *out);
bool db_next(struct db_rows *r);
MUST_USE enum err db_rows_end(struct db_rows *r, struct fault *f);
int64_t db_i64(const struct db_rows *r, int col);       /* 0 for NULL */
struct span db_span(const struct db_rows *r, int col);  /* text or blob; empty for NULL */
bool db_is_null(const struct db_rows *r, int col);
int db_columns(const struct db_rows *r);                /* of a row that db_next gave */
/* First column of the first row as a number; def when there is no row. */
MUST_USE enum err db_get_i64(struct db *db, const char *sql, const struct db_arg *args, size_t nargs, int64_t def, int64_t *out, struct fault *f);

/* -- transactions --------------------------------------------------------------------------------------------------------- */
MUST_USE enum err db_begin(struct db *db, struct fault *f);   /* takes the write lock at once */
MUST_USE enum err db_begin_read(struct db *db, struct fault *f); /* every read until db_rollback sees one state */
MUST_USE enum err db_commit(struct db *db, struct fault *f);  /* CE_OK: durable */
void db_rollback(struct db *db);
bool db_in_tx(const struct db *db);
uint64_t db_touched(const struct db *db);                     /* rows changed through db_run since db_open */
MUST_USE enum err db_save(struct db *db, struct fault *f);    /* one savepoint at a time */
MUST_USE enum err db_save_keep(struct db *db, struct fault *f);
MUST_USE enum err db_save_undo(struct db *db, struct fault *f);

/* True for the errors of the database itself (full, read-only, damaged, failed): the batch is rolled back. */
bool db_err_fatal(enum err e);

/* For the query role: budget of steps and a cancel flag, see sqlite3_progress_handler. fn returns non-zero to stop: CE_BUDGET. */
void db_set_progress(struct db *db, int every, int (*fn)(void *), void *ctx);
/* Runs schema text, also several statements, not cached; BLOB and CLUSTERED become the database's own words. */
MUST_USE enum err db_ddl(struct db *db, const char *sql, struct fault *f);
MUST_USE enum err db_has_table(struct db *db, const char *name, bool *there, struct fault *f);

#endif
