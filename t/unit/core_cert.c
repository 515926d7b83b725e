/* core_cert.c: the certificate path with the real engine and the real signer: who gets a certificate, who is refused and why,
 * repetition, concurrency, crash and loss of the signer. */
#include "t/tap.h"
#include "t/unit/cert_site.h"

static struct site s;
static struct who station, pump_station, edge;

/* -- first enrollment ---------------------------------------------------------------------------------------------------------- */
static void first(void)
{
    struct key *k = site_new_key();
    struct who dev = { 0 };
    site_device(&s, "dev-1", "pump");
    struct msg_enroll m = enroll_msg("dev-1", k, false);
    m.label = SPAN_LIT("pump");
    const struct msg_reply *r = site_do(&s, &station, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_OK) && r->body_kind == BODY_CERT, "a station enrolls a registered device");
    who_set(&dev, CALLER_DEVICE, r->body);
    ok(span_eq_str(dev.cert.cn, "dev-1") && span_eq_str(dev.cert.serial_number, "SN-1"), "the names come from the register");
    ok(span_eq_str(dev.cert.san_uri, "urn:cradle:pump:dev-1"), "the SAN comes from the profile");
    ok(dev.cert.not_after - dev.cert.not_before <= 100000 + 300 + 1, "the validity is the line's");
    ok(site_count(&s, "SELECT count(*) FROM intent") == 0 && site_count(&s, "SELECT count(*) FROM cert WHERE holder = 'dev-1'") == 1,
       "the intent is closed, the certificate stored");
    ok(site_count(&s, "SELECT count(*) FROM device_state WHERE uid = 'dev-1' AND state = 'provisioned'") == 1, "the device is provisioned");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE device = 'dev-1' AND kind IN ('cert-intent', 'cert-issued')") == 2, "intent and issue are evidence");
    r = site_do(&s, &station, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_OK) && span_eq(r->body, buf_span(&dev.der)), "the same key asks again: the same certificate");
    ok(site_count(&s, "SELECT count(*) FROM cert WHERE holder = 'dev-1'") == 1, "and no second one exists");
    struct key *k2 = site_new_key();
    m = enroll_msg("dev-1", k2, false);
    r = site_do(&s, &station, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_OK), "a provisioned device that was reset may be enrolled with another key");
    struct who dev2 = { 0 };
    who_set(&dev2, CALLER_DEVICE, r->body);
    m = enroll_msg("dev-1", k2, true);
    r = site_do(&s, &dev2, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_OK) && span_eq(r->body, buf_span(&dev2.der)), "renewal with the same key before the window gives the same certificate");
    ok(site_count(&s, "SELECT count(*) FROM device_state WHERE uid = 'dev-1' AND state = 'active'") == 1, "its first use makes the device active");
    ok(site_count(&s, "SELECT count(*) FROM cert_state WHERE status = 3") == 1, "and supersedes the older certificate");
    m = enroll_msg("dev-1", k, true);
    r = site_do(&s, &dev, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_ALREADY_ENROLLED), "the superseded certificate renews no more");
    struct key *k3 = site_new_key();
    m = enroll_msg("dev-1", k3, false);
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_ALREADY_ENROLLED), "an active device is not enrolled with a third key");
    key_free(k);
    key_free(k2);
    key_free(k3);
    buf_free(&dev.der);
    buf_free(&dev2.der);
}

static void refusals(void)
{
    struct key *k = site_new_key(), *k2 = site_new_key();
    struct who nobody = { 0 }, other = { 0 };
    site_device(&s, "dev-2", "pump");
    site_device(&s, "dev-3", "valve");
    site_device(&s, "dev-4", "pump");
    struct msg_enroll m = enroll_msg("dev-9", k, false);
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_UID_UNKNOWN), "unknown UID");
    m = enroll_msg("dev-3", k, false);
    ok(reply_is(site_do(&s, &pump_station, &msg_desc_enroll, &m), CE_LINE_FORBIDDEN), "a station beyond its line");
    m = enroll_msg("dev-2", k, false);
    m.label = SPAN_LIT("valve");
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_LINE_FORBIDDEN), "the label names another line");
    m.label = SPAN_LIT("");
    m.subject_serial = SPAN_LIT("SN-2");
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_NAME_MISMATCH), "the CSR names another serial number");
    m.subject_serial = SPAN_LIT("");
    m.key_alg = SPAN_LIT("rsa:2048");
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_KEY_ALG), "a key algorithm outside the profile");
    m.key_alg = SPAN_LIT("ec:P-256");
    ok(reply_is(site_do(&s, NULL, &msg_desc_enroll, &m), CE_NO_CERT), "no client certificate");
    ok(reply_is(site_do(&s, &edge, &msg_desc_enroll, &m), CE_ROLE_FORBIDDEN), "an edge may not enroll");
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_enroll, &m), CE_ROLE_FORBIDDEN), "nor may an administrator");
    const struct msg_reply *r = site_do(&s, &station, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_OK), "the station may");
    who_set(&other, CALLER_DEVICE, r->body);
    m = enroll_msg("dev-4", k, false);
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_KEY_OF_OTHER), "a key that belongs to another device");
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_KEY_OF_OTHER), "again");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'clone-suspected' AND device = 'dev-2'") == 1, "is an alarm for its owner, once a minute");
    m = enroll_msg("dev-2", k2, false);
    ok(reply_is(site_do(&s, &other, &msg_desc_enroll, &m), CE_ROLE_FORBIDDEN), "a device may not use simpleenroll");
    m = enroll_msg("dev-2", k2, true);
    r = site_do(&s, &other, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_TOO_EARLY), "a new key before the renewal window");
    ok(r->retry_s > 60000 && r->retry_s < 100000, "with the time to wait (%lld s)", (long long)r->retry_s);
    m = enroll_msg("dev-4", k2, true);
    ok(reply_is(site_do(&s, &other, &msg_desc_enroll, &m), CE_NAME_MISMATCH), "re-enroll asking for another name");
    m = enroll_msg("dev-2", k2, true);
    m.san_uri = SPAN_LIT("urn:cradle:pump:dev-4");
    ok(reply_is(site_do(&s, &other, &msg_desc_enroll, &m), CE_NAME_MISMATCH), "re-enroll asking for another SAN");
    who_set(&nobody, CALLER_FOREIGN, buf_span(&s.root.der));
    nobody.cert.aki = SPAN_LIT("another issuer's kid");
    ok(reply_is(site_do(&s, &nobody, &msg_desc_enroll, &m), CE_CERT_FOREIGN), "a certificate of no issuing CA");
    static const struct { const char *state; enum err code, device; } states[] = {
        { "quarantined", CE_DEVICE_QUARANTINED, CE_DEVICE_QUARANTINED }, { "suspended", CE_DEVICE_SUSPENDED, CE_DEVICE_SUSPENDED },
        { "revoked", CE_DEVICE_REVOKED, CE_DEVICE_REVOKED } };
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        ok(reply_is(site_state(&s, "dev-2", states[i].state, ""), CE_OK), "dev-2 becomes %s", states[i].state);
        m = enroll_msg("dev-2", k2, false);
        ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), states[i].code), "and is not enrolled");
        m = enroll_msg("dev-2", k, true);
        ok(reply_is(site_do(&s, &other, &msg_desc_enroll, &m), states[i].device), "nor does it renew");
    }
    ok(reply_is(site_state(&s, "dev-4", "decommissioned", ""), CE_OK), "dev-4 is decommissioned");
    m = enroll_msg("dev-4", k2, false);
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_DEVICE_RETIRED), "and is not enrolled");
    key_free(k);
    key_free(k2);
    buf_free(&nobody.der);
    buf_free(&other.der);
}

/* -- how many -------------------------------------------------------------------------------------------------------------------- */
static void renewal_flood(void) /* on a site of its own, whose clock may go on */
{
    site_open(&s);
    site_operator(&s, "line-1", "station", "", &station);
    struct key *k = site_new_key();
    struct who a = { 0 };
    int made = 0;
    const struct msg_reply *r = NULL;
    site_device(&s, "dev-flood", "pump");
    struct msg_enroll m = enroll_msg("dev-flood", k, false);
    who_set(&a, CALLER_DEVICE, site_do(&s, &station, &msg_desc_enroll, &m)->body);
    s.wall_skew_ms = 80000 * 1000LL;
    for (int i = 0; i < 20; i++) {
        struct key *fresh = site_new_key();
        m = enroll_msg("dev-flood", fresh, true);
        r = site_do(&s, &a, &msg_desc_enroll, &m);
        made += reply_is(r, CE_OK);
        key_free(fresh);
    }
    ok(made == 8 && reply_is(r, CE_RATE) && r->retry_s > 0 && r->retry_s <= 3601, "%d certificates of one device in an hour, then it has to wait %lld s", made,
       (long long)r->retry_s);
    s.wall_skew_ms += 3602 * 1000LL;
    m = enroll_msg("dev-flood", k, true);
    ok(reply_is(site_do(&s, &a, &msg_desc_enroll, &m), CE_OK), "an hour later it renews again");
    key_free(k);
    buf_free(&a.der);
}

/* -- renewal ---------------------------------------------------------------------------------------------------------------------- */
static void renewal(void)
{
    struct key *k = site_new_key(), *k2 = site_new_key();
    struct who a = { 0 }, b = { 0 }, op = { 0 };
    site_device(&s, "dev-5", "pump");
    struct msg_enroll m = enroll_msg("dev-5", k, false);
    who_set(&a, CALLER_DEVICE, site_do(&s, &station, &msg_desc_enroll, &m)->body);
    s.wall_skew_ms = 80000 * 1000LL;
    m = enroll_msg("dev-5", k2, true);
    const struct msg_reply *r = site_do(&s, &a, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_OK), "in the window a device renews with a new key");
    who_set(&b, CALLER_DEVICE, r->body);
    ok(!span_eq(a.cert.serial, b.cert.serial) && span_eq(a.cert.subject, b.cert.subject), "a new serial, the same subject");
    r = site_do(&s, &a, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_OK) && span_eq(r->body, buf_span(&b.der)), "the answer was lost: the same key gets the same certificate");
    ok(site_count(&s, "SELECT count(*) FROM cert c JOIN cert_state s ON s.kid = c.kid AND s.serial = c.serial WHERE c.holder = 'dev-5' AND s.status > 0") == 0,
       "the old certificate is neither revoked nor superseded before the new one is used");
    m = enroll_msg("dev-5", k, true);
    r = site_do(&s, &a, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_OK) && !span_eq(r->body, buf_span(&a.der)), "in the window the same key gets a new certificate");
    struct key *ok_key = site_new_key();
    m = enroll_msg("line-3", ok_key, true);
    site_operator(&s, "line-3", "station", "pump", &op);
    r = site_do(&s, &op, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_TOO_EARLY), "a station's new certificate is too young to renew");
    s.wall_skew_ms = (int64_t)((double)(op.cert.not_after - op.cert.not_before) * 0.8) * 1000;
    r = site_do(&s, &op, &msg_desc_enroll, &m);
    ok(reply_is(r, CE_OK), "later it renews itself by the same operation");
    s.wall_skew_ms += (op.cert.not_after - op.cert.not_before) * 1000;
    ok(reply_is(site_do(&s, &op, &msg_desc_enroll, &m), CE_CERT_EXPIRED), "an expired certificate does not renew");
    key_free(k);
    key_free(k2);
    key_free(ok_key);
    buf_free(&a.der);
    buf_free(&b.der);
    buf_free(&op.der);
}

/* -- at the same moment, and without a signer ------------------------------------------------------------------------------------- */
static void concurrency(void)
{
    struct key *k = site_new_key(), *k2 = site_new_key();
    site_device(&s, "dev-6", "pump");
    struct msg_enroll m = enroll_msg("dev-6", k, false), m2 = enroll_msg("dev-6", k2, false);
    uint64_t a = site_send(&s, &station, &msg_desc_enroll, &m), b = site_send(&s, &station, &msg_desc_enroll, &m);
    uint64_t c = site_send(&s, &station, &msg_desc_enroll, &m2);
    s.hold = true;
    site_run(&s);
    uint64_t d = site_send(&s, &station, &msg_desc_enroll, &m);
    s.hold = false;
    site_run(&s);
    ok(reply_is(site_reply_of(&s, a), CE_OK) && reply_is(site_reply_of(&s, b), CE_OK) && reply_is(site_reply_of(&s, d), CE_OK),
       "three callers with one key are all answered");
    ok(span_eq(site_reply_of(&s, a)->body, site_reply_of(&s, b)->body) && span_eq(site_reply_of(&s, a)->body, site_reply_of(&s, d)->body),
       "with one certificate");
    ok(reply_is(site_reply_of(&s, c), CE_BUSY_UID), "another key at the same moment is refused");
    site_device(&s, "dev-7", "pump");
    m = enroll_msg("dev-7", k2, false);
    s.down = true;
    a = site_send(&s, &station, &msg_desc_enroll, &m);
    site_run(&s);
    ok(reply_is(site_reply_of(&s, a), CE_SIGNER), "without a signer the request is refused, after one more try");
    ok(site_count(&s, "SELECT count(*) FROM intent") == 0 && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'cert-orphan'") == 1,
       "and its intent is closed as evidence");
    s.down = false;
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_OK), "the same key is welcome when the signer is back");
    s.hold = true;
    struct key *k3 = site_new_key();
    site_device(&s, "dev-8", "pump");
    m = enroll_msg("dev-8", k3, false);
    a = site_send(&s, &station, &msg_desc_enroll, &m);
    site_run(&s);
    b = site_send(&s, &s.admin, &msg_desc_device_state,
                  &(struct msg_device_state){ .uid = SPAN_LIT("dev-8"), .state = SPAN_LIT("revoked"), .reason = SPAN_LIT("keyCompromise") });
    site_run(&s);
    s.hold = false;
    site_run(&s);
    ok(reply_is(site_reply_of(&s, b), CE_OK) && reply_is(site_reply_of(&s, a), CE_DEVICE_REVOKED), "revoked while the signer worked: refused");
    ok(site_count(&s, "SELECT count(*) FROM cert c JOIN cert_state s ON s.kid = c.kid AND s.serial = c.serial WHERE c.holder = 'dev-8' AND s.status = 1") == 1,
       "and the certificate that was made is stored as revoked");
    key_free(k);
    key_free(k2);
    key_free(k3);
}

static void crash(void)
{
    struct key *k = site_new_key();
    site_device(&s, "dev-10", "pump");
    struct msg_enroll m = enroll_msg("dev-10", k, false);
    s.hold = true;
    (void)site_send(&s, &station, &msg_desc_enroll, &m);
    site_run(&s);
    ok(site_count(&s, "SELECT count(*) FROM intent") == 1, "an intent is durable before the signer is asked");
    int64_t orphans = site_count(&s, "SELECT count(*) FROM event WHERE kind = 'cert-orphan'");
    s.hold = false;
    site_restart(&s);
    site_run(&s);
    ok(site_count(&s, "SELECT count(*) FROM intent") == 0, "the next start closes it");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'cert-orphan'") == orphans + 1 &&
           site_count(&s, "SELECT count(*) FROM event WHERE kind = 'repaired'") >= 1, "with evidence");
    ok(site_count(&s, "SELECT count(*) FROM cert_state s WHERE s.status = 1 AND NOT EXISTS (SELECT 1 FROM cert c WHERE c.serial = s.serial)") == orphans + 1,
       "and its serial is revoked");
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_OK), "the device gets its certificate after all");
    s.wall_skew_ms -= 86400 * 1000LL;
    m = enroll_msg("dev-6", k, false);
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &m), CE_CLOCK_BACK), "a clock set back a day stops issuing");
    s.wall_skew_ms += 86400 * 1000LL;
    key_free(k);
}

/* The database takes nothing more: pages is how many it may have; 0: as many as it likes. */
static void database_limit(int64_t pages)
{
    char sql[64];
    struct fault f = { 0 };
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld", (long long)(pages ? pages : 1073741823));
    site_must(db_ddl(core_db(s.core), sql, &f), &f, sql);
}

static void disk_full(void)
{
    enum { N = 60 };
    struct key *k[N];
    uint64_t rid[N];
    int stored = 0, refused = 0, waiting = 0, same = 0;
    char uid[24];
    for (int i = 0; i < N; i++) {
        k[i] = site_new_key();
        snprintf(uid, sizeof uid, "full-%d", i);
        site_device(&s, uid, "pump");
    }
    s.hold = true;
    for (int i = 0; i < N; i++) {
        snprintf(uid, sizeof uid, "full-%d", i);
        struct msg_enroll m = enroll_msg(uid, k[i], false);
        rid[i] = site_send(&s, &station, &msg_desc_enroll, &m);
    }
    site_run(&s);
    database_limit(1);
    s.hold = false;
    site_run(&s);
    for (int i = 0; i < N; i++) {
        refused += site_reply_of(&s, rid[i])->code == CE_DISK_FULL;
        stored += site_reply_of(&s, rid[i])->code == CE_OK;
        waiting += site_reply_of(&s, rid[i])->code < 0;
    }
    ok(refused > 0 && refused + stored + waiting == N, "the disk is full when the signer answers: %d callers are told, %d wait", refused, waiting);
    ok(site_count(&s, "SELECT count(*) FROM intent") == N - stored, "nothing that was not stored was acknowledged");
    database_limit(0);
    for (int i = 0; i < 200 && site_count(&s, "SELECT count(*) FROM intent"); i++)
        site_wait(&s, 50);
    ok(site_count(&s, "SELECT count(*) FROM cert WHERE holder LIKE 'full-%'") == N, "when there is room again the certificates are stored");
    waiting = 0;
    for (int i = 0; i < N; i++)
        waiting += site_reply_of(&s, rid[i])->code < 0;
    ok(waiting == 0, "nobody is left waiting");
    for (int i = 0; i < N; i++) {
        snprintf(uid, sizeof uid, "full-%d", i);
        struct msg_enroll m = enroll_msg(uid, k[i], false);
        same += site_do(&s, &station, &msg_desc_enroll, &m)->code == CE_OK;
        key_free(k[i]);
    }
    ok(same == N && site_count(&s, "SELECT count(*) FROM cert WHERE holder LIKE 'full-%'") == N, "and given to those who ask again");
}

static void operators(void)
{
    struct who w = { 0 };
    struct key *k = site_new_key();
    struct msg_operator_add m = { .name = SPAN_LIT("dev-1"), .role = SPAN_LIT("operator"), .spki = key_spki(k) };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_add, &m), CE_EXISTS), "an operator cannot be named like a device");
    m.name = SPAN_LIT("olga");
    m.role = SPAN_LIT("king");
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_add, &m), CE_BAD_FIELD), "unknown role");
    m.role = SPAN_LIT("admin");
    m.lines = SPAN_LIT("pump");
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_add, &m), CE_BAD_FIELD), "no admin of some lines: it could make one of all");
    m.lines = SPAN_LIT("");
    m.role = SPAN_LIT("operator");
    ok(reply_is(site_do(&s, &station, &msg_desc_operator_add, &m), CE_ROLE_FORBIDDEN), "a station adds no operators");
    s.down = true;
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_add, &m), CE_SIGNER), "no signer, no certificate");
    s.down = false;
    const struct msg_reply *r = site_do(&s, &s.admin, &msg_desc_operator_add, &m);
    ok(reply_is(r, CE_OK), "the same request then succeeds");
    who_set(&w, CALLER_INFRA, r->body);
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_add, &m), CE_EXISTS), "and not twice");
    struct msg_operator_remove rm = { .name = SPAN_LIT("olga") };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_remove, &rm), CE_OK), "she is removed");
    struct msg_enroll e = enroll_msg("olga", k, true);
    ok(reply_is(site_do(&s, &w, &msg_desc_enroll, &e), CE_OPERATOR_REMOVED), "and renews no more");
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_add, &m), CE_EXISTS), "a removed name is not used again");
    key_free(k);
    buf_free(&w.der);
}

/* A database of before the inventory of algorithms: it is filled in pieces, and what was read is evidence. */
static void inventory(void)
{
    static const char *const before[] = { "DELETE FROM device_crypto", "DELETE FROM crypto_count", "INSERT INTO meta (name, value) VALUES ('crypto_after', '')" };
    char path[PATH_MAX_LEN];
    struct db *db = NULL;
    struct fault f = { 0 };
    int64_t rows = site_count(&s, "SELECT count(*) FROM device_crypto"), counted = site_count(&s, "SELECT sum(n) FROM crypto_count");
    for (int i = 0; i < 300; i++) {
        char uid[32];
        snprintf(uid, sizeof uid, "a-bare-%d", i);
        site_device(&s, uid, "pump");
    }
    ok(rows > 0 && site_count(&s, "SELECT count(*) FROM meta WHERE name = 'crypto_after'") == 0, "a new database has nothing to fill in");
    core_close(s.core);
    site_forget_asks(&s);
    path_join(path, "%s/db/cradle.db", s.dir);
    site_must(db_open(path, 0, &db, &f), &f, "database");
    site_must(db_begin(db, &f), &f, "begin");
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        site_must(db_run(db, before[i], DB_NOARGS, NULL, &f), &f, before[i]);
    site_must(db_commit(db, &f), &f, "commit");
    db_close(db);
    site_core_open(&s);
    for (int i = 0; i < 10 && site_count(&s, "SELECT count(*) FROM meta WHERE name = 'crypto_after'"); i++) {
        site_must(core_tick(s.core, clock_mono_ms(), &f), &f, "tick");
        site_run(&s);
    }
    ok(site_count(&s, "SELECT count(*) FROM device_crypto") == rows && site_count(&s, "SELECT sum(n) FROM crypto_count") == counted, "all are there again (%lld)", (long long)rows);
    ok(site_count(&s, "SELECT count(*) FROM meta WHERE name = 'crypto_after'") == 0, "and the walk is over");
    ok(site_count(&s, "SELECT count(*) FROM event WHERE kind = 'certs-read'") > 0, "with evidence");
    ok(core_fold_check(core_db(s.core), &f) == CE_OK, "the tables are the fold of the events %s", f.text);
}

int main(void)
{
    site_open(&s);
    site_operator(&s, "line-1", "station", "", &station);
    site_operator(&s, "line-2", "station", "pump", &pump_station);
    site_operator(&s, "edge-1", "edge", "", &edge);
    first();
    refusals();
    concurrency();
    inventory();
    operators();
    disk_full();
    crash();
    renewal();
    buf_free(&station.der);
    buf_free(&pump_station.der);
    buf_free(&edge.der);
    struct fault f = { 0 };
    ok(core_fold_check(core_db(s.core), &f) == CE_OK, "the tables are the fold of the events %s", f.text);
    site_close(&s);
    s = (struct site){ 0 };
    renewal_flood();
    buf_free(&station.der);
    site_close(&s);
    return done();
}
