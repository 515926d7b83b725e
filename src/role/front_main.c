/* front_main.c: the process around the front role: socket, files, jail, loop. */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "role/front_priv.h"
#include "role/jail.h"
#include "role/link.h"

struct front_process {
    struct event_base *base;
    struct front *front;
    char https_url[SETTINGS_URL_MAX];
};

static void on_peer(void *ctx, const struct role_peer *p)
{
    front_peer(((struct front_process *)ctx)->front, p);
}

static void on_drain(void *ctx, int64_t deadline_ms)
{
    (void)deadline_ms; /* the parent closes the link when it is time */
    front_drain(((struct front_process *)ctx)->front);
}

/* tls = external: the site's own ingress opens the socket through a group. */
static enum err socket_share(const struct role_context *c, struct fault *f)
{
    char path[PATH_MAX_LEN];
    const char *name = c->settings->socket_group;
    if (settings_own_tls(c->settings) || !name[0])
        return CE_OK;
    struct group *g = getgrnam(name);
    path_join(path, "%s/run/front-%u.sock", c->site, c->index);
    if (!g || chown(path, (uid_t)-1, g->gr_gid) != 0 || chmod(path, 0660) != 0)
        return fault_set(f, CE_IO, "socket_group '%s' cannot be given %s: %s", name, path, g ? strerror(errno) : "no such group");
    return CE_OK;
}

static enum err front_start(struct front_process *p, const struct role_context *c, struct fault *f)
{
    const struct settings *s = c->settings;
    struct front_config config = {
        .base = p->base,
        .site = c->site,
        .index = c->index,
        .request_ms = s->request_deadline * 1000,
        .open_max = s->max_requests,
        .streams_max = s->max_streams,
        .download_rate = s->download_rate,
        .download_total = s->download_total,
        .ddi_tokens = strcmp(s->ddi_links, "capability") == 0,
        .csrattrs_template = s->csrattrs_template,
        .require_rev = s->require_if_match,
        .https_url = p->https_url,
        .ocsp_ms = s->ocsp_validity >= 60 ? 30000 : s->ocsp_validity * 500,
    };
    settings_https_url(s, p->https_url);
    enum err e = front_listen(c->site, c->index, &config.listen_fd, f);
    if (!e)
        e = socket_share(c, f);
    return e ? e : front_new(&config, &p->front, f);
}

int role_front_main(struct role_context *c)
{
    struct front_process p = {0};
    struct fault f = {0};
    const struct role_events events = {.ctx = &p, .peer = on_peer, .drain = on_drain};
    signal(SIGPIPE, SIG_IGN);
    json_object_seed(0); /* jansson would open /dev/urandom with the first object, inside the jail */
    p.base = event_base_new();
    INVARIANT(p.base);
    enum err e = front_start(&p, c, &f);
    role_warm();
    struct role_link *link = e ? NULL : role_link_new(p.base, c, &events);
    if (!e)
        e = jail_enter(JAIL_FRONT, c->site, &f);
    if (e) {
        log_error(0, "%s", f.text);
    } else {
        for (size_t i = 0; i < c->npeers; i++)
            front_peer(p.front, &c->peers[i]);
        role_ready(c);
        event_base_dispatch(p.base);
    }
    role_link_free(link);
    front_free(p.front);
    event_base_free(p.base);
    return e ? EXIT_FAILURE : EXIT_SUCCESS;
}
