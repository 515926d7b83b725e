/* store_dialect.c: every SQL text of src/store keeps to the dialect that SQLite and PostgreSQL share. Reads the sources. */
#include <ctype.h>
#include <dirent.h>
#include <strings.h>

#include "base/file.h"
#include "base/mem.h"
#include "t/tap.h"

/* Words that one of the two does not know, or means otherwise. */
static const char *const forbidden[] = {
    "AUTOINCREMENT", "INTEGER", "BOOLEAN", "REAL", "DATETIME", "TIMESTAMP", "VARCHAR", "BYTEA", "SERIAL PRIMARY", "now(", "CURRENT_TIMESTAMP",
    "datetime(", "strftime(", "julianday(", "INSERT OR", "UPDATE OR", "REPLACE INTO", "IFNULL(", "last_insert_rowid", "rowid", "WITHOUT ROWID", "GLOB ",
    "LISTEN", "NOTIFY", "ADVISORY", "PARTITION", "LIMIT -1", "OFFSET", "IS TRUE", "IS FALSE", "json_", "||", " ?", "@", "typeof(", "LIKE", "printf(",
};
static const char *const verbs[] = { "SELECT ", "INSERT ", "UPDATE ", "DELETE ", "CREATE ", "WITH " };

static bool find_nocase(const char *hay, const char *needle)
{
    for (size_t n = strlen(needle); *hay; hay++)
        if (!strncasecmp(hay, needle, n))
            return true;
    return false;
}

static bool is_sql(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (!strncmp(text, verbs[i], strlen(verbs[i])))
            return true;
    return false;
}

static size_t judge(const char *file, const char *text)
{
    size_t bad = 0;
    if (!is_sql(text))
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++)
        if (find_nocase(text, forbidden[i])) {
            printf("# %s: '%s' in: %.120s\n", file, forbidden[i], text);
            bad++;
        }
    return bad;
}

/* Adjacent string literals of C are one text. */
static size_t scan(const char *file, const char *c, size_t *texts)
{
    size_t bad = 0;
    struct buf t = BUF_INIT(0);
    while (*c) {
        if (c[0] == '/' && c[1] == '*') {
            const char *end = strstr(c, "*/");
            c = end ? end + 2 : c + strlen(c);
        } else if (*c == '\'' && c[1] && c[2]) {
            c += c[1] == '\\' ? 4 : 3;
        } else if (*c == '"') {
            for (c++; *c && *c != '"'; c++) {
                if (*c == '\\' && c[1])
                    c++;
                buf_put_u8(&t, (uint8_t)*c);
            }
            c += *c == '"';
        } else if (isspace((unsigned char)*c)) {
            c++;
        } else {
            if (t.len) {
                const char *text = buf_cstr(&t);
                *texts += is_sql(text);
                bad += judge(file, text);
                buf_reset(&t);
            }
            c++;
        }
    }
    buf_free(&t);
    return bad;
}

int main(void)
{
    DIR *d = opendir("src/store");
    ok(d != NULL, "src/store is there (the tests run in the source folder)");
    size_t texts = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        if (n < 2 || strcmp(e->d_name + n - 2, ".c") || !strcmp(e->d_name, "db_sqlite.c"))
            continue;
        char path[PATH_MAX_LEN];
        struct buf text = BUF_INIT(0);
        path_join(path, "src/store/%s", e->d_name);
        ok(!file_read(path, &text) && scan(path, buf_cstr(&text), &texts) == 0, "%s keeps to the common dialect", path);
        buf_free(&text);
    }
    if (d)
        closedir(d);
    ok(texts > 60, "%zu SQL texts were read", texts);
    ok(judge("self", "SELECT now() FROM x") == 1 && judge("self", "INSERT OR IGNORE INTO x (a) VALUES (1)") == 1, "a forbidden word is found");
    return done();
}
