/* signer.h: the signer's work without its process: typed requests in, signatures out. It holds the online keys of the site that its source
 * gives it (the signer those in files, each signer of the hsm role those in tokens),
 * builds the bytes to be signed by itself from the profiles that it read at start, and verifies each signature before it
 * releases it. After signer_open it opens no file. Process, channel and jail are role/role.h.
 */
#ifndef CRADLE_ROLE_SIGNER_H
#define CRADLE_ROLE_SIGNER_H

#include "base/span.h"
#include "crypt/key.h"
#include "wire/ipc.h"

#define SIGNER_URL_MAX 256

struct signer_config {
    const char *dir;         /* site: keys/, ca/, profiles/, trust/log.pub */
    const char *base_url;    /* "http://HOST:PORT" for the URLs in certificates */
    unsigned n_shards;       /* CRL shards of each issuing CA */
    int64_t (*wall_ms)(void *ctx); /* wall clock; NULL: clock_now_ms */
    void *wall_ctx;
    const struct key_source *keys; /* where its keys are; NULL: keys/NAME.key, without those that are in tokens (keys/NAME.uri) */
    bool (*is_lost)(void *ctx);    /* asked after a failure: is a token gone? Then the answer is CE_TOKEN_LOST. May be NULL */
    void *lost_ctx;
    bool unrehearsed;              /* another signer of this process has signed with every key */
};
struct signer; /* owned by who opened it; keys are zeroed by signer_close */
MUST_USE enum err signer_open(const struct signer_config *cfg, struct signer **out, struct fault *f);
void signer_close(struct signer *s);     /* NULL is fine */
/* Answers one request frame: appends a MSG_SIGNED frame with the same rid. A frame that is not one of the permitted types or
 * does not unpack aborts the process: nobody but core speaks to it. Pure apart from the keys, the counter and out. */
void signer_handle(struct signer *s, const struct ipc_frame *in, struct buf *out);
uint64_t signer_counter(const struct signer *s); /* signatures made since signer_open */

#endif
