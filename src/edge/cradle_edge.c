/* cradle_edge.c: main of cradle-edge: the sidecar that holds cradled's revocation stream on a broker or API host
 * and answers its proxies.
 * usage: cradle-edge [-c FILE] [-t | -T | -s | -V]
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "edge/authz.h"
#include "edge/edge.h"
#include "edge/manual.h"
#include "edge/reports.h"

#define STATUS_EVERY_MS 1000
#define LOOK_MS 200

struct run { /* what main holds beside the threads */
    struct edge *e;
    int lock_fd, signal_fd;
    struct reports reports;
    bool stale;
    int64_t status_ms;
};

/* -- staleness ---------------------------------------------------------------------------------------------------------------- */
static void stale_look(struct run *r)
{
    pthread_mutex_lock(&r->e->lock);
    int64_t age = edge_view_age_ms(&r->e->view);
    pthread_mutex_unlock(&r->e->lock);
    bool stale = age > r->e->cfg.alarm_after * 1000;
    if (stale == r->stale)
        return;
    r->stale = stale;
    struct msg_report m = { .kind = stale ? SPAN_LIT("stale") : SPAN_LIT("fresh"), .at = clock_now_ms() };
    if (stale)
        m.reason = span_str(err_reason(CE_STALE));
    edge_report(r->e, &m);
    if (stale)
        log_error(0, "ALARM stale: the snapshot is older than %lld s", (long long)r->e->cfg.alarm_after);
    else
        log_info(0, "the snapshot is fresh");
}

static void housekeep(struct run *r)
{
    int64_t now = clock_mono_ms();
    stale_look(r);
    reports_look(&r->reports, now);
    if (now - r->status_ms < STATUS_EVERY_MS)
        return;
    r->status_ms = now;
    enum err e = edge_status_write(r->e);
    if (e)
        log_warn(0, "%s/edge.status cannot be written: %s", r->e->cfg.state_dir, err_text(e));
}

/* Returns when SIGTERM or SIGINT comes. */
static void run_loop(struct run *r)
{
    for (;;) {
        struct pollfd p[2] = { { r->reports.fd, POLLIN, 0 }, { r->signal_fd, POLLIN, 0 } };
        struct signalfd_siginfo si;
        poll(p, 2, LOOK_MS);
        if (p[0].revents)
            reports_take(&r->reports);
        if (p[1].revents && read(r->signal_fd, &si, sizeof si) == (ssize_t)sizeof si) {
            if (si.ssi_signo != SIGHUP)
                return;
            log_info(0, "connecting anew with the certificate on disk");
            atomic_store(&r->e->reopen, true);
        }
        housekeep(r);
    }
}

/* -- start and end --------------------------------------------------------------------------------------------------------------- */
static enum err signals_take(struct run *r, struct fault *f)
{
    sigset_t set;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    r->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    r->e->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->e->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return r->signal_fd < 0 || r->e->stop_fd < 0 || r->e->post_fd < 0 ? fault_set(f, CE_IO, "signalfd: %s", strerror(errno)) : CE_OK;
}

/* Two edges on one folder would tear the tail. */
static enum err lock_take(struct run *r, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/edge.lock", r->e->cfg.state_dir);
    if (file_mkdirs(r->e->cfg.state_dir, 0755))
        return fault_set(f, CE_IO, "%s: cannot be made: %s", r->e->cfg.state_dir, strerror(errno));
    r->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (r->lock_fd < 0)
        return fault_set(f, CE_IO, "%s: %s", path, strerror(errno));
    return flock(r->lock_fd, LOCK_EX | LOCK_NB) ? fault_set(f, CE_EXISTS, "%s: another cradle-edge holds this folder", r->e->cfg.state_dir)
                                                : CE_OK;
}

static enum err run_open(struct run *r, struct fault *f)
{
    struct edge *e = r->e;
    uint8_t rnd[5];
    char path[PATH_MAX_LEN], prefix[16];
    enum err err = random_bytes(rnd, sizeof rnd);
    if (!err)
        err = signals_take(r, f);
    if (!err)
        err = lock_take(r, f);
    if (!err)
        err = hold_open(&e->hold, e->cfg.state_dir, e->pub, f);
    if (err)
        return err;
    if (f->text[0])
        log_warn(0, "%s: starting from nothing", f->text);
    e->view.seen_mono_ms = e->hold.seen_mono_ms;
    snprintf(prefix, sizeof prefix, "%02x%02x%02x%02x%02x", rnd[0], rnd[1], rnd[2], rnd[3], rnd[4]);
    path_join(path, "%s/reports.spool", e->cfg.state_dir);
    err = spool_open(path, e->cfg.spool_max, prefix, &e->spool, f);
    return err ? err : reports_open(&r->reports, e, f);
}

static enum err edge_main(struct edge *e, struct fault *f)
{
    struct run r = { .e = e, .lock_fd = -1, .signal_fd = -1 };
    struct authz *authz = NULL;
    pthread_t stream, post, answers;
    uint64_t one = 1;
    e->stop_fd = e->post_fd = -1;
    pthread_mutex_init(&e->lock, NULL);
    enum err err = run_open(&r, f);
    if (!err)
        err = authz_open(e, &authz, f);
    if (err)
        return err;
    if (pthread_create(&stream, NULL, edge_stream_run, e) || pthread_create(&post, NULL, edge_post_run, e) ||
        (authz && pthread_create(&answers, NULL, authz_run, authz)))
        return fault_set(f, CE_IO, "no thread can be made");
    log_info(0, "cradle-edge " CRADLE_VERSION " holds %s", e->cfg.state_dir);
    run_loop(&r);
    atomic_store(&e->stop, true);
    if (write(e->stop_fd, &one, sizeof one) < 0)
        log_warn(0, "eventfd: %s", strerror(errno));
    pthread_join(stream, NULL);
    pthread_join(post, NULL);
    if (authz)
        pthread_join(answers, NULL);
    authz_close(authz);
    reports_close(&r.reports);
    hold_close(&e->hold);
    spool_close(e->spool);
    log_info(0, "ended");
    return CE_OK;
}

static enum err config_read(struct edge *e, const char *path, struct fault *f)
{
    enum err err = config_load(edge_keys, edge_nkeys, path, &e->cfg, f);
    if (!err && !e->cfg.report_socket[0] &&
        snprintf(e->cfg.report_socket, sizeof e->cfg.report_socket, "%.90s/report.sock", e->cfg.state_dir) < 0)
        err = CE_INTERNAL;
    return err;
}

static int usage(FILE *out, int rc)
{
    fputs("usage: cradle-edge [-c FILE] [-t | -T | -s | -V]\n\nKeeps the signed snapshot of who is revoked, for the broker on this host.\n\n"
          "  -c FILE  configuration, default /etc/cradle-edge/edge.conf\n"
          "  -t       check the configuration and the public key\n"
          "  -T       print the effective configuration, every key with its meaning\n"
          "  -s       print the status of the running cradle-edge\n"
          "  -V       print the version\n\nWithout -t, -T, -s or -V it runs in the foreground until SIGTERM.\n", out);
    return rc;
}

int main(int argc, char **argv)
{
    static struct edge e;
    struct fault f = { 0 };
    const char *path = "/etc/cradle-edge/edge.conf";
    int mode = 0, opt;
    log_setup("edge", LOG_LEVEL_INFO);
    if (argc == 2 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (argc == 3 && strcmp(argv[1], "--man") == 0)
        return edge_manual(argv[2]);
    while ((opt = getopt(argc, argv, "c:tTsVh")) != -1) {
        if (opt == '?' || opt == 'h')
            return opt == 'h' ? usage(stdout, 0) : usage(stderr, err_exit(CE_USAGE));
        if (opt == 'c')
            path = optarg;
        else
            mode = opt;
    }
    if (mode == 'V') {
        puts("cradle-edge " CRADLE_VERSION);
        return 0;
    }
    enum err err = config_read(&e, path, &f);
    if (!err && mode == 'T') {
        CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 20);
        config_dump(edge_keys, edge_nkeys, &e.cfg, true, &out);
        fputs(buf_cstr(&out), stdout);
    } else if (!err && mode == 's') {
        err = edge_status_print(&e.cfg, &f);
    } else if (!err) {
        err = snap_read_pub(e.cfg.stream_pub, e.pub, &f);
        if (!err && mode != 't')
            err = edge_main(&e, &f);
    }
    if (err)
        fprintf(stderr, "cradle-edge: %s: %s\n", err_reason(err), f.text[0] ? f.text : err_text(err));
    else if (mode == 't')
        printf("%s is right\n", path);
    return err_exit(err);
}
