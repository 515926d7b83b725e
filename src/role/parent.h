/* parent.h: the process that starts, watches and stops all others. It holds the configuration and decides who runs; it has no
 * keys and reads no stranger's bytes. This header is shared by parent*.c only; the outside calls parent_main.
 */
#ifndef CRADLE_ROLE_PARENT_H
#define CRADLE_ROLE_PARENT_H

#include <event2/event.h>
#include <signal.h>
#include <sys/types.h>

#include "role/role.h"
#include "wire/msg.h"

#define PARENT_CHILDREN 32
#define PARENT_DEATHS 1000    /* upper bound of restart_limit */
#define PARENT_BACKOFF_MS 100
#define PARENT_BACKOFF_MAX_MS 10000

/* Who a process runs as. */
struct identity {
    bool change;              /* false: stay */
    uid_t uid;
    gid_t gid;
    char name[65];            /* for initgroups; empty for a bare number */
};

enum child_state { CHILD_DOWN, CHILD_WAITING /* for its back-off */, CHILD_STARTING, CHILD_READY };

struct child {
    struct parent *p;
    enum role role;           /* ROLE_PARENT: nginx */
    unsigned index;
    char name[16];            /* "front:0", "tls" */
    enum child_state state;
    pid_t pid;                /* 0: no process */
    int link;                 /* our end, -1 */
    struct event *link_event, *timer;
    bool expected;            /* its death is our wish: no penalty */
    bool hung;                /* we killed it because it stood still */
    char why[121];            /* how its last process ended; "" when it never did */
    bool told;                /* the evidence has it, or needs none */
    int64_t started_ms, heard_ms, backoff_ms; /* monotonic; heard_ms: last sign of life */
    int64_t deaths_ms[PARENT_DEATHS]; /* ring */
    uint64_t ndeaths;
};

enum parent_phase { PARENT_UP, PARENT_STOP_TLS, PARENT_STOP_FRONT, PARENT_STOP_CORE, PARENT_STOP_REST };

struct parent {
    const char *site, *conf;  /* absolute */
    struct settings settings;
    struct identity user, signer;
    unsigned nginx_version;
    struct event_base *base;
    struct event *signals[4], *stop_timer, *grace_timer, *probe_timer, *watch_timer;
    int64_t watched_ms;       /* monotonic; when the watch last looked */
    struct child children[PARENT_CHILDREN];
    size_t nchildren;
    size_t rolling;           /* next child of a rolling restart; 0: none runs */
    bool announced;           /* the ready line was written */
    enum parent_phase phase;
    int exit_code, lock_fd;
    bool grace_over;          /* tls = external: fronts had time to answer what was open */
};

/* parent.c */
int parent_main(const char *site, const char *conf, const struct settings *s);
/* The two that hold keys and have one descriptor, to core: they start and end with it. */
static inline bool role_signs(enum role r) { return r == ROLE_SIGNER || r == ROLE_HSM; }
bool parent_wants_hsm(const struct parent *p);
void parent_role_up(struct parent *p, struct child *c);   /* c said READY */

/* parent_child.c */
void child_init(struct parent *p, struct child *c, enum role role, unsigned index);
void child_start(struct child *c);                      /* now, unless what it needs is missing */
void child_start_later(struct child *c);                /* after its back-off */
void child_end(struct child *c);                        /* closes the link: the role exits */
void child_kill(struct child *c, int sig);
void child_tell(struct child *c, const struct msg_desc *d, const void *m, int pass);
unsigned child_deaths(const struct child *c, int64_t now_ms); /* within restart_window */
/* In the child after fork: own process group, signals as at birth, stdin from nowhere, identity id. */
void child_become(const struct identity *id, bool keep_ports);
char **child_environment(const char *more); /* what a child is executed with, and NAME=VALUE words; in static memory */

/* parent_user.c */
MUST_USE enum err identity_find(const char *user, struct identity *out, struct fault *f);
void identity_enter(const struct identity *id);         /* effective ids of this process, for making files; aborts on failure */
void identity_leave(const struct identity *id);
MUST_USE enum err identity_drop(const struct identity *id, bool keep_ports, struct fault *f);
/* Started by root: whoever can write the configuration decides who the roles run as, so that must be root alone. */
MUST_USE enum err identity_check_config(const char *site, const char *conf, struct fault *f);
MUST_USE enum err identity_check_site(const struct identity *id, const char *site, struct fault *f);

/* parent_watch.c: roles that live but stand still */
void watch_start(struct parent *p);
void watch_heard(struct child *c, const struct msg_role_beat *m);

/* parent_tls.c */
MUST_USE enum err tls_prepare(struct parent *p, struct fault *f);  /* folders, version, configuration */
MUST_USE enum err tls_test(struct parent *p, struct fault *f);     /* nginx -t on what would be used */
MUST_USE enum err tls_check_ports(const struct settings *s, struct fault *f); /* nobody else has them */
void tls_start(struct child *c);
void tls_reload(struct parent *p);
void tls_probe(struct parent *p);                       /* calls parent_role_up when the ports answer */

/* parent_reload.c */
void parent_reload(struct parent *p);                   /* SIGHUP */
void parent_roll(struct parent *p);                     /* the next step of a rolling restart, if one runs */

/* parent_os.c */
MUST_USE enum err os_lock_site(const char *site, int *fd, struct fault *f);
MUST_USE enum err os_write_pid(const struct parent *p, struct fault *f);
void os_remove_pid(const struct parent *p);
void os_notify(const char *state);                      /* sd_notify(3) by a plain socket; nothing without $NOTIFY_SOCKET */
int64_t os_raise_files(void);                           /* soft limit of open files to the hard one; returns it */

#endif
