/* cradle/psa.h: the device's key behind the PSA Crypto API 1.0 (TF-M, mbedTLS, a secure element's driver), as a port of libcradle-dev. It declares what
 * examples/psa/port_psa.c implements: a source to compile into a firmware with its own PSA headers, or into a module for cradle-agent (key = psa:ID). It is in no
 * library of ours, because types of PSA have no binary form that implementations share.
 *
 * Keys are P-256, persistent, for signatures over SHA-256 alone, not exportable. IDs are those of applications: 1 to 0x3fffffff.
 * Every function initialises PSA when that was not done, and returns 0, one of the two words below, or another negative status of PSA. */
#ifndef CRADLE_PSA_H
#define CRADLE_PSA_H

#include "cradle/dev.h"

#define CRADLE_PSA_ID_MAX 0x3fffffffu
enum { CRADLE_PSA_TAKEN = -139, CRADLE_PSA_NONE = -140 }; /* a key has this ID already; none has it */

struct cradle_psa {
    struct cradle_port port; /* its ctx points at this struct: do not move it */
    uint32_t id;
};

/* Makes a key and keeps it. Never over another: CRADLE_PSA_TAKEN. */
int cradle_psa_make(uint32_t id);
/* Fills k: callbacks and public key. Nothing has to be closed. */
int cradle_psa_open(uint32_t id, struct cradle_psa *k);
/* r || s over a SHA-256 digest, for TLS; k->port.sign gives the same in DER. */
int cradle_psa_sign(uint32_t id, const uint8_t digest[32], uint8_t sig[64]);
/* Destroys it for good. 0 also when there is none. */
int cradle_psa_destroy(uint32_t id);

#endif
