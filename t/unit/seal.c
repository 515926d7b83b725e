/* seal.c: encrypted artifacts: what the server seals the device opens, and nothing that was changed, moved or taken from elsewhere. The wrapping
 * is also judged by a key that another HPKE (pyca/cryptography) wrapped. */
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "agent/unseal_port.h"
#include "base/mem.h"
#include "crypt/hash.h"
#include "t/tap.h"
#include "wire/seal.h"

CLEANUP_PTR(EVP_PKEY, EVP_PKEY_free)

static struct sha256 hash;
static int sha_begin(void *ctx) { (void)ctx; sha256_begin(&hash); return 0; }
static int sha_add(void *ctx, const void *data, size_t n) { (void)ctx; sha256_add(&hash, span_of(data, n)); return 0; }
static int sha_end(void *ctx, uint8_t out[32]) { (void)ctx; sha256_end(&hash, out); return 0; }
static const struct cradle_update_port hashing = { NULL, sha_begin, sha_add, sha_end, NULL };

struct device { EVP_PKEY *key; struct buf plain; bool write_fails; };
static int dev_ecdh(void *ctx, const uint8_t point[65], uint8_t x[32]) { return unseal_ecdh(((struct device *)ctx)->key, point, x); }
static int dev_write(void *ctx, uint64_t at, const void *data, size_t n)
{
    struct device *d = ctx;
    if (at != d->plain.len)
        abort();
    buf_put(&d->plain, data, n);
    return d->write_fails ? -1 : 0;
}
static struct device dev;
static const struct cradle_unseal_port port = { &dev, &hashing, dev_ecdh, unseal_gcm_open, dev_write };

static uint8_t mem[CRADLE_UNSEAL_SEGMENT + CRADLE_UNSEAL_TAG], digest[32], content_key[32];
static struct buf plain, sealed;

static void seal_all(size_t n, struct buf *out)
{
    struct seal s;
    bool good;
    sha256(span_of(plain.data, n), digest);
    good = seal_begin(&s, digest, n) == CE_OK;
    memcpy(content_key, s.key, 32);
    buf_reset(out);
    buf_put(out, s.head, SEAL_HEAD);
    for (size_t at = 0; good && !seal_done(&s); at += SEAL_SEGMENT) {
        size_t m = n - at < SEAL_SEGMENT ? n - at : SEAL_SEGMENT;
        good = seal_segment(&s, span_of(plain.data + at, m), buf_grow(out, m + SEAL_TAG)) == CE_OK;
    }
    seal_end(&s);
    if (!good || out->len != seal_length(n))
        abort();
}

static int open_all(struct span s, uint64_t length, size_t piece)
{
    struct cradle_unseal u;
    buf_reset(&dev.plain);
    cradle_unseal_begin(&u, &port, content_key, digest, length, mem);
    for (size_t at = 0; at < s.n; at += piece)
        if (cradle_unseal_add(&u, s.p + at, s.n - at < piece ? s.n - at : piece))
            break;
    return cradle_unseal_end(&u);
}

static bool prefix_right(void) { return dev.plain.len <= plain.len && (!dev.plain.len || memcmp(dev.plain.data, plain.data, dev.plain.len) == 0); }

static void files(void)
{
    static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 131072, 300000 }, pieces[] = { 1u << 20, 1000, 1 };
    int right = 0, runs = 0;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        seal_all(sizes[i], &sealed);
        for (size_t k = 0; k < ARRAY_LEN(pieces); k++, runs++)
            right += open_all(buf_span(&sealed), sizes[i], pieces[k]) == CRADLE_UNSEAL_OK && dev.plain.len == sizes[i] && prefix_right();
    }
    ok(right == runs, "%d files sealed and opened", runs);
}

static void attacks(void)
{
    CLEANUP(buf_free) struct buf other = BUF_INIT(0);
    const size_t whole = SEAL_SEGMENT + SEAL_TAG;
    int bad = 0, n = 0;
    seal_all(300000, &sealed);
    for (size_t at = 0; at < sealed.len; at += at < 300 ? 1 : 4099, n++) {
        sealed.data[at] ^= 0x10;
        bad += open_all(buf_span(&sealed), 300000, 5000) == CRADLE_UNSEAL_OK || !prefix_right();
        sealed.data[at] ^= 0x10;
    }
    ok(!bad, "%d changed bits: each refused, and nothing wrong was written", n);
    ok(open_all(span_of(sealed.data, SEAL_HEAD + 4 * whole), 300000, 5000) == CRADLE_UNSEAL_SHORT, "the last segment left out");
    sealed.data[55]--; /* a shorter length in the header, and asked for */
    ok(open_all(span_of(sealed.data, SEAL_HEAD + 4 * whole), 299999, 5000) == CRADLE_UNSEAL_TAMPER, "a file cut short with its header");
    sealed.data[55]++;
    buf_put_span(&other, buf_span(&sealed));
    memcpy(other.data + SEAL_HEAD, sealed.data + SEAL_HEAD + whole, whole);
    memcpy(other.data + SEAL_HEAD + whole, sealed.data + SEAL_HEAD, whole);
    ok(open_all(buf_span(&other), 300000, 5000) == CRADLE_UNSEAL_TAMPER, "two segments exchanged");
    buf_reset(&other);
    buf_put_span(&other, buf_span(&sealed));
    buf_put_u8(&other, 0);
    ok(open_all(buf_span(&other), 300000, 5000) == CRADLE_UNSEAL_FORMAT, "a byte after the end");
    content_key[0] ^= 1;
    ok(open_all(buf_span(&sealed), 300000, 5000) == CRADLE_UNSEAL_TAMPER && !dev.plain.len, "another content key");
    content_key[0] ^= 1;
    digest[0] ^= 1;
    ok(open_all(buf_span(&sealed), 300000, 5000) == CRADLE_UNSEAL_OTHER, "the sealed file of another one");
    digest[0] ^= 1;
    dev.write_fails = true;
    ok(open_all(buf_span(&sealed), 300000, 5000) == CRADLE_UNSEAL_WRITE, "a medium that cannot be written");
    dev.write_fails = false;
}

static void resumed(void)
{
    struct cradle_unseal u, v;
    int right = 0;
    for (size_t cut = SEAL_HEAD; cut < sealed.len; cut += 20011) {
        buf_reset(&dev.plain);
        cradle_unseal_begin(&u, &port, content_key, digest, 300000, mem);
        int err = cradle_unseal_add(&u, sealed.data, cut);
        cradle_unseal_begin(&v, &port, content_key, digest, 300000, mem);
        size_t at = (size_t)cradle_unseal_offset(u.segment);
        err = err ? err : cradle_unseal_add(&v, sealed.data, SEAL_HEAD);
        err = err ? err : cradle_unseal_resume(&v, u.segment);
        err = err ? err : cradle_unseal_add(&v, sealed.data + at, sealed.len - at);
        err = err ? err : cradle_unseal_end(&v);
        right += !err && dev.plain.len == 300000 && prefix_right();
    }
    ok(right == 15, "resumed at a segment after 15 interruptions");
}

/* -- keys --------------------------------------------------------------------------------------------------------------------------- */
static void spki_of(EVP_PKEY *key, uint8_t spki[91], uint8_t point[65])
{
    uint8_t *p = spki;
    if (i2d_PUBKEY(key, NULL) != 91 || i2d_PUBKEY(key, &p) != 91)
        abort();
    memcpy(point, spki + 26, 65);
}

static int unwrap(struct span w, const uint8_t sha[32], const uint8_t point[65], const uint8_t spki[91], const char *uid, uint8_t key[32])
{
    uint8_t id[32];
    sha256(span_of(spki, 91), id);
    return cradle_unseal_key(&port, w.p, w.n, sha, point, id, uid, key);
}

static void keys(void)
{
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *mine = EVP_EC_gen("P-256"), *theirs = EVP_EC_gen("P-256"), *big = EVP_EC_gen("P-384");
    CLEANUP(buf_free) struct buf w = BUF_INIT(0), der = BUF_INIT(0);
    uint8_t spki[91], point[65], spki2[91], point2[65], got[32], *p = buf_grow(&der, 200);
    struct fault f;
    int opened = 0;
    spki_of(mine, spki, point);
    spki_of(theirs, spki2, point2);
    dev.key = mine;
    ok(seal_wrap(content_key, digest, span_of(spki, 91), span_str("dev-1"), &w, &f) == CE_OK && w.len == CRADLE_UNSEAL_WRAPPED, "a content key is wrapped");
    ok(unwrap(buf_span(&w), digest, point, spki, "dev-1", got) == CRADLE_UNSEAL_OK && memcmp(got, content_key, 32) == 0, "and unwrapped");
    ok(unwrap(buf_span(&w), digest, point, spki, "dev-2", got) == CRADLE_UNSEAL_KEY, "not under another name");
    ok(unwrap(buf_span(&w), point, point, spki, "dev-1", got) == CRADLE_UNSEAL_KEY, "not for another file");
    dev.key = theirs;
    ok(unwrap(buf_span(&w), digest, point2, spki2, "dev-1", got) == CRADLE_UNSEAL_KEY, "not by another key");
    dev.key = mine;
    for (size_t i = 0; i < w.len; i++) {
        w.data[i] ^= 1;
        opened += unwrap(buf_span(&w), digest, point, spki, "dev-1", got) == CRADLE_UNSEAL_OK;
        w.data[i] ^= 1;
    }
    ok(!opened, "no changed byte passes");
    ok(unwrap(span_of(w.data, w.len - 1), digest, point, spki, "dev-1", got) == CRADLE_UNSEAL_FORMAT, "nor a short one");
    int n = i2d_PUBKEY(big, &p);
    ok(seal_wrap(content_key, digest, span_of(der.data, (size_t)n), span_str("dev-1"), &w, &f) == CE_KEY_ALG, "a device without a P-256 key: %s", f.text);
    spki[40] ^= 1;
    ok(seal_wrap(content_key, digest, span_of(spki, 91), span_str("dev-1"), &w, &f) != CE_OK, "a point off the curve: %s", f.text);
}

/* Made by pyca/cryptography 48: Suite(P256, HKDF_SHA256, AES_256_GCM).encrypt(key, public, info); private key 0123456789abcdef four times. */
static void vector(void)
{
    static const char enc[] = "04216d6c446ebb1c3cc70859c0f16ad7a0e44af8948e9ad584b2a7baf9466bfdf1df2c2c58e9a547c862a777f1813083a9a33c22188d4f9eeae039bf176ad3dafaed"
                              "471a924b55a661691a46413a121d347b7c2979b6a3b77045affbc9017f97982d9902dc253af5cd6d03b5dd5d1c506a";
    static const char pub[] = "04d8cd12ea5c67f2f8a00c1124893edcfa6754c4d6cede6be13bdf2295c810a97fa5a89d2d2a360c0ca9a4d6c7c9ed4b28d3e199d6627f2e696d689c310a5b0f48";
    static const char scalar[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    static const uint8_t ec_head[] = { 0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20 }, ec_tail[] = { 0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
    CLEANUP(buf_free) struct buf w = BUF_INIT(0), point = BUF_INIT(0), der = BUF_INIT(0);
    uint8_t sha[32], spki[32], got[32];
    buf_put(&der, ec_head, sizeof ec_head);
    bool good = hex_decode(span_str(enc), &w) == CE_OK && hex_decode(span_str(pub), &point) == CE_OK && hex_decode(span_str(scalar), &der) == CE_OK;
    buf_put(&der, ec_tail, sizeof ec_tail);
    const uint8_t *p = der.data;
    CLEANUP(EVP_PKEY_free_p) EVP_PKEY *key = d2i_PrivateKey(EVP_PKEY_EC, NULL, &p, (long)der.len);
    for (uint8_t i = 0; i < 32; i++) {
        sha[i] = i;
        spki[i] = (uint8_t)(32 + i);
    }
    dev.key = key;
    good = good && key && cradle_unseal_key(&port, w.data, w.len, sha, point.data, spki, "dev-1", got) == CRADLE_UNSEAL_OK;
    for (uint8_t i = 0; good && i < 32; i++)
        good = got[i] == 100 + i;
    ok(good, "a key that another HPKE wrapped");
}

int main(void)
{
    uint32_t seed = 3;
    uint8_t *p = buf_grow(&plain, 300000);
    for (size_t i = 0; i < 300000; i++)
        p[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
    files();
    attacks();
    resumed();
    keys();
    vector();
    buf_free(&plain);
    buf_free(&sealed);
    buf_free(&dev.plain);
    return done();
}
