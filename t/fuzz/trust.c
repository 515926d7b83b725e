/* trust.c: fuzz target of bundles of CA certificates (EST /cacerts): how many roots are in hand (a byte), each with a length of two bytes before it, then PKCS#7. For a
 * root that is taken, by the agent's rules or the device library's, OpenSSL must find a path from a certificate of its key in the bundle to a root in hand. */
#define OPENSSL_SUPPRESS_DEPRECATED /* EC_KEY: the shortest way to a point */
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/log.h"
#include "base/mem.h"
#include "cradle/trust.h"
#include "crypt/hash.h"
#include "crypt/trust.h"
#include "wire/cms.h"
#include "t/unit/dev_port.h"

#define NOW INT64_C(1800000000) /* 2027 */

static X509 *x509_of(struct span der)
{
    const uint8_t *p = der.p;
    return d2i_X509(NULL, &p, (long)der.n);
}

static bool leads(X509_STORE *store, STACK_OF(X509) *all, X509 *link)
{
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    INVARIANT(ctx && X509_STORE_CTX_init(ctx, store, link, all));
    X509_STORE_CTX_set_time(ctx, 0, NOW);
    bool good = X509_verify_cert(ctx) == 1;
    X509_STORE_CTX_free(ctx);
    return good;
}

static void again(const struct trust *have, const struct span *certs, size_t n, const struct cert *root)
{
    X509_STORE *store = X509_STORE_new();
    STACK_OF(X509) *all = sk_X509_new_null();
    bool good = false;
    for (size_t i = 0; i < have->n; i++) {
        X509 *x = x509_of(have->root[i].der);
        if (x)
            X509_STORE_add_cert(store, x);
        X509_free(x);
        good = good || span_eq(have->root[i].spki, root->spki); /* the same key again: nothing to prove */
    }
    for (size_t i = 0; i < n; i++) {
        X509 *x = x509_of(certs[i]);
        if (x)
            sk_X509_push(all, x);
    }
    X509 *want = x509_of(root->der);
    for (int i = 0; want && !good && i < sk_X509_num(all); i++) {
        X509 *one = sk_X509_value(all, i);
        good = X509_PUBKEY_eq(X509_get_X509_PUBKEY(one), X509_get_X509_PUBKEY(want)) == 1 && X509_cmp(one, want) != 0 && leads(store, all, one);
    }
    INVARIANT(!want || good);
    X509_free(want);
    sk_X509_pop_free(all, X509_free);
    X509_STORE_free(store);
}

static bool in(const struct trust *t, const struct cert *c)
{
    for (size_t i = 0; i < t->n; i++)
        if (span_eq(t->root[i].der, c->der))
            return true;
    return false;
}

/* The device library reads less of certificates than crypt/cert.h; whatever it takes and that reads must have a path. */
static void device_library(struct span root, struct span p7)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct sha256 hash;
    const struct cradle_update_port port = { &hash, port_begin, port_add, port_end, port_verify };
    struct span certs[TRUST_CERTS_MAX];
    struct trust have;
    struct cert c;
    const uint8_t *next;
    size_t len, n;
    buf_put_base64(&body, p7, 76);
    int r = cradle_trust_next(&port, root.p, root.n, (char *)body.data, body.len, NOW, &next, &len);
    if (r || !next || cms_certs_read(p7, certs, TRUST_CERTS_MAX, &n, NULL) || cert_parse(span_of(next, len), &c, NULL) || trust_read(&root, 1, &have, NULL) || !have.n)
        return; /* the root in hand is the device's own: it is not verified again there */
    again(&have, certs, n, &c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size), hand[4], certs[TRUST_CERTS_MAX];
    struct fault f = { .code = CE_OK };
    struct trust_change change;
    struct trust have;
    uint8_t count;
    size_t n;
    if (!span_get_u8(&rest, &count) || count > ARRAY_LEN(hand))
        return 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t len;
        if (!span_get_u16(&rest, &len) || !span_get(&rest, len, &hand[i]))
            return 0;
    }
    if (count)
        device_library(hand[0], rest);
    if (cms_certs_read(rest, certs, TRUST_CERTS_MAX, &n, &f) || trust_read(hand, count, &have, &f))
        return 0;
    enum err e = trust_judge(&have, certs, n, NOW, &change, &f);
    INVARIANT(e == CE_OK || (f.code == e && f.text[0]));
    if (e)
        return 0;
    INVARIANT(change.now.n > 0 && change.now.n <= change.kept.n && change.now.n + change.dropped == change.kept.n);
    for (size_t i = 0; i < change.now.n; i++) {
        INVARIANT(in(&change.kept, &change.now.root[i]));
        if (!in(&have, &change.now.root[i]))
            again(&have, certs, n, &change.now.root[i]);
    }
    return 0;
}

#include "t/fuzz/replay.h"
