/* parent.c: the life of the service: start, deaths, readiness, end. See parent.h. */
#include "role/parent.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "role/jail.h"
#include "role/landlock.h"
#include "role/nginx.h"

#define EXIT_GAVE_UP 70 /* a role kept dying */

static const char *const hints[] = {
    [SIGSYS] = ": its jail forbids a system call that it made",
    [SIGABRT] = ": a broken invariant, see the line above",
    [SIGSEGV] = ": a defect of cradled",
};

static void describe(int status, char *out, size_t cap)
{
    if (WIFEXITED(status))
        snprintf(out, cap, "exit code %d%s", WEXITSTATUS(status), WEXITSTATUS(status) == 71 ? ": bad internal framing" : "");
    else
        snprintf(out, cap, "signal %d%s", WTERMSIG(status),
                 (size_t)WTERMSIG(status) < ARRAY_LEN(hints) && hints[WTERMSIG(status)] ? hints[WTERMSIG(status)] : "");
}

static struct child *find_core(struct parent *p)
{
    for (size_t i = 0; i < p->nchildren; i++)
        if (p->children[i].role == ROLE_CORE)
            return &p->children[i];
    return NULL;
}

/* A keys/NAME.uri is there: some keys of the site are in tokens. */
bool parent_wants_hsm(const struct parent *p)
{
    char pattern[PATH_MAX_LEN];
    glob_t g = { 0 };
    path_join(pattern, "%s/keys/*.uri", p->site);
    bool any = glob(pattern, GLOB_NOSORT, NULL, &g) == 0 && g.gl_pathc;
    globfree(&g);
    return any;
}

static size_t count_live(const struct parent *p, unsigned roles)
{
    size_t n = 0;
    for (size_t i = 0; i < p->nchildren; i++)
        n += p->children[i].pid > 0 && (roles >> p->children[i].role & 1);
    return n;
}

/* -- the end ---------------------------------------------------------------------------------------------------------------- */

static void stop_step(struct parent *p)
{
    struct msg_role_drain drain = { p->settings.drain_time * 1000 };
    if (p->phase == PARENT_STOP_TLS && !count_live(p, 1u << ROLE_PARENT) && (settings_own_tls(&p->settings) || p->grace_over)) {
        p->phase = PARENT_STOP_FRONT; /* our nginx ends when it has sent every answer; of another ingress nothing is known */
        for (size_t i = 0; i < p->nchildren; i++)
            if (p->children[i].role == ROLE_FRONT)
                child_end(&p->children[i]);
    }
    if (p->phase == PARENT_STOP_FRONT && !count_live(p, 1u << ROLE_FRONT)) {
        p->phase = PARENT_STOP_CORE;
        child_tell(find_core(p), &msg_desc_role_drain, &drain, -1);
    }
    if (p->phase == PARENT_STOP_CORE && !count_live(p, 1u << ROLE_CORE)) {
        p->phase = PARENT_STOP_REST;
        for (size_t i = 0; i < p->nchildren; i++) {
            child_end(&p->children[i]);
            if (role_signs(p->children[i].role))
                child_kill(&p->children[i], SIGTERM);
        }
    }
    if (p->phase != PARENT_UP && !count_live(p, ~0u))
        event_base_loopbreak(p->base);
}

static void kill_all(struct parent *p)
{
    for (size_t i = 0; i < p->nchildren; i++) {
        struct child *c = &p->children[i];
        if (c->pid)
            log_warn(0, "%s did not end in time; it is killed", c->name);
        if (c->pid)
            kill(-c->pid, SIGKILL);
        child_kill(c, SIGKILL);
    }
}

static void on_stop_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    kill_all(arg);
}

static void on_grace(evutil_socket_t fd, short what, void *arg)
{
    struct parent *p = arg;
    (void)fd, (void)what;
    p->grace_over = true;
    if (p->phase != PARENT_UP)
        stop_step(p);
}

/* Begins, or hastens, the end. */
static void parent_stop(struct parent *p, int exit_code)
{
    struct msg_role_drain drain = { p->settings.drain_time * 1000 };
    struct timeval tv = { p->settings.drain_time, 0 }, grace = { p->settings.drain_time > 2 ? 1 : 0, 500000 };
    if (p->phase != PARENT_UP) {
        kill_all(p); /* asked twice: at once */
        return;
    }
    log_info(0, "stopping: open requests are finished first, for at most %d s", (int)p->settings.drain_time);
    os_notify("STOPPING=1");
    p->phase = PARENT_STOP_TLS;
    p->exit_code = exit_code;
    evtimer_add(p->stop_timer, &tv);
    evtimer_add(p->grace_timer, &grace);
    for (size_t i = 0; i < p->nchildren; i++) {
        struct child *c = &p->children[i];
        event_del(c->timer);
        if (c->role == ROLE_PARENT)
            child_kill(c, SIGQUIT);
        if (c->role == ROLE_FRONT)
            child_tell(c, &msg_desc_role_drain, &drain, -1);
    }
    stop_step(p);
}

/* -- deaths and births -------------------------------------------------------------------------------------------------------- */

/* Makes c's death evidence, now or when core is back. Of its own end core reads in its set-up. */
static void tell_lost(struct child *core, struct child *c)
{
    if (core->state != CHILD_READY || c->told)
        return;
    const struct msg_role_lost m = { span_str(c->role == ROLE_PARENT ? "tls" : role_name(c->role)), c->index, span_str(c->why) };
    c->told = true;
    if (c != core)
        child_tell(core, &msg_desc_role_lost, &m, -1);
}

static void judge_death(struct parent *p, struct child *c, int status)
{
    int64_t now = clock_mono_ms();
    if (c->hung)
        snprintf(c->why, sizeof c->why, "it stood still for %d s and was killed", (int)p->settings.hang_limit);
    else
        describe(status, c->why, sizeof c->why);
    if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_ROLE_FATAL) {
        log_error(0, "%s cannot work; the reason is above. The service stops", c->name);
        parent_stop(p, EXIT_ROLE_FATAL);
        return;
    }
    c->deaths_ms[c->ndeaths++ % PARENT_DEATHS] = now;
    unsigned deaths = child_deaths(c, now);
    if (deaths >= p->settings.restart_limit && c->role != ROLE_HSM) { /* without its tokens, the rest of the service goes on */
        log_error(0, "%s died %u times within %d s (last: %s); the service stops. Look for the reason above, then start it again",
                  c->name, deaths, (int)p->settings.restart_window, c->why);
        parent_stop(p, EXIT_GAVE_UP);
        return;
    }
    if (now - c->started_ms > p->settings.restart_window * 1000)
        c->backoff_ms = PARENT_BACKOFF_MS;
    log_error(0, "%s died (%s); it is restarted in %d ms", c->name, c->why, (int)c->backoff_ms);
    c->told = false;
    tell_lost(find_core(p), c);
    child_start_later(c);
}

/* c was reaped. */
static void parent_role_down(struct parent *p, struct child *c, int status)
{
    c->state = CHILD_DOWN;
    child_end(c);
    if (p->phase != PARENT_UP)
        return;
    if (c->role == ROLE_CORE)
        for (size_t i = 0; i < p->nchildren; i++)
            if (role_signs(p->children[i].role) && p->children[i].pid) {
                p->children[i].expected = true; /* its one descriptor is dead */
                child_kill(&p->children[i], SIGKILL);
            }
    bool followed_core = role_signs(c->role) && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (c->expected || followed_core) {
        snprintf(c->why, sizeof c->why, "restarted on request");
        child_start(c);
    } else
        judge_death(p, c, status);
}

static void announce(struct parent *p)
{
    char https[SETTINGS_URL_MAX], http[SETTINGS_URL_MAX];
    for (size_t i = 0; i < p->nchildren; i++)
        if (p->children[i].state != CHILD_READY)
            return;
    settings_https_url(&p->settings, https);
    settings_http_url(&p->settings, http);
    p->announced = true;
    log_info(0, "cradled: ready: %s, %s, site %s", https, http, p->site);
    os_notify("READY=1");
}

void parent_role_up(struct parent *p, struct child *c)
{
    c->state = CHILD_READY;
    c->heard_ms = clock_mono_ms();
    log_debug(0, "%s is ready after %d ms", c->name, (int)(clock_mono_ms() - c->started_ms));
    if (p->phase != PARENT_UP)
        return;
    for (size_t i = 0; c->role == ROLE_CORE && i < p->nchildren; i++)
        tell_lost(c, &p->children[i]);
    for (size_t i = 0; i < p->nchildren; i++)
        if (p->children[i].state == CHILD_DOWN)
            child_start(&p->children[i]);
    if (!p->announced)
        announce(p);
    if (p->rolling)
        parent_roll(p);
}

/* -- signals -------------------------------------------------------------------------------------------------------------------- */

static void on_sigchld(evutil_socket_t fd, short what, void *arg)
{
    struct parent *p = arg;
    struct {
        struct child *c;
        int status;
    } dead[PARENT_CHILDREN];
    size_t n = 0;
    int status;
    (void)fd, (void)what;
    for (pid_t pid; n < PARENT_CHILDREN && (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        for (size_t i = 0; i < p->nchildren; i++)
            if (p->children[i].pid == pid) {
                if (p->children[i].role == ROLE_PARENT)
                    kill(-pid, SIGKILL); /* workers of a killed nginx would keep the ports */
                p->children[i].pid = 0;
                dead[n].c = &p->children[i];
                dead[n++].status = status;
            }
    for (size_t i = 0; i < n; i++)
        parent_role_down(p, dead[i].c, dead[i].status);
    if (p->phase != PARENT_UP)
        stop_step(p);
}

static void on_stop_signal(evutil_socket_t sig, short what, void *arg)
{
    (void)what;
    log_info(0, "signal %d", (int)sig);
    parent_stop(arg, 0);
}

static void on_sighup(evutil_socket_t fd, short what, void *arg)
{
    struct parent *p = arg;
    (void)fd, (void)what;
    if (p->phase == PARENT_UP)
        parent_reload(p);
}

static void on_probe(evutil_socket_t fd, short what, void *arg)
{
    (void)fd, (void)what;
    tls_probe(arg);
}

static void watch_signals(struct parent *p)
{
    const struct {
        int sig;
        event_callback_fn fn;
    } list[] = { { SIGCHLD, on_sigchld }, { SIGTERM, on_stop_signal }, { SIGINT, on_stop_signal }, { SIGHUP, on_sighup } };
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < ARRAY_LEN(list); i++) {
        p->signals[i] = evsignal_new(p->base, list[i].sig, list[i].fn, p);
        INVARIANT(p->signals[i] && event_add(p->signals[i], NULL) == 0);
    }
    p->stop_timer = evtimer_new(p->base, on_stop_deadline, p);
    p->grace_timer = evtimer_new(p->base, on_grace, p);
    p->probe_timer = evtimer_new(p->base, on_probe, p);
    INVARIANT(p->stop_timer && p->grace_timer && p->probe_timer);
}

/* -- start -------------------------------------------------------------------------------------------------------------------------- */

static void add_children(struct parent *p)
{
    const struct settings *s = &p->settings;
    const struct {
        enum role role;
        int64_t n;
    } plan[] = { { ROLE_CORE, 1 }, { ROLE_SIGNER, 1 }, { ROLE_HSM, parent_wants_hsm(p) }, { ROLE_QUERY, s->n_query }, { ROLE_DEPOT, 1 },
                 { ROLE_FRONT, s->n_front }, { ROLE_PARENT, settings_own_tls(s) } };
    for (size_t i = 0; i < ARRAY_LEN(plan); i++)
        for (unsigned k = 0; k < plan[i].n; k++) {
            INVARIANT(p->nchildren < PARENT_CHILDREN);
            child_init(p, &p->children[p->nchildren++], plan[i].role, k);
        }
}

static enum err parent_open(struct parent *p, struct fault *f)
{
    enum err e = nginx_check_site(p->site, f);
    if (!e)
        e = identity_check_config(p->site, p->conf, f);
    if (!e)
        e = identity_find(p->settings.user, &p->user, f);
    p->signer = p->user;
    if (!e && p->user.change && *p->settings.signer_user)
        e = identity_find(p->settings.signer_user, &p->signer, f);
    if (!e)
        e = os_lock_site(p->site, &p->lock_fd, f);
    if (!e)
        e = identity_check_site(&p->user, p->site, f);
    if (!e && settings_own_tls(&p->settings))
        e = tls_check_ports(&p->settings, f);
    if (!e && settings_own_tls(&p->settings))
        e = tls_prepare(p, f);
    return e ? e : os_write_pid(p, f);
}

int parent_main(const char *site, const char *conf, const struct settings *s)
{
    struct fault f = { 0 };
    struct parent *p = mem_calloc(1, sizeof *p);
    *p = (struct parent){ .site = site, .conf = conf, .settings = *s, .lock_fd = -1 };
    log_setup("parent", settings_log_level(s));
    os_raise_files();
    if (parent_open(p, &f)) {
        log_error(0, "%s", f.text);
        free(p);
        return err_exit(f.code);
    }
    if (!landlock_abi())
        log_info(0, "this kernel has no Landlock: roles are confined by seccomp and file permissions alone");
    p->base = event_base_new();
    INVARIANT(p->base != NULL);
    add_children(p);
    watch_signals(p);
    watch_start(p);
    for (size_t i = 0; i < p->nchildren; i++)
        child_start(&p->children[i]);
    event_base_dispatch(p->base);
    os_remove_pid(p);
    log_info(0, "stopped");
    int code = p->exit_code;
    _exit(code); /* everything that is still held is the kernel's to free */
}
