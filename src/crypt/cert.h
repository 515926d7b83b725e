/* cert.h: reads X.509 v3 certificates (RFC 5280) into spans of the DER given. Pure, no OpenSSL. Not a path validator:
 * nginx and the peers' libraries do that, and chain.h for certificates of other makers; cert_check_issued is for our own chains of two or three.
 */
#ifndef CRADLE_CRYPT_CERT_H
#define CRADLE_CRYPT_CERT_H

#include "base/span.h"
#include "crypt/key.h"

#define CERT_MAX 16384 /* bytes */
#define CERT_NO_END INT64_C(253402300799) /* notAfter 99991231235959Z: no end (RFC 5280 4.1.2.5) */

enum cert_eku {
    EKU_SERVER_AUTH = 1, EKU_CLIENT_AUTH = 2, EKU_CODE_SIGNING = 4, EKU_EMAIL = 8, EKU_TIME_STAMPING = 16,
    EKU_OCSP_SIGNING = 32, EKU_ANY = 64, EKU_OTHER = 128, EKU_IDEVID = 256, EKU_CMC_RA = 512
};
enum cert_key_usage { /* the bits of RFC 5280 4.2.1.3, bit 0 first */
    KU_DIGITAL_SIGNATURE = 0x80, KU_NON_REPUDIATION = 0x40, KU_KEY_ENCIPHERMENT = 0x20, KU_DATA_ENCIPHERMENT = 0x10,
    KU_KEY_AGREEMENT = 0x08, KU_CERT_SIGN = 0x04, KU_CRL_SIGN = 0x02
};

struct cert { /* every span points into the DER given */
    struct span der, tbs;
    struct span serial;                 /* minimal positive big-endian */
    struct span issuer, subject;        /* whole Names */
    struct span cn, serial_number, o;   /* of the subject, the first of each; empty when absent or not PrintableString/UTF8String */
    int64_t not_before, not_after;      /* s since 1970 */
    struct span spki;
    uint8_t spki_sha256[32];
    struct span aki, ski;               /* key identifiers, empty when absent */
    bool is_ca;
    int path_len;                       /* -1: none */
    unsigned key_usage;                 /* enum cert_key_usage; 0: extension absent */
    unsigned eku;                       /* enum cert_eku; 0: extension absent */
    struct span san;                    /* subjectAltName: its whole value */
    struct span san_uri, san_dns;       /* the first of each */
    struct span hw_type, hw_serial;     /* hardwareModuleName (RFC 4108 5): contents of its OID and OCTET STRING. With one it is an IDevID: see cert_is_idevid */
    bool ocsp_nocheck;
    bool critical_unknown;              /* a critical extension, or name constraints, not read here: no path may lead through it (RFC 5280 4.2) */
    enum sig_alg sig_alg;               /* SIG_NONE: one that we do not know */
    struct span sig;
};
/* An initial device identity (IEEE 802.1AR) of any maker, ours too: it lets its holder enroll and do nothing else. */
static inline bool cert_is_idevid(const struct cert *c) { return c->hw_type.n != 0; }
/* CE_BAD_CERT with a text that cites the rule; CE_TRAILING; CE_TOO_LARGE. Does not judge the key or the names. */
MUST_USE enum err cert_parse(struct span der, struct cert *out, struct fault *f);
/* Reads a PEM file with one certificate (the first) into der, then cert_parse. */
MUST_USE enum err cert_load(const char *path, struct buf *der, struct cert *out, struct fault *f);
/* Names and key ids chain, the issuer is a CA, and the signature holds. CE_CERT_FOREIGN, CE_BAD_SIGNATURE, CE_KEY_ALG. */
MUST_USE enum err cert_check_issued(const struct cert *c, const struct cert *issuer);
unsigned cert_eku_bit(struct span oid); /* enum cert_eku; EKU_OTHER: none that we know */

#endif
