/* cert.c: reads what a device must know of its own certificate (RFC 5280). It verifies no signature. See cradle/dev.h. */
#include <string.h>

#include "calendar.h"
#include "der.h"

static const uint8_t oid_cn[] = { 0x55, 0x04, 0x03 };
static const uint8_t oid_aki[] = { 0x55, 0x1d, 0x23 };
static const uint8_t alg_p256[] = { 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
                                    0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };

/* UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 restricts them: seconds present, Z. */
static bool time_read(struct der_in *in, int64_t *out_s)
{
    struct der_in t;
    uint8_t tag;
    int v[7], n = 0;
    if (!der_next(in, &tag, &t) || !((tag == 0x17 && t.n == 13) || (tag == 0x18 && t.n == 15)) || t.p[t.n - 1] != 'Z')
        return false;
    for (size_t i = 0; i + 1 < t.n; i += 2)
        if ((v[n++] = calendar_two(t.p + i)) < 0)
            return false;
    int year = tag == 0x18 ? v[0] * 100 + v[1] : v[0] < 50 ? 2000 + v[0] : 1900 + v[0];
    const int *rest = v + (tag == 0x18 ? 2 : 1);
    return calendar_s(year, rest[0], rest[1], rest[2], rest[3], rest[4], out_s) == 0;
}

static bool subject_read(struct der_in subject, struct cradle_cert *out)
{
    struct der_in set, atv, oid, value;
    uint8_t tag;
    while (subject.n) {
        if (!der_take(&subject, 0x31, &set) || !der_take(&set, 0x30, &atv) || !der_take(&atv, 0x06, &oid) || !der_next(&atv, &tag, &value))
            return false;
        if (der_is(&oid, oid_cn, sizeof oid_cn)) {
            out->cn = (const char *)value.p;
            out->cn_len = value.n;
        }
    }
    return true;
}

static bool spki_read(struct der_in spki, struct cradle_cert *out)
{
    struct der_in alg, bits;
    if (!der_take(&spki, 0x30, &alg) || !der_take(&spki, 0x03, &bits) || bits.n < 1)
        return false;
    if (der_is(&alg, alg_p256, sizeof alg_p256) && bits.n == 1 + CRADLE_POINT_LEN && bits.p[0] == 0 && bits.p[1] == 4)
        out->point = bits.p + 1;
    return true;
}

static bool extensions_read(struct der_in wrapper, struct cradle_cert *out)
{
    struct der_in list, ext, oid, critical, value, aki, id;
    if (!der_take(&wrapper, 0x30, &list))
        return false;
    while (list.n) {
        if (!der_take(&list, 0x30, &ext) || !der_take(&ext, 0x06, &oid))
            return false;
        (void)der_take(&ext, 0x01, &critical);
        if (!der_take(&ext, 0x04, &value))
            return false;
        if (der_is(&oid, oid_aki, sizeof oid_aki) && der_take(&value, 0x30, &aki) && der_take(&aki, 0x80, &id)) {
            out->aki = id.p;
            out->aki_len = id.n;
        }
    }
    return true;
}

int cradle_cert_read(const uint8_t *der, size_t n, struct cradle_cert *out)
{
    struct der_in in = { der, n }, cert, tbs, part, validity;
    uint8_t tag;
    memset(out, 0, sizeof *out);
    if (!der_take(&in, 0x30, &cert) || in.n || !der_take(&cert, 0x30, &tbs))
        return CRADLE_E_INPUT;
    if (!der_take(&tbs, 0xa0, &part) || !der_take(&tbs, 0x02, &part) || part.n == 0)
        return CRADLE_E_INPUT;
    while (part.n > 1 && part.p[0] == 0)
        part.p++, part.n--;
    out->serial = part.p;
    out->serial_len = part.n;
    if (!der_take(&tbs, 0x30, &part) || !der_take(&tbs, 0x30, &part) || !der_take(&tbs, 0x30, &validity) ||
        !time_read(&validity, &out->not_before_s) || !time_read(&validity, &out->not_after_s))
        return CRADLE_E_INPUT;
    if (!der_take(&tbs, 0x30, &part) || !subject_read(part, out) || !der_take(&tbs, 0x30, &part) || !spki_read(part, out))
        return CRADLE_E_INPUT;
    while (tbs.n) {
        if (!der_next(&tbs, &tag, &part) || (tag == 0xa3 && !extensions_read(part, out)))
            return CRADLE_E_INPUT;
    }
    return CRADLE_OK;
}

int cradle_cert_matches(const struct cradle_cert *cert, const struct cradle_port *port, const struct cradle_name *name)
{
    if (!cert->point || memcmp(cert->point, port->point, CRADLE_POINT_LEN) != 0)
        return CRADLE_E_MISMATCH;
    if (!cert->cn || cert->cn_len != strlen(name->uid) || memcmp(cert->cn, name->uid, cert->cn_len) != 0)
        return CRADLE_E_MISMATCH;
    return CRADLE_OK;
}
