/* hash.c: see hash.h. The low-level functions need neither a fetch nor an allocation for each message: on OpenSSL 3.0 the EVP
 * one-shot costs more than the hash of a short message itself. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypt/hash.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

_Static_assert(sizeof(struct sha256) >= sizeof(SHA256_CTX), "struct sha256 holds OpenSSL's state");
_Static_assert(_Alignof(struct sha256) >= _Alignof(SHA256_CTX), "and is aligned for it");

void sha256_begin(struct sha256 *h) { SHA256_Init((SHA256_CTX *)h->state); }

void sha256_add(struct sha256 *h, struct span in)
{
    if (in.n)
        SHA256_Update((SHA256_CTX *)h->state, in.p, in.n);
}

void sha256_end(struct sha256 *h, uint8_t out[SHA256_LEN]) { SHA256_Final(out, (SHA256_CTX *)h->state); }

void sha256(struct span in, uint8_t out[SHA256_LEN])
{
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, in);
    sha256_end(&h, out);
}

void sha256_two(struct span a, struct span b, uint8_t out[SHA256_LEN])
{
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, a);
    sha256_add(&h, b);
    sha256_end(&h, out);
}

_Static_assert(sizeof(struct sha1) >= sizeof(SHA_CTX), "struct sha1 holds OpenSSL's state");

void sha1_begin(struct sha1 *h) { SHA1_Init((SHA_CTX *)h->state); }

void sha1_add(struct sha1 *h, struct span in)
{
    if (in.n)
        SHA1_Update((SHA_CTX *)h->state, in.p, in.n);
}

void sha1_end(struct sha1 *h, uint8_t out[SHA1_LEN]) { SHA1_Final(out, (SHA_CTX *)h->state); }

void sha1(struct span in, uint8_t out[SHA1_LEN])
{
    struct sha1 h;
    sha1_begin(&h);
    sha1_add(&h, in);
    sha1_end(&h, out);
}

void sha384(struct span in, uint8_t out[SHA384_LEN])
{
    SHA512_CTX c;
    SHA384_Init(&c);
    if (in.n)
        SHA384_Update(&c, in.p, in.n);
    SHA384_Final(out, &c);
}

void sha512(struct span in, uint8_t out[SHA512_LEN])
{
    SHA512_CTX c;
    SHA512_Init(&c);
    if (in.n)
        SHA512_Update(&c, in.p, in.n);
    SHA512_Final(out, &c);
}

_Static_assert(sizeof(struct sha384) >= sizeof(SHA512_CTX), "struct sha384 holds OpenSSL's state");

void sha384_begin(struct sha384 *h) { SHA384_Init((SHA512_CTX *)h->state); }

void sha384_add(struct sha384 *h, struct span in)
{
    if (in.n)
        SHA384_Update((SHA512_CTX *)h->state, in.p, in.n);
}

void sha384_end(struct sha384 *h, uint8_t out[SHA384_LEN]) { SHA384_Final(out, (SHA512_CTX *)h->state); }

void hmac_sha256(struct span key, struct span in, uint8_t out[SHA256_LEN])
{
    uint8_t short_key[SHA256_LEN], pad[64];
    struct sha256 h;
    if (key.n > sizeof pad) {
        sha256(key, short_key);
        key = span_of(short_key, sizeof short_key);
    }
    for (int outer = 0; outer < 2; outer++) {
        for (size_t i = 0; i < sizeof pad; i++)
            pad[i] = (uint8_t)((i < key.n ? key.p[i] : 0) ^ (outer ? 0x5c : 0x36));
        sha256_begin(&h);
        sha256_add(&h, span_of(pad, sizeof pad));
        sha256_add(&h, outer ? span_of(out, SHA256_LEN) : in);
        sha256_end(&h, out);
    }
    OPENSSL_cleanse(short_key, sizeof short_key);
    OPENSSL_cleanse(pad, sizeof pad);
    OPENSSL_cleanse(&h, sizeof h);
}
