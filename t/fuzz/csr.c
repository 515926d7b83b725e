/* csr.c: fuzz target of PKCS#10 reading; what is accepted must be sound enough to verify and to judge, and OpenSSL, which reads requests in its own way,
 * must see the same request: the same key, the same name, the same verdict about the signature.
 */
#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/log.h"
#include "crypt/csr.h"
#include "crypt/key_gate.h"

static void same_name(X509_REQ *x, const struct csr *r)
{
    X509_NAME *subject = X509_REQ_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    INVARIANT(at >= 0 && X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0);
    unsigned char *text = NULL;
    int n = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    INVARIANT(n >= 0 && span_eq(r->cn, span_of(text, (size_t)n)));
    OPENSSL_free(text);
}

static void same_key(X509_REQ *x, const struct csr *r)
{
    unsigned char *der = NULL;
    int n = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(x), &der);
    INVARIANT(n > 0 && span_eq(r->spki, span_of(der, (size_t)n)));
    OPENSSL_free(der);
}

/* verdict: ours */
static void same_verdict(X509_REQ *x, enum err verdict)
{
    EVP_PKEY *key = X509_REQ_get0_pubkey(x);
    int theirs = key ? X509_REQ_verify(x, key) : -1;
    ERR_clear_error();
    if (verdict == CE_OK)
        INVARIANT(theirs == 1);
    if (verdict == CE_CSR_POP)
        INVARIANT(theirs != 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct csr r;
    struct fault f = { .code = CE_OK };
    struct spki_info k;
    enum err e = csr_parse(span_of(data, size), &r, &f);
    if (e) {
        INVARIANT(f.code == e && f.text[0]);
        return 0;
    }
    INVARIANT(r.cn.n >= 1 && r.cn.n <= 64 && span_is_utf8(r.cn) && !memchr(r.cn.p, 0, r.cn.n));
    INVARIANT(r.spki.p >= data && r.spki.p + r.spki.n <= data + size);
    (void)!key_gate(r.spki, NULL, &k, NULL);
    const unsigned char *p = data;
    X509_REQ *x = d2i_X509_REQ(NULL, &p, (long)size);
    INVARIANT(x && p == data + size);
    same_name(x, &r);
    same_key(x, &r);
    same_verdict(x, csr_verify(&r, NULL));
    X509_REQ_free(x);
    return 0;
}

#include "t/fuzz/replay.h"
