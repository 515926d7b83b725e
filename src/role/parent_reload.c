/* parent_reload.c: SIGHUP: the configuration is read again. A bad one changes nothing; with a good one nginx is reloaded and
 * the roles restart one after the other, so that the service answers all the time. All of them, because certificates and profiles
 * are files beside the configuration that are read again too.
 */
#include "role/nginx.h"
#include "role/parent.h"

void parent_roll(struct parent *p)
{
    struct msg_role_drain drain = { p->settings.drain_time * 1000 };
    while (p->rolling < p->nchildren && p->phase == PARENT_UP) {
        struct child *c = &p->children[p->rolling];
        p->rolling++;
        if (!c->pid || c->role == ROLE_PARENT || role_signs(c->role))
            continue; /* what is down starts with the new settings anyway; signer and hsm follow core */
        c->expected = true;
        if (c->role == ROLE_CORE)
            child_tell(c, &msg_desc_role_drain, &drain, -1); /* it exits when its queue is empty */
        else
            child_end(c);
        return; /* parent_role_up of its successor goes on */
    }
    p->rolling = 0;
}

/* The first keys in a token came after the start. */
static void add_hsm(struct parent *p)
{
    for (size_t i = 0; i < p->nchildren; i++)
        if (p->children[i].role == ROLE_HSM)
            return;
    if (!parent_wants_hsm(p) || p->nchildren == PARENT_CHILDREN)
        return;
    child_init(p, &p->children[p->nchildren], ROLE_HSM, 0);
    snprintf(p->children[p->nchildren].why, sizeof p->children[p->nchildren].why, "the first key in a token"); /* what is wrong with it ends no service that runs */
    child_start(&p->children[p->nchildren++]);
}

void parent_reload(struct parent *p)
{
    struct fault f = { 0 };
    struct settings fresh, old = p->settings;
    if (identity_check_config(p->site, p->conf, &f) || settings_load(p->conf, &fresh, &f)) {
        log_error(0, "the configuration is not changed: %s", f.text);
        return;
    }
    bool later = settings_keep_fixed(&fresh, &old);
    p->settings = fresh;
    if (settings_own_tls(&fresh) && tls_test(p, &f)) {
        p->settings = old;
        log_error(0, "the configuration is not changed: %s", f.text);
        return;
    }
    if (later)
        log_warn(0, "n_front, n_query, user, signer_user, tls and nginx change at the next start of cradled only");
    log_setup("parent", settings_log_level(&p->settings));
    tls_reload(p);
    log_info(0, "configuration read again: nginx reloaded, roles restart one after the other");
    add_hsm(p);
    p->rolling = 0;
    parent_roll(p);
}
