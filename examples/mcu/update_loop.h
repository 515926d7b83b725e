/* update_loop.h: one update of a microcontroller with a second slot, from metadata to the switch, with two buffers. Example code: copy and change it. */
#ifndef UPDATE_LOOP_H
#define UPDATE_LOOP_H

#include "cradle/update.h"

#define UPDATE_META_MAX 16384 /* the largest metadata file that this device takes */
#define UPDATE_PIECE 1024     /* bytes of the image at a time */

extern const struct cradle_update_port port_psa;

/* What the board gives. 0 is success, UPDATE_NONE that there is no such file, anything else ends the run. */
#define UPDATE_NONE 1
struct update_board {
    void *ctx;
    /* "timestamp.json", "2.root.json" …: GET /update/v1/metadata/NAME; "directive": GET /update/v1/directive; "root": the stored root. */
    int (*get)(void *ctx, const char *name, char *out, size_t cap, size_t *n);
    int (*image)(void *ctx, uint64_t at, uint8_t *out, size_t cap, size_t *n); /* GET /update/v1/artifact/SHA256, from byte at on */
    int (*slot_write)(void *ctx, uint64_t at, const uint8_t *data, size_t n);  /* into the slot that does not run */
    int (*slot_switch)(void *ctx, const struct cradle_update_target *t);       /* boot it next; keep t->counter for the confirmation */
    int (*state_store)(void *ctx, const struct cradle_update_state *state, const char *root, size_t root_n); /* durable; root_n 0: as before */
};

/* Returns CRADLE_UP_OK when a new image was written and the slot switched, UPDATE_NONE when nothing is to be done, else a refusal of
 * cradle/update.h or what the board returned. now_s: 0 without a clock. */
int update_run(const struct update_board *b, const struct cradle_update_self *self, const struct cradle_update_state *state, int64_t now_s,
               struct cradle_update *u);

#endif
