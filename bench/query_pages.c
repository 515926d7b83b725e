/* query_pages.c: server time of searches over COUNT devices with a certificate each: the query role's own code on a read-only connection,
 * pages of 50, every kind of filter, 200 places each. Usage: query_pages [COUNT]. Prints one line of JSON for each kind of search.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "crypt/hash.h"
#include "role/query.h"
#include "store/cert.h"
#include "store/registry.h"
#include "store/schema.h"
#include "wire/msg.h"

enum { ASKS = 200, MODELS = 10 };
static char dir[] = "/tmp/cradle-bench-query-XXXXXX", path[PATH_MAX_LEN];
static int count = 100000;
static struct fault f;

static void must(enum err e, const char *what)
{
    if (e) {
        fprintf(stderr, "query_pages: %s: %s %s\n", what, err_text(e), f.text);
        exit(1);
    }
}

static void device_put(struct db *db, int i)
{
    char uid[32], serial[32], model[16], batch[16];
    uint8_t digest[32];
    snprintf(uid, sizeof uid, "PUMP-%07d", i);
    snprintf(serial, sizeof serial, "SN%07d", count - i);
    snprintf(model, sizeof model, "m%d", i % MODELS);
    snprintf(batch, sizeof batch, "b%d", i / 1000);
    struct device_row d = {.uid = span_str(uid),
                           .serial = span_str(serial),
                           .model = span_str(model),
                           .line = span_str(i % MODELS < MODELS / 2 ? "pump" : "valve"),
                           .batch = span_str(batch),
                           .country = SPAN_LIT("DE"),
                           .created_by = SPAN_LIT("admin"),
                           .created_at = 1000000 + i,
                           .state = span_str(i % 100 ? "active" : "suspended")};
    must(store_device_add(db, &d, &f), "device");
    sha256(d.uid, digest);
    digest[0] = (uint8_t)(1 + digest[0] % 127);
    struct cert_row c = {.kid = span_of(digest, 20),
                         .serial = span_of(digest, 16),
                         .holder_kind = CERT_HOLDER_DEVICE,
                         .holder = d.uid,
                         .profile = SPAN_LIT("device"),
                         .spki = span_of(digest, 32),
                         .not_before = 1000,
                         .not_after = clock_now_s() + 1000000,
                         .issued_at = 1000 + i,
                         .der = SPAN_LIT("DER")};
    must(store_cert_add(db, &c, &f), "certificate");
}

static void fill(void)
{
    struct db *db;
    must(db_open(path, DB_CREATE, &db, &f), "database");
    must(schema_create(db, &f), "schema");
    must(db_begin(db, &f), "begin");
    for (int i = 0; i < count; i++)
        device_put(db, i);
    must(db_commit(db, &f), "commit");
    db_close(db);
}

static void ask(struct query *q, const struct msg_query *m)
{
    static struct buf frame, out;
    struct msg_caller who = {.kind = CALLER_INFRA};
    struct ipc_frame in = {.type = MSG_QUERY, .rid = 1}, answer;
    struct msg_reply r;
    buf_reset(&frame);
    buf_reset(&out);
    msg_pack(&msg_desc_caller, &who, &frame);
    msg_pack(&msg_desc_query, m, &frame);
    in.body = buf_span(&frame);
    must(query_handle(q, &in, &out), "query");
    struct span rest = buf_span(&out);
    must(ipc_frame_get(&rest, &answer), "frame");
    must(msg_unpack_all(&msg_desc_reply, answer.body, &r), "reply");
    must((enum err)r.code, "answer");
}

static int cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The i-th question of a kind: places all over the register. */
static struct msg_query question(int kind, int i, char *word)
{
    int at = (int)((int64_t)i * 7919 * 131 % count);
    struct msg_query m = {.what = SPAN_LIT("devices")};
    snprintf(word, 32,
             kind == 0   ? "PUMP-%07d"
             : kind == 1 ? "PUMP-%05d"
             : kind == 2 ? "SN%07d"
             : kind == 3 ? "b%d"
                         : "m%d",
             kind == 1   ? at / 100
             : kind == 3 ? at / 1000
             : kind >= 4 ? i % MODELS
                         : at);
    struct span w = span_str(word);
    switch (kind) {
    case 0:
        m.what = SPAN_LIT("device"), m.key = w;
        break;
    case 1:
    case 2:
        m.q = w;
        break;
    case 3:
        m.batch = w;
        break;
    case 4:
        m.model = w, m.state = SPAN_LIT("suspended");
        break;
    case 5:
        m.line = SPAN_LIT("valve"), m.state = SPAN_LIT("suspended"), m.model = w;
        break;
    }
    return m;
}

int main(int argc, char **argv)
{
    static const char *const kinds[] = {"one device", "UID prefix", "serial number", "batch", "model and state", "line, model and state"};
    char word[32], cmd[128];
    struct query *q;
    int64_t us[ASKS];
    if (argc > 1)
        count = atoi(argv[1]);
    if (count < 1000 || !mkdtemp(dir))
        return 1;
    path_join(path, "%s/bench.db", dir);
    fill();
    must(query_open(path, dir, &q, &f), "query_open");
    for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
        for (int i = 0; i < ASKS; i++) {
            struct msg_query m = question((int)k, i, word);
            int64_t from = clock_mono_us();
            ask(q, &m);
            us[i] = clock_mono_us() - from;
        }
        qsort(us, ASKS, sizeof *us, cmp);
        printf("{\"bench\":\"query_pages\",\"devices\":%d,\"search\":\"%s\",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n", count,
               kinds[k], (double)us[ASKS / 2] / 1e3, (double)us[ASKS * 99 / 100] / 1e3, (double)us[ASKS - 1] / 1e3);
    }
    query_close(q);
    snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
    return system(cmd) != 0;
}
