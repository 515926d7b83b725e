/* ca_files.h: what the ceremonies of `cradle ca` do with the site's folder: the offline root, files of CAs, the bundle, the running service. */
#ifndef CRADLE_CLI_CA_FILES_H
#define CRADLE_CLI_CA_FILES_H

#include "cli/cli.h"
#include "crypt/ca.h"

struct ceremony {
    struct cli *c;
    struct ca root;            /* with its key */
    char url[CA_URL_MAX];
    unsigned n_shards;
    char org[201], site[65];   /* as the root's name says */
    int64_t now_s;
};
/* Opens root NAME: DIR/ca/NAME.pem and its key, from --key, DIR/offline/NAME.key (its passphrase: --passphrase-file or the terminal) or the token
 * of DIR/offline/NAME.uri. is_new: it is the root of a rollover that was stopped: --new-passphrase-file, and --key is the other one's. */
MUST_USE enum err ceremony_open(struct ceremony *x, struct cli *c, const char *root, bool is_new, struct fault *f);
/* The same without a key: for a root whose key is lost. It signs nothing. */
MUST_USE enum err ceremony_open_lost(struct ceremony *x, struct cli *c, const char *root, struct fault *f);
void ceremony_close(struct ceremony *x);
/* The private key of a root alone; owned by the caller. */
MUST_USE enum err root_key_open(struct cli *c, const char *name, bool is_new, struct key **key, struct fault *f);

/* DIR/FILE, atomically, owned by the owner of DIR/keys when root runs this. */
MUST_USE enum err ca_put(struct cli *c, const char *file, struct span data, unsigned mode, struct fault *f);
MUST_USE enum err ca_put_key(struct cli *c, const char *file, struct key *key, const char *secret, struct fault *f); /* 0600; secret may be NULL */
/* A new key for the service: keys/NAME.key, or with --pkcs11 in the token that the URI names and keys/NAME.uri. */
MUST_USE enum err ca_key_make(struct cli *c, const char *name, const char *alg, const char *uri, struct key **out, struct fault *f);
MUST_USE enum err ca_put_cert(struct cli *c, const char *name, struct span der, struct fault *f); /* pub/ca/NAME.cer, then ca/NAME.pem */
MUST_USE enum err ca_bundle_add(struct cli *c, struct span der, struct fault *f); /* at the end of ca/bundle.pem, once */

/* POST /api/v1/cas: the register, the evidence. key: where the private key is. */
MUST_USE enum err ca_register(struct cli *c, const char *name, const char *use, struct span der, const char *key, struct fault *f);
/* What the register says of it; CE_NOT_FOUND. *out is the caller's. */
MUST_USE enum err ca_ask(struct cli *c, const char *name, json_t **out, struct fault *f);
/* Has the service read the folder anew (SIGHUP), and waits until it has made every CRL of the CA. CE_TIMEOUT. */
MUST_USE enum err ca_reload(struct cli *c, const char *name, struct fault *f);

/* A new CRL of root NAME: the old entries, and the certificate with this serial, when it is not empty. */
MUST_USE enum err root_crl_make(struct cli *c, const char *name, struct key *key, struct span revoke, int64_t validity_s, struct fault *f);

#endif
