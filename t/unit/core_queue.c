/* core_queue.c: enrollments wait for each other under load (core/queue.c): not when they are few, not beside anything else, not when they are many, not for ever,
 * and not when the process ends; and they share their commits. */
#include "base/log.h"
#include "core/engine.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"

#define WAIT_MS 400
#define SOME 20   /* enough to wait */
#define MANY 64   /* enough for a batch */

static struct site s;
static struct who station;
static int n_devices;

static void ask(int n)
{
    for (int i = 0; i < n; i++) {
        char uid[24];
        snprintf(uid, sizeof uid, "q-%d", n_devices++);
        site_device(&s, uid, "pump");
    }
    for (int i = n_devices - n; i < n_devices; i++) {
        char uid[24];
        struct key *k = site_new_key();
        snprintf(uid, sizeof uid, "q-%d", i);
        struct msg_enroll m = enroll_msg(uid, k, false);
        (void)site_send(&s, &station, &msg_desc_enroll, &m);
        key_free(k);
    }
}

static int good(void)
{
    int n = 0;
    for (size_t i = 0; i < s.n_replies; i++)
        n += s.replies[i].r.code == CE_OK && s.replies[i].r.body_kind == BODY_CERT;
    return n;
}

static void test_few(void)
{
    ask(3);
    ok(core_has_work(s.core), "three do not wait");
    site_run(&s);
    ok(good() == 3, "and have their certificates at once");
    site_replies_free(&s);
}

static void test_some(void)
{
    ask(SOME);
    int64_t now = clock_mono_ms(), wake = core_next_wake_ms(s.core, now);
    ok(!core_has_work(s.core) && wake > now && wake <= now + WAIT_MS + 1, "%d wait for others, but not for ever", SOME);
    uint64_t batches = s.core->stats.batches;
    site_wait(&s, 3 * WAIT_MS);
    ok(good() == SOME, "they have their certificates");
    ok(s.core->stats.batches - batches < 8, "in %d commits", (int)(s.core->stats.batches - batches));
    site_replies_free(&s);
}

static void test_beside(void)
{
    ask(SOME);
    (void)site_state(&s, "q-0", "revoked", "keyCompromise"); /* runs what may run */
    ok(site_count(&s, "SELECT count(*) FROM device_state WHERE uid = 'q-0' AND state = 'revoked'") == 1, "a revocation beside them waits for nobody");
    ok(site_count(&s, "SELECT count(*) FROM intent") == SOME, "and takes them with it");
    site_wait(&s, 3 * WAIT_MS);
    ok(good() == SOME, "which have their certificates");
    site_replies_free(&s);
}

static void test_many(void)
{
    ask(MANY - 1);
    ok(!core_has_work(s.core), "%d wait", MANY - 1);
    site_wait(&s, 3 * WAIT_MS);
    site_replies_free(&s);
    ask(MANY);
    ok(core_has_work(s.core), "%d are a batch", MANY);
    site_wait(&s, 3 * WAIT_MS);
    ok(good() == MANY, "they have their certificates");
    site_replies_free(&s);
}

static void test_drain(void)
{
    ask(SOME);
    ok(!core_has_work(s.core), "%d wait", SOME);
    core_drain(s.core);
    ok(core_has_work(s.core), "until the process is to end");
    for (int i = 0; i < 100 && !core_idle(s.core); i++)
        site_run(&s);
    ok(core_idle(s.core) && good() == SOME && s.core->writes.n_patient == 0, "which it does when they have their certificates");
}

int main(void)
{
    log_setup("test", LOG_LEVEL_ERROR);
    site_open(&s);
    s.cfg.linger_ms = WAIT_MS;
    site_restart(&s);
    site_operator(&s, "line-1", "station", "", &station);
    site_wait(&s, 300); /* CRLs and heads of the start */
    site_replies_free(&s);
    test_few();
    test_some();
    test_beside();
    test_many();
    test_drain();
    site_folds(&s, "at the end");
    buf_free(&station.der);
    site_close(&s);
    return done();
}
