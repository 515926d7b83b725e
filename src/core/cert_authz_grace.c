/* cert_authz_grace.c: may a device renew a certificate that has ended? Only within the grace of its line, with the key that the line asks for, and only
 * when nothing newer of the same device was ever used: an old copy of a device's memory must not come back. See cert_path.h.
 */
#include "base/clock.h"
#include "base/log.h"
#include "core/cert_path.h"
#include "core/line.h"


/* Certificates that have ended are superseded by nobody, so their younger ones are asked. */
static enum err newer_judge(struct batch *b, const struct cert_row *own, struct fault *f)
{
    struct cert_row *rows;
    size_t n;
    enum err e = store_cert_list(b->db, b->arena, CERT_HOLDER_DEVICE, own->holder, 0, &rows, &n, f);
    bool after = false;
    for (size_t i = 0; !e && i < n; i++) {
        bool is_own = span_eq(rows[i].serial, own->serial) && span_eq(rows[i].kid, own->kid);
        if (after && !is_own && rows[i].state.first_used_at && !span_eq_str(rows[i].profile, PROFILE_IDEVID))
            return fault_set(f, CE_CERT_EXPIRED, "the client certificate has expired, and the device has used a newer one since");
        after = after || is_own;
    }
    return e;
}

enum err cert_judge_grace(struct batch *b, const struct cert_row *own, struct cert_plan *plan, struct fault *f)
{
    struct line line;
    char text[CLOCK_TEXT_MAX];
    clock_text_s(own->not_after, text);
    enum err e = line_get(b, plan->device.line, &line, f);
    if (e)
        return e;
    const struct line_more *g = &line.more;
    plan->grace_s = g->grace_s;
    plan->age_s = b->now_ms / 1000 - own->not_after;
    if (!g->grace_s)
        return fault_set(f, CE_CERT_EXPIRED, "the client certificate ended at %s, and product line " SPAN_FMT " has no grace", text, SPAN_ARG(plan->device.line));
    if (plan->age_s > g->grace_s)
        return fault_set(f, CE_CERT_EXPIRED, "the client certificate ended at %s, longer ago than the grace of product line " SPAN_FMT " (%lld s)", text,
                         SPAN_ARG(plan->device.line), (long long)g->grace_s);
    if (own->state.status != CERT_GOOD)
        return fault_set(f, own->state.status == CERT_SUPERSEDED ? CE_CERT_EXPIRED : CE_CERT_REVOKED, "the client certificate ended at %s and was %s before", text,
                         own->state.status == CERT_SUPERSEDED ? "replaced by a newer one" : "revoked or put on hold");
    uint8_t digest[SHA256_LEN];
    sha256(plan->key_der, digest);
    if (!g->grace_any_key && !span_eq(own->spki, span_of(digest, sizeof digest)))
        return fault_set(f, CE_NAME_MISMATCH, "product line " SPAN_FMT " lets an ended certificate be renewed with its own key only (grace_key)", SPAN_ARG(plan->device.line));
    return newer_judge(b, own, f);
}

void cert_grace_write(struct batch *b, const struct caller *c, const struct cert_plan *plan)
{
    struct json_out *j = event_begin(b, EVENT_CERT_GRACE, c->name, 0);
    json_hex(j, "kid", c->m->kid);
    json_hex(j, "serial", c->m->serial);
    json_int(j, "age_s", plan->age_s);
    json_int(j, "grace_s", plan->grace_s);
    event_end(b);
    core_stats(b->core)->graces++;
}
