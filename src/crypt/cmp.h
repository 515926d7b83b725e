/* cmp.h: the messages of CMP (RFC 9810, lightweight profile RFC 9483) and of the requests in them (CRMF, RFC 4211): a reader of what clients
 * send, a writer of what we answer, and password-based protection (RFC 9481 6.1). Pure; only POP and signatures touch OpenSSL, in key.h.
 * Not here: who may have what (core), HTTP (role/front_cmp.c), and what the profile leaves out: nested messages, encrypted certificates,
 * key agreement, several requests in one message.
 *
 * Spans of what was read point into the DER given.
 */
#ifndef CRADLE_CRYPT_CMP_H
#define CRADLE_CRYPT_CMP_H

#include "base/span.h"
#include "crypt/csr.h"
#include "crypt/hash.h"

#define CMP_MAX 32768          /* bytes of a message */
#define CMP_CERTS 8            /* extraCerts looked at, and written */
#define CMP_ANSWER_CERTS 40     /* certificates in the body of an answer: all CAs of a site */
#define CMP_NONCE 16           /* bytes of our nonces, and the least that a client's has (RFC 9483 3.1) */
#define CMP_ID_MAX 64          /* bytes of transactionID, nonces and key identifiers */
#define CMP_INFOS 16           /* infoTypes in one genm */

enum cmp_body {
    CMP_IR = 0, CMP_IP = 1, CMP_CR = 2, CMP_CP = 3, CMP_P10CR = 4, CMP_KUR = 7, CMP_KUP = 8, CMP_RR = 11, CMP_RP = 12, CMP_PKICONF = 19,
    CMP_NESTED = 20, CMP_GENM = 21, CMP_GENP = 22, CMP_ERROR = 23, CMP_CERT_CONF = 24, CMP_POLL_REQ = 25, CMP_POLL_REP = 26
};
enum cmp_status { CMP_ACCEPTED = 0, CMP_GRANTED_WITH_MODS = 1, CMP_REJECTION = 2, CMP_WAITING = 3 };
enum cmp_fail { /* bits of PKIFailureInfo, RFC 9810 5.2.3; bit 0 first */
    CMP_BAD_ALG = 0, CMP_BAD_MESSAGE_CHECK = 1, CMP_BAD_REQUEST = 2, CMP_BAD_TIME = 3, CMP_BAD_CERT_ID = 4, CMP_BAD_DATA_FORMAT = 5,
    CMP_WRONG_AUTHORITY = 6, CMP_BAD_POP = 9, CMP_CERT_REVOKED = 10, CMP_CERT_CONFIRMED = 11, CMP_WRONG_INTEGRITY = 12,
    CMP_BAD_RECIPIENT_NONCE = 13, CMP_UNACCEPTED_EXTENSION = 16, CMP_BAD_SENDER_NONCE = 18, CMP_BAD_CERT_TEMPLATE = 19,
    CMP_SIGNER_NOT_TRUSTED = 20, CMP_TRANSACTION_ID_IN_USE = 21, CMP_UNSUPPORTED_VERSION = 22, CMP_NOT_AUTHORIZED = 23,
    CMP_SYSTEM_UNAVAIL = 24, CMP_SYSTEM_FAILURE = 25, CMP_DUPLICATE_CERT_REQ = 26, CMP_FAIL_NONE = 32
};

/* -- PKIMessage -------------------------------------------------------------------------------------------------------------------- */
struct cmp_message {
    int64_t pvno;                        /* 2 or 3 */
    struct span sender, recipient;       /* whole GeneralNames */
    bool has_time;
    int64_t time_s;
    struct span alg;                     /* protectionAlg, whole; empty: unprotected */
    struct span sender_kid, transaction_id, sender_nonce, recip_nonce; /* contents; empty when absent */
    bool implicit_confirm;               /* asked for */
    unsigned type;                       /* enum cmp_body, or another number */
    struct span body;                    /* contents of the body's explicit tag */
    struct span header_body;             /* header and body: the contents of ProtectedPart */
    struct span protection;              /* bits */
    struct span certs[CMP_CERTS];        /* extraCerts, whole */
    size_t n_certs;
};
/* CE_BAD_CMP, CE_CMP_VERSION, CE_TOO_LARGE. What was read of the header before an error is in *out. */
MUST_USE enum err cmp_parse(struct span der, struct cmp_message *out, struct fault *f);
void cmp_protected_put(struct span header_body, struct buf *out); /* ProtectedPart, RFC 9810 5.1.3 */

/* -- requests ---------------------------------------------------------------------------------------------------------------------- */
struct cmp_template {                    /* CertTemplate; empty: absent */
    struct span serial;                  /* minimal positive big-endian */
    struct span issuer, subject;         /* whole Names */
    struct span key;                     /* contents of SubjectPublicKeyInfo */
    struct span extensions;              /* contents of Extensions */
};
enum cmp_pop { CMP_POP_NONE, CMP_POP_RA, CMP_POP_SIGNATURE };
struct cmp_cert_request {
    int64_t id;                          /* certReqId */
    struct span request;                 /* whole CertRequest: what the proof of possession signs */
    struct cmp_template want;
    enum cmp_pop pop;
    struct span pop_alg, pop_sig;        /* whole AlgorithmIdentifier; bits */
    struct span old_issuer, old_serial;  /* oldCertID: whole Name, serial; empty when absent */
};
/* Contents of ir, cr or kur: CE_BAD_CMP; CE_CMP_REQUEST when it is not exactly one request with certReqId 0 (RFC 9483 4.1.1);
 * CE_CSR_POP for kinds of proof that are not taken. */
MUST_USE enum err cmp_cert_request_parse(struct span body, struct cmp_cert_request *out, struct fault *f);
/* The same as a CSR: key, names and extensions asked for, so that one judgement serves both. spki: a buffer that the key is put into, because
 * CRMF tags it otherwise; out points into it. CE_BAD_TEMPLATE, CE_BAD_CSR, CE_BAD_NAME, CE_KEY_…. */
MUST_USE enum err cmp_request_csr(const struct cmp_cert_request *q, struct buf *spki, struct csr *out, struct fault *f);
/* Is the request signed by its own key? CE_CSR_POP. */
MUST_USE enum err cmp_pop_verify(const struct cmp_cert_request *q, struct span spki, struct fault *f);

struct cmp_revocation { struct cmp_template cert; int reason; /* CRLReason; 0 when none is given */ };
MUST_USE enum err cmp_revocation_parse(struct span body, struct cmp_revocation *out, struct fault *f); /* CE_BAD_CMP, CE_CMP_REQUEST */

struct cmp_confirm {
    bool none;                           /* an empty list: everything is rejected (RFC 9810 5.3.18) */
    struct span hash, hash_alg;          /* hash_alg: whole AlgorithmIdentifier; empty: that of the certificate's signature */
    int64_t id;
    bool accepted;
    struct span text;                    /* the client's first line; may be empty */
};
MUST_USE enum err cmp_confirm_parse(struct span body, struct cmp_confirm *out, struct fault *f);       /* CE_BAD_CMP, CE_CMP_REQUEST */
/* The size in bits of the hash that alg (whole AlgorithmIdentifier) names; 0: none of ours. */
unsigned cmp_hash_bits(struct span alg);
/* Is it the hash of this certificate? bits 0: by the hash of the certificate's own signature, SHA-512 for Ed25519 (RFC 9481 2.2, 3.3). */
bool cmp_cert_hash_holds(struct span cert_der, unsigned bits, struct span hash);
MUST_USE enum err cmp_poll_parse(struct span body, int64_t *id, struct fault *f);                      /* CE_BAD_CMP, CE_CMP_REQUEST */

struct cmp_info { struct span oid, value; /* value: whole element; empty when absent */ };
MUST_USE enum err cmp_infos_parse(struct span body, struct cmp_info *out, size_t *n, struct fault *f); /* of CMP_INFOS; CE_BAD_CMP */

/* The last byte of id-it (1.3.6.1.5.5.7.4), 0 for other OIDs. */
enum cmp_it { CMP_IT_IMPLICIT_CONFIRM = 13, CMP_IT_CONFIRM_WAIT = 14, CMP_IT_CA_CERTS = 17, CMP_IT_ROOT_UPDATE = 18, CMP_IT_TEMPLATE = 19,
              CMP_IT_ROOT_CERT = 20 };
int cmp_it_of(struct span oid);

/* -- protection by a shared secret ---------------------------------------------------------------------------------------------------- */
#define CMP_PBM_ITERATIONS_MIN 100       /* RFC 9810 5.1.3.1 */
#define CMP_PBKDF2_ITERATIONS_MIN 1000   /* RFC 8018 4.2 */
#define CMP_ITERATIONS_MAX 100000        /* what a stranger may make us compute */
struct cmp_mac {
    bool pbmac1;                         /* RFC 8018 7.1 with PBKDF2; else password-based MAC, RFC 4211 4.4 */
    struct span salt;                    /* 8..64 bytes */
    int64_t iterations;
    unsigned hash, mac;                  /* bits: of the derivation, of the HMAC; 160, 256, 384 or 512 */
};
bool cmp_alg_is_mac(struct span alg);
MUST_USE enum err cmp_mac_parse(struct span alg, struct cmp_mac *out, struct fault *f); /* CE_CMP_ALG names the rule */
void cmp_mac_put(const struct cmp_mac *m, struct buf *out);                             /* the AlgorithmIdentifier */
/* Bytes of the MAC over message, mac / 8 of them. */
size_t cmp_mac_make(const struct cmp_mac *m, struct span secret, struct span message, uint8_t out[SHA512_LEN]);

/* -- answers ---------------------------------------------------------------------------------------------------------------------------- */
struct cmp_header {
    int64_t pvno, time_s;
    struct span sender;                  /* whole Name; empty: the NULL-DN */
    struct span recipient;               /* whole GeneralName; empty: the NULL-DN */
    struct span alg, sender_kid, transaction_id, sender_nonce, recip_nonce; /* empty: left out */
    bool implicit_confirm;               /* granted */
};
void cmp_header_put(const struct cmp_header *h, struct buf *out);

struct cmp_verdict { enum cmp_status status; struct span text; enum cmp_fail fail; /* CMP_FAIL_NONE: none */ };
/* Bodies with their tags. ip, cp, kup: cert empty unless accepted; ca_pubs: one more to be trusted, may be empty. */
void cmp_put_cert_rep(enum cmp_body type, int64_t id, const struct cmp_verdict *v, struct span cert, struct span ca_pub, struct buf *out);
void cmp_put_rev_rep(const struct cmp_verdict *v, struct buf *out);
void cmp_put_error(const struct cmp_verdict *v, struct buf *out);
void cmp_put_pkiconf(struct buf *out);
void cmp_put_poll_rep(int64_t id, int64_t check_after_s, struct span text, struct buf *out);
/* genp: values in the order given, each whole; empty: the infoType alone. */
void cmp_put_gen_rep(const struct cmp_info *infos, size_t n, struct buf *out);
/* The value of rootCaKeyUpdate (RFC 9810 5.3.19.15): three certificates; the last two, links, may be empty. */
void cmp_put_root_update(struct span new_with_new, struct span new_with_old, struct span old_with_new, struct buf *out);
/* The value of certReqTemplate (RFC 9483 4.3.3): a subject whose commonName is to be filled in, and the kinds of keys that algs lists. */
void cmp_put_template(struct span algs, struct buf *out);
void cmp_message_put(struct span header_body, struct span protection, const struct span *certs, size_t n, struct buf *out);

/* What an answer of ours is made of, for who signs it: a ProtectedPart with a header and one of the bodies above. certs: every certificate in
 * it. CE_BAD_CMP. */
MUST_USE enum err cmp_answer_check(struct span protected_part, struct span certs[CMP_ANSWER_CERTS], size_t *n, struct fault *f);

#endif
