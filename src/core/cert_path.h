/* cert_path.h: what the files of the certificate path share: the plan that authorisation makes, and enrollments between intent and
 * finalise. Private to cert_*.c; the public face is cert.h.
 */
#ifndef CRADLE_CORE_CERT_PATH_H
#define CRADLE_CORE_CERT_PATH_H

#include "base/name.h"
#include "core/batch.h"
#include "core/cert.h"
#include "core/device.h"
#include "crypt/hash.h"
#include "crypt/issue.h"
#include "crypt/profile.h"
#include "store/cert.h"
#include "store/registry.h"

/* -- the plan: everything decided before the intent ----------------------------------------------------------------------------- */
struct cert_issuer {               /* a profile and what its CAs are used for; lives as long as the path */
    struct profile profile;
    enum ca_use use;
};

struct cert_plan {
    enum cert_holder kind;
    struct span holder;            /* UID or operator's name */
    const struct cert_issuer *issuer;
    struct span dev_serial, line, role; /* for the templates */
    struct core_ca ca;             /* who issues it: set with the dates */
    struct span key_der;           /* SubjectPublicKeyInfo */
    uint8_t spki[SHA256_LEN];
    int64_t not_before, not_after; /* s */
    bool renew;
    struct span by;                /* who asks, for the evidence */
    struct device device;          /* when kind is CERT_HOLDER_DEVICE */
    struct span key_of;            /* CE_KEY_OF_OTHER: whose key it is, */
    enum cert_holder key_of_kind;  /* so that the alarm names both */
    int64_t retry_s;               /* CE_TOO_EARLY, CE_RATE */
    bool pin, is_new;              /* the IDevID is the device's first; the device is to be registered */
    struct span id_name;           /* what the rule of its anchor took from the IDevID */
    int64_t age_s, grace_s;        /* CALLER_EXPIRED: how long ago its certificate ended, and the grace of its line */
    bool has_same;                 /* the answer exists already: */
    struct cert_row same;          /* this certificate (idempotent) */
};

struct cert_path;
/* May this caller have this certificate? Fills the plan; refuses with the codes named at each rule. */
MUST_USE enum err cert_judge_enroll(struct batch *b, const struct cert_path *p, const struct caller *c, const struct msg_enroll *m,
                                    struct cert_plan *plan, struct fault *f);
/* The key alone, for an identity that has just been made: CE_KEY_ALG, CE_KEY_OF_OTHER, CE_KEY_REVOKED. key_alg empty: the
 * signer judges it. */
MUST_USE enum err cert_judge_key(struct batch *b, struct cert_plan *plan, struct span key_alg, struct fault *f);
/* cert_authz_idevid.c: whose IDevID is it? Fills plan->device, by, pin, is_new. CE_IDEVID_…, CE_UID_UNKNOWN, CE_LINE_FORBIDDEN, CE_CERT_…. CE_IDEVID_OTHER
 * is an alarm too: plan->key_of is the device. */
MUST_USE enum err cert_judge_idevid(struct batch *b, const struct caller *c, const struct msg_enroll *m, struct cert_plan *plan, struct fault *f);
MUST_USE enum err cert_idevid_write(struct batch *b, const struct caller *c, const struct msg_enroll *m, const struct cert_plan *plan, struct fault *f);
/* cert_authz_grace.c: may own, which has ended, be renewed? Fills age_s, grace_s. CE_CERT_EXPIRED, CE_CERT_REVOKED, CE_NAME_MISMATCH (another key). */
MUST_USE enum err cert_judge_grace(struct batch *b, const struct cert_row *own, struct cert_plan *plan, struct fault *f);
void cert_grace_write(struct batch *b, const struct caller *c, const struct cert_plan *plan);
/* The CA that issues now for the plan's line, and the dates: validity_s 0 for the profile's; cut to the profile's maximum and to the CA's
 * own end. CE_CA_STATE. */
MUST_USE enum err cert_plan_dates(struct batch *b, struct cert_plan *plan, int64_t validity_s, struct fault *f);

/* -- enrollments -------------------------------------------------------------------------------------------------------------------- */
struct cert_waiter {
    struct cert_waiter *next;
    struct enrollment *of;
    bool fresh;                    /* its request is not committed yet: join_end will come */
    bool implicit;                 /* of a CMP transaction: confirmed without a certConf */
    uint8_t tx[64];                /* the CMP transaction that it is for */
    size_t ntx;                    /* 0: none */
    int64_t answer;                /* what that one's request is answered with */
    struct reply_to to;
};

enum enrollment_state {
    ENROLLMENT_AT_SIGNER,
    ENROLLMENT_SIGNED,             /* der is here, the commit of the finalisation is not */
    ENROLLMENT_FAILED,             /* the signer did not sign: to be asked again, or closed */
    ENROLLMENT_DONE,               /* decided in the running batch */
};
struct enrollment {
    struct enrollment *next;       /* in its bucket */
    struct cert_path *path;        /* NULL once the path is closed */
    enum enrollment_state state;
    bool firm;                     /* the intent is committed */
    bool parked;                   /* FAILED, and nobody waits: it is asked for again when the token of its CA is back */
    bool renew;
    int asked;                     /* how often the signer was asked */
    unsigned undone;               /* how often its batch was undone */
    int64_t retry_ms;              /* monotonic: not before, when SIGNED or FAILED */
    enum cert_holder kind;
    char holder[UID_MAX + 1], profile[LABEL_MAX + 1], ca[LABEL_MAX + 1], dev_serial[UID_MAX + 1], line[LABEL_MAX + 1], role[17];
    uint8_t kid[20], serial[ISSUE_SERIAL], spki[SHA256_LEN];
    struct buf key_der;            /* owned */
    int64_t not_before, not_after; /* s */
    struct buf der;                /* owned; what the signer returned */
    char key_alg[KEY_NAME_MAX], sig_alg[KEY_NAME_MAX]; /* of der */
    struct ca_signature signature; /* of der */
    struct fault fault;            /* why it failed */
    struct cert_waiter *waiters;   /* owned */
    size_t n_waiters;
};

#define CERT_BUCKETS 1024
#define CERT_CLONES 64
#define CERT_CLONE_QUIET_MS 60000  /* the same clone alarm is not repeated within */
#define CERT_ASK_MAX 2             /* the signer is asked once more */
#define CERT_RETRY_MS 500
struct cert_path {
    struct core *core;
    struct cert_issuer device, infra, idevid; /* idevid: its name is empty when the site has no such profile */
    struct enrollment *bucket[CERT_BUCKETS];
    size_t n, n_open;              /* all; those SIGNED or FAILED, which work() has to move */
    struct { uint8_t spki[SHA256_LEN]; int64_t until_ms; } clones[CERT_CLONES]; /* alarms of the last minute */
    size_t clone_next;
};

struct enrollment *enrollment_find(struct cert_path *p, enum cert_holder kind, struct span holder); /* NULL: none is open */
void enrollment_free(struct enrollment *e);          /* takes it out of its path; drops its waiters */
void enrollment_later(struct enrollment *e);         /* its batch was undone: try again, each time later */
/* Asks the signer (again). The intent is, or becomes with this batch, durable. */
void enrollment_ask(struct batch *b, struct enrollment *e);
/* Joins the current request to e: it is answered when e is; cmp: its transaction, NULL without. CE_BUSY when too many wait. */
MUST_USE enum err enrollment_join(struct batch *b, struct enrollment *e, const struct msg_cmp_turn *cmp, struct fault *f);

/* The signer's answer is here (sign_done.fn, data: the enrollment). */
MUST_USE enum err cert_signed(struct batch *b, void *enrollment, const struct msg_signed *m);
/* Moves one enrollment that is SIGNED or FAILED. Errors: of the database. */
MUST_USE enum err cert_finish(struct batch *b, struct enrollment *e, struct fault *f);
/* At start: closes the intents that a crash left behind. */
MUST_USE enum err cert_repair(struct batch *b, struct fault *f);

#endif
