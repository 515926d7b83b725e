/* front_harness.h: a whole front on a Unix socket in a child process, with a core and a query role played by the test at the other
 * ends of its socketpairs, and a raw HTTP client that can also misbehave. The played core echoes what it was asked as JSON.
 */
#ifndef CRADLE_FRONT_HARNESS_H
#define CRADLE_FRONT_HARNESS_H

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/front_counts.h"
#include "crypt/cert.h"
#include "role/front.h"
#include "t/tap.h"
#include "wire/ipc.h"
#include "wire/msg.h"
#include "wire/route.h"

#define REQUEST_MS 1500 /* the front's own bound, short for the tests */
#define OPEN_MAX_TEST 64

static char T[64]; /* folder of the test */

/* -- the child: front, played core, played query ------------------------------------------------------------------------------ */
struct played {
    struct event_base *base;
    struct front *front;
    struct bufferevent *core, *query, *depot;
    int control;
    char last_refused[1024], last_cancel[64];
    unsigned ocsp_asked, refusals, polls_asked;
    unsigned rollout_pad, rollouts_asked; /* bytes that an answer about a rollout is padded with; 0: it is echoed. Each one is another then */
    int64_t polls_keep;  /* seconds that an answer to a poll is good for */
    uint64_t bad_fields; /* refusals that the front has counted, as it tells core each second */
};

static void put_frame(struct bufferevent *bev, uint16_t type, uint64_t rid, const struct msg_desc *d, const void *m)
{
    struct buf body = BUF_INIT(0), frame = BUF_INIT(0);
    msg_pack(d, m, &body);
    ipc_frame_put(&frame, type, rid, buf_span(&body));
    if (bev)
        bufferevent_write(bev, frame.data, frame.len);
    buf_free(&body);
    buf_free(&frame);
}

static void echo_fields(struct json_out *j, const struct msg_desc *d, const void *m)
{
    const char *at = m;
    for (size_t i = 0; i < d->nfields; i++) {
        const struct msg_field *f = &d->fields[i];
        if (f->type == MSG_F_I64 || f->type == MSG_F_BOOL || f->type == MSG_F_TIM) {
            json_int(j, f->name, *(const int64_t *)(const void *)at);
            at += sizeof(int64_t);
        } else {
            if (f->type == MSG_F_STR)
                json_str(j, f->name, *(const struct span *)(const void *)at);
            else
                json_hex(j, f->name, *(const struct span *)(const void *)at);
            at += sizeof(struct span);
        }
    }
}

static void echo(const struct msg_desc *d, const struct msg_caller *who, const void *m, struct buf *out)
{
    struct json_out j = JSON_OUT(out);
    json_obj(&j, NULL);
    json_cstr(&j, "msg", d->name);
    json_obj(&j, "caller");
    echo_fields(&j, &msg_desc_caller, who);
    json_obj_end(&j);
    echo_fields(&j, d, m);
    json_obj_end(&j);
}

/* UIDs that the played core answers in a special way. */
static const struct {
    const char *uid;
    enum err e;
} special[] = {
    {"BUSY-1", CE_BUSY_UID},         {"UNKNOWN-1", CE_UID_UNKNOWN}, {"RETIRED-1", CE_DEVICE_RETIRED}, {"OTHERLINE-1", CE_LINE_FORBIDDEN},
    {"KEYOTHER-1", CE_KEY_OF_OTHER}, {"EARLY-1", CE_TOO_EARLY},     {"DISK-1", CE_DISK_FULL},         {"SILENT-1", CE_TIMEOUT},
};

static enum err special_of(struct span uid)
{
    for (size_t i = 0; i < ARRAY_LEN(special); i++)
        if (span_eq_str(uid, special[i].uid))
            return special[i].e;
    return CE_OK;
}

/* An idle device: the front may say the same again for a while. */
static void play_poll(struct played *p, char *text, size_t max, struct msg_reply *rep)
{
    snprintf(text, max, "{\"poll\":%u}", ++p->polls_asked);
    rep->body = span_str(text);
    rep->retry_s = p->polls_keep;
}

/* What the test has put into files reaches this front only now: as if another one had taken it. */
static void play_meta(struct bufferevent *bev, const char *role)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    char path[128];
    snprintf(path, sizeof path, "%s/%s.json", T, role);
    const struct msg_push_meta m = { .role = span_str(role), .envelope = file_read(path, &text) ? (struct span){ 0 } : buf_span(&text) };
    if (m.envelope.n)
        put_frame(bev, MSG_PUSH_META, 0, &msg_desc_push_meta, &m);
}

/* Polls, metadata, rollouts. text and out: where an answer's body lies. */
static void play_updates(struct played *p, struct bufferevent *bev, uint16_t type, struct span what, char *text, size_t max, struct buf *out, struct msg_reply *rep)
{
    if (type == MSG_UPDATE_POLL)
        play_poll(p, text, max, rep);
    if (span_eq_str(what, "rollout") && p->rollout_pad) {
        buf_reset(out);
        buf_printf(out, "{\"asked\":%u,\"pad\":\"%*s\"}", ++p->rollouts_asked, (int)p->rollout_pad, "");
        rep->body = buf_span(out);
    }
    if (type == MSG_META_SYNC) {
        play_meta(bev, "root");
        play_meta(bev, "targets");
    }
}

static void play(struct played *p, struct bufferevent *bev, const struct ipc_frame *f)
{
    static union {
        struct msg_query q;
        struct msg_enroll e;
        struct msg_device_add a;
        struct msg_front_counts c;
        uint8_t any[1024];
    } m;
    struct msg_caller who;
    struct span body = f->body, uid = {0};
    const struct msg_desc *d = msg_desc_find(f->type);
    struct buf out = BUF_INIT(0);
    if (f->type == MSG_QUERY_CANCEL) {
        snprintf(p->last_cancel, sizeof p->last_cancel, "cancelled");
        return;
    }
    INVARIANT(d && msg_unpack(&msg_desc_caller, &body, &who) == CE_OK && msg_unpack_all(d, body, &m) == CE_OK);
    echo(d, &who, &m, &out);
    struct msg_reply rep = {.body_kind = BODY_JSON, .body = buf_span(&out)};
    struct buf cert = BUF_INIT(0);
    char text[32];
    if (f->type == MSG_REFUSED) {
        snprintf(p->last_refused, sizeof p->last_refused, "%s", buf_cstr(&out));
        p->refusals++;
        buf_free(&out);
        return;
    }
    if (f->type == MSG_FRONT_COUNTS) {
        INVARIANT(m.c.counts.n == FRONT_COUNTS * sizeof(uint64_t));
        struct span one = span_of(m.c.counts.p + (COUNT_N + CE_BAD_FIELD) * sizeof(uint64_t), sizeof(uint64_t));
        INVARIANT(span_get_u64(&one, &p->bad_fields));
        buf_free(&out);
        return;
    }
    if (f->type == MSG_METRICS) {
        buf_reset(&out);
        buf_printf(&out, "bad_fields %llu\n", (unsigned long long)p->bad_fields);
        rep.body = buf_span(&out);
    }
    if (f->type == MSG_ENROLL)
        uid = m.e.uid;
    if (f->type == MSG_DEVICE_ADD)
        uid = m.a.uid;
    if (f->type == MSG_QUERY)
        uid = m.q.key;
    enum err e = special_of(uid);
    if (f->type == MSG_ENROLL && !e) {
        struct cert c;
        char path[128];
        snprintf(path, sizeof path, "%s/dev-1.pem", T);
        INVARIANT(cert_load(path, &cert, &c, NULL) == CE_OK);
        rep.body_kind = BODY_CERT;
        rep.body = buf_span(&cert);
    }
    if (f->type == MSG_OPERATOR_ADD) {
        rep.body_kind = BODY_CERT;
        rep.body = SPAN_LIT("0123");
    }
    if (f->type == MSG_OCSP_QUERY) {
        snprintf(text, sizeof text, "ocsp answer %u", ++p->ocsp_asked);
        rep.body_kind = BODY_OCSP;
        rep.body = span_str(text);
    }
    play_updates(p, bev, f->type, f->type == MSG_QUERY ? m.q.what : span_of(NULL, 0), text, sizeof text, &out, &rep);
    if (f->type == MSG_EDGE_OPEN) {
        rep.body_kind = BODY_BINARY;
        rep.body = SPAN_LIT("SNAPSHOT.");
    }
    if (f->type == MSG_DEVICE_ADD || f->type == MSG_DEVICE_STATE || f->type == MSG_QUERY)
        rep.rev = 7;
    if (e) {
        rep = (struct msg_reply){.code = e, .text = span_str(err_text(e)), .retry_s = err_class(e) == ERRC_BUSY ? 3 : 0};
    }
    if (e != CE_TIMEOUT)
        put_frame(bev, MSG_REPLY, f->rid, &msg_desc_reply, &rep);
    buf_free(&cert);
    buf_free(&out);
}

static void on_peer_bytes(struct bufferevent *bev, void *arg)
{
    struct evbuffer *in = bufferevent_get_input(bev);
    struct span s = span_of(evbuffer_pullup(in, -1), evbuffer_get_length(in));
    size_t all = s.n;
    struct ipc_frame f;
    while (ipc_frame_get(&s, &f) == CE_OK)
        play(arg, bev, &f);
    evbuffer_drain(in, all - s.n);
}

static struct bufferevent *attach(struct played *p, enum role role)
{
    int fd[2];
    INVARIANT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd) == 0);
    struct bufferevent *bev = bufferevent_socket_new(p->base, fd[1], BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(bev, on_peer_bytes, NULL, NULL, p);
    bufferevent_enable(bev, EV_READ | EV_WRITE);
    const struct role_peer peer = {.role = role, .index = 0, .fd = fd[0]};
    front_peer(p->front, &peer);
    return bev;
}

static const char *const infra[] = {"admin", "operator", "station", "auditor", "edge", "backend"};

static void push_ident(struct played *p, const char *name, const char *role, bool removed)
{
    const struct msg_push_ident m = {.name = span_str(name),
                                     .role = span_str(role),
                                     .removed = removed,
                                     .lines = strcmp(role, "station") == 0 ? SPAN_LIT("pump") : span_of(NULL, 0)};
    put_frame(p->core, MSG_PUSH_IDENT, 0, &msg_desc_push_ident, &m);
}

static void push_ca(struct played *p, const char *name)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(0);
    struct cert c;
    char path[PATH_MAX_LEN];
    path_join(path, "%s/site/ca/%s.pem", T, name);
    INVARIANT(cert_load(path, &der, &c, NULL) == CE_OK);
    const struct msg_push_ca m = {.name = span_str(name), .use = span_str(name), .state = SPAN_LIT("active"), .der = buf_span(&der)};
    put_frame(p->core, MSG_PUSH_CA, 0, &msg_desc_push_ca, &m);
}

static void core_on(struct played *p)
{
    const struct msg_push_ready ready = {.idents = 5};
    p->core = attach(p, ROLE_CORE);
    push_ca(p, "root");
    push_ca(p, "device");
    push_ca(p, "infra");
    for (size_t i = 0; i < ARRAY_LEN(infra); i++)
        push_ident(p, infra[i], infra[i], false);
    put_frame(p->core, MSG_PUSH_LINE, 0, &msg_desc_push_line, &(struct msg_push_line){.name = SPAN_LIT("pump")});
    put_frame(p->core, MSG_PUSH_READY, 0, &msg_desc_push_ready, &ready);
}

static void push_cert(struct played *p, const char *path, const char *reason, bool lifted)
{
    struct buf der = BUF_INIT(0);
    struct cert c;
    INVARIANT(cert_load(path, &der, &c, NULL) == CE_OK);
    const struct msg_push_cert m = {.kid = c.aki, .serial = c.serial, .uid = c.cn, .reason = span_str(reason), .lifted = lifted};
    put_frame(p->core, MSG_PUSH_CERT, 0, &msg_desc_push_cert, &m);
    buf_free(&der);
}

static void push_update(struct played *p, const char *uid)
{
    const struct msg_push_update m = {.uid = span_str(uid)};
    put_frame(p->core, MSG_PUSH_UPDATE, 0, &msg_desc_push_update, &m);
}

static void control(struct played *p, char *line, char *answer, size_t max)
{
    char a[200] = "", b[200] = "", c[200] = "";
    struct buf big = BUF_INIT(0);
    sscanf(line, "%199s %199s %199s", a, b, c);
    snprintf(answer, max, "done");
    if (strcmp(a, "last") == 0)
        snprintf(answer, max, "%s", p->last_refused);
    else if (strcmp(a, "cancel") == 0)
        snprintf(answer, max, "%s", p->last_cancel);
    else if (strcmp(a, "open") == 0)
        snprintf(answer, max, "%zu", front_open(p->front));
    else if (strcmp(a, "refusals") == 0)
        snprintf(answer, max, "%u", p->refusals);
    else if (strcmp(a, "ident") == 0)
        push_ident(p, b, c, false);
    else if (strcmp(a, "remove") == 0)
        push_ident(p, b, c, true);
    else if (strcmp(a, "block") == 0)
        push_cert(p, b, c, false);
    else if (strcmp(a, "update") == 0)
        push_update(p, b);
    else if (strcmp(a, "polls") == 0)
        snprintf(answer, max, "%u", p->polls_asked);
    else if (strcmp(a, "keep") == 0)
        p->polls_keep = atoi(b);
    else if (strcmp(a, "pad") == 0)
        p->rollout_pad = (unsigned)atoi(b);
    else if (strcmp(a, "lift") == 0)
        push_cert(p, b, "", true);
    else if (strcmp(a, "frame") == 0 || strcmp(a, "bigframe") == 0) {
        for (int i = 0; i < (a[0] == 'b' ? 65536 : 1); i++)
            buf_put_str(&big, "FRAME.");
        const struct msg_push_frame m = {.frame = buf_span(&big)};
        put_frame(p->core, MSG_PUSH_FRAME, 0, &msg_desc_push_frame, &m);
    } else if (strcmp(a, "core-off") == 0) {
        bufferevent_free(p->core);
        p->core = NULL;
    } else if (strcmp(a, "core-on") == 0)
        core_on(p);
    else if (strcmp(a, "query-off") == 0) {
        bufferevent_free(p->query);
        p->query = NULL;
    } else if (strcmp(a, "query-on") == 0)
        p->query = attach(p, ROLE_QUERY);
    else if (strcmp(a, "depot-off") == 0) {
        bufferevent_free(p->depot);
        p->depot = NULL;
    } else if (strcmp(a, "depot-on") == 0)
        p->depot = attach(p, ROLE_DEPOT);
    else if (strcmp(a, "drain") == 0)
        front_drain(p->front);
    else if (strcmp(a, "quit") == 0)
        event_base_loopbreak(p->base);
    else
        snprintf(answer, max, "unknown command");
    buf_free(&big);
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
    char line[512], answer[1024];
    ssize_t n = recv(fd, line, sizeof line - 1, 0);
    (void)what;
    if (n <= 0) {
        event_base_loopbreak(((struct played *)arg)->base);
        return;
    }
    line[n] = 0;
    control(arg, line, answer, sizeof answer);
    (void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL);
}

static int child_main(int control_fd)
{
    struct played p = {.base = event_base_new(), .control = control_fd, .polls_keep = 900};
    struct fault f = {0};
    char site[80];
    snprintf(site, sizeof site, "%s/site", T);
    struct front_config c = {
        .base = p.base, .site = site, .request_ms = REQUEST_MS, .open_max = OPEN_MAX_TEST, .streams_max = 4, .beat_ms = 1000, .ocsp_ms = 30000};
    signal(SIGPIPE, SIG_IGN);
    log_setup("front", getenv("CRADLE_TEST_LOG") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    if (front_listen(site, 0, &c.listen_fd, &f) || front_new(&c, &p.front, &f)) {
        fprintf(stderr, "front: %s\n", f.text);
        return 1;
    }
    struct event *ev = event_new(p.base, control_fd, EV_READ | EV_PERSIST, on_control, &p);
    event_add(ev, NULL);
    event_base_dispatch(p.base);
    if (p.core)
        bufferevent_free(p.core);
    if (p.query)
        bufferevent_free(p.query);
    if (p.depot)
        bufferevent_free(p.depot);
    event_free(ev);
    front_free(p.front);
    event_base_free(p.base);
    libevent_global_shutdown();
    return 0;
}

/* -- the parent -------------------------------------------------------------------------------------------------------------------------
 */
static int control_fd = -1;
static pid_t child = -1;

static const char *tell(const char *fmt, ...)
{
    static char answer[1024];
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (send(control_fd, line, strlen(line), MSG_NOSIGNAL) < 0)
        return "front is dead";
    struct pollfd pf = {.fd = control_fd, .events = POLLIN};
    ssize_t n = poll(&pf, 1, 5000) == 1 ? recv(control_fd, answer, sizeof answer - 1, 0) : -1;
    answer[n > 0 ? n : 0] = 0;
    return answer;
}

__attribute__((unused)) static bool wait_tell(const char *question, const char *want) /* polls for up to 5 s */
{
    for (int i = 0; i < 250; i++) {
        if (strstr(tell("%s", question), want))
            return true;
        usleep(20000);
    }
    return false;
}

/* Certificates by the openssl program, so that nothing of ours vouches for itself. */
static int site_make(void)
{
    static const char script[] = "set -e; cd \"$1\"; mkdir -p site/ca site/profiles site/run\n"
                                 "ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out "
                                 "site/ca/$1.pem -subj \"/CN=test $1\" -days 30 "
                                 "-addext keyUsage=critical,keyCertSign,cRLSign ${2:+-CA site/ca/$2.pem -CAkey $2.key}; }\n"
                                 "leaf() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.pem "
                                 "-subj \"/CN=$1\" -days 10 "
                                 "-addext basicConstraints=critical,CA:false -addext extendedKeyUsage=clientAuth -CA $2 -CAkey $3; }\n"
                                 "ca root; ca device root; ca infra root; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
                                 "-nodes -keyout other.key -out other.pem -subj /CN=other\n"
                                 "for r in admin operator station auditor edge backend nobody; do leaf $r site/ca/infra.pem infra.key; done\n"
                                 "for d in dev-1 dev-2; do leaf $d site/ca/device.pem device.key; done; leaf foreign other.pem other.key\n"
                                 "openssl req -new -key dev-1.key -subj /CN=dev-1 -outform DER -out dev-1.csr\n"
                                 "echo 'ca = device' >site/profiles/device.conf; echo 'ca = infra' >site/profiles/operator.conf\n";
    char command[4096];
    snprintf(T, sizeof T, "/tmp/front.XXXXXX");
    if (!mkdtemp(T))
        return -1;
    snprintf(command, sizeof command, "(%s) >%s/make.log 2>&1", "sh -c \"$SCRIPT\" - \"$DIR\"", T);
    setenv("SCRIPT", script, 1);
    setenv("DIR", T, 1);
    return system(command);
}

static int harness_start(void)
{
    int fd[2];
    signal(SIGPIPE, SIG_IGN);
    if (site_make() != 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) != 0)
        return -1;
    child = fork();
    if (child == 0) {
        close(fd[0]);
        exit(child_main(fd[1]));
    }
    close(fd[1]);
    control_fd = fd[0];
    return strcmp(tell("core-on"), "done") == 0 && strcmp(tell("query-on"), "done") == 0 && strcmp(tell("depot-on"), "done") == 0 ? 0 : -1;
}

static int harness_stop(void)
{
    int status = -1;
    char command[128];
    tell("quit");
    close(control_fd);
    waitpid(child, &status, 0);
    snprintf(command, sizeof command, "rm -rf %s", T);
    if (system(command) != 0)
        perror(command);
    return status;
}

#include "t/unit/front_client.h"

#endif
