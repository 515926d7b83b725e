/* est.c: the two bodies of EST that a device makes and reads (RFC 7030 4.2, RFC 8951). No HTTP. See cradle/dev.h. */
#include "est.h"

#include "base64.h"

int cradle_est_body(const uint8_t *csr, size_t n, char *out, size_t *len)
{
    size_t need = (n + 2) / 3 * 4, at = 0;
    if (need > *len)
        return CRADLE_E_SPACE;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t w = (uint32_t)csr[i] << 16 | (i + 1 < n ? (uint32_t)csr[i + 1] << 8 : 0) | (i + 2 < n ? csr[i + 2] : 0);
        out[at++] = base64_digits[w >> 18];
        out[at++] = base64_digits[w >> 12 & 63];
        out[at++] = i + 1 < n ? base64_digits[w >> 6 & 63] : '=';
        out[at++] = i + 2 < n ? base64_digits[w & 63] : '=';
    }
    *len = at;
    return CRADLE_OK;
}

int est_certs(char *body, size_t n, struct der_in *certs)
{
    static const uint8_t oid_signed_data[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02 };
    struct der_in in, content, oid, wrapped, data, part;
    size_t bytes;
    if (base64_in_place(body, n, &bytes))
        return CRADLE_E_INPUT;
    in = (struct der_in){ (const uint8_t *)body, bytes };
    /* ContentInfo { signedData, [0] SignedData { version, digestAlgorithms, encapContentInfo, [0] certificates … } } RFC 5652 */
    if (!der_take(&in, 0x30, &content) || !der_take(&content, 0x06, &oid) || !der_is(&oid, oid_signed_data, sizeof oid_signed_data) ||
        !der_take(&content, 0xa0, &wrapped) || !der_take(&wrapped, 0x30, &data) || !der_take(&data, 0x02, &part) ||
        !der_take(&data, 0x31, &part) || !der_take(&data, 0x30, &part) || !der_take(&data, 0xa0, certs))
        return CRADLE_E_INPUT;
    return CRADLE_OK;
}

int cradle_est_answer(char *body, size_t n, const uint8_t **der, size_t *der_len)
{
    struct der_in certs, part;
    if (est_certs(body, n, &certs))
        return CRADLE_E_INPUT;
    const uint8_t *first = certs.p;
    if (!der_take(&certs, 0x30, &part))
        return CRADLE_E_INPUT;
    *der = first;
    *der_len = (size_t)(part.p + part.n - first);
    return CRADLE_OK;
}
