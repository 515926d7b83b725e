/* front_est.c: EST, RFC 7030 and RFC 8951: what a CSR may say is judged here, what the device may have is core's decision.
 * Core gets the key, never the CSR.
 */
#include "crypt/csr.h"
#include "role/front_priv.h"
#include "wire/cms.h"
#include "wire/est.h"

enum err front_est_open(struct front *fr, struct fault *f)
{
    CLEANUP(buf_free) struct buf attrs = BUF_INIT(4096);
    enum err e = est_csrattrs(fr->profile.key_algs, fr->config.csrattrs_template, &attrs, f);
    if (!e)
        buf_put_base64(&fr->csrattrs, buf_span(&attrs), EST_LINE);
    return e;
}

/* -- requests ------------------------------------------------------------------------------------------------------------------- */
enum err front_label_read(struct front_req *r, struct span *label, bool *idevid, struct fault *f)
{
    static const char tail[] = ".idevid"; /* LINE.idevid: an initial identity is asked for; no line is called so (core/line.c) */
    const size_t n = sizeof tail - 1;
    *label = r->match.nparams ? r->match.params[0] : span_of(NULL, 0);
    *idevid = label->n > n && memcmp(label->p + label->n - n, tail, n) == 0;
    if (*idevid)
        label->n -= n;
    enum err e = label->n ? name_check_label("label", *label, f) : CE_OK;
    if (!e && *idevid && !r->fr->idevid.name[0])
        e = fault_set(f, CE_NOT_FOUND, "this site makes no IDevIDs: it has no profiles/" PROFILE_IDEVID ".conf");
    if (e || !label->n || front_map_get(&r->fr->lines, *label))
        return e;
    if (!r->fr->ready)
        return fault_set(f, CE_ROLE_GONE, "core is starting; try again");
    return fault_set(f, CE_LINE_UNKNOWN, "there is no product line '" SPAN_FMT "': the label in the path names one (RFC 7030 3.2.2)", SPAN_ARG(*label));
}

static enum err ready_made(struct front_req *r, const struct buf *what, const char *media, struct fault *f)
{
    struct span label;
    bool idevid;
    enum err e = front_label_read(r, &label, &idevid, f);
    if (e)
        return e;
    buf_put_span(&r->out, buf_span(what));
    r->out_media = media;
    front_header(r, "Content-Transfer-Encoding", "base64");
    return CE_OK;
}

enum err front_cacerts(struct front_req *r, struct fault *f)
{
    return !r->fr->cacerts.len ? fault_set(f, CE_ROLE_GONE, "core is starting; try again") : ready_made(r, &r->fr->cacerts, EST_MEDIA_CERTS, f);
}
enum err front_csrattrs(struct front_req *r, struct fault *f)
{
    return ready_made(r, &r->fr->csrattrs, EST_MEDIA_ATTRS, f);
}

static enum err not_here(struct front_req *r, enum err code, const char *section, struct fault *f)
{
    struct span label;
    bool idevid;
    enum err e = front_label_read(r, &label, &idevid, f);
    return e ? e : fault_set(f, code, "%s (RFC 7030 %s is not offered)", err_text(code), section);
}
enum err front_serverkeygen(struct front_req *r, struct fault *f)
{
    return not_here(r, CE_SERVERKEYGEN, "4.4", f);
}
enum err front_fullcmc(struct front_req *r, struct fault *f)
{
    return not_here(r, CE_FULLCMC, "4.3", f);
}

static enum err names_judge(const struct csr *c, struct fault *f)
{
    if (c->n_rdn_other)
        return fault_set(f, CE_BAD_NAME, "the subject may hold CN, serialNumber and O only; the profile decides the rest");
    if (c->n_san_dns || c->n_san_other || c->n_san_uri > 1)
        return fault_set(f, CE_BAD_NAME, "the subject alternative name may hold one URI only");
    if (c->san_uri.n > 255 || !span_is_utf8(c->san_uri))
        return fault_set(f, CE_BAD_NAME, "the URI in the subject alternative name is longer than 255 bytes or not text");
    if (c->serial_number.n > 64 || !span_is_utf8(c->serial_number))
        return fault_set(f, CE_BAD_NAME, "the serialNumber in the subject is longer than 64 bytes or not text");
    return CE_OK;
}

enum err front_csr_judge(struct arena *a, struct span der, const struct profile *p, struct msg_enroll *out, struct fault *f)
{
    struct csr csr;
    *out = (struct msg_enroll){0};
    enum err e = csr_parse(der, &csr, f);
    if (span_is_utf8(csr.cn) && csr.cn.n <= UID_MAX)
        out->uid = csr.cn; /* whose request it says it is, also when its key is refused */
    e = e ? e : front_csr_names(a, &csr, p, out, f);
    return e ? e : csr_verify(&csr, f);
}

enum err front_csr_names(struct arena *a, const struct csr *csr, const struct profile *p, struct msg_enroll *out, struct fault *f)
{
    struct spki_info key;
    const struct key_policy policy = profile_key_policy(p);
    if (span_is_utf8(csr->cn) && csr->cn.n <= UID_MAX)
        out->uid = csr->cn;
    enum err e = name_check_uid(csr->cn, f);
    if (!e)
        e = names_judge(csr, f);
    if (!e)
        e = key_gate(csr->spki, &policy, &key, f);
    if (e)
        return e;
    out->san_uri = csr->san_uri;
    out->subject_serial = csr->serial_number;
    out->spki = csr->spki;
    out->key_alg = arena_copy(a, span_str(key.name));
    return CE_OK;
}

static enum err enroll(struct front_req *r, bool renew, struct fault *f)
{
    struct msg_enroll *m = arena_alloc(&r->arena, sizeof *m);
    struct buf der = BUF_INIT(CSR_MAX);
    bool device = r->who.kind != CALLER_INFRA || !renew, idevid = false;
    struct span label;
    r->desc = &msg_desc_enroll;
    r->note = m; /* names the device in a refusal */
    enum err e = front_label_read(r, &label, &idevid, f);
    if (!e && idevid && renew)
        e = fault_set(f, CE_IDEVID_ONLY, "an IDevID is not renewed");
    if (!e)
        e = est_body_decode(r->body, &der, f);
    struct span csr = arena_copy(&r->arena, buf_span(&der));
    buf_free(&der);
    if (!e)
        e = front_csr_judge(&r->arena, csr, idevid ? &r->fr->idevid : device ? &r->fr->profile : &r->fr->infra, m, f);
    if (e)
        return e;
    m->label = label;
    m->renew = renew;
    m->idevid = idevid;
    m->key_home = front_in_header(r, "Cradle-Key-Home");
    if (m->key_home.n > 16 || !span_is_utf8(m->key_home))
        m->key_home = span_of(NULL, 0);
    front_idevid_fill(&r->who, m);
    r->msg = m;
    return CE_OK;
}

enum err front_enroll(struct front_req *r, struct fault *f)
{
    return enroll(r, false, f);
}
enum err front_reenroll(struct front_req *r, struct fault *f)
{
    return enroll(r, true, f);
}

/* RFC 7030 4.2.3: certs-only, holding only the certificate that was issued. */
void front_reply_enrolled(struct front_req *r, const struct msg_reply *rep)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0), text = BUF_INIT(0);
    if (rep->body_kind != BODY_CERT) {
        front_refuse(r, CE_INTERNAL, "core did not answer with a certificate", rep);
        return;
    }
    cms_certs_only(&rep->body, 1, &der);
    buf_put_base64(&text, buf_span(&der), EST_LINE);
    front_header(r, "Content-Transfer-Encoding", "base64");
    front_send(r, 200, EST_MEDIA_CERTS, buf_span(&text));
}

/* RFC 7030 4.2.3: 202 with Retry-After; the client repeats the same request. */
void front_reply_pending(struct front_req *r, const struct msg_reply *rep)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(1024);
    const struct problem p = { .code = CE_PENDING, .detail = rep->text };
    problem_text(&p, &body);
    front_header(r, "X-Cradle-Reason", "%s", err_reason(CE_PENDING));
    front_header(r, "Retry-After", "%lld", (long long)(rep->retry_s > 0 ? rep->retry_s : 1));
    front_send(r, problem_status(&p), "text/plain; charset=utf-8", buf_span(&body));
}

/* -- requests that wait: REST ---------------------------------------------------------------------------------------------------- */
enum err front_enroll_query(struct front_req *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(128);
    struct span spki;
    enum err e = front_sha256_param(r, &spki, f);
    e = e ? e : front_query(r, f);
    if (e)
        return e;
    buf_put_hex(&hex, spki);
    ((struct msg_query *)r->msg)->key = arena_copy(&r->arena, buf_span(&hex));
    return CE_OK;
}

/* The last part of the path says what is done. */
enum err front_enroll_decide(struct front_req *r, struct fault *f)
{
    struct span spki, rest = r->path, one;
    enum err e = front_sha256_param(r, &spki, f);
    e = e ? e : front_json(r, f);
    if (e)
        return e;
    struct msg_enroll_decide *m = r->msg;
    m->spki = spki;
    while (span_cut(&rest, '/', &one))
        m->move = one;
    return CE_OK;
}
