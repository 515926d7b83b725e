/* key_file.c: a home of keys (key.h): a PEM file. The key is made here and never leaves this process and its 0600 file. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "agent/key.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

CLEANUP_PTR(BIO, BIO_free_all)

/* OpenSSL would ask for the passphrase of an encrypted key on the terminal, and a daemon would wait for ever. */
static int no_passphrase(char *out, int size, int rwflag, void *arg)
{
    (void)out;
    (void)size;
    (void)rwflag;
    (void)arg;
    return -1;
}

static bool file_wanted(const char *setting) { return strcmp(setting, "file") == 0; }

static enum err file_make(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f)
{
    (void)cfg;
    *out = EVP_EC_gen("P-256");
    CLEANUP(BIO_free_all_p) BIO *bio = BIO_new(BIO_s_secmem());
    if (!*out || !bio || PEM_write_bio_PKCS8PrivateKey(bio, *out, NULL, NULL, 0, NULL, NULL) != 1)
        return fault_set(f, CE_CRYPTO, "cannot make a P-256 key");
    char *pem;
    long n = BIO_get_mem_data(bio, &pem);
    enum err e = file_write_new(path, span_of(pem, (size_t)n), 0600);
    mem_zero(pem, (size_t)n);
    return e ? fault_set(f, e, "cannot store the key at %s: %s", path, strerror(errno)) : CE_OK;
}

static enum err file_open(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(16384);
    struct fault why;
    (void)cfg;
    enum err e = file_read_private(path, &pem, &why);
    if (e)
        return fault_set(f, e, "the device's key: %s", why.text);
    CLEANUP(BIO_free_all_p) BIO *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    *out = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    return *out ? CE_OK : fault_set(f, CE_KEY_INVALID, "%s holds no private key that can be used (encrypted ones cannot)", path);
}

/* As far as the medium obeys; the caller removes the file whatever comes of it. */
static enum err file_destroy(const struct agent_config *cfg, const char *path, struct fault *f)
{
    static const uint8_t zeros[4096];
    (void)cfg;
    (void)f;
    CLEANUP(fd_close_p) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && (file_write_all(fd, span_of(zeros, sizeof zeros)) || fsync(fd)))
        log_warn(0, "%s is removed without being overwritten: %s", path, strerror(errno));
    return CE_OK;
}

const struct key_backend key_backend_file = { "file", "key.pem", file_wanted, file_make, file_open, file_destroy, NULL };
