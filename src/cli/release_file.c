/* release_file.c: see release_file.h. */
#include "cli/release_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "wire/swu.h"

#define SBOM_MAX (64u << 20)

struct copy {
    int from, to;
    struct sha256 whole;
    struct buf block, list; /* owned: the block being read; digests of the blocks before */
};

static void copy_end(struct copy *k)
{
    if (k->from >= 0)
        close(k->from);
    if (k->to >= 0)
        close(k->to);
    buf_free(&k->block);
    buf_free(&k->list);
}

/* One block from the file into the copy. *n 0: the end. */
static enum err block_move(struct copy *k, size_t *n)
{
    *n = 0;
    buf_reset(&k->block);
    uint8_t *at = buf_grow(&k->block, RELEASE_BLOCK);
    while (*n < RELEASE_BLOCK) {
        ssize_t got = read(k->from, at + *n, RELEASE_BLOCK - *n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return CE_IO;
        if (got == 0)
            break;
        *n += (size_t)got;
    }
    struct span bytes = span_of(at, *n);
    uint8_t digest[SHA256_LEN];
    if (!*n)
        return CE_OK;
    sha256(bytes, digest);
    sha256_add(&k->whole, bytes);
    buf_put(&k->list, digest, sizeof digest);
    return file_write_all(k->to, bytes);
}

static enum err copy_run(struct cli *c, struct copy *k, struct release_file *out)
{
    struct stat st;
    enum err e = fstat(k->from, &st) ? CE_IO : CE_OK;
    size_t n = 1;
    sha256_begin(&k->whole);
    while (!e && n) {
        e = block_move(k, &n);
        out->length += (int64_t)n;
        cli_progress(c, "copied bytes", out->length, st.st_size);
    }
    cli_progress_end(c);
    sha256_end(&k->whole, out->sha256);
    sha256(buf_span(&k->list), out->blocks_sha256);
    return e ? e : fsync(k->to) ? err_from_errno(errno) : CE_OK;
}

enum err release_file_take(struct cli *c, const char *from, const char *to, struct release_file *out, struct fault *f)
{
    char tmp[PATH_MAX_LEN], list[PATH_MAX_LEN];
    CLEANUP(copy_end) struct copy k = { .from = open(from, O_RDONLY | O_CLOEXEC), .to = -1, .block = BUF_INIT(RELEASE_BLOCK), .list = BUF_INIT(0) };
    *out = (struct release_file){ 0 };
    if (k.from < 0)
        return fault_set(f, err_from_errno(errno) == CE_IO && errno == ENOENT ? CE_NOT_FOUND : CE_IO, "cannot read %s: %s", from, strerror(errno));
    path_join(tmp, "%s.new", to);
    path_join(list, "%s.blocks", to);
    k.to = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    enum err e = k.to < 0 ? err_from_errno(errno) : copy_run(c, &k, out);
    if (!e && !out->length)
        e = fault_set(f, CE_BAD_INPUT, "%s is empty", from);
    else if (!e && rename(tmp, to))
        e = err_from_errno(errno);
    if (!e)
        e = file_write_atomic(list, buf_span(&k.list), 0644); /* syncs the folder, so the rename lasts too */
    if (e && e != CE_BAD_INPUT)
        fault_set(f, e, "cannot copy %s to %s: %s", from, to, strerror(errno));
    if (e)
        unlink(tmp);
    return e;
}

enum err release_swu_digest(const char *path, uint8_t sha256_out[SHA256_LEN], struct fault *f)
{
    CLEANUP(buf_free) struct buf head = BUF_INIT(SWU_HEAD_MAX);
    uint8_t *at = buf_grow(&head, SWU_HEAD_MAX);
    struct span description;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    ssize_t got = fd < 0 ? -1 : 1;
    while (got > 0 && n < SWU_HEAD_MAX)
        if ((got = read(fd, at + n, SWU_HEAD_MAX - n)) > 0)
            n += (size_t)got;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return fault_set(f, CE_IO, "cannot read %s: %s", path, strerror(why));
    enum err e = swu_description(span_of(at, n), &description, f);
    if (!e)
        sha256(description, sha256_out);
    return e;
}

enum err release_sbom_check(const char *path, const char **format, uint8_t sha256_out[SHA256_LEN], struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(SBOM_MAX);
    CLEANUP(json_decref_p) json_t *o = NULL;
    struct fault why = { 0 };
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "cannot read the SBOM %s: %s", path, strerror(errno));
    if (json_parse(buf_span(&text), &o, &why))
        return fault_set(f, CE_BAD_INPUT, "%s is no SBOM in JSON: %s", path, why.text);
    bool cyclonedx = strcmp(json_path_str(o, "bomFormat", ""), "CycloneDX") == 0, spdx = strncmp(json_path_str(o, "spdxVersion", ""), "SPDX-", 5) == 0;
    if (!cyclonedx && !spdx)
        return fault_set(f, CE_BAD_INPUT, "%s is neither CycloneDX (bomFormat) nor SPDX (spdxVersion)", path);
    if (!json_array_size(json_object_get(o, cyclonedx ? "components" : "packages")))
        return fault_set(f, CE_BAD_INPUT, "%s lists no %s: an SBOM of nothing hides everything", path, cyclonedx ? "components" : "packages");
    *format = cyclonedx ? "cyclonedx" : "spdx";
    sha256(buf_span(&text), sha256_out);
    return CE_OK;
}
