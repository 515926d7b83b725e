/* evlog.h: the integrator: gives committed events their leaf index and turns them into a C2SP tlog-tiles Merkle log.
 * It is not where evidence is decided: rows of `event` are the truth, and every file here can be made from them again.
 *
 * An entry is 32 bytes, SHA-256(salt || payload); its leaf hash is SHA-256(0x00 || entry). Files under dir:
 *   tile/L/NNN[.p/W]        hash tiles, 256 hashes wide       tile/entries/NNN[.p/W]   u16 length + entry, 256 of them
 *   checkpoint              the signed note, replaced by rename only
 * Order: event rows durable -> tiles durable -> tree row by compare-and-set(size, epoch) -> signature -> the note into the
 * tree row by a second compare-and-set -> the file. A head is only ever signed out of the tree row, which only grows.
 *
 * The engine's use: evlog_open at start; after commits and on ticks evlog_step; when it says `sign`, send SIGN_HEAD{size,
 * root} and hand the reply's body to evlog_head_signed (or call evlog_head_failed). At most one head is out at a time.
 * All calls from core's one thread, outside a transaction.
 */
#ifndef CRADLE_CORE_EVLOG_H
#define CRADLE_CORE_EVLOG_H

#include "crypt/merkle.h"
#include "store/db.h"

struct evlog;

struct evlog_config {
    struct db *db;         /* borrowed, outlives the log */
    const char *dir;       /* DIR/log, made when missing */
    const char *vkey_path; /* DIR/trust/log.pub; NULL: signatures of checkpoints are not looked at (tests) */
    int64_t slot;          /* this node */
    int64_t quiet_ms;      /* pause between two heads; 0: none */
};

#define EVLOG_BATCH 2048 /* most events that one evlog_step integrates */

struct evlog_head {
    bool more;               /* events are waiting: call again soon */
    bool sign;               /* send SIGN_HEAD with the two fields below */
    int64_t size;
    struct merkle_hash root;
};

/* CE_ROLLBACK: the published checkpoint is ahead of the database, or of another history: start nothing (the text says what to
 * do). CE_LOG_INCONSISTENT: rows and tree disagree. Missing or damaged tiles are made again from the rows. */
MUST_USE enum err evlog_open(const struct evlog_config *c, struct evlog **out, struct fault *f);
void evlog_close(struct evlog *l); /* NULL is fine */
/* Bounded work. CE_EPOCH: another process has taken the log over: stop. CE_DISK_FULL and CE_IO: nothing changed, try later. */
MUST_USE enum err evlog_step(struct evlog *l, int64_t mono_ms, struct evlog_head *head, struct fault *f);
MUST_USE enum err evlog_head_signed(struct evlog *l, struct span note, struct fault *f);
void evlog_head_failed(struct evlog *l); /* signer gone or refused: the head is offered again by the next evlog_step */

int64_t evlog_size(const struct evlog *l);           /* leaves integrated */
int64_t evlog_published(const struct evlog *l);      /* size of the published checkpoint */
int64_t evlog_repaired(const struct evlog *l);       /* tiles made again at start; > 0: worth an event `repaired` */
int64_t evlog_next_wake_ms(const struct evlog *l, int64_t mono_ms); /* -1: nothing to do before the next commit */

#endif
