/* authz.c: who asks, judged from the register: the certificate's row, its state, its holder. See batch.h. */
#include "core/ca.h"
#include "core/device.h"
#include "crypt/profile.h"
#include "store/cert.h"
#include "store/cmp.h"
#include "store/registry.h"
#include "wire/route.h"

#define SKEW_S 300 /* a certificate that begins this far ahead is valid: clocks of stations differ */

static enum err cert_usable(const struct core *core, const struct holder_row *h, const struct msg_caller *m, bool ended, int64_t now_s, struct fault *f)
{
    if (m->spki.n && !span_eq(m->spki, h->spki))
        return fault_set(f, CE_CERT_UNKNOWN, "the client certificate has the serial but not the key of the one in the register");
    if (h->status == CERT_REVOKED)
        return fault_set(f, CE_CERT_REVOKED, "the client certificate of '" SPAN_FMT "' is revoked", SPAN_ARG(h->holder));
    if (h->not_after < now_s && !ended) /* how long ago, cert_authz_grace.c judges */
        return fault_set(f, CE_CERT_EXPIRED, "the client certificate of '" SPAN_FMT "' has expired", SPAN_ARG(h->holder));
    if (h->not_before > now_s + SKEW_S)
        return fault_set(f, CE_CERT_NOT_YET, "the client certificate of '" SPAN_FMT "' is not valid yet", SPAN_ARG(h->holder));
    /* last: a compromised CA may be excused (ca_reenroll_judge), nothing else may */
    struct core_ca ca;
    enum err e = core_ca_by_kid(core, m->kid, &ca) ? ca_judge_holder(&ca) : CE_OK;
    return e ? fault_set(f, e, "the client certificate of '" SPAN_FMT "': %s", SPAN_ARG(h->holder), err_text(e)) : CE_OK;
}

static enum err infra_caller(const struct holder_row *h, struct caller *out, struct fault *f)
{
    if (!h->has_operator || !span_eq_str(h->op_state, "active"))
        return fault_set(f, CE_OPERATOR_REMOVED, "'" SPAN_FMT "' has been removed", SPAN_ARG(h->holder));
    out->kind = CALLER_INFRA;
    out->role = route_role_bit(h->op_role);
    out->lines = h->op_lines;
    return out->role ? CE_OK : fault_set(f, CE_ROLE_FORBIDDEN, "'" SPAN_FMT "' has a role that is not known here", SPAN_ARG(h->holder));
}

static enum err device_caller(const struct holder_row *h, const struct msg_caller *m, int64_t now_s, struct caller *out, struct fault *f)
{
    struct device d = { .uid = h->holder };
    if (!h->has_device || !device_state_parse(h->dev_state, &d.state))
        return fault_set(f, CE_UID_UNKNOWN, "device '" SPAN_FMT "' is not registered", SPAN_ARG(h->holder));
    if (span_eq_str(h->profile, PROFILE_IDEVID)) /* front calls it CALLER_IDEVID; whatever it is called, it opens nothing */
        return fault_set(f, CE_IDEVID_ONLY, "the client certificate of '" SPAN_FMT "' is its initial identity (IDevID): it enrolls and does nothing else", SPAN_ARG(h->holder));
    bool expired = m->kind == CALLER_EXPIRED && h->not_after < now_s;
    out->kind = expired ? CALLER_EXPIRED : CALLER_DEVICE;
    out->role = expired ? R_EXPIRED : R_DEVICE;
    out->lines = h->dev_line;
    return device_usable(&d, f);
}

/* A device that is known by a secret: the MAC over what it sends is judged by the operation (core/cmp.h), which may do little else. */
static enum err secret_caller(struct batch *b, const struct msg_caller *m, struct caller *out, struct fault *f)
{
    struct secret_row s;
    struct device d;
    enum err e = store_secret_get(b->db, b->arena, m->cn, &s, f);
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_SECRET_UNKNOWN, "no device has a secret with this reference");
    e = e ? e : device_get(b, s.uid, &d, f);
    e = e ? e : device_usable(&d, f);
    if (e)
        return e;
    out->kind = CALLER_SECRET;
    out->name = s.uid;
    out->role = R_SECRET;
    out->lines = d.line;
    return CE_OK;
}

enum err authz_caller(struct batch *b, const struct msg_caller *m, struct caller *out, struct fault *f)
{
    *out = (struct caller){ .m = m, .kind = CALLER_NONE };
    if (m->kind == CALLER_NONE)
        return fault_set(f, CE_NO_CERT, "no client certificate was presented");
    if (m->kind == CALLER_FOREIGN) /* front refuses it too: nobody vouched for the names in it */
        return fault_set(f, CE_CERT_FOREIGN, "the client certificate was not verified by a CA of this site");
    if (m->kind == CALLER_IDEVID) { /* whose it is depends on the message: cert_authz_idevid.c */
        out->kind = CALLER_IDEVID;
        out->role = R_IDEVID;
        return CE_OK;
    }
    if (m->kind == CALLER_SECRET)
        return secret_caller(b, m, out, f);
    struct holder_row h;
    enum err e = m->kid.n && m->serial.n ? store_holder_get(b->db, b->arena, m->kid, m->serial, &h, f) : CE_NOT_FOUND;
    if (e == CE_NOT_FOUND) {
        struct core_ca ca;
        out->kind = CALLER_FOREIGN;
        if (!core_ca_by_kid(b->core, m->kid, &ca))
            return fault_set(f, CE_CERT_FOREIGN, "the client certificate was not issued by a CA of this site");
        return fault_set(f, CE_CERT_UNKNOWN, "the client certificate is not in the register");
    }
    if (e)
        return e;
    out->name = h.holder;
    out->not_before = h.not_before;
    out->not_after = h.not_after;
    /* the holder first: "the device is revoked" says more than "the certificate is" */
    e = h.holder_kind == CERT_HOLDER_OPERATOR ? infra_caller(&h, out, f) : device_caller(&h, m, b->now_ms / 1000, out, f);
    e = e ? e : cert_usable(b->core, &h, m, out->kind == CALLER_EXPIRED, b->now_ms / 1000, f);
    if (e)
        out->role = 0;
    return e;
}

enum err authz_roles(const struct caller *c, unsigned roles, struct fault *f)
{
    if (c->role & roles)
        return CE_OK;
    if (c->kind == CALLER_IDEVID)
        return fault_set(f, CE_IDEVID_ONLY, "%s", err_text(CE_IDEVID_ONLY));
    if (c->kind == CALLER_EXPIRED)
        return fault_set(f, CE_CERT_EXPIRED, "the client certificate of '" SPAN_FMT "' has expired", SPAN_ARG(c->name));
    return fault_set(f, CE_ROLE_FORBIDDEN, "the role of '" SPAN_FMT "' may not do this", SPAN_ARG(c->name));
}

enum err authz_line(const struct caller *c, struct span line, struct fault *f)
{
    struct span rest = c->lines, one;
    if (!rest.n)
        return CE_OK;
    while (span_cut(&rest, ',', &one))
        if (span_eq(span_trim(one), line))
            return CE_OK;
    return fault_set(f, CE_LINE_FORBIDDEN, "'" SPAN_FMT "' is not allowed on line '" SPAN_FMT "', only on: " SPAN_FMT, SPAN_ARG(c->name),
                     SPAN_ARG(line), SPAN_ARG(c->lines));
}
