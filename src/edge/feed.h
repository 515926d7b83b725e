/* feed.h: cuts the bytes of GET /edge/v1/stream into policy documents, a snapshot and frames, as they arrive in any pieces. Pure: no files, no
 * signatures (hold.h judges those). Holds at most one of them, of a snapshot its header; a snapshot's body passes through.
 */
#ifndef CRADLE_EDGE_FEED_H
#define CRADLE_EDGE_FEED_H

#include "wire/snapshot.h"

struct feed {
    struct buf pending; /* start of a header, frame or document that is not whole yet */
    size_t body_left;   /* bytes of the snapshot's body still to come */
};
struct feed_calls { /* an error of a call ends feed_put with it */
    enum err (*on_policy)(void *arg, struct span document);
    enum err (*on_snapshot)(void *arg, const struct snapshot_header *h);
    enum err (*on_body)(void *arg, struct span bytes, bool last); /* last may come with no bytes */
    enum err (*on_frame)(void *arg, const struct snapshot_frame *fr);
    void *arg;
};

void feed_init(struct feed *fd);
void feed_free(struct feed *fd);
/* CE_BAD_FRAME: neither a document, a snapshot nor a frame; the connection is of no use any more. */
MUST_USE enum err feed_put(struct feed *fd, struct span bytes, const struct feed_calls *calls);

#endif
