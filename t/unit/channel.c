/* channel.c: frames between roles: order, size, backpressure, a peer that goes, and the table of who may say what. */
#include "role/channel.h"

#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/link.h"
#include "t/tap.h"

struct side {
    struct event_base *base;
    struct channel *ch;
    uint64_t got, next_rid, bytes;
    bool in_order, gone, free_in_frame;
};

static void on_frame(void *ctx, struct channel *ch, const struct ipc_frame *f)
{
    struct side *s = ctx;
    s->in_order = s->in_order && f->rid == s->next_rid++;
    s->got++;
    s->bytes += f->body.n;
    if (s->free_in_frame) {
        s->ch = NULL;
        channel_free(ch);
    }
}

static void on_gone(void *ctx, struct channel *ch)
{
    struct side *s = ctx;
    s->gone = true;
    s->ch = NULL;
    channel_free(ch);
}

static void pair(struct event_base *base, struct side *a, enum role ra, struct side *b, enum role rb)
{
    int fds[2];
    INVARIANT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    *a = *b = (struct side){ .base = base, .in_order = true };
    a->ch = channel_new(&(struct channel_config){ base, fds[0], ra, rb, 0, on_frame, on_gone, a });
    b->ch = channel_new(&(struct channel_config){ base, fds[1], rb, ra, 0, on_frame, on_gone, b });
}

static bool run_until(struct event_base *base, const uint64_t *what, uint64_t want)
{
    int64_t end = clock_mono_ms() + 20000;
    while (*what < want && clock_mono_ms() < end)
        event_base_loop(base, EVLOOP_NONBLOCK);
    return *what == want;
}

static void test_frames(struct event_base *base)
{
    struct side a, b;
    CLEANUP(buf_free) struct buf big = BUF_INIT(0);
    struct msg_caller who = { .cn = SPAN_LIT("x") };
    struct msg_query q = { .what = SPAN_LIT("devices") };
    pair(base, &a, ROLE_FRONT, &b, ROLE_QUERY);
    for (uint64_t i = 0; i < 20000; i++)
        channel_send_call(a.ch, i, &who, &msg_desc_query, &q);
    ok(run_until(base, &b.got, 20000) && b.in_order, "20000 small frames arrive in order");
    channel_free(a.ch);
    channel_free(b.ch);
    pair(base, &a, ROLE_CORE, &b, ROLE_FRONT);
    memset(buf_grow(&big, 30u << 20), 7, 30u << 20);
    channel_send(a.ch, MSG_REPLY, 0, buf_span(&big));
    ok(channel_full(a.ch), "a channel with 30 MiB unsent is full");
    channel_send(a.ch, MSG_PUSH_READY, 1, SPAN_LIT(""));
    ok(run_until(base, &b.got, 2) && b.bytes == big.len && b.in_order, "a frame of 30 MiB arrives whole, the next one after it");
    ok(!channel_full(a.ch), "the channel is not full any more");
    channel_free(a.ch);
    uint64_t one = 1;
    while (!b.gone && one++ < 1000)
        event_base_loop(base, EVLOOP_NONBLOCK);
    ok(b.gone && !b.ch, "the other side hears that its peer is gone");
}

static void test_free_inside(struct event_base *base)
{
    struct side a, b;
    pair(base, &a, ROLE_CORE, &b, ROLE_FRONT);
    b.free_in_frame = true;
    for (uint64_t i = 0; i < 10; i++)
        channel_send(a.ch, MSG_PUSH_READY, i, SPAN_LIT("body"));
    ok(run_until(base, &b.got, 1), "a handler may free the channel: no frame comes after that");
    for (int i = 0; i < 100; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    ok(b.got == 1 && a.gone, "and the peer notices");
}

static void test_hung_peer(struct event_base *base)
{
    int fds[2];
    struct side a = { .base = base };
    CLEANUP(buf_free) struct buf big = BUF_INIT(0);
    INVARIANT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    a.ch = channel_new(&(struct channel_config){ base, fds[0], ROLE_CORE, ROLE_FRONT, 0, on_frame, on_gone, &a });
    memset(buf_grow(&big, 30u << 20), 7, 30u << 20);
    for (int i = 0; i < 12 && a.ch; i++) {
        channel_send(a.ch, MSG_PUSH_FRAME, 0, buf_span(&big));
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    ok(a.gone, "a peer that never reads is given up before memory runs out");
    close(fds[1]);
}

/* What a process does that reads these bytes from its peer: its exit code, or minus the signal. */
static int reader_fate(struct span bytes)
{
    int fds[2], status = 0;
    INVARIANT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct event_base *base = event_base_new();
        struct side s = { .base = base };
        alarm(20);
        close(fds[0]);
        s.ch = channel_new(&(struct channel_config){ base, fds[1], ROLE_FRONT, ROLE_CORE, 0, on_frame, on_gone, &s });
        while (!s.gone)
            event_base_loop(base, EVLOOP_ONCE);
        _exit(s.got == 1 ? 0 : 1);
    }
    close(fds[1]);
    INVARIANT(write(fds[0], bytes.p, bytes.n) == (ssize_t)bytes.n);
    close(fds[0]);
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_bad_framing(void)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    ipc_frame_put(&b, MSG_PUSH_READY, 0, SPAN_LIT("12345678"));
    ok(reader_fate(buf_span(&b)) == 0, "a good frame is taken");
    b.data[5] ^= 1;
    ok(reader_fate(buf_span(&b)) == EXIT_BAD_FRAMING, "another version stops the reader");
    buf_reset(&b);
    ipc_frame_put(&b, MSG_SIGN_CERT, 0, SPAN_LIT("12345678"));
    ok(reader_fate(buf_span(&b)) == EXIT_BAD_FRAMING, "a type that core may not send to front stops the reader");
    ok(reader_fate(SPAN_LIT("\xff\xff\xff\xff\0\1\0\2")) == EXIT_BAD_FRAMING, "a length beyond the maximum stops the reader");
    ok(reader_fate(SPAN_LIT("\0\0\0\3\0\1\0\2")) == EXIT_BAD_FRAMING, "a length below the header's stops the reader");
}

static void test_table(void)
{
    unsigned n = 0, signer_in = 0;
    for (int from = 0; from < ROLE_COUNT; from++)
        for (int to = 0; to < ROLE_COUNT; to++)
            for (unsigned type = 0; type < 0x10000; type++) {
                bool allowed = edge_permits((enum role)from, (enum role)to, (uint16_t)type);
                n += allowed;
                signer_in += allowed && (to == ROLE_SIGNER || to == ROLE_HSM) && from != ROLE_CORE && from != ROLE_PARENT;
                if (allowed && !msg_desc_find((uint16_t)type))
                    ok(false, "type 0x%04x is permitted but does not exist", type);
            }
    ok(n == 135, "the table permits %u (direction, type) pairs, no more", n);
    ok(signer_in == 0, "nobody but core asks the signer, or the hsm role");
    ok(!edge_exists(ROLE_FRONT, ROLE_SIGNER) && !edge_exists(ROLE_QUERY, ROLE_CORE) && !edge_exists(ROLE_QUERY, ROLE_SIGNER),
       "no edges front-signer, query-core, query-signer");
    ok(edge_exists(ROLE_FRONT, ROLE_CORE) && edge_exists(ROLE_CORE, ROLE_SIGNER) && edge_exists(ROLE_QUERY, ROLE_FRONT), "the edges that are needed");
    ok(role_find("signer") == ROLE_SIGNER && role_find("root") == ROLE_COUNT, "roles by name");
}

static void test_link(void)
{
    int fds[2], pass[2], passed;
    char c = 0;
    CLEANUP(buf_free) struct buf in = BUF_INIT(LINK_PACKET_MAX);
    struct ipc_frame f;
    struct role_context rc;
    struct settings s;
    struct fault fault = { 0 };
    struct msg_role_setup setup = { SPAN_LIT("/srv/site"), SPAN_LIT("core"), 0, SPAN_LIT("n_shards = 7\n"), SPAN_LIT("signal 9") };
    struct msg_role_peer peer = { SPAN_LIT("front"), 3 }, wrong = { SPAN_LIT("query"), 0 };
    struct msg_role_go go = { 1 };
    INVARIANT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0 && pipe(pass) == 0);
    ok(!link_send(fds[0], &msg_desc_role_setup, &setup, -1) && !link_send(fds[0], &msg_desc_role_peer, &peer, pass[1]) &&
           !link_send(fds[0], &msg_desc_role_go, &go, -1), "the parent sends set-up, one peer, go");
    ok(role_receive(fds[1], &rc, &s, &fault) == CE_OK && rc.role == ROLE_CORE && s.n_shards == 7 && strcmp(rc.site, "/srv/site") == 0 &&
           strcmp(rc.why, "signal 9") == 0,
       "the role has role, site, configuration and why it was started");
    ok(rc.npeers == 1 && rc.peers[0].role == ROLE_FRONT && rc.peers[0].index == 3 && write(rc.peers[0].fd, "y", 1) == 1 &&
           read(pass[0], &c, 1) == 1 && c == 'y', "and a working descriptor to its peer");
    ok(!link_send(fds[0], &msg_desc_role_setup, &setup, -1) && !link_send(fds[0], &msg_desc_role_peer, &wrong, pass[1]) &&
           role_receive(fds[1], &rc, &s, &fault) == CE_BAD_FRAME, "a peer that the table does not allow is refused");
    ok(link_send(fds[0], &msg_desc_role_go, &go, -1) == CE_OK && role_receive(fds[1], &rc, &s, &fault) != CE_OK, "go without a set-up is refused");
    close(fds[0]);
    ok(link_recv(fds[1], &in, &f, &passed) == CE_NOT_FOUND, "a closed link is noticed");
    ok(role_receive(fds[1], &rc, &s, &fault) == CE_NOT_FOUND || fault.code, "and ends a role that waits for its set-up");
    close(fds[1]);
}

int main(void)
{
    struct event_base *base = event_base_new();
    signal(SIGPIPE, SIG_IGN);
    test_frames(base);
    test_free_inside(base);
    test_hung_peer(base);
    event_base_free(base);
    test_bad_framing();
    test_table();
    test_link();
    return done();
}
