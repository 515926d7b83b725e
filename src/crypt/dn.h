/* dn.h: distinguished names and general names, and extensions. RFC 5280 4.1.2.4, 4.2.1.6. */
#ifndef CRADLE_CRYPT_DN_H
#define CRADLE_CRYPT_DN_H

#include <stddef.h>

#include "base/span.h"

#define DN_VALUE_MAX 64 /* bytes: ub-common-name, ub-serial-number, ub-organization-name */

struct dn {
    struct span cn, serial_number, o;   /* the first of each, empty when absent */
    unsigned n_cn, n_serial_number, n_o, n_other;
};
/* The contents of a Name. strict (names that will go into our certificates): single-valued RDNs, PrintableString or UTF8String only,
 * 1..DN_VALUE_MAX bytes of UTF-8 without control characters: CE_BAD_NAME. Else only the structure is required: CE_BAD_DER. */
MUST_USE enum err dn_parse(struct span name, bool strict, struct dn *out, struct fault *f);

struct san {
    struct span uri, dns;               /* the first of each */
    unsigned n_uri, n_dns, n_other;
    struct span hw_type, hw_serial;     /* the first hardwareModuleName (RFC 4108 5): contents of its OID and OCTET STRING; counted in n_other */
};
MUST_USE enum err san_parse(struct span value, struct san *out, struct fault *f); /* the extension's contents */

/* Appends one RDN with one attribute. oid_last: 3 CN, 5 serialNumber, 6 C, 10 O, 11 OU. */
enum dn_attr { DN_CN = 3, DN_SERIAL_NUMBER = 5, DN_C = 6, DN_O = 10, DN_OU = 11 };
bool dn_printable(struct span v); /* only characters of a PrintableString (X.680 41.4) */
void dn_put(struct buf *out, enum dn_attr attr, struct span value);

/* OIDs of extensions: id-ce is 2.5.29 = 55 1d, then one byte. */
enum ext_id {
    EXT_SKI = 14, EXT_KEY_USAGE = 15, EXT_SAN = 17, EXT_BASIC = 19, EXT_CRL_NUMBER = 20, EXT_REASON = 21, EXT_IDP = 28,
    EXT_NAME_CONSTRAINTS = 30, EXT_CDP = 31, EXT_AKI = 35, EXT_EKU = 37
};
struct ext {
    struct span oid;
    int ce;               /* last byte of an id-ce OID, 0 for others */
    bool critical;
    struct span value;    /* contents of the OCTET STRING */
};
/* Takes one Extension from the front of *in. CE_BAD_DER. */
MUST_USE enum err ext_get(struct span *in, struct ext *out);
/* Writes Extension headers: `at = ext_begin(...)`, contents, ext_end. */
struct ext_mark { size_t seq, octets; };
struct ext_mark ext_begin(struct buf *out, enum ext_id id, bool critical);
struct ext_mark ext_begin_oid(struct buf *out, struct span oid, bool critical);
void ext_end(struct buf *out, struct ext_mark m);
void ext_put_aki(struct buf *out, struct span key_id);

#endif
