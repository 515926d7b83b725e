/* core_registry.c: the engine and the registry in process: birth, every allowed and forbidden change of state, authorisation, If-Match,
 * idempotency, refusals as evidence, restart, a second process, the clock, a full disk, damage. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/device.h"
#include "core/engine.h"
#include "t/unit/core_site.h"

static struct site s;
enum { ADMIN, ROOT2, OLGA, STATION, AUDITOR, EDGE };

static const struct site_reply *line_add(int op, const char *name, const char *policy)
{
    const struct msg_line_add m = { .name = span_str(name), .title = SPAN_LIT("Pumps"), .clone_policy = span_str(policy) };
    return site_ask(&s, op, &msg_desc_line_add, &m);
}
static const struct site_reply *model_add(int op, const char *name, const char *line)
{
    const struct msg_model_add m = { .name = span_str(name), .line = span_str(line) };
    return site_ask(&s, op, &msg_desc_model_add, &m);
}
static const struct site_reply *device_add(int op, const char *uid, const char *model)
{
    const struct msg_device_add m = { .uid = span_str(uid), .serial = SPAN_LIT("S1"), .model = span_str(model), .country = SPAN_LIT("DE") };
    return site_ask(&s, op, &msg_desc_device_add, &m);
}
static const struct site_reply *device_state(int op, const char *uid, const char *state, int64_t if_match)
{
    const struct msg_device_state m = { .uid = span_str(uid), .state = span_str(state), .note = SPAN_LIT("by test") };
    struct msg_caller c = site_caller(&s, op);
    c.if_match = if_match;
    uint64_t rid = site_queue(&s, &c, &msg_desc_device_state, &m);
    site_must(site_run(&s), "device_state", NULL);
    return site_reply(&s, rid);
}

static void test_birth(void)
{
    struct fault f;
    site_must(site_open(&s, &f), "open", &f);
    ok(site_count(&s, "SELECT count(*) FROM ca") == 3 && site_count(&s, "SELECT count(*) FROM operator") == SITE_OPERATORS, "birth.json is imported");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'cert-issued'") == SITE_OPERATORS, "with its events");
    int idents = 0, ready = 0;
    for (size_t i = 0; i < s.npushes; i++) {
        idents += s.push_types[i] == MSG_PUSH_IDENT;
        ready += s.push_types[i] == MSG_PUSH_READY;
    }
    ok(idents == SITE_OPERATORS && ready == 1 && s.push_types[s.npushes - 1] == MSG_PUSH_READY, "a front gets the identities, then READY");
}

/* Nothing to do: the engine says when it wants to be called again, and that is later. */
static void test_sleep(void)
{
    struct fault f;
    bool sleeps = false;
    for (int i = 0; !sleeps && i < 50; i++) {
        site_must(site_run(&s), "run", NULL);
        int64_t now = clock_mono_ms();
        site_must(core_tick(s.core, now, &f), "tick", &f);
        sleeps = core_next_wake_ms(s.core, now) > now;
    }
    ok(sleeps, "an engine with nothing to do sleeps");
}

/* One name space: a device called like an operator would share its place in the revocation stream and on the broker. */
static void test_names_shared(void)
{
    ok(device_add(STATION, "admin", "m1")->r.code == CE_EXISTS && device_add(ADMIN, "edge-1", "m1")->r.code == CE_EXISTS,
       "no device is called like an operator");
    ok(device_add(OLGA, "admin2", "m1")->r.code == CE_OK, "a longer name is another name");
}

static void test_registry(void)
{
    ok(line_add(ADMIN, "pump", "")->r.code == CE_OK, "line added");
    ok(line_add(ADMIN, "pump", "")->r.code == CE_EXISTS, "a second time: exists");
    ok(line_add(ADMIN, "p/q", "")->r.code == CE_BAD_NAME && line_add(ADMIN, "q", "never")->r.code == CE_BAD_FIELD, "bad name, bad policy");
    ok(line_add(OLGA, "q", "")->r.code == CE_ROLE_FORBIDDEN, "operators add no lines");
    ok(line_add(ADMIN, "valve", "quarantine")->r.code == CE_OK && model_add(OLGA, "m1", "pump")->r.code == CE_OK && model_add(OLGA, "m2", "valve")->r.code == CE_OK,
       "models added");
    ok(model_add(OLGA, "m3", "nope")->r.code == CE_LINE_UNKNOWN, "model of an unknown line");
    const struct site_reply *r = device_add(STATION, "dev-1", "m1");
    ok(r->r.code == CE_OK && r->r.http == 201 && r->r.rev == 1 && strstr(r->body, "\"state\":\"registered\""), "device added by a station: %s", r->body);
    ok(device_add(OLGA, "dev-1", "m1")->r.code == CE_EXISTS, "a UID is taken once");
    ok(device_add(OLGA, "dev/1", "m1")->r.code == CE_BAD_UID && device_add(OLGA, "dev-2", "m9")->r.code == CE_MODEL_UNKNOWN, "bad UID, unknown model");
    r = device_add(STATION, "dev-2", "m2");
    ok(r->r.code == CE_LINE_FORBIDDEN && strstr(r->text, "pump"), "a station beyond its line: %s", r->text);
    ok(device_add(AUDITOR, "dev-2", "m1")->r.code == CE_ROLE_FORBIDDEN && device_add(EDGE, "dev-2", "m1")->r.code == CE_ROLE_FORBIDDEN, "auditors and edges add nothing");
}

/* Every pair of states, through the request that an operator has, against the table. */
static void test_states(void)
{
    static const char *const asks[] = { "active", "quarantined", "suspended", "revoked", "decommissioned" };
    static const char *const paths[][2] = { { "registered", "" }, { "suspended", "suspended" }, { "active", "suspended active" },
                                            { "quarantined", "suspended active quarantined" }, { "revoked", "revoked" },
                                            { "decommissioned", "decommissioned" } };
    struct buf table = BUF_INIT(0);
    int n = 0;
    for (size_t p = 0; p < ARRAY_LEN(paths); p++)
        for (size_t a = 0; a < ARRAY_LEN(asks); a++) {
            char uid[32];
            enum device_state from, to;
            snprintf(uid, sizeof uid, "st-%d", n++);
            device_add(OLGA, uid, "m1");
            struct span steps = span_str(paths[p][1]), one;
            bool reached = true;
            while (span_cut(&steps, ' ', &one)) {
                char st[20];
                snprintf(st, sizeof st, SPAN_FMT, SPAN_ARG(one));
                reached &= device_state(OLGA, uid, st, -1)->r.code == CE_OK;
            }
            const struct site_reply *r = device_state(OLGA, uid, asks[a], -1);
            bool allowed = device_state_parse(span_str(paths[p][0]), &from) && device_state_parse(span_str(asks[a]), &to) &&
                           device_state_allowed(from, to) && (to != DEVICE_ACTIVE || from == DEVICE_SUSPENDED || from == DEVICE_QUARANTINED);
            ok(reached && r->r.code == (allowed ? CE_OK : CE_STATE_CHANGE), "%s -> %s: %s", paths[p][0], asks[a], allowed ? "allowed" : r->text);
        }
    device_state_table(&table);
    ok(strstr(buf_cstr(&table), "revoked -> (terminal)") && strstr(buf_cstr(&table), "decommissioned -> (terminal)"), "the table prints itself");
    buf_free(&table);
    ok(device_state(OLGA, "dev-1", "registered", -1)->r.code == CE_BAD_FIELD, "states that follow from certificates cannot be asked for");
    ok(device_state(OLGA, "nobody", "revoked", -1)->r.code == CE_UID_UNKNOWN, "unknown UID");
    ok(device_state(OLGA, "dev-1", "suspended", 7)->r.code == CE_REV_MISMATCH, "If-Match with another rev");
    const struct site_reply *r = device_state(OLGA, "dev-1", "suspended", 1);
    ok(r->r.code == CE_OK && r->r.rev == 2, "If-Match with the right rev");
    ok(device_state(STATION, "dev-1", "active", -1)->r.code == CE_ROLE_FORBIDDEN, "a station changes no state");
}

static void test_callers(void)
{
    const struct msg_line_add m = { .name = SPAN_LIT("x") };
    struct msg_caller c = site_caller(&s, ADMIN);
    c.kind = CALLER_NONE;
    uint64_t rid = site_queue(&s, &c, &msg_desc_line_add, &m);
    site_must(site_run(&s), "run", NULL);
    ok(site_reply(&s, rid)->r.code == CE_NO_CERT, "no certificate");
    c = site_caller(&s, ADMIN);
    uint8_t other[20] = { 1 };
    c.serial = span_of(other, 20);
    rid = site_queue(&s, &c, &msg_desc_line_add, &m);
    site_must(site_run(&s), "run", NULL);
    ok(site_reply(&s, rid)->r.code == CE_CERT_UNKNOWN, "a serial that is not in the register");
    c.kid = span_of(other, 20);
    rid = site_queue(&s, &c, &msg_desc_line_add, &m);
    site_must(site_run(&s), "run", NULL);
    ok(site_reply(&s, rid)->r.code == CE_CERT_FOREIGN, "another CA's certificate");
    c = site_caller(&s, ADMIN);
    c.spki = span_of(s.ops[OLGA].spki, 32);
    rid = site_queue(&s, &c, &msg_desc_line_add, &m);
    site_must(site_run(&s), "run", NULL);
    ok(site_reply(&s, rid)->r.code == CE_CERT_UNKNOWN, "the serial with another key");
    const struct msg_operator_remove self = { .name = SPAN_LIT("admin") }, root2 = { .name = SPAN_LIT("root2") }, none = { .name = SPAN_LIT("nobody") };
    ok(site_ask(&s, ADMIN, &msg_desc_operator_remove, &self)->r.code == CE_SELF_REMOVE, "nobody removes itself");
    ok(site_ask(&s, ADMIN, &msg_desc_operator_remove, &none)->r.code == CE_NOT_FOUND, "unknown operator");
    ok(site_ask(&s, OLGA, &msg_desc_operator_remove, &root2)->r.code == CE_ROLE_FORBIDDEN, "operators remove nobody");
    ok(site_ask(&s, ADMIN, &msg_desc_operator_remove, &root2)->r.code == CE_OK, "operator removed");
    int64_t code = line_add(ROOT2, "x", "")->r.code;
    ok(code == CE_OPERATOR_REMOVED || code == CE_CERT_REVOKED, "and refused from then on: %s", err_name((enum err)code));
    ok(site_count(&s, "SELECT count(*) FROM cert_state WHERE status = 1") == 1, "its certificate is revoked");
}

/* list: tags, each ended by a line break */
static const struct site_reply *device_tags(int op, const char *uid, const char *add, const char *remove)
{
    const struct msg_device_tags m = { .uid = span_str(uid), .add = span_str(add), .remove = span_str(remove), .note = SPAN_LIT("by test") };
    return site_ask(&s, op, &msg_desc_device_tags, &m);
}

static void test_tags(void)
{
    char many[200] = "";
    site_must(device_add(OLGA, "tagged", "m1")->r.code ? CE_INTERNAL : CE_OK, "device", NULL);
    const struct site_reply *r = device_tags(OLGA, "tagged", "canary\nalpha\ncanary\n", "");
    ok(r->r.code == CE_OK && r->r.rev == 2 && strstr(r->body, "\"tags\":[\"alpha\",\"canary\"]"), "tags are kept in order, each once (%s)", r->body);
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'device-tags' AND device = 'tagged' AND rev = 2") == 1, "and become an event");
    r = device_tags(OLGA, "tagged", "alpha\n", "none\n");
    ok(r->r.code == CE_OK && r->r.rev == 2, "what changes nothing is no event and no new revision");
    r = device_tags(ADMIN, "tagged", "beta\n", "alpha\ncanary\n");
    ok(r->r.code == CE_OK && r->r.rev == 3 && strstr(r->body, "\"tags\":[\"beta\"]"), "taken away and given in one");
    ok(device_tags(STATION, "tagged", "x\n", "")->r.code == CE_ROLE_FORBIDDEN && device_tags(AUDITOR, "tagged", "x\n", "")->r.code == CE_ROLE_FORBIDDEN,
       "stations and auditors give no tags");
    ok(device_tags(OLGA, "nobody", "x\n", "")->r.code == CE_UID_UNKNOWN && device_tags(OLGA, "tagged", "a b\n", "")->r.code == CE_BAD_NAME,
       "an unknown device, a tag that is no label");
    for (int i = 0; i < DEVICE_TAGS_MAX; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "t%d\n", i);
    ok(device_tags(OLGA, "tagged", many, "")->r.code == CE_BAD_FIELD, "seventeen tags are too many");
    ok(device_tags(OLGA, "tagged", many, "beta\n")->r.code == CE_OK && site_count(&s, "SELECT count(*) FROM device_tag") == DEVICE_TAGS_MAX, "sixteen are not");
    ok(device_tags(OLGA, "tagged", "", many)->r.rev == 5 && site_count(&s, "SELECT count(*) FROM device_tag") == 0, "and none is fine");
}

static void test_idempotency(void)
{
    uint8_t d1[32] = { 1 }, d2[32] = { 2 };
    struct msg_caller c = site_caller(&s, OLGA);
    const struct msg_device_add m = { .uid = SPAN_LIT("idem-1"), .model = SPAN_LIT("m1") };
    c.idem = SPAN_LIT("key-1");
    c.digest = span_of(d1, 32);
    uint64_t a = site_queue(&s, &c, &msg_desc_device_add, &m), b = site_queue(&s, &c, &msg_desc_device_add, &m);
    site_must(site_run(&s), "run", NULL);
    ok(site_reply(&s, a)->r.code == CE_OK && site_reply(&s, b)->r.code == CE_OK && !strcmp(site_reply(&s, a)->body, site_reply(&s, b)->body),
       "the same key and request: the same answer, in the same batch too");
    c.digest = span_of(d2, 32);
    a = site_queue(&s, &c, &msg_desc_device_add, &m);
    site_must(site_run(&s), "run", NULL);
    ok(site_reply(&s, a)->r.code == CE_IDEMPOTENCY, "the same key with another request is refused");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'device-added' AND device = 'idem-1'") == 1, "and it happened once");
}

static void test_refusals(void)
{
    int64_t before = site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused'");
    for (int i = 0; i < 500; i++)
        device_state(OLGA, "ghost", "revoked", -1);
    int64_t after = site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused'");
    ok(after == before + 1, "500 equal refusals make one event at once (%" PRId64 ")", after - before);
    const struct msg_refused m = { .code = CE_CSR_POP, .text = SPAN_LIT("the CSR is not signed by its own key"), .uid = SPAN_LIT("dev-1"), .path = SPAN_LIT("/x") };
    struct msg_caller c = site_caller(&s, STATION);
    size_t replies = s.nreplies;
    site_queue(&s, &c, &msg_desc_refused, &m);
    site_must(site_run(&s), "run", NULL);
    ok(s.nreplies == replies && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND device = 'dev-1'") >= 1,
       "what front refused becomes evidence of the device, without an answer");
    for (int i = 0; i < 3000; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "flood-%d", i);
        device_state(OLGA, uid, "revoked", -1);
    }
    after = site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused'");
    ok(after - before <= REFUSAL_MAX + 2, "3000 different ones make no flood: %" PRId64 " events", after - before);
}

/* A window of its own, short enough to see it close. */
static void test_window(void)
{
    struct fault f;
    site_close(&s);
    s.cfg.refusal_window_ms = 150;
    site_must(site_open(&s, &f), "open", &f);
    int64_t before = site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND device = 'shade'");
    for (int i = 0; i < 10; i++)
        device_state(OLGA, "shade", "revoked", -1);
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND device = 'shade'") == before + 1, "the first is written at once");
    int64_t until = clock_mono_ms() + 5000;
    int64_t wake = core_next_wake_ms(s.core, clock_mono_ms());
    ok(wake <= clock_mono_ms() + 200, "the core asks to be woken when the window closes");
    while (clock_mono_ms() < until && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND device = 'shade'") < 2) {
        usleep(10000);
        site_must(site_run(&s), "run", NULL);
    }
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND device = 'shade' AND payload LIKE '%\"count\":9,%'") == 1,
       "nine repeats are one event when the window closes");
    usleep(200000);
    site_must(site_run(&s), "run", NULL);
    device_state(OLGA, "shade", "revoked", -1);
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND device = 'shade'") == 3, "then a new window opens");
    site_close(&s);
    s.cfg.refusal_window_ms = 0;
    site_must(site_open(&s, &f), "open", &f);
}

static void report(struct buf *b, const char *id, const char *kind, const char *uid, const char *vector)
{
    const struct msg_report r = { .id = span_str(id), .kind = span_str(kind), .uid = span_str(uid), .reason = SPAN_LIT("device-revoked"),
                                  .at = clock_now_ms(), .vector = span_str(vector), .latency_us = 900 };
    msg_pack(&msg_desc_report, &r, b);
}

static void test_reports(void)
{
    struct buf b = BUF_INIT(0);
    char now[32];
    device_add(OLGA, "twin", "m2");
    device_state(OLGA, "twin", "suspended", -1);
    device_state(OLGA, "twin", "active", -1);
    snprintf(now, sizeof now, "1:%" PRId64, site_count(&s, "SELECT nseq FROM node"));
    report(&b, "r1", "cut", "dev-1", "");
    report(&b, "r2", "connected", "dev-1", "");
    report(&b, "r2", "connected", "dev-1", "");
    report(&b, "r3", "ack", "", now);
    report(&b, "r4", "ack", "", now);
    report(&b, "r5", "clone-suspected", "twin", "");
    report(&b, "r6", "stale", "", "");
    struct msg_edge_report m = { .items = buf_span(&b) };
    const struct site_reply *r = site_ask(&s, EDGE, &msg_desc_edge_report, &m);
    ok(r->r.code == CE_OK && strstr(r->body, "\"taken\":6,\"known\":1"), "reports taken, a repeated id once: %s", r->body);
    r = site_ask(&s, EDGE, &msg_desc_edge_report, &m);
    ok(strstr(r->body, "\"taken\":0,\"known\":7") != NULL, "sent again: nothing new");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'cut'") == 1 && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'edge-ack'") == 1,
       "one cut; one acknowledgement, not one of every heartbeat");
    ok(site_count(&s, "SELECT count(*) FROM device_state WHERE uid = 'twin' AND state = 'quarantined'") == 1, "a line's policy puts a cloned device in quarantine");
    ok(site_ask(&s, OLGA, &msg_desc_edge_report, &m)->r.code == CE_ROLE_FORBIDDEN, "only edges report");
    buf_reset(&b);
    report(&b, "r9", "nonsense", "", "");
    m.items = buf_span(&b);
    ok(site_ask(&s, EDGE, &msg_desc_edge_report, &m)->r.code == CE_BAD_FIELD, "an unknown kind is refused");
    buf_free(&b);
}

/* What a captured edge says about what it cannot know. */
static void test_reports_forged(void)
{
    struct buf b = BUF_INIT(0);
    const char *kinds[] = { "connected", "disconnected", "cut", "clone-suspected" };
    char id[8];
    int64_t cuts = site_count(&s, "SELECT count(*) FROM event WHERE kind IN ('cut', 'presence', 'clone-suspected', 'edge-ack')");
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        snprintf(id, sizeof id, "f%zu", i);
        report(&b, id, kinds[i], "ghost-1", "");
    }
    report(&b, "f8", "ack", "", "1:999999999");
    struct msg_edge_report m = { .items = buf_span(&b) };
    ok(site_ask(&s, EDGE, &msg_desc_edge_report, &m)->r.code == CE_OK, "forged reports are taken, or the edge would send them for ever");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind IN ('cut', 'presence', 'clone-suspected', 'edge-ack')") == cuts &&
       !site_count(&s, "SELECT count(*) FROM presence WHERE uid = 'ghost-1'") && !site_count(&s, "SELECT count(*) FROM edge WHERE vector LIKE '%999999999'"),
       "but make neither evidence nor presence of a name that is not registered, nor of a vector that was never signed");
    usleep(60000);
    site_must(site_run(&s), "run", NULL);
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND payload LIKE '%edge_report%'") >= 2, "they are refusals in the evidence");
    buf_reset(&b);
    struct msg_report r = { .id = SPAN_LIT("f9"), .kind = SPAN_LIT("connected"), .uid = SPAN_LIT("dev-1"), .addr = SPAN_LIT("192.0.2.9"), .at = 253402300799000 };
    msg_pack(&msg_desc_report, &r, &b);
    r.id = SPAN_LIT("f10"), r.kind = SPAN_LIT("disconnected"), r.at = 1;
    msg_pack(&msg_desc_report, &r, &b);
    m.items = buf_span(&b);
    site_ask(&s, EDGE, &msg_desc_edge_report, &m);
    ok(site_count(&s, "SELECT last_seen FROM device_state WHERE uid = 'dev-1'") <= clock_now_ms(), "nobody was seen in the future");
    ok(site_count(&s, "SELECT online FROM presence WHERE uid = 'dev-1'") == 1, "an older word does not replace a newer one");
    buf_free(&b);
}

static enum err asked(const struct msg_caller *c, const struct msg_desc *d, const void *m)
{
    uint64_t rid = site_queue(&s, c, d, m);
    site_must(site_run(&s), "run", NULL);
    return (enum err)site_reply(&s, rid)->r.code;
}

/* What a captured front may claim: which certificate was shown, nothing about what its holder may do. */
static void test_front_lies(void)
{
    const struct msg_line_add m = { .name = SPAN_LIT("stolen") };
    const struct msg_edge_report none = { 0 };
    struct msg_caller c = site_caller(&s, AUDITOR);
    c.cn = SPAN_LIT("admin");
    c.kind = CALLER_INFRA;
    c.not_after = INT64_MAX;
    ok(asked(&c, &msg_desc_line_add, &m) == CE_ROLE_FORBIDDEN, "another's name on an auditor's certificate gives no right");
    struct msg_caller admin = site_caller(&s, ADMIN);
    const uint8_t other[32] = { 1 };
    admin.spki = span_of(other, sizeof other);
    ok(asked(&admin, &msg_desc_line_add, &m) == CE_CERT_UNKNOWN, "the admin's serial with another key: unknown");
    admin = site_caller(&s, ADMIN);
    admin.kind = CALLER_FOREIGN;
    ok(asked(&admin, &msg_desc_line_add, &m) == CE_CERT_FOREIGN, "a certificate that was not verified is nobody's");
    c = site_caller(&s, ADMIN);
    ok(asked(&c, &msg_desc_edge_report, &none) == CE_ROLE_FORBIDDEN, "front's own table of routes is not what decides");
}

static void test_metrics(void)
{
    struct buf b = BUF_INIT(0);
    device_state(OLGA, "nobody", "revoked", -1);
    core_metrics(s.core, false, &b);
    const char *t = buf_cstr(&b);
    ok(strstr(t, "cradle_refused_total{reason=\"uid-unknown\"}") && strstr(t, "cradle_commit_seconds_bucket") && strstr(t, "cradle_edge_stale{edge=\"edge-1\"} 1"),
       "metrics in Prometheus text");
    buf_reset(&b);
    core_metrics(s.core, true, &b);
    int64_t suspended = site_count(&s, "SELECT count(*) FROM device_state WHERE state = 'suspended'");
    char want[40];
    snprintf(want, sizeof want, "\"suspended\":%" PRId64, suspended);
    ok(strstr(buf_cstr(&b), want) && strstr(buf_cstr(&b), "\"edges\":[{"), "status JSON counts as the table does (%s)", want);
    buf_free(&b);
}

static void test_clock(void)
{
    struct fault f;
    int64_t last = site_count(&s, "SELECT max(at) FROM event");
    s.clock_shift_ms = -86400000;
    ok(device_add(OLGA, "back-1", "m1")->r.code == CE_OK, "with the clock a day back the registry goes on");
    struct buf b = BUF_INIT(0);
    core_metrics(s.core, false, &b);
    ok(strstr(buf_cstr(&b), "cradle_clock_behind_ms 8") != NULL, "and says how far the clock is behind");
    ok(site_count(&s, "SELECT min(at) FROM event WHERE device = 'back-1'") >= last, "what is written never goes back");
    site_close(&s);
    ok(!site_open(&s, &f) && device_add(OLGA, "back-2", "m1")->r.code == CE_OK, "after a restart too");
    s.clock_shift_ms = 0;
    device_add(OLGA, "back-3", "m1");
    buf_reset(&b);
    core_metrics(s.core, false, &b);
    ok(strstr(buf_cstr(&b), "cradle_clock_behind_ms 0\n") != NULL, "it recovers by itself");
    buf_free(&b);
}

static void test_queue(void)
{
    const struct msg_device_add m = { .uid = SPAN_LIT("queue-1"), .model = SPAN_LIT("m1") };
    struct msg_caller c = site_caller(&s, OLGA);
    struct fault f;
    site_close(&s);
    s.cfg.queue_max = 8;
    site_must(site_open(&s, &f), "open", &f);
    site_must(site_run(&s), "run", NULL);
    uint64_t last = 0;
    for (int i = 0; i < 9; i++)
        last = site_queue(&s, &c, &msg_desc_device_add, &m);
    ok(site_reply(&s, last) && site_reply(&s, last)->r.code == CE_BUSY && site_reply(&s, last)->r.retry_s > 0, "a full queue answers at once: busy");
    site_must(site_run(&s), "run", NULL);
    core_drain(s.core);
    last = site_queue(&s, &c, &msg_desc_device_add, &m);
    ok(site_reply(&s, last)->r.code == CE_DRAINING, "draining takes nothing more");
    size_t replies = s.nreplies;
    site_close(&s);
    s.cfg.queue_max = 0;
    site_must(site_open(&s, &f), "open", &f);
    last = site_queue(&s, &c, &msg_desc_device_add, &m);
    core_peer_gone(s.core, 1);
    core_peer_open(s.core, 1);
    site_must(site_run(&s), "run", NULL);
    ok(s.nreplies == replies && !site_reply(&s, last), "an answer for a front that died does not reach the one after it");
}

static void test_takeover(void)
{
    struct fault f = { 0 };
    struct core *first = s.core, *second = NULL;
    site_must(core_open(&s.cfg, &s.ports, &second, &f), "second", &f);
    const struct msg_device_add m = { .uid = SPAN_LIT("late-1"), .model = SPAN_LIT("m1") };
    struct msg_caller c = site_caller(&s, OLGA);
    uint64_t rid = site_queue(&s, &c, &msg_desc_device_add, &m);
    enum err e = site_run(&s);
    ok(e == CE_EPOCH && site_reply(&s, rid)->r.code == CE_EPOCH, "a process whose slot was taken stops and acknowledges nothing");
    ok(site_count(&s, "SELECT count(*) FROM device WHERE uid = 'late-1'") == 0, "nothing of it is in the database");
    core_close(first);
    s.core = second;
    core_peer_open(s.core, 1);
    ok(device_add(OLGA, "late-2", "m1")->r.code == CE_OK, "the other one goes on");
}

static void test_disk_full(void)
{
    char wal[PATH_MAX_LEN];
    struct stat st;
    struct rlimit old;
    path_join(wal, "%s/db/cradle.db-wal", s.dir);
    getrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, SIG_IGN);
    ok(!stat(wal, &st), "there is a write-ahead log");
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 8192, old.rlim_max });
    int64_t code = device_add(OLGA, "full-1", "m1")->r.code;
    ok(code == CE_DISK_FULL, "a full disk is said to the caller: %s", err_name((enum err)code));
    setrlimit(RLIMIT_FSIZE, &old);
    ok(site_count(&s, "SELECT count(*) FROM device WHERE uid = 'full-1'") == 0, "and nothing was written");
    ok(device_add(OLGA, "full-1", "m1")->r.code == CE_OK, "with space again the next request succeeds");
}

static void test_ends(void)
{
    struct fault f;
    char cmd[PATH_MAX_LEN];
    ok(!site_fold(&s, &f), "fold(events) = tables: %s", f.code ? f.text : "equal");
    site_close(&s);
    site_put(&s, "log/checkpoint", SPAN_LIT("x"));
    path_join(cmd, "mv %s/db %s/db.away", s.dir, s.dir);
    ok(!system(cmd) && site_open(&s, &f) == CE_ROLLBACK, "no database under a published log: %s", f.text);
    path_join(cmd, "rm -rf %s/db; mv %s/db.away %s/db; rm %s/log/checkpoint", s.dir, s.dir, s.dir, s.dir);
    ok(!system(cmd), "put back");
    path_join(cmd, "dd if=/dev/urandom of=%s/db/cradle.db bs=4096 count=8 seek=2 conv=notrunc status=none", s.dir);
    ok(!system(cmd) && site_open(&s, &f) == CE_STORE_DAMAGED, "a damaged database stops the start: %s", f.text);
}

int main(void)
{
    log_setup("test", LOG_LEVEL_ERROR);
    site_new(&s);
    test_birth();
    test_sleep();
    test_registry();
    test_names_shared();
    test_states();
    test_callers();
    test_tags();
    test_idempotency();
    test_refusals();
    test_window();
    test_reports();
    test_reports_forged();
    test_front_lies();
    test_metrics();
    test_clock();
    test_queue();
    test_takeover();
    test_disk_full();
    test_ends();
    site_remove(&s);
    return done();
}
