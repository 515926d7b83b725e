/* guard.h: the plugin's one state and the steps between the broker's callbacks (plugin.c) and the pure parts. Main thread only. */
#ifndef CRADLE_PLUGIN_GUARD_H
#define CRADLE_PLUGIN_GUARD_H

#include "plugin/copies.h"
#include "plugin/limit.h"
#include "plugin/opts.h"
#include "plugin/presence.h"
#include "plugin/session.h"
#include "plugin/watch.h"

struct mosquitto; /* the broker's client */

struct guard {
    struct opts opts;
    struct snap *snap;
    struct policyfile *policy; /* in force, as last looked at; guard_policy looks again */
    uint64_t policy_turn;
    struct session_table *sessions;
    struct copies copies;
    struct outbox *outbox;
    struct presence presence;
    struct limit *by_identity, *by_address; /* logins */
    uint64_t forgotten;        /* limits, as counted */
    struct watch *watch;       /* NULL until the first callback: the broker may fork after it loads plugins */
    struct watch_work work;    /* taken from the watch */
    bool reloading;            /* between RELOAD and the next TICK */
    bool ticked;               /* the broker does send ticks */
    int64_t told_bypass_ms, told_rate_ms;
    char alarm[200];           /* for the broker's log; plugin.c prints and empties it */
    bool sweeping;
    int64_t sweep_at_ms, sweep_seen_us;
};

/* Everything that needs no broker: options, trust, snapshot, policy. f says what is wrong: the broker must not start. */
MUST_USE enum err guard_open(struct guard *g, struct fault *f);
void guard_close(struct guard *g);
MUST_USE enum err guard_watch(struct guard *g, struct fault *f); /* starts the thread once */

struct guard_client { /* what a callback knows of a client */
    const struct mosquitto *client;
    const char *id, *username, *addr; /* addr never NULL */
    struct span der;                  /* its certificate; empty: none */
    struct tlsinfo tls;               /* at a login */
    int64_t keepalive_s;              /* at a login */
};
/* CE_OK: admitted (took: a live session of it will be displaced; *cn its user name). Otherwise refused, and reported. */
MUST_USE enum err guard_login(struct guard *g, const struct guard_client *c, const char **cn, struct fault *f);
/* der is wanted for clients that guard_knows not. *bypass: it is connected, but the broker never asked about it. */
bool guard_knows(const struct guard *g, const struct mosquitto *client);
bool guard_acl(struct guard *g, const struct guard_client *c, const char *topic, unsigned access, bool *bypass);
void guard_gone(struct guard *g, const struct mosquitto *client);
/* Is s to be put out now? CE_OK: no. */
MUST_USE enum err guard_judge_live(struct guard *g, const struct session *s, struct fault *f);
void guard_report_cut(struct guard *g, const struct session *s, enum err why, int64_t at_ms, int64_t seen_us);

#endif
