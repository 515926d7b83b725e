/* depot_hash.c: the digests of uploads, made while the bytes come: of the whole and of each block. */
#include "base/mem.h"
#include "role/depot_priv.h"

void depot_state_free(struct depot_state *s)
{
    buf_free(&s->blocks);
    *s = (struct depot_state){ 0 };
}

static void state_begin(struct depot_state *s, struct span sha256)
{
    depot_state_free(s);
    memcpy(s->sha256, sha256.p, SHA256_LEN);
    s->blocks = BUF_INIT(DEPOT_LENGTH_MAX / DEPOT_BLOCK * SHA256_LEN);
    sha256_begin(&s->whole);
    sha256_begin(&s->block);
    sha1_begin(&s->sha1);
}

struct depot_state *depot_state_of(struct depot *d, struct span sha256, bool make)
{
    struct depot_state *oldest = &d->states[0];
    for (size_t i = 0; i < DEPOT_STATES; i++) {
        struct depot_state *s = &d->states[i];
        if (s->used && memcmp(s->sha256, sha256.p, SHA256_LEN) == 0) {
            s->used = ++d->clock;
            return s;
        }
        oldest = s->used < oldest->used ? s : oldest;
    }
    if (!make)
        return NULL;
    state_begin(oldest, sha256);
    oldest->used = ++d->clock;
    return oldest;
}

static void block_end(struct depot_state *s)
{
    uint8_t digest[SHA256_LEN];
    sha256_end(&s->block, digest);
    buf_put(&s->blocks, digest, sizeof digest);
    sha256_begin(&s->block);
}

void depot_state_add(struct depot_state *s, struct span bytes)
{
    sha256_add(&s->whole, bytes);
    sha1_add(&s->sha1, bytes);
    while (bytes.n) {
        size_t room = DEPOT_BLOCK - (size_t)(s->hashed % DEPOT_BLOCK), n = bytes.n < room ? bytes.n : room;
        sha256_add(&s->block, span_of(bytes.p, n));
        s->hashed += (int64_t)n;
        bytes = span_of(bytes.p + n, bytes.n - n);
        if (n == room)
            block_end(s);
    }
}

void depot_state_end(struct depot_state *s, uint8_t digest[SHA256_LEN], uint8_t sha1_digest[SHA1_LEN])
{
    if (s->hashed % DEPOT_BLOCK)
        block_end(s);
    sha256_end(&s->whole, digest);
    sha1_end(&s->sha1, sha1_digest);
}
