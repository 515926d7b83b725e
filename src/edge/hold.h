/* hold.h: the state folder's snapshot and tail, written by cradle-edge alone: what is verified is kept, what is not never replaces what
 * was. The consumer's side is snap/snapfile.h. One thread.
 */
#ifndef CRADLE_EDGE_HOLD_H
#define CRADLE_EDGE_HOLD_H

#include "base/file.h"
#include "crypt/hash.h"
#include "snap/snapfile.h"
#include "wire/snapshot.h"

#define HOLD_POLICIES 4

struct hold {
    char dir[PATH_MAX_LEN];
    uint8_t pub[SNAP_PUB];
    char vector[SNAPSHOT_VECTOR_MAX + 1]; /* "" : nothing is held yet */
    int64_t at_ms, seen_mono_ms;          /* of the newest verified word */
    int64_t made_ms;
    uint32_t n[SNAPSHOT_SETS];            /* keys of each set in the snapshot, enum snapshot_set - 1 */
    int tail_fd;
    int64_t tail_len;                     /* bytes */
    uint8_t policy[SNAPSHOT_KEY], policy_before[SNAPSHOT_KEY]; /* named by the state, and by the one before */
    uint8_t policy_new[HOLD_POLICIES][SNAPSHOT_KEY];           /* came last, whether named or not */
    unsigned n_policy_new;
    int64_t policy_stored_ms;                                  /* when the one that is named was written, ms since 1970 */
    int new_fd;                           /* snapshot that is arriving, -1 none */
};

/* Takes up what the folder holds: a valid snapshot and its tail, cut after the last frame that verifies. A folder without a valid
 * snapshot is CE_OK with an empty vector (f->text says why, when there was a bad one). CE_IO. */
MUST_USE enum err hold_open(struct hold *h, const char *dir, const uint8_t pub[SNAP_PUB], struct fault *f);
void hold_close(struct hold *h);

/* A snapshot arrives: header (CE_BAD_SIGNATURE, CE_VECTOR_LOWER), body in pieces; with the last one it is verified whole and put in
 * force by rename, with a new tail. CE_NOT_FOUND: it names a policy document that has not come. On any error it is dropped and the old one stays. */
MUST_USE enum err hold_snapshot(struct hold *h, const struct snapshot_header *head, struct fault *f);
MUST_USE enum err hold_body(struct hold *h, struct span bytes, bool last, struct fault *f);
/* Stores a policy document (snap/policyfile.h), durably. Its meaning is not judged: a newer one than we understand must stop no revocation.
 * Documents that no state names, and that are not among the last HOLD_POLICIES that came, are removed. CE_IO, CE_DISK_FULL. */
MUST_USE enum err hold_policy(struct hold *h, struct span document, struct fault *f);
void hold_abandon(struct hold *h); /* the connection broke inside a snapshot */
/* Verifies and appends one frame. CE_BAD_SIGNATURE, CE_VECTOR_LOWER, CE_BAD_FRAME (does not follow), CE_NOT_FOUND (names a policy document that
 * has not come), CE_IO, CE_DISK_FULL. */
MUST_USE enum err hold_frame(struct hold *h, const struct snapshot_frame *fr, struct fault *f);

#endif
