/* request.c: one request in a batch: decode, who asks, may it, was it answered before, decide, reply; or one answer of the signer.
 * Batches: step.c. */
#include "base/clock.h"
#include "base/log.h"
#include "core/answers.h"
#include "core/ca.h"
#include "core/engine.h"

struct request {
    const struct op *op;
    struct msg_caller from;
    struct caller caller;
    uint64_t message[64];      /* the unpacked message; checked to be large enough */
    struct msg_reply reply;
    struct fault fault;
};

static enum err request_decode(const struct item *it, struct request *r)
{
    struct span in = it->body;
    r->op = op_find(it->type);
    INVARIANT(r->op && r->op->desc->size <= sizeof r->message);
    enum err e = msg_unpack(&msg_desc_caller, &in, &r->from);
    e = e ? e : msg_unpack_all(r->op->desc, in, r->message);
    return e ? fault_set(&r->fault, e, "the request between our own processes is malformed (message %s)", r->op->desc->name) : CE_OK;
}

/* Who asks, may it, was it answered before: then the operation itself. */
static enum err request_decide(struct batch *b, struct request *r)
{
    const struct op *op = r->op;
    struct fault *f = &r->fault;
    enum err e = CE_OK;
    r->caller = (struct caller){ .m = &r->from, .kind = CALLER_NONE };
    if (!(op->flags & OP_ANYBODY)) {
        e = authz_caller(b, &r->from, &r->caller, f);
        if (e == CE_CA_COMPROMISED && op->type == MSG_ENROLL)
            e = ca_reenroll_judge(b->core, &r->caller, f);
        e = e ? e : authz_roles(&r->caller, op->roles, f);
    }
    if (!e && (op->flags & OP_DATED))
        e = batch_clock_check(b, f);
    if (e)
        return e;
    b->work->caller = &r->caller;
    bool answered = false;
    if ((op->flags & OP_IDEM) && r->from.idem.n && b->writing) {
        e = answer_find(b, &r->caller, &r->reply, &answered, f);
        if (e || answered)
            return e;
    }
    e = op->fn(b, &r->caller, r->message, &r->reply, f);
    if (!e && !b->work->deferred && (op->flags & OP_IDEM) && r->from.idem.n && b->writing)
        e = answer_keep(b, r->caller.name, r->from.idem, r->from.digest, &r->reply, f);
    return e;
}

static struct span refused_uid(const struct request *r)
{
    switch (r->op->type) {
    case MSG_DEVICE_ADD: return ((const struct msg_device_add *)r->message)->uid;
    case MSG_DEVICE_STATE: return ((const struct msg_device_state *)r->message)->uid;
    case MSG_SECRET_ADD: return ((const struct msg_secret_add *)r->message)->uid;
    case MSG_ENROLL: return ((const struct msg_enroll *)r->message)->uid;
    default: return (struct span){ 0 };
    }
}

static void request_reply(struct batch *b, const struct item *it, struct request *r, enum err e)
{
    if (e) {
        refusal_note(b, e, r->fault.text, r->caller.name.n ? r->caller.name : r->from.cn, r->from.addr, refused_uid(r), r->op->desc->name);
        r->reply = (struct msg_reply){ .code = e, .text = arena_copy(b->arena, span_str(r->fault.text)),
                                       .retry_s = r->reply.retry_s ? r->reply.retry_s : err_class(e) == ERRC_BUSY ? 5 : 0 };
    }
    if (r->op->flags & OP_SILENT)
        return;
    stats_observe(&b->core->stats.request, clock_mono_us() - it->queued_us);
    if (b->work->deferred)
        return;
    const struct reply_to to = { .peer = it->peer, .generation = it->generation, .rid = it->rid };
    batch_reply(b, &to, &r->reply);
    b->work->effects[b->work->neffects - 1].of_item = true;
}

/* In a write batch: a savepoint around it. Returns only errors that end the batch. */
static enum err request_run(struct batch *b, const struct item *it, struct fault *f)
{
    struct request r = { 0 };
    struct batch_mark mark = batch_mark(b);
    struct batch_work *w = b->work;
    w->item = it;
    w->from = &r.from;
    w->caller = NULL;
    w->deferred = false;
    enum err e = request_decode(it, &r);
    if (!e && b->writing)
        e = db_save(b->db, &r.fault);
    if (!e) {
        e = request_decide(b, &r);
        if (e && r.fault.code != e)
            fault_set(&r.fault, e, "%s", err_text(e));
        if (e) {
            batch_undo(b, mark);
            w->deferred = false;
        }
        if (b->writing && !(e && db_err_fatal(e))) {
            struct fault undo = { 0 };
            enum err s = e ? db_save_undo(b->db, &undo) : db_save_keep(b->db, &undo);
            if (s) {
                e = s;
                r.fault = undo;
            }
        }
    }
    if (e && db_err_fatal(e) && b->writing)
        *f = r.fault;
    else
        request_reply(b, it, &r, e);
    w->item = NULL;
    w->caller = NULL;
    w->from = NULL;
    return e && db_err_fatal(e) && b->writing ? e : CE_OK;
}

static enum err answer_run(struct batch *b, const struct item *it, struct fault *f)
{
    const struct span none = { 0 };
    if (it->answer.code == CE_LINT) /* a defect of ours, or of a profile: evidence, however it goes on */
        refusal_note(b, CE_LINT, arena_str(b->arena, it->answer.text), none, none, none, "signer");
    enum err e = it->done.fn(b, it->done.data, &it->answer);
    if (!e)
        return CE_OK;
    if (db_err_fatal(e) && b->writing)
        return fault_set(f, e, "%s, while storing what the signer made", err_text(e));
    log_error(0, "signer's answer could not be used: %s", err_text(e));
    return CE_OK;
}

enum err item_run(struct batch *b, const struct item *it, struct fault *f)
{
    return it->is_signed ? answer_run(b, it, f) : request_run(b, it, f);
}
