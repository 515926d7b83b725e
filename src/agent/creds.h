/* creds.h: the device's identity on disk, safe against power loss at any moment.
 *
 *   STATE/id-N/key.*  cert.pem       a generation: a key, or where it is (key.h), and its certificate, never changed once complete
 *   STATE/current -> id-N            the identity in use
 *   STATE/next    -> id-M            a candidate: complete, but no connection has worked with it yet
 *
 * A swap is one rename of a symbolic link. Whatever a power loss leaves behind (temporary files, folders that no link names) is
 * removed by creds_open. It is not a key store: it holds one identity.
 */
#ifndef CRADLE_AGENT_CREDS_H
#define CRADLE_AGENT_CREDS_H

#include "agent/key.h"
#include "base/file.h"
#include "cradle/dev.h"

enum creds_slot { CREDS_CURRENT, CREDS_NEXT };

struct creds {
    const struct agent_config *cfg; /* borrowed */
    char dir[PATH_MAX_LEN];
    int next_id; /* number for the next generation */
};

/* Makes the state folder (0700) when absent, clears what an interruption left, and says in *phase where the identity stands. */
MUST_USE enum err creds_open(const struct agent_config *cfg, struct creds *c, enum cradle_phase *phase, struct fault *f);
/* A slot's folder, for key_open, and its certificate; out has PATH_MAX_LEN bytes. */
void creds_slot_dir(const struct creds *c, enum creds_slot slot, char *out);
void creds_cert_path(const struct creds *c, enum creds_slot slot, char *out);
/* First generation: makes its folder and key, then names it current. */
MUST_USE enum err creds_first(struct creds *c, struct fault *f);
/* Starts a candidate generation that no link names yet; its folder goes to dir (PATH_MAX_LEN), its key to k, a new one or (keep_key) the current one. */
MUST_USE enum err creds_begin(struct creds *c, bool keep_key, char *dir, struct agent_key *k, struct fault *f);
/* Stores the certificate (PEM) of the current slot's key, or of the generation begun and names that one `next`. */
MUST_USE enum err creds_store_current(struct creds *c, struct span pem, struct fault *f);
MUST_USE enum err creds_store_next(struct creds *c, struct span pem, struct fault *f);
MUST_USE enum err creds_swap(struct creds *c, struct fault *f); /* next becomes current; the old generation is removed */
MUST_USE enum err creds_drop_next(struct creds *c, struct fault *f);
/* Destroys keys and certificates of all generations: each as key_destroy says. May be repeated. */
MUST_USE enum err creds_destroy(struct creds *c, struct fault *f);

#endif
