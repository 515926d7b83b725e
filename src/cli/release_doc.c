/* release_doc.c: see release_doc.h. */
#include "cli/release_doc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypt/key_gate.h"

enum err release_map_open(const char *path, struct release_map *out, struct fault *f)
{
    struct stat st;
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
    *out = (struct release_map){ 0 };
    if (fd < 0 || fstat(fd, &st))
        return fault_set(f, errno == ENOENT ? CE_NOT_FOUND : CE_IO, "cannot read %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size == 0)
        return fault_set(f, CE_BAD_INPUT, "%s is empty or no plain file", path);
    void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (at == MAP_FAILED)
        return fault_set(f, CE_IO, "cannot map %s: %s", path, strerror(errno));
    out->bytes = span_of(at, (size_t)st.st_size);
    return CE_OK;
}

void release_map_close(struct release_map *m)
{
    if (m->bytes.n)
        munmap((void *)(uintptr_t)m->bytes.p, m->bytes.n);
    m->bytes = (struct span){ 0 };
}

enum err release_cert_judge(const struct cert *c, int64_t at_s, struct fault *f)
{
    struct spki_info k;
    char text[CLOCK_TEXT_MAX];
    enum err e = key_gate(c->spki, NULL, &k, f);
    if (e)
        return e;
    if (k.alg != KEY_EC_P256)
        return fault_set(f, CE_KEY_ALG, "the signer's key is %s; ec:P-256 is wanted", k.name);
    if (c->is_ca || !(c->key_usage & KU_DIGITAL_SIGNATURE) || !(c->eku & EKU_CODE_SIGNING))
        return fault_set(f, CE_BAD_CERT, "the certificate is not one of a signer: no CA, with digitalSignature and codeSigning");
    clock_text_s(at_s < c->not_before ? c->not_before : c->not_after, text);
    if (at_s < c->not_before)
        return fault_set(f, CE_CERT_NOT_YET, "the signer's certificate is good from %s on", text);
    if (at_s > c->not_after)
        return fault_set(f, CE_CERT_EXPIRED, "the signer's certificate ended at %s", text);
    return CE_OK;
}
