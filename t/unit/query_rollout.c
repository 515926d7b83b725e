/* query_rollout.c (test): what people ask about rollouts, out of a real database: counts by wave, members by state, who runs a release and who is
 * behind, what one device has run. With N in CRADLE_DEVICES (default 2000) the same questions over N devices, each timed. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/order.h"
#include "store/registry.h"
#include "store/rollout.h"
#include "store/schema.h"
#include "store/update.h"
#include "t/unit/query_ask.h"

static int64_t n_devices;
static const char *const states[] = { "confirmed", "confirmed", "confirmed", "confirmed", "confirmed", "confirmed", "confirmed", "confirmed", "failed", "waiting" };

static void put_release(struct db *db, const char *name, const char *version)
{
    uint8_t digest[32] = { 7 };
    const struct release_row r = { .line = SPAN_LIT("vib"), .name = span_str(name), .version = span_str(version), .path = SPAN_LIT("vib/r/fw.bin"),
                                   .sha256 = span_of(digest, 32), .sbom_sha256 = span_of(digest, 32), .support_end = SPAN_LIT("2031-12-31"), .counter = 1,
                                   .length = 5, .added_at = 1, .handler = SPAN_LIT("raw"), .models = SPAN_LIT("m1\n"), .hw_revs = SPAN_LIT("\n") };
    must(store_release_add(db, &r, &f), "release");
}

static void put_device(struct db *db, int64_t i)
{
    char uid[32];
    bool old = i % 10 >= 8;
    snprintf(uid, sizeof uid, "vib-%07lld", (long long)i);
    const struct device_row d = { .uid = span_str(uid), .model = SPAN_LIT("m1"), .line = SPAN_LIT("vib"), .created_by = SPAN_LIT("a"), .created_at = 1,
                                  .state = SPAN_LIT("active"), .rev = 1 };
    must(store_device_add(db, &d, &f), "device");
    const struct version_row v = { .uid = span_str(uid), .line = SPAN_LIT("vib"), .release = span_str(old ? i % 20 == 8 ? "r1" : "r9-beta" : "r7"),
                                   .version = span_str(old ? i % 20 == 8 ? "1.6.0" : "1.9.0" : "1.7.0"), .counter_floor = 1, .confirmed_at = 2000 + i, .sequence = 1 };
    must(store_version_put(db, &v, &f), "version");
    must(db_run(db, "INSERT INTO rollout_device (rollout, uid, wave, state, sequence, since) VALUES ('r7-all', $1, $2, $3, 1, $4)",
                DB_ARGS(DB_S(uid), DB_I(i % 100 ? 2 : 1), DB_S(states[i % 10]), DB_I(1000000 + i * 1000)), NULL, &f), "member");
    if (strcmp(states[i % 10], "confirmed") == 0)
        must(store_pace_add(db, SPAN_LIT("r7-all"), 1000000 + i * 1000, 1, &f), "pace");
}

static void put_count(struct db *db, int64_t wave, const char *state, int64_t n)
{
    must(db_run(db, "INSERT INTO rollout_count (rollout, wave, state, n) VALUES ('r7-all', $1, $2, $3) ON CONFLICT (rollout, wave, state) DO UPDATE SET n = n + $3",
                DB_ARGS(DB_I(wave), DB_S(state), DB_I(n)), NULL, &f), "count");
}

static void put_rollout(struct db *db)
{
    must(db_ddl(db, "INSERT INTO rollout (name, line, release, of_rollout, q_model, q_batch, q_country, q_version, q_tag, timeout_s, from_min, to_min, forced, "
                    "max_active, note, state, why, wave, rev, created_at, created_by, started_at, changed_at) VALUES ('r7-all', 'vib', 'r7', '', '', '', '', '', "
                    "'', 86400, 1320, 300, 0, 0, '', 'running', '', 2, 3, 1, 'ann', 1000000, 2)", &f), "rollout");
    must(db_ddl(db, "INSERT INTO rollout_wave (rollout, wave, percent, devices, tag, success_percent, error_percent, soak_s, opened_at, filled_at, reached_at, excused) VALUES ('r7-all', 1, 1, 0, '', 95, 3, 0, 5, 0, 0, 0), ('r7-all', 2, 100, 0, '', 90, 5, 0, 0, 0, 0, 0)", &f), "waves");
    must(db_ddl(db, "INSERT INTO rollout_approval (rollout, by_whom, at) VALUES ('r7-all', 'bob', 1)", &f), "approval");
    for (int k = 0; k < 10; k++) { /* every hundredth device, those with a remainder of 0, is in the first wave */
        int64_t first = k ? 0 : n_devices / 100;
        put_count(db, 2, states[k], n_devices / 10 - first);
        if (first)
            put_count(db, 1, states[k], first);
    }
}

static void put_history(struct db *db)
{
    static const char *const kinds[] = { "firmware-ordered", "firmware-downloading", "firmware-confirmed" };
    uint8_t salt[32] = { 0 };
    for (int i = 0; i < 3; i++)
        must(db_run(db, "INSERT INTO event (slot, nseq, at, kind, device, rev, salt, payload) VALUES (1, $1, $2, $3, 'vib-0000001', 0, $4, $5)",
                    DB_ARGS(DB_I(i + 1), DB_I(1000 + i), DB_S(kinds[i]), DB_B(span_of(salt, 32)),
                            DB_S("{\"sequence\":1,\"rollout\":\"r7-all\",\"release\":\"r7\",\"version\":\"1.7.0\",\"by\":\"ann\"}")), NULL, &f), "event");
}

static json_t *asked(struct msg_query m, const char *what)
{
    json_t *o = NULL;
    int64_t t = clock_mono_us();
    m.what = span_str(what);
    enum err e = ask(&m, &o, NULL);
    t = clock_mono_us() - t;
    printf("# %-16s %7.2f ms at %lld devices\n", what, (double)t / 1000, (long long)n_devices);
    ok(e == CE_OK && o, "%s is answered (%s)", what, err_text(e));
    return o;
}
static int64_t num(const json_t *o, const char *a, const char *b) { return json_integer_value(json_object_get(b ? json_object_get(o, a) : o, b ? b : a)); }

static void test_rollout(void)
{
    json_t *o = asked((struct msg_query){ .key = SPAN_LIT("r7-all") }, "rollout");
    const json_t *waves = json_object_get(o, "waves");
    ok(num(o, "counts", "total") == n_devices && num(o, "counts", "confirmed") == n_devices * 8 / 10 && num(o, "counts", "failed") == n_devices / 10,
       "counts of the whole");
    ok(json_array_size(waves) == 2 && num(json_array_get(waves, 0), "counts", "confirmed") == n_devices / 100 &&
           num(json_array_get(waves, 1), "counts", "waiting") == n_devices / 10, "counts of each wave");
    ok(strcmp(json_string_value(json_object_get(json_object_get(o, "window"), "from")), "22:00") == 0 && json_array_size(json_object_get(o, "approvals")) == 1,
       "window and approvals");
    /* the half of the group has confirmed after 5/8 of the time, none 90 % */
    ok(num(o, "times", "p50_s") == n_devices / 2 / 8 * 10 - 3 && json_is_null(json_object_get(json_object_get(o, "times"), "p90_s")), "time to the half: %lld s",
       (long long)num(o, "times", "p50_s"));
    json_decref(o);
    o = asked((struct msg_query){ .line = SPAN_LIT("vib") }, "rollouts");
    ok(json_array_size(json_object_get(o, "items")) == 1, "the list has it");
    json_decref(o);
    ok(ask(&(struct msg_query){ .what = SPAN_LIT("rollout"), .key = SPAN_LIT("none") }, &o, NULL) == CE_NOT_FOUND, "an unknown one");
    ok(ask(&(struct msg_query){ .what = SPAN_LIT("rollout"), .key = SPAN_LIT("r7-all"), .scope = SPAN_LIT("pump") }, &o, NULL) == CE_LINE_FORBIDDEN, "one of another's line");
    o = asked((struct msg_query){ .key = SPAN_LIT("r7-all"), .state = SPAN_LIT("failed"), .limit = 500 }, "rollout_devices");
    ok((int64_t)json_array_size(json_object_get(o, "items")) == (n_devices / 10 < 500 ? n_devices / 10 : 500), "members that failed");
    json_decref(o);
}

static void test_release(void)
{
    json_t *o = asked((struct msg_query){ .line = SPAN_LIT("vib"), .key = SPAN_LIT("r7") }, "release");
    ok(num(o, "on", NULL) == n_devices * 8 / 10 && num(o, "behind", NULL) == n_devices / 20 && json_is_true(json_object_get(o, "behind_exact")), "all are counted: on, behind");
    ok(json_array_size(json_object_get(o, "rollouts")) == 1, "how many run it");
    json_decref(o);
    o = asked((struct msg_query){ .line = SPAN_LIT("vib"), .key = SPAN_LIT("r7"), .kind = SPAN_LIT("behind"), .limit = 100 }, "release_devices");
    const json_t *d = json_array_get(json_object_get(o, "items"), 0);
    ok(json_array_size(json_object_get(o, "items")) >= 100 && d && strcmp(json_string_value(json_object_get(d, "release")), "r1") == 0, "who is behind, and no other");
    json_decref(o);
    if (n_devices > 10000)
        return;
    bool asc;
    int pages;
    ok(walk((struct msg_query){ .what = SPAN_LIT("release_devices"), .line = SPAN_LIT("vib"), .key = SPAN_LIT("r7"), .limit = 33 }, "uid", &asc, &pages) == n_devices * 8 / 10 && asc,
       "all that run it, each once");
    for (int64_t limit = 7; limit <= 500; limit = limit * 3 + 2)
        ok(walk((struct msg_query){ .what = SPAN_LIT("release_devices"), .line = SPAN_LIT("vib"), .key = SPAN_LIT("r7"), .kind = SPAN_LIT("behind"), .limit = limit }, "uid", &asc,
                &pages) == n_devices / 20, "all that are behind, in pages of %lld", (long long)limit);
    ok(walk((struct msg_query){ .what = SPAN_LIT("rollout_devices"), .key = SPAN_LIT("r7-all"), .state = SPAN_LIT("failed"), .limit = 7 }, "uid", &asc, &pages) ==
           n_devices / 10, "all members that failed, each once");
    ok(walk((struct msg_query){ .what = SPAN_LIT("release_devices"), .line = SPAN_LIT("vib"), .key = SPAN_LIT("r9-beta"), .kind = SPAN_LIT("behind"), .limit = 50 }, "uid", &asc,
            &pages) == n_devices * 17 / 20, "of a release whose name comes last");
}

static void counted(const char *of, struct msg_query m, int64_t want)
{
    json_t *o = asked(m, "device_count");
    int64_t got = num(o, "matched", NULL);
    bool exact = json_is_true(json_object_get(o, "exact"));
    printf("# %s: %s%lld\n", of, exact ? "" : "at least ", (long long)got);
    ok(exact ? got == want : got > 0 && got < want && n_devices > 100000, "%s", of);
    json_decref(o);
}

static void test_count(void)
{
    counted("all devices", (struct msg_query){ 0 }, n_devices);
    counted("of a model", (struct msg_query){ .model = SPAN_LIT("m1") }, n_devices);
    counted("of a line", (struct msg_query){ .line = SPAN_LIT("vib") }, n_devices);
    counted("of a line and model", (struct msg_query){ .line = SPAN_LIT("vib"), .model = SPAN_LIT("m1") }, n_devices);
    counted("that run a version", (struct msg_query){ .line = SPAN_LIT("vib"), .q = SPAN_LIT("1.6.0") }, n_devices / 20);
    counted("in a state", (struct msg_query){ .line = SPAN_LIT("vib"), .state = SPAN_LIT("active") }, n_devices);
    counted("with a tag", (struct msg_query){ .tag = SPAN_LIT("lab") }, 3);
    counted("with a tag, of a model", (struct msg_query){ .tag = SPAN_LIT("lab"), .model = SPAN_LIT("m1") }, 3);
    counted("none", (struct msg_query){ .tag = SPAN_LIT("lab"), .country = SPAN_LIT("DE") }, 0);
    counted("within what the caller may see", (struct msg_query){ .scope = SPAN_LIT("pump, vib"), .tag = SPAN_LIT("lab") }, 3);
    counted("of a line that is not the caller's", (struct msg_query){ .line = SPAN_LIT("vib"), .scope = SPAN_LIT("pump") }, 0);
    query_set_budget(q, 0);
    json_t *o = asked((struct msg_query){ .model = SPAN_LIT("m1") }, "device_count");
    ok(json_is_false(json_object_get(o, "exact")) && num(o, "matched", NULL) < n_devices, "without time: at least some");
    json_decref(o);
    query_set_budget(q, 100000);
}

static void test_firmware(void)
{
    json_t *o = asked((struct msg_query){ .key = SPAN_LIT("vib-0000001") }, "firmware");
    const json_t *items = json_object_get(o, "items"), *last = json_array_get(items, 1);
    ok(json_array_size(items) == 2 && strcmp(json_string_value(json_object_get(last, "kind")), "firmware-confirmed") == 0, "orders and what became of them");
    ok(json_array_size(json_object_get(last, "approvals")) == 1 && json_object_get(last, "sbom_sha256") && json_object_get(json_object_get(o, "now"), "version"),
       "with approvals, the parts list and what runs now");
    json_decref(o);
}

int main(void)
{
    char dir[] = "/tmp/cradle-query-rollout-XXXXXX", path[PATH_MAX_LEN];
    CLEANUP(db_close_p) struct db *db = NULL;
    const char *n = getenv("CRADLE_DEVICES");
    n_devices = n ? atoll(n) : 2000;
    if (!mkdtemp(dir))
        return 1;
    path_join(path, "%s/cradle.db", dir);
    must(db_open(path, DB_CREATE, &db, &f), "open");
    must(schema_create(db, &f), "schema");
    must(db_begin(db, &f), "begin");
    put_release(db, "r1", "1.6.0");
    put_release(db, "r7", "1.7.0");
    put_release(db, "r9-beta", "1.9.0");
    for (int64_t i = 0; i < n_devices; i++)
        put_device(db, i);
    put_rollout(db);
    for (int i = 0; i < 3; i++)
        must(db_run(db, "INSERT INTO device_tag (uid, tag) VALUES ($1, 'lab')", DB_ARGS(DB_S(i ? i == 1 ? "vib-0000009" : "vib-0001999" : "vib-0000000")), NULL, &f), "tag");
    put_history(db);
    must(db_commit(db, &f), "commit");
    must(query_open(path, dir, &q, &f), "query");
    query_set_budget(q, 100000); /* other work on the machine is none of the test's business */
    test_rollout();
    test_release();
    test_firmware();
    test_count();
    query_close(q);
    snprintf(path, sizeof path, "rm -rf %s", dir);
    return system(path) ? 1 : done();
}
