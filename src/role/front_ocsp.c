/* front_ocsp.c: OCSP over HTTP, RFC 6960 appendix A and RFC 5019: POST and GET in, error answers out, and a small cache of
 * answers without nonce. Core says what is revoked, the signer signs.
 */
#include <stdlib.h>

#include "crypt/hash.h"
#include "crypt/ocsp.h"
#include "role/front_priv.h"

#define OCSP_MEDIA "application/ocsp-response"
#define OCSP_MAX_AGE_S 10 /* for caches that we cannot flush */

/* -- cache: sets chosen by serial, so that a revocation finds its entries at once; 4 ways, the oldest goes ------------------------- */
#define OCSP_SETS 1024
#define OCSP_WAYS 4

struct ocsp_entry {
    uint8_t request[SHA256_LEN]; /* SHA-256 of the whole request */
    int64_t until_ms;            /* monotonic; 0: empty */
    struct buf answer;
};

struct front_ocsp_cache {
    struct ocsp_entry set[OCSP_SETS][OCSP_WAYS];
};

/* What a request waits for. */
struct ocsp_note {
    uint8_t request[SHA256_LEN];
    struct span serial;       /* empty: not for the cache */
    uint64_t blocked_changes; /* when it was asked */
};

struct front_ocsp_cache *front_ocsp_cache_new(void)
{
    return mem_calloc(1, sizeof(struct front_ocsp_cache));
}

static struct ocsp_entry *set_of(struct front_ocsp_cache *c, struct span serial)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < serial.n; i++)
        h = (h ^ serial.p[i]) * 16777619u;
    return c->set[h % OCSP_SETS];
}

static void entry_clear(struct ocsp_entry *e)
{
    buf_free(&e->answer);
    e->until_ms = 0;
}

void front_ocsp_forget(struct front_ocsp_cache *c, struct span serial)
{
    struct ocsp_entry *set = set_of(c, serial);
    for (size_t i = 0; i < OCSP_WAYS; i++)
        entry_clear(&set[i]);
}

void front_ocsp_cache_clear(struct front_ocsp_cache *c)
{
    for (size_t s = 0; s < OCSP_SETS; s++)
        for (size_t i = 0; i < OCSP_WAYS; i++)
            entry_clear(&c->set[s][i]);
}

void front_ocsp_cache_free(struct front_ocsp_cache *c)
{
    if (c)
        front_ocsp_cache_clear(c);
    free(c);
}

static const struct buf *cache_find(struct front_ocsp_cache *c, const struct ocsp_note *n)
{
    struct ocsp_entry *set = set_of(c, n->serial);
    int64_t now = clock_mono_ms();
    for (size_t i = 0; i < OCSP_WAYS; i++)
        if (set[i].until_ms > now && memcmp(set[i].request, n->request, SHA256_LEN) == 0)
            return &set[i].answer;
    return NULL;
}

static void cache_add(struct front_ocsp_cache *c, const struct ocsp_note *n, struct span answer, int64_t until_ms)
{
    struct ocsp_entry *set = set_of(c, n->serial), *oldest = set;
    for (size_t i = 0; i < OCSP_WAYS; i++)
        if (set[i].until_ms < oldest->until_ms)
            oldest = &set[i];
    entry_clear(oldest);
    memcpy(oldest->request, n->request, SHA256_LEN);
    oldest->until_ms = until_ms;
    buf_put_span(&oldest->answer, answer);
}

/* -- requests -----------------------------------------------------------------------------------------------------------------------------
 */
static const struct ca *ca_of(const struct front *fr, const struct ocsp_request *q)
{
    for (size_t i = 0; i < fr->n_cas; i++) {
        size_t n = 0;
        if (!ca_use_issues(fr->cas[i].ca.use))
            continue; /* its key is offline: its CRL tells of the CAs */
        while (n < q->n && ocsp_certid_match(&q->ids[n], &fr->cas[i].ca))
            n++;
        if (n == q->n)
            return &fr->cas[i].ca;
    }
    return NULL;
}

static void cache_headers(struct front_req *r)
{
    if (r->match.route->method == ROUTE_GET) /* RFC 5019 6.2 */
        front_header(r, "Cache-Control", "max-age=%d, public, no-transform, must-revalidate", OCSP_MAX_AGE_S);
}

static enum err ask_core(struct front_req *r, const struct ocsp_request *q, struct fault *f)
{
    const struct ca *ca = ca_of(r->fr, q);
    struct msg_ocsp_query *m = arena_alloc(&r->arena, sizeof *m);
    CLEANUP(buf_free) struct buf items = BUF_INIT(8192);
    if (!ca)
        return fault_set(f, CE_NOT_FOUND, "the CertIDs do not name one issuing CA of this site (RFC 5019 2.2.3: unauthorized)");
    for (size_t i = 0; i < q->n; i++) {
        struct msg_ocsp_item item = {.certid = q->ids[i].der, .serial = q->ids[i].serial, .reason = -1};
        if (item.certid.n > 256 || item.serial.n > 20)
            return fault_set(f, CE_BAD_OCSP, "a serial of more than 20 bytes (RFC 5280 4.1.2.2)");
        msg_pack(&msg_desc_ocsp_item, &item, &items);
    }
    if (buf_err(&items))
        return fault_set(f, CE_BAD_OCSP, "too many CertIDs in one request");
    m->ca = span_str(ca->name);
    m->items = arena_copy(&r->arena, buf_span(&items));
    m->nonce = arena_copy(&r->arena, q->nonce);
    r->desc = &msg_desc_ocsp_query;
    r->msg = m;
    return CE_OK;
}

static enum err ocsp_read(struct front_req *r, struct span der, struct fault *f)
{
    struct ocsp_request *q = arena_alloc(&r->arena, sizeof *q);
    struct ocsp_note *n = arena_alloc(&r->arena, sizeof *n);
    enum err e = ocsp_request_parse(der, q, f);
    if (e)
        return e;
    if (q->n == 1 && q->nonce.n == 0) {
        sha256(der, n->request);
        n->serial = arena_copy(&r->arena, q->ids[0].serial);
        n->blocked_changes = r->fr->blocked_changes;
        const struct buf *known = cache_find(r->fr->ocsp, n);
        r->fr->count[known ? COUNT_OCSP_HIT : COUNT_OCSP_MISS]++;
        if (known) {
            cache_headers(r);
            buf_put_span(&r->out, buf_span(known));
            r->out_media = OCSP_MEDIA;
            r->here = true;
            return CE_OK;
        }
    }
    r->note = n;
    return ask_core(r, q, f);
}

enum err front_ocsp_post(struct front_req *r, struct fault *f)
{
    return ocsp_read(r, r->body, f);
}

enum err front_ocsp_get(struct front_req *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(OCSP_REQUEST_MAX);
    if (base64_decode(r->match.params[0], &der))
        return fault_set(f, CE_BAD_OCSP, "the path is not a base64 OCSP request (RFC 6960 A.1)");
    return ocsp_read(r, arena_copy(&r->arena, buf_span(&der)), f);
}

void front_reply_ocsp(struct front_req *r, const struct msg_reply *rep)
{
    struct ocsp_note *n = r->note;
    struct front *fr = r->fr;
    if (n->serial.n && n->blocked_changes == fr->blocked_changes && fr->config.ocsp_ms > 0)
        cache_add(fr->ocsp, n, rep->body, clock_mono_ms() + fr->config.ocsp_ms);
    cache_headers(r);
    front_send(r, 200, OCSP_MEDIA, rep->body);
}

/* OCSP says its errors in its own words (RFC 6960 4.2.1), with HTTP status 200. */
void front_ocsp_refuse(struct front_req *r, enum err code)
{
    static const struct {
        enum err_class class;
        enum ocsp_status status;
    } words[] = {
        {ERRC_INPUT, OCSP_MALFORMED}, {ERRC_LARGE, OCSP_MALFORMED},      {ERRC_MEDIA, OCSP_MALFORMED},     {ERRC_BUSY, OCSP_TRY_LATER},
        {ERRC_RATE, OCSP_TRY_LATER},  {ERRC_MISSING, OCSP_UNAUTHORIZED}, {ERRC_DENIED, OCSP_UNAUTHORIZED}, {ERRC_AUTHN, OCSP_UNAUTHORIZED},
    };
    CLEANUP(buf_free) struct buf body = BUF_INIT(64);
    enum ocsp_status status = OCSP_INTERNAL;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (words[i].class == err_class(code))
            status = words[i].status;
    ocsp_error_response(status, &body);
    front_send(r, 200, OCSP_MEDIA, buf_span(&body));
}
