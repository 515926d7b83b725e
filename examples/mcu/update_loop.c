/* update_loop.c: see update_loop.h. */
#include "update_loop.h"

#include <string.h>

static char meta[UPDATE_META_MAX];
static char keep[UPDATE_META_MAX]; /* a new root, as it came: the library overwrites what it decodes */
static uint8_t piece[UPDATE_PIECE];

typedef int step_fn(struct cradle_update *u, char *envelope, size_t n);

static int step(const struct update_board *b, struct cradle_update *u, step_fn *fn, const char *name)
{
    size_t n = 0;
    int err = b->get(b->ctx, name, meta, sizeof meta, &n);
    return err ? err : fn(u, meta, n);
}

/* The stored root, then every newer one, each signed as the one before asks. */
static int roots(const struct update_board *b, struct cradle_update *u)
{
    char name[CRADLE_UP_NAME + 24];
    size_t n = 0;
    int err = step(b, u, cradle_update_root, "root");
    while (!err) {
        cradle_update_next(u, name);
        err = b->get(b->ctx, name, keep, sizeof keep, &n);
        if (err)
            return err == UPDATE_NONE ? CRADLE_UP_OK : err;
        memcpy(meta, keep, n);
        err = cradle_update_root(u, meta, n);
        err = err ? err : b->state_store(b->ctx, &u->state, keep, n);
    }
    return err;
}

static int metadata(const struct update_board *b, struct cradle_update *u)
{
    char name[CRADLE_UP_NAME + 24];
    int err = roots(b, u);
    err = err ? err : step(b, u, cradle_update_timestamp, "timestamp.json");
    cradle_update_next(u, name);
    err = err ? err : step(b, u, cradle_update_snapshot, name);
    cradle_update_next(u, name);
    err = err ? err : step(b, u, cradle_update_targets, name);
    err = err ? err : step(b, u, cradle_update_directive, "directive");
    if (err || u->target.action != CRADLE_UP_INSTALL)
        return err;
    cradle_update_next(u, name);
    return step(b, u, cradle_update_line, name);
}

/* The slot is written as the image comes, and switched only when all of it is right. */
static int image(const struct update_board *b, struct cradle_update *u)
{
    uint64_t at = 0;
    int err = cradle_update_file_begin(u);
    while (!err && at < u->target.length) {
        size_t n = 0;
        err = b->image(b->ctx, at, piece, sizeof piece, &n);
        if (!err && !n)
            err = CRADLE_UP_LENGTH;
        err = err ? err : cradle_update_file_add(u, piece, n);
        err = err ? err : b->slot_write(b->ctx, at, piece, n);
        at += n;
    }
    return err ? err : cradle_update_file_end(u);
}

int update_run(const struct update_board *b, const struct cradle_update_self *self, const struct cradle_update_state *state, int64_t now_s,
               struct cradle_update *u)
{
    cradle_update_begin(u, &port_psa, self, state, now_s);
    int err = metadata(b, u);
    if (err)
        return err;
    if ((err = b->state_store(b->ctx, &u->state, NULL, 0))) /* before anything is written: an older order must not come back */
        return err;
    if (u->target.action != CRADLE_UP_INSTALL)
        return UPDATE_NONE; /* CRADLE_UP_RESET is for the caller: u->target.action says so */
    err = image(b, u);
    return err ? err : b->slot_switch(b->ctx, &u->target);
}
