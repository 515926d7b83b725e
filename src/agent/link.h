/* link.h: the device's MQTT connection over mutual TLS (libmosquitto, MQTT 3.1.1, clean session). One connection at a time; the caller
 * polls link_fd and calls link_work. Not a general MQTT client: it publishes to d/UID/up/# and reads d/UID/down/#. */
#ifndef CRADLE_AGENT_LINK_H
#define CRADLE_AGENT_LINK_H

#include "agent/agent.h"

enum link_state {
    LINK_DOWN,      /* no connection, link_why says why */
    LINK_WAITING,   /* TCP and TLS done or under way, no CONNACK yet */
    LINK_UP,        /* the broker accepted this identity */
    LINK_REFUSED,   /* the broker answered and refused this identity */
};

struct link_config {
    const struct agent_config *agent; /* borrowed for the link's life */
    const char *cert_path;            /* read in link_open */
    struct evp_pkey_st *key;          /* OpenSSL's EVP_PKEY; the link takes a reference of its own */
    void (*on_message)(void *arg, const char *topic, struct span payload);
    void *arg;
};

struct link; /* owned by the caller of link_open */

/* Begins to connect. CE_IO and f when that fails at once; later failures show in link_state. */
MUST_USE enum err link_open(const struct link_config *cfg, struct link **out, struct fault *f);
/* Says goodbye when connected (so that the broker sends no will), frees. NULL is legal. */
void link_close(struct link *l);
int link_fd(const struct link *l);         /* -1 when there is no socket */
bool link_wants_write(const struct link *l);
void link_work(struct link *l, bool readable, bool writable); /* also keep-alive; call at least once a second */
enum link_state link_state(const struct link *l);
const char *link_why(const struct link *l); /* text of the last failure */
/* QoS 1. CE_ROLE_GONE when not up. */
MUST_USE enum err link_publish(struct link *l, const char *topic, struct span payload);

#endif
