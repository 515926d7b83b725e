/* fold_cmp.c: what the events of one-time secrets do to the tables, written a second time on purpose. See fold.h. */
#include "core/fold_priv.h"
#include "store/cmp.h"

enum err fold_secret_made(struct fold *x)
{
    const struct secret_row r = { .ref = fold_text(x, "ref"), .uid = x->ev->device, .state = SPAN_LIT("open"), .made_at = x->ev->at,
                                  .expires_at = fold_time_s(x, "expires_at") * 1000 };
    return x->err ? x->err : store_secret_put(x->to, &r, x->f);
}

static enum err move(struct fold *x, struct span state)
{
    struct secret_row r;
    enum err e = x->err ? x->err : store_secret_get(x->to, &x->arena, fold_text(x, "ref"), &r, x->f);
    if (e)
        return e;
    r.state = state;
    return store_secret_put(x->to, &r, x->f);
}

enum err fold_secret_used(struct fold *x) { return move(x, SPAN_LIT("used")); }
enum err fold_secret_over(struct fold *x) { return move(x, fold_text(x, "state")); }
