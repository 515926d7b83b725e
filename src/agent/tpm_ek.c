/* tpm_ek.c: see tpm_ek.h. */
#include "agent/tpm_ek.h"

#include "base/mem.h"

#define EK_CERT_MAX 4096
enum { NV_RSA_CERT = 0x01c00002, NV_P256_CERT = 0x01c0000a };

/* PolicySecret of the endorsement hierarchy, SHA-256: the policy of the templates L-1 and L-2 */
static const uint8_t ek_policy[32] = { 0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
                                       0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa };
#define EK_ATTRIBUTES (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)

/* CE_NOT_FOUND: there is no such index. */
static enum err nv_read(const struct tpm *t, uint32_t index, struct buf *out, struct fault *f)
{
    ESYS_TR nv = TPM_NONE;
    TPM2B_NV_PUBLIC *info = NULL;
    if (t->tss->Esys_TR_FromTPMPublic(t->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &nv))
        return fault_set(f, CE_NOT_FOUND, "the TPM has no index 0x%x", index);
    TSS2_RC rc = t->tss->Esys_NV_ReadPublic(t->esys, nv, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &info, NULL);
    unsigned size = rc ? 0 : info->nvPublic.dataSize;
    t->tss->Esys_Free(info);
    for (unsigned at = 0; !rc && at < size && size <= EK_CERT_MAX;) {
        TPM2B_MAX_NV_BUFFER *part = NULL;
        unsigned n = size - at < 512 ? size - at : 512;
        rc = t->tss->Esys_NV_Read(t->esys, nv, nv, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, (UINT16)n, (UINT16)at, &part);
        if (!rc)
            buf_put(out, part->buffer, part->size);
        at += n;
        t->tss->Esys_Free(part);
    }
    t->tss->Esys_TR_Close(t->esys, &nv);
    return rc ? tpm_fail(t, "give the certificate of its endorsement key", rc, f) : buf_err(out);
}

/* Indexes may be longer than the certificate in them. */
static void cert_trim(struct buf *b)
{
    if (b->len < 4 || b->data[0] != 0x30 || b->data[1] != 0x82 || 4u + b->data[2] * 256u + b->data[3] > b->len)
        buf_reset(b);
    else
        b->len = 4u + b->data[2] * 256u + b->data[3];
}

static void template_make(bool rsa, TPM2B_PUBLIC *out)
{
    const TPMT_SYM_DEF_OBJECT aes = { .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB };
    *out = (TPM2B_PUBLIC){ .publicArea = { .type = rsa ? TPM2_ALG_RSA : TPM2_ALG_ECC, .nameAlg = TPM2_ALG_SHA256, .objectAttributes = EK_ATTRIBUTES,
                                           .authPolicy = { .size = sizeof ek_policy } } };
    memcpy(out->publicArea.authPolicy.buffer, ek_policy, sizeof ek_policy);
    if (rsa) {
        out->publicArea.parameters.rsaDetail = (TPMS_RSA_PARMS){ .symmetric = aes, .scheme.scheme = TPM2_ALG_NULL, .keyBits = 2048 };
        out->publicArea.unique.rsa.size = 256;
    } else {
        out->publicArea.parameters.eccDetail =
            (TPMS_ECC_PARMS){ .symmetric = aes, .scheme.scheme = TPM2_ALG_NULL, .curveID = TPM2_ECC_NIST_P256, .kdf.scheme = TPM2_ALG_NULL };
        out->publicArea.unique.ecc.x.size = out->publicArea.unique.ecc.y.size = 32;
    }
}

enum err tpm_ek_open(const struct tpm *t, struct tpm_ek *ek, struct fault *f)
{
    TPM2B_SENSITIVE_CREATE sensitive = { 0 };
    TPM2B_DATA no_data = { 0 };
    TPML_PCR_SELECTION no_pcr = { 0 };
    TPM2B_PUBLIC template, *pub = NULL;
    bool rsa = false;
    *ek = (struct tpm_ek){ .object = TPM_NONE, .cert = BUF_INIT(EK_CERT_MAX) };
    if (nv_read(t, NV_P256_CERT, &ek->cert, f)) {
        buf_reset(&ek->cert);
        rsa = nv_read(t, NV_RSA_CERT, &ek->cert, f) == CE_OK;
    }
    cert_trim(&ek->cert);
    template_make(rsa, &template);
    TSS2_RC rc = t->tss->Esys_CreatePrimary(t->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &template, &no_data, &no_pcr,
                                            &ek->object, &pub, NULL, NULL, NULL);
    if (rc) {
        buf_free(&ek->cert);
        ek->object = TPM_NONE;
        return tpm_fail(t, "give its endorsement key", rc, f);
    }
    ek->pub = *pub;
    t->tss->Esys_Free(pub);
    return CE_OK;
}

enum err tpm_ek_activate(const struct tpm *t, const struct tpm_ek *ek, ESYS_TR ak, struct span blob, struct span enc, uint8_t secret[32], struct fault *f)
{
    TPM2B_ID_OBJECT id = { 0 };
    TPM2B_ENCRYPTED_SECRET seed = { 0 };
    TPMT_SYM_DEF no_symmetric = { .algorithm = TPM2_ALG_NULL };
    TPM2B_DIGEST *got = NULL;
    ESYS_TR session = TPM_NONE;
    if (blob.n < 2 || enc.n < 2 || blob.n - 2 > sizeof id.credential || enc.n - 2 > sizeof seed.secret)
        return fault_set(f, CE_BAD_INPUT, "the site's credential is malformed");
    id.size = (UINT16)(blob.n - 2);
    seed.size = (UINT16)(enc.n - 2);
    memcpy(id.credential, blob.p + 2, blob.n - 2);
    memcpy(seed.secret, enc.p + 2, enc.n - 2);
    TSS2_RC rc = t->tss->Esys_StartAuthSession(t->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL, TPM2_SE_POLICY, &no_symmetric, TPM2_ALG_SHA256, &session);
    rc = rc ? rc : t->tss->Esys_PolicySecret(t->esys, ESYS_TR_RH_ENDORSEMENT, session, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL);
    rc = rc ? rc : t->tss->Esys_ActivateCredential(t->esys, ak, ek->object, ESYS_TR_PASSWORD, session, ESYS_TR_NONE, &id, &seed, &got);
    if (session != TPM_NONE)
        t->tss->Esys_FlushContext(t->esys, session);
    if (rc)
        return tpm_fail(t, "open the site's credential", rc, f);
    bool good = got->size == 32;
    memcpy(secret, got->buffer, 32);
    mem_zero(got, sizeof *got);
    t->tss->Esys_Free(got);
    return good ? CE_OK : fault_set(f, CE_BAD_INPUT, "the site's credential holds another secret than one of 32 bytes");
}
