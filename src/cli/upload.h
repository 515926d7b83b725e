/* upload.h: one file to the site's depot, in pieces, going on where it was cut off. For `cradle artifact upload` and `cradle release upload`. */
#ifndef CRADLE_CLI_UPLOAD_H
#define CRADLE_CLI_UPLOAD_H

#include "cli/verb.h"
#include "crypt/hash.h"

#define UPLOAD_NAME_MAX 160

struct upload {
    const char *path;       /* of the file */
    const char *name;       /* what the site calls it */
    struct span want;       /* digest that it must have; empty: any */
    bool encrypted;
    uint8_t sha256[SHA256_LEN]; /* out */
    int64_t length, sent;   /* out; sent: bytes that went over the line, 0: the site had it */
};
/* Hashes, then sends what the site does not have. Troubles that pass (no connection, a part that restarts) are tried again while the upload gets
 * on at least once in a minute. CE_DIGEST: the file has not the digest that it must have; nothing was sent. */
MUST_USE enum err upload_run(struct cli *c, struct upload *u, struct fault *f);

#endif
