/* core/ocsp.h: OCSP_QUERY: the live rows say good, revoked or unknown; the signer signs; nothing is written. DER: crypt/ocsp.h. */
#ifndef CRADLE_CORE_OCSP_H
#define CRADLE_CORE_OCSP_H

#include "core/batch.h"

/* Reply BODY_OCSP. CE_NOT_FOUND: no such CA. */
MUST_USE enum err ocsp_op_query(struct batch *b, const struct caller *c, const void *msg_ocsp_query, struct msg_reply *out, struct fault *f);

#endif
