/* db.c: the part of db.h that is the same for every driver: statement cache, rows, transactions. */
#include "store/db.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/driver.h"

#define CACHE_SLOTS 512 /* a power of two, well above the number of SQL texts in src/store */
#define CACHE_MAX 384
#define NEAR_SLOTS 256

struct db_stmt {
    char *text;      /* owned; the key */
    void *handle;
    bool busy;       /* rows are being read */
    bool loose;      /* not in the cache: the cached one was busy */
};

struct db {
    const struct db_driver *drv;
    void *conn;
    struct db_stmt *cache[CACHE_SLOTS];
    struct { const char *sql; struct db_stmt *stmt; } near[NEAR_SLOTS]; /* by the address of the text; stmt is one of the cache */
    size_t cached;
    uint64_t touched;
};

enum err db_open(const char *path, unsigned flags, struct db **out, struct fault *f)
{
    struct db *db = mem_calloc(1, sizeof *db);
    db->drv = &db_driver_sqlite;
    enum err e = db->drv->open(path, flags, &db->conn, f);
    if (e) {
        free(db);
        return e;
    }
    *out = db;
    return CE_OK;
}

static void stmt_free(struct db *db, struct db_stmt *s)
{
    db->drv->finish(s->handle);
    free(s->text);
    free(s);
}

static void cache_clear(struct db *db)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (db->cache[i]) {
            INVARIANT(!db->cache[i]->busy);
            stmt_free(db, db->cache[i]);
            db->cache[i] = NULL;
        }
    memset(db->near, 0, sizeof db->near);
    db->cached = 0;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    cache_clear(db);
    db->drv->close(db->conn);
    free(db);
}

void db_close_p(struct db **db)
{
    db_close(*db);
    *db = NULL;
}

static enum err stmt_new(struct db *db, const char *sql, struct db_stmt **out, struct fault *f)
{
    struct db_stmt *s = mem_calloc(1, sizeof *s);
    enum err e = db->drv->prepare(db->conn, sql, &s->handle, f);
    if (e) {
        free(s);
        return e;
    }
    s->text = mem_strdup(sql);
    *out = s;
    return CE_OK;
}

static bool cache_has_busy(const struct db *db)
{
    for (size_t i = 0; i < CACHE_SLOTS; i++)
        if (db->cache[i] && db->cache[i]->busy)
            return true;
    return false;
}

/* Keyed by the bytes of the text. */
static enum err stmt_find(struct db *db, const char *sql, struct db_stmt **out, struct fault *f)
{
    size_t h = 5381;
    for (const char *c = sql; *c; c++)
        h = h * 33 + (uint8_t)*c;
    size_t i = h & (CACHE_SLOTS - 1);
    while (db->cache[i] && strcmp(db->cache[i]->text, sql))
        i = (i + 1) & (CACHE_SLOTS - 1);
    if (db->cache[i] && !db->cache[i]->busy) {
        *out = db->cache[i];
        return CE_OK;
    }
    enum err e = stmt_new(db, sql, out, f);
    if (e)
        return e;
    if (db->cache[i]) {
        (*out)->loose = true;
        return CE_OK;
    }
    if (db->cached >= CACHE_MAX) {
        if (cache_has_busy(db)) {
            (*out)->loose = true;
            return CE_OK;
        }
        cache_clear(db);
        i = h & (CACHE_SLOTS - 1);
    }
    db->cache[i] = *out;
    db->cached++;
    return CE_OK;
}

/* Texts are literals as a rule, so the address finds it again; what is there is compared, because a text may be made. */
static enum err stmt_take(struct db *db, const char *sql, struct db_stmt **out, struct fault *f)
{
    size_t i = ((uintptr_t)sql >> 4) & (NEAR_SLOTS - 1);
    struct db_stmt *s = db->near[i].stmt;
    if (db->near[i].sql == sql && !s->busy && strcmp(s->text, sql) == 0) {
        *out = s;
        return CE_OK;
    }
    enum err e = stmt_find(db, sql, out, f);
    if (!e && !(*out)->loose) {
        db->near[i].sql = sql;
        db->near[i].stmt = *out;
    }
    return e;
}

static void stmt_give(struct db *db, struct db_stmt *s)
{
    db->drv->reset(s->handle);
    s->busy = false;
    if (s->loose)
        stmt_free(db, s);
}

enum err db_run(struct db *db, const char *sql, const struct db_arg *args, size_t nargs, int64_t *changed, struct fault *f)
{
    struct db_stmt *s;
    enum err e = stmt_take(db, sql, &s, f);
    if (e)
        return e;
    s->busy = true;
    e = db->drv->bind(db->conn, s->handle, args, nargs, f);
    if (!e && db->drv->step(s->handle) == DB_STEP_ERROR)
        e = db->drv->error(db->conn, sql, f);
    int64_t n = e ? 0 : db->drv->changes(db->conn, s->handle);
    db->touched += (uint64_t)n;
    if (changed)
        *changed = n;
    stmt_give(db, s);
    return e;
}

enum err db_run1(struct db *db, const char *sql, const struct db_arg *args, size_t nargs, struct fault *f)
{
    int64_t n = 0;
    enum err e = db_run(db, sql, args, nargs, &n, f);
    if (e || n == 1)
        return e;
    return fault_set(f, n ? CE_INTERNAL : CE_NOT_FOUND, "%lld rows instead of one: %.100s", (long long)n, sql);
}

void db_rows(struct db *db, const char *sql, const struct db_arg *args, size_t nargs, struct db_rows *out)
{
    *out = (struct db_rows){ .db = db };
    if (stmt_take(db, sql, &out->stmt, &out->why))
        return;
    out->stmt->busy = true;
    db->drv->bind(db->conn, out->stmt->handle, args, nargs, &out->why); /* an error shows in why */
}

bool db_next(struct db_rows *r)
{
    if (r->why.code)
        return false;
    switch (r->db->drv->step(r->stmt->handle)) {
    case DB_STEP_ROW: return true;
    case DB_STEP_DONE: return false;
    case DB_STEP_ERROR: break;
    }
    r->db->drv->error(r->db->conn, r->stmt->text, &r->why);
    return false;
}

enum err db_rows_end(struct db_rows *r, struct fault *f)
{
    if (!r->why.code)
        r->db->touched += (uint64_t)r->db->drv->changes(r->db->conn, r->stmt->handle);
    if (r->stmt)
        stmt_give(r->db, r->stmt);
    r->stmt = NULL;
    return r->why.code ? fault_set(f, r->why.code, "%s", r->why.text) : CE_OK;
}

int64_t db_i64(const struct db_rows *r, int col) { return r->db->drv->i64(r->stmt->handle, col); }
struct span db_span(const struct db_rows *r, int col) { return r->db->drv->bytes(r->stmt->handle, col); }
bool db_is_null(const struct db_rows *r, int col) { return r->db->drv->is_null(r->stmt->handle, col); }
int db_columns(const struct db_rows *r) { return r->db->drv->columns(r->stmt->handle); }

enum err db_get_i64(struct db *db, const char *sql, const struct db_arg *args, size_t nargs, int64_t def, int64_t *out, struct fault *f)
{
    struct db_rows r;
    *out = def;
    db_rows(db, sql, args, nargs, &r);
    if (db_next(&r) && !db_is_null(&r, 0))
        *out = db_i64(&r, 0);
    return db_rows_end(&r, f);
}

enum err db_begin(struct db *db, struct fault *f) { return db_run(db, "BEGIN IMMEDIATE", DB_NOARGS, NULL, f); }
enum err db_begin_read(struct db *db, struct fault *f) { return db_run(db, "BEGIN", DB_NOARGS, NULL, f); }
enum err db_commit(struct db *db, struct fault *f) { return db_run(db, "COMMIT", DB_NOARGS, NULL, f); }
uint64_t db_touched(const struct db *db) { return db->touched; }
bool db_in_tx(const struct db *db) { return db->drv->in_tx(db->conn); }

void db_rollback(struct db *db)
{
    struct fault f;
    if (db_in_tx(db) && db_run(db, "ROLLBACK", DB_NOARGS, NULL, &f))
        log_error(0, "database: rollback: %s", f.text);
}

enum err db_save(struct db *db, struct fault *f) { return db_run(db, "SAVEPOINT op", DB_NOARGS, NULL, f); }
enum err db_save_keep(struct db *db, struct fault *f) { return db_run(db, "RELEASE SAVEPOINT op", DB_NOARGS, NULL, f); }

enum err db_save_undo(struct db *db, struct fault *f)
{
    enum err e = db_run(db, "ROLLBACK TO SAVEPOINT op", DB_NOARGS, NULL, f);
    return e ? e : db_save_keep(db, f);
}

bool db_err_fatal(enum err e)
{
    return e == CE_DISK_FULL || e == CE_STORE_READONLY || e == CE_STORE || e == CE_STORE_DAMAGED || e == CE_EPOCH;
}

void db_set_progress(struct db *db, int every, int (*fn)(void *), void *ctx) { db->drv->progress(db->conn, every, fn, ctx); }
enum err db_ddl(struct db *db, const char *sql, struct fault *f) { return db->drv->ddl(db->conn, sql, f); }

enum err db_has_table(struct db *db, const char *name, bool *there, struct fault *f)
{
    int64_t n = 0;
    enum err e = db_get_i64(db, db->drv->has_table_sql, DB_ARGS(DB_S(name)), 0, &n, f);
    *there = n > 0;
    return e;
}
