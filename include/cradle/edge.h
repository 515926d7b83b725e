/* cradle/edge.h: libcradle-edge: may the holder of this certificate be let in, now? For a user's own TLS server on a host where
 * cradle-edge runs and keeps the signed revocation snapshot (cradle/snapshot.h).
 *
 * What it is not: a TLS library and no chain builder. The server's TLS library has made sure that the peer holds the certificate's
 * key; this library judges everything that may change later, and everything that a resumed TLS session skips: issuer and its
 * signature, dates, usage, revocation of the certificate, block or quarantine of the identity, suspension of the line. Ask at every login, and on
 * long connections before every request: the answer for a certificate that was seen before takes about a microsecond.
 *
 * Threads: cradle_edge_check may be called in any number of threads at a time. No thread is started, no network is used; the snapshot's
 * folder is looked at again when the last look is more than 10 ms old, so that is how late a revocation is noticed. A whole new snapshot
 * is verified in the thread that notices it (some 50 ms for a million entries), while the others go on with the one before.
 */
#ifndef CRADLE_EDGE_H
#define CRADLE_EDGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CRADLE_EDGE_TEXT 256

struct cradle_edge; /* opaque */

struct cradle_edge_options { /* all borrowed until cradle_edge_open returns */
    const char *dir;          /* state_dir of cradle-edge; this process may read it (report_group in edge.conf) */
    const char *stream_pub;   /* file with the stream's public key: trust/stream.pub of the site */
    const char *const *cas;   /* files, PEM, one certificate each: the CAs whose holders are let in (ca/device.pem of the site); 1 to 8 */
    size_t n_cas;
    int64_t refuse_after_s;   /* age of the snapshot from which nobody is let in; 0: 15 minutes */
};

enum cradle_edge_answer {
    CRADLE_EDGE_ADMIT = 0,
    CRADLE_EDGE_REFUSE = 1,   /* this certificate may not come in */
    CRADLE_EDGE_STALE = 2,    /* nobody can say: there is no snapshot, or it is too old; a fail-closed server refuses */
};

struct cradle_edge_verdict { /* strings are NUL-terminated; "" when not known */
    char uid[65];             /* the device: the certificate's common name; only to be trusted with CRADLE_EDGE_ADMIT */
    char line[49];            /* product line, from the SAN URI urn:cradle:LINE:UID */
    char serial[41];          /* of the certificate, lower case hex */
    char reason[32];          /* stable code, "ok" or as in docs/reasons.md: certificate-revoked, device-revoked, stale, … */
    char state[16];           /* "active"; "quarantined": let in nowhere but to what repairs it; "" when the snapshot does not tell it */
    char text[CRADLE_EDGE_TEXT]; /* one sentence for the log */
};

/* 0, or -1 and one sentence in why (CRADLE_EDGE_TEXT bytes, may be NULL): a key or CA file is wrong. A snapshot that is not there yet is
 * no error: answers are CRADLE_EDGE_STALE until it comes. The caller closes *out. */
int cradle_edge_open(const struct cradle_edge_options *options, struct cradle_edge **out, char *why);
void cradle_edge_close(struct cradle_edge *edge); /* NULL is legal; no check may be running */

/* der: the peer's certificate as the TLS library has it (i2d_X509, gnutls_certificate_get_peers, …). out may be NULL. */
enum cradle_edge_answer cradle_edge_check(struct cradle_edge *edge, const void *der, size_t n, struct cradle_edge_verdict *out);

#ifdef __cplusplus
}
#endif

#endif
