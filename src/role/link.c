/* link.c: see link.h and role.h. */
#include "role/link.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "role/channel.h"

enum err link_send(int fd, const struct msg_desc *d, const void *m, int pass)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(LINK_PACKET_MAX), packet = BUF_INIT(LINK_PACKET_MAX);
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    msg_pack(d, m, &body);
    ipc_frame_put(&packet, (uint16_t)d->type, 0, buf_span(&body));
    buf_free(&body);
    struct iovec iov = { packet.data, packet.len };
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1 };
    if (pass >= 0) {
        h.msg_control = control.bytes;
        h.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(c), &pass, sizeof pass);
    }
    ssize_t n;
    do
        n = sendmsg(fd, &h, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)packet.len ? CE_OK : CE_IO;
}

static int take_descriptor(struct msghdr *h)
{
    int fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
            memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

enum err link_recv(int fd, struct buf *in, struct ipc_frame *out, int *passed)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    buf_reset(in);
    uint8_t *at = buf_grow(in, LINK_PACKET_MAX);
    INVARIANT(at != NULL);
    struct iovec iov = { at, LINK_PACKET_MAX };
    struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes };
    ssize_t n;
    *passed = -1;
    do
        n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? CE_BUSY : CE_NOT_FOUND;
    *passed = take_descriptor(&h);
    if (n == 0 && *passed < 0)
        return CE_NOT_FOUND;
    in->len = (size_t)n;
    struct span s = buf_span(in);
    if ((h.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) || ipc_frame_get(&s, out) || s.n) {
        fd_close_p(passed);
        return CE_BAD_FRAME;
    }
    return CE_OK;
}

static enum err add_peer(struct role_context *c, const struct msg_role_peer *m, int fd)
{
    char name[17];
    if (fd < 0 || c->npeers == ROLE_PEERS_MAX || span_to_cstr(m->role, name, sizeof name))
        return CE_BAD_FRAME;
    struct role_peer p = { role_find(name), (unsigned)m->index, fd };
    if (!edge_exists(c->role, p.role))
        return CE_BAD_FRAME;
    c->peers[c->npeers++] = p;
    return CE_OK;
}

static enum err take_setup(struct role_context *c, struct settings *s, const struct msg_role_setup *m, struct fault *f)
{
    char name[17];
    if (span_to_cstr(m->role, name, sizeof name) || (c->role = role_find(name)) == ROLE_COUNT)
        return CE_BAD_FRAME;
    static char site[PATH_MAX_LEN], why[128]; /* a process is one role of one site */
    if (span_to_cstr(m->site, site, sizeof site) || span_to_cstr(m->why, why, sizeof why))
        return CE_BAD_FRAME;
    c->site = site;
    c->why = why;
    c->index = (unsigned)m->index;
    return settings_parse("configuration from the parent", m->config, s, f);
}

enum err role_receive(int fd, struct role_context *c, struct settings *s, struct fault *f)
{
    CLEANUP(buf_free) struct buf in = BUF_INIT(LINK_PACKET_MAX);
    *c = (struct role_context){ .role = ROLE_COUNT, .settings = s, .parent_fd = fd };
    for (;;) {
        struct ipc_frame fr;
        int passed;
        struct msg_role_setup setup;
        struct msg_role_peer peer;
        struct msg_role_go go;
        enum err e = link_recv(fd, &in, &fr, &passed);
        if (e == CE_OK && fr.type == MSG_ROLE_SETUP && c->role == ROLE_COUNT)
            e = msg_unpack_all(&msg_desc_role_setup, fr.body, &setup) ? CE_BAD_FRAME : take_setup(c, s, &setup, f);
        else if (e == CE_OK && fr.type == MSG_ROLE_PEER && c->role != ROLE_COUNT)
            e = msg_unpack_all(&msg_desc_role_peer, fr.body, &peer) ? CE_BAD_FRAME : add_peer(c, &peer, passed);
        else if (e == CE_OK && fr.type == MSG_ROLE_GO && c->role != ROLE_COUNT)
            e = msg_unpack_all(&msg_desc_role_go, fr.body, &go) || go.peers != (int64_t)c->npeers ? CE_BAD_FRAME : CE_OK;
        else if (e == CE_OK)
            e = CE_BAD_FRAME;
        if (e)
            return f && f->code ? e : fault_set(f, e, "the parent's set-up did not arrive: %s", err_text(e));
        if (fr.type == MSG_ROLE_GO)
            return CE_OK;
    }
}

static int byte_order(const void *a, const void *b) { return *(const uint8_t *)a - *(const uint8_t *)b; }

void role_warm(void)
{
    uint8_t many[4096] = { 1 };
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n;
    tzset();
    json_object_seed(0); /* reads /dev/urandom at the first object otherwise */
    INVARIANT(EVP_Digest("", 0, digest, &n, EVP_sha256(), NULL) == 1);
    INVARIANT(RAND_bytes(digest, 16) == 1);
    qsort(many, sizeof many, 1, byte_order); /* glibc asks how much memory there is at the first array over 1 KiB (sysinfo) */
}

void role_ready(const struct role_context *c)
{
    struct msg_role_ready m = { getpid() };
    if (link_send(c->parent_fd, &msg_desc_role_ready, &m, -1))
        log_error(0, "the parent is gone");
}

/* A parent that does not read is no reason to stop: it is restarted by whoever watches it, and the link ends then. */
void role_beat(const struct role_context *c, int64_t signer_silent_ms)
{
    const struct msg_role_beat m = { signer_silent_ms };
    if (link_send(c->parent_fd, &msg_desc_role_beat, &m, -1))
        log_debug(0, "the parent did not take a beat");
}

struct role_link {
    const struct role_context *c; /* borrowed */
    struct role_events ev;
    struct event_base *base;      /* borrowed */
    struct event *readable, *beat; /* owned; beat may be NULL */
    struct buf in;
};

static _Noreturn void link_bad(uint16_t type)
{
    log_error(0, "bad internal framing from parent: message 0x%04x; stopping", type);
    _exit(EXIT_BAD_FRAMING);
}

static void link_peer(struct role_link *l, const struct msg_role_peer *m, int fd)
{
    struct role_context one = { .role = l->c->role };
    if (add_peer(&one, m, fd))
        link_bad(MSG_ROLE_PEER);
    if (l->ev.peer)
        l->ev.peer(l->ev.ctx, &one.peers[0]);
    else
        close(fd);
}

static void link_lost(struct role_link *l, const struct msg_role_lost *m)
{
    if (l->ev.lost)
        l->ev.lost(l->ev.ctx, m->role, (unsigned)m->index, m->why);
}

static void link_dispatch(struct role_link *l, const struct ipc_frame *f, int passed)
{
    struct msg_role_peer peer;
    struct msg_role_drain drain;
    struct msg_role_lost lost;
    if (!edge_permits(ROLE_PARENT, l->c->role, f->type))
        link_bad(f->type);
    if (f->type == MSG_ROLE_PEER && !msg_unpack_all(&msg_desc_role_peer, f->body, &peer))
        link_peer(l, &peer, passed);
    else if (f->type == MSG_ROLE_DRAIN && !msg_unpack_all(&msg_desc_role_drain, f->body, &drain)) {
        if (l->ev.drain)
            l->ev.drain(l->ev.ctx, drain.deadline_ms);
    } else if (f->type == MSG_ROLE_LOST && !msg_unpack_all(&msg_desc_role_lost, f->body, &lost))
        link_lost(l, &lost);
    else
        link_bad(f->type);
}

static void link_on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct role_link *l = arg;
    struct ipc_frame f;
    int passed;
    (void)what;
    enum err e = link_recv(fd, &l->in, &f, &passed);
    if (e == CE_BUSY)
        return;
    if (e == CE_BAD_FRAME)
        link_bad(0);
    if (e == CE_OK) {
        link_dispatch(l, &f, passed);
        return;
    }
    event_del(l->readable);
    event_base_loopbreak(l->base);
    if (l->ev.stop)
        l->ev.stop(l->ev.ctx);
}

static void link_on_beat(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    role_beat(((const struct role_link *)arg)->c, 0);
}

struct role_link *role_link_new(struct event_base *base, const struct role_context *c, const struct role_events *ev)
{
    struct role_link *l = mem_calloc(1, sizeof *l);
    *l = (struct role_link){ .c = c, .ev = *ev, .base = base, .in = BUF_INIT(LINK_PACKET_MAX) };
    INVARIANT(evutil_make_socket_nonblocking(c->parent_fd) == 0);
    l->readable = event_new(base, c->parent_fd, EV_READ | EV_PERSIST, link_on_readable, l);
    INVARIANT(l->readable && event_add(l->readable, NULL) == 0);
    if (ev->beats)
        return l;
    l->beat = event_new(base, -1, EV_PERSIST, link_on_beat, l);
    INVARIANT(l->beat && event_add(l->beat, &(struct timeval){ ROLE_BEAT_S, 0 }) == 0);
    return l;
}

void role_link_free(struct role_link *l)
{
    if (!l)
        return;
    event_free(l->readable);
    if (l->beat)
        event_free(l->beat);
    buf_free(&l->in);
    free(l);
}
