/* crl_stream.h: a CRL whose entries come in pieces, so that nobody holds it whole: entries as DER in one form, and a signature over what passed by.
 * Pure, no files. Small lists that are at hand as a whole are crl.h's.
 *
 * Who signs gets the number and the bytes of the entries first, because they stand in the head (DER), then the entries, then signs. What it gives
 * is the CertificateList as it would be without entries, but for the signature, which is over the list with them: crl_frame says what stands before
 * the entries and after them.
 */
#ifndef CRADLE_CRYPT_CRL_STREAM_H
#define CRADLE_CRYPT_CRL_STREAM_H

#include "crypt/crl.h"
#include "crypt/lint.h"

#define CRL_ENTRY_MAX 64                 /* bytes of an entry's DER */
#define CRL_BYTES_MAX (1024u << 20)      /* of a list's entries: twenty million */
#define CRL_WHOLE_MAX (64u << 20)        /* the same of a list whose key wants the whole message (Ed25519, ML-DSA): it is kept in memory */

/* Writes one entry and returns its length; 0: it cannot be listed (RFC 5280 5.1.2.6, 5.3.1: serial of 1 to 20 bytes without a leading zero, reason 0 to 6, 9, 10;
 * dates 1970 to 9999). */
size_t crl_encode(const struct crl_entry *e, uint8_t out[CRL_ENTRY_MAX]);
/* Takes the next entry; false: what comes is none in exactly the form that crl_encode writes. */
bool crl_decode(struct span *in, struct crl_entry *out);
/* How many of the bytes are whole entries, judged by their lengths alone: what follows them belongs to the next piece. */
size_t crl_whole(struct span in);

/* -- signing -- */
struct crl_signing { /* crl_signing_free when it is over, also after an error; legal on a zeroed struct */
    unsigned shard;
    uint64_t entries, bytes, got_entries, got_bytes;
    struct buf tbs;          /* owned; without entries */
    struct lint_entries lint;
    bool hashes;
    struct sig_hash hash;    /* hashes */
    struct buf whole;        /* owned; otherwise: TBSCertList up to here */
};
/* r: without its entries, whose number and bytes are given. CE_BAD_FIELD, CE_SIGNER (no key), CE_LINT. */
MUST_USE enum err crl_signing_begin(struct crl_signing *s, const struct ca *ca, const struct crl_request *r, uint64_t entries, uint64_t bytes, struct fault *f);
/* Whole entries, in ascending order of their serials over all pieces. CE_BAD_FIELD, CE_LINT. */
MUST_USE enum err crl_signing_add(struct crl_signing *s, const struct ca *ca, struct span piece, struct fault *f);
/* Signs, verifies, appends the list without entries. CE_BAD_FIELD: entries are missing. CE_CRYPTO. */
MUST_USE enum err crl_signing_end(struct crl_signing *s, struct ca *ca, struct buf *out, struct fault *f);
void crl_signing_free(struct crl_signing *s);

/* c: what crl_signing_end gave, parsed. Appends what is before `bytes` of entries (from the header of the whole on; *tbs_at: where TBSCertList begins) and after
 * them (*tbs_end: so much of it belongs to TBSCertList). CE_BAD_DER. */
MUST_USE enum err crl_frame(const struct crl *c, uint64_t bytes, struct buf *before, size_t *tbs_at, struct buf *after, size_t *tbs_end);

#endif
