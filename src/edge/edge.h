/* edge.h: what cradle-edge's three threads share. main: signals, report socket, status. stream: follows cradled's stream and owns the
 * hold. post: sends spooled reports. They meet in the spool and in struct edge_view.
 */
#ifndef CRADLE_EDGE_EDGE_H
#define CRADLE_EDGE_EDGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/config.h"
#include "edge/hold.h"
#include "edge/spool.h"
#include "net/net.h"

struct edge_config {
#define CFG CONFIG_FIELD
#include "edge/edge.def"
#undef CFG
};

struct edge_view { /* what the status shows; under edge.lock */
    char vector[SNAPSHOT_VECTOR_MAX + 1], url[NET_URL_MAX], trouble[256];
    bool connected;
    int64_t at_ms, seen_mono_ms, made_ms, tail_bytes;
    uint32_t n[SNAPSHOT_SETS];
    uint64_t frames, snapshots, connects;
    char policy[2 * SNAPSHOT_KEY + 1]; /* key of the policy document in force, hex */
    int64_t policy_stored_ms;
    int64_t last_latency_us; /* newest frame with entries: signed -> applied here */
};

struct edge {
    struct edge_config cfg;
    uint8_t pub[SNAP_PUB];
    struct hold hold;       /* stream thread only */
    struct spool *spool;
    atomic_bool stop, reopen; /* reopen: certificates were renewed (SIGHUP) */
    int stop_fd;            /* eventfd, readable from the end on */
    int post_fd;            /* eventfd: the spool has something */
    atomic_ullong authz_let_in, authz_refused, authz_unanswered; /* answers to proxies: 200, 403, 503 */
    pthread_mutex_t lock;
    struct edge_view view;
};

extern const struct config_key edge_keys[];
extern const size_t edge_nkeys;

/* The n-th URL of cfg.urls (wrapping) into a client. Reads certificate and key files anew. url: NET_URL_MAX bytes, which one it is;
 * empty when there is none. Touches nothing that threads share. */
MUST_USE enum err edge_net_open(const struct edge *e, unsigned nth, struct net **out, char *url, struct fault *f);
/* Sleeps ms plus up to half of it, or until the end; returns false at the end. */
bool edge_wait(struct edge *e, int64_t ms);
enum err edge_report(struct edge *e, const struct msg_report *r); /* spools it and wakes the poster; errors as spool_put */
void edge_trouble(struct edge *e, const char *text);          /* "" : all is well */

void *edge_stream_run(void *arg); /* struct edge; a thread each */
void *edge_post_run(void *arg);

int64_t edge_view_age_ms(const struct edge_view *v); /* as snap_age_ms; nothing held: time since the start */
MUST_USE enum err edge_status_write(struct edge *e);
/* Prints STATE_DIR/edge.status for people. CE_NOT_FOUND: no edge runs here; CE_STALE: it is older than it should be. */
MUST_USE enum err edge_status_print(const struct edge_config *cfg, struct fault *f);

#endif
