/* front_anchor.c: makers whose IDevIDs may enroll, as core pushes them, and the one question that is asked of them: does this certificate, which
 * nginx could not verify, lead to one? Paths are crypt/chain.h. Whose device it is, core decides: front hands on what the certificate says.
 * What it is not: a list of trusted clients. Whoever is vouched for here may enroll and do nothing else (R_IDEVID).
 */
#include <stdlib.h>

#include "crypt/chain.h"
#include "crypt/crl.h"
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

/* -- REST: POST /api/v1/lines/{name}/anchors/{sha256}/crl: a maker's revocation list ---------------------------------------- */
/* Whose list is it? The anchor's or that of a CA below it; CE_BAD_FIELD: nobody's here, or its signature does not hold. */
static enum err crl_issuer(const struct chain_anchor *a, const struct crl *l, const struct cert **out, struct fault *f)
{
    enum err e = CE_CERT_FOREIGN;
    for (size_t i = 0; i <= a->n_inter; i++) {
        const struct cert *ca = i ? &a->inter[i - 1] : &a->root;
        enum err now = crl_verify(l, ca);
        if (!now && ca->key_usage && !(ca->key_usage & KU_CRL_SIGN))
            return fault_set(f, CE_BAD_FIELD, "the CA of the list may sign none: its keyUsage has no cRLSign (RFC 5280 4.2.1.3)");
        if (!now && !ca->ski.n)
            return fault_set(f, CE_BAD_FIELD, "the CA of the list has no key identifier (RFC 5280 4.2.1.2)");
        if (!now) {
            *out = ca;
            return CE_OK;
        }
        e = now == CE_CERT_FOREIGN ? e : now;
    }
    if (e == CE_CERT_FOREIGN)
        return fault_set(f, CE_BAD_FIELD, "the list is of none of the anchor's CAs: its issuer is neither the anchor nor given as --intermediate");
    return fault_set(f, CE_BAD_FIELD, "the signature of the list does not hold: %s (RFC 5280 6.3.3)", err_text(e));
}

static struct span stripped(struct span serial)
{
    while (serial.n > 1 && serial.p[0] == 0)
        serial = span_of(serial.p + 1, serial.n - 1);
    return serial;
}

static void ca_line(struct buf *out, const struct cert *ca)
{
    buf_put_str(out, "ca ");
    buf_put_hex(out, ca->ski);
    buf_put_u8(out, '\n');
}

/* The CAs below the anchor that the list names, and those below them. */
static void cas_put(const struct chain_anchor *a, const struct cert *issuer, const struct crl *l, struct buf *out)
{
    bool gone[CHAIN_CAS_MAX] = {false};
    for (size_t i = 0; i < a->n_inter; i++) {
        struct span entries = l->entries;
        struct crl_entry e;
        while (span_eq(a->inter[i].issuer, issuer->subject) && !gone[i] && crl_next(&entries, &e))
            gone[i] = span_eq(stripped(e.serial), stripped(a->inter[i].serial));
    }
    for (size_t round = 0; round < a->n_inter; round++)
        for (size_t i = 0; i < a->n_inter; i++)
            for (size_t k = 0; k < a->n_inter; k++)
                gone[i] |= gone[k] && span_eq(a->inter[i].issuer, a->inter[k].subject);
    for (size_t i = 0; i < a->n_inter; i++)
        if (gone[i])
            ca_line(out, &a->inter[i]);
}

static enum err crl_fill(struct front_req *r, const struct chain_anchor *a, struct msg_anchor_crl *m, struct fault *f)
{
    CLEANUP(buf_free) struct buf revoked = BUF_INIT(0);
    const struct cert *issuer = NULL;
    struct crl_entry entry;
    struct crl l;
    enum err e = crl_parse(m->crl, &l, f);
    if (!e && l.idp_url.n)
        e = fault_set(f, CE_UNSUPPORTED, "the list is a part of one (issuingDistributionPoint): only complete ones are taken");
    if (!e && !l.next_update)
        e = fault_set(f, CE_BAD_FIELD, "the list has no nextUpdate (RFC 5280 5.1.2.5)");
    e = e ? e : crl_issuer(a, &l, &issuer, f);
    if (e)
        return e;
    cas_put(a, issuer, &l, &revoked);
    for (struct span entries = l.entries; crl_next(&entries, &entry);) {
        buf_put_hex(&revoked, stripped(entry.serial));
        buf_put_u8(&revoked, '\n');
    }
    m->issuer = arena_copy(&r->arena, issuer->ski);
    m->number = l.number > INT64_MAX ? INT64_MAX : (int64_t)l.number;
    m->this_update = l.this_update;
    m->next_update = l.next_update;
    m->entries = (int64_t)l.n_entries;
    m->revoked = arena_copy(&r->arena, buf_span(&revoked));
    return CE_OK;
}

enum err front_anchor_crl(struct front_req *r, struct fault *f)
{
    struct span sha256;
    enum err e = front_sha256_param(r, &sha256, f);
    e = e ? e : front_json(r, f);
    if (e)
        return e;
    struct msg_anchor_crl *m = r->msg;
    const struct front_anchors *as = r->fr->anchors;
    m->sha256 = sha256;
    for (size_t i = 0; i < as->n; i++)
        if (span_eq_str(m->line, as->list[i]->line) && span_eq(sha256, span_of(as->list[i]->sha256, SHA256_LEN)))
            return crl_fill(r, &as->list[i]->chain, m, f);
    return fault_set(f, CE_NOT_FOUND, "line '" SPAN_FMT "' has no such anchor", SPAN_ARG(m->line));
}
