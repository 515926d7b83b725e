/* core_role.c: the process around src/core: event loop, channels to fronts and signer, the clock. It decides nothing. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/core.h"
#include "role/channel.h"
#include "role/jail.h"
#include "role/link.h"

#define CORE_FRONTS 16
#define CORE_PARENT CORE_FRONTS /* the parent's number among core's peers; it gets no answers */
#define CORE_NO_SIGNER_MS 100 /* pause between two rounds of refusals while the signer restarts */

#define CORE_LINGER_MS 1 /* core/queue.c: at 64 requests in flight half the commits; with 3 ms no fewer, and the processors wait */

struct core_role {
    struct event_base *base;
    struct core *core;
    struct channel *fronts[CORE_FRONTS], *signer, *hsm;
    int64_t beat_ms;          /* when the last beat went to the parent */
    uint64_t owed;            /* answers that the signer owes */
    int64_t owed_since_ms;    /* its last sign of life since it owes any */
    bool unsigned_work;       /* core asked for a signature while there was no signer */
    bool unsigned_tokens;     /* the same of a token while there was no hsm role */
    int64_t refused_at_ms;    /* when that was last answered */
    int64_t drain_until_ms;   /* 0: not draining */
    bool woken;               /* a thread of core has done its work */
    bool stop;
};

/* -- out of core ------------------------------------------------------------------------------------------------------------- */

static void port_reply(void *ctx, int peer, uint64_t rid, const struct msg_reply *r)
{
    struct core_role *c = ctx;
    if (c->fronts[peer])
        channel_send_msg(c->fronts[peer], &msg_desc_reply, rid, r);
}

static void port_sign(void *ctx, uint16_t type, uint64_t token, struct span body)
{
    struct core_role *c = ctx;
    if (c->signer) {
        if (!c->owed++)
            c->owed_since_ms = clock_mono_ms();
        channel_send(c->signer, type, token, body);
    } else
        c->unsigned_work = true; /* core must not be called from here */
}

static void port_sign_in_token(void *ctx, uint16_t type, uint64_t token, struct span body)
{
    struct core_role *c = ctx;
    if (c->hsm)
        channel_send(c->hsm, type, token, body);
    else
        c->unsigned_tokens = true;
}

static void port_push(void *ctx, int peer, uint16_t type, struct span body)
{
    struct core_role *c = ctx;
    for (int i = 0; i < CORE_FRONTS; i++)
        if (c->fronts[i] && (peer < 0 || peer == i))
            channel_send(c->fronts[i], type, 0, body);
}

/* -- into core ----------------------------------------------------------------------------------------------------------------- */

static void on_front_frame(void *ctx, struct channel *ch, const struct ipc_frame *f)
{
    core_request(((struct core_role *)ctx)->core, (int)channel_peer_index(ch), f);
}

static void on_front_gone(void *ctx, struct channel *ch)
{
    struct core_role *c = ctx;
    unsigned i = channel_peer_index(ch);
    c->fronts[i] = NULL;
    channel_free(ch);
    core_peer_gone(c->core, (int)i);
}

static void on_signed(void *ctx, struct channel *ch, const struct ipc_frame *f)
{
    struct core_role *c = ctx;
    struct msg_signed m;
    if (msg_unpack_all(&msg_desc_signed, f->body, &m))
        channel_bad(ch, f->type, "the body does not unpack");
    c->owed -= c->owed > 0;
    c->owed_since_ms = clock_mono_ms();
    core_signed(c->core, f->rid, &m);
}

static void on_signer_gone(void *ctx, struct channel *ch)
{
    struct core_role *c = ctx;
    c->signer = NULL;
    c->owed = 0;
    channel_free(ch);
    core_signer_gone(c->core);
}

/* Like a request, because evidence is written by batches only. */
static void on_hsm_frame(void *ctx, struct channel *ch, const struct ipc_frame *f)
{
    struct core_role *c = ctx;
    struct msg_signed m;
    if (f->type == MSG_SIGNED) {
        if (msg_unpack_all(&msg_desc_signed, f->body, &m))
            channel_bad(ch, f->type, "the body does not unpack");
        core_signed(c->core, f->rid, &m);
        return;
    }
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    const struct msg_caller nobody = { .if_match = -1 };
    msg_pack(&msg_desc_caller, &nobody, &body);
    buf_put_span(&body, f->body);
    core_request(c->core, CORE_PARENT, &(struct ipc_frame){ MSG_HSM_STATE, 0, buf_span(&body) });
}

static void on_hsm_gone(void *ctx, struct channel *ch)
{
    struct core_role *c = ctx;
    c->hsm = NULL;
    channel_free(ch);
    core_hsm_gone(c->core);
}

static void on_peer(void *ctx, const struct role_peer *p)
{
    struct core_role *c = ctx;
    struct channel_config cc = { c->base, p->fd, ROLE_CORE, p->role, p->index, on_front_frame, on_front_gone, c };
    if (p->role == ROLE_SIGNER) {
        if (c->signer)
            on_signer_gone(c, c->signer);
        else if (c->unsigned_work)
            core_signer_gone(c->core); /* what was asked in between reached nobody */
        c->unsigned_work = false;
        cc.on_frame = on_signed;
        cc.on_gone = on_signer_gone;
        c->signer = channel_new(&cc);
        return;
    }
    if (p->role == ROLE_HSM) {
        if (c->hsm)
            on_hsm_gone(c, c->hsm);
        else if (c->unsigned_tokens)
            core_hsm_gone(c->core);
        c->unsigned_tokens = false;
        cc.on_frame = on_hsm_frame;
        cc.on_gone = on_hsm_gone;
        c->hsm = channel_new(&cc);
        return;
    }
    INVARIANT(p->role == ROLE_FRONT && p->index < CORE_FRONTS);
    if (c->fronts[p->index])
        on_front_gone(c, c->fronts[p->index]);
    c->fronts[p->index] = channel_new(&cc);
    core_peer_open(c->core, (int)p->index);
}

static void on_drain(void *ctx, int64_t deadline_ms)
{
    struct core_role *c = ctx;
    c->drain_until_ms = clock_mono_ms() + deadline_ms;
    core_drain(c->core);
}

/* As a request of its own, because evidence is written by batches only. */
static void on_lost(void *ctx, struct span role, unsigned index, struct span why)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    const struct msg_caller nobody = { .if_match = -1 };
    const struct msg_role_lost m = { role, index, why };
    msg_pack(&msg_desc_caller, &nobody, &body);
    msg_pack(&msg_desc_role_lost, &m, &body);
    const struct ipc_frame f = { MSG_ROLE_LOST, 0, buf_span(&body) };
    core_request(((struct core_role *)ctx)->core, CORE_PARENT, &f);
}

static void on_stop(void *ctx) { ((struct core_role *)ctx)->stop = true; }

/* -- the loop -------------------------------------------------------------------------------------------------------------------- */

/* What is ready now, once. EVLOOP_NONBLOCK alone goes on while anything is ready, and core's wake is, until core has taken it. */
static void loop_now(struct core_role *c) { event_base_loop(c->base, EVLOOP_ONCE | EVLOOP_NONBLOCK); }

static void on_core_fd(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    ((struct core_role *)arg)->woken = true;
}

static void on_wake(evutil_socket_t fd, short what, void *arg) { (void)fd, (void)what, (void)arg; }

/* Waits for something to do, at most until core's next wake. */
static void wait_for_work(struct core_role *c, struct event *timer)
{
    int64_t now = clock_mono_ms(), in = core_next_wake_ms(c->core, now) - now;
    if (c->unsigned_work || c->unsigned_tokens || c->drain_until_ms)
        in = in < 10 ? in : 10;
    struct timeval tv = { in > 0 ? in / 1000 : 0, in > 0 ? in % 1000 * 1000 : 0 };
    if (core_has_work(c->core) || in <= 0) {
        loop_now(c);
        return;
    }
    evtimer_add(timer, &tv);
    event_base_loop(c->base, EVLOOP_ONCE);
}

static enum err work(struct core_role *c, struct fault *f)
{
    int64_t now = clock_mono_ms();
    enum err e = c->woken || core_has_work(c->core) ? core_step(c->core, f) : CE_OK;
    c->woken = false;
    if (!e && now >= core_next_wake_ms(c->core, now))
        e = core_tick(c->core, now, f);
    if (c->unsigned_work && !c->signer && now - c->refused_at_ms >= CORE_NO_SIGNER_MS) {
        c->unsigned_work = false;
        c->refused_at_ms = now;
        core_signer_gone(c->core);
    }
    if (c->unsigned_tokens) {
        c->unsigned_tokens = false;
        core_hsm_gone(c->core);
    }
    if (c->drain_until_ms && (core_idle(c->core) || now >= c->drain_until_ms))
        c->stop = true;
    return e;
}

/* From here and not from the event loop, which could go round while no work is done. The stream's heartbeat wakes core each second. */
static void beat(struct core_role *c, const struct role_context *rc)
{
    int64_t now = clock_mono_ms();
    if (now - c->beat_ms < ROLE_BEAT_S * 1000)
        return;
    c->beat_ms = now;
    role_beat(rc, c->owed ? now - c->owed_since_ms : 0);
}

/* Answers that are due reach the sockets before the process ends. */
static void flush(struct core_role *c)
{
    for (int i = 0; i < 3; i++)
        loop_now(c);
}

static enum err core_role_open(struct core_role *c, const struct role_context *rc, struct fault *f)
{
    const struct settings *s = rc->settings;
    struct core_config config = { .site = rc->site,
                                  .why = rc->why,
                                  .n_shards = s->n_shards,
                                  .queue_max = s->max_queue,
                                  .linger_ms = CORE_LINGER_MS,
                                  .token_queue = s->hsm_queue,
                                  .token_timeout_ms = s->hsm_timeout * 1000 + 10000,
                                  .crl_validity_s = s->crl_validity,
                                  .crl_refresh_s = s->crl_refresh,
                                  .ocsp_validity_s = s->ocsp_validity,
                                  .cmp_confirm_s = s->cmp_confirm_time,
                                  .cmp_keep_unconfirmed = s->cmp_keep_unconfirmed,
                                  .drill_every_s = s->drill_every,
                                  .poll_s = s->update_poll_interval,
                                  .approvals = s->rollout_approvals,
                                  .approvals_all = s->rollout_approvals_all,
                                  .enroll_wait_s = s->enroll_wait,
                                  .enroll_waiting = s->enroll_waiting,
                                  .mass_confirm = s->mass_revoke_confirm,
                                  .clone_overlap_ms = s->clone_overlap * 1000,
                                  .log_quiet_ms = s->checkpoint_interval * 1000 };
    struct core_ports ports = { .ctx = c, .reply = port_reply, .sign = port_sign, .sign_in_token = port_sign_in_token, .push = port_push };
    return core_open(&config, &ports, &c->core, f);
}

int role_core_main(struct role_context *rc)
{
    struct fault f = { 0 };
    struct core_role c = { .base = event_base_new() };
    struct role_events ev = { .ctx = &c, .peer = on_peer, .drain = on_drain, .stop = on_stop, .lost = on_lost,
                              .beats = true };
    struct event *timer = evtimer_new(c.base, on_wake, NULL);
    INVARIANT(c.base && timer);
    enum err e = core_role_open(&c, rc, &f);
    if (e) {
        log_error(0, "%s", f.text);
        return err_class(e) == ERRC_BUSY ? 1 : EXIT_ROLE_FATAL; /* a full disk may pass, a damaged database does not */
    }
    /* between the two halves of the jail: a thread inherits the first and cannot be made after the second, which covers all */
    if (jail_files(JAIL_CORE, rc->site, &f) || core_threads(c.core, &f) || jail_calls(JAIL_CORE, &f)) {
        log_error(0, "%s", f.text);
        return EXIT_ROLE_FATAL;
    }
    struct event *woken = event_new(c.base, core_wake_fd(c.core), EV_READ | EV_PERSIST, on_core_fd, &c);
    INVARIANT(woken && event_add(woken, NULL) == 0);
    struct role_link *link = role_link_new(c.base, rc, &ev);
    for (size_t i = 0; i < rc->npeers; i++)
        on_peer(&c, &rc->peers[i]);
    role_ready(rc);
    while (!c.stop && !e) {
        wait_for_work(&c, timer);
        e = work(&c, &f);
        beat(&c, rc);
    }
    if (e)
        log_error(0, "%s", f.text);
    flush(&c);
    event_free(woken);
    core_close(c.core);
    role_link_free(link);
    return e == CE_STORE_DAMAGED ? EXIT_ROLE_FATAL : e ? 1 : 0;
}
