/* core_revoke.c: revocation from the operation to the bytes that leave: certificate states, pushes, frames and snapshots that
 * verify and apply, OCSP and CRLs as the openssl command line judges them. */
#include "crypt/crl.h"
#include "crypt/ocsp.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"
#include "t/unit/cert_subscriber.h"

static struct who station;

static void enroll(const char *uid, struct who *out)
{
    struct key *k = site_new_key();
    struct msg_enroll m = enroll_msg(uid, k, false);
    site_device(&s, uid, "pump");
    const struct msg_reply *r = site_do(&s, &station, &msg_desc_enroll, &m);
    site_must((enum err)r->code, NULL, uid);
    who_set(out, CALLER_DEVICE, r->body);
    key_free(k);
}

static void stream(void)
{
    static struct subscriber u, late;
    struct who a = { 0 }, b = { 0 };
    enroll("dev-a", &a);
    enroll("dev-b", &b);
    ok(sub_open(&u) && sub_good(&u) && u.n[0] == 0, "a new subscriber gets a snapshot that verifies");
    site_wait(&s, 1200);
    sub_follow(&u);
    ok(sub_good(&u) && s.n_frames >= 1, "heartbeats come and apply");
    ok(reply_is(site_state(&s, "dev-a", "revoked", "keyCompromise"), CE_OK), "dev-a is revoked");
    sub_follow(&u);
    ok(sub_good(&u) && sub_blocks(&u, "dev-a") && sub_revokes(&u, &a), "the next frame says so, for the identity and its certificate");
    ok(!sub_blocks(&u, "dev-b") && !sub_revokes(&u, &b), "and nothing about others");
    late = u;
    ok(reply_is(site_state(&s, "dev-b", "suspended", ""), CE_OK), "dev-b is suspended");
    sub_follow(&u);
    ok(sub_good(&u) && sub_blocks(&u, "dev-b") && !sub_revokes(&u, &b), "its identity is blocked, its certificate not revoked");
    ok(!sub_open(&late) && sub_good(&late) && sub_blocks(&late, "dev-b"), "one that missed it gets the frames since its vector");
    ok(!sub_open(&late) && sub_good(&late), "asked again with the newest vector: nothing");
    ok(reply_is(site_state(&s, "dev-b", "active", ""), CE_OK), "dev-b is resumed");
    sub_follow(&u);
    ok(sub_good(&u) && !sub_blocks(&u, "dev-b"), "and is free again");
    s.down = true;
    ok(reply_is(site_state(&s, "dev-b", "decommissioned", ""), CE_OK), "dev-b is decommissioned while the signer is gone");
    site_wait(&s, 300);
    s.down = false;
    site_wait(&s, 400);
    sub_follow(&u);
    ok(sub_good(&u) && sub_blocks(&u, "dev-b") && sub_revokes(&u, &b), "the frame leaves when it is back");
    struct msg_edge_open m = { .since = SPAN_LIT("1:01") };
    ok(reply_is(site_do(&s, &edge, &msg_desc_edge_open, &m), CE_BAD_FRAME), "a malformed vector is refused");
    ok(reply_is(site_do(&s, &station, &msg_desc_edge_open, &m), CE_ROLE_FORBIDDEN), "and a station does not subscribe");
    site_restart(&s);
    site_wait(&s, 20);
    late = (struct subscriber){ 0 };
    ok(sub_open(&late) && sub_good(&late) && late.n[0] == u.n[0] && late.n[1] == u.n[1],
       "after a restart the snapshot has the same sets (%zu, %zu)", late.n[0], late.n[1]);
    ok(!snapshot_vector_check(span_str(u.vector), span_str(late.vector)), "and no lower vector");
    size_t before = late.n[1];
    for (int i = 0; i < 40; i++) {
        char uid[24];
        snprintf(uid, sizeof uid, "bulk-%d", i);
        site_device(&s, uid, "pump");
        struct msg_device_state st = { .uid = span_str(uid), .state = SPAN_LIT("revoked") };
        (void)site_send(&s, &s.admin, &msg_desc_device_state, &st);
        if (i % 7 == 0)
            site_run(&s);
    }
    site_run(&s);
    sub_follow(&late);
    ok(sub_good(&late) && late.n[1] == before + 40, "forty revocations arrive in order (%zu)", late.n[1] - before);
    buf_free(&a.der);
    buf_free(&b.der);
}

/* -- single certificates and operators -------------------------------------------------------------------------------------------- */
static void single(void)
{
    static struct subscriber u;
    struct who a = { 0 }, op = { 0 };
    enroll("dev-c", &a);
    site_operator(&s, "ops-1", "operator", "", &op);
    (void)sub_open(&u);
    struct msg_cert_revoke m = { .serial = a.cert.serial, .reason = SPAN_LIT("certificateHold") };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_cert_revoke, &m), CE_BAD_FIELD), "certificateHold is not a reason to revoke");
    m.reason = SPAN_LIT("keyCompromise");
    size_t pushes = s.n_cert_pushes;
    ok(reply_is(site_do(&s, &op, &msg_desc_cert_revoke, &m), CE_OK), "an operator revokes one certificate");
    ok(s.n_cert_pushes == pushes + 1, "the fronts are told");
    sub_follow(&u);
    ok(sub_good(&u) && sub_revokes(&u, &a) && !sub_blocks(&u, "dev-c"), "the stream cuts the certificate, not the identity");
    ok(reply_is(site_do(&s, &op, &msg_desc_cert_revoke, &m), CE_STATE_CHANGE), "twice is refused");
    m.serial = SPAN_LIT("\x01nothing such");
    ok(reply_is(site_do(&s, &op, &msg_desc_cert_revoke, &m), CE_NOT_FOUND), "an unknown serial");
    struct key *k = site_new_key();
    struct msg_enroll e = enroll_msg("dev-c", k, false);
    e.spki = a.cert.spki;
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &e), CE_KEY_REVOKED), "its key is never certified again");
    e = enroll_msg("dev-c", k, true);
    ok(reply_is(site_do(&s, &a, &msg_desc_enroll, &e), CE_CERT_REVOKED), "nor does it renew");
    e = enroll_msg("dev-c", k, false);
    ok(reply_is(site_do(&s, &station, &msg_desc_enroll, &e), CE_OK), "with a new key the device is enrolled again");
    m.serial = s.admin.cert.serial;
    ok(reply_is(site_do(&s, &op, &msg_desc_cert_revoke, &m), CE_ROLE_FORBIDDEN), "an operator does not revoke an administrator");
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_cert_revoke, &m), CE_SELF_REMOVE), "nor an administrator itself");
    struct msg_operator_remove rm = { .name = SPAN_LIT("ops-1") };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_operator_remove, &rm), CE_OK), "the operator is removed");
    sub_follow(&u);
    ok(sub_good(&u) && sub_revokes(&u, &op) && sub_blocks(&u, "ops-1"), "and is in the stream");
    pushes = s.n_cert_pushes;
    core_peer_open(s.core, 1);
    ok(s.n_cert_pushes == pushes + 1, "a front that starts is told about it");
    key_free(k);
    buf_free(&a.der);
    buf_free(&op.der);
}

/* -- OCSP ------------------------------------------------------------------------------------------------------------------------------ */
/* Asks about w's serial at the device CA as `openssl ocsp` does, and has openssl judge the answer. */
static bool ocsp_says(const struct who *w, const char *word)
{
    struct ocsp_request req;
    struct fault f = { 0 };
    struct buf items = BUF_INIT(0), der = BUF_INIT(0), hex = BUF_INIT(64);
    char path[PATH_MAX_LEN], serial[64];
    buf_put_hex(&hex, w->cert.serial);
    site_must(span_to_cstr(buf_span(&hex), serial, sizeof serial), NULL, "serial");
    buf_free(&hex);
    path_join(path, "%s/req.der", s.dir);
    if (!site_sh("openssl ocsp -issuer %s/ca/device.pem -serial 0x%s -no_nonce -reqout %s >/dev/null 2>&1", s.dir, serial, path))
        return false;
    site_must(file_read(path, &der), NULL, path);
    site_must(ocsp_request_parse(buf_span(&der), &req, &f), &f, "ocsp request");
    struct msg_ocsp_item item = { .certid = req.ids[0].der, .serial = req.ids[0].serial };
    msg_pack(&msg_desc_ocsp_item, &item, &items);
    struct msg_ocsp_query m = { .ca = SPAN_LIT("device"), .items = buf_span(&items) };
    const struct msg_reply *r = site_do(&s, NULL, &msg_desc_ocsp_query, &m);
    bool good = reply_is(r, CE_OK) && r->body_kind == BODY_OCSP;
    if (good) {
        site_write(s.dir, "resp.der", r->body, 0644);
        good = site_sh("openssl ocsp -respin %s/resp.der -issuer %s/ca/device.pem -CAfile %s/ca/bundle.pem -serial 0x%s -no_nonce >%s/out 2>&1 "
                       "&& grep -q 'Response verify OK' %s/out && grep -q '%s' %s/out || { cat %s/out >&2; false; }",
                       s.dir, s.dir, s.dir, serial, s.dir, s.dir, word, s.dir, s.dir);
    }
    buf_free(&items);
    buf_free(&der);
    return good;
}

static bool crl_lists(const struct who *w, const char *ca, bool listed)
{
    char path[PATH_MAX_LEN];
    struct buf der = BUF_INIT(0);
    struct crl crl;
    struct crl_entry e;
    struct fault f = { 0 };
    bool found = false;
    path_join(path, "%s/pub/crl/%s/%u.crl", s.dir, ca, crl_shard_of(w->cert.serial, SITE_SHARDS));
    if (file_read(path, &der) || crl_parse(buf_span(&der), &crl, &f))
        return false;
    for (struct span rest = crl.entries; crl_next(&rest, &e);)
        found |= span_eq(e.serial, w->cert.serial);
    buf_free(&der);
    return found == listed && site_sh("openssl crl -inform DER -in %s -noout -CAfile %s/ca/bundle.pem 2>&1 | grep -q 'verify OK'", path, s.dir);
}

/* Shards are rebuilt in the background: a bounded poll. */
static bool crl_comes(const struct who *w, const char *ca, bool listed)
{
    for (int i = 0; i < 50 && !crl_lists(w, ca, listed); i++)
        site_wait(&s, 20);
    return crl_lists(w, ca, listed);
}

static bool repairs(const struct subscriber *u, const char *uid)
{
    uint8_t key[SNAPSHOT_KEY];
    snapshot_key_ident(span_str(uid), key);
    return sub_has(u, SNAPSHOT_SET_REPAIR, key);
}

static bool pushed(size_t from, const char *reason, bool lifted)
{
    struct span in = buf_span(&s.cert_pushes);
    struct msg_push_cert m;
    bool found = false;
    for (size_t i = 0; in.n; i++) {
        site_must(msg_unpack(&msg_desc_push_cert, &in, &m), NULL, "push");
        found |= i >= from && span_eq_str(m.reason, reason) && m.lifted == lifted;
    }
    return found;
}

/* A set of its own in the stream, refused by fronts, and nothing for X.509: the certificate stays good. */
static void quarantine(void)
{
    static struct subscriber u, late;
    struct who a = { 0 };
    struct { const char *state; bool repair, blocked; const char *ocsp, *push; bool lifted; } steps[] = {
        { "quarantined", true, false, ": good", "device-quarantined", false }, { "active", false, false, ": good", "resumed", true },
        { "suspended", false, true, "certificateHold", "device-suspended", false }, { "quarantined", true, false, ": good", "device-quarantined", false },
        { "suspended", false, true, "certificateHold", "device-suspended", false }, { "active", false, false, ": good", "resumed", true },
        { "quarantined", true, false, ": good", "device-quarantined", false }, { "revoked", false, true, ": revoked", "device-revoked", false },
    };
    enroll("dev-q", &a);
    (void)sub_open(&u);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        size_t from = s.n_cert_pushes;
        const struct msg_reply *r = site_state(&s, "dev-q", steps[i].state, "");
        bool done = reply_is(r, CE_OK);
        sub_follow(&u);
        ok(done && sub_good(&u) && repairs(&u, "dev-q") == steps[i].repair && sub_blocks(&u, "dev-q") == steps[i].blocked,
           "%s: %s the repair set, %s the blocked one", steps[i].state, steps[i].repair ? "in" : "not in", steps[i].blocked ? "in" : "not in");
        ok(ocsp_says(&a, steps[i].ocsp) && pushed(from, steps[i].push, steps[i].lifted), "OCSP says %s, fronts are told %s", steps[i].ocsp, steps[i].push);
        if (i == 0) {
            ok(crl_comes(&a, "device", false), "no CRL lists it");
            late = (struct subscriber){ 0 };
            ok(sub_open(&late) && sub_good(&late) && repairs(&late, "dev-q") && !sub_blocks(&late, "dev-q"), "a snapshot says so too");
            site_restart(&s);
            late = (struct subscriber){ 0 };
            ok(sub_open(&late) && sub_good(&late) && repairs(&late, "dev-q"), "and one after a restart");
            (void)sub_open(&u);
        }
    }
    site_device(&s, "dev-new", "pump");
    ok(reply_is(site_state(&s, "dev-new", "quarantined", ""), CE_STATE_CHANGE), "a device without a certificate cannot be quarantined");
    buf_free(&a.der);
}

static void answers(void)
{
    struct who a = { 0 }, b = { 0 };
    enroll("dev-x", &a);
    enroll("dev-y", &b);
    ok(ocsp_says(&a, ": good"), "openssl ocsp: good");
    ok(crl_comes(&a, "device", false), "its CRL shard exists, verifies and does not list it");
    (void)site_state(&s, "dev-x", "suspended", "");
    ok(ocsp_says(&a, "certificateHold"), "suspended: revoked with certificateHold, at once");
    ok(crl_comes(&a, "device", true), "and listed in the CRL within a second");
    (void)site_state(&s, "dev-x", "active", "");
    ok(ocsp_says(&a, ": good") && crl_comes(&a, "device", false), "resumed: good, and gone from the CRL");
    (void)site_state(&s, "dev-x", "revoked", "keyCompromise");
    ok(ocsp_says(&a, "keyCompromise"), "revoked: the reason is told");
    ok(crl_comes(&a, "device", true) && ocsp_says(&b, ": good"), "listed; the other device is good");
    site_write_cert(s.dir, "c2.pem", buf_span(&b.der));
    ok(site_sh("openssl verify -CAfile %s/ca/bundle.pem %s/c2.pem >/dev/null", s.dir, s.dir), "openssl verifies the chain");
    ok(ocsp_says(&s.admin, ": unknown"), "a serial that this CA never gave is unknown");
    int64_t n = site_count(&s, "SELECT max(number) FROM crl_shard");
    ok(n >= 3 && site_count(&s, "SELECT count(*) FROM event WHERE kind = 'crl-published'") >= 2 * SITE_SHARDS + 3, "publications are evidence (number %lld)", (long long)n);
    ok(site_count(&s, "SELECT count(*) FROM crl_shard WHERE dirty <> 0 OR this_update = 0") == 0, "no shard is left dirty");
    s.down = true;
    (void)site_state(&s, "dev-y", "revoked", "");
    site_wait(&s, 300);
    core_close(s.core);
    site_forget_asks(&s);
    s.down = false;
    char path[PATH_MAX_LEN];
    path_join(path, "%s/pub/crl/infra/0.crl", s.dir);
    unlink(path);
    site_core_open(&s);
    ok(crl_comes(&b, "device", true), "a revocation that no CRL had when the core stopped is in one after the start");
    ok(file_exists(path), "and a missing file is made again");
    ok(site_count(&s, "SELECT count(*) FROM crl_shard WHERE number > 1 AND shard = 0") >= 1, "with a higher number");
    buf_free(&a.der);
    buf_free(&b.der);
}

int main(void)
{
    site_open(&s);
    site_operator(&s, "line-1", "station", "", &station);
    site_operator(&s, "edge-1", "edge", "", &edge);
    stream();
    single();
    answers();
    quarantine();
    buf_free(&station.der);
    buf_free(&edge.der);
    struct fault f = { 0 };
    ok(core_fold_check(core_db(s.core), &f) == CE_OK, "the tables are the fold of the events %s", f.text);
    site_close(&s);
    return done();
}
