/* run.h: the agent's daemon loop and its state. One thread, one poll(2). */
#ifndef CRADLE_AGENT_RUN_H
#define CRADLE_AGENT_RUN_H

#include "agent/agent.h"
#include "agent/creds.h"
#include "agent/link.h"

#define OUTBOX_MAX 256        /* messages kept while the broker is away; the oldest go first */
#define TELEMETRY_MAX 8192    /* bytes of one telemetry datagram */

struct outbox {
    struct buf item[OUTBOX_MAX];
    unsigned first, count;
    uint64_t dropped; /* pushed out by newer ones, or too large */
};

struct agent {
    struct agent_config cfg;
    struct creds creds;
    enum cradle_phase phase;
    struct link *link;           /* NULL when none */
    enum creds_slot link_slot;   /* whose identity the link uses */
    bool link_reported;          /* this link's coming up was acted upon */
    int64_t renew_at_s;          /* wall clock; 0: unknown */
    int64_t not_after_s;
    int64_t next_est_ms, next_link_ms, next_heartbeat_ms, next_check_ms; /* monotonic */
    unsigned est_attempts, link_attempts, candidate_refusals;
    int64_t next_trust_ms;       /* monotonic; 0: not known yet */
    unsigned trust_attempts;
    int64_t started_ms;
    uint64_t published, swaps;
    int telemetry_fd, lock_fd;
    struct outbox outbox;
    const char *config_path;     /* borrowed */
    pid_t update_pid;            /* the update client; 0: none */
    int64_t next_update_ms, next_reset_ms;
    unsigned update_attempts, reset_attempts;
    bool restart;                /* the command `reset` came: the loop ends, the program starts anew */
};

/* Locks the state folder, opens it. CE_EXISTS when another agent runs on it. */
MUST_USE enum err agent_open(struct agent *a, struct fault *f);
void agent_close(struct agent *a);
/* Works until SIGTERM or SIGINT; SIGUSR1 asks for a renewal now. */
void agent_loop(struct agent *a);
/* Makes the device's key when there is none. */
MUST_USE enum err agent_key(struct agent *a, struct fault *f);
/* One step of identity work (key, enrollment, renewal, candidate) as the phase says. force: renew although not due.
 * CE_OK when nothing is left to do now. */
MUST_USE enum err agent_identity(struct agent *a, bool force, struct fault *f);
/* Blocks until the identity is settled (a certificate, no open candidate) or limit_ms have passed; for the one-shot verbs. */
MUST_USE enum err agent_settle(struct agent *a, bool force, int64_t limit_ms, struct fault *f);
/* Full-jitter wait before attempt number `attempt` (from 0), as configured. */
int64_t agent_backoff_ms(const struct agent *a, unsigned attempt);
/* Queues a message for the topic d/UID/up/WHAT. */
void agent_publish(struct agent *a, const char *what, struct span payload);
/* A message on d/UID/down/#: commands report and reset. */
void command_take(struct agent *a, const char *topic, struct span payload);
/* The report as JSON: identity, version, uptime, counters. */
void command_report(struct agent *a, struct span id, struct buf *out);

#endif
