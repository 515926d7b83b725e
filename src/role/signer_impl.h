/* signer_impl.h: what signer.c and signer_ops.c share. */
#ifndef CRADLE_ROLE_SIGNER_IMPL_H
#define CRADLE_ROLE_SIGNER_IMPL_H

#include "crypt/ca.h"
#include "crypt/ed25519.h"
#include "crypt/profile.h"
#include "role/signer.h"
#include "wire/checkpoint.h"
#include "wire/msg.h"
#include "wire/note.h"

#define SIGNER_CAS 2
#define SIGNER_PROFILES_MAX 32
#define SIGNER_BODY_MAX 33554432 /* SIGNED.body in msg.def */

struct signer {
    struct signer_config cfg;         /* of it, only the clock after signer_open */
    struct ca cas[SIGNER_CAS];
    struct profile profiles[SIGNER_PROFILES_MAX];
    size_t n_profiles;
    struct key *log_key, *stream_key; /* owned */
    struct note_key log_name;         /* name and public key of the log */
    uint64_t counter;                 /* signatures released since the start */
    uint64_t ca_counter[SIGNER_CAS];  /* of these, by the key of each CA */
    uint8_t run[8];                   /* random: tells this process's counters from the last one's */
    const struct ca *by;              /* of the answer being made: the CA whose key signs it, or NULL */
    uint64_t head_size;               /* of the last tree head signed since the start */
    struct merkle_hash head_root;
    struct buf body;                  /* reused for every answer */
};

union signer_request {
    struct msg_sign_cert sign_cert;
    struct msg_sign_crl sign_crl;
    struct msg_sign_ocsp sign_ocsp;
    struct msg_sign_head sign_head;
    struct msg_sign_frame sign_frame;
    struct msg_sign_snapshot sign_snapshot;
};

#define SIGNER_ANSWER(name) MUST_USE enum err signer_##name(struct signer *s, const union signer_request *r, struct buf *body, struct fault *f)
SIGNER_ANSWER(sign_cert);
SIGNER_ANSWER(sign_crl);
SIGNER_ANSWER(sign_ocsp);
SIGNER_ANSWER(sign_head);
SIGNER_ANSWER(sign_frame);
SIGNER_ANSWER(sign_snapshot);

/* Makes a key that the profile allows and issues a certificate for it, which is thrown away. */
MUST_USE enum err signer_rehearse_profile(struct signer *s, const struct profile *p, struct fault *f);

#endif
