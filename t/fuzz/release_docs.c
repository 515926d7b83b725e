/* What is emitted for third parties and read again: CMS signatures, manifests, in-toto statements, sigstore bundles: the first byte picks a reader. What is
 * accepted and can be written is written, read again, and comes out the same. */
#include "wire/cms_signed.h"
#include "wire/intoto.h"
#include "wire/manifest.h"
#include "wire/msg.h"
#include "wire/sigstore.h"

static struct arena a;
static struct fault why;

static void cms_try(struct span in)
{
    static const uint8_t digest[SHA256_LEN] = { 1 };
    struct cms_signed c;
    if (!cms_read(in, &c, &why) && !cms_verify(&c, digest, &why))
        __builtin_trap(); /* nobody signed this digest */
}

static void manifest_try(struct span in)
{
    CLEANUP(buf_free) struct buf one = BUF_INIT(0), two = BUF_INIT(0);
    struct manifest m;
    if (manifest_read(in, &a, &m, &why))
        return;
    manifest_write(&m, &one);
    if (one.len > MANIFEST_MAX)
        return;
    if (manifest_read(buf_span(&one), &a, &m, &why))
        __builtin_trap();
    manifest_write(&m, &two);
    if (!span_eq(buf_span(&one), buf_span(&two)))
        __builtin_trap();
}

static void intoto_try(struct span in)
{
    struct intoto s;
    if (!intoto_read(in, &a, &s, &why) && s.sha256.n != SHA256_LEN)
        __builtin_trap();
}

static void sigstore_try(struct span in)
{
    CLEANUP(buf_free) struct buf one = BUF_INIT(0), two = BUF_INIT(0);
    static struct sigstore s;
    if (sigstore_read(in, &a, &s, &why))
        return;
    sigstore_write(&s, SPAN_LIT("key"), &one);
    if (sigstore_read(buf_span(&one), &a, &s, &why))
        __builtin_trap();
    sigstore_write(&s, SPAN_LIT("key"), &two);
    if (!span_eq(buf_span(&one), buf_span(&two)))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const tries[])(struct span) = { cms_try, manifest_try, intoto_try, sigstore_try };
    json_object_seed(1);
    if (size)
        tries[data[0] % ARRAY_LEN(tries)](span_of(data + 1, size - 1));
    arena_free(&a);
    return 0;
}

#include "t/fuzz/replay.h"
