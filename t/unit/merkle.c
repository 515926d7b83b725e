/* merkle.c (test): hashes of RFC 6962 against known roots, then every proof of every tree of 1..70 leaves and of large random
 * ones, good and corrupted, judged by src/ and by the independent program t/tool/rfc6962.c: the verdicts must agree. */
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "crypt/merkle.h"
#include "t/tap.h"

static uint64_t seed = 20260612;
static uint64_t rnd(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

/* A tree of any size whose leaf i is made from i, and whose perfect subtrees above level 6 are made up: proofs only need to be
 * consistent with one another, so a virtual tree may be as large as 2^60. */
static enum err virtual_node(void *ctx, unsigned level, uint64_t index, struct merkle_hash *out)
{
    uint64_t in[2] = {level, index};
    struct merkle_hash l, r;
    unsigned floor = *(unsigned *)ctx;
    if (level <= floor) {
        merkle_leaf(span_of(in, sizeof in), out);
        return level == 0 || level == floor ? CE_OK : CE_INTERNAL;
    }
    enum err e = virtual_node(ctx, level - 1, 2 * index, &l);
    if (!e)
        e = virtual_node(ctx, level - 1, 2 * index + 1, &r);
    merkle_node(&l, &r, out);
    return e;
}

static enum err leaf_node(void *ctx, unsigned level, uint64_t index, struct merkle_hash *out)
{
    const struct merkle_hash *leaves = ctx;
    merkle_root(leaves + (index << level), UINT64_C(1) << level, out);
    return CE_OK;
}

static const char *hex(const struct merkle_hash *h)
{
    static char text[4][65];
    static int at;
    char *p = text[at = (at + 1) % 4];
    for (int i = 0; i < 32; i++)
        snprintf(p + 2 * i, 3, "%02x", h->b[i]);
    return p;
}

static FILE *ask;           /* questions for the other program */
static struct buf verdicts; /* our own answers, a byte each */
static unsigned asked, accepted;

static void question(bool inclusion, uint64_t a, uint64_t b, const struct merkle_hash *x, const struct merkle_hash *y,
                     const struct merkle_proof *p)
{
    enum err e = inclusion ? merkle_inclusion_verify(x, a, b, p, y) : merkle_consistency_verify(a, b, x, y, p);
    buf_put_u8(&verdicts, e == CE_OK);
    asked++;
    accepted += e == CE_OK;
    fprintf(ask, "%s %llu %llu %s", inclusion ? "inclusion" : "consistency", (unsigned long long)a, (unsigned long long)b, hex(x));
    fprintf(ask, " %s", hex(y));
    for (unsigned i = 0; i < p->n; i++)
        fprintf(ask, " %s", hex(&p->h[i]));
    fputc('\n', ask);
}

/* The good question and one corrupted in each part; says whether our answers were right. */
static bool questions(bool inclusion, uint64_t a, uint64_t b, struct merkle_hash x, struct merkle_hash y, struct merkle_proof p)
{
    unsigned before = accepted;
    question(inclusion, a, b, &x, &y, &p);
    bool good = accepted == before + 1;
    struct merkle_proof q = p;
    uint8_t bit = (uint8_t)(1u << (rnd() % 8));
    before = accepted;
    if (p.n) {
        q.h[rnd() % p.n].b[rnd() % 32] ^= bit;
        question(inclusion, a, b, &x, &y, &q);
        q = p;
        q.n--;
        question(inclusion, a, b, &x, &y, &q);
    }
    q = p;
    q.h[q.n++] = p.n ? p.h[0] : x;
    question(inclusion, a, b, &x, &y, &q);
    struct merkle_hash broken = y;
    broken.b[rnd() % 32] ^= bit;
    question(inclusion, a, b, &x, &broken, &p);
    broken = x;
    broken.b[rnd() % 32] ^= bit;
    question(inclusion, a, b, &broken, &y, &p);
    question(inclusion, a, 0, &x, &y, &p);
    question(inclusion, b + 1, b, &x, &y, &p);
    return good && accepted == before;
}

static bool all_sizes(void)
{
    struct merkle_hash leaves[70], root, old;
    struct merkle_source src = {leaves, leaf_node};
    struct merkle_proof p;
    bool good = true;
    for (uint64_t i = 0; i < 70; i++)
        merkle_leaf(span_of(&i, sizeof i), &leaves[i]);
    for (uint64_t size = 1; size <= 70; size++) {
        merkle_root(leaves, size, &root);
        for (uint64_t i = 0; i < size; i++) {
            good &= !merkle_inclusion(&src, i, size, &p) && questions(true, i, size, leaves[i], root, p);
            merkle_root(leaves, i + 1, &old);
            good &= !merkle_consistency(&src, i + 1, size, &p) && questions(false, i + 1, size, old, root, p);
        }
    }
    return good;
}

static bool large_sizes(void)
{
    bool good = true;
    for (int round = 0; round < 60; round++) {
        unsigned floor = 0;
        struct merkle_source src = {&floor, virtual_node};
        uint64_t size = 71 + rnd() % 3000, index = rnd() % size, oldsize = 1 + rnd() % size;
        struct merkle_hash leaf, root, old;
        struct merkle_proof p;
        good &= !merkle_root_at(&src, size, &root) && !merkle_root_at(&src, oldsize, &old) && !virtual_node(&floor, 0, index, &leaf);
        good &= !merkle_inclusion(&src, index, size, &p) && questions(true, index, size, leaf, root, p);
        good &= !merkle_consistency(&src, oldsize, size, &p) && questions(false, oldsize, size, old, root, p);
    }
    return good;
}

static bool range_agrees(void)
{
    struct merkle_hash leaves[300], a, b;
    struct merkle_range r = {0};
    struct merkle_source src = {leaves, leaf_node};
    for (uint64_t i = 0; i < 300; i++) {
        merkle_leaf(span_of(&i, sizeof i), &leaves[i]);
        merkle_range_add(&r, &leaves[i]);
        merkle_range_root(&r, &a);
        if (merkle_root_at(&src, i + 1, &b) || !merkle_eq(&a, &b))
            return false;
    }
    return true;
}

static void known_answers(void)
{
    struct merkle_hash h, leaves[8];
    /* the test tree of Certificate Transparency (RFC 6962 reference implementation) */
    static const char *const inputs[8] = {"",
                                          "\x00",
                                          "\x10",
                                          "\x20\x21",
                                          "\x30\x31",
                                          "\x40\x41\x42\x43",
                                          "\x50\x51\x52\x53\x54\x55\x56\x57",
                                          "\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f"};
    static const size_t lens[8] = {0, 1, 1, 2, 2, 4, 8, 16};
    merkle_empty(&h);
    ok(strcmp(hex(&h), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855") == 0, "the empty tree's root");
    for (int i = 0; i < 8; i++)
        merkle_leaf(span_of(inputs[i], lens[i]), &leaves[i]);
    merkle_root(leaves, 1, &h);
    ok(strcmp(hex(&h), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d") == 0, "the empty leaf's hash");
    merkle_root(leaves, 8, &h);
    ok(strcmp(hex(&h), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328") == 0, "root of the CT test tree of 8 leaves");
}

/* Runs the independent program (path in $RFC6962 or beside this one) over the questions. */
static bool second_opinion(const char *self, const char *questions_path)
{
    char cmd[2048];
    const char *tool = getenv("RFC6962"), *slash = strrchr(self, '/');
    if (tool)
        snprintf(cmd, sizeof cmd, "'%s' < '%s'", tool, questions_path);
    else
        snprintf(cmd, sizeof cmd, "'%.*s/rfc6962' < '%s'", slash ? (int)(slash - self) : 1, slash ? self : ".", questions_path);
    FILE *p = popen(cmd, "r");
    char line[64];
    unsigned n = 0, differ = 0;
    while (p && fgets(line, sizeof line, p) && n < asked) {
        differ += (strcmp(line, "ok\n") == 0) != verdicts.data[n];
        n++;
    }
    int status = p ? pclose(p) : -1;
    if (n != asked || differ)
        printf("# %u answers to %u questions, %u differ, status %d\n", n, asked, differ, status);
    return n == asked && !differ && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

int main(int argc, char **argv)
{
    (void)argc;
    char path[] = "/tmp/cradle-merkle-XXXXXX";
    int fd = mkstemp(path);
    ask = fdopen(fd, "w");
    ok(ask != NULL, "a file for the questions");
    known_answers();
    ok(range_agrees(), "compact range and root_at agree for 1..300 leaves");
    ok(all_sizes(), "every proof of 1..70 leaves: good ones accepted, corrupted ones refused");
    ok(large_sizes(), "random large trees: good proofs accepted, corrupted ones refused");
    fclose(ask);
    ok(second_opinion(argv[0], path), "the independent verifier agrees on all %u questions (%u good)", asked, accepted);
    unlink(path);
    buf_free(&verdicts);
    return done();
}
