/* crl_make.h: the making of one CRL's file, in two jobs that a thread of core's does (job_thread.h), and the pieces that go to the signer in between. Nobody
 * holds the list whole: a piece at a time is in memory. What it is not: when a CRL is made, its number, its evidence (crl.c).
 *
 *   crl_gather   what the shard lists, out of one state of the database, as DER into a file without a name
 *   crl_piece    pieces of that file, whole entries each, for the signer
 *   crl_finish   head, entries and end into the file that is renamed to the CRL; read again, entry by entry, hashed, the signature verified on the way; durable
 */
#ifndef CRADLE_CORE_CRL_MAKE_H
#define CRADLE_CORE_CRL_MAKE_H

#include "base/file.h"
#include "crypt/hash.h"
#include "store/db.h"

#define CRL_PIECE 262144 /* bytes of entries in one message at most, msg.def */

struct crl_job {
    /* gather takes */
    struct db *db;               /* borrowed; of the thread alone, read-only */
    char temp[PATH_MAX_LEN];     /* the file to be renamed; temp.entries is another one for a moment */
    struct span kid, ca_der;     /* borrowed */
    int64_t shard, ended_after_s;
    /* and gives */
    int fd;                      /* owned; -1: none; entries */
    int64_t dirty;               /* the mark of the shard that the entries answer to */
    uint64_t entries, bytes;
    /* finish takes */
    int64_t number, this_update, next_update;
    struct buf list;             /* owned; what the signer gave: crl_stream.h */
    /* and gives */
    uint8_t sha256[SHA256_LEN];  /* of the file */
    struct fault why;            /* of either, when it failed */
};
/* job_fn, of a struct crl_job. */
enum err crl_gather(void *job);
enum err crl_finish(void *job);
/* Whole entries from *at on, at most CRL_PIECE bytes into out; *at moves on to job->bytes. CE_IO. */
MUST_USE enum err crl_piece(const struct crl_job *j, uint64_t *at, struct buf *out);
/* Lets go of the entries and of what the signer gave. */
void crl_job_end(struct crl_job *j);

#endif
