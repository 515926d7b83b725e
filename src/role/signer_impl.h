/* signer_impl.h: what signer.c, signer_ops.c and signer_update.c share. */
#ifndef CRADLE_ROLE_SIGNER_IMPL_H
#define CRADLE_ROLE_SIGNER_IMPL_H

#include "crypt/ca.h"
#include "crypt/crl_stream.h"
#include "crypt/ed25519.h"
#include "crypt/profile.h"
#include "role/signer.h"
#include "wire/checkpoint.h"
#include "wire/msg.h"
#include "wire/note.h"
#include "wire/tuf.h"

#define SIGNER_PROFILES_MAX 32
#define SIGNER_BODY_MAX 33554432 /* SIGNED.body in msg.def */
#define SIGNER_CRLS 8             /* CRLs in the making at once: twice CRL_BUSY_MAX of core */

/* The account of one key: every signature by it has a number that stands in the evidence. */
struct signer_meter {
    uint8_t kid[20];
    uint64_t n; /* signatures released since the start */
};

enum signer_update_role { SIGNER_SNAPSHOT, SIGNER_TIMESTAMP, SIGNER_DIRECTIVE, SIGNER_UPDATE_ROLES };
struct signer_update_key { /* key NULL: the site was made without it and signs no updates, or elsewhere */
    struct key *key;       /* owned */
    bool elsewhere;        /* with the other signer */
    struct tuf_key pub;    /* in the signer's arena */
    struct signer_meter meter;
    int64_t version;       /* last one signed since the start; of the directive's key: none */
};

struct signer_crl {            /* one in the making; ca NULL: a free place */
    struct ca *ca;
    uint64_t began;            /* counts up */
    struct crl_signing signing;
};

struct signer {
    struct signer_config cfg;         /* of it, only clock and is_lost after signer_open */
    struct ca cas[CA_SET_MAX];        /* those whose keys are in keys/NAME.key */
    size_t n_cas;
    struct profile profiles[SIGNER_PROFILES_MAX];
    size_t n_profiles;
    struct key *log_key, *stream_key; /* owned */
    struct note_key log_name;         /* name and public key of the log */
    uint64_t counter;                 /* signatures released since the start */
    struct signer_meter ca_meter[CA_SET_MAX];
    uint8_t run[8];                   /* random: tells this process's counters from the last one's */
    struct signer_meter *by;          /* of the answer being made: the key that signs it; NULL: one that has no account */
    struct signer_update_key update[SIGNER_UPDATE_ROLES];
    struct key *cmp_key;              /* owned; NULL: this site signs no answers of CMP */
    struct pubkey *cmp_pub;           /* owned */
    bool cmp_elsewhere;               /* it is with the other signer */
    struct cert *cmp_cas;             /* in the arena: the CAs whose certificates may be in answers */
    size_t n_cmp_cas;
    struct arena arena;               /* of what lasts */
    uint64_t head_size;               /* of the last tree head signed since the start */
    struct merkle_hash head_root;
    struct signer_crl crls[SIGNER_CRLS];
    uint64_t crls_begun;
    struct buf body;                  /* reused for every answer */
};

union signer_request {
    struct msg_sign_cert sign_cert;
    struct msg_sign_crl_begin sign_crl_begin;
    struct msg_sign_crl_part sign_crl_part;
    struct msg_sign_crl_end sign_crl_end;
    struct msg_sign_ocsp sign_ocsp;
    struct msg_sign_head sign_head;
    struct msg_sign_frame sign_frame;
    struct msg_sign_snapshot sign_snapshot;
    struct msg_sign_meta sign_meta;
    struct msg_sign_directive sign_directive;
    struct msg_sign_cmp sign_cmp;
};

#define SIGNER_ANSWER(name) MUST_USE enum err signer_##name(struct signer *s, const union signer_request *r, struct buf *body, struct fault *f)
SIGNER_ANSWER(sign_cert);
SIGNER_ANSWER(sign_crl_begin);
SIGNER_ANSWER(sign_crl_part);
SIGNER_ANSWER(sign_crl_end);
void signer_crls_close(struct signer *s);
SIGNER_ANSWER(sign_ocsp);
SIGNER_ANSWER(sign_head);
SIGNER_ANSWER(sign_frame);
SIGNER_ANSWER(sign_snapshot);
SIGNER_ANSWER(sign_meta);
SIGNER_ANSWER(sign_directive);
SIGNER_ANSWER(sign_cmp);
/* What begins at from_s and ends at to_s may be signed: it begins now, and lasts longest_s at most (0: as long as it likes). */
MUST_USE enum err signer_judge_dates(const struct signer *s, const char *what, int64_t from_s, int64_t to_s, int64_t longest_s, struct fault *f);
/* Loads the keys of the online update roles, all or none, and signs once with each. */
MUST_USE enum err signer_update_open(struct signer *s, const char *dir, struct fault *f);
void signer_update_close(struct signer *s);
/* Loads the key of CMP answers when there is one, and signs once with it. */
MUST_USE enum err signer_cmp_open(struct signer *s, const char *dir, struct fault *f);
void signer_cmp_close(struct signer *s);

struct ca *signer_ca(struct signer *s, struct span name); /* NULL: there is none */
struct signer_meter *signer_meter_of(struct signer *s, const struct ca *ca);
enum err signer_no_ca(struct fault *f, struct span name);
enum err signer_no_key(struct fault *f, const char *name);
/* Makes a key that the profile allows and issues a certificate for it, which is thrown away. */
MUST_USE enum err signer_rehearse_profile(struct signer *s, const struct profile *p, struct fault *f);

#endif
