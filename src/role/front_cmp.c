/* front_cmp.c: CMP over HTTP (RFC 9811), the way in: a message is read, its signature and the proof of possession are verified, and what it asks
 * for becomes a message to core: ENROLL, as by EST, or one of CMP's own. A MAC is judged by core, which alone has the secret. The way out is
 * front_cmp_answer.c.
 */
#include <stdlib.h>

#include "base/file.h"
#include "crypt/der.h"
#include "role/front_cmp.h"

enum err front_cmp_open(struct front *fr, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct front_cmp *c = mem_calloc(1, sizeof *c);
    struct cert root;
    struct spki_info key;
    fr->cmp = c;
    c->der = BUF_INIT(CERT_MAX);
    c->root = BUF_INIT(CERT_MAX);
    path_join(path, "%s/ca/root.pem", fr->config.site);
    enum err e = cert_load(path, &c->root, &root, f);
    path_join(path, "%s/ca/cmp.pem", fr->config.site);
    if (e || !file_exists(path))
        return e;
    e = cert_load(path, &c->der, &c->cert, f);
    e = e ? e : spki_parse(c->cert.spki, &key, f);
    if (!e)
        c->alg = sig_alg_of_key(key.alg);
    return e;
}

void front_cmp_free(struct front_cmp *c)
{
    if (!c)
        return;
    buf_free(&c->der);
    buf_free(&c->root);
    free(c);
}

/* -- header ------------------------------------------------------------------------------------------------------------------------------- */
static enum err header_judge(const struct cmp_message *m, struct fault *f)
{
    if (m->transaction_id.n < CMP_NONCE)
        return fault_set(f, CE_CMP_REQUEST, "RFC 9483 3.1: transactionID has 16 random bytes at least");
    if (m->sender_nonce.n < CMP_NONCE)
        return fault_set(f, CE_CMP_NONCE, "RFC 9483 3.1: senderNonce has 16 random bytes at least");
    int64_t ahead = m->time_s - clock_now_s();
    if (m->has_time && (ahead > CMP_TIME_TOLERANCE_S || ahead < -CMP_TIME_TOLERANCE_S))
        return fault_set(f, CE_CMP_TIME, "RFC 9483 3.1: messageTime is %lld s %s our clock; %d s are tolerated", (long long)(ahead < 0 ? -ahead : ahead),
                         ahead < 0 ? "behind" : "ahead of", CMP_TIME_TOLERANCE_S);
    return CE_OK;
}

/* -- who -------------------------------------------------------------------------------------------------------------------------------------- */
static enum err secret_caller(struct front_req *r, struct front_cmp_note *n, struct fault *f)
{
    enum err e = cmp_mac_parse(n->m.alg, &n->mac, f);
    if (e)
        return e;
    n->by_secret = true;
    if (!n->m.sender_kid.n || !span_is_utf8(n->m.sender_kid))
        return fault_set(f, CE_SECRET_UNKNOWN, "RFC 9483 3.1: senderKID is the reference of the secret, as text");
    r->caller.kind = CALLER_SECRET;
    r->caller.cn = n->m.sender_kid;
    return CE_OK;
}

/* The message is protected by the first of extraCerts (RFC 9483 3.3). */
static enum err signer_verify(struct front_cmp_note *n, struct fault *f)
{
    const struct cmp_message *m = &n->m;
    struct span sender = m->sender, name;
    enum sig_alg alg = sig_alg_from_der(m->alg);
    if (alg == SIG_NONE)
        return fault_set(f, CE_CMP_ALG, "the message is signed by an algorithm that is not accepted (ECDSA or RSA with SHA-256 or better, Ed25519)");
    enum err e = m->n_certs ? cert_parse(m->certs[0], &n->signer, f) : fault_set(f, CE_CERT_FOREIGN, "RFC 9483 3.3: the first of extraCerts is the certificate of who signed");
    if (e)
        return e;
    if (n->signer.key_usage && !(n->signer.key_usage & KU_DIGITAL_SIGNATURE))
        return fault_set(f, CE_CERT_FOREIGN, "RFC 9483 3.3: the key usage of the signer's certificate has no digitalSignature");
    CLEANUP(buf_free) struct buf part = BUF_INIT(CMP_MAX + 8);
    cmp_protected_put(m->header_body, &part);
    if (spki_verify(n->signer.spki, alg, buf_span(&part), m->protection))
        return fault_set(f, CE_CMP_PROTECTION, "RFC 9810 5.1.3: the signature does not hold by the first certificate of extraCerts");
    if (der_get(&sender, DER_CONTEXT_CONS(4), &name) || !span_eq(name, n->signer.subject))
        return fault_set(f, CE_CMP_PROTECTION, "RFC 9483 3.1: sender is not the subject of the signer's certificate");
    if (m->sender_kid.n && n->signer.ski.n && !span_eq(m->sender_kid, n->signer.ski))
        return fault_set(f, CE_CMP_PROTECTION, "RFC 9483 3.1: senderKID is not the key identifier of the signer's certificate");
    return CE_OK;
}

/* A certificate of the TLS connection says nothing here: the message speaks for itself. */
static enum err caller_judge(struct front_req *r, struct front_cmp_note *n, struct fault *f)
{
    r->who = (struct front_who){.err = CE_NO_CERT};
    r->caller.kind = CALLER_NONE;
    r->caller.kid = r->caller.serial = r->caller.spki = r->caller.cn = (struct span){0};
    if (!n->m.alg.n)
        return fault_set(f, CE_CMP_UNPROTECTED, "RFC 9483 3.2: a request is protected by a signature or by a secret");
    if (cmp_alg_is_mac(n->m.alg))
        return secret_caller(r, n, f);
    enum err e = signer_verify(n, f);
    return e ? e : front_caller_signer(r, &n->signer, n->m.certs + 1, n->m.n_certs - 1, f);
}

/* -- what it asks for ------------------------------------------------------------------------------------------------------------------------- */
static const struct ca *ca_by_name(const struct front *fr, struct span name)
{
    for (size_t i = 0; i < fr->n_cas; i++)
        if (span_eq(fr->cas[i].ca.cert.subject, name))
            return &fr->cas[i].ca;
    return NULL;
}

static struct span turn_pack(struct front_req *r, const struct front_cmp_note *n, bool ra_verified)
{
    CLEANUP(buf_free) struct buf part = BUF_INIT(CMP_MAX + 8), out = BUF_INIT(0);
    struct msg_cmp_turn t = {.tx = n->m.transaction_id, .nonce = span_of(n->nonce, sizeof n->nonce), .recip_nonce = n->m.recip_nonce,
                             .type = n->answer, .implicit = n->m.implicit_confirm, .ra_verified = ra_verified, .by_secret = n->by_secret};
    if (n->by_secret) {
        cmp_protected_put(n->m.header_body, &part);
        t.pbmac1 = n->mac.pbmac1;
        t.salt = n->mac.salt;
        t.iterations = n->mac.iterations;
        t.hash = n->mac.hash;
        t.mac_bits = n->mac.mac;
        t.mac = n->m.protection.n <= 64 ? n->m.protection : span_of(NULL, 0);
        t.part = buf_span(&part);
    }
    msg_pack(&msg_desc_cmp_turn, &t, &out);
    return arena_copy(&r->arena, buf_span(&out));
}

static bool is_renewer(const struct front_req *r) { return r->caller.kind == CALLER_DEVICE || r->caller.kind == CALLER_EXPIRED; }

/* A key update is one of the certificate that protects it; a device that asks by its certificate for another one renews as well. */
static enum err renewal_judge(const struct front_req *r, struct front_cmp_note *n, const struct cmp_cert_request *q, struct fault *f)
{
    bool kur = n->m.type == CMP_KUR;
    n->enroll.renew = kur || is_renewer(r);
    if (kur && r->caller.kind == CALLER_IDEVID)
        return fault_set(f, CE_IDEVID_ONLY, "an IDevID is not renewed; it enrolls (ir, cr, p10cr)");
    if (kur && n->by_secret)
        return fault_set(f, CE_CMP_UNPROTECTED, "RFC 9483 4.1.3: a key update is signed with the key of the certificate that it follows");
    if (kur && q->old_serial.n && (!span_eq(q->old_serial, n->signer.serial) || !span_eq(q->old_issuer, n->signer.issuer)))
        return fault_set(f, CE_BAD_CERT_ID, "RFC 9483 4.1.3: oldCertID is not the certificate that protects the message");
    return CE_OK;
}

/* OpenSSL's client puts the SAN of the certificate that it signs with into the template unless it is told not to. In a first request that is a
 * station's own name, or the hardwareModuleName of an IDevID: it means nothing, so it is taken as not there. */
static void default_san_drop(const struct front_req *r, const struct front_cmp_note *n, struct csr *csr)
{
    bool other = r->caller.kind == CALLER_INFRA || r->caller.kind == CALLER_IDEVID;
    if (other && !n->enroll.renew && csr->san.n && span_eq(csr->san, n->signer.san)) {
        csr->san_uri = csr->san_dns = span_of(NULL, 0);
        csr->n_san_uri = csr->n_san_dns = csr->n_san_other = 0;
    }
}

static enum err crmf_read(struct front_req *r, struct front_cmp_note *n, const struct profile *p, struct fault *f)
{
    struct cmp_cert_request q;
    CLEANUP(buf_free) struct buf spki = BUF_INIT(KEY_SPKI_MAX);
    struct csr csr = {0};
    enum err e = cmp_cert_request_parse(n->m.body, &q, f);
    if (e)
        return e;
    n->inside = true;
    e = renewal_judge(r, n, &q, f);
    bool default_issuer = r->caller.kind == CALLER_IDEVID && span_eq(q.want.issuer, n->signer.issuer); /* like the SAN: OpenSSL puts it there */
    if (!e && q.want.issuer.n > 2 && !default_issuer && !ca_by_name(r->fr, q.want.issuer))
        e = fault_set(f, CE_WRONG_AUTHORITY, "the issuer in the template is no CA of this site");
    e = e ? e : cmp_request_csr(&q, &spki, &csr, f);
    if (e && span_is_utf8(csr.cn) && csr.cn.n <= UID_MAX)
        n->enroll.uid = csr.cn; /* whose request it says it is, also when its key is refused */
    if (!e) {
        csr.spki = arena_copy(&r->arena, buf_span(&spki));
        default_san_drop(r, n, &csr);
        e = front_csr_names(&r->arena, &csr, p, &n->enroll, f);
    }
    if (!e && q.pop != CMP_POP_RA)
        e = cmp_pop_verify(&q, csr.spki, f);
    if (!e)
        n->enroll.cmp = turn_pack(r, n, q.pop == CMP_POP_RA);
    return e;
}

static enum err p10_read(struct front_req *r, struct front_cmp_note *n, const struct profile *p, struct fault *f)
{
    n->inside = true;
    n->id = -1;
    n->enroll.renew = is_renewer(r);
    bool renew = n->enroll.renew != 0;
    enum err e = front_csr_judge(&r->arena, n->m.body, p, &n->enroll, f);
    n->enroll.renew = renew;
    if (!e)
        n->enroll.cmp = turn_pack(r, n, false);
    return e;
}

static enum err enroll_read(struct front_req *r, struct front_cmp_note *n, struct fault *f)
{
    bool infra = r->caller.kind == CALLER_INFRA && n->m.type == CMP_KUR;
    const struct profile *p = n->idevid ? &r->fr->idevid : infra ? &r->fr->infra : &r->fr->profile;
    n->answer = n->m.type == CMP_IR ? CMP_IP : n->m.type == CMP_KUR ? CMP_KUP : CMP_CP;
    r->desc = &msg_desc_enroll;
    r->msg = &n->enroll;
    enum err e = n->m.type == CMP_P10CR ? p10_read(r, n, p, f) : crmf_read(r, n, p, f);
    n->enroll.label = n->label;
    n->enroll.idevid = n->idevid;
    front_idevid_fill(&r->who, &n->enroll);
    return e;
}

static enum err confirm_read(struct front_req *r, struct front_cmp_note *n, struct fault *f)
{
    struct msg_cmp_confirm *m = arena_alloc(&r->arena, sizeof *m);
    struct cmp_confirm c = {.none = true};
    n->answer = CMP_PKICONF;
    enum err e = n->m.type == CMP_CERT_CONF ? cmp_confirm_parse(n->m.body, &c, f) : CE_OK; /* an error of the client rejects, too */
    m->turn = turn_pack(r, n, false);
    m->accepted = c.accepted && !c.none;
    m->hash = c.hash;
    m->text = c.text.n <= 200 ? c.text : span_of(NULL, 0);
    if (!e && c.hash_alg.n && !(m->hash_bits = cmp_hash_bits(c.hash_alg)))
        e = fault_set(f, CE_CMP_ALG, "RFC 9810 5.3.18: hashAlg is SHA-256, SHA-384 or SHA-512");
    r->desc = &msg_desc_cmp_confirm;
    r->msg = m;
    return e;
}

static enum err poll_read(struct front_req *r, struct front_cmp_note *n, struct fault *f)
{
    struct msg_cmp_poll *m = arena_alloc(&r->arena, sizeof *m);
    n->answer = CMP_POLL_REP;
    enum err e = cmp_poll_parse(n->m.body, &n->id, f);
    m->turn = turn_pack(r, n, false);
    r->desc = &msg_desc_cmp_poll;
    r->msg = m;
    return e;
}

static enum err revoke_read(struct front_req *r, struct front_cmp_note *n, struct fault *f)
{
    struct msg_cmp_revoke *m = arena_alloc(&r->arena, sizeof *m);
    struct cmp_revocation rr;
    n->answer = CMP_RP;
    enum err e = cmp_revocation_parse(n->m.body, &rr, f);
    if (e)
        return e;
    n->inside = true;
    const struct ca *ca = ca_by_name(r->fr, rr.cert.issuer);
    if (!ca || rr.cert.serial.n > 20)
        return fault_set(f, CE_BAD_CERT_ID, "no certificate of this site has this issuer and serial number");
    if (rr.reason == 6 || rr.reason == 8)
        return fault_set(f, CE_CMP_REQUEST, "RFC 9483 4.2: certificateHold and removeFromCRL are not taken: operators suspend and resume a device");
    m->turn = turn_pack(r, n, false);
    m->kid = ca->cert.ski;
    m->serial = rr.cert.serial;
    m->reason = rr.reason;
    r->desc = &msg_desc_cmp_revoke;
    r->msg = m;
    return CE_OK;
}

static enum err question_read(struct front_req *r, struct front_cmp_note *n, struct fault *f)
{
    struct msg_cmp_check *m = arena_alloc(&r->arena, sizeof *m);
    n->answer = CMP_GENP;
    enum err e = cmp_infos_parse(n->m.body, n->infos, &n->n_infos, f);
    m->turn = turn_pack(r, n, false);
    r->desc = &msg_desc_cmp_check;
    r->msg = m;
    return e;
}

static enum err body_read(struct front_req *r, struct front_cmp_note *n, struct fault *f)
{
    switch (n->m.type) {
    case CMP_IR:
    case CMP_CR:
    case CMP_P10CR:
    case CMP_KUR: return enroll_read(r, n, f);
    case CMP_CERT_CONF:
    case CMP_ERROR: return confirm_read(r, n, f);
    case CMP_POLL_REQ: return poll_read(r, n, f);
    case CMP_RR: return revoke_read(r, n, f);
    case CMP_GENM: return question_read(r, n, f);
    default: return fault_set(f, CE_CMP_REQUEST, "a body of type %u is not taken: ir, cr, p10cr, kur, rr, genm, certConf, pollReq (RFC 9483)", n->m.type);
    }
}

enum err front_cmp(struct front_req *r, struct fault *f)
{
    struct front_cmp_note *n = arena_alloc(&r->arena, sizeof *n);
    n->answer = CMP_ERROR;
    n->m = (struct cmp_message){.pvno = 2, .type = CMP_ERROR};
    r->note = n;
    enum err e = random_bytes(n->nonce, sizeof n->nonce);
    e = e ? fault_set(f, e, "no random numbers") : CE_OK;
    e = e ? e : cmp_parse(r->body, &n->m, f);
    e = e ? e : header_judge(&n->m, f);
    e = e ? e : caller_judge(r, n, f);
    e = e ? e : front_label_read(r, &n->label, &n->idevid, f);
    return e ? e : body_read(r, n, f);
}
