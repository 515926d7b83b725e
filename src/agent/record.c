/* record.c: see record.h. */
#include "agent/record.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define RECORD_MAX 65536
static const char check_mark[] = "# sha256 ";

static enum err check_of(struct span rows, char out[65], struct fault *f)
{
    uint8_t digest[32];
    if (EVP_Digest(rows.p, rows.n, digest, NULL, EVP_sha256(), NULL) != 1)
        return fault_set(f, CE_CRYPTO, "SHA-256 failed");
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof digest; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[64] = 0;
    return CE_OK;
}

enum err record_parse(const char *name, struct span text, const struct config_key *keys, size_t n_keys, void *rec, struct fault *f)
{
    char want[65];
    size_t mark = sizeof check_mark - 1, tail = mark + 64 + 1;
    struct span rows = span_of(text.p, text.n < tail ? 0 : text.n - tail);
    if (text.n < tail || memcmp(text.p + rows.n, check_mark, mark) != 0 || text.p[text.n - 1] != '\n' || (rows.n && rows.p[rows.n - 1] != '\n'))
        return fault_set(f, CE_BAD_CONFIG, "%s is damaged: its last line is not a checksum", name);
    enum err e = check_of(rows, want, f);
    if (e)
        return e;
    if (memcmp(rows.p + rows.n + mark, want, 64) != 0)
        return fault_set(f, CE_BAD_CONFIG, "%s is damaged: its checksum does not hold", name);
    return config_parse(keys, n_keys, name, rows, rec, f);
}

enum err record_load(const char *path, const struct config_key *keys, size_t n_keys, void *rec, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(RECORD_MAX);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "cannot read %s: %s", path, strerror(errno));
    return record_parse(path, buf_span(&text), keys, n_keys, rec, f);
}

static size_t record_size(const struct config_key *keys, size_t n_keys)
{
    size_t size = 0;
    for (size_t i = 0; i < n_keys; i++) {
        size_t end = keys[i].offset + (keys[i].type == CFG_STR ? CONFIG_STR_MAX : sizeof(int64_t));
        size = end > size ? end : size;
    }
    return size;
}

enum err record_save(const char *path, const struct config_key *keys, size_t n_keys, const void *rec, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(RECORD_MAX);
    CLEANUP(mem_free_p) void *back = mem_calloc(1, record_size(keys, n_keys));
    char check[65];
    config_dump(keys, n_keys, rec, false, &text);
    enum err e = check_of(buf_span(&text), check, f);
    if (e)
        return e;
    buf_printf(&text, "%s%s\n", check_mark, check);
    if (buf_err(&text) || record_parse(path, buf_span(&text), keys, n_keys, back, f)) /* what cannot be read back is not written */
        return buf_err(&text) ? fault_set(f, CE_TOO_LARGE, "%s would be too large", path) : CE_BAD_CONFIG;
    if ((e = file_write_atomic(path, buf_span(&text), 0600)))
        return fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    return CE_OK;
}

enum err record_remove(const char *path, struct fault *f)
{
    char dir[PATH_MAX_LEN];
    path_join(dir, "%s", path);
    char *slash = strrchr(dir, '/');
    if (slash)
        *slash = 0;
    if (unlink(path))
        return errno == ENOENT ? CE_OK : fault_set(f, err_from_errno(errno), "cannot remove %s: %s", path, strerror(errno));
    return file_sync_dir(slash ? dir : ".") ? fault_set(f, CE_IO, "cannot remove %s durably: %s", path, strerror(errno)) : CE_OK;
}
