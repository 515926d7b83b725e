/* snapfile.h: the consumer's side of the revocation snapshot on disk (include/cradle/snapshot.h): maps revocation.snap read-only,
 * verifies it once, keeps what the tail's frames changed in a small table, follows both files and the policy document that they name. Used
 * by the Mosquitto plugin, by cradle-edge, and by libcradle-edge. It writes nothing.
 *
 * Threads: snap_has and the getters may run in any thread while one thread at a time calls snap_poll.
 */
#ifndef CRADLE_SNAP_SNAPFILE_H
#define CRADLE_SNAP_SNAPFILE_H

#include <cradle/snapshot.h>

#include "base/file.h"
#include "snap/policyfile.h"

#define SNAP_FILE "revocation.snap"
#define SNAP_TAIL "revocation.tail"
#define SNAP_TAIL_MAX (64u << 20) /* bytes; a tail that is larger is not followed */
#define SNAP_PUB 32               /* bytes of the stream's Ed25519 public key */

struct snap; /* opaque, owned by the caller of snap_open */

/* Reads a file with the base64 of 32 bytes (trust/stream.pub). CE_NOT_FOUND, CE_BAD_BASE64, CE_BAD_INPUT. */
MUST_USE enum err snap_read_pub(const char *path, uint8_t pub[SNAP_PUB], struct fault *f);

/* Opens DIR/revocation.snap and follows DIR/revocation.tail as far as it verifies. CE_NOT_FOUND, CE_BAD_FRAME,
 * CE_BAD_SIGNATURE, CE_IO; f names the file and what to do. */
MUST_USE enum err snap_open(const char *dir, const uint8_t pub[SNAP_PUB], struct snap **out, struct fault *f);
void snap_close(struct snap *s); /* NULL is legal */

struct snap_news {
    bool policy;         /* another policy document is in force */
    bool replaced;       /* another snapshot is in force: judge everybody again */
    int frames;          /* frames applied, heartbeats included */
    int64_t frame_at_ms; /* at_ms of the newest of them, or of the snapshot that replaced them */
};
/* set is enum snapshot_set, op enum snapshot_op; key has SNAPSHOT_KEY bytes; at_ms of its frame. Called without locks held. */
typedef void snap_entry_fn(void *arg, unsigned set, unsigned op, const uint8_t *key, int64_t at_ms);
/* Looks for a new snapshot, new frames and the policy document that they name; verified ones take effect before on_entry is told. CE_OK also when nothing is new.
 * CE_BAD_SIGNATURE, CE_VECTOR_LOWER, CE_BAD_FRAME, and as policyfile_load: the last good state stays in force and f says which file is bad (told again
 * on every call while it stays so). */
MUST_USE enum err snap_poll(struct snap *s, snap_entry_fn *on_entry, void *arg, struct snap_news *news, struct fault *f);

bool snap_has(struct snap *s, enum snapshot_set set, const uint8_t key[SNAPSHOT_KEY]); /* < 1 us */
/* Age in ms of the newest verified word of the stream: the larger of wall clock - at_ms and the monotonic time since a frame with a
 * higher at_ms was seen, so that neither a replayed tail nor a wall clock set back makes old look fresh. */
int64_t snap_age_ms(struct snap *s);
void snap_vector(struct snap *s, char out[SNAPSHOT_VECTOR_MAX + 1]);

struct snap_info {
    uint32_t n[SNAPSHOT_SETS];           /* keys of each set in the mapped file, enum snapshot_set - 1 */
    uint64_t overlay;                    /* entries changed by the tail */
    int64_t made_ms, at_ms;              /* snapshot made; newest verified word */
    int64_t tail_good;                   /* bytes of the tail that verified (the edge cuts it there) */
    bool tail_matches;                   /* the tail belongs to this snapshot */
    uint8_t header_sha256[32];
    uint8_t policy_key[SNAPSHOT_KEY];    /* of the policy document that the state names */
    int64_t policy_stored_ms;            /* when the edge stored the one in force; 0: there is none */
    enum err policy_err;                 /* why the one that is named is not in force; CE_OK: it is */
};
void snap_info(struct snap *s, struct snap_info *out); /* in the polling thread */

/* The policy document in force, with a reference for the caller (policyfile_drop). NULL: there has been no good one yet, f says why. */
struct policyfile *snap_policy_take(struct snap *s, struct fault *f);
uint64_t snap_policy_turn(struct snap *s); /* another number when another document is in force: time to take it. 0: none yet. Lock-free */

#endif
