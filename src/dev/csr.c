/* csr.c: a PKCS#10 request (RFC 2986) for a P-256 key, made from constant parts and one signature. See cradle/dev.h. */
#include <string.h>

#include "der.h"

static const uint8_t oid_cn[] = { 0x55, 0x04, 0x03 };
static const uint8_t oid_serial[] = { 0x55, 0x04, 0x05 };
static const uint8_t oid_extension_request[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x0e };
static const uint8_t oid_san[] = { 0x55, 0x1d, 0x11 };
/* SEQUENCE { id-ecPublicKey, prime256v1 }, then BIT STRING of 66 bytes without its point */
static const uint8_t spki_head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
                                     0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };
/* AlgorithmIdentifier ecdsa-with-SHA256 (RFC 5758 3.2: parameters absent) */
static const uint8_t alg_ecdsa_sha256[] = { 0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02 };

static int name_ok(const char *s, size_t max, const char *extra)
{
    size_t n = strlen(s);
    if (n == 0 || n > max)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        int alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || !strchr(extra, c)))
            return 0;
    }
    return 1;
}

static void put_rdn(struct der_out *o, const uint8_t oid[3], uint8_t string_tag, const char *value)
{
    size_t end = o->at;
    der_put_tlv(o, string_tag, value, strlen(value));
    der_put_tlv(o, 0x06, oid, 3);
    der_wrap(o, 0x30, end);
    der_wrap(o, 0x31, end);
}

static void put_attributes(struct der_out *o, const char *san_uri)
{
    size_t end = o->at;
    if (san_uri) {
        size_t inner = o->at;
        der_put_tlv(o, 0x86, san_uri, strlen(san_uri));
        der_wrap(o, 0x30, inner); /* GeneralNames */
        der_wrap(o, 0x04, inner);
        der_put_tlv(o, 0x06, oid_san, sizeof oid_san);
        der_wrap(o, 0x30, inner); /* Extension */
        der_wrap(o, 0x30, inner); /* Extensions */
        der_wrap(o, 0x31, inner);
        der_put_tlv(o, 0x06, oid_extension_request, sizeof oid_extension_request);
        der_wrap(o, 0x30, inner);
    }
    der_wrap(o, 0xa0, end);
}

static void put_info(struct der_out *o, const struct cradle_port *port, const struct cradle_name *name)
{
    static const uint8_t version[] = { 0x02, 0x01, 0x00 };
    size_t end = o->at;
    put_attributes(o, name->san_uri);
    der_add(o, port->point, CRADLE_POINT_LEN);
    der_add(o, spki_head, sizeof spki_head);
    size_t subject = o->at;
    if (name->serial)
        put_rdn(o, oid_serial, 0x13, name->serial);
    put_rdn(o, oid_cn, 0x0c, name->uid);
    der_wrap(o, 0x30, subject);
    der_add(o, version, sizeof version);
    der_wrap(o, 0x30, end);
}

int cradle_csr_make(const struct cradle_port *port, const struct cradle_name *name, uint8_t *out, size_t *len)
{
    uint8_t info[CRADLE_CSR_MAX], digest[32], sig[CRADLE_SIG_MAX + 1];
    size_t sig_len = CRADLE_SIG_MAX;
    struct der_out o = { .base = info, .at = sizeof info };
    if (!name_ok(name->uid, CRADLE_UID_MAX, "._-:") || (name->serial && !name_ok(name->serial, 64, " '()+,-./:=?")) ||
        (name->san_uri && (strlen(name->san_uri) == 0 || strlen(name->san_uri) > 255)))
        return CRADLE_E_NAME;
    put_info(&o, port, name);
    if (o.full)
        return CRADLE_E_SPACE;
    if (port->sha256(port->ctx, info + o.at, sizeof info - o.at, digest) || port->sign(port->ctx, digest, sig + 1, &sig_len) ||
        sig_len > CRADLE_SIG_MAX)
        return CRADLE_E_SIGN;
    sig[0] = 0; /* no unused bits */

    struct der_out csr = { .base = out, .at = *len };
    der_put_tlv(&csr, 0x03, sig, sig_len + 1);
    der_add(&csr, alg_ecdsa_sha256, sizeof alg_ecdsa_sha256);
    der_add(&csr, info + o.at, sizeof info - o.at);
    der_wrap(&csr, 0x30, *len);
    if (csr.full)
        return CRADLE_E_SPACE;
    size_t n = *len - csr.at;
    memmove(out, out + csr.at, n);
    *len = n;
    return CRADLE_OK;
}
