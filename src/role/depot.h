/* depot.h: the files of artifacts: taken in piece by piece, verified, kept under their digest. The rules without the process
 * (depot_role.c) and without a front, so that a test can drive and kill them. It knows no caller, no release and no device.
 *
 * DIR/artifact/HEX              a whole file; HEX is its SHA-256. Never changed, only removed
 * DIR/artifact/HEX.enc          instead of HEX, when it was uploaded as encrypted: sealed as cradle/unseal.h says; the plain bytes are not kept
 * DIR/depot/HEX.key             its content key
 * DIR/artifact/HEX.blocks       the SHA-256 of each block of 1 MiB, one after the other
 * DIR/artifact/HEX.meta         its length, whether it is encrypted, its SHA-1, its name
 * DIR/artifact/part/HEX         an upload under way: the bytes that came
 * DIR/artifact/part/HEX.meta    what it is to become, and how many bytes were promised to be durable
 *
 * An upload is named by the digest of what it is to become, so it can be resumed by anybody who has the file, and two uploads of one
 * file are one.
 */
#ifndef CRADLE_ROLE_DEPOT_H
#define CRADLE_ROLE_DEPOT_H

#include "base/file.h"
#include "crypt/hash.h"
#include "wire/captoken.h"
#include "wire/msg.h"

#define DEPOT_BLOCK (1u << 20)          /* as the block digests of releases: cli/release_file.h */
#define DEPOT_PIECE_MAX (16 << 20)      /* bytes of one PUT */
#define DEPOT_LENGTH_MAX (1LL << 40)
#define DEPOT_SPARE (16LL << 20)        /* bytes that an upload leaves free on the disk */
#define DEPOT_UPLOADS_MAX 256           /* unfinished ones */

struct depot;

/* site: absolute. Makes DIR/artifact/part, and DIR/depot/token.key when there is none. part_keep_s: an upload that nobody went on with for so long is removed. CE_IO. */
MUST_USE enum err depot_open(const char *site, int64_t part_keep_s, struct depot **out, struct fault *f);
void depot_close(struct depot *d); /* NULL is legal */

struct depot_item {
    int64_t length, offset; /* offset: bytes that are durable; length when stored */
    char name[161];
    uint8_t sha1[SHA1_LEN]; /* of a whole file: no proof of anything, hawkBit's clients want it */
    bool encrypted, stored; /* stored: the whole file is in place */
};
/* Begins an upload, or says how far it is. CE_BAD_FIELD; CE_DISK_FULL: the rest would not fit; CE_BUSY: too many are unfinished;
 * CE_EXISTS: it was begun with another length, or is to be encrypted and is here, or was begun, as plain bytes. */
MUST_USE enum err depot_upload_open(struct depot *d, const struct msg_upload_open *m, struct depot_item *out, struct fault *f);
/* CE_NOT_FOUND: no upload was begun (or it was thrown away). */
MUST_USE enum err depot_upload_get(struct depot *d, struct span sha256, struct depot_item *out, struct fault *f);
/* Appends; durable when it returns CE_OK. CE_OFFSET: bytes are missing or were sent before, f says where it goes on; CE_TOO_LARGE: beyond the
 * length; CE_DISK_FULL: nothing was taken. */
MUST_USE enum err depot_upload_put(struct depot *d, const struct msg_upload_put *m, struct depot_item *out, struct fault *f);
/* Verifies the digest and puts the file in place. *more: it is long and not done, call it again. CE_OFFSET: not all bytes are here. CE_DIGEST:
 * something else came, the upload is thrown away. A file that is in place already is CE_OK. */
MUST_USE enum err depot_upload_finish(struct depot *d, struct span sha256, struct depot_item *out, bool *more, struct fault *f);
/* Removes a whole file. CE_OK also when there is none. */
MUST_USE enum err depot_drop(struct depot *d, struct span sha256, struct fault *f);
/* The content key of an encrypted file, wrapped for a device (cradle/unseal.h). CE_NOT_FOUND: there is no such file, or it is not encrypted;
 * CE_KEY_ALG: the device's key is not P-256. */
MUST_USE enum err depot_key_wrap(struct depot *d, const struct msg_key_get *m, struct buf *out, struct fault *f);
/* depot_token.c: fills in the MAC; judges it and the end: CE_BAD_TOKEN. */
void depot_token_make(const struct depot *d, struct captoken *t);
MUST_USE enum err depot_token_check(const struct depot *d, const struct captoken *t, int64_t now_s, struct fault *f);
/* Throws unfinished uploads away that are older than part_keep_s at now_s. */
void depot_tidy(struct depot *d, int64_t now_s);

#endif
