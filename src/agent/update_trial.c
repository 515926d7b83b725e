/* update_trial.c: an installed version is only good when it runs and is well; else the old one comes back by itself. See update_client.h. */
#include <stdio.h>
#include <unistd.h>

#include "agent/exec.h"
#include "agent/update_client.h"
#include "agent/update_steps.h"
#include "agent/update_store.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define LOOK_EVERY_MS 1000

static bool same_boot(const struct updater *u)
{
    char now[CONFIG_STR_MAX];
    boot_id(now, sizeof now);
    return strcmp(now, u->order.boot) == 0;
}

/* Once for each installation and each way back; noted before it is run, because it may end this process. */
static enum err restart(struct updater *u, struct fault *f)
{
    struct fault why;
    struct exec_result r;
    u->order.restarted = true;
    enum err e = updater_save(u, f);
    if (e || !*u->cfg->restart_command)
        return e;
    const struct exec_job job = { .command = u->cfg->restart_command, .release = u->order.release, .version = u->order.version, .limit_s = u->cfg->health_limit_s };
    if (exec_run(&job, &r, &why))
        log_warn(0, "restart_command: %s", why.text);
    return CE_OK;
}

/* -- the way back ------------------------------------------------------------------------------------------------------------------- */
static enum err way_back(struct updater *u, struct fault *f)
{
    struct handler h;
    struct exec_result r;
    enum err e = handler_find(u->cfg, u->dir, u->order.handler, &h, f);
    if (e)
        return e;
    if (h.slots)
        return slot_switch(&h, u->order.from_slot[0], f);
    const struct exec_job job = { .command = u->cfg->rollback_command, .release = u->order.release, .version = u->order.version, .limit_s = u->cfg->handler_limit_s };
    return *job.command ? exec_run(&job, &r, f) : CE_OK;
}

enum err update_rollback(struct updater *u, struct fault *f)
{
    enum err e = way_back(u, f);
    if (e)
        return e;
    u->order.restarted = false;
    boot_id(u->order.boot, sizeof u->order.boot);
    return updater_move(u, ORDER_ROLLED_BACK, u->order.reason, u->order.text, f);
}

static enum err give_up(struct updater *u, const char *reason, const char *text, struct fault *f)
{
    log_warn(0, "version %s is given up (%s): %s", u->order.version, reason, text);
    return updater_move(u, ORDER_ROLLING_BACK, reason, text, f);
}

/* -- forward ---------------------------------------------------------------------------------------------------------------------- */
/* Everything here may be done twice: a power cut after the confirmation repeats it at the next start. */
enum err update_confirmed(struct updater *u, struct fault *f)
{
    struct update_store s;
    struct update_installed i;
    struct exec_result r;
    struct fault why;
    char artifact[PATH_MAX_LEN];
    enum err e = installed_load(u->dir, &i, f);
    if (e || i.sequence == u->order.sequence)
        return e;
    if ((e = update_store_open(&s, u->dir, u->cfg->update_root, f)))
        return e;
    e = update_store_confirm(&s, (uint32_t)u->order.counter, f);
    update_store_close(&s);
    const struct exec_job job = { .command = u->cfg->confirm_command, .release = u->order.release, .version = u->order.version, .limit_s = u->cfg->health_limit_s };
    if (!e && *job.command && exec_run(&job, &r, &why))
        log_warn(0, "confirm_command: %s", why.text);
    path_join(artifact, "%s/artifact", u->dir);
    unlink(artifact);
    return e ? e : installed_save(u->dir, &u->order, f);
}

static enum err health(struct updater *u, struct fault *why)
{
    struct exec_result r;
    const struct exec_job job = { .command = u->cfg->health_command, .release = u->order.release, .version = u->order.version, .slot = u->order.to_slot,
                                  .limit_s = u->cfg->health_limit_s };
    return *job.command ? exec_run(&job, &r, why) : CE_OK;
}

static enum err other_version(struct updater *u, bool late, struct fault *f)
{
    struct handler h;
    char active, text[160];
    snprintf(text, sizeof text, "version '%.60s' runs instead", u->version);
    if (handler_find(u->cfg, u->dir, u->order.handler, &h, f) == CE_OK && h.slots && slot_active(&h, &active, f) == CE_OK && active != u->order.to_slot[0])
        return updater_move(u, ORDER_ROLLED_BACK, "boot-fallback", text, f);
    if (!same_boot(u))
        return give_up(u, "wrong-version", text, f);
    return late && *u->cfg->restart_command ? give_up(u, "not-started", text, f) : CE_OK;
}

static enum err start_count(struct updater *u, struct fault *f)
{
    u->counted = true;
    u->order.starts++;
    if (u->order.starts > u->cfg->trial_starts)
        return give_up(u, "not-confirmed", "it was started too often without being well", f);
    return updater_save(u, f);
}

enum err update_trial(struct updater *u, int64_t *wait_ms, struct fault *f)
{
    struct fault why = { 0 };
    int64_t now_ms = clock_mono_ms();
    *wait_ms = 0;
    if (!u->counted)
        return start_count(u, f);
    if (!u->trial_end_ms)
        u->trial_end_ms = now_ms + u->cfg->trial_limit_s * 1000;
    if (!u->order.restarted && same_boot(u))
        return restart(u, f);
    *wait_ms = LOOK_EVERY_MS;
    bool late = now_ms >= u->trial_end_ms;
    updater_version(u);
    enum err e = strcmp(u->version, u->order.version) != 0 ? other_version(u, late, f) : CE_OK;
    if (e || order_state(&u->order) != ORDER_TRIAL || strcmp(u->version, u->order.version) != 0)
        return e;
    if (health(u, &why) == CE_OK) {
        log_info(0, "version %s runs and is well", u->order.version);
        return updater_move(u, ORDER_CONFIRMED, NULL, NULL, f);
    }
    log_warn(0, "version %s is not well yet: %s", u->order.version, why.text);
    return late ? give_up(u, "unhealthy", why.text, f) : CE_OK;
}

enum err update_restart_due(struct updater *u, struct fault *f)
{
    return !u->order.restarted && same_boot(u) ? restart(u, f) : CE_OK;
}
