/* manifest.c: see manifest.h. */
#include "wire/manifest.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/name.h"
#include "crypt/cert.h"
#include "crypt/pem.h"
#include "wire/tuf_impl.h"

void manifest_write(const struct manifest *m, struct buf *out)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(0);
    struct json_out j = JSON_OUT(out);
    pem_encode("CERTIFICATE", m->certificate, &pem);
    json_obj(&j, NULL);
    json_str(&j, "version", m->version);
    json_str(&j, "firmware", m->firmware);
    json_base64(&j, "signature", m->signature);
    json_str(&j, "certificate", buf_span(&pem));
    json_hex(&j, "sha256", m->sha256);
    json_str(&j, "min_version", m->min_version);
    json_time_s(&j, "release_date", m->release_date_s);
    json_obj_end(&j);
    buf_put_u8(out, '\n');
}

static enum err certificate_read(struct span text, struct arena *a, struct span *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    if (pem_decode(text, "CERTIFICATE", 0, &der) || !der.len)
        return fault_set(f, CE_BAD_METADATA, "manifest: 'certificate' must be a certificate in PEM");
    *out = arena_copy(a, buf_span(&der));
    return CE_OK;
}

static enum err signature_read(struct span text, struct arena *a, struct span *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf sig = BUF_INIT(1024);
    if (base64_decode(text, &sig) || !sig.len)
        return fault_set(f, CE_BAD_METADATA, "manifest: 'signature' must be base64");
    *out = arena_copy(a, buf_span(&sig));
    return CE_OK;
}

enum err manifest_read(struct span json, struct arena *a, struct manifest *out, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    const struct tuf_in in = { .a = a, .f = f };
    struct span text = { 0 };
    int64_t ms = 0;
    *out = (struct manifest){ 0 };
    if (json.n > MANIFEST_MAX)
        return fault_set(f, CE_TOO_LARGE, "manifest: %zu bytes, more than %d", json.n, MANIFEST_MAX);
    enum err e = json_parse(json, &o, f);
    e = e ? e : tuf_text(&in, o, "version", &out->version);
    e = e ? e : tuf_text(&in, o, "firmware", &out->firmware);
    e = e ? e : name_check_label("manifest: 'firmware'", out->firmware, f);
    e = e ? e : tuf_text(&in, o, "signature", &text);
    e = e ? e : signature_read(text, a, &out->signature, f);
    e = e ? e : tuf_text(&in, o, "certificate", &text);
    e = e ? e : certificate_read(text, a, &out->certificate, f);
    e = e ? e : tuf_sha256(&in, o, "sha256", &out->sha256);
    e = e ? e : tuf_text(&in, o, "min_version", &out->min_version);
    e = e ? e : tuf_text(&in, o, "release_date", &text);
    if (!e && clock_parse_ms(text, &ms))
        e = fault_set(f, CE_BAD_METADATA, "manifest: 'release_date' must be a time such as 2027-01-31T00:00:00Z");
    out->release_date_s = ms / 1000;
    return e;
}
