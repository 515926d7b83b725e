/* parent_reload.c: SIGHUP: the configuration is read again. A bad one changes nothing; of a good one only what changed is
 * reloaded or restarted, role after role, so that the service answers all the time. Certificates and profiles are files beside
 * the configuration: they are read again too.
 */
#include "role/nginx.h"
#include "role/parent.h"

#include <stddef.h>

#include "base/mem.h"

/* Keys that a running service cannot change keep their old value. */
static void keep_old(struct settings *fresh, const struct settings *old)
{
    fresh->n_front = old->n_front;
    fresh->n_query = old->n_query;
    memcpy(fresh->user, old->user, sizeof fresh->user);
    memcpy(fresh->signer_user, old->signer_user, sizeof fresh->signer_user);
    memcpy(fresh->tls, old->tls, sizeof fresh->tls);
    memcpy(fresh->nginx, old->nginx, sizeof fresh->nginx);
}

void parent_roll(struct parent *p)
{
    struct msg_role_drain drain = { p->settings.drain_time * 1000 };
    while (p->rolling < p->nchildren && p->phase == PARENT_UP) {
        struct child *c = &p->children[p->rolling];
        p->rolling++;
        if (!c->pid || c->role == ROLE_PARENT || c->role == ROLE_SIGNER)
            continue; /* what is down starts with the new settings anyway; the signer follows core */
        c->expected = true;
        if (c->role == ROLE_CORE)
            child_tell(c, &msg_desc_role_drain, &drain, -1); /* it exits when its queue is empty */
        else
            child_end(c);
        return; /* parent_role_up of its successor goes on */
    }
    p->rolling = 0;
}

void parent_reload(struct parent *p)
{
    struct fault f = { 0 };
    struct settings fresh, old = p->settings;
    if (identity_check_config(p->site, p->conf, &f) || settings_load(p->conf, &fresh, &f)) {
        log_error(0, "the configuration is not changed: %s", f.text);
        return;
    }
    unsigned effect = settings_compare(&old, &fresh);
    keep_old(&fresh, &old);
    p->settings = fresh;
    if (settings_own_tls(&fresh) && tls_test(p, &f)) {
        p->settings = old;
        log_error(0, "the configuration is not changed: %s", f.text);
        return;
    }
    if (effect & SETTINGS_RESTART)
        log_warn(0, "n_front, n_query, user, signer_user, tls and nginx change at the next start of cradled only");
    log_setup("parent", settings_log_level(&p->settings));
    tls_reload(p);
    log_info(0, "configuration read again: nginx reloaded, roles restart one after the other");
    p->rolling = 0;
    parent_roll(p);
}
