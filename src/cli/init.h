/* init.h: what the files of `cradle init` share: the plan of a new site and how its files are put. Not for other verbs. */
#ifndef CRADLE_CLI_INIT_H
#define CRADLE_CLI_INIT_H

#include <sys/types.h>

#include "base/name.h"
#include "cli/secret.h"
#include "cli/verb.h"
#include "crypt/ca.h"

#define INIT_SHARDS 16        /* CRL shards of each issuing CA; the same number goes into cradled.conf */
#define INIT_HOSTS_MAX 512

struct init {
    struct cli *c;
    char dir[PATH_MAX_LEN];         /* where the site will be */
    char tmp[PATH_MAX_LEN];         /* where it is made until place_end */
    bool inside;                    /* dir was there already: tmp is inside it */
    char name[LABEL_MAX + 1], org[TEXT_MAX + 1];
    char hosts[INIT_HOSTS_MAX];     /* names and addresses, separated by blanks; the first is the one in URLs */
    char host[256];
    int64_t port;                   /* https; http = port + 1, broker = port + 2 */
    int64_t root_s, ca_s, server_s, device_s; /* lifetimes */
    int64_t now_s;
    char secret[SECRET_MAX];              /* passphrase of the root key; zeroed as soon as the key is written */
    const char *ca_alg;             /* keys of the CAs and their responders */
    const char *ca_pkcs11;          /* URI for the keys of the issuing CAs, NULL: files */
    bool ocsp_in_token, log_in_token, cmp_in_token; /* of the OCSP responders, of the log, of CMP: there too */
    const char *pkcs11;             /* URI of the root key in a token, NULL: a file */
    char base_url[CA_URL_MAX];      /* http://HOST:PORT */
    char origin[256];               /* of the log: HOST/NAME */
    char vkey[320];
    uid_t uid, signer_uid;          /* 0: not started by root, files stay with the caller */
    gid_t gid, signer_gid;
    char user[40], signer_user[40];
    struct ca root, device, infra;  /* open while the site is made */
    struct buf admin_der;
};

/* Options, questions on a terminal, checks. CE_USAGE and friends. */
MUST_USE enum err init_plan(struct init *in, struct fault *f);
/* The passphrase from --passphrase-file or the terminal (twice). */
MUST_USE enum err init_secret(struct init *in, struct fault *f);
/* Keys and certificates. */
MUST_USE enum err init_pki(struct init *in, struct fault *f);
/* Configuration, profiles, birth.json. init_pki comes before. */
MUST_USE enum err init_profiles(struct init *in, struct fault *f);
MUST_USE enum err init_config(struct init *in, struct fault *f);
MUST_USE enum err init_birth(struct init *in, struct fault *f);
/* Who will own what, when root calls. */
void init_users(struct init *in);
MUST_USE enum err init_owners(struct init *in, struct fault *f);

/* init_place.c: is dir new or empty (CE_EXISTS)? folders to work in; all of it to its place; away with it. */
MUST_USE enum err place_check(struct init *in, struct fault *f);
MUST_USE enum err place_begin(struct init *in, struct fault *f);
MUST_USE enum err place_end(struct init *in, struct fault *f);
void place_abort(struct init *in);

/* Writes tmp/NAME (a new file). Also refuses to go on after SIGINT, SIGTERM or SIGHUP. */
MUST_USE enum err init_put(struct init *in, const char *name, struct span bytes, mode_t mode, struct fault *f);
MUST_USE enum err init_put_pem(struct init *in, const char *name, const char *label, struct span der, mode_t mode, struct fault *f);
bool init_interrupted(void);

#endif
