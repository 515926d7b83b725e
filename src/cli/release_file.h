/* release_file.h: the files of a release in the folder of its ceremony: copied, hashed, cut into blocks. */
#ifndef CRADLE_CLI_RELEASE_FILE_H
#define CRADLE_CLI_RELEASE_FILE_H

#include "base/file.h"
#include "cli/verb.h"
#include "crypt/hash.h"

#define RELEASE_BLOCK 1048576 /* bytes of a block: what a delta replaces, and what is verified before it is written */

struct release_file {
    int64_t length;
    uint8_t sha256[SHA256_LEN], blocks_sha256[SHA256_LEN];
};
/* Copies from to to (0644, durable, replaced by rename), and to.blocks gets the SHA-256 of each block, one after the other. Shows
 * progress. CE_NOT_FOUND, CE_IO, CE_DISK_FULL; CE_BAD_INPUT when the file is empty. */
MUST_USE enum err release_file_take(struct cli *c, const char *from, const char *to, struct release_file *out, struct fault *f);
/* SHA-256 of the sw-description within the .swu image at path. CE_BAD_INPUT says what is no such image, CE_IO. */
MUST_USE enum err release_swu_digest(const char *path, uint8_t sha256_out[SHA256_LEN], struct fault *f);
/* Reads a software bill of materials: CycloneDX or SPDX in JSON. *format is a literal. CE_BAD_INPUT says what it is not. */
MUST_USE enum err release_sbom_check(const char *path, const char **format, uint8_t sha256_out[SHA256_LEN], struct fault *f);

#endif
