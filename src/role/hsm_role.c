/* hsm_role.c: the process of the hsm role: start, jail, frames between core and the workers. See hsm_impl.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/channel.h"
#include "role/hsm_impl.h"
#include "role/jail.h"
#include "role/link.h"

#define HSM_READ (256u << 10)
#define HSM_LOOK_MS 1000

static _Noreturn void bad_framing(const char *what)
{
    log_error(0, "bad internal framing from core: %s; stopping", what);
    _exit(EXIT_BAD_FRAMING);
}

/* -- core ------------------------------------------------------------------------------------------------------------------------ */
static void state_put(struct hsm *h, const struct hsm_token *t, struct span keys, bool one, bool lost, const char *why)
{
    static const struct hsm_token none;
    CLEANUP(buf_free) struct buf packed = BUF_INIT(IPC_MAX);
    t = t ? t : &none;
    const struct msg_hsm_state m = { .keys = keys, .lost = lost, .why = span_str(lost ? why : ""),
                                     .token = span_str(t->info.label[0] ? t->info.label : t->uri.token), .serial = span_str(t->info.serial[0] ? t->info.serial : t->uri.serial),
                                     .manufacturer = span_str(t->info.manufacturer), .one = one };
    msg_pack(&msg_desc_hsm_state, &m, &packed);
    ipc_frame_put(&h->out, MSG_HSM_STATE, 0, buf_span(&packed));
}

/* States that core does not know yet; under h->lock. */
static void states_put(struct hsm *h)
{
    for (size_t i = 0; i < h->n_tokens; i++) {
        struct hsm_token *t = &h->tokens[i];
        if (t->told && t->lost == t->down)
            continue;
        t->told = true;
        t->lost = t->down;
        state_put(h, t, span_trim(buf_span(&t->keys)), false, t->lost, t->why);
        if (t->lost)
            log_warn(0, "token %s: %s; requests for its keys wait until it is back", t->info.label[0] ? t->info.label : t->uri.token, t->why);
        else
            log_info(0, "token %s %s: keys %s", t->info.label, t->info.serial, buf_cstr(&t->keys));
    }
    for (size_t i = 0; i < h->n_keys; i++) {
        struct hsm_key *k = &h->keys[i];
        if (k->told == k->state)
            continue;
        state_put(h, k->token, span_str(k->name), true, k->state == HSM_KEY_BAD, k->why);
        if (k->state == HSM_KEY_BAD)
            log_error(0, "key %s cannot be used: %s; what needs it waits, the others go on", k->name, k->why);
        else if (k->told == HSM_KEY_BAD)
            log_info(0, "key %s is there again", k->name);
        k->told = k->state;
    }
}

static bool core_write(struct hsm *h, int fd)
{
    bool good = true;
    pthread_mutex_lock(&h->lock);
    states_put(h);
    while (good && h->out.len) {
        ssize_t n = write(fd, h->out.data, h->out.len);
        if (n > 0) {
            buf_drop(&h->out, (size_t)n);
            pthread_cond_broadcast(&h->room);
        } else if (n < 0 && errno == EAGAIN)
            break;
        else
            good = n < 0 && errno == EINTR;
    }
    pthread_mutex_unlock(&h->lock);
    return good;
}

static bool core_read(struct hsm *h, int fd, struct buf *in)
{
    struct ipc_frame f;
    enum err e;
    uint8_t *at = buf_grow(in, HSM_READ);
    INVARIANT(at != NULL);
    ssize_t n = read(fd, at, HSM_READ);
    in->len -= HSM_READ - (n > 0 ? (size_t)n : 0);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    struct span rest = buf_span(in);
    while ((e = ipc_frame_get(&rest, &f)) == CE_OK) {
        if (!edge_permits(ROLE_CORE, ROLE_HSM, f.type))
            bad_framing("a message that core may not send");
        hsm_work_put(h, &f);
    }
    if (e != CE_TRUNCATED)
        bad_framing("a malformed header");
    buf_drop(in, in->len - rest.n);
    return true;
}

/* Ends the process when a call into the module does not come back: nothing else ends a thread that waits in it. */
static void look_for_stuck(struct hsm *h)
{
    int64_t stuck = hsm_work_stuck_ms(h);
    if (stuck <= h->settings->hsm_timeout * 1000)
        return;
    log_error(0, "a call into the PKCS#11 module has lasted for %lld s (hsm_timeout): the process ends, to begin anew", (long long)(stuck / 1000));
    _exit(1);
}

static void serve(struct hsm *h, int fd)
{
    CLEANUP(buf_free) struct buf in = BUF_INIT(IPC_MAX + HSM_READ);
    uint64_t n;
    for (bool good = true; good;) {
        pthread_mutex_lock(&h->lock);
        short out = h->out.len ? POLLOUT : 0;
        pthread_mutex_unlock(&h->lock);
        struct pollfd p[] = { { fd, (short)(POLLIN | out), 0 }, { h->wake_fd, POLLIN, 0 } };
        if (poll(p, ARRAY_LEN(p), HSM_LOOK_MS) < 0 && errno != EINTR)
            return;
        if (p[1].revents && read(h->wake_fd, &n, sizeof n) < 0 && errno != EAGAIN)
            return;
        if (p[0].revents & (POLLIN | POLLHUP | POLLERR))
            good = core_read(h, fd, &in);
        good = good && core_write(h, fd);
        look_for_stuck(h);
    }
}

/* -- start -------------------------------------------------------------------------------------------------------------------------- */
/* When the service starts, what is wrong with a PIN ends it, with the reason. Later it is a token that is gone. */
static enum err tokens_connect(struct hsm *h, struct fault *f)
{
    bool all = true;
    for (size_t i = 0; i < h->n_tokens; i++) {
        struct hsm_token *t = &h->tokens[i];
        struct fault why = { 0 };
        enum err e = token_connect(t->token, &why);
        if (e && e != CE_NOT_FOUND && e != CE_TOKEN_LOST && h->first)
            return fault_set(f, e, "keys %s: %s", buf_cstr(&t->keys), why.text);
        t->down = e != CE_OK;
        all &= !t->down;
        if (!e)
            token_info_get(t->token, &t->info);
        snprintf(t->why, sizeof t->why, "%.*s", (int)sizeof t->why - 1, why.text);
    }
    if (!all)
        return CE_OK;
    enum err e = hsm_signer_open(&h->workers[0], f);
    return h->first ? e : CE_OK;
}

static enum err hsm_open(struct hsm *h, struct fault *f)
{
    settings_http_url(h->settings, h->url);
    h->n_workers = (size_t)h->settings->hsm_sessions;
    h->out = BUF_INIT(0);
    h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    hsm_work_init(h);
    if (h->wake_fd < 0)
        return fault_set(f, CE_IO, "no eventfd: %s", strerror(errno));
    enum err e = hsm_keys_open(h, f);
    return e ? e : tokens_connect(h, f);
}

int role_hsm_main(struct role_context *c)
{
    static struct hsm h;
    struct fault f = { 0 };
    bool first = strcmp(c->why, "service start") == 0;
    h = (struct hsm){ .rc = c, .settings = c->settings, .first = first };
    if (c->npeers != 1 || c->peers[0].role != ROLE_CORE)
        return 0; /* core died meanwhile */
    if (hsm_open(&h, &f)) {
        log_error(0, "%s", f.text);
        return first ? EXIT_ROLE_FATAL : 1;
    }
    role_ready(c);
    close(c->parent_fd);
    /* between the halves, as core does: a thread inherits the first, and the second covers all */
    if (jail_hsm_files(c->site, h.settings->hsm_paths, strcmp(h.settings->hsm_connect, "tcp") == 0, &f) || hsm_work_start(&h, &f) ||
        jail_hsm_calls(h.settings->hsm_connect, &f)) {
        log_error(0, "%s", f.text);
        return EXIT_ROLE_FATAL;
    }
    serve(&h, c->peers[0].fd);
    _exit(0); /* core is gone; threads may be inside the module, which must not be taken away from under them */
}
