/* edge_authz.c: answers to proxies without a proxy: header forms, names, who may be let in, the cache, SPOP, and libcradle-edge. */
#include <cradle/edge.h>
#include <pthread.h>

#include "crypt/hash.h"
#include "edge/authz_header.h"
#include "edge/spop.h"
#include "snap/admit_cache.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"
#include "wire/snapshot.h"

static char dir[64];
static struct ca root, device, infra;
static struct profile prof, op_prof;
static struct admit_trust trust;
static struct buf good = BUF_INIT(0); /* DER of dev-1, line pump */

static void site_open(void)
{
    struct fault f = { 0 };
    char path[PATH_MAX_LEN];
    site_make(dir, &root, 1);
    site_must(ca_load(&device, dir, "device", SITE_URL, 1, &key_source_files, &f), &f, "device");
    site_must(ca_load(&infra, dir, "infra", SITE_URL, 1, &key_source_files, &f), &f, "infra");
    site_must(profile_load(dir, "device", &prof, &f), &f, "profile");
    site_must(profile_load(dir, "operator", &op_prof, &f), &f, "profile");
    path_join(path, "%s/ca/device.pem", dir);
    site_must(admit_trust_add(&trust, path, &f), &f, "trust");
    path_join(path, "%s/trust/stream.pub", dir);
    ok(admit_trust_add(&trust, path, &f) != CE_OK && f.text[0], "a file without a certificate is no CA");
    path_join(path, "%s/ca/device-ocsp.pem", dir);
    ok(admit_trust_add(&trust, path, &f) == CE_BAD_CONFIG, "nor is a certificate that is none");
}

static void leaf(struct ca *ca, const struct profile *p, const char *uid, const char *line, struct buf *der)
{
    static struct key *k;
    struct fault f = { 0 };
    uint8_t serial[16];
    int64_t now = clock_now_s();
    if (!k)
        site_must(key_generate("ec:P-256", &k, &f), &f, "key");
    site_must(issue_serial(serial), NULL, "serial");
    struct issue_request r = { .serial = span_of(serial, sizeof serial), .spki = key_spki(k),
                               .values = { .uid = span_str(uid), .serial = SPAN_LIT("SN1"), .line = span_str(line), .role = SPAN_LIT("auditor") },
                               .not_before = now - 60, .not_after = now + SITE_DAY };
    site_must(issue_leaf(ca, p, &r, der, &f), &f, uid);
}

static void test_read(void)
{
    CLEANUP(buf_free) struct buf forged = BUF_INIT(0), op = BUF_INIT(0), ca_der = BUF_INIT(0);
    struct admit_peer p;
    struct fault f = { 0 };
    leaf(&device, &prof, "dev-1", "pump", &good);
    enum err e = admit_read(buf_span(&good), &trust, &p, &f);
    ok(!e && !strcmp(p.uid, "dev-1") && !strcmp(p.line, "pump") && p.serial_n, "a device's certificate is read (%s)", f.text);
    buf_put_span(&forged, buf_span(&good));
    forged.data[forged.len - 3] ^= 1;
    ok(admit_read(buf_span(&forged), &trust, &p, &f) == CE_BAD_SIGNATURE, "a certificate whose signature is not the CA's: %s", f.text);
    leaf(&infra, &op_prof, "ops", "", &op);
    ok(admit_read(buf_span(&op), &trust, &p, &f) == CE_CERT_FOREIGN && !strcmp(p.uid, "ops"), "one of a CA that is not let in, still named");
    ok(admit_read(device.cert.der, &trust, &p, &f) != CE_OK, "a CA's own certificate does not come in");
    ok(admit_read(span_of(good.data, good.len - 1), &trust, &p, &f) != CE_OK && admit_read((struct span){ 0 }, &trust, &p, &f) != CE_OK,
       "nor does a torn or empty one");
}

/* -- header forms ------------------------------------------------------------------------------------------------------------------ */
static void percent(struct span in, struct buf *out)
{
    for (size_t i = 0; i < in.n; i++)
        if ((in.p[i] >= 'a' && in.p[i] <= 'z') || (in.p[i] >= 'A' && in.p[i] <= 'Z') || (in.p[i] >= '0' && in.p[i] <= '9'))
            buf_put_u8(out, in.p[i]);
        else
            buf_printf(out, "%%%02X", in.p[i]);
}

static enum err form(enum authz_form which, const char *text, bool same, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    enum err e = authz_header_der(which, span_str(text), &der, f);
    return !e && same && !span_eq(buf_span(&der), buf_span(&good)) ? CE_INTERNAL : e;
}

static void test_forms(void)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(0), esc = BUF_INIT(0), b64 = BUF_INIT(0), x = BUF_INIT(0);
    struct fault f = { 0 };
    enum authz_form w;
    pem_encode("CERTIFICATE", buf_span(&good), &pem);
    percent(buf_span(&pem), &esc);
    buf_put_base64(&b64, buf_span(&good), 0);
    const char *cert = buf_cstr(&esc);
    ok(!form(AUTHZ_PEM, cert, true, &f), "nginx: percent-encoded PEM (%s)", f.text);
    ok(!form(AUTHZ_DER, buf_cstr(&b64), true, &f), "base64 of the DER (%s)", f.text);
    static const struct { const char *before, *after; enum err want; const char *what; } rows[] = {
        { "Hash=00;Cert=\"", "\";Subject=\"CN=dev-1,O=\\\"x; y\\\"\";URI=urn:cradle:pump:dev-1", CE_OK, "one element" },
        { "cert=", "", CE_OK, "without quotes, any case" },
        { "By=urn:x;Hash=1;Cert=\"", "\"", CE_OK, "the certificate last" },
        { "Cert=\"", "\",By=urn:x;Hash=2", CE_BAD_CERT, "two elements" },
        { "Hash=0,Cert=\"", "\"", CE_BAD_CERT, "two elements, the certificate in the second" },
        { "Cert=\"", "\";Cert=\"x\"", CE_BAD_CERT, "two certificates" },
        { "Cert=\"", "", CE_BAD_CERT, "an open quote" },
        { "Cert=\"", "\"x", CE_BAD_CERT, "something after the quote" },
        { "Subject=\"CN=a;Cert=", "\"", CE_NO_CERT, "a certificate inside another value" },
        { "Chain=\"", "\"", CE_NO_CERT, "a chain alone" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        buf_reset(&x);
        buf_printf(&x, "%s%s%s", rows[i].before, cert, rows[i].after);
        f = (struct fault){ 0 };
        enum err e = form(AUTHZ_XFCC, buf_cstr(&x), true, &f);
        ok(e == rows[i].want, "Envoy: %s: %s %s", rows[i].what, err_reason(e), f.text);
    }
    for (int i = AUTHZ_PEM; i <= AUTHZ_RAW; i++)
        ok(form((enum authz_form)i, "", false, &f) == CE_NO_CERT, "form %d: empty is no certificate", i);
    ok(form(AUTHZ_PEM, "-----BEGIN%20", false, &f) == CE_BAD_CERT && form(AUTHZ_DER, "!!", false, &f) == CE_BAD_CERT && f.text[0], "rubbish is told");
    ok(authz_form_find("x-ssl-client-der", &w) && w == AUTHZ_DER && !authz_form_find("X-Client", &w), "forms by the header's name");
}

static void test_query(void)
{
    struct admit_peer by_name, by_cert;
    struct fault f = { 0 };
    CLEANUP(buf_free) struct buf q = BUF_INIT(0);
    site_must(admit_read(buf_span(&good), &trust, &by_cert, &f), &f, "read");
    buf_put_str(&q, "issuer=");
    buf_put_hex(&q, device.cert.ski);
    buf_put_str(&q, "&serial=00");
    buf_put_hex(&q, span_of(by_cert.serial, by_cert.serial_n));
    buf_put_str(&q, "&uid=dev-1&line=pump");
    ok(!authz_query(buf_span(&q), &by_name, &f) && !memcmp(by_name.cert_key, by_cert.cert_key, SNAPSHOT_KEY) &&
           !memcmp(by_name.ident_key, by_cert.ident_key, SNAPSHOT_KEY) && !memcmp(by_name.line_key, by_cert.line_key, SNAPSHOT_KEY),
       "names and certificate ask for the same keys (%s)", f.text);
#define KID "0102030405060708090a0b0c0d0e0f1011121314"
    static const char *const bad[] = { "", "issuer=" KID "&serial=01&uid=a", "issuer=" KID "&serial=01&line=", "issuer=" KID "&uid=a&line=",
        "serial=01&uid=a&line=", "issuer=01&serial=01&uid=a&line=", "issuer=" KID "&serial=1&uid=a&line=", "issuer=" KID "&serial=&uid=a&line=",
        "issuer=" KID "&serial=01&uid=&line=", "issuer=" KID "&serial=01&uid=a&uid=b&line=", "issuer=" KID "&serial=01&uid=a&line=&x=1",
        "issuer=" KID "&serial=01&uid=a/b&line=", "issuer=" KID "&serial=01&uid=a&line=b/c", "issuer=" KID "&serial=01&uid=a%2&line=",
        "issuer=" KID "&serial=000000000000000000000000000000000000000000&uid=a&line=x&serial=0" };
    int refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        f = (struct fault){ 0 };
        bool no = authz_query(span_str(bad[i]), &by_name, &f) != CE_OK && f.text[0];
        if (!no)
            printf("# taken: %s\n", bad[i]);
        refused += no;
    }
    ok(refused == (int)ARRAY_LEN(bad), "%d queries that lack or break something are refused with a sentence", refused);
    ok(!authz_query(SPAN_LIT("issuer=" KID "&serial=01&uid=a&line="), &by_name, &f) && !by_name.line[0], "an empty line is said, not forgotten");
}

/* -- decisions over a snapshot on disk, through the public library ------------------------------------------------------------------- */
static void snapshot_write(struct key *k, const char *vector, int64_t at_ms, unsigned set, const uint8_t *key)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    uint8_t sha[32];
    uint8_t body_bytes[2 * SNAPSHOT_KEY] = { 0 }; /* the key, if any, then that of a policy */
    if (key)
        memcpy(body_bytes, key, SNAPSHOT_KEY);
    struct span body = span_of(body_bytes, key ? 2 * SNAPSHOT_KEY : SNAPSHOT_KEY);
    sha256(body, sha);
    struct snapshot_header h = { .at_ms = at_ms, .n[SNAPSHOT_SET_POLICY - 1] = 1, .body_sha256 = span_of(sha, 32), .vector = span_str(vector) };
    if (key)
        h.n[set - 1] = 1;
    site_must(snapshot_header_encode(&h, k, &out), NULL, "snapshot");
    buf_put_span(&out, body);
    site_write(dir, "revocation.snap", buf_span(&out), 0644);
}

static bool says(struct cradle_edge *e, enum cradle_edge_answer want, const char *reason)
{
    struct cradle_edge_verdict v;
    enum cradle_edge_answer got = CRADLE_EDGE_ADMIT;
    for (int i = 0; i < 400; i++) { /* the folder is looked at every 10 ms at most, 200 ms while there is nothing */
        got = cradle_edge_check(e, good.data, good.len, &v);
        if (got == want && !strcmp(v.reason, reason))
            return !strcmp(v.uid, "dev-1") && !strcmp(v.line, "pump") && v.serial[0];
        usleep(5000);
    }
    printf("# got %d %s: %s\n", (int)got, v.reason, v.text);
    return false;
}

struct asker { struct cradle_edge *edge; int wrong; };
static void *ask_often(void *arg)
{
    struct asker *a = arg;
    for (int i = 0; i < 3000; i++) {
        struct cradle_edge_verdict v;
        enum cradle_edge_answer got = cradle_edge_check(a->edge, good.data, good.len, &v);
        a->wrong += got == CRADLE_EDGE_STALE || (got == CRADLE_EDGE_REFUSE) != !strcmp(v.reason, "device-revoked");
    }
    return NULL;
}

/* Four threads ask while snapshots come: each answer is one of the two that were ever true. */
static void test_threads(struct cradle_edge *e, struct key *k, const uint8_t *ident, int64_t now)
{
    struct asker askers[4];
    pthread_t threads[4];
    char vector[32];
    int wrong = 0;
    for (int i = 0; i < 4; i++) {
        askers[i] = (struct asker){ .edge = e };
        if (pthread_create(&threads[i], NULL, ask_often, &askers[i]))
            exit(1);
    }
    for (int i = 0; i < 20; i++) {
        snprintf(vector, sizeof vector, "1:%d", 100 + i);
        snapshot_write(k, vector, now, i % 2 ? SNAPSHOT_SET_IDENT : 0, i % 2 ? ident : NULL);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        wrong += askers[i].wrong;
    }
    ok(wrong == 0, "four threads ask while snapshots come: %d wrong answers", wrong);
    ok(says(e, CRADLE_EDGE_REFUSE, "device-revoked"), "and the last one is in force");
}

static void test_library(void)
{
    char pub[PATH_MAX_LEN], ca[PATH_MAX_LEN], path[PATH_MAX_LEN], why[CRADLE_EDGE_TEXT] = "";
    CLEANUP(buf_free) struct buf pem = BUF_INIT(0);
    struct admit_peer p;
    struct fault f = { 0 };
    struct key *k;
    struct cradle_edge *e;
    path_join(pub, "%s/trust/stream.pub", dir);
    path_join(ca, "%s/ca/device.pem", dir);
    path_join(path, "%s/keys/stream.key", dir);
    site_must(file_read(path, &pem), NULL, path);
    site_must(key_from_pem(buf_span(&pem), NULL, &k, &f), &f, path);
    site_must(admit_read(buf_span(&good), &trust, &p, &f), &f, "read");
    const char *const cas[] = { ca };
    struct cradle_edge_options o = { .dir = dir, .stream_pub = pub, .cas = cas, .n_cas = 1, .refuse_after_s = 60 }, none = o, wrong = o;
    none.n_cas = 0;
    wrong.stream_pub = ca;
    ok(cradle_edge_open(&none, &e, why) == -1 && why[0], "no CA: %s", why);
    ok(cradle_edge_open(&wrong, &e, why) == -1 && why[0], "a wrong key: %s", why);
    ok(cradle_edge_open(&o, &e, why) == 0, "the library opens a folder without a snapshot");
    ok(says(e, CRADLE_EDGE_STALE, "stale"), "and lets in nobody");
    int64_t now = clock_now_ms();
    struct cradle_edge_verdict v;
    cradle_edge_check(e, good.data, good.len, &v);
    ok(strstr(v.text, "revocation.snap"), "saying which file is missing: %s", v.text);
    snapshot_write(k, "1:1", now, 0, NULL);
    ok(says(e, CRADLE_EDGE_ADMIT, "ok"), "a good device, when the snapshot has come");
    snapshot_write(k, "1:2", now, SNAPSHOT_SET_CERT, p.cert_key);
    ok(says(e, CRADLE_EDGE_REFUSE, "certificate-revoked"), "its certificate revoked");
    snapshot_write(k, "1:3", now, SNAPSHOT_SET_IDENT, p.ident_key);
    ok(says(e, CRADLE_EDGE_REFUSE, "device-revoked"), "its identity blocked");
    snapshot_write(k, "1:4", now, SNAPSHOT_SET_LINE, p.line_key);
    ok(says(e, CRADLE_EDGE_REFUSE, "line-suspended"), "its line suspended");
    cradle_edge_check(e, good.data, good.len, &v);
    ok(!v.state[0], "its own state is then not told");
    snapshot_write(k, "1:3", now, 0, NULL);
    usleep(50000);
    ok(says(e, CRADLE_EDGE_REFUSE, "line-suspended"), "a snapshot that is behind changes nothing");
    ok(cradle_edge_check(e, "x", 1, NULL) == CRADLE_EDGE_REFUSE, "rubbish is no certificate");
    ok(cradle_edge_check(e, NULL, 0, NULL) == CRADLE_EDGE_REFUSE, "nor is nothing");
    snapshot_write(k, "1:5", now, SNAPSHOT_SET_REPAIR, p.ident_key);
    ok(says(e, CRADLE_EDGE_REFUSE, "device-quarantined"), "in quarantine");
    cradle_edge_check(e, good.data, good.len, &v);
    ok(!strcmp(v.state, "quarantined"), "and its state says so");
    snapshot_write(k, "1:6", now, 0, NULL);
    ok(says(e, CRADLE_EDGE_ADMIT, "ok"), "resumed");
    cradle_edge_check(e, good.data, good.len, &v);
    ok(!strcmp(v.state, "active"), "active again");
    test_threads(e, k, p.ident_key, now);
    cradle_edge_close(e);
    snapshot_write(k, "1:500", now - 61000, 0, NULL);
    ok(cradle_edge_open(&o, &e, why) == 0 && says(e, CRADLE_EDGE_STALE, "stale"), "a snapshot older than refuse_after lets in nobody");
    cradle_edge_close(e);
    key_free(k);
    ok(admit_judge(&p, NULL, p.not_before - 1, 0, &f) == CE_CERT_NOT_YET, "before its time: %s", f.text);
    ok(admit_judge(&p, NULL, p.not_after + 1, 0, &f) == CE_CERT_EXPIRED, "after it: %s", f.text);
}

static void test_cache(void)
{
    struct admit_cache *c = admit_cache_new(64);
    struct admit_known k = { 0 }, out;
    uint8_t key[32] = { 0 };
    int found = 0;
    for (int i = 0; i < 1000; i++) {
        sha256(span_of(&i, sizeof i), key);
        k.peer.not_after = i;
        admit_cache_put(c, key, &k);
        found += admit_cache_get(c, key, &out) && out.peer.not_after == i;
    }
    ok(found == 1000, "what was put last is found");
    for (int i = found = 0; i < 1000; i++) {
        sha256(span_of(&i, sizeof i), key);
        if (admit_cache_get(c, key, &out))
            found += out.peer.not_after == i ? 1 : 10000;
    }
    ok(found > 32 && found <= 64, "it keeps %d of 1000 in 64 places, none of them wrong", found);
    admit_cache_free(c);
}

/* -- SPOP ----------------------------------------------------------------------------------------------------------------------------- */
static void test_spop(void)
{
    static const uint64_t numbers[] = { 0, 1, 239, 240, 241, 2287, 2288, 264431, 264432, 1u << 31, UINT32_MAX, (uint64_t)1 << 60 };
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    bool same = true;
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
        uint64_t v = 1;
        buf_reset(&b);
        spop_put_varint(&b, numbers[i]);
        struct span s = buf_span(&b);
        same &= spop_varint_take(&s, &v) && v == numbers[i] && !s.n;
    }
    ok(same, "numbers come back");
    struct span s = SPAN_LIT("\xf0\x00");
    uint64_t v;
    ok(spop_varint_take(&s, &v) && v == 240, "240 is f0 00 (SPOE.txt 3.1)");
    s = SPAN_LIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    ok(!spop_varint_take(&s, &v), "a number without end is none");
    struct spop_hello h;
    ok(!spop_hello_parse(SPAN_LIT("\x12supported-versions\x08\x08" "1.0, 2.0" "\x0emax-frame-size\x03\xfc\xf0\x06" "\x0bhealthcheck\x11"), &h) &&
           h.version_2 && h.healthcheck && h.max_frame == 16380, "HAProxy's HELLO (%u)", h.max_frame);
    struct spop_check c;
    ok(!spop_notify_parse(SPAN_LIT("\x05" "check\x02\x04" "cert\x09\x03" "abc\x04" "addr\x06\x7f\0\0\1"), &c) && span_eq_str(c.cert, "abc") &&
           c.addr.type == SPOP_IPV4, "a NOTIFY with certificate and address");
    ok(!spop_notify_parse(SPAN_LIT("\x05" "check\x01\x04" "cert\x00"), &c) && !c.cert.n, "a client without a certificate");
    ok(spop_notify_parse(SPAN_LIT("\x05" "check\x01\x04" "cert\x08\x03" "abc"), &c) == CE_BAD_INPUT, "the certificate as text is refused");
    ok(spop_notify_parse(SPAN_LIT("\x05" "check\x02\x04" "cert\x09\x01" "a\x04" "cert\x09\x01" "b"), &c) == CE_BAD_INPUT, "two certificates are");
    ok(spop_notify_parse(SPAN_LIT("\x05" "check\x01\x04" "cert\x09\x09" "abc"), &c) == CE_TRUNCATED, "a torn one is");
}

int main(void)
{
    site_open();
    test_read();
    test_forms();
    test_query();
    test_cache();
    test_library();
    test_spop();
    buf_free(&good);
    admit_trust_free(&trust);
    ca_close(&root);
    ca_close(&device);
    ca_close(&infra);
    site_remove(dir);
    return done();
}
