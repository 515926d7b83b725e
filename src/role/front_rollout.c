/* front_rollout.c: POST /api/v1/rollouts, and what is done with one. Core judges. */
#include "role/front_priv.h"
#include "wire/rollout_json.h"

enum err front_rollout_add(struct front_req *r, struct fault *f)
{
    struct msg_rollout_add *m = arena_alloc(&r->arena, sizeof *m);
    r->desc = &msg_desc_rollout_add;
    r->msg = m;
    return rollout_json_read(r->body, &r->arena, m, f);
}

/* The last part of the path says what is done. */
enum err front_rollout_move(struct front_req *r, struct fault *f)
{
    struct span rest = r->path, one;
    enum err e = front_json(r, f);
    while (span_cut(&rest, '/', &one))
        if (!e)
            ((struct msg_rollout_move *)r->msg)->move = one;
    return e;
}
