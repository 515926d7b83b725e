/* front_caller.c: who asks. The certificate that nginx verified comes in a header; its parsed form is cached by the header's
 * hash. Roles and blocked certificates are what core pushed. Core judges every change again: this is the early, cheap no.
 *
 * What nginx could not verify has been shown by the holder of its key all the same (the handshake proves that), so two kinds of it are good for
 * something once front has verified the rest: an IDevID of a maker whose anchor is pinned, and a device's certificate of ours that has ended.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crypt/cert.h"
#include "crypt/chain.h"
#include "crypt/hash.h"
#include "role/front_cmp.h"

/* -- cache of parsed certificates: 4-way sets, the least recently used goes ------------------------------------- */
#define CACHE_SETS 256
#define CACHE_WAYS 4

struct cert_entry {
    uint8_t key[SHA256_LEN]; /* SHA-256 of the header: nobody can aim one certificate at another's entry */
    uint64_t used;           /* 0: empty */
    struct front_who who;    /* without what changes: err, role, lines */
    /* what front found of one that nginx could not verify; it holds as long as the anchors are the same and its end has not come */
    bool looked;
    uint64_t anchors;        /* front_anchors_changes then */
    int64_t looked_s;
    enum err vouch;
    enum caller_kind vouch_kind;
    struct front_idevid vouch_id;
    char vouch_text[128];
};

struct front_cert_cache {
    uint64_t clock;
    struct cert_entry set[CACHE_SETS][CACHE_WAYS];
};

struct front_cert_cache *front_cert_cache_new(void)
{
    return mem_calloc(1, sizeof(struct front_cert_cache));
}

void front_cert_cache_clear(struct front_cert_cache *c)
{
    memset(c, 0, sizeof *c);
}

static struct cert_entry *cache_entry(struct front_cert_cache *c, const uint8_t key[SHA256_LEN], bool *hit)
{
    struct cert_entry *set = c->set[key[0]], *oldest = set;
    c->clock++;
    for (size_t i = 0; i < CACHE_WAYS; i++) {
        if (set[i].used && memcmp(set[i].key, key, SHA256_LEN) == 0) {
            set[i].used = c->clock;
            *hit = true;
            return &set[i];
        }
        if (set[i].used < oldest->used)
            oldest = &set[i];
    }
    *hit = false;
    return oldest;
}

/* -- from header to struct ------------------------------------------------------------------------------------------ */
static void copy_bytes(uint8_t *to, size_t max, size_t *n, struct span from)
{
    *n = from.n <= max ? from.n : 0;
    memcpy(to, from.p, *n);
}

static void who_of(const struct front *fr, const struct cert *cert, struct front_who *w)
{
    copy_bytes(w->kid, sizeof w->kid, &w->nkid, cert->aki);
    copy_bytes(w->serial, sizeof w->serial, &w->nserial, cert->serial);
    memcpy(w->spki, cert->spki_sha256, sizeof w->spki);
    if (!span_is_utf8(cert->cn) || span_to_cstr(cert->cn, w->cn, sizeof w->cn))
        w->cn[0] = 0;
    w->not_before = cert->not_before;
    w->not_after = cert->not_after;
    w->idevid = cert_is_idevid(cert);
    w->kind = front_ca_kind(front_ca_by_kid(fr, span_of(w->kid, w->nkid)));
    if (w->kind == CALLER_IDEVID && !w->idevid) /* its CA makes nothing else */
        w->kind = CALLER_FOREIGN;
    if (w->idevid && (w->kind == CALLER_DEVICE || w->kind == CALLER_IDEVID)) {
        w->kind = CALLER_IDEVID;
        front_idevid_read(cert, &w->id);
    }
}

static enum err cert_read(struct front *fr, struct span header, struct front_who *w, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct cert cert;
    enum err e = http_client_cert(header, &der, f);
    if (!e)
        e = cert_parse(buf_span(&der), &cert, f);
    if (e)
        return e;
    who_of(fr, &cert, w);
    return CE_OK;
}

static enum err cert_cached(struct front *fr, struct span header, struct front_who *w, struct cert_entry **at, struct fault *f)
{
    uint8_t key[SHA256_LEN];
    bool hit;
    sha256(header, key);
    struct cert_entry *entry = cache_entry(fr->certs, key, &hit);
    fr->count[hit ? COUNT_CERT_HIT : COUNT_CERT_MISS]++;
    if (!hit) {
        enum err e = cert_read(fr, header, w, f);
        if (e)
            return e;
        *entry = (struct cert_entry){.who = *w};
        entry->used = fr->certs->clock;
        memcpy(entry->key, key, sizeof key);
    }
    *w = entry->who;
    *at = entry;
    return CE_OK;
}

/* -- what nginx could not verify -------------------------------------------------------------------------------------- */
#define LOOK_AGAIN_S 10 /* CAs of a path end meanwhile */

/* Is it a certificate of ours that has ended, or an IDevID of ours? Of the latter nginx says that it is for no client. */
static enum err ours_judge(const struct front *fr, const struct cert *c, struct front_who *w, struct fault *f)
{
    const struct front_ca *ca = front_ca_by_kid(fr, c->aki);
    enum caller_kind kind = front_ca_kind(ca);
    enum err e = CE_CERT_FOREIGN;
    if ((kind == CALLER_DEVICE || (kind == CALLER_IDEVID && w->idevid)) && ca->ca.cert.not_after >= clock_now_s())
        e = cert_check_issued(c, &ca->ca.cert);
    if (e || c->is_ca)
        return fault_set(f, CE_CERT_FOREIGN, "%s", err_text(CE_CERT_FOREIGN));
    w->kind = w->idevid ? CALLER_IDEVID : CALLER_EXPIRED;
    return CE_OK;
}

/* w: of c. more: CAs that came with it, NULL without. */
static enum err vouch_cert(const struct front *fr, const struct cert *c, struct chain_more *more, struct front_who *w, struct fault *f)
{
    if (w->kind == CALLER_IDEVID || (w->kind == CALLER_DEVICE && clock_now_s() >= c->not_after)) /* OpenSSL lets it end in that second */
        return ours_judge(fr, c, w, f);
    if (w->kind != CALLER_FOREIGN)
        return fault_set(f, CE_CERT_FOREIGN, "%s", err_text(CE_CERT_FOREIGN));
    enum err e = front_anchors_judge(fr->anchors, c, more, &w->id, f);
    if (!e)
        w->kind = CALLER_IDEVID;
    return e;
}

static enum err vouch_look(struct front *fr, struct span header, struct front_who *w, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct cert c;
    enum err e = http_client_cert(header, &der, f);
    e = e ? e : cert_parse(buf_span(&der), &c, f);
    return e ? e : vouch_cert(fr, &c, NULL, w, f);
}

/* CE_OK: w->kind is CALLER_IDEVID or CALLER_EXPIRED, and front has verified that. */
static enum err vouch(struct front *fr, struct span header, struct front_who *w, struct cert_entry *entry, struct fault *f)
{
    int64_t now = clock_now_s();
    if (!entry->looked || entry->anchors != front_anchors_changes(fr->anchors) || now < entry->looked_s || now - entry->looked_s > LOOK_AGAIN_S) {
        struct fault why = {0};
        entry->vouch = vouch_look(fr, header, w, &why);
        entry->looked = true;
        entry->anchors = front_anchors_changes(fr->anchors);
        entry->looked_s = now;
        entry->vouch_kind = w->kind;
        entry->vouch_id = w->id;
        snprintf(entry->vouch_text, sizeof entry->vouch_text, "%.127s", why.text);
    }
    w->kind = entry->vouch_kind;
    w->id = entry->vouch_id;
    return entry->vouch ? fault_set(f, entry->vouch, "%s", entry->vouch_text) : CE_OK;
}

/* -- standing ---------------------------------------------------------------------------------------------------------- */
static struct span blocked_key(struct span kid, struct span serial, uint8_t out[40])
{
    memcpy(out, kid.p, kid.n);
    memcpy(out + kid.n, serial.p, serial.n);
    return span_of(out, kid.n + serial.n);
}

enum err front_blocked(const struct front *fr, const struct front_who *w)
{
    uint8_t key[40];
    const struct front_blocked *b = front_map_get(&fr->blocked, blocked_key(span_of(w->kid, w->nkid), span_of(w->serial, w->nserial), key));
    return b ? b->why : CE_OK;
}

static enum err dates_judge(const struct front_who *w)
{
    int64_t now = clock_now_s();
    return now > w->not_after ? CE_CERT_EXPIRED : now < w->not_before ? CE_CERT_NOT_YET : CE_OK;
}

static enum err ident_judge(const struct front *fr, struct front_who *w)
{
    const struct front_ident *id = front_map_get(&fr->idents, span_str(w->cn));
    if (!id)
        return CE_CERT_UNKNOWN;
    if (id->removed)
        return CE_OPERATOR_REMOVED;
    w->role = id->role;
    memcpy(w->lines, id->lines, sizeof w->lines);
    return CE_OK;
}

static enum err standing(const struct front_req *r, struct front_who *w)
{
    const struct front *fr = r->fr;
    if (w->kind == CALLER_NONE || w->kind == CALLER_FOREIGN)
        return CE_CERT_FOREIGN;
    const struct front_ca *ca = w->id.foreign ? NULL : front_ca_by_kid(fr, span_of(w->kid, w->nkid));
    enum err e = w->id.foreign ? CE_OK : ca ? front_ca_judge(ca) : CE_CERT_FOREIGN;
    if (w->kind == CALLER_DEVICE && front_ca_reenrolls(ca, r))
        e = CE_OK;
    if (!e && w->kind != CALLER_EXPIRED && !w->id.foreign) /* of these two, front has judged the dates */
        e = dates_judge(w);
    if (!e)
        e = front_blocked(fr, w);
    if (e || w->kind == CALLER_INFRA)
        return e ? e : ident_judge(fr, w);
    w->role = w->kind == CALLER_IDEVID ? R_IDEVID : w->kind == CALLER_EXPIRED ? R_EXPIRED : R_DEVICE;
    return CE_OK;
}

static struct span fit(struct span s, size_t max)
{
    return s.n <= max && span_is_utf8(s) ? s : span_of(NULL, 0);
}

/* Fills w; the text says more than the error when there is one. True: nobody we know of has vouched for the certificate. */
static bool who_read(struct front_req *r, struct span verify, struct front_who *w)
{
    struct span header = front_in_header(r, "X-Cradle-Client-Cert");
    struct cert_entry *entry = NULL;
    struct fault f = {0};
    enum err word = w->err, e = cert_cached(r->fr, header, w, &entry, &f);
    if (!e && word && !(e = vouch(r->fr, header, w, entry, &f)))
        word = CE_OK;
    if (!word && !e) {
        w->err = standing(r, w);
        return false;
    }
    bool named = e && e != CE_CERT_FOREIGN; /* a rule that was broken, or bytes that are none, say more than nginx */
    w->err = named && entry ? e : word ? word : e;
    if (named)
        snprintf(w->text, sizeof w->text, "%.120s", f.text);
    else
        snprintf(w->text, sizeof w->text, "%s (%.90s)", err_text(w->err), verify.n <= 90 && span_is_utf8(verify) ? arena_str(&r->arena, verify) : "");
    return true;
}

static void caller_fill(struct front_req *r)
{
    const struct front_who *w = &r->who;
    r->caller.kind = w->kind;
    r->caller.kid = span_of(w->kid, w->nkid);
    r->caller.serial = span_of(w->serial, w->nserial);
    r->caller.spki = span_of(w->spki, w->kind == CALLER_NONE ? 0 : sizeof w->spki);
    r->caller.cn = span_str(w->cn);
    r->caller.not_after = w->not_after;
}

/* nginx has verified nothing here: the signature of the CA is ours to verify. */
static enum err signer_known(const struct front *fr, const struct cert *c, const struct span *sent, size_t n_sent, struct front_who *w, struct fault *f)
{
    const struct front_ca *ca = front_ca_by_kid(fr, c->aki);
    who_of(fr, c, w);
    if ((w->kind == CALLER_DEVICE && clock_now_s() < c->not_after) || w->kind == CALLER_INFRA)
        return cert_check_issued(c, &ca->ca.cert) ? fault_set(f, CE_CERT_FOREIGN, "the signer's certificate was not issued by a CA of this site") : CE_OK;
    struct chain_more more;
    chain_more_read(sent, w->kind == CALLER_FOREIGN ? n_sent : 0, &more);
    return vouch_cert(fr, c, &more, w, f);
}

enum err front_caller_signer(struct front_req *r, const struct cert *cert, const struct span *sent, size_t n_sent, struct fault *f)
{
    struct front_who *w = &r->who;
    *w = (struct front_who){.kind = CALLER_FOREIGN};
    enum err e = signer_known(r->fr, cert, sent, n_sent, w, f);
    if (e)
        w->kind = CALLER_FOREIGN;
    else if ((e = standing(r, w)))
        fault_set(f, e, "%s", err_text(e));
    w->err = e;
    if (e)
        w->role = 0;
    caller_fill(r);
    return e;
}

void front_caller_read(struct front_req *r)
{
    struct front_who *w = &r->who;
    struct span verify = front_in_header(r, "X-Cradle-Verify");
    *w = (struct front_who){.err = http_verify_err(verify)};
    if (w->err != CE_NO_CERT) {
        bool nobody = who_read(r, verify, w);
        if (w->err)
            w->role = 0;
        if (nobody)
            w->kind = CALLER_FOREIGN;
    }
    caller_fill(r);
    r->caller.addr = fit(front_in_header(r, "X-Cradle-Addr"), 64);
}

/* -- what core pushes ---------------------------------------------------------------------------------------------------- */
void front_push_ident(struct front *fr, const struct msg_push_ident *m)
{
    struct front_ident *id = front_map_set(&fr->idents, m->name);
    *id = (struct front_ident){.role = route_role_bit(m->role), .removed = m->removed};
    if (span_to_cstr(m->lines, id->lines, sizeof id->lines))
        id->role = 0; /* unreadable limits: no rights */
    front_streams_recheck(fr);
}

/* Reads by operators are authorised here alone, so all of their blocked certificates are remembered. Of devices front is only the
 * first to refuse, so theirs are bounded. */
static bool blocked_kept(const struct front *fr, struct span kid)
{
    return front_ca_kind(front_ca_by_kid(fr, kid)) == CALLER_INFRA || fr->blocked.live < FRONT_BLOCKED_MAX;
}

void front_push_cert(struct front *fr, const struct msg_push_cert *m)
{
    uint8_t key[40];
    char reason[49];
    struct span k = blocked_key(m->kid, m->serial, key);
    fr->blocked_changes++;
    front_ocsp_forget(fr->ocsp, m->serial);
    if (m->lifted) {
        front_map_del(&fr->blocked, k);
        return;
    }
    if (!blocked_kept(fr, m->kid))
        return;
    struct front_blocked *b = front_map_set(&fr->blocked, k);
    enum err why = span_to_cstr(m->reason, reason, sizeof reason) ? CE_CERT_REVOKED : err_from_reason(reason);
    b->why = why == CE_INTERNAL || why == CE_OK ? CE_CERT_REVOKED : why;
    front_streams_recheck(fr);
}
