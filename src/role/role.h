/* role.h: what a role process is given and the entry points of all roles.
 *
 * `cradled -x ROLE` has descriptor 3, its link to the parent. Over it come the set-up (site, configuration) and one
 * socketpair end for each live peer of an allowed edge; then ROLE_GO. A peer that starts later, or again, arrives the same way
 * while the role works: struct role_events.peer.
 */
#ifndef CRADLE_ROLE_ROLE_H
#define CRADLE_ROLE_ROLE_H

#include <event2/event.h>

#include "role/edges.h"
#include "role/settings.h"

#define ROLE_PARENT_FD 3
#define ROLE_PEERS_MAX 32
#define ROLE_BEAT_S 1
#define EXIT_ROLE_FATAL 78 /* a role that cannot work however often it starts (EX_CONFIG): the parent stops the service */

struct role_peer {
    enum role role;
    unsigned index;
    int fd; /* socketpair end, non-blocking; belongs to whoever makes a channel of it */
};

struct role_context {
    enum role role;
    unsigned index;                        /* among the processes of this role */
    const struct settings *settings;
    const char *site;                      /* absolute path of the site's folder */
    const char *why;                       /* how the process before this one ended, or "service start"; for evidence */
    int parent_fd;
    struct role_peer peers[ROLE_PEERS_MAX]; /* those alive at start; others come by events */
    size_t npeers;
};

/* What the parent tells a working role. Called from the event loop. NULL members are legal. */
struct role_events {
    void *ctx;
    /* A new end to this peer. A channel to the same (role, index) that is still open is dead: treat it as gone first. */
    void (*peer)(void *ctx, const struct role_peer *p);
    /* Finish what is open and end endless answers; keep answering. The parent closes the link when it is time to exit. */
    void (*drain)(void *ctx, int64_t deadline_ms);
    /* The link is closed: exit from the loop now (event_base_loopbreak is called already). */
    void (*stop)(void *ctx);
    /* core only: another role ("front", "tls" …) died and is being restarted. */
    void (*lost)(void *ctx, struct span role, unsigned index, struct span why);
    bool beats; /* the role sends its beats itself (role_beat): its work is outside of the event loop */
};

struct role_link;
/* Watches the parent's link within base and, unless ev->beats, sends a beat over it each second: the parent kills a role whose loop
 * stands still (hang_limit). Lives until role_link_free. */
struct role_link *role_link_new(struct event_base *base, const struct role_context *c, const struct role_events *ev);
void role_link_free(struct role_link *l);
void role_ready(const struct role_context *c); /* says ROLE_READY: the parent counts the role as up */
/* Says ROLE_BEAT. signer_silent_ms, from core: for how long the signer has owed an answer; 0: it owes none. */
void role_beat(const struct role_context *c, int64_t signer_silent_ms);

/* Entry points; each returns the process' exit code. They enter their jail (role/jail.h) by themselves after opening what
 * they need. */
int role_front_main(struct role_context *c);  /* front.c */
int role_core_main(struct role_context *c);   /* core_role.c */
int role_query_main(struct role_context *c);  /* query_role.c */
int role_depot_main(struct role_context *c);  /* depot_role.c */
int role_signer_main(struct role_context *c); /* signer_role.c */
int role_hsm_main(struct role_context *c);    /* hsm_role.c */

#endif
