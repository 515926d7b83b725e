/* query_cut.c: the reports of incidents out of a database with many cuts: each once on some page, filters, the decision that each answers
 * to, sessions that should have been cut and were not, drills the newest first.
 */
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/edge.h"
#include "store/presence.h"
#include "store/registry.h"
#include "store/schema.h"
#include "t/unit/query_ask.h"

#define CUTS 3000
#define DRILLS 120
static struct db *db;
static int64_t nseq, now;

static int64_t event_put(int64_t at, const char *kind, const char *uid, const char *payload)
{
    must(db_run(db, "INSERT INTO event (slot, nseq, at, kind, device, rev, salt, payload) VALUES (1, $1, $2, $3, $4, 1, $5, $6)",
                DB_ARGS(DB_I(++nseq), DB_I(at), DB_S(kind), DB_S(uid), DB_B(SPAN_LIT("salt")), DB_S(payload)), NULL, &f),
         kind);
    return nseq;
}

static void device_put(const char *uid, const char *line, const char *state)
{
    const struct device_row d = { .uid = span_str(uid), .model = SPAN_LIT("m"), .line = span_str(line), .created_by = SPAN_LIT("admin"), .created_at = 1,
                                  .state = span_str(state), .rev = 1, .changed_at = now - 60000 };
    must(store_device_add(db, &d, &f), uid);
    must(db_run(db, "UPDATE device_state SET state = $2, changed_at = $3 WHERE uid = $1", DB_ARGS(DB_S(uid), DB_S(state), DB_I(now - 60000)), NULL, &f), uid);
}

static void cuts_fill(void)
{
    char uid[32], text[300];
    for (int i = 0; i < CUTS; i++) {
        snprintf(uid, sizeof uid, "dev-%04d", i);
        device_put(uid, i % 3 ? "pump" : "valve", "revoked");
        snprintf(text, sizeof text, "{\"from\":\"active\",\"to\":\"revoked\",\"reason\":\"keyCompromise\",\"note\":\"n%d\",\"by\":\"olga\"}", i);
        int64_t decision = event_put(now - 60000, "device-state", uid, text);
        event_put(now - 60000, "cert-issued", uid, "{}");
        snprintf(text, sizeof text, "{\"edge\":\"edge-%d\",\"serial\":\"01\",\"reason\":\"device-revoked\",\"decided\":\"1:%lld\",\"latency_us\":%d}", i % 2,
                 (long long)decision, i);
        event_put(now - 60000 + i % 7, "cut", uid, text); /* many of the same moment */
    }
    for (int i = 0; i < DRILLS; i++) {
        snprintf(text, sizeof text, "{\"how\":\"suspended\",\"decided\":\"1:%d\",\"result\":\"%s\"}", i, i % 2 ? "passed" : "failed");
        event_put(now - 50000 + i / 4, "drill", i % 10 ? "canary" : "canary-2", text);
    }
}

static void online_put(const char *uid, const char *host, int64_t at)
{
    const struct presence_row p = { .host = span_str(host), .addr = SPAN_LIT("192.0.2.9"), .online = 1, .since = at, .at = at };
    must(store_presence_put(db, span_str(uid), &p, &f), uid);
}

static void uncut_fill(void)
{
    static const struct { const char *uid, *state, *host; int64_t since, decided; bool cut; } rows[] = {
        { "open-1", "revoked", "edge-0", -70000, -60000, false },     /* a host that acknowledged, and no cut */
        { "open-2", "suspended", "edge-1", -70000, -60000, false },   /* a host that did not acknowledge */
        { "repair-1", "quarantined", "edge-0", -50000, -60000, false }, /* came in again: it may */
        { "repair-2", "quarantined", "edge-0", -70000, -60000, false }, /* was never put out */
        { "told-1", "revoked", "edge-0", -70000, -60000, true },      /* cut, only the end of the session was not told */
        { "fresh-1", "revoked", "edge-0", -70000, 60000, false },     /* decided just now, however long the test has run */
        { "well-1", "active", "edge-0", -70000, -60000, false },
    };
    char text[120];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        device_put(rows[i].uid, "pump", rows[i].state);
        snprintf(text, sizeof text, "{\"to\":\"%s\",\"by\":\"olga\"}", rows[i].state);
        event_put(now + rows[i].decided, "device-state", rows[i].uid, text);
        online_put(rows[i].uid, rows[i].host, now + rows[i].since);
        snprintf(text, sizeof text, "{\"edge\":\"%s\",\"decided\":\"1:1\"}", rows[i].host);
        if (rows[i].cut)
            event_put(now + rows[i].decided + 5, "cut", rows[i].uid, text);
    }
    snprintf(text, sizeof text, "1:%lld", (long long)nseq);
    must(store_edge_put(db, SPAN_LIT("edge-0"), span_str(text), 0, now, &f), "edge-0");
    must(store_edge_put(db, SPAN_LIT("edge-1"), SPAN_LIT("1:1"), 0, now, &f), "edge-1");
}

static void cuts(void)
{
    bool asc;
    int pages;
    char since[40];
    json_t *b;
    const struct msg_query all = { .what = SPAN_LIT("cuts"), .limit = 500 };
    struct msg_query m = all;
    ok(walk(all, "device", &asc, &pages) == CUTS + 1, "every cut is on a page, once (%d pages)", pages);
    m.edge = SPAN_LIT("edge-1");
    ok(walk(m, "device", &asc, &pages) == CUTS / 2, "those of one edge");
    m = all;
    m.scope = SPAN_LIT("valve");
    ok(walk(m, "device", &asc, &pages) == CUTS / 3, "those of the lines that the caller may see");
    m = all;
    clock_text_ms(now - 60000 + 3, since);
    m.since = span_str(since);
    ok(walk(m, "device", &asc, &pages) > CUTS / 2 && walk(m, "device", &asc, &pages) < CUTS * 2 / 3, "those since a moment, itself included");
    m = all;
    m.key = SPAN_LIT("dev-0042");
    ok(walk(m, "device", &asc, &pages) == 1 && ask(&m, &b, NULL) == CE_OK, "those of one device");
    const json_t *one = json_array_get(json_object_get(b, "items"), 0), *d = json_object_get(one, "decision");
    ok(json_integer_value(json_object_get(one, "total_ms")) == 0 && strcmp(json_string_value(json_object_get(json_object_get(d, "payload"), "note")), "n42") == 0 &&
           strcmp(json_string_value(json_object_get(d, "kind")), "device-state") == 0 && json_object_get(json_object_get(one, "payload"), "latency_us"),
       "with the decision, and who took it and why");
    json_decref(b);
    m = all;
    m.since = SPAN_LIT("yesterday");
    ok(ask(&m, &b, NULL) == CE_BAD_FIELD, "a time that is none");
    m = all;
    m.after = SPAN_LIT("00");
    ok(ask(&m, &b, NULL) == CE_BAD_CURSOR, "a cursor that is none");
}

static const char *text_at(const json_t *b, size_t i, const char *key)
{
    const char *v = json_string_value(json_object_get(json_array_get(json_object_get(b, "items"), i), key));
    return v ? v : "";
}

static void uncut(void)
{
    bool asc;
    int pages;
    json_t *b;
    struct msg_query m = { .what = SPAN_LIT("uncut"), .limit = 500 };
    ok(walk(m, "device", &asc, &pages) == 3, "three sessions should have been closed and are open");
    ok(pages <= 2, "a register of %d revoked devices costs %d pages", CUTS, pages);
    m.limit = 1;
    ok(walk(m, "device", &asc, &pages) == 3, "one a page: the same");
    m.limit = 500;
    m.key = SPAN_LIT("open-1");
    ok(!ask(&m, &b, NULL) && json_is_true(json_object_get(json_array_get(json_object_get(b, "items"), 0), "acked")) && !strcmp(text_at(b, 0, "edge"), "edge-0"),
       "one at a host that has taken the decision over");
    json_decref(b);
    m.key = SPAN_LIT("open-2");
    ok(!ask(&m, &b, NULL) && json_is_false(json_object_get(json_array_get(json_object_get(b, "items"), 0), "acked")), "one at a host that has not");
    json_decref(b);
    m.key = SPAN_LIT("repair-2");
    ok(!ask(&m, &b, NULL) && !strcmp(text_at(b, 0, "state"), "quarantined"), "one that has been in since before its quarantine");
    json_decref(b);
    m.key = (struct span){ 0 };
    m.edge = SPAN_LIT("edge-1");
    ok(walk(m, "device", &asc, &pages) == 1, "those of one edge");
    m.edge = (struct span){ 0 };
    m.scope = SPAN_LIT("valve");
    ok(walk(m, "device", &asc, &pages) == 0, "not those of other lines");
}

static void drills(void)
{
    bool asc;
    int pages;
    json_t *b;
    struct msg_query m = { .what = SPAN_LIT("drills"), .limit = 7 };
    ok(walk(m, "device", &asc, &pages) == DRILLS && pages >= DRILLS / 7, "every drill, once");
    ok(!ask(&m, &b, NULL) && json_integer_value(json_object_get(json_array_get(json_object_get(b, "items"), 0), "nseq")) >
                                 json_integer_value(json_object_get(json_array_get(json_object_get(b, "items"), 1), "nseq")),
       "the newest first");
    json_decref(b);
    m.key = SPAN_LIT("canary-2");
    ok(walk(m, "device", &asc, &pages) == DRILLS / 10, "those of one device");
}

int main(void)
{
    char path[] = "/tmp/cradle-cuts-XXXXXX", db_path[PATH_MAX_LEN], cmd[PATH_MAX_LEN];
    if (!mkdtemp(path))
        return 1;
    now = clock_now_ms();
    path_join(db_path, "%s/x.db", path);
    must(db_open(db_path, DB_CREATE, &db, &f), "database");
    must(schema_create(db, &f), "schema");
    must(db_begin(db, &f), "begin");
    cuts_fill();
    uncut_fill();
    must(db_commit(db, &f), "commit");
    must(query_open(db_path, path, &q, &f), "query");
    query_set_budget(q, 100000); /* other work on the machine is none of the test's business */
    cuts();
    uncut();
    drills();
    query_close(q);
    db_close(db);
    path_join(cmd, "rm -r %s", path);
    ok(!system(cmd), "cleaned up");
    return done();
}
