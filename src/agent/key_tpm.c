/* key_tpm.c: a home of keys (key.h): a TPM 2.0. `key = tpm`: the key is wrapped by the TPM and kept in key.tpm, which no other TPM can load. `key = tpm:0x81…`: the
 * TPM keeps it at that handle or, while there are two (a candidate), at the next one; key.tpm says which. */
#include <errno.h>
#include <stdlib.h>

#include "agent/key.h"
#include "agent/key_remote.h"
#include "agent/key_tpm.h"
#include "agent/tpm.h"
#include "agent/tpm_file.h"
#include "base/file.h"
#include "base/mem.h"

struct tpm_key {
    struct key_remote remote;
    struct tpm tpm;
    ESYS_TR object;
    bool persistent;
};

static bool tpm_wanted(const char *setting)
{
    uint32_t handle;
    return strcmp(setting, "tpm") == 0 || (strncmp(setting, "tpm:", 4) == 0 && tpm_handle_parse(span_str(setting + 4), &handle) && handle < 0x817fffff);
}

static enum err remote_sign(struct key_remote *r, const uint8_t digest[32], uint8_t sig[64], struct fault *f)
{
    struct tpm_key *k = (struct tpm_key *)r;
    return tpm_sign(&k->tpm, k->object, digest, sig, f);
}

static void remote_release(struct key_remote *r)
{
    struct tpm_key *k = (struct tpm_key *)r;
    if (k->persistent)
        tpm_persistent_close(&k->tpm, k->object);
    else if (k->tpm.esys)
        tpm_flush(&k->tpm, k->object);
    tpm_close(&k->tpm);
    free(k);
}

static enum err file_load(const char *path, struct tpm_file *file, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(16384);
    struct fault why;
    enum err e = file_read_private(path, &text, &why);
    if (!e)
        e = tpm_file_read(buf_span(&text), file, &why);
    return e ? fault_set(f, e, "%s: %s", path, why.text) : CE_OK;
}

/* -- opening -------------------------------------------------------------------------------------------------------------------------- */
static enum err wrapped_load(const struct tpm *t, const struct tpm_file *file, TPM2B_PUBLIC *pub, ESYS_TR *object, struct fault *f)
{
    TPM2B_PRIVATE priv = { 0 };
    size_t at = 0, at_priv = 0;
    ESYS_TR parent;
    if (t->tss->Tss2_MU_TPM2B_PUBLIC_Unmarshal(file->pub.data, file->pub.len, &at, pub) || at != file->pub.len ||
        t->tss->Tss2_MU_TPM2B_PRIVATE_Unmarshal(file->priv.data, file->priv.len, &at_priv, &priv) || at_priv != file->priv.len)
        return fault_set(f, CE_KEY_INVALID, "the wrapped key of the TPM is malformed");
    enum err e = tpm_storage_key(t, &parent, f);
    e = e ? e : tpm_key_load(t, parent, pub, &priv, object, f);
    tpm_flush(t, parent);
    return e;
}

static enum err file_bind(const struct agent_config *cfg, const struct tpm_file *file, EVP_PKEY **out, struct fault *f)
{
    struct tpm_key *k = mem_calloc(1, sizeof *k);
    TPM2B_PUBLIC pub = { 0 };
    uint8_t point[65];
    k->remote = (struct key_remote){ remote_sign, remote_release };
    k->object = TPM_NONE;
    k->persistent = file->handle != 0;
    enum err e = tpm_open(cfg->tpm_tcti, &k->tpm, f);
    if (!e)
        e = file->handle ? tpm_persistent_open(&k->tpm, file->handle, &pub, &k->object, f) : wrapped_load(&k->tpm, file, &pub, &k->object, f);
    e = e ? e : tpm_point(&pub, point, f);
    e = e ? e : key_remote_bind(&k->remote, point, out, f);
    if (e)
        remote_release(&k->remote);
    return e;
}

enum err key_tpm_object(const struct tpm *t, const char *dir, ESYS_TR *object, TPM2B_PUBLIC *pub, bool *persistent, struct fault *f)
{
    CLEANUP(tpm_file_free) struct tpm_file file = { 0 };
    char path[PATH_MAX_LEN];
    *object = TPM_NONE;
    path_join(path, "%s/%s", dir, key_backend_tpm.file);
    enum err e = file_load(path, &file, f);
    *persistent = file.handle != 0;
    if (e)
        return e;
    return file.handle ? tpm_persistent_open(t, file.handle, pub, object, f) : wrapped_load(t, &file, pub, object, f);
}

static enum err tpm_key_open(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f)
{
    CLEANUP(tpm_file_free) struct tpm_file file = { 0 };
    enum err e = file_load(path, &file, f);
    return e ? e : file_bind(cfg, &file, out, f);
}

/* -- making --------------------------------------------------------------------------------------------------------------------------- */
static enum err wrapped_write(const struct tpm *t, const TPM2B_PUBLIC *pub, const TPM2B_PRIVATE *priv, const char *path, struct fault *f)
{
    CLEANUP(tpm_file_free) struct tpm_file file = { .parent = TPM_SRK_PARENT, .pub = BUF_INIT(4096), .priv = BUF_INIT(4096) };
    CLEANUP(buf_free) struct buf text = BUF_INIT(16384);
    size_t n = 0, n_priv = 0;
    uint8_t *p = buf_grow(&file.pub, sizeof *pub), *q = buf_grow(&file.priv, sizeof *priv);
    if (t->tss->Tss2_MU_TPM2B_PUBLIC_Marshal(pub, p, sizeof *pub, &n) || t->tss->Tss2_MU_TPM2B_PRIVATE_Marshal(priv, q, sizeof *priv, &n_priv))
        return fault_set(f, CE_CRYPTO, "tpm2-tss cannot write the key down");
    file.pub.len = n;
    file.priv.len = n_priv;
    tpm_file_write(&file, &text);
    enum err e = buf_err(&text) ? buf_err(&text) : file_write_new(path, buf_span(&text), 0600);
    return e ? fault_set(f, e, "cannot store the key at %s: %s", path, strerror(errno)) : CE_OK;
}

/* The file first: whatever stops us afterwards, key_destroy finds what lies at the handle. */
static enum err persistent_make(const struct agent_config *cfg, const struct tpm *t, ESYS_TR key, const char *path, struct fault *f)
{
    struct tpm_file file = { 0 };
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    TPM2B_PUBLIC pub;
    ESYS_TR taken = TPM_NONE;
    uint32_t base = 0;
    if (!tpm_handle_parse(span_str(cfg->key + 4), &base))
        return fault_set(f, CE_BAD_CONFIG, "key: %s names no persistent handle", cfg->key);
    for (uint32_t handle = base; handle <= base + 1 && !file.handle; handle++) {
        enum err e = tpm_persistent_open(t, handle, &pub, &taken, f);
        if (e && e != CE_NOT_FOUND)
            return e;
        file.handle = e ? handle : 0;
        tpm_persistent_close(t, taken);
    }
    if (!file.handle)
        return fault_set(f, CE_EXISTS, "both 0x%08x and 0x%08x are taken in the TPM: choose another handle for key, or free one (tpm2_evictcontrol -C o -c HANDLE)", base, base + 1);
    tpm_file_write(&file, &text);
    enum err e = file_write_new(path, buf_span(&text), 0600);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : tpm_persist(t, key, file.handle, f);
}

static enum err tpm_key_new(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f)
{
    CLEANUP(tpm_close) struct tpm t = { 0 };
    TPM2B_PUBLIC pub;
    TPM2B_PRIVATE priv;
    ESYS_TR parent = TPM_NONE, key = TPM_NONE;
    enum err e = tpm_open(cfg->tpm_tcti, &t, f);
    e = e ? e : tpm_storage_key(&t, &parent, f);
    e = e ? e : tpm_key_make(&t, parent, false, &pub, &priv, f);
    if (!e && strcmp(cfg->key, "tpm") == 0)
        e = wrapped_write(&t, &pub, &priv, path, f);
    else if (!e && !(e = tpm_key_load(&t, parent, &pub, &priv, &key, f)))
        e = persistent_make(cfg, &t, key, path, f);
    if (t.esys) {
        tpm_flush(&t, key);
        tpm_flush(&t, parent);
    }
    tpm_close(&t);
    return e ? e : tpm_key_open(cfg, path, out, f);
}

/* A wrapped key is gone with its file: it is overwritten, and the TPM keeps nothing of it. */
static enum err tpm_key_destroy(const struct agent_config *cfg, const char *path, struct fault *f)
{
    CLEANUP(tpm_file_free) struct tpm_file file = { 0 };
    CLEANUP(tpm_close) struct tpm t = { 0 };
    enum err e = file_load(path, &file, f);
    if (e || !file.handle)
        return key_backend_file.destroy(cfg, path, f);
    e = tpm_open(cfg->tpm_tcti, &t, f);
    return e ? e : tpm_persistent_remove(&t, file.handle, f);
}

const struct key_backend key_backend_tpm = { "tpm", "key.tpm", tpm_wanted, tpm_key_new, tpm_key_open, tpm_key_destroy, NULL };
