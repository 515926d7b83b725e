/* core_enroll.c: first enrollments that wait for an approval, with the real engine and the real signer: asking, joining, deciding, who may
 * decide, the end of waiting, bounds, a crash between approval and issue; and fold(events) = tables over all of it. */
#include "t/tap.h"
#include "t/unit/cert_site.h"

static struct site s;
static struct who station, olga, valve_only;

static const struct msg_reply *ask(const char *uid, const struct key *k)
{
    struct msg_enroll m = enroll_msg(uid, k, false);
    return site_do(&s, &station, &msg_desc_enroll, &m);
}

static const struct msg_reply *decide(const struct who *w, const struct key *k, const char *move, const char *note)
{
    uint8_t spki[SHA256_LEN];
    sha256(key_spki(k), spki);
    struct msg_enroll_decide m = { .spki = span_of(spki, sizeof spki), .move = span_str(move), .note = span_str(note) };
    return site_do(&s, w, &msg_desc_enroll_decide, &m);
}

static void line_wants(const char *line, const char *yes)
{
    struct msg_line_set m = { .name = span_str(line), .enroll_approval = span_str(yes) };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_line_set, &m), CE_OK), "line %s: enroll_approval %s", line, yes);
}

static int64_t in_state(const char *state)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM enroll_request WHERE state = '%s'", state);
    return site_count(&s, sql);
}

static int64_t events(const char *kind)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM event WHERE kind = '%s'", kind);
    return site_count(&s, sql);
}

static void asking(void)
{
    struct key *k = site_new_key(), *k2 = site_new_key();
    site_device(&s, "dev-1", "pump");
    site_device(&s, "dev-2", "pump");
    ok(reply_is(decide(&olga, k, "approve", ""), CE_NOT_FOUND), "nothing to approve yet");
    const struct msg_reply *r = ask("dev-1", k);
    ok(reply_is(r, CE_PENDING) && r->retry_s > 0 && r->retry_s <= 60, "a first enrollment waits, and is told for how long");
    ok(in_state("waiting") == 1 && events("enroll-requested") == 1, "the request is durable, with its evidence");
    ok(site_count(&s, "SELECT count(*) FROM intent") == 0 && site_count(&s, "SELECT count(*) FROM event WHERE payload LIKE '%enrollment-pending%'") == 0, "no intent, and no refusal");
    ok(reply_is(ask("dev-1", k), CE_PENDING) && events("enroll-requested") == 1, "the same key joins");
    ok(reply_is(ask("dev-2", k), CE_KEY_OF_OTHER), "the same key for another device is refused");
    ok(reply_is(decide(&station, k, "approve", ""), CE_ROLE_FORBIDDEN), "a station approves nothing");
    ok(reply_is(decide(&valve_only, k, "approve", ""), CE_LINE_FORBIDDEN), "nor an operator of another line");
    ok(reply_is(decide(&olga, k, "refuse", ""), CE_BAD_FIELD), "a refusal says why");
    ok(reply_is(decide(&olga, k, "approve", "seen"), CE_OK) && in_state("approved") == 1, "an operator of the line approves");
    ok(reply_is(decide(&olga, k, "approve", ""), CE_STATE_CHANGE), "once");
    r = ask("dev-1", k);
    ok(reply_is(r, CE_OK) && r->body_kind == BODY_CERT, "the same request gets the certificate");
    ok(in_state("done") == 1, "and the request is done");
    ok(reply_is(ask("dev-1", k), CE_OK) && events("enroll-requested") == 1, "asked again: the same certificate, no approval");
    ok(reply_is(ask("dev-1", k2), CE_PENDING), "another key of the device waits anew");
    ok(reply_is(decide(&olga, k2, "refuse", "not this one"), CE_OK) && in_state("refused") == 1, "and is refused");
    r = ask("dev-1", k2);
    ok(reply_is(r, CE_ENROLL_REFUSED) && memmem(r->text.p, r->text.n, "not this one", 12), "the asker learns why");
    ok(reply_is(decide(&olga, k2, "approve", ""), CE_OK) && reply_is(ask("dev-1", k2), CE_OK), "a refusal can be taken back");
    site_folds(&s, "after decisions");
    key_free(k);
    key_free(k2);
}

static void self_approval(void)
{
    struct key *k = site_new_key();
    site_device(&s, "dev-3", "pump");
    ok(reply_is(ask("dev-3", k), CE_PENDING), "a request");
    struct fault f = { 0 };
    site_must(db_run(core_db(s.core), "UPDATE enroll_request SET asked_by = 'olga' WHERE uid = 'dev-3'", DB_NOARGS, NULL, &f), &f, "asker");
    ok(reply_is(decide(&olga, k, "approve", ""), CE_SELF_APPROVAL), "who asked does not approve");
    ok(reply_is(decide(&s.admin, k, "approve", ""), CE_OK), "somebody else does");
    site_must(db_run(core_db(s.core), "UPDATE enroll_request SET asked_by = 'station' WHERE uid = 'dev-3'", DB_NOARGS, NULL, &f), &f, "asker");
    key_free(k);
}

static void crash(void)
{
    struct key *k = site_new_key();
    site_device(&s, "dev-4", "pump");
    ok(reply_is(ask("dev-4", k), CE_PENDING) && reply_is(decide(&olga, k, "approve", ""), CE_OK), "approved");
    s.hold = true;
    struct msg_enroll m = enroll_msg("dev-4", k, false);
    (void)site_send(&s, &station, &msg_desc_enroll, &m);
    site_run(&s);
    ok(site_count(&s, "SELECT count(*) FROM intent") == 1 && in_state("approved") == 2, "the signer has not answered; the approval is not used up");
    ok(reply_is(decide(&olga, k, "refuse", "late"), CE_BUSY_UID), "it cannot be refused now");
    s.hold = false;
    site_restart(&s);
    site_run(&s);
    ok(site_count(&s, "SELECT count(*) FROM intent") == 0 && in_state("approved") == 2, "after a restart the intent is closed, the approval is there");
    ok(reply_is(ask("dev-4", k), CE_OK), "and the device gets its certificate");
    key_free(k);
}

static void the_end(void)
{
    struct key *k = site_new_key(), *k2 = site_new_key();
    site_device(&s, "dev-5", "pump");
    site_device(&s, "dev-6", "pump");
    ok(reply_is(ask("dev-5", k), CE_PENDING) && reply_is(ask("dev-6", k2), CE_PENDING) && reply_is(decide(&olga, k2, "approve", ""), CE_OK), "two requests, one approved");
    int64_t before = events("enroll-expired");
    s.wall_skew_ms += 2 * 3600 * 1000LL;
    ok(reply_is(decide(&olga, k, "approve", ""), CE_STATE_CHANGE), "an hour later nobody approves it any more");
    site_wait(&s, 1200);
    ok(in_state("waiting") == 0 && in_state("approved") == 0 && events("enroll-expired") >= before + 2, "both have expired, with evidence");
    ok(reply_is(ask("dev-5", k), CE_PENDING) && in_state("waiting") == 1, "an expired one may be asked for anew");
    site_folds(&s, "after the end");
    key_free(k);
    key_free(k2);
}

static void bounds(void)
{
    struct key *k[8];
    site_device(&s, "dev-7", "pump");
    for (size_t i = 0; i < ARRAY_LEN(k); i++)
        k[i] = site_new_key();
    for (size_t i = 0; i < 4; i++)
        ok(reply_is(ask("dev-7", k[i]), CE_PENDING), "key %zu of one device waits", i + 1);
    ok(reply_is(ask("dev-7", k[4]), CE_RATE), "a fifth does not");
    site_device(&s, "dev-8", "pump");
    site_device(&s, "dev-9", "pump");
    ok(reply_is(ask("dev-8", k[5]), CE_PENDING) && reply_is(ask("dev-9", k[6]), CE_RATE), "a line takes so many requests as the configuration says");
    ok(reply_is(ask("dev-8", k[5]), CE_PENDING), "who waits is not refused by that");
    line_wants("pump", "no");
    ok(reply_is(ask("dev-9", k[6]), CE_OK), "a line that wants no approvals any more");
    ok(reply_is(ask("dev-8", k[5]), CE_OK) && site_count(&s, "SELECT count(*) FROM enroll_request WHERE uid = 'dev-8' AND state = 'done'") == 1,
       "what waited there gets its certificate, and is done");
    for (size_t i = 0; i < ARRAY_LEN(k); i++)
        key_free(k[i]);
}

int main(void)
{
    site_open(&s);
    core_close(s.core);
    s.cfg.enroll_waiting = 6;
    s.cfg.enroll_wait_s = 3600;
    site_core_open(&s);
    site_operator(&s, "station", "station", "", &station);
    site_operator(&s, "olga", "operator", "pump", &olga);
    site_operator(&s, "vera", "operator", "valve", &valve_only);
    line_wants("pump", "yes");
    struct msg_line_set bad = { .name = SPAN_LIT("pump"), .enroll_approval = SPAN_LIT("may") };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_line_set, &bad), CE_BAD_FIELD), "yes or no");
    asking();
    self_approval();
    crash();
    the_end();
    bounds();
    site_folds(&s, "at the end");
    buf_free(&station.der);
    buf_free(&olga.der);
    buf_free(&valve_only.der);
    site_close(&s);
    return done();
}
