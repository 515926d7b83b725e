/* stream_priv.h: what the files of the revocation stream share. Private to stream*.c; the public face is stream.h. */
#ifndef CRADLE_CORE_STREAM_PRIV_H
#define CRADLE_CORE_STREAM_PRIV_H

#include "core/stream.h"
#include "core/stream_set.h"
#include "crypt/hash.h"
#include "wire/snapshot.h"

#define STREAM_WAITERS_MAX 256      /* subscribers waiting for a snapshot */
#define STREAM_HASH_SLICE (2u << 20) /* bytes of a snapshot hashed in one go */
#define STREAM_RETRY_MS 200         /* after the signer failed */
#define STREAM_SWEEP 500            /* revoked certificates looked at for having ended, each heartbeat */

struct stream_frame {               /* one published frame */
    struct span bytes;              /* owned */
    char *prev;                     /* owned; vector that it applies to */
};

struct stream_policy {              /* a policy document */
    struct buf item;                /* owned; as the stream carries it; empty: none */
    uint8_t key[SNAPSHOT_KEY];
};

enum stream_snap_state { SNAP_NONE, SNAP_HASHING, SNAP_AT_SIGNER, SNAP_READY };
struct stream_snap {
    enum stream_snap_state state;
    char vector[SNAPSHOT_VECTOR_MAX + 1];
    struct buf policy, body, header; /* owned; policy: the item of the document that the body names */
    uint32_t n[SNAPSHOT_SETS];
    struct sha256 hash;
    uint8_t digest[SHA256_LEN];     /* of body, once hashed */
    size_t hashed;                  /* bytes of body */
    int64_t at_ms;
};

struct stream_waiter {
    struct stream_waiter *next;
    struct reply_to to;
};

struct stream {
    struct core *core;
    bool running;                   /* the first tick has set the head */
    struct stream_set sets[SNAPSHOT_SETS];     /* enum snapshot_set - 1; of policies: the one that the newest frame asked for names */
    struct stream_policy policy;    /* as committed last */
    struct stream_policy published; /* as named by the head */
    struct stream_policy flying;    /* brought by the frame at the signer; empty: it leaves the policy alone */
    struct buf pending, flight;     /* entries: not in a frame yet; in the frame at the signer */
    int64_t pending_us, flight_us;  /* monotonic: when their oldest change was committed */
    bool at_signer;
    char head[SNAPSHOT_VECTOR_MAX + 1];        /* vector of the last published frame */
    char flight_vector[SNAPSHOT_VECTOR_MAX + 1];
    int64_t last_ms, retry_ms;      /* monotonic: last frame asked for; not before */
    struct stream_frame ring[STREAM_RING];     /* the newest n_ring, oldest at ring_first */
    size_t ring_first, n_ring, ring_bytes;
    bool ring_torn;                 /* frames that lead away from the head had to go: from there only a snapshot leads on */
    struct stream_snap snap;
    bool snap_wanted;
    struct stream_waiter *waiters;  /* owned */
    size_t n_waiters;
    uint8_t sweep_kid[20], sweep_serial[20];   /* where the search for ended certificates goes on */
    size_t sweep_kid_n, sweep_serial_n;
};

/* stream_frame.c: asks for the next frame when one is due. */
void stream_frame_step(struct batch *b, struct stream *s);
void stream_ring_clear(struct stream *s);
bool stream_changed(const struct stream *s); /* something waits for a frame */
void stream_policy_start(struct stream *s); /* the committed document is the one in force: nobody has seen another */
/* Appends the frames that lead from vector to the head; false when the ring does not hold them. */
bool stream_ring_since(const struct stream *s, struct span vector, struct buf *out);

/* stream_snap.c: makes the snapshot that subscribers wait for, and answers them. */
void stream_snap_step(struct batch *b, struct stream *s);
void stream_snap_anchor(struct batch *b, struct stream *s, const char *vector); /* the sets are exactly those of vector now */
void stream_snap_clear(struct stream *s);

#endif
