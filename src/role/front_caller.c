/* front_caller.c: who asks. The certificate that nginx verified comes in a header; its parsed form is cached by the header's
 * hash. Roles and blocked certificates are what core pushed. Core judges every change again: this is the early, cheap no.
 */
#include <stdio.h>
#include <stdlib.h>

#include "crypt/cert.h"
#include "crypt/hash.h"
#include "role/front_priv.h"

/* -- cache of parsed certificates: 4-way sets, the least recently used goes ------------------------------------- */
#define CACHE_SETS 256
#define CACHE_WAYS 4

struct cert_entry {
    uint8_t key[SHA256_LEN]; /* SHA-256 of the header: nobody can aim one certificate at another's entry */
    uint64_t used;           /* 0: empty */
    struct front_who who;    /* without what changes: err, role, lines */
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

static enum err cert_read(struct front *fr, struct span header, struct front_who *w, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct cert cert;
    enum err e = http_client_cert(header, &der, f);
    if (!e)
        e = cert_parse(buf_span(&der), &cert, f);
    if (e)
        return e;
    copy_bytes(w->kid, sizeof w->kid, &w->nkid, cert.aki);
    copy_bytes(w->serial, sizeof w->serial, &w->nserial, cert.serial);
    memcpy(w->spki, cert.spki_sha256, sizeof w->spki);
    if (!span_is_utf8(cert.cn) || span_to_cstr(cert.cn, w->cn, sizeof w->cn))
        w->cn[0] = 0;
    w->not_before = cert.not_before;
    w->not_after = cert.not_after;
    w->kind = front_ca_kind(front_ca_by_kid(fr, span_of(w->kid, w->nkid)));
    return CE_OK;
}

static enum err cert_cached(struct front *fr, struct span header, struct front_who *w, struct fault *f)
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
        entry->who = *w;
        entry->used = fr->certs->clock;
        memcpy(entry->key, key, sizeof key);
    }
    *w = entry->who;
    return CE_OK;
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

static enum err standing(const struct front *fr, struct front_who *w)
{
    if (w->kind != CALLER_INFRA && w->kind != CALLER_DEVICE)
        return CE_CERT_FOREIGN;
    const struct front_ca *ca = front_ca_by_kid(fr, span_of(w->kid, w->nkid));
    enum err e = ca ? front_ca_judge(ca) : CE_CERT_FOREIGN;
    e = e ? e : dates_judge(w);
    if (!e)
        e = front_blocked(fr, w);
    if (e || w->kind == CALLER_DEVICE) {
        w->role = e ? 0 : R_DEVICE;
        return e;
    }
    return ident_judge(fr, w);
}

static struct span fit(struct span s, size_t max)
{
    return s.n <= max && span_is_utf8(s) ? s : span_of(NULL, 0);
}

void front_caller_read(struct front_req *r)
{
    struct front_who *w = &r->who;
    struct span verify = front_in_header(r, "X-Cradle-Verify");
    struct fault f = {0};
    enum err word = http_verify_err(verify);
    *w = (struct front_who){.err = word};
    if (word != CE_NO_CERT) {
        enum err e = cert_cached(r->fr, front_in_header(r, "X-Cradle-Client-Cert"), w, &f);
        w->err = word ? word : e ? e : standing(r->fr, w);
        if (e)
            snprintf(w->text, sizeof w->text, "%.120s", f.text);
        else if (word)
            snprintf(w->text, sizeof w->text, "%s (%.90s)", err_text(word),
                     verify.n <= 90 && span_is_utf8(verify) ? arena_str(&r->arena, verify) : "");
        if (w->err)
            w->role = 0;
        if (word || e)
            w->kind = CALLER_FOREIGN; /* no verified word of ours about it */
    }
    r->caller.kind = w->kind;
    r->caller.kid = span_of(w->kid, w->nkid);
    r->caller.serial = span_of(w->serial, w->nserial);
    r->caller.spki = span_of(w->spki, w->kind == CALLER_NONE ? 0 : sizeof w->spki);
    r->caller.cn = span_str(w->cn);
    r->caller.not_after = w->not_after;
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
