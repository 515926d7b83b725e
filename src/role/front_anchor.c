/* front_anchor.c: makers whose IDevIDs may enroll, as core pushes them, and the one question that is asked of them: does this certificate, which
 * nginx could not verify, lead to one? Paths are crypt/chain.h. Whose device it is, core decides: front hands on what the certificate says.
 * What it is not: a list of trusted clients. Whoever is vouched for here may enroll and do nothing else (R_IDEVID).
 */
#include <stdlib.h>

#include "crypt/chain.h"
#include "crypt/hash.h"
#include "role/front_priv.h"

#define ANCHORS_MAX 256 /* core takes no more: core/anchor.c */

struct anchor {
    char line[LABEL_MAX + 1];
    uint8_t sha256[SHA256_LEN];
    struct buf root, inters; /* owned; chain points into them */
    struct chain_anchor chain;
};

struct front_anchors {
    struct anchor *list[ANCHORS_MAX]; /* owned */
    size_t n;
    uint64_t changes;
};

struct front_anchors *front_anchors_new(void) { return mem_calloc(1, sizeof(struct front_anchors)); }

static void anchor_free(struct anchor *a)
{
    buf_free(&a->root);
    buf_free(&a->inters);
    free(a);
}

void front_anchors_clear(struct front_anchors *as)
{
    while (as->n)
        anchor_free(as->list[--as->n]);
    as->changes++;
}

void front_anchors_free(struct front_anchors *as)
{
    if (!as)
        return;
    front_anchors_clear(as);
    free(as);
}

uint64_t front_anchors_changes(const struct front_anchors *as) { return as->changes; }

static void anchor_drop(struct front_anchors *as, const struct msg_push_anchor *m)
{
    for (size_t i = 0; i < as->n; i++)
        if (span_eq_str(m->line, as->list[i]->line) && span_eq(m->sha256, span_of(as->list[i]->sha256, SHA256_LEN))) {
            anchor_free(as->list[i]);
            as->list[i] = as->list[--as->n];
            return;
        }
}

void front_push_anchor(struct front *fr, const struct msg_push_anchor *m)
{
    struct front_anchors *as = fr->anchors;
    struct fault f = {0};
    as->changes++;
    anchor_drop(as, m);
    if (m->removed)
        return;
    struct anchor *a = mem_calloc(1, sizeof *a);
    a->root = a->inters = BUF_INIT(CHAIN_DER_MAX);
    buf_put_span(&a->root, m->root);
    buf_put_span(&a->inters, m->inters);
    enum err e = span_to_cstr(m->line, a->line, sizeof a->line);
    e = e || m->sha256.n == SHA256_LEN ? e : CE_BAD_FIELD;
    e = e ? e : chain_anchor_read(buf_span(&a->root), buf_span(&a->inters), &a->chain, &f);
    if (e || as->n == ANCHORS_MAX) { /* core has judged it: this is a defect, and nobody is let in by it */
        log_error(0, "an anchor of line " SPAN_FMT " cannot be used: %s", SPAN_ARG(m->line), e ? f.text : "there are too many");
        anchor_free(a);
        return;
    }
    memcpy(a->sha256, m->sha256.p, SHA256_LEN);
    as->list[as->n++] = a;
}

static size_t bytes_put(uint8_t *to, size_t max, struct span from)
{
    if (from.n > max)
        return 0;
    if (from.n)
        memcpy(to, from.p, from.n);
    return from.n;
}

static void text_put(char *to, size_t cap, struct span from)
{
    if (!from.n || !span_is_utf8(from) || span_to_cstr(from, to, cap))
        to[0] = 0;
}

void front_idevid_read(const struct cert *c, struct front_idevid *out)
{
    *out = (struct front_idevid){0};
    text_put(out->serial, sizeof out->serial, c->serial_number);
    text_put(out->cn, sizeof out->cn, c->cn);
    out->nhw_type = bytes_put(out->hw_type, sizeof out->hw_type, c->hw_type);
    out->nhw_serial = bytes_put(out->hw_serial, sizeof out->hw_serial, c->hw_serial);
}

enum err front_anchors_judge(const struct front_anchors *as, const struct cert *c, struct chain_more *more, struct front_idevid *out, struct fault *f)
{
    enum err best = CE_CERT_FOREIGN;
    fault_set(f, best, "the client certificate names no issuer that is known here");
    for (size_t i = 0; i < as->n; i++) {
        struct fault why = {0};
        enum err e = chain_verify(c, &as->list[i]->chain, more, clock_now_s(), &why);
        if (!e) {
            front_idevid_read(c, out);
            memcpy(out->anchor, as->list[i]->sha256, SHA256_LEN);
            out->foreign = true;
            return CE_OK;
        }
        if (best == CE_CERT_FOREIGN && e != CE_CERT_FOREIGN) { /* a rule that was broken says more than "unknown" */
            best = e;
            *f = why;
        }
    }
    return best;
}

void front_idevid_fill(const struct front_who *w, struct msg_enroll *m)
{
    if (w->kind != CALLER_IDEVID)
        return;
    m->anchor = span_of(w->id.anchor, w->id.foreign ? SHA256_LEN : 0);
    m->id_serial = span_str(w->id.serial);
    m->id_cn = span_str(w->id.cn);
    m->hw_type = span_of(w->id.hw_type, w->id.nhw_type);
    m->hw_serial = span_of(w->id.hw_serial, w->id.nhw_serial);
}

/* -- REST: POST /api/v1/lines/{name}/anchors, DELETE …/anchors/{sha256} -------------------------------------------------- */
enum err front_anchor_add(struct front_req *r, struct fault *f)
{
    struct chain_anchor a;
    enum err e = front_json(r, f);
    const struct msg_anchor_add *m = r->msg;
    return e ? e : chain_anchor_read(m->cert, m->intermediates, &a, f);
}

enum err front_anchor_remove(struct front_req *r, struct fault *f)
{
    struct span sha256;
    enum err e = front_sha256_param(r, &sha256, f);
    e = e ? e : front_json(r, f);
    if (!e)
        ((struct msg_anchor_remove *)r->msg)->sha256 = sha256;
    return e;
}
