/* answers.c: see answers.h. */
#include "core/answers.h"

enum err answer_find(struct batch *b, const struct caller *c, struct msg_reply *out, bool *answered, struct fault *f)
{
    struct idem_row row;
    *answered = false;
    enum err e = store_idem_get(b->db, b->arena, c->name, c->m->idem, &row, f);
    if (e || row.at < b->now_ms - ANSWER_KEPT_MS)
        return e == CE_NOT_FOUND ? CE_OK : e;
    if (!span_eq(row.digest, c->m->digest))
        return fault_set(f, CE_IDEMPOTENCY, "Idempotency-Key '" SPAN_FMT "' was used with another request; choose a new key", SPAN_ARG(c->m->idem));
    *answered = true;
    *out = (struct msg_reply){ .code = row.code, .text = row.text, .http = row.http, .rev = row.rev, .body_kind = row.body_kind, .body = row.body };
    return CE_OK;
}

enum err answer_keep(struct batch *b, struct span who, struct span key, struct span digest, const struct msg_reply *r, struct fault *f)
{
    if (r->code != CE_OK || r->body.n > ANSWER_BODY_MAX)
        return CE_OK;
    const struct idem_row row = { .caller = who, .key = key, .digest = digest, .code = r->code, .http = r->http, .rev = r->rev,
                                  .body_kind = r->body_kind, .text = r->text, .body = r->body, .at = b->now_ms };
    return store_idem_add(b->db, &row, f);
}

enum err answers_forget(struct batch *b, struct fault *f) { return store_idem_forget(b->db, b->now_ms - ANSWER_KEPT_MS, f); }
