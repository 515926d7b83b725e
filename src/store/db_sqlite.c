/* db_sqlite.c: the SQLite driver: WAL, synchronous=FULL, one writer. See driver.h. */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "store/driver.h"

#define PARAMS_MAX 32
#define BUSY_MS 5000            /* another process holds the write lock: a backup, a migration */
#define ROW_BYTES_MAX (64 << 20)

struct sqlite_stmt {
    sqlite3_stmt *s;
    sqlite3 *conn;
    int nparams;
    bool writes; /* rows: not a transaction statement */
    uint8_t arg_of[PARAMS_MAX + 1]; /* parameter index (1-based) -> index into args: $2 may appear before $1 */
};

/* errno of the last failed call on the write-ahead log or the main file: sqlite3_system_errno may be of a later call. */
static int conn_errno(sqlite3 *c)
{
    int sys = 0;
    sqlite3_file *log = NULL;
    if (!c)
        return 0;
    if (sqlite3_file_control(c, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) == SQLITE_OK && log && log->pMethods)
        log->pMethods->xFileControl(log, SQLITE_FCNTL_LAST_ERRNO, &sys);
    if (!sys)
        sqlite3_file_control(c, "main", SQLITE_FCNTL_LAST_ERRNO, &sys);
    return sys ? sys : sqlite3_system_errno(c);
}

static enum err err_from_sqlite(sqlite3 *c, int rc)
{
    int sys = conn_errno(c);
    switch (rc & 0xff) {
    case SQLITE_FULL: return CE_DISK_FULL;
    case SQLITE_READONLY: return CE_STORE_READONLY;
    case SQLITE_PERM:
    case SQLITE_AUTH: return CE_STORE_READONLY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return CE_STORE_DAMAGED;
    case SQLITE_INTERRUPT: return CE_BUDGET;
    case SQLITE_CONSTRAINT:
        return rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_ROWID ? CE_EXISTS : CE_STORE;
    case SQLITE_IOERR:
        if (sys == ENOSPC || sys == EDQUOT || sys == EFBIG)
            return CE_DISK_FULL;
        return sys == EROFS ? CE_STORE_READONLY : CE_STORE;
    case SQLITE_CANTOPEN: return sys == EROFS || sys == EACCES ? CE_STORE_READONLY : sys == ENOSPC ? CE_DISK_FULL : CE_STORE;
    default: return CE_STORE;
    }
}

static enum err drv_error(void *conn, const char *sql, struct fault *f)
{
    int rc = sqlite3_extended_errcode(conn);
    enum err e = err_from_sqlite(conn, rc);
    return fault_set(f, e, "the database says \"%s\" (%d)%s at: %.120s", sqlite3_errmsg(conn), rc,
                     e == CE_STORE_DAMAGED ? "; restore the newest backup" : "", sql);
}

static enum err conn_exec(sqlite3 *c, const char *sql, struct fault *f)
{
    return sqlite3_exec(c, sql, NULL, NULL, NULL) == SQLITE_OK ? CE_OK : drv_error(c, sql, f);
}

/* "ok" or the first finding. */
static enum err conn_check(sqlite3 *c, const char *path, struct fault *f)
{
    sqlite3_stmt *s = NULL;
    enum err e = CE_OK;
    if (sqlite3_prepare_v2(c, "PRAGMA quick_check(1)", -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        e = fault_set(f, CE_STORE_DAMAGED, "%s: %s; restore the newest backup", path, sqlite3_errmsg(c));
    else if (strcmp((const char *)sqlite3_column_text(s, 0), "ok"))
        e = fault_set(f, CE_STORE_DAMAGED, "%s: %.120s; restore the newest backup", path, (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    return e;
}

/* A checkpoint runs inside a commit that somebody waits for: every 32 MB it is still short, and a page that was written many times
 * goes to the main file once (with 8 MB, scattered UIDs cost a third more). */
/* The writer's cache is small: when pages were split, SQLite goes through all of it at the end of each commit (the number of a page that there never is,
 * with which balance_nonroot exchanges two others, stays its highest), and 64 MB cost a tenth of the issuance. What is missing is in the system's memory. */
static const char setup_sql[] =
    "PRAGMA cache_size = -16384; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 67108864;";
static const char common_sql[] =
    "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON;";

static enum err conn_setup(sqlite3 *c, const char *path, unsigned flags, struct fault *f)
{
    sqlite3_extended_result_codes(c, 1);
    sqlite3_busy_timeout(c, BUSY_MS);
    sqlite3_limit(c, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
    sqlite3_db_config(c, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    enum err e = conn_exec(c, common_sql, f);
    if (!e && (flags & DB_SMALL))
        e = conn_exec(c, "PRAGMA cache_size = -1024", f);
    if (!e && (flags & DB_READONLY))
        e = conn_exec(c, "PRAGMA query_only = ON", f);
    else if (!e && !(flags & DB_MEMORY))
        e = conn_exec(c, setup_sql, f);
    if (!e && (flags & DB_CHECK))
        e = conn_check(c, path, f);
    return e;
}

static enum err drv_open(const char *path, unsigned flags, void **conn, struct fault *f)
{
    /* Nobody reads the library's own count of its memory, and counting takes a lock for each allocation. Without effect (an error)
     * from the second connection on. */
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    sqlite3 *c = NULL;
    const char *name = flags & DB_MEMORY ? ":memory:" : path;
    int mode = SQLITE_OPEN_NOMUTEX | (flags & DB_READONLY ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    if (flags & (DB_CREATE | DB_MEMORY))
        mode |= SQLITE_OPEN_CREATE;
    if (!(flags & (DB_CREATE | DB_MEMORY)) && access(path, F_OK))
        return fault_set(f, CE_NOT_FOUND, "%s: there is no database", path);
    int rc = sqlite3_open_v2(name, &c, mode, NULL);
    enum err e = CE_OK;
    if (rc != SQLITE_OK)
        e = fault_set(f, c ? err_from_sqlite(c, rc) : CE_STORE, "%s: cannot open the database: %s", name, c ? sqlite3_errmsg(c) : "no memory");
    else
        e = conn_setup(c, name, flags, f);
    if (e) {
        sqlite3_close_v2(c);
        return e;
    }
    *conn = c;
    return CE_OK;
}

/* Readers may outlive the writer, so it empties the WAL itself: a stopped site's database is one complete file. */
static void drv_close(void *conn)
{
    if (sqlite3_db_readonly(conn, "main") == 0)
        sqlite3_wal_checkpoint_v2(conn, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sqlite3_close_v2(conn);
}

static enum err drv_prepare(void *conn, const char *sql, void **stmt, struct fault *f)
{
    struct sqlite_stmt *st = mem_calloc(1, sizeof *st);
    st->conn = conn;
    if (sqlite3_prepare_v3(conn, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->s, NULL) != SQLITE_OK) {
        enum err e = drv_error(conn, sql, f);
        free(st);
        return e;
    }
    st->writes = !sqlite3_stmt_readonly(st->s) && strchr("IUDW", sql[0]);
    st->nparams = sqlite3_bind_parameter_count(st->s);
    INVARIANT(st->nparams <= PARAMS_MAX);
    for (int i = 1; i <= st->nparams; i++) {
        const char *name = sqlite3_bind_parameter_name(st->s, i);
        INVARIANT(name && name[0] == '$');
        int n = atoi(name + 1);
        INVARIANT(n >= 1 && n <= PARAMS_MAX);
        st->arg_of[i] = (uint8_t)(n - 1);
    }
    *stmt = st;
    return CE_OK;
}

static void drv_finish(void *stmt)
{
    struct sqlite_stmt *st = stmt;
    sqlite3_finalize(st->s);
    free(st);
}

static int bind_one(sqlite3_stmt *s, int i, const struct db_arg *a)
{
    const char *p = a->s.p ? (const char *)a->s.p : "";
    switch (a->type) {
    case DB_ARG_INT: return sqlite3_bind_int64(s, i, a->i);
    case DB_ARG_TEXT: return sqlite3_bind_text64(s, i, p, a->s.n, SQLITE_STATIC, SQLITE_UTF8);
    case DB_ARG_BLOB: return sqlite3_bind_blob64(s, i, p, a->s.n, SQLITE_STATIC);
    }
    return SQLITE_MISUSE;
}

static enum err drv_bind(void *conn, void *stmt, const struct db_arg *args, size_t nargs, struct fault *f)
{
    struct sqlite_stmt *st = stmt;
    for (int i = 1; i <= st->nparams; i++) {
        INVARIANT(st->arg_of[i] < nargs);
        if (bind_one(st->s, i, &args[st->arg_of[i]]) != SQLITE_OK)
            return drv_error(conn, sqlite3_sql(st->s), f);
    }
    return CE_OK;
}

static enum db_step drv_step(void *stmt)
{
    int rc = sqlite3_step(((struct sqlite_stmt *)stmt)->s);
    return rc == SQLITE_ROW ? DB_STEP_ROW : rc == SQLITE_DONE ? DB_STEP_DONE : DB_STEP_ERROR;
}

static void drv_reset(void *stmt)
{
    struct sqlite_stmt *st = stmt;
    sqlite3_reset(st->s);
    sqlite3_clear_bindings(st->s);
}

static int64_t drv_i64(void *stmt, int col) { return sqlite3_column_int64(((struct sqlite_stmt *)stmt)->s, col); }

static struct span drv_bytes(void *stmt, int col)
{
    sqlite3_stmt *s = ((struct sqlite_stmt *)stmt)->s;
    const void *p = sqlite3_column_type(s, col) == SQLITE_BLOB ? sqlite3_column_blob(s, col) : (const void *)sqlite3_column_text(s, col);
    return span_of(p, p ? (size_t)sqlite3_column_bytes(s, col) : 0);
}

static bool drv_is_null(void *stmt, int col) { return sqlite3_column_type(((struct sqlite_stmt *)stmt)->s, col) == SQLITE_NULL; }
static int drv_columns(void *stmt) { return sqlite3_column_count(((struct sqlite_stmt *)stmt)->s); }
static int64_t drv_changes(void *conn, void *stmt)
{
    return ((struct sqlite_stmt *)stmt)->writes ? sqlite3_changes64(conn) : 0;
}
static bool drv_in_tx(void *conn) { return !sqlite3_get_autocommit(conn); }
static void drv_progress(void *conn, int every, int (*fn)(void *), void *ctx) { sqlite3_progress_handler(conn, every, fn, ctx); }

static enum err drv_ddl(void *conn, const char *sql, struct fault *f)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    const char *at = sql, *hit;
    while ((hit = strstr(at, " CLUSTERED"))) {
        buf_put(&b, at, (size_t)(hit - at));
        buf_put_str(&b, " WITHOUT ROWID");
        at = hit + strlen(" CLUSTERED");
    }
    buf_put_str(&b, at);
    return conn_exec(conn, buf_cstr(&b), f);
}

const struct db_driver db_driver_sqlite = {
    .name = "sqlite",
    .open = drv_open,
    .close = drv_close,
    .prepare = drv_prepare,
    .finish = drv_finish,
    .bind = drv_bind,
    .step = drv_step,
    .error = drv_error,
    .reset = drv_reset,
    .i64 = drv_i64,
    .bytes = drv_bytes,
    .is_null = drv_is_null,
    .columns = drv_columns,
    .changes = drv_changes,
    .ddl = drv_ddl,
    .in_tx = drv_in_tx,
    .progress = drv_progress,
    .has_table_sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1",
};
