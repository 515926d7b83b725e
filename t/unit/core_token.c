/* core_token.c: keys in tokens, as core sees them: what needs a lost token is refused with 503 and nothing else is, intents wait for it, the queue
 * has a bound, and all of it is evidence. The signer answers in the place of the hsm role. */
#include "base/log.h"
#include "core/engine.h"
#include "core/token.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"

static struct site s;
static struct who station;

static int64_t events(const char *kind)
{
    char sql[120];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM event WHERE kind = '%s'", kind);
    return site_count(&s, sql);
}

static void tell(bool lost)
{
    const struct msg_hsm_state m = { .keys = SPAN_LIT("device device-ocsp"), .lost = lost, .why = lost ? SPAN_LIT("pulled") : span_of(NULL, 0),
                                     .token = SPAN_LIT("one"), .serial = SPAN_LIT("0123"), .manufacturer = SPAN_LIT("Maker") };
    (void)site_do(&s, NULL, &msg_desc_hsm_state, &m);
}

static void tell_key(bool bad)
{
    const struct msg_hsm_state m = { .keys = SPAN_LIT("device"), .lost = bad, .why = bad ? SPAN_LIT("no key pair") : span_of(NULL, 0), .token = SPAN_LIT("one"), .one = true };
    (void)site_do(&s, NULL, &msg_desc_hsm_state, &m);
}

static struct key *device(const char *uid)
{
    site_device(&s, uid, "pump");
    return site_new_key();
}

static uint64_t ask(const char *uid, struct key *k)
{
    struct msg_enroll m = enroll_msg(uid, k, false);
    return site_send(&s, &station, &msg_desc_enroll, &m);
}

static const struct msg_reply *answer(const char *uid, struct key *k)
{
    uint64_t rid = ask(uid, k);
    site_run(&s);
    return site_reply_of(&s, rid);
}

/* After test_lost: the token is there. */
static void test_one_key(void)
{
    struct key *d = device("d");
    struct fault f = { 0 };
    int64_t lost = events("token-lost"), back = events("token-back");
    tell_key(false);
    ok(events("token-lost") == lost && s.core->ntokens == 1, "of a key that can be used nothing is kept");
    tell_key(true);
    ok(events("token-lost") == lost + 1, "a key that cannot be used is evidence");
    ok(reply_is(answer("d", d), CE_TOKEN_LOST) && strstr(token_ready(s.core, SPAN_LIT("device"), "", &f) ? f.text : "", "no key pair"), "its CA is refused, with the reason");
    ok(token_ready(s.core, SPAN_LIT("device"), "-ocsp", &f) == CE_OK, "the other key in the token goes on");
    tell(false);
    ok(token_ready(s.core, SPAN_LIT("device"), "", &f) == CE_TOKEN_LOST, "the token's state is not the key's");
    tell_key(false);
    ok(events("token-back") == back + 1 && reply_is(answer("d", d), CE_OK), "it is back");
    key_free(d);
}

static void test_lost(void)
{
    struct key *a = device("a"), *b = device("b"), *c = device("c");
    struct who other = { 0 };
    tell(false);
    ok(events("token-keys") == 1, "where the keys are is evidence");
    ok(reply_is(answer("a", a), CE_OK), "a certificate by the token");
    s.hold = true;
    uint64_t rid = ask("b", b);
    site_run(&s);
    ok(site_reply_of(&s, rid)->code == -1, "an enrollment is at the token");
    core_hsm_gone(s.core);
    s.hold = false;
    site_forget_asks(&s);
    site_run(&s);
    ok(reply_is(site_reply_of(&s, rid), CE_TOKEN_LOST) && site_reply_of(&s, rid)->retry_s > 0, "the role died: who waits is told to come again");
    ok(events("token-lost") == 0, "that is the role's death, not the token's");
    tell(true);
    ok(events("token-lost") == 1, "the token is gone");
    tell(true);
    ok(events("token-lost") == 1, "told once");
    ok(reply_is(answer("b", b), CE_TOKEN_LOST), "who asks again is refused at once");
    ok(reply_is(answer("c", c), CE_TOKEN_LOST), "so is another device");
    ok(site_count(&s, "SELECT count(*) FROM intent") == 1, "one intent waits, that of the first");
    site_operator(&s, "op", "auditor", "", &other);
    ok(other.der.len > 0, "the other CA's key is the signer's: an operator gets a certificate");
    site_wait(&s, 2500);
    ok(events("cert-orphan") == 0 && site_count(&s, "SELECT count(*) FROM intent") == 1, "it waits for as long as it takes");
    tell(false);
    ok(events("token-back") == 1, "back");
    site_wait(&s, 2500);
    ok(site_count(&s, "SELECT count(*) FROM intent") == 0 && site_count(&s, "SELECT count(*) FROM cert WHERE holder = 'b'") == 1, "the certificate is made by itself");
    ok(reply_is(answer("b", b), CE_OK) && site_count(&s, "SELECT count(*) FROM cert WHERE holder = 'b'") == 1, "its device gets it");
    ok(reply_is(answer("c", c), CE_OK), "and the other one its own");
    key_free(a), key_free(b), key_free(c);
    buf_free(&other.der);
}

#define MANY 7
static void test_queue(void)
{
    struct key *k[MANY];
    uint64_t rid[MANY];
    char uid[24];
    int busy = 0, good = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(uid, sizeof uid, "many-%d", i);
        k[i] = device(uid);
    }
    s.hold = true;
    for (int i = 0; i < MANY; i++) {
        snprintf(uid, sizeof uid, "many-%d", i);
        rid[i] = ask(uid, k[i]);
        site_run(&s);
    }
    for (int i = 0; i < MANY; i++)
        busy += site_reply_of(&s, rid[i])->code == CE_BUSY && site_reply_of(&s, rid[i])->retry_s > 0;
    ok(busy == MANY - 4, "%d of %d are over the bound of the queue, and are told to come again", busy, MANY);
    s.hold = false;
    site_run(&s);
    for (int i = 0; i < MANY; i++) {
        good += site_reply_of(&s, rid[i])->code == CE_OK;
        key_free(k[i]);
    }
    ok(good == 4, "the others get their certificates");
}

/* As if everything that is open had been asked six seconds ago. */
static void slots_age(void)
{
    for (uint64_t t = s.core->token_first; t < s.core->token_next; t++)
        s.core->slots[t & (s.core->nslots - 1)].asked_us -= (TOKEN_SLOW_MS + 1000) * 1000;
}

/* A CRL that waits for a slow token is in nobody's way; an enrollment that does is. */
static void test_crl_apart(void)
{
    struct key *e = device("e"), *g = device("g");
    struct fault f = { 0 };
    ok(reply_is(answer("e", e), CE_OK) && reply_is(answer("g", g), CE_OK), "two devices more");
    s.hold = true;
    (void)site_state(&s, "e", "revoked", "keyCompromise");
    for (int i = 0; i < 40 && !s.core->token_asked; i++)
        site_wait(&s, 50);
    slots_age();
    ok(s.core->token_asked > 0 && s.core->token_ahead == 0 && token_ready(s.core, SPAN_LIT("device"), "", &f) == CE_OK, "a CRL waits long for the token: enrollments go on");
    key_free(e);
    e = device("h");
    uint64_t rid = ask("h", e);
    site_run(&s);
    ok(s.core->token_ahead == 1, "one does");
    slots_age();
    ok(token_ready(s.core, SPAN_LIT("device"), "", &f) == CE_BUSY, "an enrollment waits long: the next one is told to come again");
    s.hold = false;
    site_wait(&s, 300);
    ok(reply_is(site_reply_of(&s, rid), CE_OK) && !s.core->token_asked && !s.core->token_ahead, "both are served");
    key_free(e), key_free(g);
}

int main(void)
{
    log_setup("test", LOG_LEVEL_ERROR);
    site_open(&s);
    s.cfg.token_queue = 4;
    site_restart(&s);
    site_operator(&s, "line-1", "station", "", &station);
    site_wait(&s, 300); /* CRLs and heads of the start */
    test_lost();
    test_one_key();
    test_queue();
    test_crl_apart();
    site_folds(&s, "at the end");
    buf_free(&station.der);
    site_close(&s);
    return done();
}
