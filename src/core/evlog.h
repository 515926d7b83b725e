/* evlog.h: the integrator: gives committed events their leaf index and turns them into a C2SP tlog-tiles Merkle log.
 * It is not where evidence is decided: rows of `event` are the truth, and every file here can be made from them again.
 *
 * An entry is 32 bytes, SHA-256(salt || payload); its leaf hash is SHA-256(0x00 || entry). Files under dir:
 *   tile/L/NNN[.p/W]        hash tiles, 256 hashes wide       tile/entries/NNN[.p/W]   u16 length + entry, 256 of them
 *   checkpoint              the signed note, replaced by rename only
 * Order, each step durable before the next: event rows -> tiles, full and partial (evlog_prepare) -> tree row by
 * compare-and-set(size, epoch) (evlog_write) -> signature over the tree row's size and root -> signed_size by a second
 * compare-and-set (evlog_head_write) -> the file (evlog_publish). A head is only signed out of the tree row, which only grows from
 * what was signed. Files are written by a thread of their own (job_thread.h), one job at a time: nothing here waits for a disk,
 * and what happens meanwhile gathers for the next job.
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
    int wake_fd;           /* eventfd, written when files are done: call evlog_poll; duplicated; -1: none */
};

#define EVLOG_BATCH 2048 /* most events that one evlog_prepare integrates */

/* Takes the log over (epoch + 1). CE_ROLLBACK: the published checkpoint is ahead of the database, or of another history: the
 * text says what to do. CE_LOG_INCONSISTENT: rows and tree disagree. Missing or damaged tiles are made again from the rows. */
MUST_USE enum err evlog_open(const struct evlog_config *c, struct evlog **out, struct fault *f);
/* Starts the writer's thread; before it, files are written inside the calls. See job_thread_start. */
MUST_USE enum err evlog_threads(struct evlog *l, struct fault *f);
/* Waits for the files in hand, at most EVLOG_CLOSE_MS; then they are the next start's to repair. NULL is fine. */
void evlog_close(struct evlog *l);
#define EVLOG_CLOSE_MS 5000

enum evlog_stage {
    EVLOG_IDLE,
    EVLOG_TILES, /* tiles are being written */
    EVLOG_ROWS,  /* they are durable: evlog_write is due, then evlog_done */
    EVLOG_HEAD,  /* the checkpoint is being written */
};
enum evlog_stage evlog_stage(const struct evlog *l);
/* Takes what the writer has done: TILES becomes ROWS, HEAD becomes IDLE. An error (CE_DISK_FULL, CE_IO, …): the step is to be done
 * again, later; nothing is lost. Cheap; call it whenever wake_fd was readable. */
MUST_USE enum err evlog_poll(struct evlog *l, struct fault *f);
bool evlog_wait(struct evlog *l, int64_t timeout_ms); /* until evlog_poll has something to take; false: not in time */

/* When IDLE: hashes up to max (<= EVLOG_BATCH) waiting events and gives their tiles to the writer. *n: how many; 0: nothing waits,
 * and the stage stays. Outside a transaction. Errors of the database, CE_LOG_INCONSISTENT. */
MUST_USE enum err evlog_prepare(struct evlog *l, size_t max, size_t *n, struct fault *f);
/* In stage ROWS, inside a transaction: tree and run rows. CE_EPOCH: another process has taken the log over: stop. */
MUST_USE enum err evlog_write(struct evlog *l, struct fault *f);
/* After the transaction: what was prepared counts, or is forgotten; IDLE again. */
void evlog_done(struct evlog *l, bool committed);

/* A head that is due for signing: false when the newest is published, or an accepted one waits to be. It is remembered: what comes
 * back must be its signature. */
bool evlog_head_due(struct evlog *l, int64_t *size, struct merkle_hash *root);
/* Inside a transaction: judges the signer's note (signature, origin, size, root) and records that it was signed.
 * CE_BAD_SIGNATURE, CE_BAD_CHECKPOINT, CE_LOG_INCONSISTENT: the note is not for this tree and is dropped. CE_EPOCH: stop. */
MUST_USE enum err evlog_head_write(struct evlog *l, struct span note, int64_t now_ms, struct fault *f);
/* After that transaction: the note is accepted, or forgotten. */
void evlog_head_done(struct evlog *l, bool committed);
bool evlog_publish_due(const struct evlog *l); /* an accepted note waits */
void evlog_publish(struct evlog *l);           /* gives it to the writer, when it is due and the stage is IDLE */

int64_t evlog_size(const struct evlog *l);      /* leaves integrated and committed */
int64_t evlog_published(const struct evlog *l); /* size of the checkpoint file */
int64_t evlog_repaired(const struct evlog *l);  /* tiles made again at start */

#endif
