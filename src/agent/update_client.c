/* update_client.c: the loop of the update client: carries on with the order at hand, tells the server, asks it. See update_client.h. */
#include "agent/update_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "agent/enroll.h"
#include "agent/exec.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#define RETRY_MS 10000      /* after a fault of this device */
#define DOUBTS_MAX 3
#define BAD_DATA_MAX 3
#define ANSWER_MAX (4u << 20) /* the largest is the block list: of 128 GiB */

void updater_dir(const struct agent_config *cfg, char *out)
{
    if (*cfg->update_dir)
        path_join(out, "%s", cfg->update_dir);
    else
        path_join(out, "%s/update", cfg->state_dir);
}

enum err updater_open(struct updater *u, const struct agent_config *cfg, const volatile sig_atomic_t *stop, struct fault *f)
{
    char path[PATH_MAX_LEN];
    *u = (struct updater){ .cfg = cfg, .stop = stop, .lock_fd = -1 };
    updater_dir(cfg, u->dir);
    if (file_mkdirs(u->dir, 0700))
        return fault_set(f, err_from_errno(errno), "update_dir %s: %s", u->dir, strerror(errno));
    path_join(path, "%s/client.lock", u->dir);
    u->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (u->lock_fd < 0)
        return fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno));
    if (flock(u->lock_fd, LOCK_EX | LOCK_NB))
        return fault_set(f, CE_EXISTS, "another update client works in %s", u->dir);
    return order_load(u->dir, &u->order, f);
}

void updater_close(struct updater *u)
{
    net_close_p(&u->net);
    fd_close_p(&u->lock_fd);
}

static enum err updater_connect(struct updater *u, struct fault *f)
{
    struct creds c = { .cfg = u->cfg };
    net_close_p(&u->net);
    path_join(c.dir, "%s", u->cfg->state_dir);
    return enroll_open(&c, CREDS_CURRENT, u->cfg->update_url, ANSWER_MAX, &u->net, f);
}

static int64_t updater_backoff_ms(const struct updater *u, unsigned attempt)
{
    uint32_t r = 0;
    if (random_bytes(&r, sizeof r))
        r = (uint32_t)clock_mono_us();
    return cradle_backoff_ms(attempt, (uint32_t)u->cfg->backoff_base_ms, (uint32_t)u->cfg->backoff_cap_ms, r);
}

void updater_version(struct updater *u)
{
    char text[CONFIG_STR_MAX];
    struct exec_result r;
    struct fault f = { 0 };
    struct span line = { 0 }, rest;
    u->version[0] = 0;
    if (*u->cfg->version_file) { /* of which only the beginning counts: it may be the image itself */
        CLEANUP(fd_close_p) int fd = open(u->cfg->version_file, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
        if (n < 0)
            log_warn(0, "version_file %s: %s", u->cfg->version_file, strerror(errno));
        rest = span_of(text, n < 0 ? 0 : (size_t)n);
        span_cut(&rest, '\n', &line);
    } else if (*u->cfg->version_command) {
        const struct exec_job job = { .command = u->cfg->version_command, .limit_s = u->cfg->health_limit_s };
        if (exec_run(&job, &r, &f))
            log_warn(0, "version_command: %s", f.text);
        else
            line = span_str(r.out);
    }
    line = span_trim(line);
    if (line.n >= CRADLE_UP_NAME || !span_is_utf8(line) || span_to_cstr(line, u->version, sizeof u->version))
        u->version[0] = 0;
}

/* -- states and reports ------------------------------------------------------------------------------------------------------------ */
enum err updater_save(struct updater *u, struct fault *f) { return order_save(u->dir, &u->order, f); }

/* Text of strangers as a record takes it. */
static void text_put(char *out, size_t cap, const char *text)
{
    char copy[CONFIG_STR_MAX];
    snprintf(copy, sizeof copy, "%.200s", text);
    for (char *p = copy; *p; p++)
        *p = *p < 0x20 || *p > 0x7e || *p == '#' ? '?' : *p;
    struct span s = span_trim(span_str(copy));
    if (span_to_cstr(s, out, cap))
        out[0] = 0;
}

enum err updater_move(struct updater *u, enum order_state s, const char *reason, const char *text, struct fault *f)
{
    struct update_order was = u->order, *o = &u->order;
    char r[CONFIG_STR_MAX] = "", t[CONFIG_STR_MAX] = "";
    snprintf(r, sizeof r, "%s", reason ? reason : "");
    text_put(t, sizeof t, text ? text : "");
    snprintf(o->state, sizeof o->state, "%s", order_word(s));
    snprintf(o->reason, sizeof o->reason, "%s", r);
    snprintf(o->text, sizeof o->text, "%s", t);
    u->next_tell_ms = 0;
    enum err e = updater_save(u, f);
    if (e) {
        *o = was;
        return e;
    }
    log_info(0, "update %lld to %s: %s%s%s%s%s", (long long)o->sequence, *o->version ? o->version : "-", o->state, *r ? ", " : "", r, *t ? ": " : "", t);
    return CE_OK;
}

enum err updater_post(struct updater *u, const struct update_said *said, struct fault *f)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(4096);
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    struct json_out j = JSON_OUT(&body);
    json_obj(&j, NULL);
    json_int(&j, "sequence", said->sequence);
    json_cstr(&j, "state", said->state);
    if (said->percent)
        json_int(&j, "percent", said->percent);
    if (said->reason && *said->reason)
        json_cstr(&j, "reason", said->reason);
    if (said->text && *said->text)
        json_cstr(&j, "text", said->text);
    if (said->until_s)
        json_time_s(&j, "until", said->until_s);
    if (*u->version)
        json_cstr(&j, "version", u->version);
    json_obj_end(&j);
    enum err e = u->net ? CE_OK : updater_connect(u, f);
    return e ? e : net_json(u->net, "POST", "/update/v1/report", buf_span(&body), &reply, f);
}

void updater_mention(struct updater *u, const char *state, int percent)
{
    const struct update_said said = { .sequence = u->order.sequence, .state = state, .percent = percent };
    struct fault f;
    if (updater_post(u, &said, &f))
        log_debug(0, "'%s' was not told: %s", state, f.text);
}

/* Tells the server what it has not acknowledged yet. Never in the way of what is to be done. */
static void tell(struct updater *u)
{
    const char *word = order_report(order_state(&u->order));
    struct fault f = { 0 };
    if (!*word || strcmp(word, u->order.told) == 0 || clock_mono_ms() < u->next_tell_ms)
        return;
    updater_version(u);
    const struct update_said said = { .sequence = u->order.sequence, .state = word, .reason = u->order.reason, .text = u->order.text };
    enum err e = updater_post(u, &said, &f);
    if (!e) {
        u->tell_attempts = 0;
        snprintf(u->order.told, sizeof u->order.told, "%s", word);
        e = updater_save(u, &f);
    }
    if (!e)
        return;
    net_close_p(&u->net);
    u->next_tell_ms = clock_mono_ms() + updater_backoff_ms(u, u->tell_attempts++);
    log_warn(0, "'%s' was not told: %s", word, f.text);
}

/* -- the order -------------------------------------------------------------------------------------------------------------------- */
/* What the library refuses may be a race with new metadata: it is looked at again before the order is given up. */
static enum err look_refused(struct updater *u, const struct update_poll *p, int refusal, const struct fault *why, struct fault *f)
{
    log_warn(0, "the update with sequence %llu is refused: %s", (unsigned long long)p->sequence, why->text);
    if (++u->doubts < DOUBTS_MAX) {
        u->next_poll_ms = clock_mono_ms() + updater_backoff_ms(u, u->doubts);
        return CE_OK;
    }
    u->doubts = 0;
    u->order = (struct update_order){ .sequence = (int64_t)p->sequence };
    order_bear_in_mind(&u->order, buf_span(&p->directive));
    return updater_move(u, ORDER_REFUSED, cradle_update_reason(refusal), why->text, f);
}

static enum err order_take(struct updater *u, const struct update_poll *p, const struct cradle_update_target *t, struct fault *f)
{
    struct update_order next = order_make(t);
    struct handler h;
    struct fault why = { 0 };
    char active = 0;
    bool again = order_state(&u->order) == ORDER_FETCHING && u->order.sequence == next.sequence;
    next.forced = p->forced;
    next.encrypted = p->encrypted;
    next.offered_s = again ? u->order.offered_s : clock_now_s();
    next.until_s = again ? u->order.until_s : 0;
    next.attempts = again ? u->order.attempts : 0;
    snprintf(next.old_version, sizeof next.old_version, "%s", u->version);
    enum err e = handler_find(u->cfg, u->dir, next.handler, &h, &why);
    if (!e && h.slots)
        e = slot_active(&h, &active, &why);
    next.from_slot[0] = active;
    next.to_slot[0] = active ? (char)(active == 'a' ? 'b' : 'a') : 0;
    u->order = next;
    if (e)
        return updater_move(u, ORDER_REFUSED, e == CE_ROLE_FORBIDDEN ? "handler-not-allowed" : err_reason(e), why.text, f);
    return again ? updater_save(u, f) : updater_move(u, ORDER_FETCHING, NULL, NULL, f);
}

static enum err fetch_failed(struct updater *u, enum err e, const struct fault *why, struct fault *f)
{
    bool bad = e == CE_BAD_PROOF || e == CE_TOO_LARGE;
    u->bad_data = bad ? u->bad_data + 1 : u->bad_data;
    if (e == CE_DRAINING)
        return CE_OK;
    if (e == CE_DISK_FULL || e == CE_STORE)
        return updater_move(u, ORDER_FAILED, e == CE_DISK_FULL ? "no-space" : "write-failed", why->text, f);
    if (bad && u->bad_data >= BAD_DATA_MAX) {
        u->bad_data = 0;
        return updater_move(u, ORDER_FAILED, e == CE_TOO_LARGE ? "wrong-length" : "wrong-digest", why->text, f);
    }
    int64_t wait_ms = u->retry_s * 1000 + updater_backoff_ms(u, u->poll_attempts++);
    u->next_poll_ms = clock_mono_ms() + wait_ms;
    log_warn(0, "the update was not fetched (%s): %s; it goes on in %lld ms", err_reason(e), why->text, (long long)wait_ms);
    return CE_OK;
}

static enum err order_carry(struct updater *u, struct fault *f)
{
    struct handler h;
    struct fault why = { 0 };
    char path[PATH_MAX_LEN];
    enum choice c = update_choice(u);
    if (c == CHOICE_DECLINE)
        return updater_move(u, ORDER_DECLINED, "declined", "the user declined it", f);
    if (c == CHOICE_WAIT)
        return CE_OK;
    enum err e = handler_find(u->cfg, u->dir, u->order.handler, &h, f);
    if (e)
        return e;
    handler_place(&h, u->order.to_slot[0], path);
    if ((e = update_fetch(u, path, &why)))
        return fetch_failed(u, e, &why, f);
    u->bad_data = u->poll_attempts = 0;
    updater_mention(u, "downloaded", 100);
    c = update_choice(u); /* the user may have said something while it was fetched */
    return c == CHOICE_GO ? update_install(u, &h, f) : CE_OK;
}

/* -- polls ------------------------------------------------------------------------------------------------------------------------ */
static enum err poll_ask(struct updater *u, struct update_poll *p, int64_t *retry_s, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    struct tm here;
    time_t now = time(NULL);
    localtime_r(&now, &here);
    updater_version(u);
    buf_printf(&path, "/update/v1/poll?sequence=%lld&version=", (long long)u->order.sequence);
    net_escape(&path, span_str(u->version));
    buf_printf(&path, "&utc_offset_s=%ld", here.tm_gmtoff);
    enum err e = updater_connect(u, f);
    e = e ? e : net_get(u->net, buf_cstr(&path), &reply, f);
    *retry_s = reply.retry_s;
    return e ? e : update_poll_read(buf_span(&reply.body), p, f);
}

static bool already_there(const struct updater *u, const struct update_order *o)
{
    struct update_installed i;
    struct fault f;
    return strcmp(u->version, o->version) == 0 && installed_load(u->dir, &i, &f) == CE_OK && *i.sha256 && strcmp(i.sha256, o->sha256) == 0;
}

/* The server holds the directive back, perhaps because the user put it off: the user may think otherwise meanwhile. */
static enum err order_held_back(struct updater *u, struct fault *f)
{
    enum choice c = update_choice(u);
    if (c == CHOICE_DECLINE)
        return updater_move(u, ORDER_DECLINED, "declined", "the user declined it", f);
    if (c == CHOICE_WAIT || !u->order.until_s)
        return CE_OK;
    updater_mention(u, "downloading", 0);
    u->order.until_s = 0;
    u->next_poll_ms = clock_mono_ms() + 1000;
    return updater_save(u, f);
}

static enum err poll_act(struct updater *u, const struct update_poll *p, struct fault *f)
{
    struct cradle_update_target t;
    struct fault why = { 0 };
    int refusal;
    bool known = (uint64_t)u->order.sequence == p->sequence && order_state(&u->order) != ORDER_NONE;
    if (order_state(&u->order) == ORDER_FETCHING && (p->action == CRADLE_UP_NOTHING || !known)) {
        log_info(0, "the update to %s was taken back", u->order.version);
        u->order = (struct update_order){ .sequence = u->order.sequence };
        enum err e = updater_move(u, ORDER_NONE, NULL, NULL, f);
        if (e)
            return e;
        known = false;
    }
    if (!p->ready)
        return order_state(&u->order) == ORDER_FETCHING ? order_held_back(u, f) : CE_OK;
    if (known && order_ended(&u->order) && order_borne_in_mind(&u->order, buf_span(&p->directive))) { /* the server did not hear how it ended */
        u->order.told[0] = 0;
        return CE_OK;
    }
    enum err e = update_look(u, buf_span(&p->directive), &t, &refusal, &why);
    if (refusal)
        return look_refused(u, p, refusal, &why, f);
    if (e)
        return fault_set(f, e, "%s", why.text);
    u->doubts = 0;
    if (t.action == CRADLE_UP_NOTHING)
        return CE_OK;
    if (t.action == CRADLE_UP_RESET) {
        u->order = order_make(&t);
        u->reset = true;
        return updater_move(u, ORDER_RESET, NULL, NULL, f);
    }
    if ((e = order_take(u, p, &t, f)) || order_ended(&u->order))
        return e;
    return already_there(u, &u->order) ? updater_move(u, ORDER_CONFIRMED, NULL, "this file runs already", f) : order_carry(u, f);
}

static enum err poll_step(struct updater *u, struct fault *f)
{
    struct update_poll p = { .directive = BUF_INIT(0) };
    int64_t retry_s = 0;
    u->next_poll_ms = 0;
    enum err e = poll_ask(u, &p, &retry_s, f);
    int64_t sleep_s = p.sleep_s ? p.sleep_s : u->cfg->update_poll_s;
    if (!e)
        e = poll_act(u, &p, f);
    if (!e && p.action != CRADLE_UP_NOTHING && !p.ready && p.wait_s && p.wait_s < sleep_s)
        sleep_s = p.wait_s;
    update_poll_free(&p);
    net_close_p(&u->net);
    if (e) {
        u->next_poll_ms = clock_mono_ms() + (retry_s ? retry_s * 1000 : updater_backoff_ms(u, u->poll_attempts++));
        return e;
    }
    if (!u->next_poll_ms) { /* a fleet that was born together does not ask together */
        u->poll_attempts = 0;
        uint32_t r = 0;
        (void)!random_bytes(&r, sizeof r);
        int64_t ms = (sleep_s ? sleep_s : 1) * 1000;
        u->next_poll_ms = clock_mono_ms() + ms - ms / 10 + (int64_t)(r % (uint64_t)(ms / 5 + 1));
    }
    return CE_OK;
}

/* -- one step --------------------------------------------------------------------------------------------------------------------- */
static enum err carry_on(struct updater *u, enum order_state s, int64_t *wait_ms, struct fault *f)
{
    switch (s) {
    case ORDER_INSTALLING: return update_install_again(u, f);
    case ORDER_ROLLING_BACK: return update_rollback(u, f);
    case ORDER_CONFIRMED: return update_confirmed(u, f);
    case ORDER_ROLLED_BACK: return update_restart_due(u, f);
    case ORDER_TRIAL:
        if (clock_mono_ms() < u->next_trial_ms) {
            *wait_ms = u->next_trial_ms - clock_mono_ms();
            return CE_OK;
        }
        enum err e = update_trial(u, wait_ms, f);
        u->next_trial_ms = clock_mono_ms() + *wait_ms;
        return e;
    default: return CE_OK;
    }
}

int64_t updater_step(struct updater *u)
{
    struct fault f = { 0 };
    int64_t wait_ms = -1;
    enum order_state s = order_state(&u->order);
    enum err e = carry_on(u, s, &wait_ms, &f);
    if (!e && order_state(&u->order) == s)
        tell(u);
    else if (!e)
        return 0;
    bool busy = s == ORDER_INSTALLING || s == ORDER_ROLLING_BACK || s == ORDER_TRIAL;
    int64_t now_ms = clock_mono_ms();
    if (!e && !busy && now_ms >= u->next_poll_ms) {
        s = order_state(&u->order);
        e = poll_step(u, &f);
        if (!e && order_state(&u->order) != s)
            return 0;
    }
    u->last = e;
    if (e)
        log_warn(0, "update: %s (%s)", f.text, err_reason(e));
    if (busy)
        return e ? RETRY_MS : wait_ms < 0 ? 0 : wait_ms;
    now_ms = clock_mono_ms();
    wait_ms = u->next_poll_ms > now_ms ? u->next_poll_ms - now_ms : 0;
    bool untold = *order_report(order_state(&u->order)) && strcmp(order_report(order_state(&u->order)), u->order.told) != 0;
    if (untold && u->next_tell_ms - now_ms < wait_ms)
        wait_ms = u->next_tell_ms > now_ms ? u->next_tell_ms - now_ms : 0;
    return wait_ms;
}
