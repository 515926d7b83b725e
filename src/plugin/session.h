/* session.h: the table of connections that the plugin has admitted, found by the broker's client pointer, by identity and by
 * certificate, with the time at which each certificate ends. Sized by the connected clients. Main thread only; calls no broker.
 *
 * An ended session leaves a small memory of its identity, so that its will (checked by the broker when the TLS object is
 * gone) and its offline queue can be judged by name.
 */
#ifndef CRADLE_PLUGIN_SESSION_H
#define CRADLE_PLUGIN_SESSION_H

#include "plugin/judge.h"
#include "wire/topic.h"

enum session_sweep { SWEEP_JUDGE, SWEEP_TELL, SESSION_SWEEPS }; /* walks over all sessions, each in pieces and for a purpose of its own */

struct session {
    const void *client;       /* the broker's pointer, compared and never followed here */
    struct peer peer;
    char addr[64];
    int64_t began_mono_ms, heard_mono_ms; /* heard: when its holder did something last */
    int64_t keepalive_s;      /* 0: none */
    int refusals;             /* of others while it lived (copies.h), since refused_mono_ms, the last from refused_addr */
    int64_t refused_mono_ms;
    char refused_addr[64];
    bool kicked;              /* its end is ours: no take-over, no will */
    int64_t number, began_ms; /* in this run of the broker; wall clock */
    char tls[64];             /* version and cipher, "" when not known */
    bool resumed;             /* its TLS session was */
    uint32_t sweep[SESSION_SWEEPS]; /* numbers of the last sweeps that met it */
    bool repair;              /* let in as a quarantined device, to its repair topics */
    const struct topic_rights *rights; /* of the policy that guard held at rights_turn */
    uint64_t rights_turn;
    size_t heap_at;           /* place in the heap of ends */
    struct session *by_client, *by_ident, *by_cert; /* chains */
};

struct session_table; /* opaque */

struct session_table *session_table_new(void);  /* never NULL */
void session_table_free(struct session_table *t);
size_t session_count(const struct session_table *t);

/* A new login; an older entry for the same pointer is dropped. */
struct session *session_add(struct session_table *t, const void *client, const struct peer *p, const char *addr);
struct session *session_find(struct session_table *t, const void *client);                       /* NULL: not admitted */
struct session *session_by_ident(struct session_table *t, const uint8_t key[SNAPSHOT_KEY]);     /* any of the identity's */
struct session *session_ident_next(struct session *s);                                          /* another one, NULL at the end */
struct session *session_by_cert(struct session_table *t, const uint8_t key[SNAPSHOT_KEY]);
struct session *session_cert_next(struct session *s);
void session_remove(struct session_table *t, struct session *s);

/* The session whose certificate ends first; NULL when there is none. */
struct session *session_first_end(struct session_table *t);

/* Walks all sessions in pieces: returns the next that this sweep has not met, NULL at the end. begin starts a new sweep; sessions
 * may come and go in between (those that come later were judged at their login). */
void session_sweep_begin(struct session_table *t, enum session_sweep w);
struct session *session_sweep_next(struct session_table *t, enum session_sweep w);

struct session_memory {
    enum peer_kind kind;
    char line[LABEL_MAX + 1];
};
/* Memory of ended, honest sessions (not of kicked ones): of the identity that ended last. false: not known. */
bool session_gone(struct session_table *t, const uint8_t ident_key[SNAPSHOT_KEY], struct session_memory *out);
/* Did the session that p's identity ended last have this pointer and this certificate? */
bool session_gone_was(struct session_table *t, const struct peer *p, const void *client);

#endif
