/* cert_authz_idevid.c: first enrollment by a device that shows an initial identity (IDevID, IEEE 802.1AR): whose is it, and is it the one that the
 * device is known by? Front has verified the path to an anchor, or that the certificate is of this site; everything else is judged here.
 *
 * An IDevID of this site is in the register: its holder is the device. One of another maker names its device by the rule of the anchor that the
 * line has pinned; the first one to enroll a device stays its only one, and enrolls no other device. What differs is refused with an alarm.
 * Both may enroll a device that is active too: it was reset, and kept its IDevID. See cert_path.h.
 */
#include "base/log.h"
#include "core/anchor.h"
#include "core/key_block.h"
#include "core/cert_path.h"
#include "core/registry.h"
#include "crypt/cert.h"
#include "crypt/oid_text.h"

/* -- of this site ----------------------------------------------------------------------------------------------------------------------- */
static enum err own_judge(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f)
{
    struct cert_row own;
    enum err e = store_cert_get(b->db, b->arena, c->m->kid, c->m->serial, &own, f);
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_CERT_UNKNOWN, "the IDevID is not in the register");
    if (e)
        return e;
    if (own.holder_kind != CERT_HOLDER_DEVICE || !span_eq_str(own.profile, PROFILE_IDEVID) || !span_eq(own.spki, c->m->spki))
        return fault_set(f, CE_CERT_UNKNOWN, "the certificate in the register with this serial number is no such IDevID");
    if (own.state.status == CERT_REVOKED || own.state.status == CERT_HELD)
        return fault_set(f, CE_CERT_REVOKED, "the IDevID of '" SPAN_FMT "' is revoked", SPAN_ARG(own.holder));
    if (!span_eq(own.holder, m->uid))
        return fault_set(f, CE_IDEVID_NAME, "the IDevID is that of '" SPAN_FMT "', the CSR names '" SPAN_FMT "'", SPAN_ARG(own.holder), SPAN_ARG(m->uid));
    plan->by = span_str(arena_printf(b->arena, "idevid:" SPAN_FMT, SPAN_ARG(own.holder)));
    return device_get(b, m->uid, &plan->device, f);
}

/* -- of another maker ------------------------------------------------------------------------------------------------------------------- */
/* What the rule takes from the certificate; bytes that are no text become hex, so that a register can hold them. */
static enum err rule_name(struct batch *b, const struct anchor_row *a, const struct msg_enroll *m, struct span *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf oid = BUF_INIT(0), hex = BUF_INIT(0);
    const char *what = "serialNumber in its subject";
    *out = m->id_serial;
    if (span_eq_str(a->rule, "cn")) {
        *out = m->id_cn;
        what = "common name";
    } else if (span_eq_str(a->rule, "hwserial")) {
        what = "hardwareModuleName (RFC 4108 5)";
        *out = m->hw_serial;
        if (m->hw_serial.n && !span_is_utf8(m->hw_serial)) {
            buf_put_hex(&hex, m->hw_serial);
            *out = arena_copy(b->arena, buf_span(&hex));
        }
    }
    if (!out->n || out->n > UID_MAX)
        return fault_set(f, CE_IDEVID_NAME, "the rule of line '" SPAN_FMT "' takes the device's name from the IDevID's %s, which is absent, not text or longer than %d bytes",
                         SPAN_ARG(a->line), what, UID_MAX);
    if (!a->hw_type.n)
        return CE_OK;
    enum err e = oid_from_text("hw_type", a->hw_type, &oid, f);
    if (!e && !span_eq(buf_span(&oid), m->hw_type))
        e = fault_set(f, CE_IDEVID_NAME, "the IDevID is not of hardware type " SPAN_FMT ", which line '" SPAN_FMT "' asks for", SPAN_ARG(a->hw_type), SPAN_ARG(a->line));
    return e;
}

/* The alarm names the device that is registered; the key is that of the IDevID, not of the CSR. */
static enum err other_refuse(const struct caller *c, struct cert_plan *plan, struct span device, const char *text, struct fault *f)
{
    plan->key_of = device;
    plan->key_of_kind = CERT_HOLDER_DEVICE;
    memcpy(plan->spki, c->m->spki.p, SHA256_LEN);
    return fault_set(f, CE_IDEVID_OTHER, "%s", text);
}

static enum err pin_judge(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f)
{
    struct idevid_row known;
    enum err e = store_idevid_get(b->db, b->arena, m->uid, &known, f);
    if (!e)
        return span_eq(known.spki, c->m->spki) ? CE_OK :
               other_refuse(c, plan, m->uid, "the device is known by another IDevID; if its board was changed: cradle device idevid-forget", f);
    if (e != CE_NOT_FOUND)
        return e;
    e = store_idevid_by_key(b->db, b->arena, c->m->spki, &known, f);
    if (!e)
        return other_refuse(c, plan, known.uid, "this IDevID is the one of another device", f);
    if (e != CE_NOT_FOUND)
        return e;
    *f = (struct fault){ 0 };
    plan->pin = true;
    return CE_OK;
}

/* The only line that takes this maker's IDevIDs and registers their devices. */
static enum err line_guess(struct batch *b, const struct msg_enroll *m, struct anchor_row *out, struct fault *f)
{
    struct anchor_row *rows;
    size_t n, found = 0;
    enum err e = store_anchor_list(b->db, b->arena, m->label, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        if (span_eq(rows[i].sha256, m->anchor) && rows[i].model.n) {
            *out = rows[i];
            found++;
        }
    if (!e && !found)
        e = fault_set(f, CE_UID_UNKNOWN, "device '" SPAN_FMT "' is not registered, and its maker's IDevIDs register none", SPAN_ARG(m->uid));
    if (!e && found > 1)
        e = fault_set(f, CE_LINE_FORBIDDEN, "%zu product lines register devices of this maker: name one in the path (RFC 7030 3.2.2)", found);
    return e;
}

/* A device that nobody has registered: it is called as its IDevID says. */
static enum err unknown_judge(struct batch *b, const struct msg_enroll *m, struct anchor_row *a, struct cert_plan *plan, struct span *name, struct fault *f)
{
    enum err e = line_guess(b, m, a, f);
    e = e ? e : rule_name(b, a, m, name, f);
    e = e ? e : name_check_uid(*name, f);
    if (!e && !span_eq(*name, m->uid))
        e = fault_set(f, CE_IDEVID_NAME, "the IDevID names '" SPAN_FMT "', the CSR '" SPAN_FMT "': a device that is registered by its IDevID has its name as UID", SPAN_ARG(*name),
                      SPAN_ARG(m->uid));
    if (e)
        return e;
    plan->is_new = true;
    plan->device = (struct device){ .uid = m->uid, .serial = *name, .model = a->model, .line = a->line, .state = DEVICE_REGISTERED, .rev = 1, .created_at = b->now_ms,
                                    .changed_at = b->now_ms };
    return CE_OK;
}

static enum err known_judge(struct batch *b, const struct msg_enroll *m, struct anchor_row *a, struct cert_plan *plan, struct span *name, struct fault *f)
{
    const struct device *d = &plan->device;
    enum err e = store_anchor_get(b->db, b->arena, d->line, m->anchor, a, f);
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_LINE_FORBIDDEN, "product line '" SPAN_FMT "' of the device takes no IDevIDs of this maker", SPAN_ARG(d->line));
    e = e ? e : rule_name(b, a, m, name, f);
    if (e)
        return e;
    struct span want = span_eq_str(a->rule, "cn") ? d->uid : d->serial;
    if (!want.n)
        return fault_set(f, CE_IDEVID_NAME, "device '" SPAN_FMT "' is registered without a serial number, so no IDevID can name it", SPAN_ARG(d->uid));
    if (!span_eq(want, *name))
        return fault_set(f, CE_IDEVID_NAME, "the IDevID names '" SPAN_FMT "', device '" SPAN_FMT "' is registered with '" SPAN_FMT "'", SPAN_ARG(*name), SPAN_ARG(d->uid), SPAN_ARG(want));
    return CE_OK;
}

static enum err foreign_judge(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f)
{
    struct anchor_row a;
    enum err e = device_get(b, m->uid, &plan->device, f);
    if (e == CE_UID_UNKNOWN)
        e = unknown_judge(b, m, &a, plan, &plan->id_name, f);
    else if (!e)
        e = known_judge(b, m, &a, plan, &plan->id_name, f);
    e = e ? e : anchor_crl_check(b, &a, c->m->kid, c->m->serial, f);
    e = e ? e : pin_judge(b, c, m, plan, f);
    if (e)
        return e;
    plan->by = span_str(arena_printf(b->arena, "idevid:" SPAN_FMT, SPAN_ARG(plan->id_name)));
    return CE_OK;
}

enum err cert_judge_idevid(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f)
{
    uint8_t digest[SHA256_LEN];
    if (c->m->spki.n != SHA256_LEN)
        return fault_set(f, CE_CERT_FOREIGN, "the IDevID has no key");
    sha256(m->spki, digest);
    if (span_eq(c->m->spki, span_of(digest, sizeof digest)))
        return fault_set(f, CE_IDEVID_KEY, "%s", err_text(CE_IDEVID_KEY));
    enum err e = key_block_check_digest(b, c->m->spki, f);
    if (e)
        return e == CE_KEY_BLOCKED ? fault_set(f, e, "the key of the IDevID is on this site's list of compromised keys") : e;
    return m->anchor.n ? foreign_judge(b, c, m, plan, f) : own_judge(b, c, m, plan, f);
}

/* -- what was decided ------------------------------------------------------------------------------------------------------------------- */
enum err cert_idevid_write(struct batch *b, const struct caller *c, const struct msg_enroll *m, const struct cert_plan *plan, struct fault *f)
{
    const struct device *d = &plan->device;
    enum err e = CE_OK;
    if (plan->is_new) {
        const struct device_row row = { .uid = d->uid, .serial = d->serial, .model = d->model, .line = d->line, .created_by = plan->by, .created_at = b->now_ms,
                                        .state = SPAN_LIT("registered") };
        e = device_register(b, &row, f);
    }
    if (e || !plan->pin)
        return e;
    const struct idevid_row row = { .uid = m->uid, .spki = c->m->spki, .anchor = m->anchor, .serial = c->m->serial, .name = plan->id_name, .at = b->now_ms };
    e = store_idevid_put(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_IDEVID_PINNED, m->uid, 0);
    json_hex(j, "spki", row.spki);
    json_hex(j, "anchor", row.anchor);
    json_hex(j, "serial", row.serial);
    json_str(j, "name", row.name);
    event_end(b);
    return CE_OK;
}
