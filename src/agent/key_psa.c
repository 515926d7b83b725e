/* key_psa.c: a home of keys (key.h): an implementation of PSA Crypto, reached through a module that is built from examples/psa with that implementation's headers
 * (cradle/psa.h says why). `key = psa:ID`: the key has this ID or, while there are two (a candidate), the next one; key.psa says which. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/key.h"
#include "agent/key_remote.h"
#include "base/file.h"
#include "base/mem.h"
#include "cradle/psa.h"

struct psa_key {
    struct key_remote remote;
    uint32_t id;
};

static struct { /* one module a process, never unloaded */
    bool loaded;
    int (*make)(uint32_t id);
    int (*open)(uint32_t id, struct cradle_psa *k);
    int (*sign)(uint32_t id, const uint8_t digest[32], uint8_t sig[64]);
    int (*destroy)(uint32_t id);
} psa;

static bool id_parse(const char *text, uint32_t *id)
{
    char *end = NULL;
    errno = 0;
    unsigned long v = strtoul(text, &end, 0);
    *id = (uint32_t)v;
    return *text >= '0' && *text <= '9' && !errno && end && !*end && v && v <= CRADLE_PSA_ID_MAX;
}

static bool psa_wanted(const char *setting)
{
    uint32_t id;
    return strncmp(setting, "psa:", 4) == 0 && id_parse(setting + 4, &id) && id < CRADLE_PSA_ID_MAX;
}

static enum err psa_check(const struct agent_config *cfg, struct fault *f)
{
    return cfg->psa_module[0] == '/' ? CE_OK : fault_set(f, CE_BAD_CONFIG, "key: %s needs psa_module, the full path of the module that reaches PSA Crypto", cfg->key);
}

static enum err psa_fault(struct fault *f, const char *what, uint32_t id, int status)
{
    if (status == CRADLE_PSA_NONE)
        return fault_set(f, CE_KEY_INVALID, "PSA Crypto has no key %#x: did its storage change?", id);
    return fault_set(f, CE_CRYPTO, "PSA Crypto refused to %s key %#x: status %d", what, id, status);
}

static enum err psa_load(const struct agent_config *cfg, struct fault *f)
{
    if (psa.loaded)
        return CE_OK;
    if (!*cfg->psa_module)
        return fault_set(f, CE_BAD_CONFIG, "the device's key is in PSA Crypto, and psa_module is not set");
    void *dl = dlopen(cfg->psa_module, RTLD_NOW | RTLD_LOCAL);
    if (!dl)
        return fault_set(f, CE_NOT_FOUND, "psa_module: %s", dlerror());
    *(void **)&psa.make = dlsym(dl, "cradle_psa_make");
    *(void **)&psa.open = dlsym(dl, "cradle_psa_open");
    *(void **)&psa.sign = dlsym(dl, "cradle_psa_sign");
    *(void **)&psa.destroy = dlsym(dl, "cradle_psa_destroy");
    psa.loaded = psa.make && psa.open && psa.sign && psa.destroy;
    if (!psa.loaded)
        dlclose(dl);
    return psa.loaded ? CE_OK : fault_set(f, CE_UNSUPPORTED, "psa_module: %s is not built from examples/psa/port_psa.c", cfg->psa_module);
}

/* -- signing ---------------------------------------------------------------------------------------------------------------------------- */
static enum err remote_sign(struct key_remote *r, const uint8_t digest[32], uint8_t sig[64], struct fault *f)
{
    uint32_t id = ((struct psa_key *)r)->id;
    int status = psa.sign(id, digest, sig);
    return status ? psa_fault(f, "sign with", id, status) : CE_OK;
}

static void remote_release(struct key_remote *r) { free(r); }

static enum err id_open(uint32_t id, EVP_PKEY **out, struct fault *f)
{
    struct cradle_psa found;
    int status = psa.open(id, &found);
    if (status)
        return psa_fault(f, "open", id, status);
    struct psa_key *k = mem_calloc(1, sizeof *k);
    *k = (struct psa_key){ { remote_sign, remote_release }, id };
    enum err e = key_remote_bind(&k->remote, found.port.point, out, f);
    if (e)
        free(k);
    return e;
}

/* -- the home --------------------------------------------------------------------------------------------------------------------------- */
/* *id 0: the file is not whole, so its making was cut off before the key's. */
static enum err id_load(const char *path, uint32_t *id, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    struct fault why;
    *id = 0;
    enum err e = file_read_private(path, &text, &why);
    if (e)
        return fault_set(f, e, "the device's key: %s", why.text);
    if (!text.len || text.data[text.len - 1] != '\n')
        return CE_OK;
    text.len--;
    bool good = span_starts(buf_span(&text), "psa ") && id_parse(buf_cstr(&text) + 4, id);
    return good ? CE_OK : fault_set(f, CE_KEY_INVALID, "%s does not name a key of PSA Crypto", path);
}

static enum err psa_open(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f)
{
    uint32_t id;
    enum err e = id_load(path, &id, f);
    e = e ? e : psa_load(cfg, f);
    return e ? e : id_open(id, out, f);
}

/* The ID of the setting or the one after it, whichever is free. */
static enum err id_choose(const char *setting, uint32_t *id, struct fault *f)
{
    struct cradle_psa taken;
    uint32_t base = 0;
    if (!id_parse(setting + 4, &base))
        return fault_set(f, CE_BAD_CONFIG, "key: %s names no key of PSA Crypto", setting);
    for (*id = base; *id <= base + 1; ++*id) {
        int status = psa.open(*id, &taken);
        if (status)
            return status == CRADLE_PSA_NONE ? CE_OK : psa_fault(f, "look for", *id, status);
    }
    return fault_set(f, CE_EXISTS, "PSA Crypto has keys %#x and %#x already: choose another ID for key", base, base + 1);
}

/* The file first: whatever stops us afterwards, key_destroy finds what has the ID. */
static enum err psa_make(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    uint32_t id = 0;
    enum err e = psa_load(cfg, f);
    e = e ? e : id_choose(cfg->key, &id, f);
    if (e)
        return e;
    buf_printf(&text, "psa %#x\n", id);
    e = file_write_new(path, buf_span(&text), 0600);
    if (e)
        return fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    int status = psa.make(id);
    if (status == CRADLE_PSA_TAKEN && unlink(path)) /* it is somebody else's: nobody may destroy it for ours */
        return fault_set(f, CE_IO, "cannot remove %s: %s", path, strerror(errno));
    return status ? psa_fault(f, "make", id, status) : id_open(id, out, f);
}

static enum err psa_destroy(const struct agent_config *cfg, const char *path, struct fault *f)
{
    uint32_t id;
    enum err e = id_load(path, &id, f);
    if (e || !id || (e = psa_load(cfg, f)))
        return e;
    int status = psa.destroy(id);
    return status ? psa_fault(f, "destroy", id, status) : CE_OK;
}

const struct key_backend key_backend_psa = { "psa", "key.psa", psa_wanted, psa_make, psa_open, psa_destroy, psa_check };
