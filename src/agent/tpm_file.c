/* tpm_file.c: see tpm_file.h. */
#include "agent/tpm_file.h"

#include "agent/tpm.h"
#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/pem.h"

#define LABEL "TSS2 PRIVATE KEY"
#define DER_MAX 4096
static const uint8_t oid_loadable[] = { 0x67, 0x81, 0x05, 0x0a, 0x01, 0x03 }; /* 2.23.133.10.1.3 */

void tpm_file_free(struct tpm_file *k)
{
    buf_free(&k->pub);
    buf_free(&k->priv);
}

bool tpm_handle_parse(struct span s, uint32_t *out)
{
    uint32_t v = 0;
    if (s.n != 10 || !span_starts(s, "0x81"))
        return false;
    for (size_t i = 2; i < s.n; i++) {
        int digit = hex_value(s.p[i]);
        if (digit < 0)
            return false;
        v = v << 4 | (uint32_t)digit;
    }
    *out = v;
    return v <= 0x817fffff;
}

void tpm_file_write(const struct tpm_file *k, struct buf *out)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(DER_MAX);
    if (k->handle) {
        buf_printf(out, "handle 0x%08x\n", k->handle);
        return;
    }
    size_t at = der_begin(&der, DER_SEQUENCE);
    der_put(&der, DER_OID, span_of(oid_loadable, sizeof oid_loadable));
    size_t empty = der_begin(&der, DER_CONTEXT_CONS(0));
    der_put_bool(&der, true);
    der_end(&der, empty);
    der_put_small(&der, k->parent);
    der_put(&der, DER_OCTET_STRING, buf_span(&k->pub));
    der_put(&der, DER_OCTET_STRING, buf_span(&k->priv));
    der_end(&der, at);
    if (buf_err(&der))
        out->err = buf_err(&der);
    else
        pem_encode(LABEL, buf_span(&der), out);
}

static enum err der_read(struct span in, struct tpm_file *k, struct fault *f)
{
    struct span seq, oid, tagged, pub, priv;
    int64_t parent = 0;
    bool empty = false;
    enum err e = der_get(&in, DER_SEQUENCE, &seq);
    e = e ? e : der_get_oid(&seq, &oid);
    if (!e && !span_eq(oid, span_of(oid_loadable, sizeof oid_loadable)))
        return fault_set(f, CE_UNSUPPORTED, "the TSS2 PRIVATE KEY is not a loadable one");
    if (!e && der_peek(seq, DER_CONTEXT_CONS(0)) && !(e = der_get(&seq, DER_CONTEXT_CONS(0), &tagged)))
        e = der_get_bool(&tagged, &empty);
    if (!e && !der_peek(seq, DER_INTEGER))
        return fault_set(f, CE_UNSUPPORTED, "the TSS2 PRIVATE KEY has a policy, which this agent cannot satisfy");
    e = e ? e : der_get_small(&seq, &parent);
    e = e ? e : der_get(&seq, DER_OCTET_STRING, &pub);
    e = e ? e : der_get(&seq, DER_OCTET_STRING, &priv);
    if (e || in.n || seq.n)
        return fault_set(f, CE_BAD_DER, "the TSS2 PRIVATE KEY is malformed");
    if (!empty || parent != TPM_SRK_PARENT)
        return fault_set(f, CE_UNSUPPORTED, "the TSS2 PRIVATE KEY has %s", empty ? "another parent than the owner's storage key" : "a password");
    k->parent = (uint32_t)parent;
    buf_put_span(&k->pub, pub);
    buf_put_span(&k->priv, priv);
    return CE_OK;
}

enum err tpm_file_read(struct span text, struct tpm_file *k, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(DER_MAX);
    *k = (struct tpm_file){ .pub = BUF_INIT(DER_MAX), .priv = BUF_INIT(DER_MAX) };
    if (span_starts(text, "handle ")) {
        bool good = tpm_handle_parse(span_trim(span_of(text.p + 7, text.n - 7)), &k->handle);
        return good ? CE_OK : fault_set(f, CE_KEY_INVALID, "it names no persistent handle of a TPM");
    }
    if (pem_decode(text, LABEL, 0, &der))
        return fault_set(f, CE_KEY_INVALID, "it is neither a " LABEL " nor a handle");
    return der_read(buf_span(&der), k, f);
}
