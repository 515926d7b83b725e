/* ocsp.c: see ocsp.h. */
#include "core/ocsp.h"
#include "core/token.h"

#include <stdlib.h>

#include "store/cert.h"

#define OCSP_CA_COMPROMISE 2 /* CRLReason cACompromise, RFC 5280 5.3.1 */

struct ocsp_wait { struct reply_to to; };

static enum err ocsp_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct ocsp_wait *w = data;
    struct msg_reply r = { .body_kind = BODY_OCSP, .body = m->body };
    if (m->code)
        r = (struct msg_reply){ .code = m->code, .text = m->text };
    else
        core_stats(b->core)->ocsp_answers++;
    batch_reply(b, &w->to, &r);
    free(w);
    return CE_OK;
}

static void ocsp_drop(void *data) { free(data); }

/* Held is revoked with reason certificateHold; superseded is good; never issued by this CA is unknown (RFC 6960 2.2). */
static enum err item_judge(struct batch *b, const struct core_ca *ca, struct msg_ocsp_item *item, struct fault *f)
{
    struct cert_state s;
    enum err e = store_cert_status(b->db, ca->kid, item->serial, &s, f);
    item->revoked_at = 0;
    item->reason = -1;
    item->status = e == CE_NOT_FOUND ? 2 : s.status == CERT_REVOKED || s.status == CERT_HELD;
    if (e == CE_OK && item->status == 1) {
        item->revoked_at = s.revoked_at;
        item->reason = s.reason ? s.reason : -1; /* RFC 5280 5.3.1: unspecified is left out */
    }
    if (ca->state == CA_COMPROMISED && (!e || e == CE_NOT_FOUND) && item->status != 1) { /* of forged ones too */
        item->status = 1;
        item->revoked_at = ca->changed_at / 1000;
        item->reason = OCSP_CA_COMPROMISE;
    }
    return e == CE_NOT_FOUND ? CE_OK : e;
}

enum err ocsp_op_query(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_ocsp_query *m = msg;
    struct span rest = m->items;
    struct core_ca ca;
    CLEANUP(buf_free) struct buf items = BUF_INIT(16384);
    (void)c;
    (void)out;
    enum err e = batch_clock_check(b, f);
    if (!e && (m->ca.n > 48 || !core_ca(b->core, m->ca, &ca)))
        e = fault_set(f, CE_NOT_FOUND, "this site has no CA of that name");
    while (!e && rest.n) {
        struct msg_ocsp_item item;
        e = msg_unpack(&msg_desc_ocsp_item, &rest, &item);
        e = e ? e : item_judge(b, &ca, &item, f);
        if (!e)
            msg_pack(&msg_desc_ocsp_item, &item, &items);
    }
    e = e ? e : token_ready(b->core, ca.name, "-ocsp", f);
    if (e || items.err)
        return e ? e : fault_set(f, CE_TOO_LARGE, "too many certificates in one OCSP request");
    int64_t now_s = b->now_ms / 1000;
    struct msg_sign_ocsp ask = { .ca = ca.name, .items = span_of(items.data, items.len), .nonce = m->nonce, .this_update = now_s,
                                 .next_update = now_s + core_config(b->core)->ocsp_validity_s };
    struct ocsp_wait *w = mem_calloc(1, sizeof *w);
    batch_defer(b, &w->to);
    batch_sign_msg(b, &msg_desc_sign_ocsp, &ask, (struct sign_done){ .fn = ocsp_signed, .drop = ocsp_drop, .data = w, .read_only = true });
    return CE_OK;
}
