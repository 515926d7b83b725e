/* operator.h: making an infrastructure identity: key here, certificate from the service. */
#ifndef CRADLE_CLI_OPERATOR_H
#define CRADLE_CLI_OPERATOR_H

#include <jansson.h>

#include "base/clock.h"
#include "base/name.h"
#include "cli/verb.h"

struct operator_new {
    const char *name, *role;
    const char *lines;  /* NULL: all */
    const char *out;    /* folder; NULL: --out, else the site's operators */
    const char *file;   /* base name of the files; NULL: name */
    json_t *more;       /* other members of the request, borrowed; NULL: none */
};
/* key_path and pem_path have PATH_MAX_LEN bytes and are filled before anything is made. Can be called again after a failure that
 * left the outcome open: the same key is used. */
MUST_USE enum err operator_make(struct cli *c, const struct operator_new *n, char *key_path, char *pem_path, struct fault *f);

struct operator_renewed {
    char name[LABEL_MAX + 1], until[CLOCK_TEXT_MAX];
    bool renewed; /* false: the service keeps the certificate that is there */
};
/* Asks for a new certificate for the caller's own key and puts it in the place of the old one (c->net_cfg.cert). */
MUST_USE enum err operator_renew(struct cli *c, struct operator_renewed *out, struct fault *f);

/* For folders that a machine of its own is given: writes a file (0644), or copies one of the site's. */
MUST_USE enum err folder_put(const char *dir, const char *name, struct span bytes, struct fault *f);
MUST_USE enum err folder_copy(const struct cli *c, const char *from, const char *dir, const char *to, struct fault *f);

#endif
