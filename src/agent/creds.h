/* creds.h: the device's identity on disk, safe against power loss at any moment.
 *
 *   STATE/id-N/key.pem  cert.pem     a generation: a key and its certificate, never changed once complete
 *   STATE/current -> id-N            the identity in use
 *   STATE/next    -> id-M            a candidate: complete, but no connection has worked with it yet
 *
 * A swap is one rename of a symbolic link. Whatever a power loss leaves behind (temporary files, folders that no link names) is
 * removed by creds_open. It is not a key store: it holds one identity.
 */
#ifndef CRADLE_AGENT_CREDS_H
#define CRADLE_AGENT_CREDS_H

#include "base/file.h"
#include "cradle/dev.h"

enum creds_slot { CREDS_CURRENT, CREDS_NEXT };

struct creds {
    char dir[PATH_MAX_LEN];
    int next_id; /* number for the next generation */
};

/* Makes the folder (0700) when absent, clears what an interruption left, and says in *phase where the identity stands. */
MUST_USE enum err creds_open(const char *dir, struct creds *c, enum cradle_phase *phase, struct fault *f);
/* Paths of the files of a slot; out has PATH_MAX_LEN bytes. */
void creds_key_path(const struct creds *c, enum creds_slot slot, char *out);
void creds_cert_path(const struct creds *c, enum creds_slot slot, char *out);
/* First generation: makes its folder and lets make_key (given the key's path) fill it, then names it current. */
MUST_USE enum err creds_first(struct creds *c, enum err (*make_key)(const char *path, void *arg), void *arg, struct fault *f);
/* Starts a candidate generation that no link names yet; its key's path goes to key_path. keep_key: the current key, linked into it. */
MUST_USE enum err creds_begin(struct creds *c, bool keep_key, char *key_path, struct fault *f);
/* Stores the certificate (PEM) of the current slot's key, or of the generation begun and names that one `next`. */
MUST_USE enum err creds_store_current(struct creds *c, struct span pem, struct fault *f);
MUST_USE enum err creds_store_next(struct creds *c, struct span pem, struct fault *f);
MUST_USE enum err creds_swap(struct creds *c, struct fault *f); /* next becomes current; the old generation is removed */
MUST_USE enum err creds_drop_next(struct creds *c, struct fault *f);
/* Destroys keys and certificates of all generations: overwritten as far as the medium obeys, then removed. May be repeated. */
MUST_USE enum err creds_destroy(struct creds *c, struct fault *f);

#endif
