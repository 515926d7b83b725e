/* hash.h: SHA-256 and SHA-1 of spans, one-shot and streamed. No allocation, no library context, safe in any thread.
 * SHA-1 is only for identifiers that RFC 5280 4.2.1.2 and RFC 6960 4.1.1 define with it, and as the transport checksum that hawkBit's clients
 * demand; never for signatures.
 */
#ifndef CRADLE_CRYPT_HASH_H
#define CRADLE_CRYPT_HASH_H

#include "base/span.h"

#define SHA256_LEN 32
#define SHA1_LEN 20
#define SHA384_LEN 48
#define SHA512_LEN 64

void sha256(struct span in, uint8_t out[SHA256_LEN]);
void sha256_two(struct span a, struct span b, uint8_t out[SHA256_LEN]); /* of a || b */
void sha1(struct span in, uint8_t out[SHA1_LEN]);
struct sha1 { uint64_t state[12]; }; /* as struct sha256 */
void sha1_begin(struct sha1 *h);
void sha1_add(struct sha1 *h, struct span in);
void sha1_end(struct sha1 *h, uint8_t out[SHA1_LEN]);
void sha384(struct span in, uint8_t out[SHA384_LEN]);
struct sha384 { uint64_t state[28]; }; /* as struct sha256 */
void sha384_begin(struct sha384 *h);
void sha384_add(struct sha384 *h, struct span in);
void sha384_end(struct sha384 *h, uint8_t out[SHA384_LEN]);
void sha512(struct span in, uint8_t out[SHA512_LEN]);
/* HMAC of RFC 2104 with SHA-256. */
void hmac_sha256(struct span key, struct span in, uint8_t out[SHA256_LEN]);

struct sha256 { uint64_t state[16]; }; /* private; needs no release */
void sha256_begin(struct sha256 *h);
void sha256_add(struct sha256 *h, struct span in);
void sha256_end(struct sha256 *h, uint8_t out[SHA256_LEN]);

#endif
