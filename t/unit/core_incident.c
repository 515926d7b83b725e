/* core_incident.c: many devices changed at once: each judged as if alone, all in one frame; what edges report of it: cuts with the decision
 * they answer to, acknowledgements; drills; and fold(events) = tables after it.
 */
#include "core/fold.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"
#include "t/unit/cert_subscriber.h"

static struct subscriber u;
static struct who olga;

static void devices_add(const char *prefix, const char *model, int n)
{
    for (int i = 0; i < n; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "%s-%d", prefix, i);
        const struct msg_device_add m = { .uid = span_str(uid), .model = span_str(model) };
        (void)site_send(&s, &s.admin, &msg_desc_device_add, &m);
    }
    site_run(&s);
}

static void uid_put(struct buf *out, const char *uid)
{
    buf_put_str(out, uid);
    buf_put_u8(out, '\n');
}

static void uids_put(struct buf *out, const char *prefix, int n)
{
    for (int i = 0; i < n; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "%s-%d", prefix, i);
        uid_put(out, uid);
    }
}

static const struct msg_reply *states_ask(const struct who *w, struct span uids, const char *state, const char *reason)
{
    const struct msg_device_states m = { .uids = uids, .state = span_str(state), .reason = span_str(reason), .note = SPAN_LIT("stolen lorry") };
    return site_do(&s, w, &msg_desc_device_states, &m);
}

static bool says(const struct msg_reply *r, const char *text)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    buf_put_span(&b, r->body);
    bool there = r->code == CE_OK && strstr(buf_cstr(&b), text);
    if (!there)
        printf("# %lld " SPAN_FMT " " SPAN_FMT "\n", (long long)r->code, SPAN_ARG(r->text), r->body.n < 600 ? (int)r->body.n : 600, (const char *)r->body.p);
    return there;
}

static int64_t count(const char *sql) { return site_count(&s, sql); }

static void at_once(void)
{
    CLEANUP(buf_free) struct buf list = BUF_INIT(0), five = BUF_INIT(0);
    devices_add("lorry", "m-pump", DEVICE_STATES_MAX);
    ok(sub_open(&u) && sub_good(&u), "subscribed");
    uids_put(&list, "lorry", DEVICE_STATES_MAX);
    size_t frames = s.n_frames;
    int64_t events = count("SELECT count(*) FROM event");
    const struct msg_reply *r = states_ask(&s.admin, buf_span(&list), "revoked", "keyCompromise");
    ok(says(r, "{\"state\":\"revoked\",\"done\":500,\"already\":0,\"refused\":0,\"decided\":\"1:"), "500 devices are revoked by one request");
    sub_follow(&u);
    ok(sub_good(&u) && u.n[1] == DEVICE_STATES_MAX, "an edge has them all (%zu)", u.n[1]);
    ok(s.n_frames - frames <= 2, "in one frame (%zu came)", s.n_frames - frames);
    ok(count("SELECT count(*) FROM event") == events + DEVICE_STATES_MAX &&
           count("SELECT count(*) FROM event WHERE kind = 'device-state' AND payload LIKE '%\"reason\":\"keyCompromise\",\"note\":\"stolen lorry\",\"by\":\"admin\"%'") ==
               DEVICE_STATES_MAX,
       "each has the event of its own that a single change makes");
    ok(says(states_ask(&s.admin, buf_span(&list), "revoked", ""), "\"done\":0,\"already\":500,\"refused\":0,\"items\":["), "a second time: already so, and no event");
    ok(count("SELECT count(*) FROM event") == events + DEVICE_STATES_MAX, "no event");
    uid_put(&list, "one-more");
    ok(reply_is(states_ask(&s.admin, buf_span(&list), "revoked", ""), CE_BAD_FIELD), "501 are too many");
    buf_put_str(&five, "\n");
    ok(reply_is(states_ask(&s.admin, buf_span(&five), "revoked", ""), CE_BAD_FIELD), "a list of none is refused");
    buf_put_str(&five, "ab");
    ok(reply_is(states_ask(&s.admin, buf_span(&five), "revoked", ""), CE_BAD_FIELD), "one that ends early too");
    buf_reset(&five);
    uid_put(&five, "a/b");
    ok(reply_is(states_ask(&s.admin, buf_span(&five), "revoked", ""), CE_BAD_UID), "and what is no UID");
}

/* What one is refused concerns no other. */
static void each_alone(void)
{
    CLEANUP(buf_free) struct buf list = BUF_INIT(0);
    devices_add("mix", "m-pump", 4);
    devices_add("tap", "m-valve", 1);
    uid_put(&list, "mix-0");
    ok(says(states_ask(&s.admin, buf_span(&list), "suspended", ""), "\"done\":1"), "one is suspended before");
    buf_reset(&list);
    uid_put(&list, "mix-1");
    ok(says(states_ask(&s.admin, buf_span(&list), "revoked", ""), "\"done\":1"), "one is revoked before");
    buf_reset(&list);
    uids_put(&list, "mix", 4);
    uid_put(&list, "tap-0");
    uid_put(&list, "ghost");
    uid_put(&list, "mix-3");
    const struct msg_reply *r = states_ask(&olga, buf_span(&list), "suspended", "");
    ok(says(r, "\"done\":2,\"already\":2,\"refused\":3"), "done, already so and refused are counted");
    ok(says(r, "{\"uid\":\"mix-0\",\"result\":\"already\",\"rev\":2}") && says(r, "{\"uid\":\"mix-2\",\"result\":\"done\",\"rev\":2}") &&
           says(r, "{\"uid\":\"mix-3\",\"result\":\"already\",\"rev\":2}"),
       "each with its revision; one that is named twice is already so the second time");
    ok(says(r, "{\"uid\":\"mix-1\",\"result\":\"refused\",\"reason\":\"state-change\"") && says(r, "{\"uid\":\"tap-0\",\"result\":\"refused\",\"reason\":\"line-forbidden\"") &&
           says(r, "{\"uid\":\"ghost\",\"result\":\"refused\",\"reason\":\"uid-unknown\""),
       "each refusal has its reason");
    ok(count("SELECT count(*) FROM event WHERE kind = 'refused' AND payload LIKE '%\"op\":\"device_states\"%'") >= 3, "refusals are evidence");
    ok(count("SELECT count(*) FROM device_state WHERE uid = 'tap-0' AND state = 'registered'") == 1, "and change nothing");
    ok(says(states_ask(&olga, buf_span(&list), "active", ""), "\"done\":3,\"already\":1,\"refused\":3"), "resumed: those that were suspended");
    ok(reply_is(states_ask(&olga, buf_span(&list), "registered", ""), CE_BAD_FIELD), "a state that cannot be asked for");
    ok(reply_is(states_ask(&olga, buf_span(&list), "revoked", "because"), CE_BAD_FIELD), "a reason that RFC 5280 does not know");
    ok(reply_is(states_ask(&edge, buf_span(&list), "revoked", ""), CE_ROLE_FORBIDDEN), "an edge may not");
    sub_follow(&u);
    ok(sub_good(&u) && !sub_blocks(&u, "mix-2") && sub_blocks(&u, "mix-1"), "the edge knows who is out and who is in again");
}

/* -- what edges report of it ------------------------------------------------------------------------------------------------------ */
static int reports; /* of a report each: its id */

/* Gets its id and time here. */
static void report_send(const struct who *w, struct msg_report *r)
{
    CLEANUP(buf_free) struct buf items = BUF_INIT(0);
    char id[16];
    snprintf(id, sizeof id, "r%d", reports++);
    r->id = span_str(id);
    r->at = clock_now_ms();
    r->addr = SPAN_LIT("192.0.2.7");
    r->latency_us = 700;
    msg_pack(&msg_desc_report, r, &items);
    const struct msg_edge_report m = { .items = buf_span(&items) };
    if (!reply_is(site_do(&s, w, &msg_desc_edge_report, &m), CE_OK))
        exit(1);
}

static void report(const struct who *w, const char *kind, const char *uid, const char *reason, const char *vector)
{
    struct msg_report r = { .kind = span_str(kind), .uid = span_str(uid), .reason = span_str(reason), .vector = span_str(vector),
                            .frame_at = vector[0] ? 0 : clock_now_ms() };
    report_send(w, &r);
}

/* The newest event as text, with its number. */
static const char *newest(const char *kind, const char *uid, char name[32])
{
    static char payload[1024];
    struct db_rows r;
    struct fault f = { 0 };
    payload[0] = name[0] = 0;
    db_rows(core_db(s.core), "SELECT slot, nseq, payload FROM event WHERE kind = $1 AND device = $2 ORDER BY nseq DESC LIMIT 1", DB_ARGS(DB_S(kind), DB_S(uid)), &r);
    if (db_next(&r)) {
        snprintf(name, 32, "%lld:%lld", (long long)db_i64(&r, 0), (long long)db_i64(&r, 1));
        snprintf(payload, sizeof payload, SPAN_FMT, SPAN_ARG(db_span(&r, 2)));
    }
    site_must(db_rows_end(&r, &f), &f, kind);
    return payload;
}

static bool decided_by(const char *cut, const char *decision)
{
    char want[64];
    snprintf(want, sizeof want, "\"decided\":\"%s\"", decision);
    bool there = strstr(cut, want) != NULL;
    if (!there)
        printf("# %s is not in %s\n", want, cut);
    return there;
}

static void vector_now(char *out) { snprintf(out, 64, "1:%lld", (long long)core_nseq(s.core)); }

static void cuts(void)
{
    char decision[32], cert[32], name[32];
    struct key *k = site_new_key();
    struct who station = { 0 };
    site_operator(&s, "station-1", "station", "", &station);
    site_device(&s, "pump-1", "pump");
    const struct msg_enroll en = enroll_msg("pump-1", k, false);
    const struct msg_reply *r = site_do(&s, &station, &msg_desc_enroll, &en);
    struct who dev = { 0 };
    if (!reply_is(r, CE_OK))
        exit(1);
    who_set(&dev, CALLER_DEVICE, r->body);
    (void)site_state(&s, "pump-1", "suspended", "");
    newest("device-state", "pump-1", decision);
    newest("cert-revoked", "pump-1", cert);
    report(&edge, "cut", "pump-1", "device-revoked", "");
    const char *cut = newest("cut", "pump-1", name);
    ok(cert[0] && decided_by(cut, decision), "a cut answers to the change of state, not to the certificate's that followed from it");
    ok(strstr(cut, "\"frame_at\":\"20") && strstr(cut, "\"latency_us\":700"), "with the time of the frame and the host's own latency");
    (void)site_state(&s, "pump-1", "active", "");
    const struct msg_cert_revoke cr = { .serial = dev.cert.serial };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_cert_revoke, &cr), CE_OK), "its certificate alone is revoked");
    newest("cert-revoked", "pump-1", cert);
    report(&edge, "cut", "pump-1", "certificate-revoked", "");
    ok(decided_by(newest("cut", "pump-1", name), cert), "then the cut answers to that");
    report(&edge, "cut", "pump-1", "certificate-expired", "");
    ok(decided_by(newest("cut", "pump-1", name), ""), "a certificate that ends is nobody's decision");
    (void)site_state(&s, "pump-1", "quarantined", "");
    newest("device-state", "pump-1", decision);
    report(&edge, "cut", "pump-1", "device-quarantined", "");
    ok(decided_by(newest("cut", "pump-1", name), decision), "quarantine cuts too");
    struct msg_report late = { .kind = SPAN_LIT("cut"), .uid = SPAN_LIT("pump-1"), .reason = SPAN_LIT("device-revoked"), .frame_at = clock_now_ms() };
    usleep(3000);
    (void)site_state(&s, "pump-1", "active", "");
    (void)site_state(&s, "pump-1", "suspended", "");
    report_send(&edge, &late);
    ok(decided_by(newest("cut", "pump-1", name), decision), "a host that was away may act on a decision that was overtaken: by the frame's time");
    const struct msg_line_set ls = { .name = SPAN_LIT("pump"), .state = SPAN_LIT("suspended") };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_line_set, &ls), CE_OK), "its line is suspended");
    newest("line-state", "", decision);
    report(&edge, "cut", "pump-1", "line-suspended", "");
    ok(decided_by(newest("cut", "pump-1", name), decision), "then the cut answers to the line's suspension");
    const struct msg_line_set lr = { .name = SPAN_LIT("pump"), .state = SPAN_LIT("active") };
    (void)site_do(&s, &s.admin, &msg_desc_line_set, &lr);
    buf_free(&dev.der);
    buf_free(&station.der);
    key_free(k);
}

/* While one change follows the other, each acknowledgement that covers one of them is recorded. */
static void acks_in_a_stream(void)
{
    char vector[64], before[64];
    devices_add("ack", "m-pump", 5);
    vector_now(before);
    report(&edge, "ack", "", "", before);
    int64_t acks = count("SELECT count(*) FROM event WHERE kind = 'edge-ack'");
    for (int i = 0; i < 5; i++) {
        char uid[16];
        snprintf(uid, sizeof uid, "ack-%d", i);
        (void)site_state(&s, uid, "revoked", "");
        vector_now(vector);
        if (i) /* the edge is always one change behind */
            report(&edge, "ack", "", "", before);
        memcpy(before, vector, sizeof before);
    }
    ok(count("SELECT count(*) FROM event WHERE kind = 'edge-ack'") == acks + 4, "an edge that is always a change behind has each of its acknowledgements recorded");
    report(&edge, "ack", "", "", vector);
    report(&edge, "ack", "", "", vector);
    ok(count("SELECT count(*) FROM event WHERE kind = 'edge-ack'") == acks + 5, "the same vector again is no news");
    ok(count("SELECT count(*) FROM event WHERE kind = 'edge-ack' AND payload LIKE '%\"latency_us\":700}'") >= 5, "with the host's own latency");
}

/* -- drills ------------------------------------------------------------------------------------------------------------------------ */
static struct who edge2;

static struct msg_drill_add drill_of(const char *uid, const char *decided, int64_t acked, int64_t cut)
{
    return (struct msg_drill_add){ .device = span_str(uid), .decided = span_str(decided), .acked = acked, .cut = cut, .slowest_ms = 1, .limit_ms = 60000, .session = 1 };
}

static void drills(void)
{
    char decision[32], resumed[32], vector[64];
    site_operator(&s, "edge-2", "edge", "", &edge2);
    site_device(&s, "canary", "pump");
    (void)site_state(&s, "canary", "suspended", "");
    newest("device-state", "canary", decision);
    struct msg_drill_add m = drill_of("canary", decision, 2, 1);
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_drill_add, &m), CE_BAD_FIELD), "a drill that claims what no host has acknowledged is refused");
    vector_now(vector);
    report(&edge, "ack", "", "", vector);
    report(&edge, "cut", "canary", "device-suspended", "");
    m = drill_of("canary", decision, 1, 2);
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_drill_add, &m), CE_BAD_FIELD), "or cuts that nobody made");
    m = drill_of("canary", decision, 1, 1);
    ok(reply_is(site_do(&s, &edge, &msg_desc_drill_add, &m), CE_ROLE_FORBIDDEN), "an edge files none");
    m = drill_of("first", decision, 1, 1);
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_drill_add, &m), CE_BAD_FIELD), "the decision must be about the device");
    m = drill_of("canary", "1:999999", 1, 1);
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_drill_add, &m), CE_BAD_FIELD), "and must be there");
    m = drill_of("canary", decision, 1, 1);
    ok(says(site_do(&s, &s.admin, &msg_desc_drill_add, &m), "\"hosts\":2,\"acked\":1,\"cut\":1,") && s.replies[s.n_replies - 1].r.http == 201, "one of two hosts has followed");
    ok(strstr(newest("drill", "canary", resumed), "\"how\":\"suspended\",\"by\":\"admin\"") && strstr(newest("drill", "canary", resumed), "\"result\":\"failed\"}"),
       "so the drill has failed, and is filed all the same");
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_drill_add, &m), CE_EXISTS), "once");
    CLEANUP(buf_free) struct buf status = BUF_INIT(0);
    core_metrics(s.core, true, &status);
    ok(strstr(buf_cstr(&status), "\"last_result\":\"failed\"") && strstr(buf_cstr(&status), "\"passed_at\":null"), "the status knows of it");
    (void)site_state(&s, "canary", "active", "");
    newest("device-state", "canary", resumed);
    m = drill_of("canary", resumed, 0, 0);
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_drill_add, &m), CE_BAD_FIELD), "a resumption is no drill");
    (void)site_state(&s, "canary", "suspended", "");
    newest("device-state", "canary", decision);
    vector_now(vector);
    report(&edge, "ack", "", "", vector);
    report(&edge2, "ack", "", "", vector);
    report(&edge, "cut", "canary", "device-suspended", "");
    m = drill_of("canary", decision, 2, 1);
    m.limit_ms = 0;
    site_wait(&s, 5);
    ok(says(site_do(&s, &s.admin, &msg_desc_drill_add, &m), "\"hosts\":2,\"acked\":2,\"cut\":1,"), "both hosts have followed");
    bool slow = !strstr(newest("drill", "canary", resumed), "\"slowest_ms\":0,");
    ok(strstr(newest("drill", "canary", resumed), slow ? "\"result\":\"failed\"" : "\"result\":\"passed\"") != NULL, "too slow for its limit is failed (%s)", slow ? "slow" : "within the same ms");
    (void)site_state(&s, "canary", "active", "");
    (void)site_state(&s, "canary", "suspended", "");
    newest("device-state", "canary", decision);
    vector_now(vector);
    report(&edge, "ack", "", "", vector);
    report(&edge2, "ack", "", "", vector);
    m = drill_of("canary", decision, 2, 0);
    m.session = 0;
    ok(says(site_do(&s, &s.admin, &msg_desc_drill_add, &m), "\"result\":\"passed\"}"), "without a session to close, acknowledgements are enough");
    site_restart(&s);
    buf_reset(&status);
    core_metrics(s.core, true, &status);
    ok(strstr(buf_cstr(&status), "\"last_result\":\"passed\"") && !strstr(buf_cstr(&status), "\"passed_at\":null"), "after a restart the status still knows");
}

int main(void)
{
    struct fault f = { 0 };
    site_open(&s);
    site_operator(&s, "edge-1", "edge", "", &edge);
    site_operator(&s, "olga", "operator", "pump", &olga);
    site_device(&s, "first", "pump");
    site_device(&s, "second", "valve");
    at_once();
    each_alone();
    cuts();
    acks_in_a_stream();
    drills();
    ok(!core_fold_check(core_db(s.core), &f), "fold(events) = tables: %s", f.code ? f.text : "equal");
    buf_free(&edge.der);
    buf_free(&olga.der);
    buf_free(&edge2.der);
    site_close(&s);
    return done();
}
