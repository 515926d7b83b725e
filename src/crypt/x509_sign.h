/* x509_sign.h: the last step of everything that a CA signs: judge it by the rules of its standard, sign, verify in software with the
 * public key, only then release. */
#ifndef CRADLE_CRYPT_X509_SIGN_H
#define CRADLE_CRYPT_X509_SIGN_H

#include "crypt/key.h"
#include "crypt/lint.h"

/* Signs tbs and appends AlgorithmIdentifier and BIT STRING to out. CE_LINT: a rule is broken, and nothing was signed. CE_CRYPTO: the
 * signature does not verify, or there is none. */
MUST_USE enum err x509_sign(enum lint_object kind, struct key *key, struct pubkey *pub, struct span tbs, struct buf *out, struct fault *f);
/* Appends SEQUENCE { tbs, algorithm, signature }. */
MUST_USE enum err x509_wrap(enum lint_object kind, struct key *key, struct pubkey *pub, struct span tbs, struct buf *out, struct fault *f);
/* The same without a judgement, for what was judged by rule while it passed by: a CRL in pieces (crl_stream.h), and nothing else. The second takes what a
 * struct sig_hash made of it, where key_hashes says so. */
MUST_USE enum err x509_sign_judged(struct key *key, struct pubkey *pub, struct span tbs, struct buf *out, struct fault *f);
MUST_USE enum err x509_sign_digest(struct key *key, struct pubkey *pub, struct span digest, struct buf *out, struct fault *f);

#endif
