/* evlog.h: the integrator: gives committed events their leaf index and turns them into a C2SP tlog-tiles Merkle log.
 * It is not where evidence is decided: rows of `event` are the truth, and every file here can be made from them again.
 *
 * An entry is 32 bytes, SHA-256(salt || payload); its leaf hash is SHA-256(0x00 || entry). Files under dir:
 *   tile/L/NNN[.p/W]        hash tiles, 256 hashes wide       tile/entries/NNN[.p/W]   u16 length + entry, 256 of them
 *   checkpoint              the signed note, replaced by rename only
 * Order, each step durable before the next: event rows -> tiles (evlog_prepare) -> tree row by compare-and-set(size, epoch)
 * (evlog_write) -> signature over the tree row's size and root -> signed_size by a second compare-and-set (evlog_head_write)
 * -> the file (evlog_head_publish). A head is only signed out of the tree row, which only grows from what was signed.
 *
 * The engine sees evlog_part (core/batch.h) only; tests and benchmarks drive the functions.
 */
#ifndef CRADLE_CORE_EVLOG_H
#define CRADLE_CORE_EVLOG_H

#include "core/batch.h"
#include "crypt/merkle.h"
#include "store/tree.h"

extern const struct core_part evlog_part; /* for core/parts.c */

struct evlog;

struct evlog_config {
    struct db *db;         /* borrowed, outlives the log */
    const char *dir;       /* DIR/log, made when missing */
    const char *vkey_path; /* DIR/trust/log.pub; NULL: signatures of checkpoints are not looked at (tests) */
};

#define EVLOG_BATCH 2048 /* most events that one evlog_prepare integrates */

/* Takes the log over (epoch + 1). CE_ROLLBACK: the published checkpoint is ahead of the database, or of another history: the
 * text says what to do. CE_LOG_INCONSISTENT: rows and tree disagree. Missing or damaged tiles are made again from the rows. */
MUST_USE enum err evlog_open(const struct evlog_config *c, struct evlog **out, struct fault *f);
void evlog_close(struct evlog *l); /* NULL is fine */

/* Integrates up to max (<= EVLOG_BATCH) waiting events: hashes, then tiles, durable. *n: how many; 0: nothing waits, and nothing
 * is to be written. Outside a transaction. CE_DISK_FULL, CE_IO: nothing has changed, try later. */
MUST_USE enum err evlog_prepare(struct evlog *l, size_t max, size_t *n, struct fault *f);
/* Inside a transaction, after evlog_prepare: tree and run rows. CE_EPOCH: another process has taken the log over: stop. */
MUST_USE enum err evlog_write(struct evlog *l, struct fault *f);
/* After the transaction: what was prepared counts, or is forgotten. */
void evlog_done(struct evlog *l, bool committed);

/* A head that is due for signing: false when the newest is published. It is remembered: what comes
 * back must be its signature. */
bool evlog_head_due(struct evlog *l, int64_t *size, struct merkle_hash *root);
/* Inside a transaction: judges the signer's note (signature, origin, size, root) and records that it was signed.
 * CE_BAD_SIGNATURE, CE_BAD_CHECKPOINT, CE_LOG_INCONSISTENT: the note is not for this tree and is dropped. CE_EPOCH: stop. */
MUST_USE enum err evlog_head_write(struct evlog *l, struct span note, int64_t now_ms, struct fault *f);
/* After that transaction committed: replaces the file. On an error the head is due again. */
MUST_USE enum err evlog_head_publish(struct evlog *l, struct fault *f);

int64_t evlog_size(const struct evlog *l);      /* leaves integrated and committed */
int64_t evlog_published(const struct evlog *l); /* size of the checkpoint file */
int64_t evlog_repaired(const struct evlog *l);  /* tiles made again at start */

#endif
