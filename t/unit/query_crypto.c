/* query_crypto.c (test): algorithms in use by kept counts, out of a real database: after certificates, renewals, revocations and updates the counts are what a
 * scan counts. With N in CRADLE_DEVICES (default 2000) the same questions over N devices, each timed. */
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/crypto.h"
#include "store/order.h"
#include "store/registry.h"
#include "store/schema.h"
#include "t/unit/query_ask.h"

#define DAY 86400
static int64_t n_devices;
static struct db *db;

static void put_cert(int64_t i, int renewal, const char *key_alg, const char *sig_alg)
{
    char uid[32];
    uint8_t serial[16] = { 1, (uint8_t)renewal }, kid[20] = { 9 };
    snprintf(uid, sizeof uid, "%s-%07lld", i % 4 ? "vib" : "pump", (long long)i);
    memcpy(serial + 8, &i, sizeof i);
    const struct crypto_row c = { span_str(uid), span_of(kid, 20), span_of(serial, 16), span_str(key_alg), span_str(sig_alg), (14610 + i % 700 + renewal * 365) * DAY };
    struct arena arena = { 0 };
    must(store_crypto_put(db, &arena, &c, &f), "crypto");
    arena_free(&arena);
}

static void put_device(int64_t i)
{
    char uid[32];
    bool pump = i % 4 == 0;
    snprintf(uid, sizeof uid, "%s-%07lld", pump ? "pump" : "vib", (long long)i);
    const struct device_row d = { .uid = span_str(uid), .model = SPAN_LIT("m1"), .line = span_str(pump ? "pump" : "vib"), .created_by = SPAN_LIT("a"), .created_at = 1,
                                  .state = SPAN_LIT("active"), .rev = 1 };
    must(store_device_add(db, &d, &f), "device");
    put_cert(i, 0, i % 10 ? "ec:P-256" : "rsa:3072", "ecdsa-sha256");
    const struct version_row v = { .uid = d.uid, .line = d.line, .release = span_str(i % 3 ? "r2" : "r1"), .version = SPAN_LIT("1"), .counter_floor = 1, .confirmed_at = 1, .sequence = 1 };
    if (i % 5)
        must(store_version_put(db, &v, &f), "version");
}

static int64_t count(const char *sql)
{
    int64_t n = -1;
    must(db_get_i64(db, sql, DB_NOARGS, -1, &n, &f), sql);
    return n;
}

/* What is counted must be what there is. */
static void counts_right(const char *what)
{
    ok(count("SELECT count(*) FROM (SELECT line, release, key_alg, sig_alg, month, n FROM crypto_count WHERE n <> 0 EXCEPT "
             "SELECT line, release, key_alg, sig_alg, month, count(*) FROM device_crypto GROUP BY line, release, key_alg, sig_alg, month)") == 0 &&
           count("SELECT COALESCE(sum(n), 0) FROM crypto_count") == count("SELECT count(*) FROM device_crypto"), "the counts are right %s", what);
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

static int64_t total(const json_t *o, const char *list, const char *key, const char *value)
{
    int64_t n = 0;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(o, list), i, row)
        if (!key || strcmp(json_string_value(json_object_get(row, key)), value) == 0)
            n += json_integer_value(json_object_get(row, "devices"));
    return n;
}

static void test_life(void)
{
    counts_right("after certificates and updates");
    for (int64_t i = 0; i < 50; i++)
        put_cert(i, 1, i % 2 ? "ml-dsa-65" : "ec:P-384", "ml-dsa-65");
    counts_right("after renewals with other keys");
    ok(count("SELECT count(*) FROM device_crypto WHERE key_alg = 'ml-dsa-65'") == 25 && count("SELECT sum(n) FROM crypto_count WHERE key_alg = 'ml-dsa-65'") == 25, "the new keys");
    ok(count("SELECT count(*) FROM device_crypto WHERE uid = 'vib-0000001' AND release = 'r2'") == 1, "a renewal keeps the release");
    for (int64_t i = 1; i < 50; i += 2) {
        char uid[32];
        uint8_t serial[16] = { 1, (uint8_t)(i % 4 == 1) }, kid[20] = { 9 };
        snprintf(uid, sizeof uid, "vib-%07lld", (long long)i);
        memcpy(serial + 8, &i, sizeof i);
        must(store_crypto_drop(db, span_str(uid), span_of(kid, 20), span_of(serial, 16), &f), "drop");
    }
    counts_right("after revocations");
    ok(count("SELECT count(*) FROM device_crypto WHERE key_alg = 'ml-dsa-65'") == 12, "who lost the certificate in use counts no more, who lost an older one does");
}

static void test_answers(void)
{
    bool asc;
    int pages;
    json_t *o = asked((struct msg_query){ .limit = 0 }, "crypto");
    ok(total(o, "devices", NULL, NULL) == n_devices - 13 && total(o, "service", NULL, NULL) == n_devices - 13, "every device is counted once: by end, and by release");
    ok(total(o, "devices", "key_alg", "ml-dsa-65") == 12 && total(o, "service", "key_alg", "ml-dsa-65") == 12, "by key");
    ok(total(o, "service", "support_end", "2041-06-30") == count("SELECT count(*) FROM device_crypto WHERE line = 'vib' AND release = 'r2'"), "with the end of the support of what they run");
    json_decref(o);
    o = asked((struct msg_query){ .scope = SPAN_LIT("pump") }, "crypto");
    ok(total(o, "devices", NULL, NULL) == total(o, "devices", "line", "pump") && total(o, "service", "line", "vib") == 0, "a caller bound to a line sees that line");
    json_decref(o);
    o = asked((struct msg_query){ .kind = SPAN_LIT("ml-dsa-65"), .limit = 500 }, "crypto_devices");
    ok(json_array_size(json_object_get(o, "items")) == 12, "the devices with a kind of key");
    json_decref(o);
    ok(ask(&(struct msg_query){ .what = SPAN_LIT("crypto_devices") }, &o, NULL) == CE_BAD_FIELD, "which kind has to be said");
    if (n_devices > 10000)
        return;
    for (int64_t limit = 7; limit <= 500; limit = limit * 3 + 2)
        ok(walk((struct msg_query){ .what = SPAN_LIT("crypto_devices"), .kind = SPAN_LIT("ec:P-256"), .limit = limit }, "uid", &asc, &pages) ==
               count("SELECT count(*) FROM device_crypto WHERE key_alg = 'ec:P-256'"), "all of them in pages of %lld", (long long)limit);
    ok(walk((struct msg_query){ .what = SPAN_LIT("crypto_devices"), .kind = SPAN_LIT("ec:P-256"), .line = SPAN_LIT("pump"), .limit = 33 }, "uid", &asc, &pages) ==
           count("SELECT count(*) FROM device_crypto WHERE key_alg = 'ec:P-256' AND line = 'pump'"), "and those of one line");
}

int main(void)
{
    char dir[] = "/tmp/cradle-query-crypto-XXXXXX", path[PATH_MAX_LEN];
    const char *n = getenv("CRADLE_DEVICES");
    n_devices = n ? atoll(n) : 2000;
    if (!mkdtemp(dir))
        return 1;
    path_join(path, "%s/cradle.db", dir);
    must(db_open(path, DB_CREATE, &db, &f), "open");
    must(schema_create(db, &f), "schema");
    must(db_begin(db, &f), "begin");
    must(db_ddl(db, "INSERT INTO release (line, name, version, path, sha256, sbom_sha256, support_end, counter, length, security_only, withdrawn, added_at, min_version, "
                    "handler, models, hw_revs) VALUES ('vib', 'r2', '1', 'p', '', '', '2041-06-30', 1, 1, 0, 0, 1, '', 'raw', '', '')", &f), "release");
    for (int64_t i = 0; i < n_devices; i++)
        put_device(i);
    must(db_commit(db, &f), "commit");
    test_life();
    must(query_open(path, dir, &q, &f), "query");
    query_set_budget(q, 100000); /* other work on the machine is none of the test's business */
    test_answers();
    query_close(q);
    db_close(db);
    snprintf(path, sizeof path, "rm -rf %s", dir);
    return system(path) ? 1 : done();
}
