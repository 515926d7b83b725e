/* core_signatures.c: every signature of a CA's key is in the evidence by its number: certificates, CRLs, and what nobody got. */
#include "base/log.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"

static struct site s;

#define NUMBERS                                                                                                                     \
    "(SELECT json_extract(payload, '$.kid') AS kid, json_extract(payload, '$.run') AS run, json_extract(payload, '$.counter') AS c " \
    "FROM event WHERE kind IN ('cert-issued', 'crl-signed', 'signature-unused')) WHERE c > 0"

/* Of each key and run: are the numbers 1 .. n all there, each once? */
static bool dense(void)
{
    return site_count(&s, "SELECT count(*) FROM (SELECT kid FROM " NUMBERS " GROUP BY kid, run "
                          "HAVING max(c) <> count(*) OR max(c) <> count(DISTINCT c))") == 0;
}
static int64_t numbers(void) { return site_count(&s, "SELECT count(*) FROM " NUMBERS); }
static int64_t unused(const char *why)
{
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM event WHERE kind = 'signature-unused' AND json_extract(payload, '$.why') = '%s'", why);
    return site_count(&s, sql);
}

static void test_all(struct who *station)
{
    for (int i = 0; i < 5; i++) {
        char uid[16];
        snprintf(uid, sizeof uid, "dev-%d", i);
        site_device(&s, uid, "pump");
        struct key *k = site_new_key();
        struct msg_enroll m = enroll_msg(uid, k, false);
        ok(reply_is(site_do(&s, station, &msg_desc_enroll, &m), CE_OK), "%s is enrolled", uid);
        key_free(k);
    }
    ok(reply_is(site_state(&s, "dev-0", "revoked", "keyCompromise"), CE_OK), "one is revoked");
    site_wait(&s, 400);
    ok(numbers() >= 5 + 1 + 2 * SITE_SHARDS && dense(), "certificates and CRLs have dense numbers (%lld)", (long long)numbers());
}

static void test_late(struct who *station)
{
    site_device(&s, "late", "pump");
    struct key *k = site_new_key();
    struct msg_enroll m = enroll_msg("late", k, false);
    s.hold = true;
    uint64_t rid = site_send(&s, station, &msg_desc_enroll, &m);
    site_wait(&s, s.cfg.sign_timeout_ms + 50);
    s.hold = false;
    site_wait(&s, 100);
    ok(reply_is(site_reply_of(&s, rid), CE_OK), "the signer answers too late, and is asked again");
    ok(unused("late") >= 1 && dense(), "what came too late has its number too (%lld)", (long long)unused("late"));
    key_free(k);
}

static void test_crl(void)
{
    char path[PATH_MAX_LEN], aside[PATH_MAX_LEN];
    path_join(path, "%s/pub/crl/device", s.dir);
    path_join(aside, "%s/pub/crl/aside", s.dir);
    ok(!rename(path, aside), "there is no folder for CRLs");
    ok(reply_is(site_state(&s, "dev-1", "revoked", "keyCompromise"), CE_OK), "another one is revoked");
    const int64_t before = numbers();
    site_wait(&s, 400);
    ok(numbers() > before && dense(), "a CRL that cannot be put in its place has its number");
    ok(!rename(aside, path), "the folder is back");
}

int main(void)
{
    struct who station = { 0 };
    log_setup("test", LOG_LEVEL_ERROR);
    site_open(&s);
    s.cfg.sign_timeout_ms = 300;
    site_restart(&s);
    site_operator(&s, "line-1", "station", "", &station);
    test_all(&station);
    test_late(&station);
    test_crl();
    site_folds(&s, "at the end");
    buf_free(&station.der);
    site_close(&s);
    return done();
}
