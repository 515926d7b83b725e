/* cradle/dev.h: the portable device library. Identity of a device for any target from an MCU to Linux: CSR, EST bodies,
 * certificate reading, renewal decisions.
 *
 * What it is not: it opens no socket and no file, knows no clock, allocates nothing (all memory is the caller's) and never sees a
 * private key. What it needs from the target is in struct cradle_port: SHA-256 and one sign(digest) callback, behind which the key
 * may live in a file, a TPM, a PKCS#11 token or a secure element. Keys are NIST P-256.
 * It does not verify the certificate that it receives against a CA: the transport (TLS to the site's EST server, server verified)
 * does that; cradle_cert_matches() makes sure that it is for this device's key and name.
 *
 * Every function returns CRADLE_OK or a negative error; outputs are unspecified after an error.
 */
#ifndef CRADLE_DEV_H
#define CRADLE_DEV_H

#include <stddef.h>
#include <stdint.h>

enum cradle_dev_err {
    CRADLE_OK = 0,
    CRADLE_E_SPACE = -1,    /* the caller's buffer is too small */
    CRADLE_E_INPUT = -2,    /* bytes from outside are malformed */
    CRADLE_E_NAME = -3,     /* the UID or serial has characters that are not allowed */
    CRADLE_E_SIGN = -4,     /* the sign callback failed */
    CRADLE_E_MISMATCH = -5, /* the certificate is not for this key and name */
};

#define CRADLE_POINT_LEN 65 /* uncompressed P-256 point: 0x04 X Y */
#define CRADLE_SIG_MAX 72   /* DER ECDSA-Sig-Value over P-256 */
#define CRADLE_UID_MAX 64
#define CRADLE_CSR_MAX 640  /* no CSR of this library is longer */

/* What the target gives. Both callbacks return 0 on success. */
struct cradle_port {
    void *ctx;                                                        /* handed back to the callbacks */
    int (*sha256)(void *ctx, const void *data, size_t n, uint8_t out[32]);
    int (*sign)(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *sig_len); /* in: CRADLE_SIG_MAX; DER out */
    uint8_t point[CRADLE_POINT_LEN];                                  /* the public key */
};

/* Who the device is. Borrowed strings; serial and san_uri may be NULL. */
struct cradle_name {
    const char *uid;     /* becomes CN: 1..64 of A-Z a-z 0-9 . _ - : beginning with a letter or digit */
    const char *serial;  /* serialNumber attribute (RFC 5280 4.1.2.4), 1..64 printable characters */
    const char *san_uri; /* URI subjectAltName (RFC 5280 4.2.1.6), <= 255 characters */
};

/* A certification request (RFC 2986), signed through the port. *len: in capacity, out length. */
int cradle_csr_make(const struct cradle_port *port, const struct cradle_name *name, uint8_t *out, size_t *len);

/* Fields of an X.509 certificate (RFC 5280). Pointers into the DER. */
struct cradle_cert {
    const uint8_t *serial;  size_t serial_len;   /* minimal positive big-endian */
    const char *cn;         size_t cn_len;
    int64_t not_before_s, not_after_s;           /* seconds since 1970 */
    const uint8_t *point;                        /* 65 bytes, or NULL when the key is not P-256 */
    const uint8_t *aki;     size_t aki_len;      /* authority key identifier, NULL when absent */
};
int cradle_cert_read(const uint8_t *der, size_t n, struct cradle_cert *out);
int cradle_cert_matches(const struct cradle_cert *cert, const struct cradle_port *port, const struct cradle_name *name);

/* EST bodies (RFC 7030 4.2, RFC 8951): the CSR as base64; the answer, base64 of a certs-only PKCS#7 with any white space. */
int cradle_est_body(const uint8_t *csr, size_t n, char *out, size_t *len);             /* in capacity, out length; not NUL-terminated */
/* Decodes body in place (it is overwritten) and points *der at the first certificate inside. */
int cradle_est_answer(char *body, size_t n, const uint8_t **der, size_t *der_len);

/* When to renew: the moment after renew_at_pct % of the certificate's life, moved later by a part of the window that
 * the device's UID decides (so that a fleet born together does not renew together), but never later than 9/10 of the life. */
int64_t cradle_renew_at_s(const struct cradle_cert *cert, int renew_at_pct, const char *uid);
/* Full-jitter back-off: a wait of 0..min(cap, base * 2^attempt) ms, from 32 random bits of the caller's. */
uint32_t cradle_backoff_ms(unsigned attempt, uint32_t base_ms, uint32_t cap_ms, uint32_t random);

/* The life of an identity on the device. The caller keeps the state, reports what happened, and does what it is told:
 * a new certificate replaces the old one only after a connection with it has worked. */
enum cradle_phase { CRADLE_NO_KEY, CRADLE_NO_CERT, CRADLE_CURRENT, CRADLE_CANDIDATE };
enum cradle_event { CRADLE_EV_START, CRADLE_EV_KEY_MADE, CRADLE_EV_CERT_STORED, CRADLE_EV_DUE, CRADLE_EV_CONNECTED, CRADLE_EV_REFUSED, CRADLE_EV_SWAPPED };
enum cradle_action { CRADLE_DO_NOTHING, CRADLE_DO_MAKE_KEY, CRADLE_DO_ENROLL, CRADLE_DO_CONNECT, CRADLE_DO_RENEW, CRADLE_DO_TRY_CANDIDATE, CRADLE_DO_SWAP, CRADLE_DO_DROP_CANDIDATE };
/* Moves *phase by the table in state.c and returns what to do now. An event that the phase does not know changes nothing. */
enum cradle_action cradle_step(enum cradle_phase *phase, enum cradle_event event);

#endif
