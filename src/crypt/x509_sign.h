/* x509_sign.h: the last step of everything that a CA signs: sign, verify in software with the public key, only then release. */
#ifndef CRADLE_CRYPT_X509_SIGN_H
#define CRADLE_CRYPT_X509_SIGN_H

#include "crypt/key.h"

/* Signs tbs and appends AlgorithmIdentifier and BIT STRING to out. CE_CRYPTO when the signature does not verify. */
MUST_USE enum err x509_sign(struct key *key, struct pubkey *pub, struct span tbs, struct buf *out);
/* Appends SEQUENCE { tbs, algorithm, signature }. */
MUST_USE enum err x509_wrap(struct key *key, struct pubkey *pub, struct span tbs, struct buf *out);

#endif
