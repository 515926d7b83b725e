/* csr.h: PKCS#10 requests (RFC 2986): reading a stranger's, writing our own. Pure, no OpenSSL in the reader.
 * Takes exactly the shapes that we need; everything else is refused with the rule it breaks. Whether the name is a good
 * UID is name_check_uid's business, whether the key is good enough key_gate's.
 */
#ifndef CRADLE_CRYPT_CSR_H
#define CRADLE_CRYPT_CSR_H

#include "base/span.h"
#include "crypt/key.h"

#define CSR_MAX 8192 /* bytes */

struct csr { /* every span points into the DER given */
    struct span der, tbs, subject;      /* subject: the whole Name */
    struct span cn;                     /* exactly one, 1..64 bytes, UTF-8 without control characters */
    struct span serial_number, o;       /* empty when absent */
    unsigned n_rdn_other;               /* subject attributes besides CN, serialNumber, O */
    struct span san;                    /* subjectAltName: its whole value */
    struct span san_uri, san_dns;       /* the first of each, empty when absent */
    unsigned n_san_uri, n_san_dns, n_san_other;
    struct span spki;
    struct spki_info key;               /* key.name: "ec:P-256" … */
    enum sig_alg sig_alg;
    struct span sig;
};
/* CE_TOO_LARGE, CE_BAD_DER, CE_TRUNCATED, CE_TRAILING, CE_BAD_CSR, CE_BAD_NAME, CE_KEY_ALG, CE_KEY_WEAK, CE_KEY_INVALID.
 * The subject is there also when what follows it is refused. */
MUST_USE enum err csr_parse(struct span der, struct csr *out, struct fault *f);
/* Proof of possession: is it signed by its own key? CE_CSR_POP. */
MUST_USE enum err csr_verify(const struct csr *r, struct fault *f);
/* The same out of a request of another format: subject a whole Name, extensions the contents of a list of Extension (may be empty). Without
 * signature: how possession is proved is the other format's. Errors as csr_parse. */
MUST_USE enum err csr_from_parts(struct span subject, struct span spki, struct span extensions, struct csr *out, struct fault *f);
/* Appends a request signed by k. serial_number and san_uri may be empty. */
MUST_USE enum err csr_build(struct key *k, struct span cn, struct span serial_number, struct span san_uri, struct buf *out);

#endif
