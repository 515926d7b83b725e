/* front_mass.c: /api/v1/revocations/{id}: the number of a mass change, and what is done with it. Core judges. */
#include "role/front_priv.h"

static enum err id_param(struct front_req *r, int64_t *out, struct fault *f)
{
    if (!span_to_i64(r->match.params[0], out) || *out < 1)
        return fault_set(f, CE_BAD_FIELD, "the path names it by its number");
    return CE_OK;
}

enum err front_mass_query(struct front_req *r, struct fault *f)
{
    int64_t id;
    enum err e = id_param(r, &id, f);
    e = e ? e : front_query(r, f);
    if (!e)
        ((struct msg_query *)r->msg)->key = r->match.params[0];
    return e;
}

/* The last part of the path says what is done. */
enum err front_mass_move(struct front_req *r, struct fault *f)
{
    struct span rest = r->path, one;
    int64_t id;
    enum err e = id_param(r, &id, f);
    e = e ? e : front_json(r, f);
    if (e)
        return e;
    struct msg_mass_move *m = r->msg;
    m->id = id;
    while (span_cut(&rest, '/', &one))
        m->move = one;
    return CE_OK;
}
