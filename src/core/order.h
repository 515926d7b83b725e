/* core/order.h: what one device is to install, from the decision to its last report: the order (device_order), the directive that the signer
 * makes of it, and what follows from reports. Who gets an order, and when, is rollout.h.
 *
 * An order is durable before its directive is signed, so that no sequence number is ever used twice. A directive that ended, or whose
 * device has a new key, is made anew with the same number.
 */
#ifndef CRADLE_CORE_ORDER_H
#define CRADLE_CORE_ORDER_H

#include "core/batch.h"
#include "core/device.h"
#include "store/order.h"
#include "store/update.h"

enum order_state {
    ORDER_NONE, ORDER_ORDERED, ORDER_OFFERED, ORDER_DOWNLOADING, ORDER_INSTALLED, ORDER_CONFIRMED, ORDER_FAILED, ORDER_ROLLED_BACK, ORDER_REFUSED,
    ORDER_POSTPONED, ORDER_DECLINED, ORDER_SILENT, ORDER_CANCELLED, ORDER_RESET,
    ORDER_STATES
};
const char *order_state_name(enum order_state s);
bool order_state_parse(struct span name, enum order_state *out);
bool order_state_open(enum order_state s);                  /* the device is still to carry it out */
bool order_state_allowed(enum order_state from, enum order_state to);

struct order {
    struct order_row row;
    enum order_state state;     /* ORDER_NONE: the device never had one */
    bool reset;                 /* action reset */
    struct release_row release; /* of an install */
};
MUST_USE enum err order_get(struct batch *b, struct span uid, struct order *out, struct fault *f);
/* A new order in the place of o, whose number it follows. release NULL: a factory reset. rollout empty: for this device alone. */
MUST_USE enum err order_make(struct batch *b, struct order *o, const struct release_row *release, struct span rollout, int64_t wave, struct span note,
                             struct span by, struct fault *f);
/* Moves it, with the event of its new state; the caller has asked order_state_allowed. until_ms: of a postponement. */
struct order_word { struct span version, reason, text; int64_t until_ms; };
/* The event of a move alone; order_move makes it too. */
void order_event(struct batch *b, const struct order *o, enum order_state to, const struct order_word *w);
#define ORDER_KEY_GONE "key-gone" /* reason of a reset that is told by the identity that came after */
MUST_USE enum err order_move(struct batch *b, struct order *o, enum order_state to, const struct order_word *w, struct fault *f);

/* May the device of this model have the release at all? CE_BAD_FIELD: why not. */
MUST_USE enum err order_fits(struct batch *b, const struct device *d, const struct release_row *r, struct fault *f);

/* order_sign.c: its directive for the key spki. */
bool order_signed(const struct batch *b, const struct order *o, struct span spki); /* there is one that is good for long enough */
/* done(b, data, o, f) is called in the batch that stored it, or with o NULL and the reason; exactly once, unless the batch that asks does not
 * commit or the core closes: then drop(data). */
struct order_done {
    void (*fn)(struct batch *b, void *data, const struct order *o, const struct fault *f);
    void (*drop)(void *data);
    void *data;
};
MUST_USE enum err order_sign(struct batch *b, const struct order *o, const struct device *d, struct span spki, struct order_done done, struct fault *f);

/* order_version.c: what a device says it runs. Nothing when it is known. */
MUST_USE enum err order_version_seen(struct batch *b, const struct device *d, const struct order *o, struct span version, struct fault *f);
MUST_USE enum err order_version_confirm(struct batch *b, const struct order *o, struct fault *f);

/* order_seen.c: members of the answer to a poll: line, reported, reason, cancelled. */
void order_seen_put(const struct device *d, const struct order *o, struct json_out *j);

/* metrics_update.c: for the metrics, after the commit. */
void order_count(struct batch *b, enum order_state to); /* it came into this state */
void order_count_poll(struct batch *b);
void order_count_report(struct batch *b);

/* -- operations: order_poll.c, order_report.c, order_ask.c ------------------------------------------------------------------------ */
/* What is to do now? Body: docs/updates.md. CE_SIGNER, CE_CLOCK_BACK: try again. */
MUST_USE enum err order_op_poll(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* CE_BAD_FIELD: an unknown state, or a confirmation without a version. */
MUST_USE enum err order_op_report(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* CE_NOT_ORDERED: the device's current order does not name that file. */
MUST_USE enum err order_op_get(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* The same for the device of a token that this site made: CE_UID_UNKNOWN, CE_DEVICE_… besides. */
MUST_USE enum err order_op_of(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* CE_UID_UNKNOWN, CE_LINE_FORBIDDEN, CE_NOT_FOUND (release), CE_BAD_FIELD (it does not fit), CE_DEVICE_…. */
MUST_USE enum err order_op_device(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
MUST_USE enum err order_op_reset(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);

#endif
