/* update_order.h: the update that this device was ordered to install, from the directive to its end, in a file that survives power loss
 * (UPDATE_DIR/order). One at a time; the newest stays there after its end, so that it is never carried out twice. */
#ifndef CRADLE_AGENT_UPDATE_ORDER_H
#define CRADLE_AGENT_UPDATE_ORDER_H

#include "agent/record.h"
#include "cradle/update.h"

enum order_state {
    ORDER_NONE,
    ORDER_FETCHING,     /* verified metadata; the file is being fetched, or a user is being waited for */
    ORDER_INSTALLING,   /* the file is complete and verified; the switch or the handler's command was begun */
    ORDER_TRIAL,        /* installed; not known to be well */
    ORDER_ROLLING_BACK, /* the way back was begun */
    ORDER_CONFIRMED,    /* from here on: ended */
    ORDER_FAILED,
    ORDER_ROLLED_BACK,
    ORDER_REFUSED,
    ORDER_DECLINED,
    ORDER_RESET,
};

struct update_order {
#define CFG CONFIG_FIELD
#include "agent/update_order.def"
#undef CFG
};

struct update_installed { /* what was confirmed last */
    char release[CONFIG_STR_MAX], version[CONFIG_STR_MAX], sha256[CONFIG_STR_MAX], slot[CONFIG_STR_MAX];
    int64_t length, sequence;
};

enum order_state order_state(const struct update_order *o);
const char *order_word(enum order_state s); /* on disk and for people */
static inline bool order_ended(const struct update_order *o) { return order_state(o) >= ORDER_CONFIRMED; }
/* What the server is to know of this state, "" nothing. */
const char *order_report(enum order_state s);

/* dir is UPDATE_DIR. Loading: nothing there is ORDER_NONE. */
MUST_USE enum err order_load(const char *dir, struct update_order *o, struct fault *f);
MUST_USE enum err order_save(const char *dir, const struct update_order *o, struct fault *f);
/* A fresh order from what both chains have named; state fetching. */
struct update_order order_make(const struct cradle_update_target *t);
/* An ended order is not looked at again, except that a refused directive says nothing of another one with its number: who could forge one on the way
 * must not be able to spoil the genuine one that comes later. */
void order_bear_in_mind(struct update_order *o, struct span directive);
bool order_borne_in_mind(const struct update_order *o, struct span directive);
bool order_digest(const char *hex, uint8_t out[32]);

MUST_USE enum err installed_load(const char *dir, struct update_installed *i, struct fault *f); /* all empty when there is none */
MUST_USE enum err installed_save(const char *dir, const struct update_order *o, struct fault *f);

#endif
