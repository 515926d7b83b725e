/* hsm_work.c: the threads of the hsm role. See hsm_impl.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/token.h"
#include "role/hsm_impl.h"

#define RETRY_MS 250       /* between two looks for a token that is gone, then twice as long */
#define RETRY_MAX_MS 5000

static void queue_init(struct hsm_queue *q) { *q = (struct hsm_queue){ .tail = &q->head }; }

static void queue_put(struct hsm_queue *q, struct hsm_job *j)
{
    *q->tail = j;
    q->tail = &j->next;
}

static struct hsm_job *queue_take(struct hsm_queue *q)
{
    struct hsm_job *j = q->head;
    if (!j)
        return NULL;
    q->head = j->next;
    if (!q->head)
        q->tail = &q->head;
    return j;
}

static void wake_main(struct hsm *h)
{
    const uint64_t one = 1;
    if (write(h->wake_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        abort();
}

void hsm_token_down(struct hsm *h, struct hsm_token *t, const char *why)
{
    pthread_mutex_lock(&h->lock);
    if (!t->down) {
        t->down = true;
        snprintf(t->why, sizeof t->why, "%s", why);
        pthread_cond_signal(&h->gone);
    }
    pthread_mutex_unlock(&h->lock);
    wake_main(h);
}

void hsm_key_is(struct hsm *h, struct hsm_key *k, const char *why)
{
    enum hsm_key_state now = why ? HSM_KEY_BAD : HSM_KEY_GOOD;
    pthread_mutex_lock(&h->lock);
    bool is_new = k->state != now;
    for (size_t i = 0; is_new && k->state != HSM_KEY_UNTRIED && i < h->n_workers; i++)
        h->workers[i].again = true;
    k->state = now;
    snprintf(k->why, sizeof k->why, "%s", why ? why : "");
    if (why && is_new)
        pthread_cond_signal(&h->gone);
    pthread_mutex_unlock(&h->lock);
    if (is_new)
        wake_main(h);
}

/* One answer says one thing about one state: what a role never signs twice (a version, the size of the log), and what comes in parts, is one worker's. */
static bool is_ordered(uint16_t type) { return type == MSG_SIGN_HEAD || type == MSG_SIGN_META || type == MSG_SIGN_FRAME || type == MSG_SIGN_SNAPSHOT || token_keeps_apart(type); }

void hsm_work_put(struct hsm *h, const struct ipc_frame *f)
{
    struct hsm_job *j = mem_alloc(sizeof *j + f->body.n);
    *j = (struct hsm_job){ .frame = *f };
    j->frame.body = span_of(j->bytes, f->body.n);
    if (f->body.n)
        memcpy(j->bytes, f->body.p, f->body.n);
    pthread_mutex_lock(&h->lock);
    queue_put(is_ordered(f->type) ? &h->workers[0].own : &h->queue, j);
    pthread_cond_broadcast(&h->work);
    pthread_mutex_unlock(&h->lock);
}

static void refuse(const struct hsm_job *j, enum err e, const struct fault *f, struct buf *out)
{
    const struct msg_signed m = { .code = e == CE_TOKEN_LOST ? CE_TOKEN_LOST : CE_SIGNER, .text = span_str(f->text) };
    CLEANUP(buf_free) struct buf packed = BUF_INIT(4096);
    msg_pack(&msg_desc_signed, &m, &packed);
    ipc_frame_put(out, MSG_SIGNED, j->frame.rid, buf_span(&packed));
}

/* Keys came or went since its signer was opened. */
static bool is_stale(struct hsm_worker *w)
{
    struct hsm *h = w->h;
    pthread_mutex_lock(&h->lock);
    bool away = false, again = w->again;
    for (size_t i = 0; i < h->n_tokens; i++)
        away |= h->tokens[i].down;
    pthread_mutex_unlock(&h->lock);
    return again || (w->partial && !away);
}

static void answer(struct hsm_worker *w, const struct hsm_job *j, struct buf *out)
{
    struct fault f = { 0 };
    if (w->signer && is_stale(w)) {
        signer_close(w->signer);
        w->signer = NULL;
    }
    enum err e = w->signer ? CE_OK : hsm_signer_open(w, &f);
    if (e) {
        if (e != CE_TOKEN_LOST)
            log_error(0, "keys in a token cannot be used: %s", f.text);
        refuse(j, e, &f, out);
    } else
        signer_handle(w->signer, &j->frame, out);
}

static struct hsm_job *job_wait(struct hsm_worker *w)
{
    struct hsm *h = w->h;
    struct hsm_job *j = NULL;
    pthread_mutex_lock(&h->lock);
    w->busy_since_ms = 0;
    while (!(j = queue_take(&w->own)) && !(j = queue_take(&h->queue)))
        pthread_cond_wait(&h->work, &h->lock);
    w->busy_since_ms = clock_mono_ms();
    pthread_mutex_unlock(&h->lock);
    return j;
}

static void *worker_run(void *arg)
{
    struct hsm_worker *w = arg;
    struct hsm *h = w->h;
    CLEANUP(buf_free) struct buf out = BUF_INIT(IPC_MAX + IPC_HEADER);
    for (;;) {
        struct hsm_job *j = job_wait(w);
        answer(w, j, &out);
        free(j);
        pthread_mutex_lock(&h->lock);
        w->busy_since_ms = 0; /* in no module any more */
        while (h->out.len > HSM_OUT_MAX)
            pthread_cond_wait(&h->room, &h->lock);
        buf_put_span(&h->out, buf_span(&out));
        pthread_mutex_unlock(&h->lock);
        buf_reset(&out);
        wake_main(h);
    }
    return NULL;
}

/* -- the keeper ---------------------------------------------------------------------------------------------------------------- */
static bool look_again(struct hsm *h, struct hsm_token *t)
{
    struct fault f = { 0 };
    pthread_mutex_lock(&h->lock);
    bool down = t->down;
    h->keeper_since_ms = down ? clock_mono_ms() : 0;
    pthread_mutex_unlock(&h->lock);
    if (!down)
        return true;
    enum err e = token_is_lost(t->token) ? token_retry(t->token, &f) : CE_OK;
    e = e ? e : hsm_key_prove(h, t, &f);
    struct token_info info;
    if (!e)
        token_info_get(t->token, &info);
    pthread_mutex_lock(&h->lock);
    t->down = e != CE_OK;
    if (!e)
        t->info = info;
    if (e)
        snprintf(t->why, sizeof t->why, "%.*s", (int)sizeof t->why - 1, f.text);
    h->keeper_since_ms = 0;
    pthread_mutex_unlock(&h->lock);
    wake_main(h);
    return e == CE_OK;
}

static bool look_at_keys(struct hsm *h)
{
    pthread_mutex_lock(&h->lock);
    h->keeper_since_ms = clock_mono_ms();
    pthread_mutex_unlock(&h->lock);
    bool all = hsm_keys_again(h);
    pthread_mutex_lock(&h->lock);
    h->keeper_since_ms = 0;
    pthread_mutex_unlock(&h->lock);
    return all;
}

/* Until a token or a key is gone. */
static void keeper_rest(struct hsm *h)
{
    for (;;) {
        for (size_t i = 0; i < h->n_tokens; i++)
            if (h->tokens[i].down)
                return;
        for (size_t i = 0; i < h->n_keys; i++)
            if (h->keys[i].state == HSM_KEY_BAD && h->keys[i].token)
                return;
        pthread_cond_wait(&h->gone, &h->lock);
    }
}

static void *keeper_run(void *arg)
{
    struct hsm *h = arg;
    int64_t wait_ms = RETRY_MS;
    for (;;) {
        bool all = true;
        for (size_t i = 0; i < h->n_tokens; i++)
            all &= look_again(h, &h->tokens[i]);
        all &= look_at_keys(h);
        wait_ms = all ? RETRY_MS : wait_ms * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : wait_ms * 2;
        const struct timespec pause = { wait_ms / 1000, wait_ms % 1000 * 1000000 };
        if (all) {
            pthread_mutex_lock(&h->lock);
            keeper_rest(h);
            pthread_mutex_unlock(&h->lock);
        } else
            nanosleep(&pause, NULL);
    }
    return NULL;
}

int64_t hsm_work_stuck_ms(struct hsm *h)
{
    int64_t now = clock_mono_ms(), most = 0;
    pthread_mutex_lock(&h->lock);
    for (size_t i = 0; i < h->n_workers; i++)
        if (h->workers[i].busy_since_ms && now - h->workers[i].busy_since_ms > most)
            most = now - h->workers[i].busy_since_ms;
    if (h->keeper_since_ms && now - h->keeper_since_ms > most)
        most = now - h->keeper_since_ms;
    pthread_mutex_unlock(&h->lock);
    return most;
}

void hsm_work_init(struct hsm *h)
{
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_mutex_init(&h->lock, NULL);
    pthread_cond_init(&h->work, NULL);
    pthread_cond_init(&h->room, NULL);
    pthread_cond_init(&h->gone, &a);
    pthread_condattr_destroy(&a);
    queue_init(&h->queue);
    for (size_t i = 0; i < h->n_workers; i++) {
        h->workers[i].h = h;
        queue_init(&h->workers[i].own);
    }
}

enum err hsm_work_start(struct hsm *h, struct fault *f)
{
    pthread_t t; /* they end with the process */
    for (size_t i = 0; i < h->n_workers; i++)
        if ((errno = pthread_create(&t, NULL, worker_run, &h->workers[i])))
            return fault_set(f, CE_IO, "no thread: %s", strerror(errno));
    errno = pthread_create(&t, NULL, keeper_run, h);
    return errno ? fault_set(f, CE_IO, "no thread: %s", strerror(errno)) : CE_OK;
}
