/* badcsr.c: certificate requests that no honest client sends, made with OpenSSL alone: any bytes as the common name, an RSA key of
 * exponent 1 (its "signature" is the padded digest, so the proof of possession holds for everybody), a signature by another key.
 * usage: badcsr ec|ec:CURVE|rsa:BITS|rsa-e1|wrong-pop <COMMON-NAME >CSR.der
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(x) do { if (!(x)) { fprintf(stderr, "badcsr: failed: %s\n", #x); exit(1); } } while (0)

static EVP_PKEY *rsa_exponent_one(void)
{
    EVP_PKEY *base = EVP_RSA_gen(2048), *out = NULL;
    BIGNUM *n = NULL, *one = BN_new();
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *pc = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    MUST(base && one && bld && pc && EVP_PKEY_get_bn_param(base, OSSL_PKEY_PARAM_RSA_N, &n) && BN_one(one));
    MUST(OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n) && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, one));
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    MUST(params && EVP_PKEY_fromdata_init(pc) == 1 && EVP_PKEY_fromdata(pc, &out, EVP_PKEY_PUBLIC_KEY, params) == 1);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX_free(pc);
    EVP_PKEY_free(base);
    BN_free(n);
    BN_free(one);
    return out;
}

static EVP_PKEY *key_make(const char *kind)
{
    if (!strcmp(kind, "rsa-e1"))
        return rsa_exponent_one();
    if (!strncmp(kind, "rsa:", 4))
        return EVP_RSA_gen((size_t)atoi(kind + 4));
    return EVP_EC_gen(strncmp(kind, "ec:", 3) ? "P-256" : kind + 3);
}

/* EMSA-PKCS1-v1_5 (RFC 8017 9.2) of the request's digest: what an RSA signature with exponent 1 is. */
static void sign_exponent_one(X509_REQ *req)
{
    static const unsigned char info[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
    unsigned char em[256], digest[32], *tbs = NULL;
    X509_ALGOR *alg = X509_ALGOR_new();
    ASN1_BIT_STRING *sig = ASN1_BIT_STRING_new();
    MUST(alg && sig && X509_ALGOR_set0(alg, OBJ_nid2obj(NID_sha256WithRSAEncryption), V_ASN1_NULL, NULL) && X509_REQ_set1_signature_algo(req, alg));
    int n = i2d_re_X509_REQ_tbs(req, &tbs);
    MUST(n > 0 && EVP_Digest(tbs, (size_t)n, digest, NULL, EVP_sha256(), NULL) == 1);
    memset(em, 0xff, sizeof em);
    em[0] = 0;
    em[1] = 1;
    memcpy(em + sizeof em - 32, digest, 32);
    memcpy(em + sizeof em - 32 - sizeof info, info, sizeof info);
    em[sizeof em - 33 - sizeof info] = 0;
    MUST(ASN1_BIT_STRING_set(sig, em, sizeof em));
    sig->flags = ASN1_STRING_FLAG_BITS_LEFT; /* all bits count */
    X509_REQ_set0_signature(req, sig);
    X509_ALGOR_free(alg);
    OPENSSL_free(tbs);
}

int main(int argc, char **argv)
{
    unsigned char cn[4096], *der = NULL;
    size_t len = fread(cn, 1, sizeof cn, stdin);
    if (argc != 2) {
        fputs("usage: badcsr ec|ec:CURVE|rsa:BITS|rsa-e1|wrong-pop <COMMON-NAME >CSR.der\n", stderr);
        return 2;
    }
    EVP_PKEY *key = key_make(argv[1]), *other = EVP_EC_gen("P-256");
    X509_REQ *req = X509_REQ_new();
    X509_NAME *name = X509_NAME_new();
    MUST(key && other && req && name);
    /* the entry is made from an empty text, then its bytes are put in: no library may judge them */
    MUST(X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, (const unsigned char *)"x", 1, -1, 0));
    MUST(ASN1_STRING_set(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, 0)), cn, (int)len));
    MUST(X509_REQ_set_version(req, 0) && X509_REQ_set_subject_name(req, name) && X509_REQ_set_pubkey(req, key));
    if (!strcmp(argv[1], "rsa-e1"))
        sign_exponent_one(req);
    else
        MUST(X509_REQ_sign(req, strcmp(argv[1], "wrong-pop") ? key : other, EVP_sha256()) > 0);
    int n = i2d_X509_REQ(req, &der);
    MUST(n > 0 && fwrite(der, 1, (size_t)n, stdout) == (size_t)n);
    OPENSSL_free(der);
    X509_NAME_free(name);
    X509_REQ_free(req);
    EVP_PKEY_free(other);
    EVP_PKEY_free(key);
    return 0;
}
