/* mklog.c: a third party's maker of evidence exports: reads payloads, a line each, and writes OUT.jsonl, OUT.pub (verifier key)
 * and OUT.checkpoint, signed with an Ed25519 key made of SEED. It shares nothing with src/, so an export that both sides agree on
 * follows the published formats; and it signs any history, also ones that cradled never would.
 * usage: mklog ORIGIN SEED OUT < payloads     (SEED: a word; "!N " before a payload sets its nseq)
 */
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAVES_MAX 4096
#define LINE_BYTES 60000

static unsigned char leaf[LEAVES_MAX][32];
static size_t leaves;

static void hash_tree(size_t lo, size_t hi, unsigned char out[32]) /* RFC 6962 2.1 */
{
    if (hi == lo) {
        SHA256((const unsigned char *)"", 0, out);
        return;
    }
    if (hi - lo == 1) {
        memcpy(out, leaf[lo], 32);
        return;
    }
    size_t k = 1;
    unsigned char in[65] = {1};
    while (2 * k < hi - lo)
        k *= 2;
    hash_tree(lo, lo + k, in + 1);
    hash_tree(lo + k, hi, in + 33);
    SHA256(in, sizeof in, out);
}

static const char *base64(const unsigned char *p, size_t n)
{
    static unsigned char text[512];
    EVP_EncodeBlock(text, p, (int)n);
    return (const char *)text;
}

static void put_text(FILE *f, const char *s, size_t n) /* a JSON string */
{
    putc('"', f);
    for (size_t i = 0; i < n; i++)
        if (s[i] == '"' || s[i] == '\\')
            fprintf(f, "\\%c", s[i]);
        else if (s[i] == '\n')
            fputs("\\n", f);
        else
            putc(s[i], f);
    putc('"', f);
}

static void put_leaf(FILE *f, const char *payload, size_t n, long nseq)
{
    static unsigned char both[32 + LINE_BYTES];
    unsigned char entry[33] = {0};
    char seed[64];
    int len = snprintf(seed, sizeof seed, "salt %zu", leaves);
    SHA256((unsigned char *)seed, (size_t)len, both);
    memcpy(both + 32, payload, n);
    SHA256(both, 32 + n, entry + 1);
    SHA256(entry, sizeof entry, leaf[leaves]);
    fprintf(f, "{\"index\":%zu,\"slot\":1,\"nseq\":%ld,\"salt\":\"", leaves++, nseq);
    for (int i = 0; i < 32; i++)
        fprintf(f, "%02x", both[i]);
    fputs("\",\"payload\":", f);
    put_text(f, payload, n);
    fputs("}\n", f);
}

static FILE *create(const char *out, const char *suffix)
{
    char path[4096];
    snprintf(path, sizeof path, "%s%s", out, suffix);
    FILE *f = fopen(path, "w");
    if (!f) {
        perror(path);
        exit(1);
    }
    return f;
}

/* The note over the tree; its text also goes to OUT.checkpoint, the key to OUT.pub. */
static size_t make_note(const char *origin, const char *word, const char *out, char *note, size_t cap)
{
    unsigned char seed[32], root[32], typed[33] = {1}, id[32], blob[68];
    size_t pub_len = 32, sig_len = 64;
    SHA256((const unsigned char *)word, strlen(word), seed);
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, sizeof seed);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    hash_tree(0, leaves, root);
    int text = snprintf(note, cap, "%s\n%zu\n%s\n", origin, leaves, base64(root, sizeof root));
    char named[512];
    if (!key || !ctx || EVP_PKEY_get_raw_public_key(key, typed + 1, &pub_len) != 1 || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(ctx, blob + 4, &sig_len, (unsigned char *)note, (size_t)text) != 1)
        exit(1);
    int n = snprintf(named, sizeof named - 33, "%s\n", origin);
    memcpy(named + n, typed, sizeof typed);
    SHA256((unsigned char *)named, (size_t)n + sizeof typed, id);
    memcpy(blob, id, 4);
    text += snprintf(note + text, cap - (size_t)text, "\n\xe2\x80\x94 %s %s\n", origin, base64(blob, sizeof blob));
    FILE *f = create(out, ".pub");
    fprintf(f, "%s+%02x%02x%02x%02x+%s\n", origin, id[0], id[1], id[2], id[3], base64(typed, sizeof typed));
    fclose(f);
    f = create(out, ".checkpoint");
    fputs(note, f);
    fclose(f);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    return (size_t)text;
}

int main(int argc, char **argv)
{
    static char line[LINE_BYTES], note[4096], body_path[4096];
    if (argc != 4)
        return 2;
    snprintf(body_path, sizeof body_path, "%s.body", argv[3]);
    FILE *body = create(argv[3], ".body");
    long nseq = 0;
    while (fgets(line, sizeof line, stdin) && leaves < LEAVES_MAX) {
        char *p = line;
        nseq++;
        if (*p == '!')
            nseq = strtol(p + 1, &p, 10), p++;
        put_leaf(body, p, strcspn(p, "\n"), nseq);
    }
    fclose(body);
    size_t n = make_note(argv[1], argv[2], argv[3], note, sizeof note);
    FILE *out = create(argv[3], ".jsonl");
    fprintf(out, "{\"format\":\"cradle-evidence-1\",\"origin\":\"%s\",\"size\":%zu}\n", argv[1], leaves);
    body = fopen(body_path, "r");
    while (body && fgets(line, sizeof line, body))
        fputs(line, out);
    fputs("{\"checkpoint\":", out);
    put_text(out, note, n);
    fputs("}\n", out);
    if (body)
        fclose(body);
    remove(body_path);
    return fclose(out) != 0;
}
