/* core_mass.c: mass changes with the real engine and signer: counting, confirming, pausing, a crash in the middle, refusals, cancelling, who may
 * what, every filter; suspension and its end in certificates; and fold(events) = tables over all of it. */
#include "base/log.h"
#include "core/fold.h"
#include "core/mass.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"

static struct site s;
static struct who station, olga, valve_only, paula;

static int64_t count(const char *fmt, long long id)
{
    char sql[256];
    snprintf(sql, sizeof sql, fmt, id);
    return site_count(&s, sql);
}

static void devices_add(const char *prefix, const char *model, int n)
{
    for (int i = 0; i < n; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "%s-%d", prefix, i);
        const struct msg_device_add m = { .uid = span_str(uid), .model = span_str(model), .batch = span_str(prefix), .country = SPAN_LIT("DE") };
        (void)site_send(&s, &s.admin, &msg_desc_device_add, &m);
    }
    site_run(&s);
}

static int64_t id_of(const struct msg_reply *r)
{
    int64_t id = 0;
    struct span rest = r->body, digits = span_of(rest.p, 0);
    if (r->code || rest.n < 7)
        return 0;
    rest = span_of(rest.p + 6, rest.n - 6); /* {"id": */
    return span_cut(&rest, ',', &digits) && span_to_i64(digits, &id) ? id : 0;
}

static int64_t add(const struct who *w, struct msg_mass_add m)
{
    m.note = SPAN_LIT("stolen lorry");
    return id_of(site_do(&s, w, &msg_desc_mass_add, &m));
}

static const struct msg_reply *move(const struct who *w, int64_t id, const char *what, int64_t expect)
{
    const struct msg_mass_move m = { .id = id, .move = span_str(what), .expect = expect };
    return site_do(&s, w, &msg_desc_mass_move, &m);
}

static bool is(int64_t id, const char *state, int64_t matched, int64_t done, int64_t already, int64_t refused)
{
    struct arena a = { 0 };
    struct mass_row r;
    struct fault f = { 0 };
    enum err e = store_mass_get(core_db(s.core), &a, id, &r, &f);
    bool good = !e && span_eq_str(r.state, state) && r.matched == matched && r.done == done && r.already == already && r.refused == refused;
    if (!good)
        printf("# %lld: %s " SPAN_FMT " matched %lld done %lld already %lld refused %lld\n", (long long)id, e ? f.text : "", SPAN_ARG(r.state), (long long)r.matched,
               (long long)r.done, (long long)r.already, (long long)r.refused);
    arena_free(&a);
    return good;
}

static bool says(const struct msg_reply *r, enum err code, const char *text)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    buf_put_span(&b, r->text);
    return reply_is(r, code) && strstr(buf_cstr(&b), text);
}

static void steps(int n)
{
    struct fault f = { 0 };
    for (int i = 0; i < n; i++) {
        site_must(core_step(s.core, &f), &f, "step");
        site_sign(&s);
    }
}

#define LORRY "SELECT count(*) FROM device_state WHERE uid LIKE 'lorry%%' AND state = 'revoked' AND uid <> 'lorry-late-0' AND %lld = 0"

static void life(void)
{
    devices_add("lorry", "m-pump", 1300);
    int64_t id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("revoked"), .reason = SPAN_LIT("keyCompromise"), .batch = SPAN_LIT("lorry") });
    ok(id && is(id, "waiting", 1300, 0, 0, 0), "counted, more than one look, and nothing is changed");
    ok(count(LORRY, 0) == 0, "really nothing");
    ok(says(move(&s.admin, id, "confirm", 1299), CE_BAD_FIELD, "1300 devices match, not 1299"), "another number is refused");
    ok(says(move(&s.admin, id, "confirm", 1300), CE_SELF_APPROVAL, "no second person to confirm: cradle operator add"), "alone: told what to do");
    site_operator(&s, "olga", "operator", "", &olga);
    ok(says(move(&s.admin, id, "confirm", 1300), CE_SELF_APPROVAL, "somebody else confirms"), "who wanted it does not confirm it");
    ok(reply_is(move(&s.admin, id, "pause", 0), CE_STATE_CHANGE), "what does not run cannot be paused");
    devices_add("lorry-late", "m-pump", 1);
    uint64_t rid = site_send(&s, &olga, &msg_desc_mass_move, &(struct msg_mass_move){ .id = id, .move = SPAN_LIT("confirm"), .expect = 1300 });
    steps(3);
    ok(reply_is(site_reply_of(&s, rid), CE_OK), "somebody else confirms");
    int64_t some = count(LORRY, 0);
    ok(some > 0 && some < 1300, "it works in pieces (%lld so far)", (long long)some);
    rid = site_send(&s, &s.admin, &msg_desc_mass_move, &(struct msg_mass_move){ .id = id, .move = SPAN_LIT("pause") });
    steps(1);
    ok(reply_is(site_reply_of(&s, rid), CE_OK), "paused");
    some = count(LORRY, 0);
    site_run(&s);
    ok(some < 1300 && count(LORRY, 0) == some, "nothing goes on (%lld)", (long long)some);
    site_folds(&s, "while it is paused");
    rid = site_send(&s, &olga, &msg_desc_mass_move, &(struct msg_mass_move){ .id = id, .move = SPAN_LIT("resume") });
    steps(1);
    ok(reply_is(site_reply_of(&s, rid), CE_OK), "resumed by another");
    site_restart(&s); /* without an orderly end: what was not committed is lost */
    some = count(LORRY, 0);
    ok(some < 1300 && is(id, "running", 1300, some, 0, 0), "after a crash the count is what is done (%lld)", (long long)some);
    site_run(&s);
    ok(is(id, "done", 1300, 1300, 0, 0) && count(LORRY, 0) == 1300, "and it goes on to the end");
    ok(count("SELECT count(*) FROM event WHERE kind = 'device-state' AND payload LIKE '%%\"note\":\"mass %lld: stolen lorry\",\"by\":\"admin\"%%'", id) == 1300,
       "each device has one event, which names the job");
    ok(site_count(&s, "SELECT count(*) FROM device_state WHERE uid = 'lorry-late-0' AND state = 'registered'") == 1, "who came after the count is not concerned");
    ok(count("SELECT count(*) FROM event e, mass_job j WHERE j.id = %lld AND e.kind = 'device-state' AND (j.first_event = '1:' || e.nseq OR j.last_event = '1:' || e.nseq)", id) == 2,
       "the report names the first and the last event");
    ok(count("SELECT count(*) FROM mass_device WHERE job = %lld", id) == 0, "nothing is left to do");
    site_folds(&s, "after it");
}

static void refusals(void)
{
    devices_add("mix", "m-valve", 6);
    (void)site_state(&s, "mix-0", "suspended", "");
    (void)site_state(&s, "mix-1", "revoked", "");
    (void)site_state(&s, "mix-2", "suspended", "");
    int64_t id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("suspended"), .batch = SPAN_LIT("mix"), .line = SPAN_LIT("valve") });
    ok(is(id, "waiting", 6, 0, 0, 0) && reply_is(move(&s.admin, id, "confirm", 6), CE_OK), "few devices need no second person");
    ok(is(id, "done", 6, 3, 2, 1), "done, already so, refused");
    ok(count("SELECT count(*) FROM mass_device WHERE job = %lld AND uid = 'mix-1' AND reason = 'state-change' AND is_open = 0", id) == 1, "which, and why");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'refused' AND payload LIKE '%\"op\":\"mass\"%'") == 1, "the refusal is evidence");
    id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("active"), .batch = SPAN_LIT("mix"), .in_state = SPAN_LIT("suspended") });
    ok(is(id, "waiting", 5, 0, 0, 0) && reply_is(move(&s.admin, id, "confirm", 5), CE_OK) && is(id, "done", 5, 5, 0, 0), "and resumed");
    id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("revoked"), .line = SPAN_LIT("nowhere") });
    ok(is(id, "cancelled", 0, 0, 0, 0), "what nothing matches ends");
    ok(reply_is(move(&s.admin, id, "confirm", 0), CE_STATE_CHANGE) && reply_is(move(&s.admin, id, "cancel", 0), CE_STATE_CHANGE), "for good");
    ok(reply_is(move(&s.admin, 9999, "confirm", 0), CE_NOT_FOUND), "one that is not there");
}

static void bad_input(void)
{
    static const struct { struct msg_mass_add m; const char *what; } bad[] = {
        { { .state = SPAN_LIT("revoked") }, "a query that names nothing" },
        { { .state = SPAN_LIT("provisioned"), .line = SPAN_LIT("pump") }, "a state that nobody may ask for" },
        { { .state = SPAN_LIT("revoked"), .line = SPAN_LIT("pump"), .reason = SPAN_LIT("anger") }, "a reason that there is not" },
        { { .state = SPAN_LIT("revoked"), .in_state = SPAN_LIT("happy") }, "a state that there is not" },
        { { .state = SPAN_LIT("revoked"), .enrolled_from = SPAN_LIT("yesterday") }, "no time" },
        { { .state = SPAN_LIT("revoked"), .enrolled_from = SPAN_LIT("2026-02-01T00:00:00Z"), .enrolled_to = SPAN_LIT("2026-01-01T00:00:00Z") }, "an end before the beginning" },
    };
    int64_t before = site_count(&s, "SELECT count(*) FROM mass_job");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ok(reply_is(site_do(&s, &s.admin, &msg_desc_mass_add, &bad[i].m), CE_BAD_FIELD), "refused: %s", bad[i].what);
    ok(site_count(&s, "SELECT count(*) FROM mass_job") == before, "and nothing was begun");
}

static void cancelling(void)
{
    devices_add("slow", "m-pump", 1200);
    int64_t id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("suspended"), .batch = SPAN_LIT("slow") });
    (void)site_send(&s, &olga, &msg_desc_mass_move, &(struct msg_mass_move){ .id = id, .move = SPAN_LIT("confirm"), .expect = 1200 });
    steps(2);
    (void)site_send(&s, &s.admin, &msg_desc_mass_move, &(struct msg_mass_move){ .id = id, .move = SPAN_LIT("cancel") });
    site_run(&s);
    int64_t done = site_count(&s, "SELECT count(*) FROM device_state WHERE uid LIKE 'slow%' AND state = 'suspended'");
    ok(done > 0 && done < 1200 && is(id, "cancelled", 1200, done, 0, 0), "cancelled: what was done stays (%lld)", (long long)done);
    ok(count("SELECT count(*) FROM mass_device WHERE job = %lld", id) == 0, "the rest is forgotten");
}

static void rights(void)
{
    site_operator(&s, "vera", "operator", "valve", &valve_only);
    ok(reply_is(site_do(&s, &valve_only, &msg_desc_mass_add, &(struct msg_mass_add){ .state = SPAN_LIT("revoked"), .line = SPAN_LIT("pump") }), CE_LINE_FORBIDDEN),
       "not of another line");
    ok(reply_is(site_do(&s, &valve_only, &msg_desc_mass_add, &(struct msg_mass_add){ .state = SPAN_LIT("revoked"), .batch = SPAN_LIT("mix") }), CE_LINE_FORBIDDEN),
       "nor of any");
    int64_t id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("suspended"), .prefix = SPAN_LIT("mix-") });
    ok(reply_is(move(&valve_only, id, "confirm", 6), CE_LINE_FORBIDDEN), "nor confirms what may concern another");
    ok(reply_is(move(&s.admin, id, "cancel", 0), CE_OK), "cancelled");
    id = add(&valve_only, (struct msg_mass_add){ .state = SPAN_LIT("suspended"), .line = SPAN_LIT("valve"), .batch = SPAN_LIT("mix") });
    ok(is(id, "waiting", 6, 0, 0, 0), "of the own line");
    uint64_t gone = site_send(&s, &s.admin, &msg_desc_operator_remove, &(struct msg_operator_remove){ .name = SPAN_LIT("vera") });
    site_run(&s);
    ok(reply_is(site_reply_of(&s, gone), CE_OK) && reply_is(move(&olga, id, "confirm", 6), CE_OK), "its maker is removed before it begins");
    ok(is(id, "paused", 6, 0, 0, 0), "so it pauses");
    ok(reply_is(move(&olga, id, "resume", 0), CE_OK) && is(id, "paused", 6, 0, 0, 0), "again and again");
    ok(reply_is(move(&olga, id, "cancel", 0), CE_OK) && is(id, "cancelled", 6, 0, 0, 0), "until it is cancelled");
}

/* Certificates: suspended is on hold (RFC 5280 5.3.1 certificateHold), resumed is good again. */
static void certificates(void)
{
    struct key *k = site_new_key();
    devices_add("cert", "m-pump", 3);
    struct msg_enroll m = enroll_msg("cert-1", k, false);
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_OK), "one of three has a certificate");
    int64_t id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("suspended"), .batch = SPAN_LIT("cert"), .key_alg = SPAN_LIT("ec:P-256") });
    ok(is(id, "waiting", 1, 0, 0, 0), "found by the algorithm of its key");
    ok(reply_is(move(&s.admin, id, "confirm", 1), CE_OK) && is(id, "done", 1, 1, 0, 0), "suspended");
    ok(site_count(&s, "SELECT count(*) FROM cert c JOIN cert_state t ON t.kid = c.kid AND t.serial = c.serial WHERE c.holder = 'cert-1' AND t.status = 2 AND t.reason = 6") == 1,
       "its certificate is on hold");
    id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("active"), .batch = SPAN_LIT("cert"), .enrolled_from = SPAN_LIT("2020-01-01T00:00:00Z") });
    ok(is(id, "waiting", 1, 0, 0, 0) && reply_is(move(&s.admin, id, "confirm", 1), CE_OK) && is(id, "done", 1, 1, 0, 0), "found by when it enrolled, and resumed");
    ok(site_count(&s, "SELECT count(*) FROM cert c JOIN cert_state t ON t.kid = c.kid AND t.serial = c.serial WHERE c.holder = 'cert-1' AND t.status = 0 AND t.revoked_at = 0") == 1,
       "its certificate is good again");
    id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("revoked"), .batch = SPAN_LIT("cert"), .enrolled_to = SPAN_LIT("2020-01-01T00:00:00Z") });
    ok(is(id, "cancelled", 0, 0, 0, 0), "nobody enrolled before");
    const struct msg_device_tags tags = { .uid = SPAN_LIT("cert-2"), .add = SPAN_LIT("hot\n") };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_device_tags, &tags), CE_OK), "a tag");
    id = add(&s.admin, (struct msg_mass_add){ .state = SPAN_LIT("revoked"), .tag = SPAN_LIT("hot"), .country = SPAN_LIT("DE"), .model = SPAN_LIT("m-pump"), .prefix = SPAN_LIT("cert") });
    ok(is(id, "waiting", 1, 0, 0, 0) && reply_is(move(&s.admin, id, "confirm", 1), CE_OK) && is(id, "done", 1, 1, 0, 0), "found by tag, country, model and prefix");
    key_free(k);
}

/* Without a job: what one person changes within some minutes is one change, whatever the requests. */
static void without_job(void)
{
    CLEANUP(buf_free) struct buf few = BUF_INIT(0), many = BUF_INIT(0);
    devices_add("pace", "m-pump", 241);
    for (int i = 0; i < 101; i++) {
        if (i < 60)
            buf_printf(&few, "pace-%d\n", i);
        buf_printf(&many, "pace-%d\n", 100 + i);
    }
    struct msg_device_states m = { .uids = buf_span(&many), .state = SPAN_LIT("suspended") };
    site_operator(&s, "paula", "operator", "", &paula);
    ok(says(site_do(&s, &paula, &msg_desc_device_states, &m), CE_SECOND_PERSON, "cradle device revoke --query"), "101 in one request: told to make a job");
    ok(count("SELECT count(*) FROM device_state WHERE uid LIKE 'pace%%' AND state = 'suspended' AND %lld = 0", 0) == 0, "and nothing is changed");
    m.uids = buf_span(&few);
    ok(reply_is(site_do(&s, &paula, &msg_desc_device_states, &m), CE_OK), "60");
    ok(reply_is(site_do(&s, &paula, &msg_desc_device_states, &m), CE_SECOND_PERSON), "the sum of two requests");
    struct msg_device_state one = { .state = SPAN_LIT("revoked") };
    int done = 0;
    for (int i = 200; i < 241; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "pace-%d", i);
        one.uid = span_str(uid);
        done += reply_is(site_do(&s, &paula, &msg_desc_device_state, &one), CE_OK);
    }
    ok(done == 40 && count("SELECT count(*) FROM device_state WHERE uid LIKE 'pace%%' AND state = 'revoked' AND %lld = 0", 0) == 40, "one by one until they are 100 (%d)", done);
    ok(count("SELECT count(*) FROM event WHERE kind = 'refused' AND payload LIKE '%%second-person%%paula%%' AND %lld = 0", 0) > 0, "the refusals are evidence");
    one.uid = SPAN_LIT("pace-80");
    ok(reply_is(site_do(&s, &olga, &msg_desc_device_state, &one), CE_OK), "somebody else is counted alone");
    buf_free(&paula.der);
}

int main(void)
{
    log_setup("test", LOG_LEVEL_ERROR);
    s.cfg.mass_confirm = 100;
    site_open(&s);
    (void)site_do(&s, &s.admin, &msg_desc_line_add, &(struct msg_line_add){ .name = SPAN_LIT("pump") });
    (void)site_do(&s, &s.admin, &msg_desc_line_add, &(struct msg_line_add){ .name = SPAN_LIT("valve") });
    site_device(&s, "one", "pump");
    site_device(&s, "two", "valve");
    life();
    site_operator(&s, "station", "station", "", &station);
    refusals();
    bad_input();
    cancelling();
    rights();
    certificates();
    without_job();
    site_folds(&s, "at the end");
    site_close(&s);
    return done();
}
