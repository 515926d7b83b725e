/* tpm_attest.c: see tpm_attest.h. */
#include "agent/tpm_attest.h"

#include <jansson.h>
#include <stdlib.h>

#include "agent/key.h"
#include "agent/key_tpm.h"
#include "agent/tpm_ek.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypt/tpm.h"
#include "wire/msg.h"

struct proof { /* what is open while it is made */
    struct tpm tpm;
    struct tpm_ek ek;
    ESYS_TR parent, ak, key;
    bool persistent;
    TPM2B_PUBLIC ak_pub, key_pub;
    TPM2B_ATTEST *attest;     /* owned by ESYS */
    TPMT_SIGNATURE *signature;
};

static void proof_end(struct proof *p)
{
    if (p->tpm.esys) {
        tpm_flush(&p->tpm, p->ak);
        tpm_flush(&p->tpm, p->parent);
        tpm_flush(&p->tpm, p->ek.object);
        if (p->persistent)
            tpm_persistent_close(&p->tpm, p->key);
        else
            tpm_flush(&p->tpm, p->key);
        p->tpm.tss->Esys_Free(p->attest);
        p->tpm.tss->Esys_Free(p->signature);
    }
    buf_free(&p->ek.cert);
    tpm_close(&p->tpm);
}

/* An attestation key of its own for each proof: nothing of it has to be kept. */
static enum err ak_open(struct proof *p, struct fault *f)
{
    TPM2B_PRIVATE priv;
    enum err e = tpm_storage_key(&p->tpm, &p->parent, f);
    e = e ? e : tpm_key_make(&p->tpm, p->parent, true, &p->ak_pub, &priv, f);
    return e ? e : tpm_key_load(&p->tpm, p->parent, &p->ak_pub, &priv, &p->ak, f);
}

static enum err proof_begin(const struct agent_config *cfg, const char *dir, struct proof *p, struct fault *f)
{
    const TPM2B_DATA no_data = { 0 };
    const TPMT_SIG_SCHEME scheme = { .scheme = TPM2_ALG_NULL };
    *p = (struct proof){ .parent = TPM_NONE, .ak = TPM_NONE, .key = TPM_NONE, .ek.object = TPM_NONE };
    enum err e = tpm_open(cfg->tpm_tcti, &p->tpm, f);
    e = e ? e : tpm_ek_open(&p->tpm, &p->ek, f);
    e = e ? e : ak_open(p, f);
    tpm_flush(&p->tpm, e ? TPM_NONE : p->parent);
    if (!e)
        p->parent = TPM_NONE; /* TPMs hold three objects at a time */
    e = e ? e : key_tpm_object(&p->tpm, dir, &p->key, &p->key_pub, &p->persistent, f);
    if (e)
        return e;
    TSS2_RC rc = p->tpm.tss->Esys_Certify(p->tpm.esys, p->key, p->ak, ESYS_TR_PASSWORD, ESYS_TR_PASSWORD, ESYS_TR_NONE, &no_data, &scheme, &p->attest, &p->signature);
    return rc ? tpm_fail(&p->tpm, "certify the device's key", rc, f) : CE_OK;
}

static bool put_public(const struct tpm *t, struct json_out *j, const char *name, const TPM2B_PUBLIC *pub)
{
    uint8_t bytes[sizeof *pub];
    size_t n = 0;
    bool good = t->tss->Tss2_MU_TPM2B_PUBLIC_Marshal(pub, bytes, sizeof bytes, &n) == 0;
    json_base64(j, name, span_of(bytes, n));
    return good;
}

static enum err challenge_body(const struct agent_config *cfg, const struct proof *p, struct buf *out, struct fault *f)
{
    struct json_out j = JSON_OUT(out);
    uint8_t bytes[sizeof *p->signature];
    size_t n = 0;
    json_obj(&j, NULL);
    json_cstr(&j, "uid", cfg->uid);
    bool good = put_public(&p->tpm, &j, "ek", &p->ek.pub) && put_public(&p->tpm, &j, "ak", &p->ak_pub) && put_public(&p->tpm, &j, "key", &p->key_pub) &&
                p->tpm.tss->Tss2_MU_TPMT_SIGNATURE_Marshal(p->signature, bytes, sizeof bytes, &n) == 0;
    json_base64(&j, "attest", span_of(p->attest->attestationData, p->attest->size));
    json_base64(&j, "signature", span_of(bytes, n));
    if (p->ek.cert.len)
        json_base64(&j, "ek_cert", buf_span(&p->ek.cert));
    json_obj_end(&j);
    return good && !buf_err(out) ? CE_OK : fault_set(f, CE_CRYPTO, "tpm2-tss cannot write down what the TPM says");
}

static bool base64_field(const json_t *o, const char *name, struct buf *out)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text && base64_decode(span_str(text), out) == CE_OK;
}

/* The site's challenge, and the answer to it. */
static enum err answer_body(const struct proof *p, struct span challenge, struct buf *out, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    CLEANUP(buf_free) struct buf blob = BUF_INIT(1024), enc = BUF_INIT(1024);
    struct json_out j = JSON_OUT(out);
    uint8_t secret[32];
    enum err e = json_parse(challenge, &o, f);
    const char *id = e ? NULL : json_string_value(json_object_get(o, "id"));
    if (!id || strlen(id) > 64 || !base64_field(o, "credential", &blob) || !base64_field(o, "secret", &enc))
        return e ? e : fault_set(f, CE_BAD_FIELD, "the site's challenge lacks id, credential or secret");
    if ((e = tpm_ek_activate(&p->tpm, &p->ek, p->ak, buf_span(&blob), buf_span(&enc), secret, f)))
        return e;
    json_obj(&j, NULL);
    json_cstr(&j, "id", id);
    json_base64(&j, "secret", span_of(secret, sizeof secret));
    json_obj_end(&j);
    mem_zero(secret, sizeof secret);
    return buf_err(out);
}

enum err tpm_attest(const struct agent_config *cfg, const char *dir, struct net *net, struct fault *f)
{
    CLEANUP(proof_end) struct proof p = { 0 };
    CLEANUP(buf_free) struct buf body = BUF_INIT(16384), answer = BUF_INIT(1024);
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    if (strcmp(key_home(dir), "tpm") != 0)
        return fault_set(f, CE_UNSUPPORTED, "the key does not live in a TPM");
    enum err e = proof_begin(cfg, dir, &p, f);
    e = e ? e : challenge_body(cfg, &p, &body, f);
    e = e ? e : net_json(net, "POST", "/attest/v1/challenge", buf_span(&body), &reply, f);
    e = e ? e : answer_body(&p, buf_span(&reply.body), &answer, f);
    e = e ? e : net_json(net, "POST", "/attest/v1/answer", buf_span(&answer), &reply, f);
    if (!e)
        log_info(0, "the TPM has proved to the site that the key of %s lives in it", cfg->uid);
    return e;
}

enum err tpm_ek(const struct agent_config *cfg, uint8_t sha256_out[32], bool *has_cert, struct fault *f)
{
    CLEANUP(proof_end) struct proof p = { .parent = TPM_NONE, .ak = TPM_NONE, .key = TPM_NONE, .ek.object = TPM_NONE };
    CLEANUP(buf_free) struct buf spki = BUF_INIT(TPM_SPKI_MAX);
    struct tpm_key k;
    uint8_t bytes[sizeof p.ek.pub];
    size_t n = 0;
    enum err e = tpm_open(cfg->tpm_tcti, &p.tpm, f);
    e = e ? e : tpm_ek_open(&p.tpm, &p.ek, f);
    if (!e && p.tpm.tss->Tss2_MU_TPM2B_PUBLIC_Marshal(&p.ek.pub, bytes, sizeof bytes, &n))
        e = fault_set(f, CE_CRYPTO, "tpm2-tss cannot write the endorsement key down");
    e = e ? e : tpm_public_read(span_of(bytes, n), &k, f);
    if (e)
        return e;
    tpm_spki(&k, &spki);
    sha256(buf_span(&spki), sha256_out);
    *has_cert = p.ek.cert.len > 0;
    return CE_OK;
}
