/* role_event.c: the death of another role, told by the parent, as evidence: a process killed by its jail may be an attack. Core's own
 * restart is the first event of its new process (core.c). */
#include "core/registry.h"

enum err role_event_op(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_role_lost *m = msg;
    (void)c, (void)out, (void)f;
    struct json_out *j = event_begin(b, EVENT_ROLE_RESTARTED, (struct span){ 0 }, 0);
    json_cstr(j, "role", arena_printf(b->arena, SPAN_FMT ":%lld", SPAN_ARG(m->role), (long long)m->index));
    json_int(j, "epoch", core_epoch(b->core));
    json_str(j, "why", m->why);
    event_end(b);
    return CE_OK;
}
