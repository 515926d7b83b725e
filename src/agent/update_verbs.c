/* update_verbs.c: cradle-agent update VERB. See update_child.h. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/reset.h"
#include "agent/update_child.h"
#include "agent/update_client.h"
#include "agent/update_store.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#define SLICE_MS 200

static volatile sig_atomic_t asked_to_stop;

static void on_stop(int sig)
{
    (void)sig;
    asked_to_stop = 1;
}

static int failed(enum err e, const struct fault *f)
{
    fprintf(stderr, "cradle-agent: %s (%s)\n", f->text, err_reason(e));
    return err_exit(e);
}

/* A user's word ends a wait for the next poll. */
static bool choice_changed(const struct updater *u, struct timespec *seen)
{
    char path[PATH_MAX_LEN];
    struct stat st;
    path_join(path, "%s/choice", u->dir);
    if (stat(path, &st) || (st.st_mtim.tv_sec == seen->tv_sec && st.st_mtim.tv_nsec == seen->tv_nsec))
        return false;
    *seen = st.st_mtim;
    return true;
}

static void wait_for_work(struct updater *u, int64_t wait_ms, struct timespec *seen)
{
    int64_t end_ms = clock_mono_ms() + wait_ms;
    while (!asked_to_stop && clock_mono_ms() < end_ms) {
        int64_t left_ms = end_ms - clock_mono_ms();
        usleep((useconds_t)(left_ms < SLICE_MS ? left_ms : SLICE_MS) * 1000);
        if (choice_changed(u, seen)) {
            u->next_poll_ms = 0;
            return;
        }
    }
}

/* once: is there nothing left but to wait for the server, a user or a restart? What was wrong is looked at again until it is given up. */
static bool at_rest(const struct updater *u, int64_t wait_ms)
{
    bool looked_at = order_state(&u->order) == ORDER_TRIAL && strcmp(u->version, u->order.version) == 0; /* being judged */
    return wait_ms > 0 && !looked_at && !u->doubts && !u->bad_data;
}

static enum err client_run(const struct agent_config *cfg, bool once, struct fault *f)
{
    struct updater u;
    struct sigaction stop = { .sa_handler = on_stop }, ignore = { .sa_handler = SIG_IGN };
    struct timespec seen = { 0 };
    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    enum err e = updater_open(&u, cfg, &asked_to_stop, f);
    choice_changed(&u, &seen);
    while (!e && !asked_to_stop && !u.reset) {
        int64_t wait_ms = updater_step(&u);
        if (once && at_rest(&u, wait_ms)) {
            e = u.last ? fault_set(f, u.last, "the update client came no further; its log says why") : CE_OK;
            break;
        }
        wait_for_work(&u, wait_ms, &seen);
    }
    if (!e && u.reset)
        e = reset_order(cfg, u.order.sequence, f);
    updater_close(&u);
    return e;
}

static int client_verb(const struct agent_config *cfg, bool once)
{
    struct fault f = { 0 };
    if (!cfg->update_poll_s)
        return failed(fault_set(&f, CE_BAD_CONFIG, "this agent does no updates: update_poll_s is 0"), &f);
    enum err e = client_run(cfg, once, &f);
    return e ? failed(e, &f) : 0;
}

static int status(const struct agent_config *cfg)
{
    char dir[PATH_MAX_LEN];
    struct update_order o;
    struct update_installed i;
    struct fault f = { 0 };
    CLEANUP(buf_free) struct buf out = BUF_INIT(8192);
    struct json_out j = JSON_OUT(&out);
    updater_dir(cfg, dir);
    enum err e = order_load(dir, &o, &f);
    e = e ? e : installed_load(dir, &i, &f);
    if (e)
        return failed(e, &f);
    json_obj(&j, NULL);
    json_cstr(&j, "state", o.state);
    if (o.sequence)
        json_int(&j, "sequence", o.sequence);
    if (*o.version) {
        json_cstr(&j, "release", o.release);
        json_cstr(&j, "version", o.version);
        json_int(&j, "length", o.length);
        json_bool(&j, "forced", o.forced);
    }
    if (o.until_s)
        json_time_s(&j, "postponed_until", o.until_s);
    if (*o.reason)
        json_cstr(&j, "reason", o.reason);
    if (*o.text)
        json_cstr(&j, "text", o.text);
    if (*i.version) {
        json_obj(&j, "confirmed");
        json_cstr(&j, "release", i.release);
        json_cstr(&j, "version", i.version);
        json_cstr(&j, "sha256", i.sha256);
        json_obj_end(&j);
    }
    json_obj_end(&j);
    puts(buf_cstr(&out));
    return 0;
}

static int choose(const struct agent_config *cfg, const char *word, const char *span)
{
    char dir[PATH_MAX_LEN];
    struct update_order o;
    struct fault f = { 0 };
    int64_t for_s = 0;
    updater_dir(cfg, dir);
    enum err e = order_load(dir, &o, &f);
    if (!e && order_state(&o) != ORDER_FETCHING)
        e = fault_set(&f, CE_NOT_FOUND, "there is no update to decide upon (state: %s)", o.state);
    if (!e && strcmp(word, "postpone") == 0 && (!span || clock_parse_span_s(span_str(span), &for_s) || !for_s))
        e = fault_set(&f, CE_USAGE, "postpone needs a time span, such as 2h or 3d");
    if (!e && strcmp(word, "decline") == 0 && o.forced)
        e = fault_set(&f, CE_ROLE_FORBIDDEN, "this update is forced: it may be postponed by up to a day, not declined");
    e = e ? e : choice_write(dir, (uint64_t)o.sequence, word, for_s ? clock_now_s() + for_s : 0, &f);
    if (e)
        return failed(e, &f);
    printf("%s: %s%s%s\n", o.version, word, for_s ? " " : "", for_s ? span : "");
    return 0;
}

int update_verb(const struct agent_config *cfg, char **args)
{
    const char *verb = args[0] ? args[0] : "status";
    if (strcmp(verb, "run") == 0 || strcmp(verb, "once") == 0)
        return client_verb(cfg, verb[0] == 'o');
    if (strcmp(verb, "status") == 0)
        return status(cfg);
    if (strcmp(verb, "postpone") == 0 || strcmp(verb, "decline") == 0)
        return choose(cfg, verb, args[1]);
    if (strcmp(verb, "accept") == 0 || strcmp(verb, "install-now") == 0)
        return choose(cfg, "accept", NULL);
    fprintf(stderr, "usage: cradle-agent [-c FILE] update [status | once | postpone SPAN | decline | accept | install-now | run]\n");
    return 2;
}
