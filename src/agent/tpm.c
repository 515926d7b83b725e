/* tpm.c: see tpm.h. */
#include "agent/tpm.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static struct tss functions;
static char missing[160]; /* why tpm2-tss cannot be used; empty: it can */

#define LIB_tctildr "libtss2-tctildr.so.0"
#define LIB_mu "libtss2-mu.so.0"
#define LIB_esys "libtss2-esys.so.0"
#define LIB_rc "libtss2-rc.so.0"

static void *function_find(const char *lib, const char *name)
{
    void *dl = dlopen(lib, RTLD_NOW | RTLD_LOCAL); /* stays: counted by dlopen, never closed */
    void *f = dl ? dlsym(dl, name) : NULL;
    if (!f && !missing[0])
        snprintf(missing, sizeof missing, "%s", dlerror());
    return f;
}

static void functions_load(void)
{
    setenv("TSS2_LOG", "all+none", 0); /* what is wrong is in our own messages */
#define T(lib, name) *(void **)&functions.name = function_find(LIB_##lib, #name);
#include "agent/tss.def"
#undef T
}

enum err tpm_fail(const struct tpm *t, const char *what, TSS2_RC rc, struct fault *f)
{
    enum err e = CE_CRYPTO;
    if ((rc & TSS2_RC_LAYER_MASK) == TSS2_TCTI_RC_LAYER || (rc & 0xffff) == TSS2_BASE_RC_IO_ERROR)
        e = CE_IO;
    else if (rc == TPM2_RC_LOCKOUT || rc == TPM2_RC_RETRY || rc == TPM2_RC_YIELDED || rc == TPM2_RC_TESTING || rc == TPM2_RC_OBJECT_MEMORY)
        e = CE_BUSY;
    return fault_set(f, e, "the TPM refused to %s: %s (0x%x)", what, t->tss->Tss2_RC_Decode(rc), (unsigned)rc);
}

enum err tpm_open(const char *tcti, struct tpm *t, struct fault *f)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, functions_load);
    *t = (struct tpm){ 0 };
    if (missing[0])
        return fault_set(f, CE_UNSUPPORTED, "a key in a TPM needs tpm2-tss (libtss2-esys, libtss2-tctildr): %s", missing);
    t->tss = &functions;
    TSS2_RC rc = t->tss->Tss2_TctiLdr_Initialize(tcti, &t->tcti);
    if (rc)
        return fault_set(f, CE_IO, "no TPM at tpm_tcti = %s: %s", tcti, t->tss->Tss2_RC_Decode(rc));
    rc = t->tss->Esys_Initialize(&t->esys, t->tcti, NULL);
    if (rc) {
        enum err e = tpm_fail(t, "begin", rc, f);
        tpm_close(t);
        return e;
    }
    return CE_OK;
}

void tpm_close(struct tpm *t)
{
    if (t->esys)
        t->tss->Esys_Finalize(&t->esys);
    if (t->tcti)
        t->tss->Tss2_TctiLdr_Finalize(&t->tcti);
    *t = (struct tpm){ 0 };
}

void tpm_flush(const struct tpm *t, ESYS_TR object)
{
    if (object != TPM_NONE)
        t->tss->Esys_FlushContext(t->esys, object);
}

/* -- templates ------------------------------------------------------------------------------------------------------------------------ */
#define FIXED (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH)

enum err tpm_storage_key(const struct tpm *t, ESYS_TR *out, struct fault *f)
{
    TPM2B_SENSITIVE_CREATE sensitive = { 0 };
    TPM2B_DATA no_data = { 0 };
    TPML_PCR_SELECTION no_pcr = { 0 };
    const TPM2B_PUBLIC template = { .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = FIXED | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .parameters.eccDetail = {
            .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB },
            .scheme.scheme = TPM2_ALG_NULL, .curveID = TPM2_ECC_NIST_P256, .kdf.scheme = TPM2_ALG_NULL,
        },
    } };
    *out = TPM_NONE;
    TSS2_RC rc = t->tss->Esys_CreatePrimary(t->esys, ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template, &no_data, &no_pcr, out,
                                            NULL, NULL, NULL, NULL);
    return rc ? tpm_fail(t, "give the owner's storage key", rc, f) : CE_OK;
}

enum err tpm_key_make(const struct tpm *t, ESYS_TR parent, bool restricted, TPM2B_PUBLIC *pub, TPM2B_PRIVATE *priv, struct fault *f)
{
    TPM2B_SENSITIVE_CREATE sensitive = { 0 };
    TPM2B_DATA no_data = { 0 };
    TPML_PCR_SELECTION no_pcr = { 0 };
    const TPM2B_PUBLIC template = { .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = FIXED | TPMA_OBJECT_NODA | TPMA_OBJECT_SIGN_ENCRYPT | (restricted ? TPMA_OBJECT_RESTRICTED : 0),
        .parameters.eccDetail = {
            .symmetric.algorithm = TPM2_ALG_NULL,
            .scheme = { .scheme = TPM2_ALG_ECDSA, .details.ecdsa.hashAlg = TPM2_ALG_SHA256 },
            .curveID = TPM2_ECC_NIST_P256, .kdf.scheme = TPM2_ALG_NULL,
        },
    } };
    TPM2B_PRIVATE *made_priv = NULL;
    TPM2B_PUBLIC *made_pub = NULL;
    TSS2_RC rc = t->tss->Esys_Create(t->esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template, &no_data, &no_pcr, &made_priv, &made_pub,
                                     NULL, NULL, NULL);
    if (rc)
        return tpm_fail(t, "make a P-256 key", rc, f);
    *pub = *made_pub;
    *priv = *made_priv;
    t->tss->Esys_Free(made_pub);
    t->tss->Esys_Free(made_priv);
    return CE_OK;
}

enum err tpm_key_load(const struct tpm *t, ESYS_TR parent, const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv, ESYS_TR *out, struct fault *f)
{
    *out = TPM_NONE;
    TSS2_RC rc = t->tss->Esys_Load(t->esys, parent, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, priv, pub, out);
    return rc ? tpm_fail(t, "load the key (it belongs to another TPM, or this one was cleared)", rc, f) : CE_OK;
}

/* -- persistent objects --------------------------------------------------------------------------------------------------------------- */
enum err tpm_persistent_open(const struct tpm *t, uint32_t handle, TPM2B_PUBLIC *pub, ESYS_TR *out, struct fault *f)
{
    TPM2B_PUBLIC *found = NULL;
    *out = TPM_NONE;
    TSS2_RC rc = t->tss->Esys_TR_FromTPMPublic(t->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out);
    if ((rc & 0xffff) == (TPM2_RC_HANDLE | TPM2_RC_1) || (rc & 0xffff) == (TPM2_RC_VALUE | TPM2_RC_1))
        return fault_set(f, CE_NOT_FOUND, "the TPM holds nothing at 0x%x", handle);
    rc = rc ? rc : t->tss->Esys_ReadPublic(t->esys, *out, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &found, NULL, NULL);
    if (rc)
        return tpm_fail(t, "open a persistent key", rc, f);
    *pub = *found;
    t->tss->Esys_Free(found);
    return CE_OK;
}

void tpm_persistent_close(const struct tpm *t, ESYS_TR object)
{
    if (object != TPM_NONE)
        t->tss->Esys_TR_Close(t->esys, &object);
}

enum err tpm_persist(const struct tpm *t, ESYS_TR key, uint32_t handle, struct fault *f)
{
    ESYS_TR object = TPM_NONE;
    TSS2_RC rc = t->tss->Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, handle, &object);
    if (rc)
        return tpm_fail(t, "keep the key at its handle", rc, f);
    tpm_persistent_close(t, object);
    return CE_OK;
}

enum err tpm_persistent_remove(const struct tpm *t, uint32_t handle, struct fault *f)
{
    TPM2B_PUBLIC pub;
    ESYS_TR object, gone = TPM_NONE;
    enum err e = tpm_persistent_open(t, handle, &pub, &object, f);
    if (e)
        return e == CE_NOT_FOUND ? CE_OK : e;
    TSS2_RC rc = t->tss->Esys_EvictControl(t->esys, ESYS_TR_RH_OWNER, object, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, handle, &gone);
    return rc ? tpm_fail(t, "destroy the key", rc, f) : CE_OK;
}

/* -- use ------------------------------------------------------------------------------------------------------------------------------ */
static bool number_pad(const TPM2B_ECC_PARAMETER *n, uint8_t out[32])
{
    if (n->size > 32)
        return false;
    memset(out, 0, 32);
    memcpy(out + 32 - n->size, n->buffer, n->size);
    return true;
}

enum err tpm_sign(const struct tpm *t, ESYS_TR key, const uint8_t digest[32], uint8_t sig[64], struct fault *f)
{
    TPM2B_DIGEST d = { .size = 32 };
    const TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_NULL }; /* the key has its own */
    const TPMT_TK_HASHCHECK no_ticket = { .tag = TPM2_ST_HASHCHECK, .hierarchy = TPM2_RH_NULL };
    TPMT_SIGNATURE *s = NULL;
    memcpy(d.buffer, digest, 32);
    TSS2_RC rc = t->tss->Esys_Sign(t->esys, key, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &d, &scheme, &no_ticket, &s);
    if (rc)
        return tpm_fail(t, "sign", rc, f);
    bool good = s->sigAlg == TPM2_ALG_ECDSA && number_pad(&s->signature.ecdsa.signatureR, sig) && number_pad(&s->signature.ecdsa.signatureS, sig + 32);
    t->tss->Esys_Free(s);
    return good ? CE_OK : fault_set(f, CE_CRYPTO, "the TPM gave a signature of another kind than ECDSA P-256");
}

enum err tpm_point(const TPM2B_PUBLIC *pub, uint8_t point[65], struct fault *f)
{
    const TPMT_PUBLIC *p = &pub->publicArea;
    point[0] = 4;
    if (p->type != TPM2_ALG_ECC || p->parameters.eccDetail.curveID != TPM2_ECC_NIST_P256 || !number_pad(&p->unique.ecc.x, point + 1) ||
        !number_pad(&p->unique.ecc.y, point + 33))
        return fault_set(f, CE_KEY_ALG, "the key in the TPM is not on P-256");
    return CE_OK;
}
