/* note.c (test): signed notes and checkpoints: a public example, our own signatures, and what must be refused. */
#include "base/mem.h"
#include "crypt/ed25519.h"
#include "t/tap.h"
#include "wire/checkpoint.h"

static struct fault f;

/* The example of Go's golang.org/x/mod/sumdb/note documentation: made and signed by another implementation. */
static void test_public_example(void)
{
    static const char vkey[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    static const char note[] =
        "If you think cryptography is the answer to your problem,\n"
        "then you don't know what your problem is.\n"
        "\n"
        "\xe2\x80\x94 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    struct note_key k;
    struct span text;
    ok(note_key_parse(span_str(vkey), &k, &f) == CE_OK && strcmp(k.name, "PeterNeumann") == 0, "a verifier key of another implementation");
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    note_key_put(&k, &b);
    ok(strcmp(buf_cstr(&b), vkey) == 0, "is written as it was read");
    ok(note_verify(&k, span_str(note), &text, &f) == CE_OK && text.n == 99, "its note verifies");
    char bad[sizeof note];
    memcpy(bad, note, sizeof note);
    bad[3] ^= 1;
    ok(note_verify(&k, span_str(bad), &text, &f) == CE_BAD_SIGNATURE, "a changed letter does not: %s", f.text);
}

static void make(struct note_key *k, struct key **key, const char *name)
{
    uint8_t pub[32];
    if (key_generate("ed25519", key, &f) || ed25519_public(*key, pub) || note_key_make(k, span_str(name), pub, &f))
        printf("Bail out! %s\n", f.text);
}

static void test_own(void)
{
    struct note_key k, other;
    struct key *key = NULL, *key2 = NULL;
    struct checkpoint c;
    struct span text;
    struct merkle_hash root = {{1, 2, 3}};
    CLEANUP(buf_free) struct buf note = BUF_INIT(0), two = BUF_INIT(0);
    make(&k, &key, "test.example/log");
    make(&other, &key2, "witness.example/w1");
    ok(checkpoint_sign(&k, key, 12345, &root, &note) == CE_OK, "a checkpoint is signed");
    ok(checkpoint_open(&k, buf_span(&note), &c, &f) == CE_OK && c.size == 12345 && merkle_eq(&c.root, &root) &&
           strcmp(c.origin, k.name) == 0,
       "and opens again");
    ok(checkpoint_open(&other, buf_span(&note), &c, &f) == CE_BAD_SIGNATURE, "not with another key: %s", f.text);
    /* a witness adds its line; order does not matter */
    struct span sigs;
    ok(note_split(buf_span(&note), &text, &sigs, &f) == CE_OK, "text and signatures");
    CLEANUP(buf_free) struct buf w = BUF_INIT(0);
    ok(note_sign(&other, key2, text, &w) == CE_OK, "a witness signs the same text");
    buf_put_span(&two, buf_span(&w));
    buf_put_span(&two, sigs);
    ok(note_verify(&k, buf_span(&two), &text, &f) == CE_OK && note_verify(&other, buf_span(&two), &text, &f) == CE_OK,
       "both lines verify, each by its key");
    size_t refused = 0;
    for (size_t i = 0; i < note.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            note.data[i] ^= (uint8_t)(1 << bit);
            refused += checkpoint_open(&k, buf_span(&note), &c, &f) != CE_OK;
            note.data[i] ^= (uint8_t)(1 << bit);
        }
    ok(refused >= note.len * 8 - 8, "every flipped bit is noticed (%zu of %zu; padding bits of base64 mean nothing)", refused,
       note.len * 8);
    refused = 0;
    for (size_t n = 0; n < note.len; n++)
        refused += checkpoint_open(&k, span_of(note.data, n), &c, &f) != CE_OK;
    ok(refused == note.len, "every shortened note is refused");
    key_free(key);
    key_free(key2);
}

static void test_bad(void)
{
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "empty"},
        {"a\n1\n", "no root"},
        {"\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "empty origin"},
        {"a\n01\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "leading zero"},
        {"a\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "negative size"},
        {"a\n99999999999999999999\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n", "size beyond 63 bits"},
        {"a\n1\nAAAA\n", "short root"},
        {"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n", "root with bits beyond its end"},
        {"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "no newline"},
        {"a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n", "empty extension line"},
    };
    static const char *const keys[] = {"",
                                       "a",
                                       "a+00000000+AAAA",
                                       "a b+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                       "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
                                       "PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"};
    struct checkpoint c;
    struct note_key k;
    size_t refused = 0;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ok(checkpoint_parse(span_str(bad[i].text), &c, &f) == CE_BAD_CHECKPOINT, "%s: %s", bad[i].why, f.text);
    ok(checkpoint_parse(SPAN_LIT("a\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nextension 1\n"), &c, &f) == CE_OK,
       "an extension line is accepted");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        refused += note_key_parse(span_str(keys[i]), &k, &f) == CE_BAD_CHECKPOINT;
    ok(refused == ARRAY_LEN(keys), "malformed verifier keys are refused");
}

int main(void)
{
    test_public_example();
    test_own();
    test_bad();
    return done();
}
