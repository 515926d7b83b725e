/* query.c: see query.h: opening, budget and cancel, dispatch. The lists are in query_device.c, query_cert.c, query_event.c, query_log.c, query_cut.c, query_enroll.c. */
#include "role/query.h"

#include <stdlib.h>

#include "base/log.h"
#include "role/query_priv.h"

#define LIMIT_DEFAULT 50
#define LIMIT_MAX 500
#define BODY_LIMIT (32u << 20)
#define PROGRESS_STEPS 500 /* database instructions between two looks at the clock */
#define GONE_US 10000

static const struct {
    const char *what;
    query_fn *fn;
} table[] = {
    {"devices", query_do_devices},     {"device", query_do_device}, {"device_count", query_do_device_count}, {"certs", query_do_certs},   {"cert", query_do_cert},
    {"operators", query_do_operators}, {"lines", query_do_lines},   {"models", query_do_models}, {"events", query_do_events},
    {"crypto", query_do_crypto}, {"crypto_devices", query_do_crypto_devices},
    {"backends", query_do_backends},   {"policy", query_do_policy},
    {"timeline", query_do_timeline},   {"export", query_do_export}, {"proof", query_do_proof},  {"cuts", query_do_cuts},
    {"uncut", query_do_uncut},         {"drills", query_do_drills},
    {"metadata", query_do_metadata},   {"tuf", query_do_tuf},       {"ek_cas", query_do_ek_cas},       {"releases", query_do_releases},
    {"artifacts", query_do_artifacts}, {"anchors", query_do_anchors}, {"release", query_do_release}, {"release_devices", query_do_release_devices},
    {"rollouts", query_do_rollouts},   {"rollout", query_do_rollout}, {"rollout_devices", query_do_rollout_devices},
    {"firmware", query_do_firmware},
    {"keys", query_do_keys},
    {"enrollments", query_do_enrollments}, {"enrollment", query_do_enrollment},
    {"mass_jobs", query_do_mass_jobs}, {"mass_job", query_do_mass_job}, {"mass_refused", query_do_mass_refused},
};

void query_budget(struct query *q)
{
    q->deadline_us = q->asked_us = clock_mono_us(), q->deadline_us += q->budget_us;
}

static int on_progress(void *ctx)
{
    struct query *q = ctx;
    int64_t now = clock_mono_us();
    if (now >= q->deadline_us)
        return 1;
    if (q->gone && now - q->asked_us >= GONE_US) {
        q->asked_us = now;
        q->cancelled = q->gone(q->gone_ctx, q->rid);
    }
    return q->cancelled;
}

static enum err load_cas(struct query *q, struct fault *f)
{
    struct db_rows r;
    q->ncas = 0;
    query_cas(q->db, &r);
    while (q->ncas < QUERY_CAS && db_next(&r)) {
        struct query_ca *c = &q->ca[q->ncas];
        struct span kid = db_span(&r, 1);
        if (kid.n > sizeof c->kid || span_to_cstr(db_span(&r, 0), c->name, sizeof c->name))
            continue;
        memcpy(c->kid, kid.p, kid.n);
        c->kid_n = kid.n;
        q->ncas++;
    }
    return db_rows_end(&r, f);
}

enum err query_open(const char *db_path, const char *log_dir, struct query **out, struct fault *f)
{
    struct query *q = mem_calloc(1, sizeof *q);
    enum err e = db_open(db_path, DB_READONLY, &q->db, f);
    if (e) {
        free(q);
        return e;
    }
    path_join(q->log_dir, "%.400s", log_dir);
    q->tiles = tiles_new(log_dir, 0);
    q->budget_us = QUERY_BUDGET_MS * 1000;
    query_budget(q);
    db_set_progress(q->db, PROGRESS_STEPS, on_progress, q);
    e = load_cas(q, f);
    if (e) {
        query_close(q);
        return e;
    }
    *out = q;
    return CE_OK;
}

void query_close(struct query *q)
{
    if (!q)
        return;
    db_close(q->db);
    free(q->tiles);
    free(q);
}

void query_set_gone(struct query *q, bool (*gone)(void *ctx, uint64_t rid), void *ctx)
{
    q->gone = gone;
    q->gone_ctx = ctx;
}

void query_set_budget(struct query *q, int64_t budget_ms)
{
    q->budget_us = budget_ms * 1000;
}

static enum err run(struct query_job *job, struct fault *f)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (span_eq_str(job->m->what, table[i].what)) {
            query_budget(job->q);
            enum err e = table[i].fn(job, f);
            if (e == CE_BUDGET && job->q->cancelled)
                return fault_set(f, CE_TIMEOUT, "the client has gone");
            if (e == CE_BUDGET)
                return fault_set(f, CE_BUDGET, "the search took longer than %lld ms; narrow it by line, model, batch or a longer prefix",
                                 (long long)(job->q->budget_us / 1000));
            return e ? e : buf_err(&job->body);
        }
    return fault_set(f, CE_NOT_FOUND, "there is no list of this kind");
}

enum err query_handle(struct query *q, const struct ipc_frame *frame, struct buf *out)
{
    struct msg_caller caller;
    struct msg_query m;
    struct span in = frame->body;
    struct fault f = {0};
    if (frame->type != MSG_QUERY || msg_unpack(&msg_desc_caller, &in, &caller) || msg_unpack_all(&msg_desc_query, in, &m))
        return CE_BAD_FRAME;
    struct query_job job = {
        .q = q, .m = &m, .limit = m.limit ? m.limit : LIMIT_DEFAULT, .body = BUF_INIT(BODY_LIMIT), .body_kind = BODY_JSON};
    if (job.limit < 1 || job.limit > LIMIT_MAX)
        job.limit = LIMIT_MAX;
    q->rid = frame->rid;
    q->cancelled = false;
    enum err e = run(&job, &f);
    struct msg_reply rep = {.code = e, .retry_s = err_class(e) == ERRC_BUSY};
    if (e) {
        rep.text = span_str(f.code == e && f.text[0] ? f.text : err_text(e));
    } else {
        rep.rev = job.rev;
        rep.body_kind = job.body_kind;
        rep.body = buf_span(&job.body);
    }
    CLEANUP(buf_free) struct buf packed = BUF_INIT(0);
    msg_pack(&msg_desc_reply, &rep, &packed);
    ipc_frame_put(out, MSG_REPLY, frame->rid, buf_span(&packed));
    buf_free(&job.body);
    arena_free(&job.arena);
    return CE_OK;
}
