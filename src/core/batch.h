/* batch.h: what code inside the engine sees: the batch it runs in, events, effects that leave after the commit, operations
 * (answers to messages) and parts (modules with state of their own and periodic work).
 *
 * A batch is one transaction. Each operation runs in a savepoint: when it returns an error, its rows, events and effects are
 * undone, the caller gets the error, and the refusal becomes evidence. An error of the database itself (db_err_fatal) undoes
 * the whole batch, and everybody in it gets that error.
 * A read batch (writing == false) has no transaction: no events, no writes; its effects leave at its end.
 */
#ifndef CRADLE_CORE_BATCH_H
#define CRADLE_CORE_BATCH_H

#include "base/json.h"
#include "core/core.h"
#include "core/stats.h"
#include "crypt/ca_set.h"
#include "crypt/hash.h"
#include "store/db.h"

struct batch {
    struct core *core;
    struct db *db;
    struct arena *arena;   /* dies with the batch */
    int64_t now_ms;        /* wall clock, the same for everything in the batch */
    int64_t mono_ms;
    bool writing;
    struct batch_work *work; /* the engine's own */
};

/* -- events (evidence): kinds and payload fields in wire/event.def ------------------------------------------------------------ */
enum event_kind {
#define EVENT(UPPER, name, fields, text) EVENT_##UPPER,
#include "wire/event.def"
#undef EVENT
    EVENT_KINDS
};
const char *event_name(enum event_kind k);

/* Begins an event whose payload starts with at, kind and, when device is not empty, device and rev; the caller adds the fields of
 * event.def in that order with json_*, then event_end. rev: the device's new rev when this event changed the device, else 0. */
struct json_out *event_begin(struct batch *b, enum event_kind k, struct span device, int64_t rev);
void event_end(struct batch *b);
/* "slot:nseq" that the newest event of this batch will have once it is committed. In the arena. */
struct span batch_event_last(struct batch *b);

/* -- effects: leave after the commit, in the order given; spans must live until the end of the batch (arena, or longer) ------- */
struct reply_to {              /* an answer that is due; plain data, copy it freely */
    int peer;
    uint32_t generation;
    uint64_t rid;
    uint16_t type;             /* of the request */
    char who[65], addr[65], idem[65];
    uint8_t digest[32];
};
/* Inside an operation: the answer will come later. The operation then returns CE_OK and leaves its msg_reply alone. */
void batch_defer(struct batch *b, struct reply_to *to);
void batch_reply(struct batch *b, const struct reply_to *to, const struct msg_reply *r);
/* Answers with the fault and records the refusal as evidence. uid: as far as known, may be empty. */
void batch_refuse(struct batch *b, const struct reply_to *to, const struct fault *f, struct span uid);
void batch_push(struct batch *b, int peer, uint16_t type, struct span body); /* peer -1: all */
void batch_push_msg(struct batch *b, int peer, const struct msg_desc *d, const void *m);

/* Asks the signer. done.fn is called in a later write batch, exactly once, unless the batch that asks does not commit or the core
 * closes: then done.drop (may be NULL) is called instead. m->code is CE_SIGNER when the signer died or timed out.
 * What fn returns: CE_OK, or an error of the database, which undoes that batch (fn is not called again: close what is open
 * through batch_then). */
struct sign_done {
    enum err (*fn)(struct batch *b, void *data, const struct msg_signed *m);
    void (*drop)(void *data);
    void *data;
    bool read_only;   /* fn writes nothing: it is called in a read batch at once and waits for no commit (OCSP, frames, heads) */
    bool patient;     /* the answer may wait as OP_PATIENT does */
};
void batch_sign(struct batch *b, uint16_t type, struct span body, struct sign_done done);
void batch_sign_msg(struct batch *b, const struct msg_desc *d, const void *m, struct sign_done done);
/* fn(data, true) after the commit of this batch, fn(data, false) when what was done here is undone (savepoint or batch). */
void batch_then(struct batch *b, void (*fn)(void *data, bool committed), void *data);
/* CE_CLOCK_BACK while the wall clock is behind the last event: call before deciding to issue or sign anything that is dated. */
MUST_USE enum err batch_clock_check(struct batch *b, struct fault *f);

/* -- signatures by the CAs' keys: the signer counts them, and every number of a run is in the evidence, so that none is made unseen -- */
struct ca_signature {
    uint8_t kid[20], run[8];
    int64_t counter;           /* 0: none */
};
struct ca_signature ca_signature_of(const struct msg_signed *m);                 /* none when another key signed, or on an error */
void ca_signature_put(struct json_out *j, const struct ca_signature *s);         /* the fields run and counter */
/* Nobody gets what was signed: event signature-unused in the next batch. Does nothing with none. why: a literal. */
void ca_signature_unused(struct core *core, const struct ca_signature *s, const char *why);

/* -- who asks ------------------------------------------------------------------------------------------------------------------ */
struct caller {
    const struct msg_caller *m;
    int kind;                /* enum caller_kind, judged anew from the certificate's row */
    unsigned role;           /* one bit of enum route_role; R_DEVICE for devices; 0: nobody known */
    struct span name;        /* operator name or UID; empty: nobody known */
    struct span lines;       /* comma-separated; empty: all */
    int64_t not_before, not_after; /* of its certificate, s */
};
/* Finds out who m is from the register; CE_NO_CERT, CE_CERT_…, CE_OPERATOR_REMOVED, CE_DEVICE_… as the rows say. */
MUST_USE enum err authz_caller(struct batch *b, const struct msg_caller *m, struct caller *out, struct fault *f);
MUST_USE enum err authz_roles(const struct caller *c, unsigned roles, struct fault *f);       /* CE_ROLE_FORBIDDEN */
MUST_USE enum err authz_line(const struct caller *c, struct span line, struct fault *f);      /* CE_LINE_FORBIDDEN */

/* -- operations: one row of core/ops.def a message ------------------------------------------------------------------------------- */
enum op_flags {
    OP_READ = 1,       /* runs in a read batch, before and beside the writes; answered at once */
    OP_ANYBODY = 2,    /* no caller needed: authz_caller is not asked (OCSP, metrics, reports of front itself) */
    OP_SILENT = 4,     /* front expects no reply */
    OP_IDEM = 8,       /* takes an Idempotency-Key */
    OP_DATED = 16,     /* refused while the clock is behind */
    OP_PATIENT = 32,   /* may wait linger_ms for others of its kind (core.h) */
};
struct op {
    uint16_t type;
    const struct msg_desc *desc;
    unsigned flags, roles; /* roles: mask of enum route_role */
    enum err (*fn)(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
};
const struct op *op_find(uint16_t type);

/* -- parts: one row of core/parts.def each, in order of opening --------------------------------------------------------------------- */
struct core_part {
    const char *name;
    /* Makes the state; the database is open and owned by this process. */
    enum err (*open)(struct core *core, void **state, struct fault *f);
    void (*close)(void *state);
    /* Starts its threads (core_threads); what they have done is taken by tick, after the core's wake fd. */
    enum err (*threads)(void *state, struct fault *f);
    /* In a write batch at start, before the first request: repairs. Errors stop the start. */
    enum err (*start)(struct batch *b, void *state, struct fault *f);
    /* In a read batch, at least every time next_ms came, after each commit and after each batch of reads that changed its state
     * (core_wake). May sign and push. *next_ms: next wake (monotonic). Returns true to have work() called in a write batch now. */
    bool (*tick)(struct batch *b, void *state, int64_t *next_ms);
    enum err (*work)(struct batch *b, void *state, struct fault *f);
    /* A front opened (read batch): its initial pushes. */
    void (*peer)(struct batch *b, void *state, int peer);
    void (*metrics)(void *state, struct core_stats *s);
};
enum core_part_id { CORE_PART_CERT, CORE_PART_STREAM, CORE_PART_CRL, CORE_PART_EVLOG, CORE_PART_PRESENCE, CORE_PART_CLONE, CORE_PART_UPDATE, CORE_PART_ROLLOUT, CORE_PART_ENROLL, CORE_PART_CMP, CORE_PART_ATTEST, CORE_PART_MASS, CORE_PART_CRYPTO_FILL, CORE_PARTS };
void *core_part(const struct core *core, enum core_part_id id); /* its state; NULL when it is not open */

/* -- the core, for its own code ------------------------------------------------------------------------------------------------------ */
const struct core_config *core_config(const struct core *core);
struct db *core_db(const struct core *core);
struct core_stats *core_stats(struct core *core);
void core_wake(struct core *core);                            /* call every part's tick soon */
int64_t core_epoch(const struct core *core);                  /* of this node: how often core took it over */
int64_t core_nseq(const struct core *core);                   /* of this node, as committed */
/* Vector text "slot:nseq,…" as committed, in the arena. */
MUST_USE enum err core_vector(struct core *core, struct arena *a, struct span *out, struct fault *f);
/* A CA of the site, as it is now (core/ca.h): false when there is none. Spans live as long as the core. */
struct core_ca {
    struct span name, kid, der;
    enum ca_use use;
    enum ca_state state;
    unsigned reenroll;         /* compromised: so many of a hundred devices may renew */
    int64_t changed_at;        /* ms; of the state */
    int64_t not_after;         /* s */
    uint8_t spki[SHA256_LEN];  /* SHA-256 of its SubjectPublicKeyInfo */
};
bool core_ca(const struct core *core, struct span name, struct core_ca *out);
bool core_ca_by_kid(const struct core *core, struct span kid, struct core_ca *out);

#endif
