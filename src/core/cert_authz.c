/* cert_authz.c: may this caller have this certificate? The rules of enrollment and renewal, in the order in which they are judged;
 * reads only. See cert_path.h.
 *
 * First enrollment (simpleenroll): a station, for a registered device of its lines, or the device by its one-time secret (CMP). A device in state registered or provisioned may
 * be enrolled again with another key (it was reset on the line, or the answer was lost; the older certificate is superseded when
 * the newer one is used). An active device that still holds a live certificate is not: it renews, or an operator revokes the lost
 * certificate first.
 * An IDevID enrolls its device without a station (cert_authz_idevid.c), and one that is active too: it was reset.
 * Renewal (simplereenroll): the holder itself, within the renewal window; names are never taken from the CSR, they must only not
 * contradict the register (RFC 7030 4.2.2).
 */
#include "base/clock.h"
#include "base/log.h"
#include "core/ca.h"
#include "core/cert_path.h"
#include "core/key_block.h"
#include "core/line.h"
#include "crypt/cert.h"
#include "store/idevid.h"
#include "wire/route.h"

/* -- the key ---------------------------------------------------------------------------------------------------------------------- */
/* Is alg in the profile's list? An entry "rsa:3072" takes every RSA size from 3072 on. */
static bool key_alg_allowed(const char *list, struct span alg)
{
    struct span rest = span_str(list), word;
    while (span_cut(&rest, ' ', &word)) {
        int64_t least, bits;
        if (span_eq(word, alg))
            return true;
        if (span_starts(word, "rsa:") && span_starts(alg, "rsa:") && span_to_i64(span_of(word.p + 4, word.n - 4), &least) &&
            span_to_i64(span_of(alg.p + 4, alg.n - 4), &bits) && bits >= least)
            return true;
    }
    return false;
}

enum err cert_judge_key(struct batch *b, struct cert_plan *plan, struct span key_alg, struct fault *f)
{
    struct key_row key;
    sha256(plan->key_der, plan->spki);
    if (key_alg.n && !key_alg_allowed(plan->issuer->profile.key_algs, key_alg))
        return fault_set(f, CE_KEY_ALG, "keys of type " SPAN_FMT " are not allowed by profile %s: use one of %s", SPAN_ARG(key_alg),
                         plan->issuer->profile.name, plan->issuer->profile.key_algs);
    struct idevid_row id;
    const struct span sha = span_of(plan->spki, SHA256_LEN);
    enum err e = key_block_check(b, plan->key_der, sha, f);
    e = e ? e : key_of_ca_check(b, sha, f);
    if (e)
        return e;
    e = store_idevid_by_key(b->db, b->arena, sha, &id, f);
    if (!e)
        return fault_set(f, CE_IDEVID_KEY, "%s", err_text(CE_IDEVID_KEY));
    if (e == CE_NOT_FOUND)
        e = store_key_get(b->db, b->arena, sha, &key, f);
    if (e == CE_NOT_FOUND)
        return CE_OK;
    if (e)
        return e;
    if (key.holder_kind != plan->kind || !span_eq(key.holder, plan->holder)) {
        plan->key_of = key.holder;
        plan->key_of_kind = key.holder_kind;
        return fault_set(f, CE_KEY_OF_OTHER, "the key in the CSR belongs to another identity already; each device makes a key of its own");
    }
    char text[CLOCK_TEXT_MAX];
    clock_text_s(key.revoked_at, text);
    if (key.revoked_at)
        return fault_set(f, CE_KEY_REVOKED, "the key in the CSR was in a certificate that was revoked at %s; make a new key", text);
    return CE_OK;
}

/* -- dates -------------------------------------------------------------------------------------------------------------------------- */
enum err cert_plan_dates(struct batch *b, struct cert_plan *plan, int64_t validity_s, struct fault *f)
{
    enum err e = ca_issuing(b, plan->issuer->use, plan->line, &plan->ca, f);
    if (e)
        return e;
    const struct profile *p = &plan->issuer->profile;
    int64_t now_s = b->now_ms / 1000;
    int64_t life_s = profile_validity(p, validity_s);
    /* a short life is backdated less: its renewal window, counted from notBefore, would be over at birth */
    plan->not_before = now_s - (p->backdate_s < life_s / 10 ? p->backdate_s : life_s / 10);
    plan->not_after = now_s + life_s;
    if (p->no_end) {
        plan->not_after = CERT_NO_END;
        return CE_OK;
    }
    if (plan->not_after - plan->not_before > p->validity_max_s)
        plan->not_after = plan->not_before + p->validity_max_s;
    if (plan->not_after > plan->ca.not_after)
        plan->not_after = plan->ca.not_after;
    return CE_OK;
}

/* -- certificates that are there already ----------------------------------------------------------------------------------------------- */
/* A certificate of a CA that counts no more is none. */
static bool is_live(const struct core *core, const struct cert_row *c)
{
    struct core_ca ca;
    return (c->state.status == CERT_GOOD || c->state.status == CERT_SUPERSEDED) && !(core_ca_by_kid(core, c->kid, &ca) && ca_judge_holder(&ca));
}

/* A renewal leaves the older certificates alone, so a holder, or whoever holds its key, could have certificates without end and fill
 * the register: CERTS_MAX in CERTS_WINDOW_S, less time for those with a shorter life. */
#define CERTS_MAX 8
#define CERTS_WINDOW_S 3600

static enum err judge_rate(struct batch *b, struct cert_plan *plan, const struct cert_row *rows, size_t n, struct fault *f)
{
    int64_t life_s = plan->not_after - plan->not_before, window_s = life_s / 2 < CERTS_WINDOW_S ? life_s / 2 : CERTS_WINDOW_S, recent = 0, first = 0;
    for (size_t i = 0; i < n; i++)
        if (rows[i].issued_at > b->now_ms - window_s * 1000 && recent++ == 0)
            first = rows[i].issued_at;
    if (recent < CERTS_MAX)
        return CE_OK;
    plan->retry_s = (first - b->now_ms) / 1000 + window_s + 1;
    return fault_set(f, CE_RATE, "%lld certificates were made for this identity in the last %lld s; use one of them, or try again later",
                     (long long)recent, (long long)window_s);
}

/* Finds the newest live certificate of the same key and profile that is not due for renewal yet: the answer to a repeated request.
 * others: does it hold a live one with another key? */
static enum err certs_held(struct batch *b, struct cert_plan *plan, bool *others, struct fault *f)
{
    struct cert_row *rows;
    size_t n;
    const struct profile *p = &plan->issuer->profile;
    enum err e = store_cert_list(b->db, b->arena, plan->kind, plan->holder, b->now_ms / 1000, &rows, &n, f);
    *others = false;
    for (size_t i = n; !e && i-- > 0;) {
        bool same_key = span_eq(rows[i].spki, span_of(plan->spki, SHA256_LEN)), same_use = span_eq_str(rows[i].profile, PROFILE_IDEVID) == (strcmp(p->name, PROFILE_IDEVID) == 0);
        if (same_key && !same_use)
            return fault_set(f, CE_IDEVID_KEY, "%s", err_text(CE_IDEVID_KEY));
        if (!is_live(b->core, &rows[i]) || !same_use)
            continue;
        *others |= !same_key;
        if (!same_key || plan->has_same || !span_eq_str(rows[i].profile, p->name) || rows[i].state.status != CERT_GOOD ||
            b->now_ms / 1000 >= profile_renew_at(p, rows[i].not_before, rows[i].not_after))
            continue;
        plan->has_same = true;
        e = store_cert_get(b->db, b->arena, rows[i].kid, rows[i].serial, &plan->same, f);
    }
    return e || plan->has_same ? e : judge_rate(b, plan, rows, n, f);
}

/* -- first enrollment -------------------------------------------------------------------------------------------------------------------- */
/* The device, its line and whether it may have certificates at all. Sets the validity that the line asks for. */
static enum err device_judge(struct batch *b, struct cert_plan *plan, struct span label, int64_t *validity_s, struct fault *f)
{
    struct line line;
    struct device *d = &plan->device;
    if (label.n && !span_eq(label, d->line))
        return fault_set(f, CE_LINE_FORBIDDEN, "the device belongs to product line " SPAN_FMT ", not to " SPAN_FMT, SPAN_ARG(d->line), SPAN_ARG(label));
    enum err e = device_usable(d, f);
    e = e ? e : line_get(b, d->line, &line, f);
    if (e)
        return e;
    if (line.row.suspended)
        return fault_set(f, CE_LINE_SUSPENDED, "product line " SPAN_FMT " is suspended", SPAN_ARG(d->line));
    *validity_s = line.row.validity_s;
    plan->line = d->line;
    plan->dev_serial = d->serial;
    return CE_OK;
}

/* What the CSR says beside the UID may not contradict the register and the profile: it would not be in the certificate. */
static enum err judge_first_names(const struct msg_enroll *m, const struct cert_plan *plan, struct fault *f)
{
    if (m->idevid && !plan->device.serial.n)
        return fault_set(f, CE_IDEVID_NAME, "an IDevID has the serial number of its device (IEEE 802.1AR), and none is registered for this UID");
    if (m->subject_serial.n && !span_eq(m->subject_serial, plan->device.serial))
        return fault_set(f, CE_NAME_MISMATCH, "serialNumber in the CSR is not the one that is registered for this UID");
    if (!m->san_uri.n)
        return CE_OK;
    CLEANUP(buf_free) struct buf own = BUF_INIT(2048);
    struct profile_values v = { .uid = m->uid, .serial = plan->dev_serial, .line = plan->line };
    enum err e = profile_san_uri(&plan->issuer->profile, &v, &own, f);
    if (!e && !span_eq(m->san_uri, buf_span(&own)))
        return fault_set(f, CE_NAME_MISMATCH, "subjectAltName in the CSR is not the one that this device gets: leave it out, or ask for " SPAN_FMT,
                         SPAN_ARG(buf_span(&own)));
    return e;
}

static enum err judge_station(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f)
{
    enum err e = authz_roles(c, R_STATION, f);
    e = e ? e : device_get(b, m->uid, &plan->device, f);
    return e ? e : authz_line(c, plan->device.line, f);
}

static enum err judge_first(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f)
{
    int64_t validity_s = 0;
    bool others = false;
    enum err e = c->kind == CALLER_IDEVID ? cert_judge_idevid(b, c, m, plan, f) : c->kind == CALLER_SECRET ? device_get(b, m->uid, &plan->device, f) : judge_station(b, c, m, plan, f);
    e = e ? e : device_judge(b, plan, m->label, &validity_s, f);
    e = e ? e : cert_plan_dates(b, plan, validity_s, f);
    e = e ? e : judge_first_names(m, plan, f);
    e = e ? e : cert_judge_key(b, plan, m->key_alg, f);
    e = e ? e : certs_held(b, plan, &others, f);
    if (!e && m->idevid && others && !plan->has_same)
        return fault_set(f, CE_ALREADY_ENROLLED, "the device has an IDevID with another key: it has one for its life; if that is lost, revoke its certificate first");
    if (!e && others && !plan->has_same && plan->device.state == DEVICE_ACTIVE && c->kind != CALLER_IDEVID)
        return fault_set(f, CE_ALREADY_ENROLLED,
                         "the device is active and holds a live certificate with another key: it renews by simplereenroll; if its key is "
                         "lost, revoke that certificate first");
    return e;
}

/* -- renewal -------------------------------------------------------------------------------------------------------------------------------- */
static enum err judge_names(const struct caller *c, const struct msg_enroll *m, const struct cert_row *own, struct fault *f)
{
    struct cert x;
    if (!span_eq(m->uid, c->name))
        return fault_set(f, CE_NAME_MISMATCH, "the subject in the CSR is not that of the certificate in use (RFC 7030 4.2.2)");
    if (!m->subject_serial.n && !m->san_uri.n)
        return CE_OK;
    enum err e = cert_parse(own->der, &x, f);
    if (e)
        return e;
    if (m->subject_serial.n && !span_eq(m->subject_serial, x.serial_number))
        return fault_set(f, CE_NAME_MISMATCH, "serialNumber in the CSR is not that of the certificate in use (RFC 7030 4.2.2)");
    if (m->san_uri.n && !span_eq(m->san_uri, x.san_uri))
        return fault_set(f, CE_NAME_MISMATCH, "subjectAltName in the CSR is not that of the certificate in use (RFC 7030 4.2.2)");
    return CE_OK;
}

static enum err judge_window(struct batch *b, struct cert_plan *plan, const struct cert_row *own, struct fault *f)
{
    char text[CLOCK_TEXT_MAX];
    int64_t now_s = b->now_ms / 1000, from = profile_renew_at(&plan->issuer->profile, own->not_before, own->not_after);
    if (own->state.status == CERT_SUPERSEDED)
        return fault_set(f, CE_ALREADY_ENROLLED, "a newer certificate of this identity is in use already: renew with that one");
    if (now_s >= from)
        return CE_OK;
    plan->retry_s = from - now_s;
    clock_text_s(from, text);
    return fault_set(f, CE_TOO_EARLY, "this certificate may be renewed from %s on", text);
}

static enum err judge_renew(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f)
{
    struct cert_row own;
    int64_t validity_s = 0;
    bool others;
    enum err e = store_cert_get(b->db, b->arena, c->m->kid, c->m->serial, &own, f);
    e = e ? e : judge_names(c, m, &own, f);
    if (!e && plan->kind == CERT_HOLDER_DEVICE) {
        e = device_get(b, c->name, &plan->device, f);
        e = e ? e : device_judge(b, plan, m->label, &validity_s, f);
        if (!e && c->kind == CALLER_EXPIRED)
            e = cert_judge_grace(b, &own, plan, f);
    }
    e = e ? e : cert_plan_dates(b, plan, validity_s, f);
    e = e ? e : cert_judge_key(b, plan, m->key_alg, f);
    e = e ? e : certs_held(b, plan, &others, f);
    struct core_ca from;
    bool ended = core_ca_by_kid(b->core, c->m->kid, &from) && ca_judge_holder(&from); /* it gets a certificate of another CA before its time */
    if (!e && !plan->has_same && !ended)
        e = judge_window(b, plan, &own, f);
    return e;
}

enum err cert_judge_enroll(struct batch *b, const struct cert_path *p, const struct caller *c, const struct msg_enroll *m,
                           struct cert_plan *plan, struct fault *f)
{
    bool infra = m->renew && c->kind == CALLER_INFRA;
    *plan = (struct cert_plan){
        .kind = infra ? CERT_HOLDER_OPERATOR : CERT_HOLDER_DEVICE,
        .holder = m->uid,
        .issuer = infra ? &p->infra : m->idevid ? &p->idevid : &p->device,
        .key_der = m->spki,
        .renew = m->renew != 0,
        .by = c->name,
    };
    if (m->idevid && (m->renew || c->kind == CALLER_IDEVID))
        return fault_set(f, CE_IDEVID_ONLY, "a station asks for an IDevID, with simpleenroll; it is not renewed");
    if (m->idevid && !p->idevid.profile.name[0])
        return fault_set(f, CE_NOT_FOUND, "this site makes no IDevIDs: it has no profiles/" PROFILE_IDEVID ".conf");
    if (!m->renew)
        return judge_first(b, c, m, plan, f);
    if (c->kind == CALLER_IDEVID)
        return fault_set(f, CE_IDEVID_ONLY, "an IDevID is not renewed; it enrolls (simpleenroll)");
    struct operator_row op;
    if (infra) {
        if (m->label.n)
            return fault_set(f, CE_LINE_FORBIDDEN, "'" SPAN_FMT "' is no device of product line " SPAN_FMT ": renew without the label in the path", SPAN_ARG(c->name), SPAN_ARG(m->label));
        enum err e = store_operator_get(b->db, b->arena, c->name, &op, f);
        if (e)
            return e;
        plan->role = op.role;
    }
    return judge_renew(b, c, m, plan, f);
}
