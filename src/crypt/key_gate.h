/* key_gate.h: the one judgement of every public key that is to be certified: is it sound, and does the policy take it? Pure: bytes and
 * policy in, a verdict that names the broken rule out. What only a site knows (keys seen before, revoked or blocked) is core's to judge.
 * What each rule is for: docs/keys.md.
 */
#ifndef CRADLE_CRYPT_KEY_GATE_H
#define CRADLE_CRYPT_KEY_GATE_H

#include "crypt/key.h"

#define KEY_RSA_BITS_MIN 3072   /* of keys that a policy takes; 2048 without one */
#define KEY_RSA_BITS_MAX 7680   /* 192 bits of security; larger ones only cost time */

struct key_policy {
    const char *algs;       /* names separated by blanks, see key.h; NULL: any sound key */
    bool exponent_any;      /* RSA: any odd exponent from 65537 to below 2^256, not 65537 alone */
};

/* spki_parse, then policy, then soundness, so that only kinds of keys that are wanted cost more than their structure. policy NULL: any
 * sound key. CE_BAD_DER; CE_KEY_ALG (not wanted), CE_KEY_WEAK (too short), CE_KEY_INVALID (no point of its curve, infinity, small order,
 * explicit parameters, an even modulus), CE_KEY_EXPONENT, CE_KEY_FACTOR (a prime below 2^16 divides the modulus), CE_KEY_ROCA,
 * CE_KEY_POWER (a square, a prime or a power of one), CE_KEY_CLOSE (the two primes are so close that Fermat's method finds them). */
MUST_USE enum err key_gate(struct span spki, const struct key_policy *policy, struct spki_info *out, struct fault *f);

/* How Debian's openssl-blacklist names an RSA key: the last 10 bytes of the SHA-1 of what `openssl rsa -modulus` prints. False: no RSA key. */
#define KEY_DEBIAN_LEN 10
bool key_debian_id(struct span spki, uint8_t out[KEY_DEBIAN_LEN]);

#endif
