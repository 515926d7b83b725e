/* key_pem.c: private keys as PEM text and files. See key.h. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "crypt/key_priv.h"

#define KEY_FILE_MAX 65536
#define SCRYPT_N 16384 /* with r = 8: 16 MiB and about 50 ms for each guess */
#define SCRYPT_R 8
#define SCRYPT_P 1
#define PBKDF2_ROUNDS 600000

CLEANUP_PTR(BIO, BIO_free_all)
CLEANUP_PTR(PKCS8_PRIV_KEY_INFO, PKCS8_PRIV_KEY_INFO_free)
CLEANUP_PTR(X509_SIG, X509_SIG_free)

struct passphrase {
    const char *text; /* NULL: none */
    bool asked;
};

/* OpenSSL would otherwise ask on the terminal. */
static int passphrase_give(char *out, int size, int rwflag, void *arg)
{
    struct passphrase *p = arg;
    (void)rwflag;
    p->asked = true;
    size_t n = p->text ? strlen(p->text) : 0;
    if (!p->text || n > (size_t)size)
        return -1;
    memcpy(out, p->text, n);
    return (int)n;
}

enum err key_from_pem(struct span pem, const char *passphrase, struct key **out, struct fault *f)
{
    struct passphrase pass = { .text = passphrase };
    *out = NULL;
    if (pem.n > KEY_FILE_MAX)
        return fault_set(f, CE_TOO_LARGE, "a key file of %zu bytes", pem.n);
    CLEANUP(BIO_free_all_p) BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *pkey = in ? PEM_read_bio_PrivateKey(in, NULL, passphrase_give, &pass) : NULL;
    ERR_clear_error();
    if (pkey)
        return key_from_pkey(pkey, out, f);
    if (pass.asked)
        return fault_set(f, CE_CRYPTO, passphrase ? "the passphrase is wrong or the key is damaged" : "the key is encrypted and no passphrase was given");
    return fault_set(f, CE_CRYPTO, "there is no readable private key in PEM");
}

static enum err key_file_open(const char *path, int *fd, struct fault *f)
{
    struct stat st;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (*fd < 0)
        return fault_set(f, errno == ENOENT ? CE_NOT_FOUND : CE_IO, "key %s: %s", path, strerror(errno));
    if (fstat(*fd, &st) || !S_ISREG(st.st_mode))
        return fault_set(f, CE_IO, "key %s is not a regular file", path);
    if (st.st_mode & 077)
        return fault_set(f, CE_IO, "key %s may be read by others (mode %03o); run: chmod 600 %s", path, (unsigned)st.st_mode & 0777, path);
    return CE_OK;
}

enum err key_read_file(const char *path, const char *passphrase, struct key **out, struct fault *f)
{
    CLEANUP(fd_close_p) int fd = -1;
    CLEANUP(buf_free) struct buf pem = BUF_INIT(KEY_FILE_MAX + 1);
    struct fault why = { .code = CE_OK };
    *out = NULL;
    enum err e = key_file_open(path, &fd, f);
    if (e)
        return e;
    uint8_t *at = buf_grow(&pem, KEY_FILE_MAX + 1);
    ssize_t n, have = 0;
    while ((n = read(fd, at + have, (size_t)(KEY_FILE_MAX + 1 - have))) > 0)
        have += n;
    if (n < 0)
        return fault_set(f, CE_IO, "key %s: %s", path, strerror(errno));
    e = key_from_pem(span_of(pem.data, (size_t)have), passphrase, out, &why);
    return e ? fault_set(f, e, "key %s: %s", path, why.text) : CE_OK;
}

static X509_ALGOR *key_pbe(void)
{
    X509_ALGOR *pbe = PKCS5_pbe2_set_scrypt(EVP_aes_256_cbc(), NULL, 0, NULL, SCRYPT_N, SCRYPT_R, SCRYPT_P);
    if (!pbe)
        pbe = PKCS5_pbe2_set_iv(EVP_aes_256_cbc(), PBKDF2_ROUNDS, NULL, 0, NULL, NID_hmacWithSHA256);
    return pbe;
}

enum err key_write_pem(const struct key *k, const char *passphrase, struct buf *out)
{
    char *text;
    if (!k->pkey)
        return CE_UNSUPPORTED;
    CLEANUP(PKCS8_PRIV_KEY_INFO_free_p) PKCS8_PRIV_KEY_INFO *plain = EVP_PKEY2PKCS8(k->pkey);
    CLEANUP(BIO_free_all_p) BIO *mem = BIO_new(BIO_s_secmem());
    CLEANUP(X509_SIG_free_p) X509_SIG *sealed = NULL;
    bool good = plain && mem;
    if (good && passphrase) {
        X509_ALGOR *pbe = key_pbe();
        sealed = pbe ? PKCS8_set0_pbe(passphrase, (int)strlen(passphrase), plain, pbe) : NULL;
        if (pbe && !sealed)
            X509_ALGOR_free(pbe);
        good = sealed && PEM_write_bio_PKCS8(mem, sealed) == 1;
    } else if (good) {
        good = PEM_write_bio_PKCS8_PRIV_KEY_INFO(mem, plain) == 1;
    }
    ERR_clear_error();
    if (!good)
        return CE_CRYPTO;
    long n = BIO_get_mem_data(mem, &text);
    buf_put(out, text, (size_t)n);
    return buf_err(out);
}

static enum err open_file(void *ctx, const char *dir, const char *name, struct key **out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    (void)ctx;
    path_join(path, "%s/keys/%s.key", dir, name);
    return key_read_file(path, NULL, out, f);
}
const struct key_source key_source_files = { open_file, NULL };
