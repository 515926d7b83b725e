/* module.c: the vendor's module: loaded once, started, ended, and what its return values mean. See token.h. */
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "token/impl.h"

static struct module *modules; /* touched by token_new and token_free only */

static const struct {
    ck_rv rv;
    const char *text;
    bool lost;
} returns[] = {
    { CKR_PIN_INCORRECT_, "the PIN is wrong", false },
    { CKR_PIN_INVALID_, "the PIN is wrong", false },
    { CKR_PIN_LEN_RANGE_, "the PIN is wrong: too short or too long", false },
    { CKR_PIN_LOCKED_, "the PIN is locked", false },
    { CKR_PIN_EXPIRED_, "the PIN has expired", false },
    { CKR_SESSION_COUNT_, "it has no more sessions", false },
    { CKR_SLOT_ID_INVALID_, "the slot is gone", true },
    { CKR_GENERAL_ERROR_, "general error", true },
    { CKR_FUNCTION_FAILED_, "function failed", true },
    { CKR_DEVICE_ERROR_, "device error", true },
    { CKR_DEVICE_MEMORY_, "device out of memory", true },
    { CKR_DEVICE_REMOVED_, "device removed", true },
    { CKR_KEY_HANDLE_INVALID_, "the key is gone", true },
    { CKR_OBJECT_HANDLE_INVALID_, "the object is gone", true },
    { CKR_SESSION_CLOSED_, "session closed", true },
    { CKR_SESSION_HANDLE_INVALID_, "the session is gone", true },
    { CKR_TOKEN_NOT_PRESENT_, "token not present", true },
    { CKR_TOKEN_NOT_RECOGNIZED_, "token not recognized", true },
    { CKR_USER_NOT_LOGGED_IN_, "not logged in", true },
    { CKR_CRYPTOKI_NOT_INITIALIZED_, "the module was reset", true },
};

bool ck_is_lost(ck_rv rv)
{
    for (size_t i = 0; i < ARRAY_LEN(returns); i++)
        if (returns[i].rv == rv)
            return returns[i].lost;
    return false;
}

enum err ck_fail(struct fault *f, const char *what, ck_rv rv)
{
    const char *text = NULL;
    for (size_t i = 0; i < ARRAY_LEN(returns); i++)
        if (returns[i].rv == rv)
            text = returns[i].text;
    return fault_set(f, ck_is_lost(rv) ? CE_TOKEN_LOST : CE_CRYPTO, "the PKCS#11 token refused to %s: error 0x%lx%s%s%s", what, rv, text ? " (" : "",
                     text ? text : "", text ? ")" : "");
}

static enum err module_load(struct module *m, struct fault *f)
{
    m->dl = dlopen(m->path, RTLD_NOW | RTLD_LOCAL);
    if (!m->dl)
        return fault_set(f, CE_NOT_FOUND, "cannot load the PKCS#11 module: %s", dlerror());
    ck_rv (*list)(struct ck_functions **) = NULL;
    *(void **)&list = dlsym(m->dl, "C_GetFunctionList");
    struct ck_functions *ck = NULL;
    if (!list || list(&ck) != CKR_OK_ || !ck || ck->version.major != 2)
        return fault_set(f, CE_UNSUPPORTED, "%s is not a PKCS#11 version 2 module", m->path);
    m->ck = ck;
    return CE_OK;
}

/* A name alone: where distributions put modules (p11-kit's folder, SoftHSM's own). The first that is there. */
static enum err module_path(const struct pkcs11_uri *u, char out[PATH_MAX_LEN], struct fault *f)
{
    static const char *const places[] = { "/usr/lib/*/pkcs11", "/usr/lib/pkcs11", "/usr/lib/softhsm", "/usr/local/lib" };
    if (u->module[0]) {
        memcpy(out, u->module, sizeof u->module);
        return CE_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        char pattern[128];
        glob_t g = { 0 };
        bool got = false;
        snprintf(pattern, sizeof pattern, "%s/%s.so", places[i], u->module_name);
        if (glob(pattern, 0, NULL, &g) == 0 && g.gl_pathc)
            got = span_to_cstr(span_str(g.gl_pathv[0]), out, PATH_MAX_LEN) == CE_OK;
        globfree(&g);
        if (got)
            return CE_OK;
    }
    return fault_set(f, CE_NOT_FOUND, "no PKCS#11 module %s.so in the usual folders; use module-path=FILE", u->module_name);
}

enum err module_use(const struct pkcs11_uri *u, struct module **out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    enum err e = module_path(u, path, f);
    if (e)
        return e;
    for (struct module *m = modules; m; m = m->next)
        if (strcmp(m->path, path) == 0) {
            m->users++;
            *out = m;
            return CE_OK;
        }
    struct module *m = mem_calloc(1, sizeof *m);
    memcpy(m->path, path, sizeof path);
    pthread_rwlockattr_t a;
    pthread_rwlockattr_init(&a);
    pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&m->lock, &a);
    pthread_rwlockattr_destroy(&a);
    if ((e = module_load(m, f)) || (e = module_start(m, f))) {
        if (m->dl)
            dlclose(m->dl);
        pthread_rwlock_destroy(&m->lock);
        free(m);
        return e;
    }
    m->users = 1;
    m->next = modules;
    modules = m;
    *out = m;
    return CE_OK;
}

void module_leave(struct module *m)
{
    struct module **at = &modules;
    if (--m->users)
        return;
    module_end(m);
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    dlclose(m->dl);
    pthread_rwlock_destroy(&m->lock);
    free(m);
}

/* With threads when the module can; else calls are made one at a time. */
enum err module_start(struct module *m, struct fault *f)
{
    struct ck_initialize_args threads = { .flags = CKF_OS_LOCKING_OK_ };
    if (m->initialized)
        return CE_OK;
    ck_rv rv = m->ck->initialize(&threads);
    m->serial = rv == CKR_CANT_LOCK_;
    if (m->serial)
        rv = m->ck->initialize(NULL);
    if (rv != CKR_OK_ && rv != CKR_ALREADY_INITIALIZED_)
        return ck_fail(f, "start", rv);
    m->initialized = true;
    return CE_OK;
}

void module_end(struct module *m)
{
    if (m->initialized)
        m->ck->finalize(NULL);
    m->initialized = false;
    for (struct token *t = m->tokens; t; t = t->next)
        t->connected = t->keeper_open = false;
}

void module_lock(struct module *m, bool exclusive)
{
    if (exclusive || m->serial)
        pthread_rwlock_wrlock(&m->lock);
    else
        pthread_rwlock_rdlock(&m->lock);
}

void module_unlock(struct module *m) { pthread_rwlock_unlock(&m->lock); }
