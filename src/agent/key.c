/* key.c: see key.h. What is the same wherever a key lives. */
#include "agent/key.h"

#include <errno.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

CLEANUP_PTR(EVP_PKEY_CTX, EVP_PKEY_CTX_free)

static const struct key_backend *const backends[] = { &key_backend_file, &key_backend_tpm, &key_backend_pkcs11, &key_backend_psa };

/* The home of the key in dir, and its file there; NULL when there is none. */
static const struct key_backend *key_find(const char *dir, char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++) {
        path_join(path, "%s/%s", dir, backends[i]->file);
        if (file_exists(path))
            return backends[i];
    }
    return NULL;
}

static const struct key_backend *key_wanted(const struct agent_config *cfg)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        if (backends[i]->wanted(cfg->key))
            return backends[i];
    return NULL;
}

enum err key_check_config(const struct agent_config *cfg, struct fault *f)
{
    const struct key_backend *home = key_wanted(cfg);
    if (!home)
        return fault_set(f, CE_BAD_CONFIG, "key: '%s' is none of file, tpm, tpm:0x81…, pkcs11:…, psa:ID", cfg->key);
    return home->check ? home->check(cfg, f) : CE_OK;
}

/* -- the port ------------------------------------------------------------------------------------------------------------------------- */
static int port_sha256(void *ctx, const void *data, size_t n, uint8_t out[32])
{
    (void)ctx;
    return EVP_Digest(data, n, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

static int port_sign(void *ctx, const uint8_t digest[32], uint8_t *sig, size_t *sig_len)
{
    struct agent_key *k = ctx;
    CLEANUP(EVP_PKEY_CTX_free_p) EVP_PKEY_CTX *pc = EVP_PKEY_CTX_new(k->pkey, NULL);
    if (!pc || EVP_PKEY_sign_init(pc) != 1 || EVP_PKEY_CTX_set_signature_md(pc, EVP_sha256()) != 1)
        return -1;
    return EVP_PKEY_sign(pc, sig, sig_len, digest, 32) == 1 ? 0 : -1;
}

/* SubjectPublicKeyInfo of a P-256 key up to the point (RFC 5480 2) */
static const uint8_t spki_head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                     0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04 };

static enum err key_bind(struct agent_key *k, struct fault *f)
{
    uint8_t spki[sizeof spki_head + 64], *end = spki;
    int n = i2d_PUBKEY(k->pkey, NULL);
    if (n != sizeof spki || i2d_PUBKEY(k->pkey, &end) != n || memcmp(spki, spki_head, sizeof spki_head) != 0)
        return fault_set(f, CE_KEY_ALG, "the device key must be P-256");
    memcpy(k->port.point, spki + sizeof spki_head - 1, CRADLE_POINT_LEN);
    k->port.ctx = k;
    k->port.sha256 = port_sha256;
    k->port.sign = port_sign;
    return CE_OK;
}

/* -- one key of one folder ------------------------------------------------------------------------------------------------------------ */
enum err key_make(const struct agent_config *cfg, const char *dir, struct agent_key *k, struct fault *f)
{
    char path[PATH_MAX_LEN];
    const struct key_backend *home = key_wanted(cfg);
    *k = (struct agent_key){ 0 };
    if (key_find(dir, path))
        return fault_set(f, CE_EXISTS, "%s is there already; a key is never replaced", path);
    if (!home)
        return key_check_config(cfg, f);
    path_join(path, "%s/%s", dir, home->file);
    enum err e = home->make(cfg, path, &k->pkey, f);
    return e ? e : key_bind(k, f);
}

enum err key_open(const struct agent_config *cfg, const char *dir, struct agent_key *k, struct fault *f)
{
    char path[PATH_MAX_LEN];
    const struct key_backend *home = key_find(dir, path);
    *k = (struct agent_key){ 0 };
    if (!home)
        return fault_set(f, CE_NOT_FOUND, "%s holds no key", dir);
    enum err e = home->open(cfg, path, &k->pkey, f);
    return e ? e : key_bind(k, f);
}

void key_close(struct agent_key *k)
{
    EVP_PKEY_free(k->pkey);
    *k = (struct agent_key){ 0 };
}

bool key_present(const char *dir) { return *key_home(dir) != 0; }

const char *key_home(const char *dir)
{
    char path[PATH_MAX_LEN];
    const struct key_backend *home = key_find(dir, path);
    return home ? home->name : "";
}

enum err key_share(const char *from, const char *to, struct fault *f)
{
    char old[PATH_MAX_LEN], path[PATH_MAX_LEN];
    const struct key_backend *home = key_find(from, old);
    if (!home)
        return fault_set(f, CE_NOT_FOUND, "%s holds no key", from);
    path_join(path, "%s/%s", to, home->file);
    if (link(old, path) || file_sync_dir(to))
        return fault_set(f, err_from_errno(errno), "cannot keep the key as %s: %s", path, strerror(errno));
    return CE_OK;
}

enum err key_destroy(const struct agent_config *cfg, const char *dir, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct stat st;
    const struct key_backend *home = key_find(dir, path);
    if (!home || stat(path, &st))
        return CE_OK;
    enum err e = st.st_nlink > 1 ? CE_OK : home->destroy(cfg, path, f);
    if (e)
        return e;
    if (unlink(path) || file_sync_dir(dir))
        return fault_set(f, err_from_errno(errno), "cannot remove %s: %s", path, strerror(errno));
    return CE_OK;
}
