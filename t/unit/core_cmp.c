/* core_cmp.c: CMP transactions in the real engine, with the real signer: whose a transaction is, nonces, confirmation, its end by the clock, crashes;
 * one-time secrets: both kinds of MAC, wrong tries, the end by the clock; and fold(events) = tables over all of it. */
#include "crypt/cmp.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"

static struct site s;
static struct who station, other;
static uint8_t tx[16], nonce[16], before[16];

/* -- messages as front makes them ------------------------------------------------------------------------------------------------------- */
struct secret { char ref[64], text[64]; struct cmp_mac mac; };

/* The next message of transaction tx: answers to our last one, and gets a nonce of its own. by: NULL when it is signed. */
static struct span turn(const struct secret *by, struct buf *out)
{
    uint8_t mac[SHA512_LEN];
    const struct span part = SPAN_LIT("a ProtectedPart, which core does not decode");
    memcpy(before, nonce, sizeof nonce);
    nonce[0]++;
    struct msg_cmp_turn t = { .tx = span_of(tx, sizeof tx), .nonce = span_of(nonce, sizeof nonce), .recip_nonce = span_of(before, sizeof before), .type = CMP_IP };
    if (by) {
        t.by_secret = true;
        t.pbmac1 = by->mac.pbmac1;
        t.salt = by->mac.salt;
        t.iterations = by->mac.iterations;
        t.hash = by->mac.hash;
        t.mac_bits = by->mac.mac;
        t.part = part;
        t.mac = span_of(mac, cmp_mac_make(&by->mac, span_str(by->text), part, mac));
    }
    buf_reset(out);
    msg_pack(&msg_desc_cmp_turn, &t, out);
    return buf_span(out);
}

static const struct msg_reply *ask(const struct who *w, const struct secret *by, const struct msg_desc *d, const void *m)
{
    struct who secret = { .kind = CALLER_SECRET };
    if (by)
        secret.cert.cn = span_str(by->ref);
    return site_do(&s, by ? &secret : w, d, m);
}

static const struct msg_reply *enroll(const struct who *w, const struct secret *by, const char *uid, const struct key *k)
{
    CLEANUP(buf_free) struct buf t = BUF_INIT(0);
    struct msg_enroll m = enroll_msg(uid, k, w && w->kind == CALLER_DEVICE);
    tx[0]++;
    m.cmp = turn(by, &t);
    return ask(w, by, &msg_desc_enroll, &m);
}

static const struct msg_reply *confirm_with(const struct who *w, const struct secret *by, struct span hash, bool accepted)
{
    CLEANUP(buf_free) struct buf t = BUF_INIT(0);
    struct msg_cmp_confirm m = { .accepted = accepted, .hash = hash };
    m.turn = turn(by, &t);
    return ask(w, by, &msg_desc_cmp_confirm, &m);
}

static const struct msg_reply *confirm(const struct who *w, const struct secret *by, const struct msg_reply *cert)
{
    uint8_t hash[SHA256_LEN];
    sha256(cert->body, hash);
    return confirm_with(w, by, span_of(hash, sizeof hash), true);
}

static struct secret secret_make(const char *uid, int64_t ttl_s)
{
    struct secret x = { .mac = { .salt = SPAN_LIT("0123456789abcdef"), .iterations = 500, .hash = 256, .mac = 160 } };
    struct msg_secret_add m = { .uid = span_str(uid), .ttl_s = ttl_s };
    const struct msg_reply *r = site_do(&s, &s.admin, &msg_desc_secret_add, &m);
    char body[400] = "";
    site_must((enum err)r->code, NULL, "secret");
    site_must(span_to_cstr(r->body, body, sizeof body), NULL, "secret");
    const char *ref = strstr(body, "\"reference\":\""), *text = strstr(body, "\"secret\":\"");
    if (!ref || !text || sscanf(ref, "\"reference\":\"%63[0-9a-f]", x.ref) != 1 || sscanf(text, "\"secret\":\"%63[0-9a-f]", x.text) != 1)
        printf("# no secret in %s\n", body);
    return x;
}

static int64_t events(const char *kind)
{
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM event WHERE kind = '%s'", kind);
    return site_count(&s, sql);
}
static int64_t open_now(void) { return site_count(&s, "SELECT count(*) FROM cmp_tx"); }
static int64_t revoked(void) { return site_count(&s, "SELECT count(*) FROM cert_state WHERE status = 1"); }

/* -- transactions ----------------------------------------------------------------------------------------------------------------------- */
static void whose(void)
{
    struct key *k = site_new_key(), *k2 = site_new_key();
    struct buf cert = BUF_INIT(0);
    struct msg_reply r = { 0 };
    uint8_t wrong[SHA256_LEN] = { 1 };
    site_device(&s, "dev-1", "pump");
    r.code = enroll(&station, NULL, "dev-1", k)->code;
    const struct msg_reply *got = site_reply_of(&s, s.rid);
    buf_put_span(&cert, got->body);
    r.body = buf_span(&cert);
    ok(reply_is(&r, CE_OK) && open_now() == 1, "a transaction begins");
    tx[0]--;
    ok(reply_is(enroll(&station, NULL, "dev-1", k2), CE_TRANSACTION_USED), "its identifier is not used twice");
    nonce[0]--;
    ok(reply_is(confirm(&other, NULL, &r), CE_TRANSACTION_NONE), "another station does not confirm it");
    nonce[0] -= 2;
    ok(reply_is(confirm(&station, NULL, &r), CE_CMP_RECIP_NONCE), "recipNonce is the nonce of our last message");
    ok(reply_is(confirm_with(&station, NULL, span_of(wrong, sizeof wrong), true), CE_BAD_CERT_ID), "certHash is that of the certificate");
    nonce[0]--;
    tx[1]++;
    ok(reply_is(confirm(&station, NULL, &r), CE_TRANSACTION_NONE), "nobody confirms what did not begin");
    tx[1]--;
    nonce[0]--;
    site_restart(&s);
    ok(reply_is(confirm(&station, NULL, &r), CE_OK) && events("cert-confirmed") == 1, "after a restart it is confirmed");
    nonce[0]--;
    ok(reply_is(confirm(&station, NULL, &r), CE_OK) && events("cert-confirmed") == 1, "again: the same answer, no event");
    nonce[0]--;
    ok(reply_is(confirm_with(&station, NULL, span_of(NULL, 0), false), CE_STATE_CHANGE), "and rejected no more");
    s.wall_skew_ms += 61000;
    site_wait(&s, 1200);
    ok(open_now() == 0 && revoked() == 0, "a minute later it is forgotten, and the certificate stays");
    key_free(k);
    key_free(k2);
    buf_free(&cert);
}

static void unconfirmed(bool keep)
{
    struct key *k = site_new_key();
    int64_t was = revoked(), told = events("cert-unconfirmed");
    const char *uid = keep ? "dev-3" : "dev-2";
    site_device(&s, uid, "pump");
    ok(reply_is(enroll(&station, NULL, uid, k), CE_OK), "a certificate that nobody confirms");
    s.wall_skew_ms += 299000;
    site_wait(&s, 300);
    ok(open_now() == 1, "within cmp_confirm_time it waits");
    s.wall_skew_ms += 2000;
    site_wait(&s, 1200);
    ok(open_now() == 0 && events("cert-unconfirmed") == told + 1, "then it is told of");
    ok(revoked() == was + !keep, keep ? "with cmp_keep_unconfirmed it stays" : "and revoked");
    ok(reply_is(enroll(&station, NULL, uid, k), CE_OK), "its key may be used again");
    key_free(k);
}

static void rejected(void)
{
    struct key *k = site_new_key();
    int64_t was = revoked();
    site_device(&s, "dev-4", "pump");
    ok(reply_is(enroll(&station, NULL, "dev-4", k), CE_OK), "a certificate");
    ok(reply_is(confirm_with(&station, NULL, span_of(NULL, 0), false), CE_OK) && revoked() == was + 1, "that its holder rejects is revoked at once");
    key_free(k);
}

/* -- secrets ------------------------------------------------------------------------------------------------------------------------------ */
static void by_secret(bool pbmac1, const char *uid)
{
    struct key *k = site_new_key(), *k2 = site_new_key();
    struct buf cert = BUF_INIT(0);
    site_device(&s, uid, "pump");
    struct secret x = secret_make(uid, 0);
    if (pbmac1)
        x.mac = (struct cmp_mac){ .pbmac1 = true, .salt = SPAN_LIT("0123456789abcdef"), .iterations = 1000, .hash = 512, .mac = 256 };
    ok(reply_is(enroll(NULL, &x, "dev-1", k), CE_NAME_MISMATCH), "%s: a secret enrolls no other device", pbmac1 ? "PBMAC1" : "PBM");
    buf_put_span(&cert, enroll(NULL, &x, uid, k)->body);
    const struct msg_reply r = { .body = buf_span(&cert) };
    ok(cert.len > 0, "it enrolls its own");
    struct secret bad = x;
    bad.text[0] ^= 1;
    ok(reply_is(confirm(NULL, &bad, &r), CE_CMP_PROTECTION), "what another secret protects is not of this transaction");
    nonce[0]--;
    ok(reply_is(confirm(NULL, &x, &r), CE_OK), "it confirms");
    ok(reply_is(enroll(NULL, &x, uid, k2), CE_SECRET_OVER), "it is good once");
    s.wall_skew_ms += 121000;
    site_wait(&s, 1200);
    ok(site_count(&s, "SELECT count(*) FROM device_secret WHERE length(secret) > 0") == 0, "and its bytes are wiped");
    key_free(k);
    key_free(k2);
    buf_free(&cert);
}

static void secrets_end(void)
{
    struct key *k = site_new_key();
    site_device(&s, "dev-7", "pump");
    struct secret x = secret_make("dev-7", 3600);
    s.wall_skew_ms += 3601000;
    ok(reply_is(enroll(NULL, &x, "dev-7", k), CE_SECRET_OVER), "a secret ends by the clock, to the second");
    site_wait(&s, 1200);
    ok(events("secret-over") == 1 && reply_is(enroll(NULL, &x, "dev-7", k), CE_SECRET_OVER), "with evidence");
    struct secret y = secret_make("dev-7", 0), z = secret_make("dev-7", 0);
    ok(reply_is(enroll(NULL, &y, "dev-7", k), CE_SECRET_OVER), "the newest replaces the one before");
    for (int i = 0; i < 5; i++) {
        struct secret bad = z;
        bad.text[i] ^= 1;
        ok(reply_is(enroll(NULL, &bad, "dev-7", k), CE_CMP_PROTECTION), "wrong try %d", i + 1);
    }
    ok(reply_is(enroll(NULL, &z, "dev-7", k), CE_SECRET_LOCKED), "five of them lock it");
    struct secret none = z;
    none.ref[0] ^= 1;
    ok(reply_is(enroll(NULL, &none, "dev-7", k), CE_SECRET_UNKNOWN), "a reference that nobody has");
    struct msg_line_set m = { .name = SPAN_LIT("pump"), .cmp_secret = SPAN_LIT("no") };
    struct secret last = secret_make("dev-7", 0);
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_line_set, &m), CE_OK) && reply_is(enroll(NULL, &last, "dev-7", k), CE_SECRET_FORBIDDEN), "the line may forbid them at any time");
    key_free(k);
}

/* -- callers of other kinds ------------------------------------------------------------------------------------------------------------- */
static void others(void)
{
    struct key *k = site_new_key();
    struct who board = { .kind = CALLER_IDEVID }, twin, holder = { .kind = CALLER_DEVICE };
    struct buf cert = BUF_INIT(0);
    site_device(&s, "dev-8", "pump");
    memset(board.cert.spki_sha256, 7, sizeof board.cert.spki_sha256);
    twin = board;
    twin.cert.spki_sha256[0]++;
    ok(reply_is(enroll(&board, NULL, "dev-8", k), CE_CERT_UNKNOWN), "an IDevID that nobody knows begins nothing");
    ok(open_now() == 0 || site_count(&s, "SELECT count(*) FROM cmp_tx WHERE who LIKE 'idevid:%'") == 0, "and no transaction stays");
    ok(reply_is(confirm_with(&twin, NULL, span_of(NULL, 0), false), CE_TRANSACTION_NONE), "it has none to go on with");
    buf_put_span(&cert, enroll(&station, NULL, "dev-8", k)->body);
    who_set(&holder, CALLER_DEVICE, buf_span(&cert));
    ok(reply_is(enroll(&holder, NULL, "dev-8", k), CE_OK), "a device asks for its own key again");
    const struct msg_reply r = { .body = buf_span(&cert) };
    holder.kind = CALLER_EXPIRED;
    ok(reply_is(confirm(&holder, NULL, &r), CE_OK), "and confirms, whatever front takes its certificate for in the second of its end");
    key_free(k);
    buf_free(&cert);
    buf_free(&holder.der);
}

int main(void)
{
    site_open(&s);
    site_operator(&s, "station", "station", "", &station);
    site_operator(&s, "other", "station", "", &other);
    struct msg_line_set m = { .name = SPAN_LIT("pump"), .cmp_secret = SPAN_LIT("yes") };
    ok(reply_is(site_do(&s, &s.admin, &msg_desc_line_set, &m), CE_OK), "a line allows secrets");
    whose();
    unconfirmed(false);
    rejected();
    by_secret(false, "dev-5");
    by_secret(true, "dev-6");
    others();
    secrets_end();
    site_folds(&s, "at the end");
    s.cfg.cmp_keep_unconfirmed = true;
    site_restart(&s);
    unconfirmed(true);
    site_folds(&s, "with certificates that were kept");
    buf_free(&station.der);
    buf_free(&other.der);
    site_close(&s);
    return done();
}
