/* release_doc.h: what sealing a release and verifying its seals share: a large file mapped for one signature, and the rule for a signer's certificate. */
#ifndef CRADLE_CLI_RELEASE_DOC_H
#define CRADLE_CLI_RELEASE_DOC_H

#include "base/file.h"
#include "crypt/cert.h"

struct release_map { struct span bytes; };
/* Maps a file that is not empty, read only. CE_NOT_FOUND, CE_BAD_INPUT, CE_IO. */
MUST_USE enum err release_map_open(const char *path, struct release_map *out, struct fault *f);
void release_map_close(struct release_map *m); /* legal on a zeroed struct */
/* Is it the certificate of a signer of releases, at this time? P-256, digitalSignature, codeSigning, no CA. CE_BAD_CERT, CE_KEY_ALG, CE_CERT_EXPIRED,
 * CE_CERT_NOT_YET. Says nothing about who issued it. */
MUST_USE enum err release_cert_judge(const struct cert *c, int64_t at_s, struct fault *f);

#endif
