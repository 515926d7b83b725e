/* chain.c: fuzz target of paths of other makers' certificates: leaf, anchor and intermediates, each with a length of two bytes before it (the
 * intermediates are the rest). What is accepted must be accepted by OpenSSL too, at the same time. */
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/log.h"
#include "crypt/chain.h"

static X509 *x509_of(struct span der)
{
    const uint8_t *p = der.p;
    return d2i_X509(NULL, &p, (long)der.n);
}

static void verify_again(X509_STORE *store, X509_STORE_CTX *ctx, X509 *x, X509 *root, const struct chain_anchor *a, int64_t now_s)
{
    STACK_OF(X509) *inters = sk_X509_new_null();
    INVARIANT(X509_STORE_add_cert(store, root));
    for (size_t i = 0; i < a->n_inter; i++) {
        X509 *one = x509_of(a->inter[i].der);
        if (one)
            sk_X509_push(inters, one);
    }
    INVARIANT(X509_STORE_CTX_init(ctx, store, x, inters));
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
    X509_STORE_CTX_set_time(ctx, 0, now_s);
    INVARIANT(X509_verify_cert(ctx) == 1);
    sk_X509_pop_free(inters, X509_free);
}

static void again(const struct cert *leaf, const struct chain_anchor *a, int64_t now_s)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    X509 *x = x509_of(leaf->der), *root = x509_of(a->root.der);
    INVARIANT(x);
    if (root) { /* OpenSSL reads less of what nobody signed: names that are not needed */
        verify_again(store, ctx, x, root, a, now_s);
    }
    X509_free(x);
    X509_free(root);
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
}

static bool piece(struct span *in, struct span *out)
{
    uint8_t hi, lo;
    return span_get_u8(in, &hi) && span_get_u8(in, &lo) && span_get(in, (size_t)(hi << 8 | lo), out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int64_t now_s = 1800000000; /* 2027 */
    struct span in = span_of(data, size), der, root;
    struct chain_anchor a;
    struct cert leaf;
    struct fault f = { .code = CE_OK };
    if (!piece(&in, &der) || !piece(&in, &root))
        return 0;
    enum err e = chain_anchor_read(root, in, &a, &f);
    INVARIANT(e == CE_OK || (f.code == e && f.text[0]));
    if (e || cert_parse(der, &leaf, NULL))
        return 0;
    e = chain_verify(&leaf, &a, NULL, now_s, &f);
    INVARIANT(e == CE_OK || (f.code == e && f.text[0]));
    if (!e)
        again(&leaf, &a, now_s);
    return 0;
}

#include "t/fuzz/replay.h"
