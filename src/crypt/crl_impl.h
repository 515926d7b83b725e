/* crl_impl.h: what crl.c and crl_stream.c share. */
#ifndef CRADLE_CRYPT_CRL_IMPL_H
#define CRADLE_CRYPT_CRL_IMPL_H

#include "crypt/crl.h"

/* CE_SIGNER, CE_BAD_FIELD. */
MUST_USE enum err crl_request_judge(const struct ca *ca, const struct crl_request *r, struct fault *f);
/* The contents of TBSCertList up to its entries, and what follows them. */
void crl_put_head(const struct ca *ca, const struct crl_request *r, struct buf *out);
void crl_put_extensions(const struct ca *ca, const struct crl_request *r, struct buf *out);
enum err crl_failed(const struct ca *ca, unsigned shard, enum err e, struct fault *f);

#endif
