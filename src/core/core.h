/* core.h: the engine: the only writer of the database, every decision, one thread, no sockets.
 *
 * What goes in: request frames of fronts (body: msg_caller, then the message of msg.def), replies of the signer, the passing of
 * time. What comes out: replies, signer requests and pushes, through `struct core_ports`, never before the commit of the batch
 * that decided them. core_step() runs one batch: begin, fence, each request in turn, number and insert events, commit, effects.
 * The process around it (role/core_role.c) owns the event loop and the channels; tests and benchmarks drive it directly.
 *
 * All calls from one thread (the files of the evidence log are written by another, which calls nothing here); ports are called from inside core_request (refused at once), core_step, core_tick, core_peer_open and
 * core_signer_gone, and must not call back into the core; spans given to them are valid during the call.
 */
#ifndef CRADLE_CORE_CORE_H
#define CRADLE_CORE_CORE_H

#include "wire/ipc.h"
#include "wire/msg.h"

struct core;
struct db;

struct core_ports {
    void *ctx;
    void (*reply)(void *ctx, int peer, uint64_t rid, const struct msg_reply *r);
    void (*sign)(void *ctx, uint16_t type, uint64_t token, struct span body);      /* answer: core_signed with the same token */
    void (*sign_in_token)(void *ctx, uint16_t type, uint64_t token, struct span body); /* the same, of keys in tokens (hsm role); may be NULL */
    void (*push)(void *ctx, int peer, uint16_t type, struct span body);            /* peer -1: every open peer */
    int64_t (*wall_ms)(void *ctx);                                                 /* wall clock; NULL: clock_now_ms */
};

/* Strings are copied. 0 or NULL: the default in brackets. */
struct core_config {
    const char *site;          /* DIR of the site; required */
    const char *why;           /* why this process was started, for the event of its start [""] */
    int64_t slot;              /* node slot [1] */
    int64_t n_shards;          /* CRL shards a CA [16] */
    int64_t queue_max;         /* requests waiting; over it CE_BUSY [8192] */
    int64_t batch_max;         /* requests in one batch [512] */
    int64_t renew_at_pct;      /* a certificate may be renewed from this part of its life [66] */
    int64_t device_validity_s; /* lifetime of device certificates whose line says nothing [365 d] */
    int64_t infra_validity_s;  /* of operators, stations, edges [365 d] */
    int64_t backdate_s;        /* notBefore lies this far in the past [300] */
    int64_t crl_validity_s;    /* [7 d] */
    int64_t crl_refresh_s;     /* [1 d] */
    int64_t ocsp_validity_s;   /* [300] */
    int64_t log_quiet_ms;      /* pause between two log heads [1000] */
    int64_t refusal_window_ms; /* repeats of a refusal within it make one event [60 s] */
    int64_t check_max_mb;      /* the database is checked whole at the start when it is no larger; a larger one as it is read [128] */
    int64_t sign_timeout_ms;   /* a signer request unanswered for so long counts as failed [10 s] */
    int64_t linger_ms;         /* under load, enrollments wait so long for each other, to share a commit; 0: not at all [0] */
    int64_t token_timeout_ms;  /* the same of a request to a token [40 s] */
    int64_t token_queue;       /* requests at tokens; over it, enrollments and OCSP questions for their keys are CE_BUSY [64] */
    int64_t clone_overlap_ms;  /* two sessions open so long at two brokers are two holders, whatever their keepalive [30 min] */
    int64_t clone_look_ms;     /* between two looks at what is open twice [5000] */
    int64_t directive_s;       /* life of an order's directive; in the last seventh of it, it is made anew [7 d] */
    int64_t poll_s;            /* devices are told to ask for updates every [300] */
    int64_t approvals;         /* by others that a rollout needs before it starts [1] */
    int64_t approvals_all;     /* of one whose query is a whole product line [2] */
    int64_t cmp_confirm_s;     /* a certificate given by CMP is confirmed within [300] */
    bool cmp_keep_unconfirmed; /* and stays valid when it is not; otherwise it is revoked */
    int64_t drill_every_s;     /* the status asks for a drill when none has passed for so long; 0: never */
    int64_t enroll_wait_s;     /* an enrollment waits so long for an approval, and an approval for the enrollment [7 d] */
    int64_t enroll_waiting;    /* of one line, so many may wait at once [1000] */
    int64_t mass_confirm;      /* a mass change of more devices than this is confirmed by a second person; without one an operator changes so many in MASS_PACE_MS [100] */
};

/* Opens DIR/db/cradle.db (made from DIR/birth.json at the first start, see birth.h), takes the node slot over (epoch + 1), repairs
 * what a crash left behind. CE_SCHEMA, CE_ROLLBACK, CE_STORE…, CE_BAD_CONFIG (birth.json): the fault says what to do. */
MUST_USE enum err core_open(const struct core_config *c, const struct core_ports *ports, struct core **out, struct fault *f);
/* Legal on NULL; what waits is dropped unanswered: core_drain first. Waits for a thread that writes files, at most some seconds. */
void core_close(struct core *core);

/* A front is there: its initial pushes leave (idents, blocked infrastructure certificates, PUSH_READY). */
void core_peer_open(struct core *core, int peer);
void core_peer_gone(struct core *core, int peer);  /* replies that are still due to it are dropped */

/* Queues a copy. Over queue_max, or draining: an immediate reply CE_BUSY or CE_DRAINING with retry_s. */
void core_request(struct core *core, int peer, const struct ipc_frame *frame);
void core_signed(struct core *core, uint64_t token, const struct msg_signed *m); /* an unknown token is ignored (timed out before) */
void core_signer_gone(struct core *core);          /* everything at the signer fails with CE_SIGNER */
void core_hsm_gone(struct core *core);             /* what tokens were asked fails with CE_TOKEN_LOST; they count as lost until told otherwise (HSM_STATE) */

/* Starts the threads that write files for the core: once, after the process has given up files and before it gives up system calls
 * (role/jail.h). Without it, files are written inside core_step and core_tick: all that a test or a benchmark needs. */
MUST_USE enum err core_threads(struct core *core, struct fault *f);
/* Readable when such a thread has done its work: then call core_step or core_tick, which take it. */
int core_wake_fd(const struct core *core);

bool core_has_work(const struct core *core);       /* core_step would do something */
/* One batch. CE_OK, also after a batch that the database refused (its requests are answered with the reason). CE_EPOCH,
 * CE_STORE_DAMAGED: this process must stop; the fault says why. */
MUST_USE enum err core_step(struct core *core, struct fault *f);
/* Time has passed: periodic work. Errors as core_step. Call when core_next_wake_ms has come, or more often. */
MUST_USE enum err core_tick(struct core *core, int64_t mono_ms, struct fault *f);
int64_t core_next_wake_ms(const struct core *core, int64_t mono_ms);  /* monotonic time; never -1 */

void core_drain(struct core *core);                /* takes no more requests; step until core_idle */
bool core_idle(const struct core *core);           /* nothing queued, nothing at the signer that somebody waits for */

/* Prometheus text, or the status JSON. */
void core_metrics(struct core *core, bool json, struct buf *out);

/* fold(events) = tables? In a copy of the database read-only. CE_LOG_INCONSISTENT names the first difference. */
MUST_USE enum err core_fold_check(struct db *db, struct fault *f);

#endif
