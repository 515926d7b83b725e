/* update_install.c: from the verified file to a version in trial. See update_client.h. Each step is noted durably before it is begun, so that after a
 * power cut it is known what may have happened: a switch of slots is looked at, a handler's command is run again at most HANDLER_ATTEMPTS times. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/exec.h"
#include "agent/update_client.h"
#include "agent/update_steps.h"
#include "base/log.h"
#include "base/mem.h"

#define HANDLER_ATTEMPTS 3

void boot_id(char *out, size_t cap)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(256);
    if (file_read("/proc/sys/kernel/random/boot_id", &text))
        buf_reset(&text);
    struct span s = span_trim(buf_span(&text));
    snprintf(out, cap, SPAN_FMT, SPAN_ARG(s));
}

static enum err trial_begin(struct updater *u, struct fault *f)
{
    struct update_order *o = &u->order;
    boot_id(o->boot, sizeof o->boot);
    o->starts = 0;
    o->restarted = false;
    u->counted = true;
    u->trial_end_ms = u->next_trial_ms = 0;
    return updater_move(u, ORDER_TRIAL, NULL, NULL, f);
}

static enum err command_run(struct updater *u, const struct handler *h, struct fault *f)
{
    struct update_order *o = &u->order;
    char file[PATH_MAX_LEN];
    struct exec_result r;
    handler_place(h, 0, file);
    bool by_name = strstr(h->command, "{file}") != NULL;
    const struct exec_job job = { .command = h->command, .file = file, .input = by_name ? NULL : file, .release = o->release, .version = o->version,
                                  .sequence = (uint64_t)o->sequence, .attempt = (int)o->attempts, .limit_s = u->cfg->handler_limit_s };
    enum err e = exec_run(&job, &r, f);
    if (!e && *r.out)
        log_info(0, "the handler %s: %s", o->handler, r.out);
    return e;
}

enum err update_install(struct updater *u, const struct handler *h, struct fault *f)
{
    struct update_order *o = &u->order;
    struct fault why = { 0 };
    o->attempts++;
    enum err e = updater_move(u, ORDER_INSTALLING, NULL, NULL, f);
    if (e)
        return e;
    updater_mention(u, "installing", 0);
    e = h->slots ? slot_switch(h, o->to_slot[0], &why) : command_run(u, h, &why);
    return e ? updater_move(u, ORDER_FAILED, h->slots ? "slot-switch" : "handler-failed", why.text, f) : trial_begin(u, f);
}

enum err update_install_again(struct updater *u, struct fault *f)
{
    struct update_order *o = &u->order;
    struct handler h;
    char active = 0;
    enum err e = handler_find(u->cfg, u->dir, o->handler, &h, f);
    if (!e && h.slots)
        e = slot_active(&h, &active, f);
    if (e)
        return e;
    updater_version(u);
    if (h.slots ? active == o->to_slot[0] : strcmp(u->version, o->version) == 0) {
        log_info(0, "%s was installed when the power went", o->version);
        return trial_begin(u, f);
    }
    if (!h.slots && o->attempts >= HANDLER_ATTEMPTS)
        return updater_move(u, ORDER_FAILED, "handler-failed", "the handler was interrupted each time", f);
    log_info(0, "the installation of %s was interrupted; it is begun again", o->version);
    return updater_move(u, ORDER_FETCHING, NULL, NULL, f);
}
