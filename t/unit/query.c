/* query.c (test): the query role's answers out of a real database: pages that cover everything once, filters, prefixes, scope, cursors
 * that are not ours, budget and cancel, events by vector, timelines, export and proofs that verify. */
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "core/evlog.h"
#include "crypt/hash.h"
#include "store/registry.h"
#include "store/schema.h"
#include "store/tag.h"
#include "store/topics.h"
#include "t/unit/query_ask.h"
#include "wire/checkpoint.h"
#include "wire/export.h"

enum { DEVICES = 3000, EVENTS = 3200 };
static char site[64], db_path[PATH_MAX_LEN], log_dir[PATH_MAX_LEN];
static void put_cert(struct db *db, int i, const char *uid, int64_t status)
{
    uint8_t kid[20] = {9}, serial[16] = {0x40}, spki[32] = {1};
    serial[1] = (uint8_t)(i >> 8);
    serial[2] = (uint8_t)i;
    must(db_run(db,
                "INSERT INTO cert (kid, serial, holder_kind, holder, profile, spki, not_before, not_after, issued_at, der) VALUES ($1, $2, "
                "2, $3, "
                "'device', $4, 1000, $5, $6, $7)",
                DB_ARGS(DB_B(span_of(kid, 20)), DB_B(span_of(serial, 16)), DB_S(uid), DB_B(span_of(spki, 32)), DB_I(clock_now_s() + 1000),
                        DB_I(1000 + i), DB_B(SPAN_LIT("DER"))),
                NULL, &f),
         "cert");
    if (status)
        must(db_run(db,
                    "INSERT INTO cert_state (kid, serial, status, revoked_at, reason, shard, not_after, first_used_at) VALUES ($1, $2, $3, "
                    "5, 1, 0, 9, 0)",
                    DB_ARGS(DB_B(span_of(kid, 20)), DB_B(span_of(serial, 16)), DB_I(status)), NULL, &f),
             "cert_state");
}

static void put_device(struct db *db, int i)
{
    char uid[32], serial[32], model[16], batch[16];
    snprintf(uid, sizeof uid, "PUMP-%05d", i);
    snprintf(serial, sizeof serial, "SN%05d", DEVICES - i);
    snprintf(model, sizeof model, "m%d", i % 4);
    snprintf(batch, sizeof batch, "b%d", i % 100);
    struct device_row d = {.uid = span_str(uid),
                           .serial = span_str(serial),
                           .model = span_str(model),
                           .line = span_str(i % 4 < 2 ? "pump" : "valve"),
                           .batch = span_str(batch),
                           .country = SPAN_LIT("DE"),
                           .created_by = SPAN_LIT("admin"),
                           .created_at = 1000000 + i,
                           .state = span_str(i % 50 ? "registered" : "revoked"),
                           .rev = 1,
                           .changed_at = 1000000 + i};
    must(store_device_add(db, &d, &f), "device");
    if (i % 50 == 0)
        must(db_run1(db, "UPDATE device_state SET state = 'revoked', rev = 2 WHERE uid = $1", DB_ARGS(DB_S(uid)), &f), "state");
    if (i % 30 == 0)
        must(store_tags_put(db, span_str(uid), i % 60 ? SPAN_LIT("odd\nspare\n") : SPAN_LIT("spare\n"), &f), "tags");
    put_cert(db, i, uid, i % 50 == 0);
}

static void put_event(struct db *db, int i)
{
    char payload[200], uid[32];
    uint8_t salt[32];
    snprintf(uid, sizeof uid, "PUMP-%05d", i % DEVICES);
    snprintf(payload, sizeof payload, "{\"at\":\"2026-11-20T22:57:00.%03dZ\",\"kind\":\"%s\",\"device\":\"%s\",\"rev\":%d}", i % 1000,
             i % 1000 ? "device-added" : "rare", uid, 1 + i / DEVICES);
    sha256(span_str(payload), salt);
    must(db_run(db, "INSERT INTO event (slot, nseq, at, kind, device, rev, salt, payload) VALUES (1, $1, $2, $3, $4, 1, $5, $6)",
                DB_ARGS(DB_I(i + 1), DB_I(1000000 + i), DB_S(i % 1000 ? "device-added" : "rare"), DB_S(uid), DB_B(span_of(salt, 32)),
                        DB_S(payload)),
                NULL, &f),
         "event");
}

static void fill(struct db *db)
{
    must(schema_create(db, &f), "schema");
    must(db_begin(db, &f), "begin");
    must(db_run(db, "INSERT INTO node (slot, nseq, epoch, beat, version, schema) VALUES (1, $1, 1, 0, '', 1)", DB_ARGS(DB_I(EVENTS)), NULL,
                &f),
         "node");
    struct line_row lines[2] = {{SPAN_LIT("pump"), SPAN_LIT("Pumps"), 0, SPAN_LIT("alarm"), 0, 1},
                                {SPAN_LIT("valve"), SPAN_LIT(""), 0, SPAN_LIT("alarm"), 0, 1}};
    for (int i = 0; i < 2; i++)
        must(store_line_add(db, &lines[i], &f), "line");
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        struct model_row m = {span_str(name), lines[i / 2].name, SPAN_LIT(""), SPAN_LIT("A"), 1};
        must(store_model_add(db, &m, &f), "model");
    }
    struct operator_row op = {SPAN_LIT("admin"), SPAN_LIT("admin"), SPAN_LIT("pump,valve"), SPAN_LIT("active"), 1, 1, 1};
    must(store_operator_add(db, &op, &f), "operator");
    op.name = SPAN_LIT("billing"), op.role = SPAN_LIT("backend"), op.lines = SPAN_LIT("");
    must(store_operator_add(db, &op, &f), "backend");
    const struct topics_row t = {SPAN_LIT("billing"), SPAN_LIT("d/+/down/#\n"), SPAN_LIT(""), SPAN_LIT("")};
    must(store_topics_put(db, TOPICS_BACKEND, &t, &f), "topics");
    for (int i = 0; i < DEVICES; i++)
        put_device(db, i);
    for (int i = 0; i < EVENTS; i++)
        put_event(db, i);
    must(db_commit(db, &f), "commit");
}

static void publish(struct db *db)
{
    struct evlog *l;
    struct evlog_config c = {db, log_dir, NULL, -1};
    struct merkle_hash root;
    int64_t size = 0;
    CLEANUP(buf_free) struct buf note = BUF_INIT(0);
    must(evlog_open(&c, &l, &f), "evlog");
    for (size_t n = 1; n;) {
        must(evlog_prepare(l, EVLOG_BATCH, &n, &f), "prepare");
        if (!n)
            break;
        must(evlog_poll(l, &f), "tiles");
        must(db_begin(db, &f), "begin");
        must(evlog_write(l, &f), "write");
        must(db_commit(db, &f), "commit");
        evlog_done(l, true);
    }
    ok(evlog_head_due(l, &size, &root) && size == EVENTS, "the log holds %lld events", (long long)size);
    struct checkpoint cp = {.origin = "test.example/log", .size = (uint64_t)size, .root = root};
    checkpoint_put(&cp, &note);
    buf_put_str(&note, "\n\xe2\x80\x94 test.example/log AAAAAAAA\n");
    must(db_begin(db, &f), "begin");
    must(evlog_head_write(l, buf_span(&note), 1, &f), "head");
    must(db_commit(db, &f), "commit");
    evlog_head_done(l, true);
    evlog_publish(l);
    must(evlog_poll(l, &f), "publish");
    evlog_close(l);
}

static void lists(void)
{
    bool asc;
    int pages;
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .limit = 500}, "uid", &asc, &pages) == DEVICES && asc && pages == 6,
       "all devices, each once, by UID");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices")}, "uid", &asc, &pages) == DEVICES && pages == DEVICES / 50,
       "pages of 50 when nothing is said");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .line = SPAN_LIT("valve"), .limit = 7}, "uid", &asc, &pages) == DEVICES / 2 &&
           asc,
       "one line");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .model = SPAN_LIT("m3"), .batch = SPAN_LIT("b7"), .limit = 500}, "uid", &asc,
            &pages) == 30 &&
           asc,
       "model and batch");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .state = SPAN_LIT("revoked"), .line = SPAN_LIT("pump")}, "uid", &asc, &pages) ==
               30 &&
           asc,
       "revoked ones of a line");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .q = SPAN_LIT("PUMP-01"), .limit = 33}, "uid", &asc, &pages) == 1000 && asc,
       "prefix of the UID");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .q = SPAN_LIT("SN0299"), .limit = 3}, "serial", &asc, &pages) == 10 && asc,
       "prefix of the serial number");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .q = SPAN_LIT("nothing")}, "uid", &asc, &pages) == 0,
       "a prefix that nothing has");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .scope = SPAN_LIT("pump"), .limit = 500}, "uid", &asc, &pages) == DEVICES / 2,
       "scope of one line");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .scope = SPAN_LIT("pump,valve"), .limit = 500}, "uid", &asc, &pages) == DEVICES,
       "scope of two lines");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .scope = SPAN_LIT("none")}, "uid", &asc, &pages) == 0, "scope without devices");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .tag = SPAN_LIT("spare"), .limit = 7}, "uid", &asc, &pages) == DEVICES / 30 && asc &&
           pages == DEVICES / 30 / 7,
       "devices with a tag, by its index");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .tag = SPAN_LIT("odd"), .batch = SPAN_LIT("b30")}, "uid", &asc, &pages) == 10 && asc,
       "a tag within a batch");
    ok(walk((struct msg_query){.what = SPAN_LIT("devices"), .tag = SPAN_LIT("odd"), .q = SPAN_LIT("PUMP-01")}, "uid", &asc, &pages) == 16 && asc,
       "a tag within a prefix");
    ok(walk((struct msg_query){.what = SPAN_LIT("certs"), .limit = 100}, "serial", &asc, &pages) == DEVICES && asc,
       "all certificates by serial number");
    ok(walk((struct msg_query){.what = SPAN_LIT("certs"), .state = SPAN_LIT("revoked"), .limit = 7}, "serial", &asc, &pages) == 60 && asc,
       "revoked certificates");
    ok(walk((struct msg_query){.what = SPAN_LIT("certs"), .q = SPAN_LIT("40001"), .limit = 7}, "serial", &asc, &pages) == 16 && asc,
       "odd prefix of a serial number");
    ok(walk((struct msg_query){.what = SPAN_LIT("certs"), .key = SPAN_LIT("PUMP-00017"), .limit = 1}, "serial", &asc, &pages) == 1,
       "certificates of a device");
    ok(walk((struct msg_query){.what = SPAN_LIT("certs"), .line = SPAN_LIT("pump"), .limit = 500}, "serial", &asc, &pages) == DEVICES / 2,
       "certificates of a line");
    ok(walk((struct msg_query){.what = SPAN_LIT("lines"), .limit = 1}, "name", &asc, &pages) == 2 && asc, "lines");
    ok(walk((struct msg_query){.what = SPAN_LIT("models"), .line = SPAN_LIT("valve")}, "name", &asc, &pages) == 2 && asc,
       "models of a line");
    ok(walk((struct msg_query){.what = SPAN_LIT("operators")}, "name", &asc, &pages) == 2 && asc, "operators");
}

static void topics(void)
{
    json_t *b;
    bool asc;
    int pages;
    ok(ask(&(struct msg_query){.what = SPAN_LIT("lines"), .limit = 1}, &b, NULL) == CE_OK, "a line");
    const json_t *write = json_object_get(json_array_get(json_object_get(b, "items"), 0), "write");
    ok(json_array_size(write) == 1 && strcmp(json_string_value(json_array_get(write, 0)), "d/%u/up/#") == 0, "has the default topics");
    json_decref(b);
    ok(ask(&(struct msg_query){.what = SPAN_LIT("backends")}, &b, NULL) == CE_OK, "backends");
    const json_t *item = json_array_get(json_object_get(b, "items"), 0);
    ok(json_array_size(json_object_get(item, "write")) == 1 && json_array_size(json_object_get(item, "read")) == 0, "have the topics that are set, and no others");
    json_decref(b);
    ok(walk((struct msg_query){.what = SPAN_LIT("backends"), .scope = SPAN_LIT("pump")}, "name", &asc, &pages) == 0, "somebody bound to a line sees none");
    struct msg_reply rep;
    ok(ask(&(struct msg_query){.what = SPAN_LIT("policy")}, &b, &rep) == CE_OK && rep.body_kind == BODY_TEXT &&
           span_eq_str(rep.body, "cradle-policy 1\nline pump alarm\n w d/%u/up/#\n r d/%u/down/#\n q d/%u/repair/#\nline valve alarm\n w d/%u/up/#\n r d/%u/down/#\n"
                                 " q d/%u/repair/#\nbackend billing\n w d/+/down/#\n"), "the policy");
    ok(ask(&(struct msg_query){.what = SPAN_LIT("policy"), .scope = SPAN_LIT("valve")}, &b, &rep) == CE_OK &&
           span_eq_str(rep.body, "cradle-policy 1\nline valve alarm\n w d/%u/up/#\n r d/%u/down/#\n q d/%u/repair/#\n"), "and what it says of one line");
}

static void singles(void)
{
    json_t *b;
    struct msg_reply rep;
    ok(ask(&(struct msg_query){.what = SPAN_LIT("device"), .key = SPAN_LIT("PUMP-00050")}, &b, &rep) == CE_OK && rep.rev == 2,
       "one device, its rev for the ETag");
    ok(strcmp(json_string_value(json_object_get(b, "state")), "revoked") == 0 && json_array_size(json_object_get(b, "certs")) == 1 &&
           json_is_null(json_object_get(b, "last_seen")),
       "its fields and certificates");
    json_decref(b);
    ok(ask(&(struct msg_query){.what = SPAN_LIT("device"), .key = SPAN_LIT("nobody")}, &b, &rep) == CE_UID_UNKNOWN,
       "unknown UID: " SPAN_FMT, SPAN_ARG(rep.text));
    ok(ask(&(struct msg_query){.what = SPAN_LIT("device"), .key = SPAN_LIT("PUMP-00002"), .scope = SPAN_LIT("pump")}, &b, &rep) ==
           CE_LINE_FORBIDDEN,
       "device out of scope");
    ok(ask(&(struct msg_query){.what = SPAN_LIT("cert"), .key = SPAN_LIT("40003200000000000000000000000000")}, &b, &rep) == CE_OK,
       "one certificate");
    ok(b && strcmp(json_string_value(json_object_get(b, "status")), "revoked") == 0, "is revoked");
    json_decref(b);
    ok(ask(&(struct msg_query){.what = SPAN_LIT("cert"), .key = SPAN_LIT("40003200000000000000000000000000"), .kind = SPAN_LIT("der")}, &b,
           &rep) == CE_OK &&
           rep.body_kind == BODY_CERT && span_eq_str(rep.body, "DER"),
       "the certificate itself");
    ok(ask(&(struct msg_query){.what = SPAN_LIT("cert"), .key = SPAN_LIT("4000ff")}, &b, &rep) == CE_NOT_FOUND, "no such certificate");
    ok(ask(&(struct msg_query){.what = SPAN_LIT("everything")}, &b, &rep) == CE_NOT_FOUND, "no such list");
}

static void cursors(void)
{
    json_t *b;
    char good[1100];
    static const char *const bad[] = {"x", "00", "deadbeef00", "zz", "0000000000000000"};
    int refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refused += ask(&(struct msg_query){.what = SPAN_LIT("devices"), .after = span_str(bad[i])}, &b, NULL) == CE_BAD_CURSOR;
    ok(refused == (int)ARRAY_LEN(bad), "cursors that are none are refused");
    ok(ask(&(struct msg_query){.what = SPAN_LIT("lines"), .limit = 1}, &b, NULL) == CE_OK, "a cursor of another list");
    snprintf(good, sizeof good, "%s", json_string_value(json_object_get(b, "next")));
    json_decref(b);
    ok(ask(&(struct msg_query){.what = SPAN_LIT("models"), .after = span_str(good)}, &b, NULL) == CE_BAD_CURSOR, "is refused");
    good[strlen(good) - 1] ^= 1;
    ok(ask(&(struct msg_query){.what = SPAN_LIT("lines"), .after = span_str(good)}, &b, NULL) == CE_BAD_CURSOR, "a changed one too");
    ok(ask(&(struct msg_query){.what = SPAN_LIT("events"), .after = SPAN_LIT("1:2,1:3")}, &b, NULL) == CE_BAD_CURSOR,
       "a vector that repeats a slot");
    ok(ask(&(struct msg_query){.what = SPAN_LIT("export"), .after = SPAN_LIT("-3")}, &b, NULL) == CE_BAD_CURSOR, "an index below 0");
}

static const char *field(json_t *b, const char *name)
{
    const char *v = json_string_value(json_object_get(b, name));
    return v ? v : "";
}

static void events(void)
{
    json_t *b;
    char after[1100] = "";
    int n = 0, rare = 0, pages = 0;
    do {
        if (ask(&(struct msg_query){.what = SPAN_LIT("events"), .limit = 500, .after = span_str(after)}, &b, NULL))
            break;
        n += (int)json_array_size(json_object_get(b, "items"));
        snprintf(after, sizeof after, "%s", field(b, "next"));
        json_decref(b);
    } while (*after && ++pages < 100);
    ok(n == EVENTS, "all events by vector (%d)", n);
    *after = 0;
    do {
        if (ask(&(struct msg_query){.what = SPAN_LIT("events"), .kind = SPAN_LIT("rare"), .after = span_str(after)}, &b, NULL))
            break;
        rare += (int)json_array_size(json_object_get(b, "items"));
        snprintf(after, sizeof after, "%s", field(b, "next"));
        json_decref(b);
    } while (*after && ++pages < 100);
    ok(rare == 4, "events of one kind (%d)", rare);
    ok(!ask(&(struct msg_query){.what = SPAN_LIT("events"), .after = SPAN_LIT("now")}, &b, NULL) &&
           strcmp(field(b, "vector"), "1:3200") == 0 && json_array_size(json_object_get(b, "items")) == 0,
       "where a follower begins");
    json_decref(b);
    ok(!ask(&(struct msg_query){.what = SPAN_LIT("events"), .after = SPAN_LIT("-5")}, &b, NULL) &&
           json_array_size(json_object_get(b, "items")) == 5,
       "the newest five");
    json_decref(b);
    ok(!ask(&(struct msg_query){.what = SPAN_LIT("events"), .key = SPAN_LIT("PUMP-00007")}, &b, NULL) &&
           json_array_size(json_object_get(b, "items")) == 2 && strcmp(field(b, "vector"), "1:3200") == 0,
       "events of one device");
    json_decref(b);
    ok(!ask(&(struct msg_query){.what = SPAN_LIT("timeline"), .key = SPAN_LIT("PUMP-00007"), .limit = 1}, &b, NULL),
       "a timeline's first page");
    ok(json_integer_value(json_object_get(json_array_get(json_object_get(b, "items"), 0), "index")) == 7, "with the leaf's index");
    snprintf(after, sizeof after, "%s", field(b, "next"));
    json_decref(b);
    ok(!ask(&(struct msg_query){.what = SPAN_LIT("timeline"), .key = SPAN_LIT("PUMP-00007"), .after = span_str(after)}, &b, NULL) &&
           json_array_size(json_object_get(b, "items")) == 1 && json_is_null(json_object_get(b, "next")),
       "and the second");
    json_decref(b);
}

static void export_and_proof(void)
{
    json_t *b, *item;
    struct arena a = {0};
    static struct merkle_hash leaves[EVENTS];
    struct merkle_hash root;
    struct checkpoint cp = {0};
    struct merkle_proof p = {0};
    char after[64] = "";
    size_t i, n = 0;
    bool good = true;
    do {
        if (ask(&(struct msg_query){.what = SPAN_LIT("export"), .limit = 500, .after = span_str(after)}, &b, NULL))
            break;
        json_array_foreach(json_object_get(b, "items"), i, item)
        {
            char *text = json_dumps(item, JSON_COMPACT);
            struct export_line l;
            good &= !export_line_parse(span_str(text), &a, &l, &f) && l.kind == EXPORT_LEAF && l.index == (int64_t)n && n < EVENTS;
            merkle_leaf(span_of(l.entry, 32), &leaves[n++]);
            free(text);
        }
        good &= !checkpoint_open(NULL, span_str(field(b, "checkpoint")), &cp, &f);
        snprintf(after, sizeof after, "%s", field(b, "next"));
        json_decref(b);
    } while (*after && n < EVENTS);
    merkle_root(leaves, n, &root);
    ok(good && n == EVENTS && cp.size == n && merkle_eq(&root, &cp.root), "the exported leaves give the published root");
    ok(!ask(&(struct msg_query){.what = SPAN_LIT("proof"), .key = SPAN_LIT("1234")}, &b, NULL), "a proof");
    json_array_foreach(json_object_get(b, "path"), i, item)
    {
        CLEANUP(buf_free) struct buf h = BUF_INIT(32);
        good &= !hex_decode(span_str(json_string_value(item)), &h) && h.len == 32;
        memcpy(p.h[p.n++].b, h.data, 32);
    }
    ok(good && !merkle_inclusion_verify(&leaves[1234], 1234, cp.size, &p, &root), "of leaf 1234 verifies");
    json_decref(b);
    ok(ask(&(struct msg_query){.what = SPAN_LIT("proof"), .key = SPAN_LIT("3200")}, &b, NULL) == CE_NOT_FOUND, "no proof beyond the log");
    ok(ask(&(struct msg_query){.what = SPAN_LIT("proof"), .key = SPAN_LIT("x")}, &b, NULL) == CE_BAD_FIELD, "no proof without an index");
    arena_free(&a);
}

static int gone_calls;
static bool gone(void *ctx, uint64_t rid)
{
    (void)ctx;
    gone_calls += rid == 77;
    return true;
}

static void budget(void)
{
    json_t *b;
    struct msg_reply rep;
    query_set_budget(q, 0);
    ok(ask(&(struct msg_query){.what = SPAN_LIT("devices"), .limit = 500}, &b, &rep) == CE_BUDGET && rep.retry_s == 1,
       "a statement over its budget: " SPAN_FMT, SPAN_ARG(rep.text));
    query_set_budget(q, 50);
    ok(ask(&(struct msg_query){.what = SPAN_LIT("devices"), .limit = 500}, &b, &rep) == CE_OK, "the next one is not touched by it");
    json_decref(b);
    query_set_budget(q, 100000);
    query_set_gone(q, gone, NULL);
    enum err e = CE_OK;
    for (int i = 0; i < 200 && e == CE_OK; i++) { /* a look is due every 10 ms of one statement: the machine may be too fast for one */
        e = ask(&(struct msg_query){.what = SPAN_LIT("certs"), .state = SPAN_LIT("none")}, &b, &rep);
        json_decref(b);
    }
    ok(e == CE_TIMEOUT ? gone_calls > 0 : gone_calls == 0,
       "a client that has gone ends its statement, when it is long enough to be asked about");
    query_set_gone(q, NULL, NULL);
}

int main(void)
{
    struct db *db;
    char cmd[128];
    snprintf(site, sizeof site, "/tmp/cradle-query-XXXXXX");
    if (!mkdtemp(site))
        return 1;
    path_join(db_path, "%s/cradle.db", site);
    path_join(log_dir, "%s/log", site);
    must(db_open(db_path, DB_CREATE, &db, &f), "db");
    fill(db);
    publish(db);
    must(query_open(db_path, log_dir, &q, &f), "query_open");
    query_set_budget(q, 100000); /* other work on the machine is none of the test's business */
    lists();
    topics();
    singles();
    cursors();
    events();
    export_and_proof();
    budget();
    struct ipc_frame bad = {MSG_QUERY, 1, SPAN_LIT("short")};
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    ok(query_handle(q, &bad, &out) == CE_BAD_FRAME && out.len == 0, "a frame that is not ours");
    query_close(q);
    db_close(db);
    snprintf(cmd, sizeof cmd, "rm -rf %s", site);
    return system(cmd) ? 1 : done();
}
