/* core_incident.c: many devices changed at once: each judged as if alone, all in one frame, answered again for the same key, all or
 * nothing when the list is malformed; and fold(events) = tables after it.
 */
#include "core/fold.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"
#include "t/unit/cert_subscriber.h"
#include "wire/uid_list.h"

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
    buf_put_u8(out, (uint8_t)strlen(uid));
    buf_put_str(out, uid);
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
    devices_add("lorry", "m-pump", UID_LIST_MAX);
    ok(sub_open(&u) && sub_good(&u), "subscribed");
    uids_put(&list, "lorry", UID_LIST_MAX);
    size_t frames = s.n_frames;
    int64_t events = count("SELECT count(*) FROM event");
    const struct msg_reply *r = states_ask(&s.admin, buf_span(&list), "revoked", "keyCompromise");
    ok(says(r, "{\"state\":\"revoked\",\"done\":500,\"already\":0,\"refused\":0,\"decided\":\"1:"), "500 devices are revoked by one request");
    sub_follow(&u);
    ok(sub_good(&u) && u.n[1] == UID_LIST_MAX, "an edge has them all (%zu)", u.n[1]);
    ok(s.n_frames - frames <= 2, "in one frame (%zu came)", s.n_frames - frames);
    ok(count("SELECT count(*) FROM event") == events + UID_LIST_MAX &&
           count("SELECT count(*) FROM event WHERE kind = 'device-state' AND payload LIKE '%\"reason\":\"keyCompromise\",\"note\":\"stolen lorry\",\"by\":\"admin\"%'") ==
               UID_LIST_MAX,
       "each has the event of its own that a single change makes");
    ok(says(states_ask(&s.admin, buf_span(&list), "revoked", ""), "\"done\":0,\"already\":500,\"refused\":0,\"items\":["), "a second time: already so, and no event");
    ok(count("SELECT count(*) FROM event") == events + UID_LIST_MAX, "no event");
    uid_put(&list, "one-more");
    ok(reply_is(states_ask(&s.admin, buf_span(&list), "revoked", ""), CE_BAD_FIELD), "501 are too many");
    buf_put_span(&five, SPAN_LIT("\x05" "ab"));
    ok(reply_is(states_ask(&s.admin, buf_span(&five), "revoked", ""), CE_BAD_FIELD), "a list that ends early is refused");
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
    ok(!core_fold_check(core_db(s.core), &f), "fold(events) = tables: %s", f.code ? f.text : "equal");
    buf_free(&edge.der);
    buf_free(&olga.der);
    site_close(&s);
    return done();
}
