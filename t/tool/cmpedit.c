/* cmpedit.c: changes the header of a CMP message (RFC 9810) and protects it anew, so that a test can send what no honest client sends, and PBMAC1
 * (RFC 9481 6.1.2), which OpenSSL 3.0 does not make. With OpenSSL alone.
 * usage: cmpedit KEY.pem|REFERENCE:SECRET [time=SECONDS FROM NOW] [TAG=HEX|TAG=] <IN.der >OUT.der
 *   TAG=HEX  the OCTET STRING of header field [TAG]: 4 transactionID, 5 senderNonce, 6 recipNonce; TAG= leaves it out
 */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST(x) do { if (!(x)) { fprintf(stderr, "cmpedit: failed: %s\n", #x); exit(1); } } while (0)
#define MAX 60000

struct bytes { unsigned char b[MAX]; size_t n; };

static void put(struct bytes *o, const void *p, size_t n)
{
    MUST(o->n + n <= MAX);
    memcpy(o->b + o->n, p, n);
    o->n += n;
}

static void put_tlv(struct bytes *o, unsigned tag, const void *p, size_t n)
{
    unsigned char head[4] = { (unsigned char)tag, 0x82, (unsigned char)(n >> 8), (unsigned char)n };
    if (n < 128)
        head[1] = (unsigned char)n;
    else if (n < 256)
        head[1] = 0x81, head[2] = (unsigned char)n;
    put(o, head, n < 128 ? 2 : n < 256 ? 3 : 4);
    put(o, p, n);
}

/* The element at *at: its tag, contents in *p and *n; *at moves behind it. */
static unsigned get_tlv(const unsigned char **at, const unsigned char *end, const unsigned char **p, size_t *n)
{
    MUST(end - *at >= 2);
    const unsigned char *c = *at;
    unsigned tag = c[0], len = c[1];
    c += 2;
    *n = len;
    if (len & 0x80)
        for (*n = 0, len &= 0x7f; len; len--) {
            MUST(c < end && *n < MAX);
            *n = *n << 8 | *c++;
        }
    MUST(*n <= (size_t)(end - c));
    *p = c;
    *at = c + *n;
    return tag;
}

static void put_explicit(struct bytes *o, unsigned number, unsigned inner, const void *p, size_t n)
{
    static struct bytes one;
    one.n = 0;
    put_tlv(&one, inner, p, n);
    put_tlv(o, 0xa0 | number, one.b, one.n);
}

/* PBMAC1: PBKDF2 with HMAC-SHA-256, 1000 times, and HMAC-SHA-256. */
static const unsigned char salt[16] = "salt of cmpedit!";
static void pbmac1_alg(struct bytes *o)
{
    static const unsigned char prf[] = { 0x30, 12, 6, 8, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 2, 9, 5, 0 };
    static struct bytes params, kdf, all;
    put_tlv(&params, 4, salt, sizeof salt);
    put(&params, "\x02\x02\x03\xe8\x02\x01\x20", 7);
    put(&params, prf, sizeof prf);
    put(&kdf, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0c", 11);
    put_tlv(&kdf, 0x30, params.b, params.n);
    params.n = 0;
    put_tlv(&params, 0x30, kdf.b, kdf.n);
    put(&params, prf, sizeof prf);
    put(&all, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0e", 11);
    put_tlv(&all, 0x30, params.b, params.n);
    put_explicit(o, 1, 0x30, all.b, all.n);
}

/* Is header field `number` among the arguments? Then it is written as they say. */
static int edited(struct bytes *o, unsigned number, char **args)
{
    for (; *args; args++) {
        unsigned char value[256];
        size_t n = 0;
        char text[32], *hex = strchr(*args, '=');
        if (number == 0 && !strncmp(*args, "time=", 5)) {
            time_t t = time(NULL) + atol(hex + 1);
            n = strftime(text, sizeof text, "%Y%m%d%H%M%SZ", gmtime(&t));
            put_explicit(o, 0, 0x18, text, n);
            return 1;
        }
        if (number == 0 || (unsigned)atoi(*args) != number)
            continue;
        for (hex++; *hex; hex += 2)
            MUST(n < sizeof value && sscanf(hex, "%2hhx", &value[n++]) == 1);
        if (n)
            put_explicit(o, number, 4, value, n);
        return 1;
    }
    return 0;
}

static void header_put(struct bytes *o, const unsigned char *p, size_t n, char *ref, char **args)
{
    static struct bytes h;
    const unsigned char *at = p, *end = p + n, *body, *start;
    size_t len;
    unsigned next = 0;
    for (int i = 0; i < 3; i++) { /* pvno, sender, recipient */
        start = at;
        get_tlv(&at, end, &body, &len);
        put(&h, start, (size_t)(at - start));
    }
    while (next <= 8) {
        start = at;
        unsigned tag = at < end ? get_tlv(&at, end, &body, &len) & 0x1f : 99, there = tag == next;
        if (ref && next == 1)
            pbmac1_alg(&h);
        else if (ref && next == 2)
            put_explicit(&h, 2, 4, ref, strlen(ref));
        else if (!edited(&h, next, args) && there)
            put(&h, start, (size_t)(at - start));
        if (!there)
            at = start;
        next++;
    }
    put_tlv(o, 0x30, h.b, h.n);
}

static size_t protect(const char *by, char *secret, const struct bytes *part, unsigned char *out)
{
    size_t n = 512;
    unsigned len = 0;
    unsigned char key[32];
    if (secret) {
        MUST(PKCS5_PBKDF2_HMAC(secret, (int)strlen(secret), salt, sizeof salt, 1000, EVP_sha256(), sizeof key, key));
        MUST(HMAC(EVP_sha256(), key, sizeof key, part->b, part->n, out, &len));
        return len;
    }
    FILE *f = fopen(by, "r");
    EVP_PKEY *pk = f ? PEM_read_PrivateKey(f, NULL, NULL, NULL) : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    MUST(pk && ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pk) == 1 && EVP_DigestSign(ctx, out, &n, part->b, part->n) == 1);
    fclose(f);
    EVP_PKEY_free(pk);
    EVP_MD_CTX_free(ctx);
    return n;
}

int main(int argc, char **argv)
{
    static struct bytes in, inner, part, message, bits;
    unsigned char sig[513] = { 0 };
    const unsigned char *at, *end, *p, *start;
    size_t n;
    MUST(argc >= 2);
    char *secret = strchr(argv[1], ':');
    if (secret)
        *secret++ = 0;
    in.n = fread(in.b, 1, MAX, stdin);
    at = in.b;
    MUST(get_tlv(&at, in.b + in.n, &p, &n) == 0x30);
    at = p;
    end = p + n;
    MUST(get_tlv(&at, end, &p, &n) == 0x30);
    header_put(&inner, p, n, secret ? argv[1] : NULL, argv + 2);
    start = at;
    get_tlv(&at, end, &p, &n); /* the body, as it is */
    put(&inner, start, (size_t)(at - start));
    put_tlv(&part, 0x30, inner.b, inner.n);
    n = protect(argv[1], secret, &part, sig + 1);
    put_explicit(&bits, 0, 3, sig, n + 1);
    put(&inner, bits.b, bits.n);
    while (at < end) {
        start = at;
        unsigned tag = get_tlv(&at, end, &p, &n);
        if (tag == 0xa1 && !secret)
            put(&inner, start, (size_t)(at - start));
    }
    put_tlv(&message, 0x30, inner.b, inner.n);
    return fwrite(message.b, 1, message.n, stdout) == message.n ? 0 : 1;
}
