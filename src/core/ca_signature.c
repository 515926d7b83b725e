/* ca_signature.c: the account of what the CAs' keys have signed: see batch.h. What became a certificate or a CRL carries its number in that
 * event; the rest waits here for an event of its own. A crash loses what waits: the numbers are then a gap that the verifier tells.
 */
#include <stdlib.h>

#include "base/log.h"
#include "core/engine.h"

struct ca_signature ca_signature_of(const struct msg_signed *m)
{
    struct ca_signature s = { .counter = 0 };
    if (m->code || m->kid.n != sizeof s.kid || m->run.n != sizeof s.run)
        return s;
    memcpy(s.kid, m->kid.p, sizeof s.kid);
    memcpy(s.run, m->run.p, sizeof s.run);
    s.counter = m->counter;
    return s;
}

void ca_signature_put(struct json_out *j, const struct ca_signature *s)
{
    json_hex(j, "run", span_of(s->run, s->counter ? sizeof s->run : 0));
    json_int(j, "counter", s->counter);
}

void ca_signature_unused(struct core *core, const struct ca_signature *s, const char *why)
{
    if (!s->counter)
        return;
    if (core->n_unused == core->unused_cap) {
        core->unused_cap = core->unused_cap ? core->unused_cap * 2 : 16;
        core->unused = mem_realloc(core->unused, core->unused_cap * sizeof *core->unused);
    }
    core->unused[core->n_unused++] = (struct unused_signature){ *s, why };
    log_warn(0, "signature %lld of a CA's key is not used (%s)", (long long)s->counter, why);
}

static void written(void *data, bool committed)
{
    struct core *core = data;
    size_t n = committed ? core->unused_written : 0;
    memmove(core->unused, core->unused + n, (core->n_unused - n) * sizeof *core->unused);
    core->n_unused -= n;
}

void ca_signatures_write(struct batch *b)
{
    struct core *core = b->core;
    core->unused_written = core->n_unused;
    if (!core->n_unused)
        return;
    for (size_t i = 0; i < core->n_unused; i++) {
        struct json_out *j = event_begin(b, EVENT_SIGNATURE_UNUSED, (struct span){ 0 }, 0);
        json_hex(j, "kid", span_of(core->unused[i].signature.kid, sizeof core->unused[i].signature.kid));
        ca_signature_put(j, &core->unused[i].signature);
        json_cstr(j, "why", core->unused[i].why);
        event_end(b);
    }
    batch_then(b, written, core);
}
