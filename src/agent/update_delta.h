/* update_delta.h: an update as differences to the installed file, fetched and applied (cradle/delta.h). Whatever ends it, the blocks before the one that
 * is due are right, and the rest can be had as the whole file. About 6.5 MiB of memory while it runs. */
#ifndef CRADLE_AGENT_UPDATE_DELTA_H
#define CRADLE_AGENT_UPDATE_DELTA_H

#include "agent/update_order.h"
#include "net/net.h"

struct delta_job {
    struct net *net;
    const struct update_order *order;       /* with a block list */
    const struct update_installed *from;    /* the file that is installed */
    const char *from_path;                  /* where it lies: a file or a block device */
    struct span list;                       /* the block list, verified */
    int64_t at;                             /* bytes that are in place */
    int64_t min_rate, stall_s, wait_s;      /* wait_s: how long a delta is waited for that is being made */
    /* A verified block for its place. CE_DRAINING, CE_STORE, CE_DISK_FULL end the work. */
    enum err (*write)(void *arg, int64_t at, struct span block);
    bool (*stopped)(void *arg);
    void *arg;
};
/* CE_OK: every block is in place. CE_NOT_FOUND: there is no delta. */
MUST_USE enum err update_delta(const struct delta_job *j, struct fault *f);

#endif
