/* crypt_trust.c: which new roots a device takes from a bundle, and which old ones it lets go: each rule of crypt/trust.h, for roots and links that the
 * site's own code makes (that OpenSSL agrees on links is t/scenario/ca_root.sh; that it agrees on what is accepted, t/fuzz/trust.c). */
#include "crypt/trust.h"

#define OPENSSL_SUPPRESS_DEPRECATED /* EC_KEY: the shortest way to a point */

#include "cradle/trust.h"
#include "crypt/hash.h"
#include "t/tap.h"
#include "t/unit/dev_port.h"
#include "t/unit/crypt_site.h"
#include "wire/cms.h"

#define NOW INT64_C(1800000000)
#define YEAR (365LL * SITE_DAY)

struct root {
    struct ca ca;
    struct buf der;
};
static struct root r1, r2, r3, forged, other, brief; /* of the name Root: r1, r2, r3, forged, brief; of another name: other */
static struct buf l21, l32, l12, l2x, l2o, l2end, infra, selfinfra;

static struct root root_make(const char *cn, int64_t from, int64_t to)
{
    struct root r = { .der = BUF_INIT(0) };
    struct issue_spec spec = { .cn = cn, .org = "Maker", .not_before = from, .not_after = to };
    struct key *k;
    struct fault f;
    site_must(key_generate("ec:P-256", &k, &f), &f, cn);
    site_must(issue_root(k, &spec, &r.der, &f), &f, cn);
    site_must(ca_open(&r.ca, "root", buf_span(&r.der), k, SITE_URL, 1, &f), &f, cn);
    return r;
}

/* The key of `of`, signed by `by`. */
static struct buf link_make(const struct root *of, struct root *by, int64_t to)
{
    struct buf der = BUF_INIT(0);
    struct issue_spec spec = { .cn = "Root", .org = "Maker", .spki = of->ca.cert.spki, .not_before = NOW - 2 * YEAR, .not_after = to };
    struct fault f;
    site_must(issue_root_link(&by->ca, &spec, &der, &f), &f, "link");
    return der;
}

static void all_make(void)
{
    struct fault f;
    r1 = root_make("Root", NOW - 10 * YEAR, NOW + 5 * YEAR);
    r2 = root_make("Root", NOW - 2 * YEAR, NOW + 18 * YEAR);
    r3 = root_make("Root", NOW - YEAR, NOW + 19 * YEAR);
    brief = root_make("Root", NOW - 20 * YEAR, NOW - 1);
    forged = root_make("Root", NOW - YEAR, NOW + 19 * YEAR);
    other = root_make("Other", NOW - YEAR, NOW + 19 * YEAR);
    l21 = link_make(&r2, &r1, NOW + 5 * YEAR);
    l32 = link_make(&r3, &r2, NOW + 5 * YEAR);
    l12 = link_make(&r1, &r2, NOW + 5 * YEAR);
    l2x = link_make(&r2, &forged, NOW + 5 * YEAR);
    l2o = link_make(&r2, &other, NOW + 5 * YEAR);
    l2end = link_make(&r2, &r1, NOW - 1);
    /* the key of an issuing CA: its holder may not become a root */
    struct key *k;
    struct issue_spec spec = { .cn = "Infra", .org = "Maker", .not_before = NOW - YEAR, .not_after = NOW + YEAR };
    infra = selfinfra = BUF_INIT(0);
    site_must(key_generate("ec:P-256", &k, &f), &f, "infra");
    spec.spki = key_spki(k);
    site_must(issue_issuing(&r1.ca, &spec, true, &infra, &f), &f, "infra");
    site_must(issue_root(k, &spec, &selfinfra, &f), &f, "self-signed infra");
    key_free(k);
}

#define B(r) buf_span(&(r).der)
#define L(l) buf_span(&(l))
#define LIST(...) (struct span[]){ __VA_ARGS__, { NULL, 0 } }

static size_t list_len(const struct span *l)
{
    size_t n = 0;
    while (l[n].n)
        n++;
    return n;
}

static enum err judge_at(const struct span *have, const struct span *bundle, int64_t at_s, struct trust_change *c, struct fault *f)
{
    struct trust t;
    *f = (struct fault){ .code = CE_OK };
    site_must(trust_read(have, list_len(have), &t, f), f, "roots in hand");
    return trust_judge(&t, bundle, list_len(bundle), at_s, c, f);
}

static bool has(const struct trust *t, struct span der)
{
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(t->root[i].der, der))
            return true;
    return false;
}

static void same(const struct span *have, const struct span *bundle, const char *what)
{
    struct trust_change c;
    struct fault f;
    enum err e = judge_at(have, bundle, NOW, &c, &f);
    ok(!e && !c.added && !c.dropped && !c.ended && c.now.n == list_len(have), "nothing changes: %s %s", what, f.text);
}

static void bad(const struct span *have, const struct span *bundle, enum err want, const char *word, const char *what)
{
    struct trust_change c;
    struct fault f;
    enum err e = judge_at(have, bundle, NOW, &c, &f);
    ok(e == want && f.code == e && strstr(f.text, word), "refused: %s: %s: %s", what, err_name(e), f.text);
}

static void taken(void)
{
    struct trust_change c;
    struct fault f;
    same(LIST(B(r1)), LIST(B(r1), L(infra)), "the bundle of every day");
    enum err e = judge_at(LIST(B(r1)), LIST(L(infra), L(l21), L(l12), B(r1), B(r2)), NOW, &c, &f);
    ok(!e && c.added == 1 && !c.dropped && has(&c.now, B(r1)) && has(&c.now, B(r2)) && c.now.n == 2, "a new root with its link is taken, the old one stays %s", f.text);
    e = judge_at(LIST(B(r1)), LIST(L(l32), B(r3), L(l21), B(r2)), NOW, &c, &f);
    ok(!e && c.added == 2 && c.dropped == 1 && c.now.n == 2 && c.kept.n == 3, "two rollovers at once, the links in any order; the root that is omitted goes %s", f.text);
    e = judge_at(LIST(B(r1)), LIST(L(l21), L(l32), B(r3)), NOW, &c, &f);
    ok(!e && c.added == 1 && c.dropped == 1 && has(&c.now, B(r3)) && c.now.n == 1, "over a root that is not in the bundle itself %s", f.text);
    e = judge_at(LIST(B(r1), B(r2)), LIST(L(l21), L(l12), B(r2)), NOW, &c, &f);
    ok(!e && !c.added && c.dropped == 1 && c.now.n == 1 && has(&c.now, B(r2)) && has(&c.kept, B(r1)), "a root that a newer one replaces goes");
    e = judge_at(LIST(B(brief), B(r1)), LIST(B(r1)), NOW, &c, &f);
    ok(!e && c.ended == 1 && c.now.n == 1 && c.kept.n == 1, "one that has ended goes by itself");
}

static void not_taken(void)
{
    struct trust_change c;
    struct fault f;
    bad(LIST(B(r1)), LIST(B(r1), B(forged)), CE_CHAIN, "no link leads to it", "a root of the right name without a link");
    bad(LIST(B(r1)), LIST(B(r1), B(r2), L(l2x)), CE_CHAIN, "its link is not signed by", "a link that another root of the name signed");
    bad(LIST(B(r1)), LIST(B(r1), B(forged), B(r2), L(l2x)), CE_CHAIN, "RFC 4210 4.4", "the same with that other root beside it");
    bad(LIST(B(r1)), LIST(B(r1), B(r2), L(l21), B(forged)), CE_CHAIN, "no link", "one good root and a forged one: neither is taken");
    bad(LIST(B(r1)), LIST(B(r1), B(other)), CE_CHAIN, "'Other'", "a root of another name");
    bad(LIST(B(r1), B(other)), LIST(B(r1), B(r2), L(l2o)), CE_CHAIN, "no link", "a link by a root in hand that has another name");
    bad(LIST(B(r1)), LIST(B(r1), B(r2), L(l2end)), CE_CHAIN, "does not hold now", "a link that has ended");
    bad(LIST(B(r1)), LIST(B(r1), L(infra), L(selfinfra)), CE_CHAIN, "'Infra'", "an issuing CA that makes itself a root");
    bad(LIST(B(brief)), LIST(B(r1)), CE_CHAIN, "no link", "a root in hand that has ended vouches for nobody");
    bad(LIST(B(brief)), LIST(L(infra)), CE_CERT_EXPIRED, "every root", "nothing would be left");
    bad(LIST(B(r1)), LIST(B(r1), span_of(r2.der.data, r2.der.len - 1)), CE_BAD_CERT, "cut short", "a certificate that is cut short");
    same(LIST(B(r2)), LIST(B(r2), B(r1), L(l12)), "an older root, though the newer one vouches for it");
    enum err e = judge_at(LIST(B(r2)), LIST(B(r1), L(l12)), NOW, &c, &f);
    ok(!e && !c.added && !c.dropped && has(&c.now, B(r2)) && c.now.n == 1, "and it replaces nothing %s", f.text);
    same(LIST(B(r1), B(other)), LIST(B(r1)), "a root of another name is not missed");
    same(LIST(B(r1)), LIST(L(infra)), "a bundle without any root");
    same(LIST(B(r1)), LIST(L(l21), L(infra)), "a link alone is no root");
    struct span many[TRUST_CERTS_MAX + 2];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = i + 1 < ARRAY_LEN(many) ? B(r1) : span_of(NULL, 0);
    bad(LIST(B(r1)), many, CE_TOO_LARGE, "64", "65 certificates");
    e = judge_at(LIST(B(r1)), LIST(B(r1), B(r2), L(l21)), NOW - 5 * YEAR, &c, &f);
    ok(e == CE_CHAIN && strstr(f.text, "now"), "a clock years behind: the link does not hold yet: %s", f.text);
}

/* Every byte of root and link changed: no bundle brings a root that was not signed as it is. */
static void tampered(void)
{
    struct trust_change c;
    struct fault f;
    unsigned wrong = 0;
    struct buf *const which[] = { &r2.der, &l21 };
    for (size_t k = 0; k < ARRAY_LEN(which); k++)
        for (size_t i = 0; i < which[k]->len; i++) {
            which[k]->data[i] ^= 1;
            wrong += judge_at(LIST(B(r1)), LIST(B(r1), B(r2), L(l21)), NOW, &c, &f) == CE_OK && c.added;
            which[k]->data[i] ^= 1;
        }
    ok(wrong == 0, "with any byte of the new root or its link changed, nothing is taken");
}

static void bundles(void)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    struct span got[4];
    size_t n = 9;
    struct fault f;
    cms_certs_only(LIST(B(r1), B(r2), L(l21)), 3, &der);
    ok(cms_certs_read(buf_span(&der), got, 4, &n, &f) == CE_OK && n == 3 && span_eq(got[2], L(l21)), "certs-only PKCS#7 is read as it was written");
    ok(cms_certs_read(buf_span(&der), got, 2, &n, &f) == CE_TOO_LARGE, "more than there is room for");
    ok(cms_certs_read(span_of(der.data, der.len - 1), got, 4, &n, &f) == CE_TRUNCATED, "cut short: %s", f.text);
    buf_put_u8(&der, 0);
    ok(cms_certs_read(buf_span(&der), got, 4, &n, &f) == CE_TRAILING, "a byte after the end: %s", f.text);
    buf_reset(&der);
    cms_certs_only(NULL, 0, &der);
    ok(cms_certs_read(buf_span(&der), got, 4, &n, &f) == CE_OK && n == 0, "no certificates at all");
    ok(cms_certs_read(B(r1), got, 4, &n, &f) != CE_OK, "a certificate is no PKCS#7: %s", f.text);
}

/* -- the device library judges the same bundles ------------------------------------------------------------------------------------------ */
static struct sha256 hash;
static const struct cradle_update_port port = { &hash, port_begin, port_add, port_end, port_verify };

/* want: the root that is taken; empty: none */
static void dev_is(struct span root, const struct span *bundle, int64_t now_s, int code, struct span want, const char *what)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0), body = BUF_INIT(0);
    const uint8_t *next;
    size_t len;
    cms_certs_only(bundle, list_len(bundle), &der);
    buf_put_base64(&body, buf_span(&der), 76);
    int r = cradle_trust_next(&port, root.p, root.n, (char *)body.data, body.len, now_s, &next, &len);
    ok(r == code && (r || (next ? span_eq(span_of(next, len), want) : !want.n)), "device library: %s (%d)", what, r);
}

static void device_library(void)
{
    const struct span none = { NULL, 0 };
    dev_is(B(r1), LIST(B(r1), L(infra)), NOW, CRADLE_OK, none, "the bundle of every day");
    dev_is(B(r1), LIST(L(infra), L(l21), L(l12), B(r1), B(r2)), NOW, CRADLE_OK, B(r2), "a new root with its link");
    dev_is(B(r1), LIST(L(l32), B(r3), L(l21), B(r2)), NOW, CRADLE_OK, B(r3), "two rollovers at once");
    dev_is(B(r1), LIST(L(l32), L(l21), B(r3)), 0, CRADLE_OK, B(r3), "over a root that is not there itself, without a clock");
    dev_is(B(r2), LIST(B(r2), B(r1), L(l12)), NOW, CRADLE_OK, none, "an older root is not taken");
    dev_is(B(r1), LIST(B(r1), B(forged)), NOW, CRADLE_E_MISMATCH, none, "a root without a link");
    dev_is(B(r1), LIST(B(r1), B(r2), L(l2x), B(forged)), NOW, CRADLE_E_MISMATCH, none, "a link by another root of the name");
    dev_is(B(r1), LIST(B(r1), B(r2), L(l21), B(forged)), NOW, CRADLE_E_MISMATCH, none, "one good root and a forged one");
    dev_is(B(r1), LIST(B(r1), B(r2), L(l2end)), NOW, CRADLE_E_MISMATCH, none, "a link that has ended");
    dev_is(B(r1), LIST(B(r1), L(infra), L(selfinfra)), NOW, CRADLE_OK, none, "an issuing CA that makes itself a root is no root of this name");
    dev_is(B(r1), LIST(B(r1), B(other)), NOW, CRADLE_OK, none, "nor is another root");
    unsigned wrong = 0;
    struct buf *const which[] = { &r2.der, &l21 };
    for (size_t k = 0; k < ARRAY_LEN(which); k++)
        for (size_t i = 0; i < which[k]->len; i++) {
            CLEANUP(buf_free) struct buf der = BUF_INIT(0), body = BUF_INIT(0);
            const uint8_t *next;
            size_t len;
            which[k]->data[i] ^= 1;
            cms_certs_only(LIST(B(r1), B(r2), L(l21)), 3, &der);
            buf_put_base64(&body, buf_span(&der), 0);
            wrong += cradle_trust_next(&port, r1.der.data, r1.der.len, (char *)body.data, body.len, NOW, &next, &len) == CRADLE_OK && next;
            which[k]->data[i] ^= 1;
        }
    ok(wrong == 0, "device library: with any byte of the new root or its link changed, nothing is taken");
}

/* As t/fuzz/trust.c reads it: how many roots are in hand, each with a length of two bytes, then the PKCS#7. */
static void corpus(const char *folder, const char *name, const struct span *have, const struct span *bundle)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    buf_put_u8(&out, (uint8_t)list_len(have));
    for (size_t i = 0; have[i].n; i++) {
        buf_put_u16(&out, (uint16_t)have[i].n);
        buf_put_span(&out, have[i]);
    }
    cms_certs_only(bundle, list_len(bundle), &out);
    site_write(folder, name, buf_span(&out), 0644);
}

int main(int argc, char **argv)
{
    all_make();
    taken();
    not_taken();
    tampered();
    bundles();
    device_library();
    if (argc > 1) { /* makes the corpus of the fuzz target */
        corpus(argv[1], "same.bin", LIST(B(r1)), LIST(B(r1), L(infra)));
        corpus(argv[1], "new.bin", LIST(B(r1)), LIST(B(r1), B(r2), L(l21), L(l12)));
        corpus(argv[1], "twice.bin", LIST(B(r1)), LIST(B(r3), L(l32), L(l21), B(r2)));
        corpus(argv[1], "drop.bin", LIST(B(r1), B(r2), B(other)), LIST(B(r2)));
        corpus(argv[1], "forged.bin", LIST(B(r1)), LIST(B(r1), B(r2), L(l2x), B(forged)));
    }
    struct root *const roots[] = { &r1, &r2, &r3, &forged, &other, &brief };
    for (size_t i = 0; i < ARRAY_LEN(roots); i++) {
        ca_close(&roots[i]->ca);
        buf_free(&roots[i]->der);
    }
    struct buf *const bufs[] = { &l21, &l32, &l12, &l2x, &l2o, &l2end, &infra, &selfinfra };
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_free(bufs[i]);
    return done();
}
