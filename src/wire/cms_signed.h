/* cms_signed.h: detached signatures in CMS (RFC 5652) of the one kind that OpenSSL, SWUpdate and RAUC all take: SignedData without the content,
 * one signer with its certificate, SHA-256, ECDSA P-256, signed attributes. Not a path validator: whether the certificate counts is the caller's.
 * certs-only bags are cms.h.
 */
#ifndef CRADLE_WIRE_CMS_SIGNED_H
#define CRADLE_WIRE_CMS_SIGNED_H

#include "base/span.h"
#include "crypt/cert.h"
#include "crypt/hash.h"

#define CMS_MAX 65536 /* bytes looked at */

struct cms_signed { /* spans point into the DER given */
    struct span cert;         /* the signer's certificate, whole */
    struct span digest;       /* messageDigest attribute: SHA-256 of the content */
    int64_t signed_at_s;      /* signingTime attribute, 0: none; the signer's word */
    struct span attrs;        /* contents of signedAttrs */
    struct span sig;
};

/* Signs the content with this digest and appends the DER of the ContentInfo. The key must be the certificate's and P-256: CE_KEY_ALG, CE_NAME_MISMATCH; CE_CRYPTO. */
MUST_USE enum err cms_sign(struct key *key, const struct cert *signer, const uint8_t sha256[SHA256_LEN], int64_t at_s, struct buf *out, struct fault *f);
/* Reads a detached signature: exactly one signer, named by issuer and serial number, whose certificate is inside. Other certificates, CRLs and
 * attributes are passed over. CE_BAD_DER, CE_TOO_LARGE; CE_UNSUPPORTED: another algorithm or form. Judges no signature. */
MUST_USE enum err cms_read(struct span der, struct cms_signed *out, struct fault *f);
/* Is this the signature of the content with this digest, by the key of the certificate inside? CE_BAD_SIGNATURE, CE_BAD_CERT, CE_KEY_ALG. */
MUST_USE enum err cms_verify(const struct cms_signed *c, const uint8_t sha256[SHA256_LEN], struct fault *f);

#endif
