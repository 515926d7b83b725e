/* depot_priv.h: what depot.c and depot_part.c share. Not for others. */
#ifndef CRADLE_ROLE_DEPOT_PRIV_H
#define CRADLE_ROLE_DEPOT_PRIV_H

#include "crypt/hash.h"
#include "role/depot.h"
#include "wire/captoken.h"
#include "wire/seal.h"

#define DEPOT_STATES 8              /* uploads whose hash goes on in memory; of others it is made anew at the end */
#define DEPOT_HEX (2 * SHA256_LEN)

/* Hashes of the bytes before `hashed`. */
struct depot_state {
    uint8_t sha256[SHA256_LEN];     /* of the upload; used 0: free */
    uint64_t used;
    int64_t hashed;
    struct sha256 whole, block;
    struct sha1 sha1;               /* of the whole: what hawkBit's clients compare */
    struct buf blocks;              /* owned: digests of whole blocks */
};

/* The file that is being encrypted; one at a time. */
struct depot_sealing {
    bool on;
    int fd;                         /* of the sealed file */
    uint8_t sha256[SHA256_LEN], sha1[SHA1_LEN];
    struct seal seal;
    struct buf blocks;              /* owned: digests of the plain file's blocks */
};

struct depot {
    char site[PATH_MAX_LEN];
    int64_t part_keep_s;
    uint8_t token_key[32];
    uint64_t clock;
    struct depot_state states[DEPOT_STATES];
    struct depot_sealing sealing;
    uint8_t chunk[256 << 10];
};

/* DIR/artifact/[part/]HEXsuffix */
void depot_path(const struct depot *d, bool part, struct span sha256, const char *suffix, char out[PATH_MAX_LEN]);

/* What went wrong with a file; errno says what. A full disk in words that a person can act on. */
enum err depot_fault(struct fault *f, enum err e, const char *what);

/* depot_part.c: unfinished uploads */
struct depot_part {
    int fd;                         /* of the bytes, -1 */
    int meta;                       /* -1 */
    struct depot_item item;
};
#define DEPOT_PART ((struct depot_part){ .fd = -1, .meta = -1 })
void depot_part_close(struct depot_part *p);
/* Opens an upload under way; bytes that were not promised are cut off. CE_NOT_FOUND. */
MUST_USE enum err depot_part_open(struct depot *d, struct span sha256, struct depot_part *out, struct fault *f);
void depot_meta_put(const struct depot_item *i, struct buf *out);
MUST_USE enum err depot_meta_read(int fd, struct depot_item *out);
MUST_USE enum err depot_part_begin(struct depot *d, const struct msg_upload_open *m, struct fault *f);
void depot_part_remove(struct depot *d, struct span sha256);
/* A whole file, as it came or sealed. A sealed one has its length in its meta file alone. */
bool depot_stored(const struct depot *d, struct span sha256, struct depot_item *out);
/* How many there are. On the way it removes what ended uploads left behind, and old ones when now_s is not 0. */
size_t depot_parts_walk(struct depot *d, int64_t now_s);
MUST_USE enum err depot_part_append(struct depot *d, struct depot_part *p, struct span sha256, int from, struct span bytes, int64_t n, struct fault *f);

MUST_USE enum err depot_write_at(int fd, struct span bytes, int64_t at);

/* depot_seal.c: begin takes the blocks; step: *more until all is sealed and the key is durable, the caller puts the file in place. */
MUST_USE enum err depot_seal_begin(struct depot *d, struct span sha256, const struct depot_item *i, struct buf *blocks, struct fault *f);
bool depot_seal_goes_on(const struct depot *d, struct span sha256);
MUST_USE enum err depot_seal_step(struct depot *d, const struct depot_part *p, bool *more, struct fault *f);
void depot_seal_stop(struct depot *d); /* wipes the key; harmless when nothing is under way */
void depot_seal_forget(const struct depot *d, struct span sha256); /* removes the key */

MUST_USE enum err depot_key_open(struct depot *d, struct fault *f); /* depot_token.c */
/* depot_hash.c */
struct depot_state *depot_state_of(struct depot *d, struct span sha256, bool make); /* NULL: none */
void depot_state_free(struct depot_state *s);
void depot_state_add(struct depot_state *s, struct span bytes);
/* Digests of all, and the list of blocks with the last short one in it; s is used up. */
void depot_state_end(struct depot_state *s, uint8_t digest[SHA256_LEN], uint8_t sha1_digest[SHA1_LEN]);

#endif
