/* front_update.c: what devices ask of updates: GET /update/v1/poll and /update/v1/directive into msg_update_poll. Core decides.
 */
#include "role/front_priv.h"
#include "wire/directive.h"

#define UTC_OFFSET_MAX_S (26 * 3600)

static enum err poll_set(struct msg_update_poll *m, struct span name, struct span value, struct fault *f)
{
    if (span_eq_str(name, "version")) {
        m->version = value;
        return value.n ? version_check(value, f) : CE_OK;
    }
    if (span_eq_str(name, "sequence") && (!span_to_i64(value, &m->sequence) || m->sequence < 0))
        return fault_set(f, CE_BAD_FIELD, "query parameter 'sequence' must be a number");
    if (span_eq_str(name, "utc_offset_s") && (!span_to_i64(value, &m->utc_offset_s) || m->utc_offset_s > UTC_OFFSET_MAX_S || m->utc_offset_s < -UTC_OFFSET_MAX_S))
        return fault_set(f, CE_BAD_FIELD, "query parameter 'utc_offset_s' must be seconds, at most %d", UTC_OFFSET_MAX_S);
    return CE_OK; /* a newer device may say more */
}

static enum err poll_read(struct front_req *r, struct fault *f)
{
    struct msg_update_poll *m = arena_alloc(&r->arena, sizeof *m);
    struct span rest = r->query, name, value;
    enum err e;
    *m = (struct msg_update_poll){ 0 };
    while ((e = http_query_next(&rest, &r->arena, &name, &value, f)) == CE_OK)
        if ((e = poll_set(m, name, value, f)))
            return e;
    r->desc = &msg_desc_update_poll;
    r->msg = m;
    return e == CE_NOT_FOUND ? CE_OK : e;
}

enum err front_poll(struct front_req *r, struct fault *f) { return front_poll_told(r) ? CE_OK : poll_read(r, f); }

enum err front_directive(struct front_req *r, struct fault *f)
{
    enum err e = poll_read(r, f);
    if (!e)
        ((struct msg_update_poll *)r->msg)->raw = 1;
    return e;
}
