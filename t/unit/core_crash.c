/* core_crash.c: kill -9 at random moments under load: whatever was acknowledged is there, with its evidence, after the next start;
 * the stream has no hole, and fold(events) = tables. */
#include <signal.h>
#include <sys/wait.h>

#include "t/unit/core_site.h"

#define ROUNDS 15
static struct site s;
static int acks = -1;

static void on_reply(void *ctx, int peer, uint64_t rid, const struct msg_reply *r)
{
    (void)ctx;
    (void)peer;
    if (r->code == CE_OK && write(acks, &rid, sizeof rid) != (ssize_t)sizeof rid)
        _exit(2);
}

/* The child: 32 requests in flight for ever. The uid is the request's id. */
static void load(uint64_t from)
{
    struct fault f = { 0 };
    s.ports.reply = on_reply;
    site_must(site_open(&s, &f), "open", &f);
    s.rid = from;
    for (;;) {
        for (int i = 0; i < 32; i++) {
            char uid[40];
            struct msg_caller c = site_caller(&s, 2);
            snprintf(uid, sizeof uid, "d%" PRIu64, s.rid + 1);
            site_queue(&s, &c, &msg_desc_device_add, &(struct msg_device_add){ .uid = span_str(uid), .model = SPAN_LIT("m1") });
            if (s.rid % 3 == 0) {
                snprintf(uid, sizeof uid, "d%" PRIu64, s.rid - 40 > from ? s.rid - 40 : from);
                site_queue(&s, &c, &msg_desc_device_state, &(struct msg_device_state){ .uid = span_str(uid), .state = SPAN_LIT("suspended") });
            }
        }
        if (core_step(s.core, &f))
            _exit(3);
    }
}

/* Every acknowledged id is a device or a change of state that an event holds. Changes carry ids too: only devices are looked up. */
static bool all_there(const uint64_t *ids, size_t n)
{
    char path[PATH_MAX_LEN];
    struct db *db = NULL;
    struct fault f = { 0 };
    bool good = true;
    path_join(path, "%s/db/cradle.db", s.dir);
    site_must(db_open(path, DB_READONLY, &db, &f), "open", &f);
    for (size_t i = 0; i < n && good; i++) {
        char uid[40];
        int64_t rows = 0;
        snprintf(uid, sizeof uid, "d%" PRIu64, ids[i]);
        if (db_get_i64(db, "SELECT count(*) FROM device d JOIN device_state t ON t.uid = d.uid JOIN event e ON e.device = d.uid AND e.device <> '' AND e.rev = 1 WHERE d.uid = $1",
                       DB_ARGS(DB_S(uid)), 0, &rows, &f))
            good = false;
        if (rows != 1 && ids[i] % 3 != 1) /* ids after a multiple of three may be changes of state */
            good = false;
        if (!good)
            printf("# %s: %lld rows\n", uid, (long long)rows);
    }
    db_close(db);
    return good;
}

int main(void)
{
    static uint64_t ids[400000];
    struct fault f = { 0 };
    log_setup("test", LOG_LEVEL_ERROR);
    site_new(&s);
    site_must(site_open(&s, &f), "open", &f);
    site_ask(&s, 0, &msg_desc_line_add, &(struct msg_line_add){ .name = SPAN_LIT("pump") });
    site_ask(&s, 0, &msg_desc_model_add, &(struct msg_model_add){ .name = SPAN_LIT("m1"), .line = SPAN_LIT("pump") });
    site_close(&s);
    srand(7);
    size_t n = 0;
    bool good = true;
    for (int round = 0; round < ROUNDS && good; round++) {
        int p[2];
        uint64_t id;
        site_must(pipe(p) ? CE_IO : CE_OK, "pipe", NULL);
        pid_t child = fork();
        if (child == 0) {
            close(p[0]);
            acks = p[1];
            load((uint64_t)(round + 1) * 3000000);
        }
        close(p[1]);
        usleep(60000 + (unsigned)(rand() % 150000));
        kill(child, SIGKILL);
        int status = 0;
        waitpid(child, &status, 0);
        size_t first = n;
        while (n < ARRAY_LEN(ids) && read(p[0], &id, sizeof id) == (ssize_t)sizeof id)
            ids[n++] = id;
        close(p[0]);
        good = WIFSIGNALED(status) && all_there(ids + first, n - first);
    }
    ok(good && n > 100, "after %d kills every one of %zu acknowledged requests is there", ROUNDS, n);
    ok(all_there(ids, n), "and still at the end");
    ok(site_count(&s, "SELECT count(*) - max(nseq) FROM event") == 0 && site_count(&s, "SELECT max(nseq) - (SELECT nseq FROM node) FROM event") == 0,
       "the stream is dense and ends where the node says");
    ok(!site_fold(&s, &f), "fold(events) = tables: %s", f.code ? f.text : "equal");
    site_remove(&s);
    return done();
}
