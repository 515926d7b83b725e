/* rfc6962.c: a third party's verifier of Merkle proofs: the algorithms of RFC 9162 2.1.3.2 and 2.1.4.2 as the RFC writes
 * them, sharing nothing with src/ (libcrypto's SHA-256 only). Reads lines, answers each with "ok" or "bad":
 *   inclusion INDEX SIZE LEAFHASH ROOT [HASH…]
 *   consistency OLD NEW OLDROOT NEWROOT [HASH…]
 * Hashes are 64 hex digits. Exit code 0 when every line was answered ok, 1 when one was bad, 2 when one is no question.
 */
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH 32
#define PATH_MAX_HASHES 256

struct question {
    uint64_t a, b;                  /* index and size, or old and new size */
    unsigned char x[HASH], y[HASH]; /* leaf and root, or old and new root */
    unsigned char path[PATH_MAX_HASHES + 1][HASH];
    size_t n;
};

static void node(const unsigned char *l, const unsigned char *r, unsigned char *out)
{
    unsigned char in[1 + 2 * HASH] = {1};
    memcpy(in + 1, l, HASH);
    memcpy(in + 1 + HASH, r, HASH);
    SHA256(in, sizeof in, out);
}

/* RFC 9162 2.1.3.2 */
static bool inclusion(const struct question *q)
{
    if (q->a >= q->b)
        return false;
    uint64_t fn = q->a, sn = q->b - 1;
    unsigned char r[HASH];
    memcpy(r, q->x, HASH);
    for (size_t i = 0; i < q->n; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            node(q->path[i], r, r);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            node(r, q->path[i], r);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(r, q->y, HASH) == 0;
}

/* RFC 9162 2.1.4.2; equal sizes: equal roots and an empty path */
static bool consistency(struct question *q)
{
    if (q->a == 0 || q->a > q->b)
        return false;
    if (q->a == q->b)
        return q->n == 0 && memcmp(q->x, q->y, HASH) == 0;
    if (q->n == 0)
        return false;
    if ((q->a & (q->a - 1)) == 0) {
        memmove(q->path[1], q->path[0], q->n * HASH);
        memcpy(q->path[0], q->x, HASH);
        q->n++;
    }
    uint64_t fn = q->a - 1, sn = q->b - 1;
    while (fn & 1) {
        fn >>= 1;
        sn >>= 1;
    }
    unsigned char fr[HASH], sr[HASH];
    memcpy(fr, q->path[0], HASH);
    memcpy(sr, q->path[0], HASH);
    for (size_t i = 1; i < q->n; i++) {
        if (sn == 0)
            return false;
        if ((fn & 1) || fn == sn) {
            node(q->path[i], fr, fr);
            node(q->path[i], sr, sr);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            node(sr, q->path[i], sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(fr, q->x, HASH) == 0 && memcmp(sr, q->y, HASH) == 0;
}

static bool read_hash(const char *word, unsigned char *out)
{
    if (strlen(word) != 2 * HASH || strspn(word, "0123456789abcdefABCDEF") != 2 * HASH)
        return false;
    for (int i = 0; i < HASH; i++) {
        char two[3] = {word[2 * i], word[2 * i + 1], 0};
        out[i] = (unsigned char)strtoul(two, NULL, 16);
    }
    return true;
}

static bool read_number(const char *word, uint64_t *out)
{
    char *end;
    *out = strtoull(word, &end, 10);
    return *word >= '0' && *word <= '9' && *end == 0;
}

static bool read_question(char *line, char *kind, size_t cap, struct question *q)
{
    char *save = NULL;
    char *word[5];
    for (int i = 0; i < 5; i++)
        if (!(word[i] = strtok_r(i ? NULL : line, " \n", &save)))
            return false;
    snprintf(kind, cap, "%s", word[0]);
    if (!read_number(word[1], &q->a) || !read_number(word[2], &q->b) || !read_hash(word[3], q->x) || !read_hash(word[4], q->y))
        return false;
    q->n = 0;
    for (char *w; (w = strtok_r(NULL, " \n", &save)); q->n++)
        if (q->n == PATH_MAX_HASHES || !read_hash(w, q->path[q->n]))
            return false;
    return true;
}

int main(void)
{
    static char line[32768];
    static struct question q;
    int bad = 0;
    while (fgets(line, sizeof line, stdin)) {
        char kind[16];
        bool good;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (!read_question(line, kind, sizeof kind, &q)) {
            puts("not a question");
            return 2;
        }
        if (strcmp(kind, "inclusion") == 0) {
            good = inclusion(&q);
        } else if (strcmp(kind, "consistency") == 0) {
            good = consistency(&q);
        } else {
            puts("not a question");
            return 2;
        }
        puts(good ? "ok" : "bad");
        bad |= !good;
    }
    return bad;
}
