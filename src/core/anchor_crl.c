/* anchor_crl.c: revocation lists of makers, brought by people: which IDevIDs a maker has revoked, and whether its lists are as new as they must be. Front has verified a
 * list under the anchor and read it; core takes its word as it does for a path (cert_authz_idevid.c). See anchor.h.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/name.h"
#include "core/anchor.h"
#include "core/registry.h"

#define AHEAD_S 300 /* a maker's clock may be ahead by */

static enum err crl_judge(struct batch *b, const struct msg_anchor_crl *m, struct fault *f)
{
    struct anchor_row a;
    struct anchor_crl_row *rows;
    size_t n;
    int64_t now_s = b->now_ms / 1000;
    char text[CLOCK_TEXT_MAX];
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    if (!e && m->stale.n && !span_eq_str(m->stale, "refuse") && !span_eq_str(m->stale, "warn"))
        e = fault_set(f, CE_BAD_FIELD, "stale is refuse or warn, not '" SPAN_FMT "'", SPAN_ARG(m->stale));
    e = e ? e : store_anchor_get(b->db, b->arena, m->line, m->sha256, &a, f);
    clock_text_s(m->this_update, text);
    if (!e && m->this_update > now_s + AHEAD_S)
        e = fault_set(f, CE_BAD_FIELD, "the list is of %s, which is not yet (RFC 5280 5.1.2.4)", text);
    clock_text_s(m->next_update, text);
    if (!e && m->next_update <= now_s && !span_eq_str(m->stale, "warn"))
        e = fault_set(f, CE_BAD_FIELD, "the list was good until %s (RFC 5280 5.1.2.5): it would let nobody enroll; get a newer one, or say stale warn", text);
    e = e ? e : store_anchor_crls(b->db, b->arena, m->line, m->sha256, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        if (span_eq(rows[i].issuer, m->issuer) && (m->number < rows[i].number || m->this_update < rows[i].this_update))
            e = fault_set(f, CE_STATE_CHANGE, "list %lld of this CA is older than list %lld, which is here", (long long)m->number, (long long)rows[i].number);
    return e;
}

static void crl_reply(struct batch *b, const struct anchor_crl_row *r, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out j = JSON_OUT(&body);
    json_obj(&j, NULL);
    json_str(&j, "line", r->line);
    json_hex(&j, "sha256", r->sha256);
    json_int(&j, "number", r->number);
    json_time_s(&j, "this_update", r->this_update);
    json_time_s(&j, "next_update", r->next_update);
    json_int(&j, "entries", r->entries);
    json_str(&j, "stale", r->stale);
    json_obj_end(&j);
    reply_json(b, &body, out);
}

enum err anchor_op_crl(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_anchor_crl *m = msg;
    uint8_t digest[SHA256_LEN];
    sha256(m->crl, digest);
    const struct anchor_crl_row row = { .line = m->line, .sha256 = m->sha256, .issuer = m->issuer, .digest = arena_copy(b->arena, span_of(digest, sizeof digest)),
                                        .number = m->number, .this_update = m->this_update, .next_update = m->next_update, .entries = m->entries, .revoked = m->revoked,
                                        .stale = m->stale.n ? m->stale : SPAN_LIT("refuse"), .added_at = b->now_ms, .added_by = c->name };
    enum err e = crl_judge(b, m, f);
    e = e ? e : store_anchor_crl_put(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_ANCHOR_CRL, (struct span){ 0 }, 0);
    json_str(j, "line", row.line);
    json_hex(j, "sha256", row.sha256);
    json_hex(j, "issuer", row.issuer);
    json_hex(j, "digest", row.digest);
    json_int(j, "number", row.number);
    json_int(j, "this_update", row.this_update);
    json_int(j, "next_update", row.next_update);
    json_int(j, "entries", row.entries);
    json_str(j, "revoked", row.revoked);
    json_str(j, "stale", row.stale);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    crl_reply(b, &row, out);
    return CE_OK;
}

/* -- who is revoked ------------------------------------------------------------------------------------------------------------------ */
static bool list_has(struct span list, struct span word)
{
    struct span one;
    while (span_cut(&list, '\n', &one))
        if (one.n && span_eq(one, word))
            return true;
    return false;
}

/* "ca HEX" is a CA below the anchor that is revoked, with all that it signed; else it is a serial number. */
static bool is_revoked(const struct anchor_crl_row *r, struct span aki, struct span serial)
{
    CLEANUP(buf_free) struct buf ca = BUF_INIT(0), number = BUF_INIT(0);
    buf_put_str(&ca, "ca ");
    buf_put_hex(&ca, aki);
    while (serial.n > 1 && serial.p[0] == 0)
        serial = span_of(serial.p + 1, serial.n - 1);
    buf_put_hex(&number, serial);
    if (aki.n && list_has(r->revoked, buf_span(&ca)))
        return true;
    return (!aki.n || span_eq(aki, r->issuer)) && list_has(r->revoked, buf_span(&number));
}

enum err anchor_crl_check(struct batch *b, const struct anchor_row *a, struct span aki, struct span serial, struct fault *f)
{
    struct anchor_crl_row *rows;
    size_t n = 0;
    char text[CLOCK_TEXT_MAX];
    enum err e = store_anchor_crls(b->db, b->arena, a->line, a->sha256, &rows, &n, f);
    if (!e && n && !serial.n)
        return fault_set(f, CE_CERT_REVOKED, "the IDevID has no serial number that its maker's revocation list could name (RFC 5280 4.1.2.2)");
    for (size_t i = 0; !e && i < n; i++) {
        if (is_revoked(&rows[i], aki, serial))
            return fault_set(f, CE_CERT_REVOKED, "the IDevID, or its CA, is on list %lld of its maker's revoked certificates", (long long)rows[i].number);
        if (rows[i].next_update >= b->now_ms / 1000)
            continue;
        clock_text_s(rows[i].next_update, text);
        if (span_eq_str(rows[i].stale, "refuse"))
            return fault_set(f, CE_MAKER_CRL, "the maker's revocation list was good until %s: bring a newer one: cradle anchor crl " SPAN_FMT, text, SPAN_ARG(a->line));
        log_warn(0, "an IDevID of line " SPAN_FMT " is judged by a revocation list of its maker that was good until %s", SPAN_ARG(a->line), text);
        core_stats(b->core)->idevid_stale_crl++;
    }
    return e;
}
