/* crl.h: certificate revocation lists, RFC 5280 5: full CRLs, one for each shard (issuing distribution point, critical;
 * left out when there is one shard only, for that CRL is complete). Written as a stream of DER with one signature at the end.
 * Not a store: who is revoked is the caller's list.
 */
#ifndef CRADLE_CRYPT_CRL_H
#define CRADLE_CRYPT_CRL_H

#include "base/span.h"
#include "crypt/ca.h"

/* One packed entry (msg.def SIGN_CRL): u8 serial length, serial, u64 revoked_at s, u8 CRLReason. */
void crl_entry_put(struct buf *packed, struct span serial, int64_t revoked_at, unsigned reason);

struct crl_request {
    unsigned shard;                        /* < ca->n_shards */
    uint64_t number;                       /* CRLNumber, > 0 */
    int64_t this_update, next_update;      /* s */
    struct span entries;                   /* packed */
};
/* Appends the CRL DER. CE_BAD_FIELD: a shard, date or entry that is wrong (a serial of another shard among them). */
MUST_USE enum err crl_build(struct ca *ca, const struct crl_request *r, struct buf *out, struct fault *f);

struct crl { /* spans into the DER given */
    struct span der, tbs, issuer, aki, entries;
    struct span idp_url; /* empty: a complete CRL */
    uint64_t number;
    int64_t this_update, next_update;
    size_t n_entries;
    enum sig_alg sig_alg;
    struct span sig;
};
struct crl_entry {
    struct span serial;
    int64_t revoked_at;
    int reason; /* 0: none given */
};
/* CE_BAD_DER; CE_UNSUPPORTED: a critical extension that is not known. */
MUST_USE enum err crl_parse(struct span der, struct crl *out, struct fault *f);
/* Name and key id alone. CE_CERT_FOREIGN. */
MUST_USE enum err crl_check_issuer(const struct crl *c, const struct cert *issuer);
/* Name, key id, signature. CE_CERT_FOREIGN, CE_BAD_SIGNATURE, CE_KEY_ALG. */
MUST_USE enum err crl_verify(const struct crl *c, const struct cert *issuer);
/* Takes the next entry from *entries (start with crl->entries). False at the end. */
bool crl_next(struct span *entries, struct crl_entry *out);
/* RFC 5280 5.3.1 names: "keyCompromise" <-> 1; -1 and NULL for what is not one. */
int crl_reason_from_name(struct span name);
const char *crl_reason_name(int reason);

#endif
