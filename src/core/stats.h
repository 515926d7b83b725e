/* stats.h: counters and gauges of the core, since its start. Written by core's one thread; printed by METRICS. */
#ifndef CRADLE_CORE_STATS_H
#define CRADLE_CORE_STATS_H

#include <stdint.h>

#include "base/err.h"

/* Cumulative histogram in powers of two of a microsecond base: bucket i counts what took <= 64 us << i. */
#define STATS_BUCKETS 18
struct stats_histogram {
    uint64_t bucket[STATS_BUCKETS], count, sum_us;
};
static inline void stats_observe(struct stats_histogram *h, int64_t us)
{
    int i = 0;
    while (i < STATS_BUCKETS - 1 && us > ((int64_t)64 << i))
        i++;
    h->bucket[i]++;
    h->count++;
    h->sum_us += (uint64_t)(us < 0 ? 0 : us);
}

#define STATS_ORDERS 14

struct core_stats {
    uint64_t requests, batches, events, batches_failed;
    uint64_t refused[CE_COUNT];
    uint64_t issued_device, issued_infra, renewed, orphans;      /* certificates */
    uint64_t graces, idevid_enrolls, idevids_by_device_ca, idevid_stale_crl;
    uint64_t revoked_certs, blocked_devices, ocsp_answers, crl_published, frames;
    uint64_t signer_asked, signer_failed;
    uint64_t polls, reports, orders[STATS_ORDERS];               /* of updates; orders: that came into each enum order_state */
    int64_t queue_depth, signer_waiting;                         /* gauges */
    int64_t stream_certs, stream_idents, stream_lines, stream_repair;
    int64_t log_size, log_published;
    int64_t clock_behind_ms;                                     /* > 0: issuing is refused */
    struct stats_histogram commit, request, sign, propagation;   /* propagation: revocation committed -> frame pushed */
};

#endif
