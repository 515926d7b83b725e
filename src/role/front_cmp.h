/* front_cmp.h: what front_cmp.c (messages in) and front_cmp_answer.c (messages out) share. */
#ifndef CRADLE_ROLE_FRONT_CMP_H
#define CRADLE_ROLE_FRONT_CMP_H

#include "crypt/cmp.h"
#include "role/front_priv.h"

#define CMP_MEDIA "application/pkixcmp"
#define CMP_TIME_TOLERANCE_S 300 /* of messageTime, both ways */

/* Made at start. */
struct front_cmp {
    struct buf der, root;        /* ca/cmp.pem, ca/root.pem; der empty: this site signs no answers */
    struct cert cert;            /* points into der */
    enum sig_alg alg;            /* of its key */
};

/* A request on its way. */
struct front_cmp_note {
    struct msg_enroll enroll;    /* first: front_answer.c names the device of a refusal by it */
    struct cmp_message m;
    enum cmp_body answer;        /* what a success becomes; a refusal too, once inside is set */
    int64_t id;                  /* certReqId of the answer */
    bool inside;                 /* the request is readable: what is refused now is refused in the body of its answer */
    bool by_secret;
    struct span label;           /* of the path: a product line; may be empty */
    bool idevid;                 /* an initial identity is asked for: LINE.idevid */
    struct cmp_mac mac;          /* by_secret */
    struct cert signer;          /* otherwise */
    uint8_t nonce[CMP_NONCE];    /* of our answer */
    struct cmp_info infos[CMP_INFOS]; /* genm */
    size_t n_infos;
    /* the answer */
    bool protecting;             /* core was asked for its protection */
    struct span header_body;
    struct span issued;          /* the certificate in it */
};

/* From the message's signer to r->who and r->caller, as a TLS caller: issued by one of our CAs, or an IDevID that leads to an anchor, by CAs that are
 * pinned or that were sent; dates, not blocked. f: why not. */
MUST_USE enum err front_caller_signer(struct front_req *r, const struct cert *cert, const struct span *sent, size_t n_sent, struct fault *f); /* front_caller.c */

#endif
