/* core_policy.c: what lines and backends may do at brokers: settings, their rules, the document that follows from them and goes out with the
 * stream, suspended lines, and a database from before there was any of it.
 */
#include "core/policy.h"
#include "core/fold.h"
#include "store/schema.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"
#include "t/unit/schema_v1.h"
#include "t/unit/cert_subscriber.h"
#include "wire/policy.h"

static struct who station, backend;

/* The document as the tables give it, read as a broker reads it. */
static struct policy *policy_now(const char *scope, struct buf *doc)
{
    struct policy *p = NULL;
    struct fault f = { 0 };
    buf_reset(doc);
    enum err e = policy_build(core_db(s.core), span_str(scope), doc, &f);
    e = e ? e : policy_parse(buf_span(doc), &p, &f);
    if (e)
        printf("# %s\n", f.text);
    return p;
}

static bool doc_has(const char *text)
{
    CLEANUP(buf_free) struct buf doc = BUF_INIT(0);
    struct policy *p = policy_now("", &doc);
    bool has = p && strstr(buf_cstr(&doc), text);
    if (!has)
        printf("# not in the document: %s\n", text);
    policy_free(p);
    return has;
}

static const struct msg_reply *line_set(const struct msg_line_set *m) { return site_do(&s, &s.admin, &msg_desc_line_set, m); }
static const struct msg_reply *backend_set(const struct msg_backend_set *m) { return site_do(&s, &s.admin, &msg_desc_backend_set, m); }

static bool has(struct span in, const char *text) { return memmem(in.p, in.n, text, strlen(text)) != NULL; }

static bool says(const struct msg_reply *r, enum err code, const char *text)
{
    bool good = reply_is(r, code) && has(r->text, text);
    if (!good)
        printf("# said: " SPAN_FMT "\n", SPAN_ARG(r->text));
    return good;
}

/* -- lines -------------------------------------------------------------------------------------------------------------------------- */
static void lines(void)
{
    static struct subscriber u;
    ok(doc_has("cradle-policy 1\nca device ") && doc_has("\nca infra ") && doc_has("\nline pump alarm\n w d/%u/up/#\n r d/%u/down/#\n q d/%u/repair/#\nline valve alarm\n"),
       "the CAs, then lines; those that set nothing have the default topics, in order of name");
    (void)sub_open(&u);
    struct msg_line_set m = { .name = SPAN_LIT("pump"), .write = SPAN_LIT("m/%l/%u/#\nalarm/%u\n"), .read = SPAN_LIT("\n"), .clone_policy = SPAN_LIT("refuse"),
                              .note = SPAN_LIT("quiet") };
    const struct msg_reply *r = line_set(&m);
    ok(reply_is(r, CE_OK) && has(r->body, "\"write\":[\"m/%l/%u/#\",\"alarm/%u\"],\"read\":[],\"repair\":[\"d/%u/repair/#\"]"),
       "topics set, one list emptied, one left at its default: " SPAN_FMT, SPAN_ARG(r->body));
    sub_follow(&u);
    ok(sub_good(&u) && doc_has(u.document) && strstr(u.document, "line pump refuse\n w m/%l/%u/#\n w alarm/%u\n q d/%u/repair/#\nline valve"),
       "the document with them is pushed and in force");
    struct msg_line_set title = { .name = SPAN_LIT("pump"), .title = SPAN_LIT("Pumps"), .validity_s = 7200 };
    size_t documents = u.n_documents;
    ok(reply_is(line_set(&title), CE_OK) && site_count(&s, "SELECT count(*) FROM line WHERE title = 'Pumps' AND validity_s = 7200 AND clone_policy = 'refuse'") == 1,
       "what is not given stays");
    site_wait(&s, 20);
    sub_follow(&u);
    ok(sub_good(&u) && u.n_documents == documents, "a title is nothing to brokers: no new document");
    struct msg_line_set back = { .name = SPAN_LIT("pump"), .defaults = 1, .read = SPAN_LIT("d/%u/in\n"), .clone_policy = SPAN_LIT("quarantine") };
    ok(reply_is(line_set(&back), CE_OK) && doc_has("line pump quarantine\n w d/%u/up/#\n r d/%u/in\n q d/%u/repair/#\n"), "back to the defaults, but for one list");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'line-changed'") == 3, "each change is an event");
}

static void rules(void)
{
    static const struct { const char *list, *says; } rows[] = {
        { "d/u#\n", "d/u#" }, { "d/#/x\n", "d/#/x" }, { "d/+u\n", "d/+u" }, { "d/x%u/y\n", "d/x%u/y" }, { "$share/g/d\n", "$share" },
        { "a\n\n", "empty" }, { "\n\n", "empty" }, { "a", "empty" }, { "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "more than 8" }, { "d/%x/a\n", "d/%x/a" }, { "a\tb\n", "" },
    };
    CLEANUP(buf_free) struct buf before = BUF_INIT(0), after = BUF_INIT(0), lng = BUF_INIT(0);
    policy_free(policy_now("", &before));
    int64_t events = site_count(&s, "SELECT count(*) FROM event WHERE kind <> 'refused'");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct msg_line_set m = { .name = SPAN_LIT("pump"), .write = span_str(rows[i].list), .repair = SPAN_LIT("x\n") };
        const struct msg_reply *r = line_set(&m);
        ok(says(r, CE_BAD_FIELD, rows[i].says) && has(r->text, "write"), "refused: " SPAN_FMT, SPAN_ARG(r->text));
    }
    for (int i = 0; i < 256; i++)
        buf_put_u8(&lng, 'a');
    buf_put_u8(&lng, '\n');
    struct msg_line_set m = { .name = SPAN_LIT("pump"), .repair = buf_span(&lng) };
    ok(says(line_set(&m), CE_BAD_FIELD, "repair"), "a template of 256 bytes");
    m = (struct msg_line_set){ .name = SPAN_LIT("pump"), .clone_policy = SPAN_LIT("maybe") };
    ok(says(line_set(&m), CE_BAD_FIELD, "alarm, quarantine or refuse"), "an unknown clone policy");
    m = (struct msg_line_set){ .name = SPAN_LIT("pump"), .state = SPAN_LIT("asleep") };
    ok(says(line_set(&m), CE_BAD_FIELD, "active or suspended"), "an unknown state");
    m = (struct msg_line_set){ .name = SPAN_LIT("pump") };
    ok(says(line_set(&m), CE_BAD_FIELD, "nothing to change"), "nothing given");
    m = (struct msg_line_set){ .name = SPAN_LIT("nope"), .defaults = 1 };
    ok(reply_is(line_set(&m), CE_LINE_UNKNOWN), "an unknown line");
    m.name = SPAN_LIT("pump");
    ok(reply_is(site_do(&s, &station, &msg_desc_line_set, &m), CE_ROLE_FORBIDDEN), "only administrators set lines");
    policy_free(policy_now("", &after));
    ok(span_eq(buf_span(&before), buf_span(&after)) && site_count(&s, "SELECT count(*) FROM event WHERE kind <> 'refused'") == events, "and nothing was changed");
}

static void suspension(void)
{
    static struct subscriber u, late;
    uint8_t key[SNAPSHOT_KEY];
    struct key *k = site_new_key();
    struct who dev = { 0 };
    struct msg_line_set m = { .name = SPAN_LIT("valve"), .state = SPAN_LIT("suspended"), .note = SPAN_LIT("recall") };
    struct msg_enroll first = enroll_msg("v-1", k, false), renew = enroll_msg("v-1", k, true);
    site_device(&s, "v-1", "valve");
    who_set(&dev, CALLER_DEVICE, site_do(&s, &station, &msg_desc_enroll, &first)->body);
    snapshot_key_line(SPAN_LIT("valve"), key);
    (void)sub_open(&u);
    int64_t states = site_count(&s, "SELECT count(*) FROM cert_state WHERE status <> 0");
    ok(reply_is(line_set(&m), CE_OK), "a line is suspended");
    sub_follow(&u);
    ok(sub_good(&u) && sub_has(&u, SNAPSHOT_SET_LINE, key), "the next frame says so");
    ok(sub_open(&late) && sub_good(&late) && sub_has(&late, SNAPSHOT_SET_LINE, key), "and a snapshot");
    ok(reply_is(site_do(&s, &dev, &msg_desc_enroll, &renew), CE_LINE_SUSPENDED), "its devices do not renew");
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &first), CE_LINE_SUSPENDED), "nor are they enrolled");
    ok(site_count(&s, "SELECT count(*) FROM cert_state WHERE status <> 0") == states, "no certificate changed: OCSP and CRLs say what they said");
    ok(says(line_set(&m), CE_STATE_CHANGE, "suspended already"), "a second time: refused");
    m.state = SPAN_LIT("active");
    ok(reply_is(line_set(&m), CE_OK), "resumed");
    sub_follow(&u);
    ok(sub_good(&u) && !sub_has(&u, SNAPSHOT_SET_LINE, key), "the stream lets them in again");
    const struct msg_reply *r = site_do(&s, &dev, &msg_desc_enroll, &renew);
    ok(r->code != CE_LINE_SUSPENDED, "and renewals are judged on their merits (%s)", err_reason((enum err)r->code));
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'line-state'") == 2, "both are events");
    key_free(k);
    buf_free(&dev.der);
}

/* -- backends -------------------------------------------------------------------------------------------------------------------------- */
static const struct msg_reply *backend_add(const char *name, const char *role, const char *write, const char *read, struct key *k)
{
    struct msg_operator_add m = { .name = span_str(name), .role = span_str(role), .spki = key_spki(k), .write = span_str(write), .read = span_str(read) };
    return site_do(&s, &s.admin, &msg_desc_operator_add, &m);
}

static void backends(void)
{
    struct key *k = site_new_key(), *k2 = site_new_key();
    const struct msg_reply *r = backend_add("billing", "backend", "d/+/down/#\n", "d/+/up/#\nalarm/+\n", k);
    ok(reply_is(r, CE_OK), "a backend is added");
    who_set(&backend, CALLER_INFRA, r->body);
    ok(doc_has("\nbackend billing\n w d/+/down/#\n r d/+/up/#\n r alarm/+\n"), "and stands in the document with its topics");
    ok(reply_is(backend_add("archive", "backend", "", "", k2), CE_OK) && doc_has("\nbackend archive\nbackend billing\n"), "one without topics may do nothing");
    ok(says(backend_add("x", "backend", "d/%l/#\n", "", k2), CE_BAD_FIELD, "%l"), "a backend has no line");
    ok(says(backend_add("x", "operator", "d/#\n", "", k2), CE_BAD_FIELD, "only backends"), "other roles have no topics");
    struct msg_operator_add bound = { .name = SPAN_LIT("x"), .role = SPAN_LIT("backend"), .lines = SPAN_LIT("pump"), .spki = key_spki(k2) };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_add, &bound), CE_BAD_FIELD), "nor are backends bound to lines");
    struct msg_backend_set m = { .name = SPAN_LIT("billing"), .read = SPAN_LIT("\n") };
    ok(reply_is(backend_set(&m), CE_OK) && doc_has("\nbackend archive\nbackend billing\n w d/+/down/#\n"), "one list is replaced, the other stays");
    m = (struct msg_backend_set){ .name = SPAN_LIT("billing") };
    ok(says(backend_set(&m), CE_BAD_FIELD, "nothing"), "nothing given");
    m = (struct msg_backend_set){ .name = SPAN_LIT("admin"), .write = SPAN_LIT("#\n") };
    ok(reply_is(backend_set(&m), CE_NOT_FOUND), "an administrator is no backend");
    m.name = SPAN_LIT("archive"), m.write = SPAN_LIT("a#\n");
    ok(says(backend_set(&m), CE_BAD_FIELD, "a#"), "a bad filter is named");
    m.write = SPAN_LIT("#\n");
    ok(reply_is(backend_set(&m), CE_OK) && doc_has("backend archive\n w #\n"), "set");
    ok(reply_is(site_do(&s, &backend, &msg_desc_backend_set, &m), CE_ROLE_FORBIDDEN), "no backend sets its own");
    struct msg_enroll renew = enroll_msg("billing", k, true);
    r = site_do(&s, &backend, &msg_desc_enroll, &renew);
    ok(reply_is(r, CE_OK) && r->body_kind == BODY_CERT, "it may renew its certificate");
    struct msg_edge_open open = { .since = SPAN_LIT("") };
    ok(reply_is(site_do(&s, &backend, &msg_desc_edge_open, &open), CE_ROLE_FORBIDDEN), "and not read the stream");
    struct msg_operator_remove rm = { .name = SPAN_LIT("archive") };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_remove, &rm), CE_OK), "a backend is removed");
    CLEANUP(buf_free) struct buf doc = BUF_INIT(0);
    struct policy *p = policy_now("", &doc);
    ok(p && policy_backends(p) == 1 && !policy_backend(p, SPAN_LIT("archive")), "and leaves the document");
    policy_free(p);
    ok(reply_is(backend_set(&m), CE_STATE_CHANGE), "its topics are set no more");
    p = policy_now("valve, x", &doc);
    ok(p && policy_lines(p) == 1 && !policy_backends(p) && policy_line(p, SPAN_LIT("valve")), "somebody bound to a line sees that line");
    policy_free(p);
    key_free(k);
    key_free(k2);
}

/* -- bounds, restart, an older database --------------------------------------------------------------------------------------------------- */
static void largest(void)
{
    CLEANUP(buf_free) struct buf list = BUF_INIT(0), doc = BUF_INIT(0);
    const struct msg_reply *r = NULL;
    int n = 0;
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < 250; k++)
            buf_put_u8(&list, 'a');
        buf_printf(&list, "%d\n", i);
    }
    do {
        char name[24];
        snprintf(name, sizeof name, "big-%d", n++);
        struct msg_line_add add = { .name = span_str(name) };
        struct msg_line_set m = { .name = span_str(name), .write = buf_span(&list), .read = buf_span(&list), .repair = buf_span(&list) };
        site_must((enum err)site_do(&s, &s.admin, &msg_desc_line_add, &add)->code, NULL, "line");
        r = line_set(&m);
    } while (r->code == CE_OK && n < 400);
    ok(says(r, CE_TOO_LARGE, "policy document"), "line %d would make the document larger than brokers take: refused", n);
    struct policy *p = policy_now("", &doc);
    ok(p && doc.len <= POLICY_MAX && doc.len > POLICY_MAX - 10000, "the largest one (%zu bytes) is made and read", doc.len);
    policy_free(p);
    struct msg_edge_open open = { .since = SPAN_LIT("") };
    r = site_do(&s, &edge, &msg_desc_edge_open, &open);
    struct span in = r->body, item = { 0 };
    ok(reply_is(r, CE_OK) && !snapshot_policy_parse(&in, &item) && span_eq(item, buf_span(&doc)), "and delivered");
}

static void restart(void)
{
    CLEANUP(buf_free) struct buf before = BUF_INIT(0), after = BUF_INIT(0);
    struct fault f = { 0 };
    policy_free(policy_now("", &before));
    ok(core_fold_check(core_db(s.core), &f) == CE_OK, "the tables are the fold of the events %s", f.text);
    site_restart(&s);
    policy_free(policy_now("", &after));
    ok(span_eq(buf_span(&before), buf_span(&after)), "a restart changes nothing");
}

static void migration(void)
{
    struct fault f = { 0 };
    struct db *db = core_db(s.core);
    int64_t from = 0, to = 0;
    site_must(schema_to_v1(db, &f), &f, "version 1");
    core_close(s.core);
    s.core = NULL;
    site_forget_asks(&s);
    struct core *c = NULL;
    struct core_ports ports = { .ctx = &s, .reply = site_on_reply, .sign = site_on_sign, .push = site_on_push, .wall_ms = site_wall_ms };
    ok(core_open(&s.cfg, &ports, &c, &f) == CE_SCHEMA && strstr(f.text, "cradled -m"), "a database of version 1 is not opened: %s", f.text);
    char path[PATH_MAX_LEN];
    path_join(path, "%s/db/cradle.db", s.dir);
    site_must(db_open(path, 0, &db, &f), &f, "open");
    ok(!schema_migrate(db, false, &from, &to, &f) && from == 1 && to == SCHEMA_VERSION, "it is migrated by command (%s)", f.code ? f.text : "from 1");
    ok(!schema_migrate(db, true, NULL, NULL, &f) && !schema_check(db, &f), "and contracted");
    db_close(db);
    site_core_open(&s);
    ok(doc_has("line pump quarantine\n w d/%u/up/#\n r d/%u/down/#\n q d/%u/repair/#\n"), "then lines have their default topics");
    struct msg_line_set m = { .name = SPAN_LIT("pump"), .write = SPAN_LIT("x\n") };
    ok(reply_is(line_set(&m), CE_OK) && doc_has("line pump quarantine\n w x\n"), "and can be set");
}

int main(void)
{
    site_open(&s);
    site_operator(&s, "edge-1", "edge", "", &edge);
    site_operator(&s, "line-1", "station", "", &station);
    lines();
    rules();
    suspension();
    backends();
    restart();
    largest();
    restart();
    migration();
    buf_free(&edge.der);
    buf_free(&station.der);
    buf_free(&backend.der);
    site_close(&s);
    return done();
}
