/* dsse.c: see dsse.h. */
#include "wire/dsse.h"

#include "base/json.h"
#include "wire/msg.h"

static struct span member_text(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);
    return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v)) : (struct span){ 0 };
}

static enum err member_base64(const json_t *o, const char *name, struct arena *a, struct span *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(DSSE_MAX);
    if (!json_is_string(json_object_get(o, name)))
        return fault_set(f, CE_BAD_ENVELOPE, "DSSE: '%s' must be a string in base64", name);
    enum err e = base64_decode(member_text(o, name), &raw);
    if (e)
        return fault_set(f, CE_BAD_ENVELOPE, "DSSE: '%s' is not base64 (RFC 4648 4)", name);
    *out = arena_copy(a, buf_span(&raw));
    return CE_OK;
}

static enum err sigs_take(const json_t *list, struct arena *a, struct dsse *out, struct fault *f)
{
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > DSSE_SIGS)
        return fault_set(f, CE_BAD_ENVELOPE, "DSSE: 'signatures' must be an array of at most %d", DSSE_SIGS);
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(list, i);
        enum err e = member_base64(one, "sig", a, &out->sigs[i].sig, f);
        if (e)
            return e;
        out->sigs[i].keyid = arena_copy(a, member_text(one, "keyid"));
    }
    out->n_sigs = n;
    return CE_OK;
}

enum err dsse_parse(struct span json, struct arena *a, struct dsse *out, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    *out = (struct dsse){ 0 };
    if (json.n > DSSE_MAX)
        return fault_set(f, CE_TOO_LARGE, "DSSE: an envelope of %zu bytes, more than %u", json.n, DSSE_MAX);
    enum err e = json_parse(json, &o, f);
    if (e)
        return e;
    struct span type = member_text(o, "payloadType");
    if (!json_is_object(o) || !type.n)
        return fault_set(f, CE_BAD_ENVELOPE, "DSSE: an object with 'payloadType', 'payload' and 'signatures' is wanted");
    out->type = arena_copy(a, type);
    e = member_base64(o, "payload", a, &out->payload, f);
    return e ? e : sigs_take(json_object_get(o, "signatures"), a, out, f);
}

void dsse_encode(const struct dsse *d, struct buf *out)
{
    struct json_out j = JSON_OUT(out);
    json_obj(&j, NULL);
    json_str(&j, "payloadType", d->type);
    json_base64(&j, "payload", d->payload);
    json_arr(&j, "signatures");
    for (size_t i = 0; i < d->n_sigs; i++) {
        json_obj(&j, NULL);
        json_str(&j, "keyid", d->sigs[i].keyid);
        json_base64(&j, "sig", d->sigs[i].sig);
        json_obj_end(&j);
    }
    json_arr_end(&j);
    json_obj_end(&j);
}

void dsse_pae(struct span type, struct span payload, struct buf *out)
{
    buf_printf(out, "DSSEv1 %zu ", type.n);
    buf_put_span(out, type);
    buf_printf(out, " %zu ", payload.n);
    buf_put_span(out, payload);
}

enum err dsse_sign(struct dsse *d, struct key *key, struct span keyid, struct arena *a, struct fault *f)
{
    CLEANUP(buf_free) struct buf pae = BUF_INIT(DSSE_MAX), sig = BUF_INIT(16384);
    size_t i = 0;
    while (i < d->n_sigs && !span_eq(d->sigs[i].keyid, keyid))
        i++;
    if (i == DSSE_SIGS)
        return fault_set(f, CE_BAD_ENVELOPE, "DSSE: the envelope has %d signatures already", DSSE_SIGS);
    dsse_pae(d->type, d->payload, &pae);
    enum err e = buf_err(&pae);
    e = e ? e : key_sign(key, buf_span(&pae), &sig);
    if (e)
        return fault_set(f, e, "the key did not sign: %s", err_text(e));
    d->sigs[i] = (struct dsse_sig){ .keyid = keyid, .sig = arena_copy(a, buf_span(&sig)) };
    d->n_sigs += i == d->n_sigs;
    return CE_OK;
}

static enum sig_alg sig_alg_of(enum key_alg alg)
{
    switch (alg) {
    case KEY_EC_P256: return SIG_ECDSA_SHA256;
    case KEY_EC_P384: return SIG_ECDSA_SHA384;
    case KEY_ED25519: return SIG_ED25519;
    case KEY_MLDSA65: return SIG_MLDSA65;
    default: return SIG_NONE;
    }
}

enum err dsse_verify(const struct dsse *d, size_t i, struct span spki)
{
    CLEANUP(buf_free) struct buf pae = BUF_INIT(DSSE_MAX);
    struct spki_info k;
    enum err e = spki_parse(spki, &k, NULL);
    if (e)
        return e;
    if (sig_alg_of(k.alg) == SIG_NONE)
        return CE_KEY_ALG;
    dsse_pae(d->type, d->payload, &pae);
    e = buf_err(&pae);
    return e ? e : spki_verify(spki, sig_alg_of(k.alg), buf_span(&pae), d->sigs[i].sig);
}
