/* run.c: the loop: identity work, the MQTT link, telemetry from the local application, heartbeats. See run.h. */
#include "agent/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/reset.h"
#include "agent/trust.h"
#include "agent/update_child.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

static volatile sig_atomic_t asked_to_stop, asked_to_renew, asked_for_trust;

static void on_stop(int sig)
{
    (void)sig;
    asked_to_stop = 1;
}

static void on_renew(int sig)
{
    (void)sig;
    asked_to_renew = 1;
}

static void on_trust(int sig)
{
    (void)sig;
    asked_for_trust = 1;
}

static void signals_set(void)
{
    struct sigaction stop = { .sa_handler = on_stop }, renew = { .sa_handler = on_renew }, trust = { .sa_handler = on_trust }, ignore = { .sa_handler = SIG_IGN };
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGUSR1, &renew, NULL);
    sigaction(SIGUSR2, &trust, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
}

void agent_publish(struct agent *a, const char *what, struct span payload)
{
    struct outbox *o = &a->outbox;
    if (o->count == OUTBOX_MAX) {
        o->first = (o->first + 1) % OUTBOX_MAX;
        o->count--;
        o->dropped++;
    }
    struct buf *item = &o->item[(o->first + o->count++) % OUTBOX_MAX];
    item->max = TELEMETRY_MAX + 256;
    buf_reset(item);
    buf_printf(item, "d/%s/up/%s", a->cfg.uid, what);
    buf_put_u8(item, 0);
    buf_put_span(item, payload);
}

static void outbox_send(struct agent *a)
{
    struct outbox *o = &a->outbox;
    while (a->link && o->count && link_state(a->link) == LINK_UP) {
        struct buf *item = &o->item[o->first];
        size_t topic = strlen((const char *)item->data) + 1;
        if (buf_err(item)) /* too large: it was cut when it was queued */
            o->dropped++;
        else if (link_publish(a->link, (const char *)item->data, span_of(item->data + topic, item->len - topic)))
            return;
        else
            a->published++;
        o->first = (o->first + 1) % OUTBOX_MAX;
        o->count--;
    }
}

/* A datagram socket in the state folder: what the local application writes is published as telemetry. */
static void telemetry_open(struct agent *a)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    int n = snprintf(at.sun_path, sizeof at.sun_path, "%s/telemetry.sock", a->cfg.state_dir);
    if (n < 0 || (size_t)n >= sizeof at.sun_path) {
        log_warn(0, "state_dir is too long a path for a socket: no telemetry.sock");
        return;
    }
    unlink(at.sun_path);
    a->telemetry_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (a->telemetry_fd < 0 || bind(a->telemetry_fd, (struct sockaddr *)&at, sizeof at)) {
        log_warn(0, "no telemetry socket at %s: %s", at.sun_path, strerror(errno));
        fd_close_p(&a->telemetry_fd);
    }
}

static void telemetry_read(struct agent *a)
{
    static uint8_t datagram[TELEMETRY_MAX];
    for (int i = 0; i < OUTBOX_MAX; i++) {
        ssize_t n = recv(a->telemetry_fd, datagram, sizeof datagram, MSG_TRUNC);
        if (n < 0)
            return;
        if ((size_t)n > sizeof datagram)
            log_warn(0, "a telemetry datagram of %zd bytes is over the limit of %d; dropped", n, TELEMETRY_MAX);
        else
            agent_publish(a, "telemetry", span_of(datagram, (size_t)n));
    }
}

static void heartbeat(struct agent *a, int64_t now_ms)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(1024);
    struct json_out j = JSON_OUT(&b);
    if (!a->cfg.heartbeat_s || now_ms < a->next_heartbeat_ms)
        return;
    a->next_heartbeat_ms = now_ms + a->cfg.heartbeat_s * 1000;
    json_obj(&j, NULL);
    json_cstr(&j, "uid", a->cfg.uid);
    json_time_ms(&j, "at", clock_now_ms());
    json_int(&j, "uptime_s", (now_ms - a->started_ms) / 1000);
    json_int(&j, "published", (int64_t)a->published);
    json_int(&j, "dropped", (int64_t)a->outbox.dropped);
    json_obj_end(&j);
    agent_publish(a, "status", buf_span(&b));
}

static void on_message(void *arg, const char *topic, struct span payload) { command_take(arg, topic, payload); }

static void link_lost(struct agent *a, int64_t now_ms)
{
    int64_t wait_ms = agent_backoff_ms(a, a->link_attempts++);
    log_warn(0, "no connection to %s:%lld (%s); next try in %lld ms", a->cfg.broker_host, (long long)a->cfg.broker_port,
             a->link ? link_why(a->link) : "cannot connect", (long long)wait_ms);
    link_close(a->link);
    a->link = NULL;
    a->next_link_ms = now_ms + wait_ms;
}

static void link_begin(struct agent *a, int64_t now_ms)
{
    char cert[PATH_MAX_LEN], dir[PATH_MAX_LEN];
    struct fault f;
    CLEANUP(key_close) struct agent_key k = { 0 };
    a->link_slot = a->phase == CRADLE_CANDIDATE ? CREDS_NEXT : CREDS_CURRENT;
    a->link_reported = false;
    creds_cert_path(&a->creds, a->link_slot, cert);
    creds_slot_dir(&a->creds, a->link_slot, dir);
    enum err e = key_open(&a->cfg, dir, &k, &f);
    struct link_config lc = { .agent = &a->cfg, .cert_path = cert, .key = k.pkey, .on_message = on_message, .arg = a };
    if (e || link_open(&lc, &a->link, &f)) {
        a->link = NULL;
        log_warn(0, "%s", f.text);
        link_lost(a, now_ms);
    }
}

static void link_keep(struct agent *a, int64_t now_ms)
{
    if (!*a->cfg.broker_host || (a->phase != CRADLE_CURRENT && a->phase != CRADLE_CANDIDATE))
        return;
    /* the candidate is tried alone: the old connection says goodbye first, so that it is no take-over */
    if (a->link && a->phase == CRADLE_CANDIDATE && a->link_slot == CREDS_CURRENT) {
        link_close(a->link);
        a->link = NULL;
        a->next_link_ms = now_ms;
    }
    if (!a->link && now_ms >= a->next_link_ms)
        link_begin(a, now_ms);
    if (!a->link)
        return;
    if (link_state(a->link) == LINK_UP && !a->link_reported) {
        a->link_reported = true;
        a->link_attempts = 0;
        log_info(0, "%s is connected to %s:%lld", a->cfg.uid, a->cfg.broker_host, (long long)a->cfg.broker_port);
    } else if (link_state(a->link) == LINK_DOWN || link_state(a->link) == LINK_REFUSED) {
        link_lost(a, now_ms);
    }
}

static void loop_wait(struct agent *a, int timeout_ms)
{
    struct pollfd fds[2] = { { .fd = a->telemetry_fd, .events = POLLIN }, { .fd = a->link ? link_fd(a->link) : -1, .events = POLLIN } };
    if (a->link && link_wants_write(a->link))
        fds[1].events |= POLLOUT;
    int n = poll(fds, 2, timeout_ms);
    if (n > 0 && (fds[0].revents & POLLIN))
        telemetry_read(a);
    if (a->link)
        link_work(a->link, n > 0 && (fds[1].revents & (POLLIN | POLLHUP | POLLERR)), n > 0 && (fds[1].revents & POLLOUT));
}

static void reset_keep(struct agent *a)
{
    struct fault f = { 0 };
    if (!reset_pending(&a->cfg))
        return;
    if (clock_mono_ms() < a->next_reset_ms)
        return;
    enum err e = reset_step(a, &f);
    if (e) {
        log_warn(0, "reset: %s (%s)", f.text, err_reason(e));
        a->next_reset_ms = clock_mono_ms() + 1000 + agent_backoff_ms(a, a->reset_attempts++);
    } else if (reset_pending(&a->cfg)) {
        a->next_reset_ms = clock_mono_ms() + 1000;
    }
}

static void trust_keep(struct agent *a, int64_t now_ms)
{
    struct trust_news news;
    struct fault f = { 0 };
    bool asked = asked_for_trust;
    if (!a->cfg.trust_check_s || !*a->cfg.est_url || a->phase != CRADLE_CURRENT)
        return;
    if (!a->next_trust_ms)
        a->next_trust_ms = now_ms + trust_wait_ms(&a->cfg);
    if (!asked && now_ms < a->next_trust_ms)
        return;
    asked_for_trust = 0;
    enum err e = trust_renew(&a->creds, &news, &f);
    trust_tell(e, &news, &f);
    bool later = e == CE_IO || e == CE_TIMEOUT || err_class(e) == ERRC_BUSY || (e == CE_BAD_SIGNATURE && !news.asked); /* a clock that is not set yet */
    a->trust_attempts = later ? a->trust_attempts + 1 : 0;
    a->next_trust_ms = clock_mono_ms() + (later ? 1000 + agent_backoff_ms(a, a->trust_attempts - 1) : trust_wait_ms(&a->cfg));
}

void agent_loop(struct agent *a)
{
    struct fault f;
    signals_set();
    telemetry_open(a);
    while (!asked_to_stop && !a->restart) {
        int64_t now_ms = clock_mono_ms();
        if (asked_to_renew || now_ms >= a->next_check_ms || a->phase != CRADLE_CURRENT) {
            bool force = asked_to_renew;
            asked_to_renew = 0;
            enum err e = agent_identity(a, force, &f);
            if (e && err_class(e) == ERRC_INTERNAL)
                log_error(0, "%s", f.text);
            a->next_check_ms = now_ms + (a->cfg.renew_check_s < 1 ? 1 : a->cfg.renew_check_s) * 1000;
        }
        reset_keep(a);
        trust_keep(a, now_ms);
        update_child_keep(a, now_ms);
        link_keep(a, now_ms);
        heartbeat(a, now_ms);
        outbox_send(a);
        loop_wait(a, a->link && link_state(a->link) == LINK_UP ? 500 : 100);
    }
    update_child_stop(a);
    if (asked_to_stop)
        log_info(0, "%s stops", a->cfg.uid);
}

enum err agent_settle(struct agent *a, bool force, int64_t limit_ms, struct fault *f)
{
    int64_t end_ms = clock_mono_ms() + limit_ms;
    bool renew = force;
    enum err e;
    signals_set();
    do {
        int64_t now_ms = clock_mono_ms();
        e = agent_identity(a, force && a->phase == CRADLE_CURRENT, f);
        if (!e && a->phase == CRADLE_CANDIDATE)
            force = false;
        if (!e && a->phase == CRADLE_CURRENT && !force)
            return renew && !a->swaps ? fault_set(f, CE_CERT_FOREIGN, "the new certificate was refused; the old one stays in use") : CE_OK;
        if (e && err_class(e) != ERRC_BUSY && e != CE_IO)
            return e;
        if (a->phase == CRADLE_CANDIDATE)
            link_keep(a, now_ms);
        loop_wait(a, 50);
    } while (!asked_to_stop && clock_mono_ms() < end_ms);
    return e ? e : fault_set(f, CE_TIMEOUT, "the identity of %s was not settled within %lld ms", a->cfg.uid, (long long)limit_ms);
}
