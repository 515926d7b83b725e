/* wait.h: waiting until every edge has taken a decision over and the sessions of its devices are closed, with how long each took: from
 * the decision to when the server was told, by the server's clock alone (an upper bound), and what of it the host itself took, by the
 * host's clock alone. No difference of two clocks is ever shown.
 */
#ifndef CRADLE_CLI_WAIT_H
#define CRADLE_CLI_WAIT_H

#include "base/name.h"
#include "cli/cli.h"

struct wait_host {
    char name[LABEL_MAX + 1];
    bool acked;
    int64_t after_ms, own_us;          /* acknowledged: after the decision, and the host's own part of it */
    int64_t cuts, last_cut_ms;         /* sessions closed there; the last of them after the decision */
};
struct wait {
    struct cli *c;
    int64_t slot, nseq, at_ms;         /* the newest decision */
    bool quiet;                        /* one line a host at the end, not one for each thing */
    struct wait_host *hosts;           /* owned */
    size_t n, nacked;
    int64_t ncut, slowest_ms;          /* of everything that came */
    json_t *devices;                   /* owned: UID -> when it was decided about, ms: whose cuts count */
    char after[64];                    /* vector to go on from */
};

/* Reads who the edges are. */
MUST_USE enum err wait_open(struct cli *c, struct wait *w, struct fault *f);
void wait_close(struct wait *w);       /* for CLEANUP */
/* A decision about these UIDs ("slot:nseq", RFC 3339), later than those told before. CE_BAD_JSON: the service said neither. */
MUST_USE enum err wait_for_decision(struct wait *w, const char *decided, const char *decided_at, const char *const *uids, size_t n, struct fault *f);
/* Waits until every edge has acknowledged, then for cuts until none has come for a while (cuts false: not for any). CE_TIMEOUT names the
 * hosts that did not, and what is known of them. */
MUST_USE enum err wait_run(struct wait *w, int64_t limit_ms, bool cuts, struct fault *f);
/* Array: {edge, acked, after_ms, host_ms, cuts, last_cut_ms}; -1 or absent: it did not. */
json_t *wait_json(const struct wait *w);

#endif
