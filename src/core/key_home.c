/* key_home.c: what is kept of where keys live, and what lines demand: the half of attest.h without challenges. */
#include "core/attest.h"
#include "core/line.h"
#include "core/registry.h"
#include "store/attest.h"

enum err key_home_line_set(struct batch *b, const struct caller *c, const struct msg_line_set *m, struct line_more *more, struct fault *f)
{
    if (!span_eq_str(m->key_home, "tpm") && !span_eq_str(m->key_home, "any"))
        return fault_set(f, CE_BAD_FIELD, "key_home is tpm or any, not '" SPAN_FMT "'", SPAN_ARG(m->key_home));
    more->key_home = span_eq_str(m->key_home, "any") ? (struct span){ 0 } : m->key_home;
    enum err e = line_more_put(b, m->name, more, f);
    if (e)
        return e;
    struct json_out *j = line_event_begin(b, EVENT_LINE_KEY_HOME, m->name);
    json_str(j, "home", more->key_home);
    return line_event_end(b, j, c, m->note);
}

enum err key_home_judge(struct batch *b, const struct cert_plan *plan, struct fault *f)
{
    struct key_home_row row = { 0 };
    struct line line;
    if (plan->kind != CERT_HOLDER_DEVICE)
        return CE_OK;
    enum err e = line_get(b, plan->device.line, &line, f);
    if (e || !line.more.key_home.n)
        return e;
    e = store_key_home_get(b->db, b->arena, plan->holder, &row, f);
    if (e && e != CE_NOT_FOUND)
        return e;
    if (e || !row.proved || !span_eq(row.home, line.more.key_home) || !span_eq(row.spki, span_of(plan->spki, SHA256_LEN)))
        return fault_set(f, CE_KEY_HOME, "product line " SPAN_FMT " takes keys only that are proved to live in a TPM, and this one is not: attest it first (POST "
                         "/attest/v1/challenge)", SPAN_ARG(plan->device.line));
    return CE_OK;
}

static bool said_known(struct span said) { return span_eq_str(said, "file") || span_eq_str(said, "tpm") || span_eq_str(said, "pkcs11") || span_eq_str(said, "psa"); }

enum err key_home_write(struct batch *b, const struct key_home_row *r, struct span by, struct fault *f)
{
    enum err e = store_key_home_put(b->db, r, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_KEY_HOME, r->uid, 0);
    json_hex(j, "spki", r->spki);
    json_str(j, "home", r->home);
    json_bool(j, "proved", r->proved);
    json_hex(j, "ek", r->ek);
    json_str(j, "vendor", r->vendor);
    json_str(j, "by", by);
    event_end(b);
    return CE_OK;
}

enum err key_home_note(struct batch *b, const struct cert_plan *plan, struct span said, struct fault *f)
{
    struct key_home_row row = { 0 };
    if (plan->kind != CERT_HOLDER_DEVICE)
        return CE_OK;
    enum err e = store_key_home_get(b->db, b->arena, plan->holder, &row, f);
    if (e && e != CE_NOT_FOUND)
        return e;
    bool there = !e, same = there && span_eq(row.spki, span_of(plan->spki, SHA256_LEN));
    said = said_known(said) ? said : (struct span){ 0 };
    if ((same && (row.proved || span_eq(row.home, said))) || (!there && !said.n))
        return CE_OK;
    const struct key_home_row now = { .uid = plan->holder, .spki = span_of(plan->spki, SHA256_LEN), .home = said, .at = b->now_ms };
    return key_home_write(b, &now, plan->by, f);
}

/* -- which TPM belongs to a device ------------------------------------------------------------------------------------------------------- */
enum err device_ek_write(struct batch *b, const struct caller *c, struct span uid, struct span ek, struct span note, struct fault *f)
{
    struct span of = { 0 };
    enum err e = ek.n ? store_device_ek_find(b->db, b->arena, ek, &of, f) : CE_OK;
    if (!e && of.n && !span_eq(of, uid))
        e = fault_set(f, CE_EK_UNKNOWN, "the TPM belongs to device " SPAN_FMT " already", SPAN_ARG(of));
    e = e ? e : store_device_ek_put(b->db, uid, ek, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_DEVICE_EK, uid, 0);
    json_hex(j, "ek", ek);
    json_str(j, "note", note);
    json_str(j, "by", c->name);
    event_end(b);
    return CE_OK;
}

enum err attest_op_device_ek(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_device_ek *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct device d = { 0 };
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    if (!e && m->ek.n && m->ek.n != SHA256_LEN)
        e = fault_set(f, CE_BAD_FIELD, "field 'ek' must be the SHA-256 of the endorsement key's SubjectPublicKeyInfo: 64 hexadecimal digits");
    e = e ? e : device_get(b, m->uid, &d, f);
    e = e ? e : authz_line(c, d.line, f);
    e = e ? e : device_ek_write(b, c, d.uid, m->ek, m->note, f);
    if (e)
        return e;
    struct json_out o = JSON_OUT(&body);
    json_obj(&o, NULL);
    json_str(&o, "uid", d.uid);
    json_hex(&o, "ek", m->ek);
    json_obj_end(&o);
    reply_json(b, &body, out);
    return CE_OK;
}

enum err attest_op_ek_ca(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_ek_ca *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct line line;
    bool was = false;
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    e = e ? e : line_get(b, m->line, &line, f);
    if (e)
        return e == CE_NOT_FOUND ? fault_set(f, CE_LINE_UNKNOWN, "there is no product line '" SPAN_FMT "'", SPAN_ARG(m->line)) : e;
    struct ek_ca_row *rows;
    size_t n;
    if ((e = store_ek_ca_list(b->db, b->arena, m->line, &rows, &n, f)))
        return e;
    for (size_t i = 0; i < n; i++)
        was = was || span_eq(rows[i].sha256, m->sha256);
    if (was != (m->remove != 0))
        return fault_set(f, was ? CE_EXISTS : CE_NOT_FOUND, was ? "this CA vouches for TPMs of the line already" : "no such CA vouches for TPMs of the line");
    if (!m->remove && n >= EK_CAS_MAX)
        return fault_set(f, CE_TOO_LARGE, "a product line has up to %d CAs of TPMs", EK_CAS_MAX);
    const struct ek_ca_row row = { m->line, m->sha256, m->spki, m->title, b->now_ms };
    e = m->remove ? store_ek_ca_remove(b->db, m->line, m->sha256, &was, f) : store_ek_ca_put(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_LINE_EK_CA, (struct span){ 0 }, 0);
    json_str(j, "name", m->line);
    json_hex(j, "sha256", m->sha256);
    json_base64(j, "spki", m->spki);
    json_str(j, "title", m->title);
    json_bool(j, "removed", m->remove != 0);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    struct json_out o = JSON_OUT(&body);
    json_obj(&o, NULL);
    json_str(&o, "line", m->line);
    json_hex(&o, "sha256", m->sha256);
    json_str(&o, "title", m->title);
    json_obj_end(&o);
    out->http = m->remove ? 0 : HTTP_CREATED;
    reply_json(b, &body, out);
    return CE_OK;
}
