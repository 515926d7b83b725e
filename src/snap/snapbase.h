/* snapbase.h: one snapshot file (include/cradle/snapshot.h), mapped read-only and verified. Frames on top of it are snapfile.c's. */
#ifndef CRADLE_SNAP_SNAPBASE_H
#define CRADLE_SNAP_SNAPBASE_H

#include <sys/stat.h>

#include "crypt/hash.h"
#include "wire/snapshot.h"

struct snapbase { /* zero: none */
    void *map;
    size_t size;
    struct stat st;
    struct snapshot snap;
    uint8_t header_sha256[SHA256_LEN];
};

/* Maps and verifies. CE_NOT_FOUND, CE_IO, CE_BAD_FRAME, CE_BAD_SIGNATURE; f names the file, and b->st says what was refused. */
MUST_USE enum err snapbase_open(const char *path, const uint8_t pub[ED25519_PUB], struct snapbase *b, struct fault *f);
void snapbase_close(struct snapbase *b);
bool snapbase_has(const struct snapbase *b, enum snapshot_set set, const uint8_t key[SNAPSHOT_KEY]);
bool stat_same(const struct stat *a, const struct stat *b); /* the same file, not written to since */

#endif
