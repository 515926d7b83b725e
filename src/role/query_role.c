/* query_role.c: the query role's process around role/query: channels to the fronts, one statement at a time, cancel. While a
 * statement runs, the event loop is run from its progress handler, so that a cancel or a vanished front ends it.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "role/channel.h"
#include "role/jail.h"
#include "role/link.h"
#include "role/query.h"

#define QUERY_FRONTS 16
#define QUERY_WAITING_MAX 1024

struct job {
    struct job *next;
    struct channel *ch;  /* NULL: its front is gone */
    struct ipc_frame f;  /* body owned */
    bool cancelled;
};

struct query_role {
    struct event_base *base;
    struct query *query;
    struct channel *fronts[QUERY_FRONTS];
    struct job *first, **last; /* the first may be running */
    size_t waiting;
    bool stop;
};

static void job_free(struct job *j)
{
    free((void *)(uintptr_t)j->f.body.p);
    free(j);
}

static void refuse(struct channel *ch, uint64_t rid, enum err code)
{
    struct msg_reply r = { .code = code, .text = span_str(err_text(code)), .retry_s = 1 };
    channel_send_msg(ch, &msg_desc_reply, rid, &r);
}

static void cancel(struct query_role *q, const struct channel *ch, const uint64_t *rid)
{
    for (struct job *j = q->first; j; j = j->next)
        if (j->ch == ch && (!rid || j->f.rid == *rid)) {
            j->cancelled = true;
            if (!rid)
                j->ch = NULL;
        }
}

static void on_frame(void *ctx, struct channel *ch, const struct ipc_frame *f)
{
    struct query_role *q = ctx;
    if (f->type == MSG_QUERY_CANCEL) {
        cancel(q, ch, &f->rid);
        return;
    }
    if (q->waiting >= QUERY_WAITING_MAX) {
        refuse(ch, f->rid, CE_BUSY);
        return;
    }
    struct job *j = mem_calloc(1, sizeof *j);
    uint8_t *body = mem_alloc(f->body.n + 1);
    if (f->body.n)
        memcpy(body, f->body.p, f->body.n);
    *j = (struct job){ .ch = ch, .f = { f->type, f->rid, span_of(body, f->body.n) } };
    *q->last = j;
    q->last = &j->next;
    q->waiting++;
}

static void on_gone(void *ctx, struct channel *ch)
{
    struct query_role *q = ctx;
    cancel(q, ch, NULL);
    q->fronts[channel_peer_index(ch)] = NULL;
    channel_free(ch);
}

static void on_peer(void *ctx, const struct role_peer *p)
{
    struct query_role *q = ctx;
    INVARIANT(p->role == ROLE_FRONT && p->index < QUERY_FRONTS);
    if (q->fronts[p->index])
        on_gone(q, q->fronts[p->index]);
    struct channel_config cc = { q->base, p->fd, ROLE_QUERY, ROLE_FRONT, p->index, on_frame, on_gone, q };
    q->fronts[p->index] = channel_new(&cc);
}

static void on_stop(void *ctx) { ((struct query_role *)ctx)->stop = true; }

static bool job_gone(void *ctx, uint64_t rid)
{
    struct query_role *q = ctx;
    (void)rid;
    event_base_loop(q->base, EVLOOP_NONBLOCK);
    return q->stop || q->first->cancelled;
}

static void run_first(struct query_role *q)
{
    struct job *j = q->first;
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    struct ipc_frame reply;
    if (!j->cancelled) {
        if (query_handle(q->query, &j->f, &out))
            channel_bad(j->ch, j->f.type, "the body is not a query");
        struct span s = buf_span(&out);
        INVARIANT(ipc_frame_get(&s, &reply) == CE_OK && s.n == 0);
        if (j->ch && !j->cancelled)
            channel_send(j->ch, reply.type, reply.rid, reply.body);
    }
    q->first = j->next;
    if (!q->first)
        q->last = &q->first;
    q->waiting--;
    job_free(j);
}

int role_query_main(struct role_context *c)
{
    struct fault f = { 0 };
    char db[PATH_MAX_LEN], log[PATH_MAX_LEN];
    struct query_role q = { .base = event_base_new() };
    struct role_events ev = { .ctx = &q, .peer = on_peer, .stop = on_stop };
    INVARIANT(q.base != NULL);
    q.last = &q.first;
    path_join(db, "%s/db/cradle.db", c->site);
    path_join(log, "%s/log", c->site);
    if (query_open(db, log, &q.query, &f) || jail_enter(JAIL_QUERY, c->site, &f)) {
        log_error(0, "%s", f.text);
        return 1;
    }
    query_set_budget(q.query, c->settings->statement_budget);
    query_set_gone(q.query, job_gone, &q);
    struct role_link *link = role_link_new(q.base, c, &ev);
    for (size_t i = 0; i < c->npeers; i++)
        on_peer(&q, &c->peers[i]);
    role_ready(c);
    while (!q.stop) {
        event_base_loop(q.base, q.first ? EVLOOP_NONBLOCK : EVLOOP_ONCE);
        if (q.first)
            run_first(&q);
    }
    role_link_free(link);
    query_close(q.query);
    return 0;
}
