/* crypt_crl.c: CRL shards, judged by openssl crl and openssl verify -crl_check. */
#include "crypt/crl_stream.h"
#include "crypt/der.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"

static char dir[64];
static struct ca root, device;
static int64_t now;

static void write_crl(const char *name, struct span der)
{
    struct buf pem = BUF_INIT(0);
    pem_encode("X509 CRL", der, &pem);
    site_write(dir, name, buf_span(&pem), 0644);
    buf_free(&pem);
}

/* A serial in the given shard (of 16). */
static void serial_in(uint8_t out[16], unsigned shard)
{
    site_must(issue_serial(out), NULL, "serial");
    out[15] = (uint8_t)((out[15] & 0xf0) | shard);
}

static void issue_pem(const char *name, struct span serial, struct key *k, const struct profile *p)
{
    struct fault f = { .code = CE_OK };
    struct buf der = BUF_INIT(0);
    struct issue_request r = { .serial = serial, .spki = key_spki(k), .not_before = now - 60, .not_after = now + SITE_DAY,
                               .values = { .uid = SPAN_LIT("dev-1"), .line = SPAN_LIT("pump") } };
    site_must(issue_leaf(&device, p, &r, &der, &f), &f, "leaf");
    site_write_cert(dir, name, buf_span(&der));
    buf_free(&der);
}

static bool verifies(const char *leaf, const char *crl)
{
    return site_sh("openssl verify -crl_check -CAfile %s/ca/bundle.pem -CRLfile %s/%s %s/%s > %s/t 2>&1 || { tail -3 %s/t >&2; false; }", dir, dir, crl, dir, leaf, dir, dir);
}

static void judged_by_openssl(void)
{
    uint8_t bad[16], good[16], other[16];
    struct fault f = { .code = CE_OK };
    struct profile p;
    struct key *k;
    CLEANUP(buf_free) struct buf packed = BUF_INIT(0), der = BUF_INIT(0), wrong = BUF_INIT(0);
    site_must(profile_load(dir, "device", &p, &f), &f, "profile");
    site_must(key_generate("ec:P-256", &k, &f), &f, "key");
    serial_in(bad, 3);
    serial_in(good, 3);
    serial_in(other, 4);
    issue_pem("bad.pem", span_of(bad, 16), k, &p);
    issue_pem("good.pem", span_of(good, 16), k, &p);
    issue_pem("other.pem", span_of(other, 16), k, &p);
    crl_entry_put(&packed, span_of(bad, 16), now - 10, 1);
    struct crl_request r = { .shard = 3, .number = 7, .this_update = now, .next_update = now + SITE_DAY, .entries = buf_span(&packed) };
    ok(crl_build(&device, &r, &der, &f) == CE_OK, "CRL of shard 3 %s", f.text);
    write_crl("3.crl", buf_span(&der));
    ok(site_sh("openssl crl -in %s/3.crl -noout -text -CAfile %s/ca/device.pem > %s/t 2>&1; cat %s/t >&2; grep -q 'verify OK' %s/t && grep -q 'Key Compromise' %s/t && "
               "grep -q 'URI:" SITE_URL "/crl/device/3.crl' %s/t && grep -A1 'CRL Number' %s/t | grep -q 7", dir, dir, dir, dir, dir, dir, dir, dir), "openssl crl: signature, reason, IDP, number");
    ok(verifies("good.pem", "3.crl"), "a good certificate of the shard passes -crl_check");
    ok(!verifies("bad.pem", "3.crl") && site_sh("grep -q 'certificate revoked' %s/t", dir), "the revoked one does not");
    ok(!verifies("other.pem", "3.crl") && site_sh("grep -q 'error 44\\|scope' %s/t", dir), "a certificate of another shard is out of scope");
    ok(site_sh("certtool --verify-crl --load-ca-certificate %s/ca/device.pem --infile %s/3.crl >&2", dir, dir), "certtool verifies it");
    r.shard = 4;
    ok(crl_build(&device, &r, &wrong, &f) == CE_BAD_FIELD && wrong.len == 0, "an entry of another shard is refused: %s", f.text);
    r.entries = span_of(NULL, 0);
    ok(crl_build(&device, &r, &wrong, &f) == CE_OK, "an empty CRL");
    write_crl("4.crl", buf_span(&wrong));
    ok(verifies("other.pem", "4.crl"), "is enough for its shard");
    struct buf rootcrl = BUF_INIT(0);
    r = (struct crl_request){ .shard = 0, .number = 1, .this_update = now, .next_update = now + SITE_DAY };
    ok(crl_build(&root, &r, &rootcrl, &f) == CE_OK, "the root's own CRL");
    write_crl("root.crl", buf_span(&rootcrl));
    ok(site_sh("openssl verify -crl_check_all -CAfile %s/ca/bundle.pem -CRLfile %s/root.crl -CRLfile %s/3.crl %s/good.pem >&2", dir, dir, dir, dir), "openssl verify -crl_check_all");
    buf_free(&rootcrl);
    key_free(k);
}

static void read_back(void)
{
    CLEANUP(buf_free) struct buf packed = BUF_INIT(0), der = BUF_INIT(0), der2 = BUF_INIT(0);
    struct fault f = { .code = CE_OK };
    struct crl c;
    struct crl_entry e;
    static const int given[] = { 0, 1, 2, 3, 4, 5, 6, 9, 10 };
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        crl_entry_put(&packed, span_of((uint8_t[]){ (uint8_t)(0x80 + i), 0x05 }, 2), now - 100 + (int64_t)i, (unsigned)given[i]);
    crl_entry_put(&packed, span_of((uint8_t[]){ 0x15 }, 1), 2600000000, 1); /* after 2049: GeneralizedTime */
    struct crl_request r = { .shard = 5, .number = 1ull << 40, .this_update = now, .next_update = now + 60, .entries = buf_span(&packed) };
    ok(crl_build(&device, &r, &der, &f) == CE_OK && crl_parse(buf_span(&der), &c, &f) == CE_OK, "every reason is written and read %s", f.text);
    ok(c.number == 1ull << 40 && c.this_update == now && c.next_update == now + 60 && c.n_entries == ARRAY_LEN(given) + 1 &&
       span_eq_str(c.idp_url, SITE_URL "/crl/device/5.crl") && span_eq(c.aki, device.cert.ski), "head and extensions");
    ok(crl_verify(&c, &device.cert) == CE_OK && crl_verify(&c, &root.cert) == CE_CERT_FOREIGN, "verifies with its own issuer only");
    bool same = true;
    struct span in = c.entries;
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        same = same && crl_next(&in, &e) && e.serial.n == 2 && e.serial.p[0] == 0x80 + i && e.reason == given[i] && e.revoked_at == now - 100 + (int64_t)i;
    ok(same && crl_next(&in, &e) && e.revoked_at == 2600000000 && !crl_next(&in, &e), "entries come back as given");
    buf_put_span(&der2, buf_span(&der));
    der2.data[c.entries.p - der.data + 4] ^= 1;
    ok(crl_parse(buf_span(&der2), &c, &f) == CE_OK && crl_verify(&c, &device.cert) == CE_BAD_SIGNATURE, "a flipped serial bit does not verify");
    ok(crl_parse(span_of(der.data, der.len - 1), &c, &f) == CE_BAD_DER, "cut short: %s", f.text);
}

static void refused(struct crl_request r, struct span packed, const char *what)
{
    struct fault f = { .code = CE_OK };
    struct buf out = BUF_INIT(0);
    r.entries = packed;
    ok(crl_build(&device, &r, &out, &f) == CE_BAD_FIELD && out.len == 0, "refused: %s: %s", what, f.text);
    buf_free(&out);
}

static void bad_requests(void)
{
    struct crl_request good = { .shard = 1, .number = 1, .this_update = now, .next_update = now + 60 }, r;
    r = good, r.shard = 16;
    refused(r, span_of(NULL, 0), "shard 16 of 16");
    r = good, r.number = 0;
    refused(r, span_of(NULL, 0), "number 0");
    r = good, r.next_update = now;
    refused(r, span_of(NULL, 0), "no validity");
    refused(good, SPAN_LIT("\x00"), "an entry without a serial");
    refused(good, SPAN_LIT("\x01\x11\0\0\0\0\0\0\0"), "an entry cut short");
    refused(good, SPAN_LIT("\x01\x11\0\0\0\0\0\0\0\x01\x07"), "reason 7");
    refused(good, SPAN_LIT("\x01\x11\0\0\0\0\0\0\0\x01\x08"), "removeFromCRL in a full CRL");
    refused(good, SPAN_LIT("\x02\x00\x11\0\0\0\0\0\0\0\x01\x01"), "a serial with a leading zero");
    ok(crl_reason_from_name(SPAN_LIT("keyCompromise")) == 1 && crl_reason_from_name(SPAN_LIT("nonsense")) == -1 &&
       crl_reason_from_name(SPAN_LIT("aACompromise")) == 10 && strcmp(crl_reason_name(6), "certificateHold") == 0 && !crl_reason_name(7) && !crl_reason_name(-1),
       "names of reasons");
}

static void many(void)
{
    CLEANUP(buf_free) struct buf packed = BUF_INIT(0), der = BUF_INIT(64u << 20);
    struct fault f = { .code = CE_OK };
    struct crl c;
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t s[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i, 6 };
        crl_entry_put(&packed, span_of(s, 16), now - i / 10, i % 3);
    }
    struct crl_request r = { .shard = 6, .number = 2, .this_update = now, .next_update = now + 60, .entries = buf_span(&packed) };
    ok(crl_build(&device, &r, &der, &f) == CE_OK && crl_parse(buf_span(&der), &c, &f) == CE_OK && c.n_entries == 100000 &&
       crl_verify(&c, &device.cert) == CE_OK, "100 000 entries, %zu bytes", der.len);
    struct buf tight = BUF_INIT(100000);
    ok(crl_build(&device, &r, &tight, &f) == CE_TOO_LARGE && tight.len == 0, "a buf that is too small: %s", f.text);
    buf_free(&tight);
}

/* The packed list in pieces of so many entries: signed, then put together. */
static enum err in_pieces(struct ca *ca, const struct crl_request *r, size_t per_piece, struct buf *out, struct fault *f)
{
    CLEANUP(crl_signing_free) struct crl_signing s = { .shard = 0 };
    CLEANUP(buf_free) struct buf entries = BUF_INIT(0), list = BUF_INIT(0), after = BUF_INIT(0);
    size_t cut[4096], n = 0, at, end;
    struct crl c;
    for (struct span in = r->entries; in.n; n++) {
        uint8_t len = in.p[0], der[CRL_ENTRY_MAX];
        uint64_t when;
        struct crl_entry e = { .serial = span_of(in.p + 1, len) };
        struct span rest = span_of(in.p + 1 + len, 9);
        if (!span_get_u64(&rest, &when))
            return CE_INTERNAL;
        e.revoked_at = (int64_t)when;
        e.reason = rest.p[0];
        cut[n] = entries.len;
        buf_put(&entries, der, crl_encode(&e, der));
        in = span_of(in.p + len + 10, in.n - len - 10u);
    }
    cut[n] = entries.len;
    enum err e = crl_signing_begin(&s, ca, r, n, entries.len, f);
    for (size_t i = 0; !e && i < n; i += per_piece) {
        size_t to = i + per_piece < n ? i + per_piece : n;
        e = crl_signing_add(&s, ca, span_of(entries.data + cut[i], cut[to] - cut[i]), f);
    }
    e = e ? e : crl_signing_end(&s, ca, &list, f);
    e = e ? e : crl_parse(buf_span(&list), &c, f);
    e = e ? e : crl_frame(&c, entries.len, out, &at, &after, &end);
    buf_put_span(out, buf_span(&entries));
    buf_put_span(out, buf_span(&after));
    return e;
}

/* The CA's name and number with another key. */
static void ca_of(const char *alg, struct ca *ca)
{
    struct fault f = { .code = CE_OK };
    struct key *key;
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    site_must(key_generate(alg, &key, &f), &f, alg);
    struct issue_spec q = { .cn = "Streamed", .org = "Test Works", .not_before = now - 60, .not_after = now + SITE_DAY };
    site_must(issue_root(key, &q, &der, &f), &f, "certificate");
    site_must(ca_open(ca, "device", buf_span(&der), key, SITE_URL, 16, &f), &f, "CA");
}

static void same_bytes(const char *alg, size_t entries, size_t per_piece)
{
    CLEANUP(ca_close) struct ca ca;
    CLEANUP(buf_free) struct buf packed = BUF_INIT(0), whole = BUF_INIT(0), parts = BUF_INIT(0);
    struct fault f = { .code = CE_OK };
    struct crl a, b;
    ca_of(alg, &ca);
    for (size_t i = 0; i < entries; i++) {
        static const unsigned reasons[] = { 0, 1, 2, 3, 4, 5, 6, 9, 10 };
        uint8_t s[20] = { (uint8_t)(1 + i / 200 * 9), (uint8_t)(i % 200) };
        size_t n = 3 + i % 18;
        s[n - 1] = 6;
        crl_entry_put(&packed, span_of(s, n), i % 11 == 10 ? 2600000000 + (int64_t)i : now - (int64_t)(i * 86399), reasons[i % 9]);
    }
    struct crl_request r = { .shard = 6, .number = 12345, .this_update = now, .next_update = now + 3600, .entries = buf_span(&packed) };
    ok(crl_build(&ca, &r, &whole, &f) == CE_OK, "%s, %zu entries: as a whole %s", alg, entries, f.text);
    ok(in_pieces(&ca, &r, per_piece, &parts, &f) == CE_OK, "in pieces %s", f.text);
    ok(crl_parse(buf_span(&whole), &a, &f) == CE_OK && crl_parse(buf_span(&parts), &b, &f) == CE_OK && span_eq(a.tbs, b.tbs) && crl_verify(&b, &ca.cert) == CE_OK &&
       b.n_entries == entries, "byte for byte the same to be signed, and it verifies %s", f.text);
    bool fixed = strncmp(alg, "ec:", 3) != 0; /* ECDSA has a random number in each signature */
    ok(!fixed || span_eq(buf_span(&whole), buf_span(&parts)), "%s", fixed ? "the whole is the same" : "(another signature)");
}

static void streamed(void)
{
    static const size_t counts[] = { 0, 1, 2, 5, 6, 500, 3000 };
    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        same_bytes("ec:P-256", counts[i], 7);
    same_bytes("ec:P-384", 700, 200);
    same_bytes("rsa:3072", 700, 1);
    same_bytes("ed25519", 700, 699);
}

/* An entry is taken in the one form that is written, whole or not at all. */
static void one_form(void)
{
    uint8_t der[CRL_ENTRY_MAX + 1], was;
    struct crl_entry e = { .serial = SPAN_LIT("\x91\x02\x03"), .revoked_at = now, .reason = 1 }, x;
    size_t n = crl_encode(&e, der), taken = 0;
    struct span in = span_of(der, n);
    ok(crl_decode(&in, &x) && in.n == 0 && span_eq(x.serial, e.serial) && x.revoked_at == now && x.reason == 1, "an entry of %zu bytes comes back", n);
    for (size_t i = 0; i < n; i++)
        in = span_of(der, i), taken += crl_decode(&in, &x);
    ok(taken == 0, "cut short anywhere it is not taken");
    for (size_t i = 0; i < n; i++)
        for (int v = 1; v < 256; v++) {
            was = der[i];
            der[i] = (uint8_t)(was ^ v);
            in = span_of(der, n);
            uint8_t again[CRL_ENTRY_MAX];
            taken += crl_decode(&in, &x) && (crl_encode(&x, again) != n - in.n || memcmp(again, der, n - in.n) != 0);
            der[i] = was;
        }
    ok(taken == 0, "whatever byte is changed: what is taken is written so");
    ok(crl_whole(span_of(der, n)) == n && crl_whole(span_of(der, n - 1)) == 0 && crl_whole(span_of(der, 1)) == 0, "whole entries are told by their lengths");
}

int main(void)
{
    struct fault f = { .code = CE_OK };
    now = clock_now_s();
    site_make(dir, &root, 16);
    site_must(ca_load(&device, dir, "device", SITE_URL, 16, &key_source_files, &f), &f, "device CA");
    judged_by_openssl();
    read_back();
    streamed();
    one_form();
    bad_requests();
    many();
    ca_close(&root);
    ca_close(&device);
    site_remove(dir);
    return done();
}
