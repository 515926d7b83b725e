/* sigstore.c: see sigstore.h. */
#include "wire/sigstore.h"

#include "base/json.h"
#include "crypt/hash.h"
#include "wire/tuf_impl.h"

#define MEDIA_TYPE "application/vnd.dev.sigstore.bundle.v0.3+json"
#define DIGEST_ALG "SHA2_256"

static void envelope_put(struct json_out *j, const struct dsse *d)
{
    json_obj(j, "dsseEnvelope");
    json_base64(j, "payload", d->payload);
    json_str(j, "payloadType", d->type);
    json_arr(j, "signatures");
    json_obj(j, NULL);
    json_base64(j, "sig", d->sigs[0].sig);
    json_cstr(j, "keyid", "");
    json_obj_end(j);
    json_arr_end(j);
    json_obj_end(j);
}

void sigstore_write(const struct sigstore *s, struct span spki, struct buf *out)
{
    uint8_t hint[SHA256_LEN];
    struct json_out j = JSON_OUT(out);
    sha256(spki, hint);
    json_obj(&j, NULL);
    json_cstr(&j, "mediaType", MEDIA_TYPE);
    json_obj(&j, "verificationMaterial");
    json_obj(&j, "publicKey");
    json_base64(&j, "hint", span_of(hint, sizeof hint)); /* as cosign writes it */
    json_obj_end(&j);
    json_arr(&j, "tlogEntries");
    json_arr_end(&j);
    json_obj_end(&j);
    if (s->has_envelope) {
        envelope_put(&j, &s->envelope);
    } else {
        json_obj(&j, "messageSignature");
        json_obj(&j, "messageDigest");
        json_cstr(&j, "algorithm", DIGEST_ALG);
        json_base64(&j, "digest", s->sha256);
        json_obj_end(&j);
        json_base64(&j, "signature", s->sig);
        json_obj_end(&j);
    }
    json_obj_end(&j);
    buf_put_u8(out, '\n');
}

static enum err bytes_read(const struct tuf_in *in, const json_t *o, const char *name, struct span *out)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(4096);
    struct span text = { 0 };
    if (tuf_text(in, o, name, &text) || base64_decode(text, &raw))
        return fault_set(in->f, CE_BAD_ENVELOPE, "sigstore: '%s' must be base64", name);
    *out = arena_copy(in->a, buf_span(&raw));
    return CE_OK;
}

static enum err message_read(const struct tuf_in *in, const json_t *o, struct sigstore *out)
{
    const json_t *digest = json_object_get(o, "messageDigest"), *alg = json_object_get(digest, "algorithm");
    if (!json_is_string(alg) || strcmp(json_string_value(alg), DIGEST_ALG) != 0)
        return fault_set(in->f, CE_BAD_ENVELOPE, "sigstore: a digest by " DIGEST_ALG " is wanted");
    enum err e = bytes_read(in, digest, "digest", &out->sha256);
    if (!e && out->sha256.n != SHA256_LEN)
        e = fault_set(in->f, CE_BAD_ENVELOPE, "sigstore: a SHA-256 has %d bytes, not %zu", SHA256_LEN, out->sha256.n);
    return e ? e : bytes_read(in, o, "signature", &out->sig);
}

static enum err envelope_read(const struct tuf_in *in, const json_t *o, struct sigstore *out)
{
    CLEANUP(mem_free_p) char *text = json_dumps(o, JSON_COMPACT);
    enum err e = text ? dsse_parse(span_str(text), in->a, &out->envelope, in->f) : fault_set(in->f, CE_BAD_ENVELOPE, "sigstore: 'dsseEnvelope' cannot be read");
    if (!e && out->envelope.n_sigs != 1)
        e = fault_set(in->f, CE_BAD_ENVELOPE, "sigstore: an envelope with exactly one signature is wanted");
    return e;
}

enum err sigstore_read(struct span json, struct arena *a, struct sigstore *out, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    const struct tuf_in in = { .a = a, .f = f };
    struct span type = { 0 };
    *out = (struct sigstore){ 0 };
    if (json.n > DSSE_MAX)
        return fault_set(f, CE_TOO_LARGE, "sigstore: a bundle of %zu bytes, more than %u", json.n, DSSE_MAX);
    enum err e = json_parse(json, &o, f);
    if (e)
        return e;
    if (tuf_text(&in, o, "mediaType", &type) || !span_eq_str(type, MEDIA_TYPE))
        return fault_set(f, CE_BAD_ENVELOPE, "sigstore: a bundle of the type " MEDIA_TYPE " is wanted");
    const json_t *message = json_object_get(o, "messageSignature"), *envelope = json_object_get(o, "dsseEnvelope");
    if (json_is_object(message) == json_is_object(envelope))
        return fault_set(f, CE_BAD_ENVELOPE, "sigstore: either 'messageSignature' or 'dsseEnvelope' is wanted");
    out->has_envelope = json_is_object(envelope);
    return out->has_envelope ? envelope_read(&in, envelope, out) : message_read(&in, message, out);
}
