/* engine.h: the inside of the engine, shared by core.c, batch.c, step.c, refusal.c, line_held.c and metrics.c only.
 * Everybody else sees core.h and batch.h. */
#ifndef CRADLE_CORE_ENGINE_H
#define CRADLE_CORE_ENGINE_H

#include "core/batch.h"
#include "core/device.h"
#include "core/drill.h"
#include "core/line.h"
#include "core/token.h"
#include "store/node.h"

/* What waits for a batch: a front's request, or the signer's answer with whom it belongs to. */
struct item {
    struct item *next;
    bool is_signed;
    bool patient;              /* may wait for others of its kind: queue.c */
    int peer;
    uint32_t generation;
    uint64_t rid;
    uint16_t type;
    int64_t queued_us;
    struct sign_done done;     /* is_signed */
    struct msg_signed answer;  /* is_signed; spans into bytes and signature */
    struct ca_signature signature; /* is_signed */
    struct span body;          /* into bytes */
    uint8_t bytes[];
};
struct item_list { struct item *head, **tail; size_t n, n_patient; };
/* queue.c */
void queue_init(struct item_list *l);
void queue_put(struct item_list *l, struct item *it);
struct item *queue_pop(struct item_list *l); /* NULL: empty */
int64_t queue_ripe_us(const struct core *core, int64_t mono_us); /* when a batch of the writes that wait is due, now at the earliest */

enum effect_kind { EFFECT_REPLY, EFFECT_SIGN, EFFECT_PUSH, EFFECT_THEN };
struct effect {
    enum effect_kind kind;
    bool of_item;              /* reply of an operation of this batch: the batch answers it itself when it fails */
    int peer;
    uint32_t generation;
    uint64_t rid;
    uint16_t type;
    struct span body;
    struct msg_reply reply;
    struct sign_done done;
    void (*then)(void *data, bool committed);
    void *data;
};
struct pending_event { enum event_kind kind; int64_t rev; struct span device, payload; };

struct batch_work {
    struct arena arena;
    struct effect *effects;    /* owned array */
    size_t neffects, effects_cap;
    struct pending_event *events; /* owned array */
    size_t nevents, events_cap;
    struct buf payload;        /* of the event being built */
    struct json_out json;
    struct pending_event building;
    bool is_building;
    const struct item *item;   /* the request being answered */
    const struct caller *caller;
    const struct msg_caller *from;
    bool deferred;
    int64_t states[DEVICE_STATES]; /* changes of the number of devices in each state */
    bool lines_written;        /* line_held.c: memory of lines is not to be filled in this batch */
    struct fault late;         /* an error of the database in a function that returns none; ends the batch */
};
/* line_held.c */
void lines_forget(struct core *core);
/* ca_signature.c: the events that are due. */
void ca_signatures_write(struct batch *b);
/* Where an operation began, to undo it. */
struct batch_mark { size_t neffects, nevents; int64_t states[DEVICE_STATES]; };

/* ahead: at a token, and in the way of an enrollment that comes now. */
struct sign_slot { struct sign_done done; int64_t due_ms, asked_us; bool open, in_token, ahead; };
struct peer {
    int id;
    uint32_t generation;
    bool open;
    uint64_t *counts;          /* owned; FRONT_COUNTS of core/front_counts.h; NULL: none have come */
};

#define CORE_LINES 256
struct held_line { struct line line; struct arena arena; bool known; }; /* spans in its arena */
#define CORE_BLOCKS 256 /* batches that an edge may be behind and still have each of its acknowledgements recorded */
struct core {
    struct core_config cfg;    /* strings owned */
    struct core_ports ports;
    struct db *db;             /* owned */
    struct node node;
    int64_t blocks[CORE_BLOCKS]; /* ring: the last event that cut somebody off, or changed the policy of brokers, in each of the newest batches that did, or where this process began */
    size_t next_block;
    int64_t unknown_events;    /* events of a commit whose outcome is not known; 0: none */
    struct core_stats stats;
    int64_t devices[DEVICE_STATES];
    struct arena arena;        /* what lives as long as the core */
    struct core_ca cas[CA_SET_MAX]; /* core/ca.h */
    size_t ncas;
    struct core_token tokens[CORE_TOKENS];
    size_t ntokens;
    int64_t token_asked, token_ahead; /* open slots of requests to tokens; those of them that are ahead */
    struct held_line lines[CORE_LINES]; /* line_held.c */
    struct item_list reads, writes;
    struct peer *peers;        /* owned array */
    size_t npeers;
    uint32_t generation;
    struct sign_slot *slots;   /* owned ring; slot of token t at t & (nslots - 1) */
    size_t nslots;
    uint64_t token_first, token_next; /* open tokens are in [first, next) */
    void *parts[CORE_PARTS];
    int64_t part_next_ms[CORE_PARTS];
    bool part_wants[CORE_PARTS];
    struct unused_signature { struct ca_signature signature; const char *why; } *unused; /* owned array: events are due */
    size_t n_unused, unused_cap, unused_written; /* the last: those of the batch that is open */
    bool wake;
    int wake_fd;               /* owned eventfd, written by threads of parts */
    struct refusals *refusals; /* owned */
    int64_t retry_ms;          /* no batch of our own making before this (the database failed) */
    int64_t tidy_ms;           /* next removal of old answers and reports */
    int64_t last_at;           /* greatest `at` of an event, ms */
    int64_t site_at;           /* when the first event of this stream was written, ms */
    struct drill_last drill;
    bool clock_behind, draining;
    struct fault dead;         /* code != CE_OK: this process must stop */
    int64_t started_ms;
};

/* batch.c */
void batch_open(struct core *core, struct batch *b, struct batch_work *w, bool writing);
void batch_close(struct batch *b);
struct batch_mark batch_mark(const struct batch *b);
void batch_undo(struct batch *b, struct batch_mark m);
MUST_USE enum err batch_write_events(struct batch *b, struct fault *f);
void batch_leave(struct batch *b);                       /* effects go out */
void batch_fail(struct batch *b, const struct fault *f); /* effects are dropped, older requests answered with f */
void batch_reply_error(struct core *core, int peer, uint32_t generation, uint64_t rid, const struct fault *f);

/* request.c: runs it; the answer is an effect of the batch. Returns only errors that end a write batch. */
MUST_USE enum err item_run(struct batch *b, const struct item *it, struct fault *f);

/* step.c */
const struct core_part *part_find(enum core_part_id id); /* NULL: not built in */
/* One write batch of what waits (items NULL: only fn). fn (may be NULL) runs first. */
MUST_USE enum err core_write(struct core *core, struct item_list *items, enum err (*fn)(struct batch *b, void *ctx, struct fault *f),
                             void *ctx, struct fault *f);
bool core_wants_write(const struct core *core, int64_t mono_ms);

/* refusal.c: refusals as evidence, repeats within refusal_window_ms counted */
#define REFUSAL_MAX 256        /* kinds told apart in a window */
#define REFUSAL_EDGE_MAX 1024 /* events that one edge may cause in a window; more than its tallies let through */
struct refusals *refusals_new(void);
void refusals_free(struct refusals *r);
void refusal_note(struct batch *b, enum err code, const char *text, struct span who, struct span addr, struct span uid, const char *op);
/* An edge reports it: written at once, or counted when the edge has reported too much. */
void refusal_reported(struct batch *b, struct span edge, const struct msg_report *r);
void refusals_close(struct refusals *r);                 /* all windows: what is counted is written with the next batch */
bool refusals_due(const struct refusals *r, int64_t mono_ms);
int64_t refusals_next_ms(const struct refusals *r);      /* INT64_MAX: none */
void refusals_write(struct batch *b);


#endif
