/* ca_set.c: the CAs in core's memory. See core/ca.h. */
#include "core/ca.h"
#include "core/engine.h"
#include "crypt/cert.h"
#include "store/ca.h"

static enum err ca_fill(struct core *core, const struct ca_row *r, const struct ca_state_row *states, size_t n, struct fault *f)
{
    struct core_ca *ca = &core->cas[core->ncas];
    struct cert cert;
    *ca = (struct core_ca){ .name = r->name, .kid = r->kid, .der = r->der };
    for (size_t i = 0; i < n; i++)
        if (span_eq(states[i].name, r->name)) {
            ca->use = ca_use_find(states[i].use);
            ca->state = ca_state_find(states[i].state);
            ca->reenroll = (unsigned)states[i].reenroll;
            ca->changed_at = states[i].changed_at;
        }
    if (!ca->use || !ca->state)
        return fault_set(f, CE_STORE_DAMAGED, "the database has CA '" SPAN_FMT "' without a use or a state that is known here", SPAN_ARG(r->name));
    enum err e = cert_parse(ca->der, &cert, f);
    if (e)
        return e;
    ca->not_after = cert.not_after;
    memcpy(ca->spki, cert.spki_sha256, sizeof ca->spki);
    core->ncas++;
    return CE_OK;
}

enum err ca_set_load(struct core *core, struct fault *f)
{
    struct ca_row *cas;
    struct ca_state_row *states;
    size_t n = 0, n_states = 0;
    enum err e = store_ca_list(core->db, &core->arena, &cas, &n, f);
    e = e ? e : store_ca_state_list(core->db, &core->arena, &states, &n_states, f);
    if (!e && n > CA_SET_MAX)
        e = fault_set(f, CE_STORE_DAMAGED, "the database has more than %d CAs", CA_SET_MAX);
    core->ncas = 0;
    for (size_t i = 0; !e && i < n; i++)
        e = ca_fill(core, &cas[i], states, n_states, f);
    return e;
}

struct set_before { struct core *core; size_t n; struct core_ca cas[CA_SET_MAX]; };

/* What undoes the tables undoes the memory, and without the database: it may be what failed, and it still has what is undone. */
static void set_end(void *data, bool committed)
{
    const struct set_before *was = data;
    if (committed)
        return;
    was->core->ncas = was->n;
    memcpy(was->core->cas, was->cas, sizeof was->cas);
}

enum err ca_set_changed(struct batch *b, struct fault *f)
{
    struct set_before *was = arena_alloc(b->arena, sizeof *was);
    was->core = b->core;
    was->n = b->core->ncas;
    memcpy(was->cas, b->core->cas, sizeof was->cas);
    batch_then(b, set_end, was);
    return ca_set_load(b->core, f);
}

size_t core_cas(const struct core *core) { return core->ncas; }
const struct core_ca *core_ca_at(const struct core *core, size_t i) { return &core->cas[i]; }

bool core_ca(const struct core *core, struct span name, struct core_ca *out)
{
    for (size_t i = 0; i < core->ncas; i++)
        if (span_eq(core->cas[i].name, name)) {
            *out = core->cas[i];
            return true;
        }
    return false;
}

bool core_ca_by_kid(const struct core *core, struct span kid, struct core_ca *out)
{
    for (size_t i = 0; kid.n && i < core->ncas; i++)
        if (core->cas[i].use != CA_USE_LINK && span_eq(core->cas[i].kid, kid)) {
            *out = core->cas[i];
            return true;
        }
    return false;
}

enum err ca_judge_holder(const struct core_ca *ca)
{
    return ca->state == CA_RETIRED ? CE_CA_RETIRED : ca->state == CA_COMPROMISED ? CE_CA_COMPROMISED : CE_OK;
}

enum err ca_issuing(struct batch *b, enum ca_use use, struct span line, struct core_ca *out, struct fault *f)
{
    struct line of = { 0 };
    enum err e = line.n && use == CA_USE_DEVICE ? line_get(b, line, &of, f) : CE_OK;
    if (e && e != CE_NOT_FOUND)
        return e;
    const struct span own = of.more.ca; /* a line that is not there has none */
    if (own.n) {
        if (!core_ca(b->core, own, out) || ca_judge_holder(out))
            return fault_set(f, CE_CA_STATE, "product line " SPAN_FMT " is to have its certificates from CA " SPAN_FMT ", which issues no more: cradle line set",
                             SPAN_ARG(line), SPAN_ARG(own));
        return CE_OK;
    }
    for (size_t i = 0; i < core_cas(b->core); i++)
        if (core_ca_at(b->core, i)->use == use && core_ca_at(b->core, i)->state == CA_ACTIVE) {
            *out = *core_ca_at(b->core, i);
            return CE_OK;
        }
    if (use == CA_USE_IDEVID)
        return ca_issuing(b, CA_USE_DEVICE, line, out, f);
    return fault_set(f, CE_CA_STATE, "no CA is active for use %s: cradle ca create, cradle ca activate", ca_use_name(use));
}

void ca_push(struct batch *b, int peer, const struct core_ca *ca)
{
    const struct msg_push_ca m = { .name = ca->name, .use = span_str(ca_use_name(ca->use)), .state = span_str(ca_state_name(ca->state)),
                                   .reenroll = ca->reenroll > 0, .der = ca->der };
    batch_push_msg(b, peer, &msg_desc_push_ca, &m);
}
