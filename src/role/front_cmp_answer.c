/* front_cmp_answer.c: CMP over HTTP, the way out: what core decided becomes a message, which core has protected by the site's CMP key or by the
 * secret of the device, and goes out with status 200 (RFC 9811 3.3). See front_cmp.c.
 */
#include "base/file.h"
#include "crypt/der.h"
#include "role/front_cmp.h"

/* -- refusals in CMP's words (RFC 9810 5.2.3) ------------------------------------------------------------------------------------------------- */
static enum cmp_fail fail_of(const struct front_cmp_note *n, enum err code)
{
    static const struct {
        enum err code;
        enum cmp_fail fail;
    } rows[] = {
        {CE_CMP_ALG, CMP_BAD_ALG}, {CE_KEY_ALG, CMP_BAD_ALG}, {CE_KEY_WEAK, CMP_BAD_ALG},
        {CE_CMP_PROTECTION, CMP_BAD_MESSAGE_CHECK}, {CE_SECRET_UNKNOWN, CMP_BAD_MESSAGE_CHECK}, {CE_SECRET_OVER, CMP_BAD_MESSAGE_CHECK},
        {CE_SECRET_LOCKED, CMP_BAD_MESSAGE_CHECK}, {CE_CMP_UNPROTECTED, CMP_WRONG_INTEGRITY},
        {CE_CMP_TIME, CMP_BAD_TIME}, {CE_BAD_CERT_ID, CMP_BAD_CERT_ID}, {CE_BAD_CMP, CMP_BAD_DATA_FORMAT}, {CE_TOO_LARGE, CMP_BAD_DATA_FORMAT},
        {CE_WRONG_AUTHORITY, CMP_WRONG_AUTHORITY}, {CE_CSR_POP, CMP_BAD_POP},
        {CE_CERT_REVOKED, CMP_CERT_REVOKED}, {CE_CMP_RECIP_NONCE, CMP_BAD_RECIPIENT_NONCE}, {CE_CMP_NONCE, CMP_BAD_SENDER_NONCE},
        {CE_BAD_TEMPLATE, CMP_BAD_CERT_TEMPLATE}, {CE_BAD_CSR, CMP_BAD_CERT_TEMPLATE}, {CE_BAD_NAME, CMP_BAD_CERT_TEMPLATE},
        {CE_BAD_UID, CMP_BAD_CERT_TEMPLATE}, {CE_NAME_MISMATCH, CMP_BAD_CERT_TEMPLATE}, {CE_UID_UNKNOWN, CMP_BAD_CERT_TEMPLATE},
        {CE_KEY_INVALID, CMP_BAD_CERT_TEMPLATE}, {CE_KEY_EXPONENT, CMP_BAD_CERT_TEMPLATE}, {CE_KEY_FACTOR, CMP_BAD_CERT_TEMPLATE},
        {CE_KEY_ROCA, CMP_BAD_CERT_TEMPLATE}, {CE_KEY_POWER, CMP_BAD_CERT_TEMPLATE}, {CE_KEY_CLOSE, CMP_BAD_CERT_TEMPLATE},
        {CE_KEY_OF_OTHER, CMP_BAD_CERT_TEMPLATE}, {CE_KEY_REVOKED, CMP_BAD_CERT_TEMPLATE},
        {CE_KEY_BLOCKED, CMP_BAD_CERT_TEMPLATE}, {CE_IDEVID_KEY, CMP_BAD_CERT_TEMPLATE},
        {CE_CERT_FOREIGN, CMP_SIGNER_NOT_TRUSTED}, {CE_CERT_UNKNOWN, CMP_SIGNER_NOT_TRUSTED}, {CE_CERT_EXPIRED, CMP_SIGNER_NOT_TRUSTED},
        {CE_CERT_NOT_YET, CMP_SIGNER_NOT_TRUSTED}, {CE_BAD_CERT, CMP_SIGNER_NOT_TRUSTED}, {CE_CHAIN, CMP_SIGNER_NOT_TRUSTED},
        {CE_TRANSACTION_USED, CMP_TRANSACTION_ID_IN_USE}, {CE_CMP_VERSION, CMP_UNSUPPORTED_VERSION},
        {CE_ALREADY_ENROLLED, CMP_DUPLICATE_CERT_REQ}, {CE_BUSY_UID, CMP_DUPLICATE_CERT_REQ},
    };
    if (code == CE_STATE_CHANGE) /* of a certificate: revoked, or confirmed */
        return n->answer == CMP_RP ? CMP_CERT_REVOKED : CMP_CERT_CONFIRMED;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].code == code)
            return rows[i].fail;
    switch (err_class(code)) {
    case ERRC_AUTHN:
    case ERRC_DENIED: return CMP_NOT_AUTHORIZED;
    case ERRC_BUSY:
    case ERRC_RATE: return CMP_SYSTEM_UNAVAIL;
    case ERRC_INTERNAL:
    case ERRC_TRUST: return CMP_SYSTEM_FAILURE;
    default: return CMP_BAD_REQUEST;
    }
}

/* -- the message --------------------------------------------------------------------------------------------------------------------------------- */
/* Our parameters for the client's kind of MAC: the same costs, a salt of our own. */
static bool mac_alg(struct front_req *r, struct front_cmp_note *n, struct buf *alg)
{
    uint8_t *salt = arena_alloc(&r->arena, CMP_NONCE);
    if (random_bytes(salt, CMP_NONCE))
        return false;
    n->mac.salt = span_of(salt, CMP_NONCE);
    cmp_mac_put(&n->mac, alg);
    return true;
}

static bool is_protected(const struct front_req *r, const struct front_cmp_note *n)
{
    return n->by_secret || r->fr->cmp->der.len;
}

/* Header and body as they will lie in the message. */
static void header_make(struct front_req *r, struct front_cmp_note *n, bool protect, struct span body)
{
    const struct front_cmp *c = r->fr->cmp;
    CLEANUP(buf_free) struct buf out = BUF_INIT(0), alg = BUF_INIT(0);
    if (protect && !n->by_secret)
        buf_put_span(&alg, sig_alg_der(c->alg));
    else if (protect)
        protect = mac_alg(r, n, &alg);
    const struct cmp_header h = {.pvno = n->m.pvno == 3 ? 3 : 2,
                                 .time_s = clock_now_s(),
                                 .sender = c->der.len ? c->cert.subject : span_of(NULL, 0),
                                 .recipient = n->m.sender,
                                 .alg = buf_span(&alg),
                                 .sender_kid = !protect ? span_of(NULL, 0) : n->by_secret ? n->m.sender_kid : c->cert.ski,
                                 .transaction_id = n->m.transaction_id,
                                 .sender_nonce = span_of(n->nonce, sizeof n->nonce),
                                 .recip_nonce = n->m.sender_nonce,
                                 .implicit_confirm = n->issued.n && n->m.implicit_confirm};
    cmp_header_put(&h, &out);
    buf_put_span(&out, body);
    n->header_body = arena_copy(&r->arena, buf_span(&out));
}

static const struct ca *ca_of_cert(const struct front *fr, struct span der)
{
    struct cert c;
    struct fault f;
    const struct front_ca *ca = der.n && cert_parse(der, &c, &f) == CE_OK ? front_ca_by_kid(fr, c.aki) : NULL;
    return ca ? &ca->ca : NULL;
}

/* What the client needs to verify the answer and the certificate in it, up to the root, which it has or is given. */
static size_t extra_certs(const struct front_req *r, const struct front_cmp_note *n, bool protected, struct span certs[CMP_CERTS])
{
    const struct front_cmp *c = r->fr->cmp;
    const struct ca *of[] = {protected && !n->by_secret ? ca_of_cert(r->fr, c->cert.der) : NULL, ca_of_cert(r->fr, n->issued)};
    size_t k = 0;
    if (protected && !n->by_secret)
        certs[k++] = c->cert.der;
    for (size_t i = 0; i < ARRAY_LEN(of); i++)
        if (of[i] && (i == 0 || of[0] != of[1]))
            certs[k++] = of[i]->cert.der;
    return k;
}

static void message_send(struct front_req *r, struct front_cmp_note *n, struct span protection)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    struct span certs[CMP_CERTS];
    size_t k = extra_certs(r, n, protection.n != 0, certs);
    cmp_message_put(n->header_body, protection, certs, k, &out);
    front_send(r, 200, CMP_MEDIA, buf_span(&out));
}

/* Has core protect it; the answer to that is the end. */
static void answer(struct front_req *r, struct front_cmp_note *n, struct span body, bool protect)
{
    CLEANUP(buf_free) struct buf part = BUF_INIT(0);
    struct fault f;
    protect = protect && is_protected(r, n);
    header_make(r, n, protect, body);
    struct msg_cmp_protect *m = arena_alloc(&r->arena, sizeof *m);
    cmp_protected_put(n->header_body, &part);
    m->part = arena_copy(&r->arena, buf_span(&part));
    if (n->by_secret) {
        m->ref = n->m.sender_kid;
        m->pbmac1 = n->mac.pbmac1;
        m->salt = n->mac.salt;
        m->iterations = n->mac.iterations;
        m->hash = n->mac.hash;
        m->mac_bits = n->mac.mac;
    }
    n->protecting = true;
    if (protect && front_ask(r, r->fr->core, &msg_desc_cmp_protect, m, &f) == CE_OK)
        return;
    if (protect)
        header_make(r, n, false, body);
    message_send(r, n, span_of(NULL, 0));
}

/* -- what core says ----------------------------------------------------------------------------------------------------------------------------------- */
/* The certificate of the key `of` that the key `by` signed; empty: there is none. */
static struct span link_find(const struct front *fr, const struct cert *of, const struct cert *by)
{
    for (size_t i = 0; i < fr->n_cas; i++) {
        const struct ca *ca = &fr->cas[i].ca;
        if (ca->use == CA_USE_LINK && span_eq(ca->cert.ski, of->ski) && span_eq(ca->cert.aki, by->ski))
            return ca->cert.der;
    }
    return span_of(NULL, 0);
}

/* The youngest root that follows the one the client has (have empty: any root of ours) by a link. Nothing: there is none. */
static void put_root_update(const struct front *fr, struct span have, struct buf *out)
{
    const struct cert *old = NULL, *new = NULL;
    for (size_t i = 0; i < fr->n_cas; i++)
        for (size_t k = 0; k < fr->n_cas; k++) {
            const struct cert *a = &fr->cas[i].ca.cert, *b = &fr->cas[k].ca.cert;
            bool roots = fr->cas[i].ca.use == CA_USE_ROOT && fr->cas[k].ca.use == CA_USE_ROOT && front_ca_judge(&fr->cas[k]) == CE_OK;
            if (roots && (!have.n || span_eq(a->der, have)) && b->not_before > a->not_before && (!new || b->not_before > new->not_before) && link_find(fr, b, a).n)
                old = a, new = b;
        }
    if (new)
        cmp_put_root_update(new->der, link_find(fr, new, old), link_find(fr, old, new), out);
}

static void put_infos(struct front_req *r, const struct front_cmp_note *n, struct buf *body)
{
    const struct front *fr = r->fr;
    static const uint8_t root_update[] = {0x2b, 6, 1, 5, 5, 7, 4, CMP_IT_ROOT_UPDATE};
    CLEANUP(buf_free) struct buf cas = BUF_INIT(0), tmpl = BUF_INIT(0), root = BUF_INIT(0);
    struct cmp_info out[CMP_INFOS];
    size_t k = 0, at = der_begin(&cas, DER_SEQUENCE);
    for (size_t i = 0; i < fr->n_cas; i++)
        if (fr->cas[i].ca.use != CA_USE_ROOT && front_ca_judge(&fr->cas[i]) == CE_OK)
            buf_put_span(&cas, fr->cas[i].ca.cert.der);
    der_end(&cas, at);
    cmp_put_template(span_str(fr->profile.key_algs), &tmpl);
    for (size_t i = 0; i < n->n_infos; i++) {
        int it = cmp_it_of(n->infos[i].oid);
        if (it == CMP_IT_CA_CERTS)
            out[k++] = (struct cmp_info){n->infos[i].oid, buf_span(&cas)};
        else if (it == CMP_IT_TEMPLATE)
            out[k++] = (struct cmp_info){n->infos[i].oid, buf_span(&tmpl)};
        else if (it == CMP_IT_ROOT_CERT && !root.len) { /* RFC 9483 4.3.2: no value: there is no newer root. One answer to one question */
            put_root_update(fr, n->infos[i].value, &root);
            out[k++] = (struct cmp_info){span_of(root_update, sizeof root_update), buf_span(&root)};
        }
    }
    cmp_put_gen_rep(out, k, body);
}

static void put_success(struct front_req *r, struct front_cmp_note *n, struct buf *body)
{
    const struct cmp_verdict accepted = {.status = CMP_ACCEPTED, .fail = CMP_FAIL_NONE};
    struct span root = n->by_secret && n->answer == CMP_IP ? buf_span(&r->fr->cmp->root) : span_of(NULL, 0);
    switch (n->answer) {
    case CMP_IP:
    case CMP_CP:
    case CMP_KUP: cmp_put_cert_rep(n->answer, n->id, &accepted, n->issued, root, body); break;
    case CMP_RP: cmp_put_rev_rep(&accepted, body); break;
    case CMP_GENP: put_infos(r, n, body); break;
    default: cmp_put_pkiconf(body); break;
    }
}

void front_reply_cmp(struct front_req *r, const struct msg_reply *rep)
{
    struct front_cmp_note *n = r->note;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    if (n->protecting) {
        message_send(r, n, rep->body);
        return;
    }
    if (n->answer == CMP_POLL_REP) /* it is there: the answer of the request, whichever front had that */
        n->answer = rep->rev == CMP_IP ? CMP_IP : rep->rev == CMP_KUP ? CMP_KUP : CMP_CP;
    if (rep->body_kind == BODY_CERT)
        n->issued = arena_copy(&r->arena, rep->body);
    put_success(r, n, &body);
    answer(r, n, buf_span(&body), true);
}

/* An approval is waited for: the status says so, and pollReq gets the time to come again. */
void front_pending_cmp(struct front_req *r, const struct msg_reply *rep)
{
    struct front_cmp_note *n = r->note;
    const struct cmp_verdict waiting = {.status = CMP_WAITING, .text = rep->text, .fail = CMP_FAIL_NONE};
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    front_header(r, "X-Cradle-Reason", "%s", err_reason(CE_PENDING));
    if (n->answer == CMP_POLL_REP)
        cmp_put_poll_rep(n->id, rep->retry_s > 0 ? rep->retry_s : 1, rep->text, &body);
    else
        cmp_put_cert_rep(n->answer, n->id, &waiting, span_of(NULL, 0), span_of(NULL, 0), &body);
    answer(r, n, buf_span(&body), true);
}

/* Our own trouble goes out unprotected, and so does what nobody proved: a MAC is made for who has the secret only. */
void front_cmp_refuse(struct front_req *r, enum err code, const char *text)
{
    struct front_cmp_note *n = r->note;
    enum err_class class = err_class(code);
    bool ours = n->protecting || class == ERRC_BUSY || class == ERRC_INTERNAL;
    bool stranger = n->by_secret && (code == CE_CMP_PROTECTION || code == CE_SECRET_UNKNOWN || code == CE_SECRET_OVER || code == CE_SECRET_LOCKED || !r->sent_to);
    struct cmp_verdict v = {.status = CMP_REJECTION, .text = span_str(text && text[0] ? text : err_text(code)), .fail = fail_of(n, code)};
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    if (!span_is_utf8(v.text))
        v.text = span_str(err_text(code));
    n->issued = span_of(NULL, 0);
    if (!n->inside || ours)
        cmp_put_error(&v, &body);
    else if (n->answer == CMP_RP)
        cmp_put_rev_rep(&v, &body);
    else
        cmp_put_cert_rep(n->answer, n->id, &v, span_of(NULL, 0), span_of(NULL, 0), &body);
    answer(r, n, buf_span(&body), !ours && !stranger);
}
