/* reset.c: see reset.h. Each phase may be done twice; the next one is noted when it is complete. */
#include "agent/reset.h"

#include <errno.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/enroll.h"
#include "agent/record.h"
#include "agent/update_child.h"
#include "agent/update_client.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define TELL_TRIES 3

struct reset {
    char phase[CONFIG_STR_MAX];
    int64_t sequence;
    bool told;
};
#define CFG(...) CONFIG_ROW(reset, __VA_ARGS__)
static const struct config_key reset_keys[] = {
    CFG(STR, phase, "erase", 1, 16, "", "erase, receipt, tell, destroy or enroll")
    CFG(INT, sequence, "0", 0, INT64_MAX, "", "of the directive; 0: ordered at the device")
    CFG(BOOL, told, "no", 0, 0, "", "the server has the receipt")
};
#undef CFG

static void reset_path(const struct agent_config *cfg, const char *file, char *out)
{
    char dir[PATH_MAX_LEN];
    updater_dir(cfg, dir);
    path_join(out, "%.400s/%s", dir, file);
}

static enum err reset_save(const struct agent_config *cfg, const struct reset *r, struct fault *f)
{
    char path[PATH_MAX_LEN];
    reset_path(cfg, "reset", path);
    return record_save(path, reset_keys, ARRAY_LEN(reset_keys), r, f);
}

static enum err reset_move(const struct agent_config *cfg, struct reset *r, const char *phase, struct fault *f)
{
    log_info(0, "reset: %s", phase);
    snprintf(r->phase, sizeof r->phase, "%s", phase);
    return reset_save(cfg, r, f);
}

enum err reset_order(const struct agent_config *cfg, int64_t sequence, struct fault *f)
{
    struct reset r = { .sequence = sequence };
    char dir[PATH_MAX_LEN];
    updater_dir(cfg, dir);
    if (file_mkdirs(dir, 0700))
        return fault_set(f, err_from_errno(errno), "cannot make %s: %s", dir, strerror(errno));
    return reset_pending(cfg) ? CE_OK : reset_move(cfg, &r, "erase", f);
}

bool reset_pending(const struct agent_config *cfg)
{
    char path[PATH_MAX_LEN];
    reset_path(cfg, "reset", path);
    return file_exists(path);
}

/* -- erasing ---------------------------------------------------------------------------------------------------------------------- */
static int erase_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    if (at->level == 0 && type == FTW_DP) /* the folder itself stays: it may be a mount point */
        return file_sync_dir(path) ? -1 : 0;
    return remove(path) && errno != ENOENT ? -1 : 0;
}

static enum err erase(const struct agent_config *cfg, struct fault *f)
{
    struct span rest = span_str(cfg->reset_paths), one;
    char path[PATH_MAX_LEN];
    while (span_cut(&rest, ' ', &one)) {
        if (!one.n)
            continue;
        path_join(path, SPAN_FMT, SPAN_ARG(one));
        if (nftw(path, erase_one, 16, FTW_PHYS | FTW_DEPTH | FTW_MOUNT) && errno != ENOENT)
            return fault_set(f, err_from_errno(errno), "cannot erase %s: %s", path, strerror(errno));
        log_info(0, "reset: %s is erased", path);
    }
    sync();
    return CE_OK;
}

/* -- the receipt ------------------------------------------------------------------------------------------------------------------ */
static enum err receipt_make(struct agent *a, const struct reset *r, struct fault *f)
{
    char dir[PATH_MAX_LEN], path[PATH_MAX_LEN];
    uint8_t digest[32], sig[80];
    size_t n = sizeof sig;
    CLEANUP(key_close) struct agent_key k = { 0 };
    CLEANUP(buf_free) struct buf text = BUF_INIT(1024);
    creds_slot_dir(&a->creds, CREDS_CURRENT, dir);
    if (!key_present(dir)) /* a device that has no key yet has nobody to sign */
        return CE_OK;
    enum err e = key_open(&a->cfg, dir, &k, f);
    if (e)
        return e;
    buf_printf(&text, "cradle-reset 1 %s %lld %lld", a->cfg.uid, (long long)r->sequence, (long long)clock_now_s());
    if (EVP_Digest(text.data, text.len, digest, NULL, EVP_sha256(), NULL) != 1 || k.port.sign(&k, digest, sig, &n))
        return fault_set(f, CE_CRYPTO, "the device key could not sign the receipt");
    buf_put_str(&text, " ");
    buf_put_base64(&text, span_of(sig, n), 0);
    reset_path(&a->cfg, "receipt", path);
    if ((e = file_write_atomic(path, buf_span(&text), 0600)))
        return fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    return CE_OK;
}

static enum err receipt_tell(struct agent *a, struct reset *r, struct fault *f)
{
    static const volatile sig_atomic_t never;
    struct updater u = { .cfg = &a->cfg, .lock_fd = -1, .stop = &never };
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(1024);
    reset_path(&a->cfg, "receipt", path);
    if (r->told || (!*a->cfg.update_url && !*a->cfg.est_url) || file_read(path, &text))
        return CE_OK; /* nobody to tell, or nothing */
    const struct update_said said = { .sequence = r->sequence, .state = "reset", .reason = strcmp(r->phase, "enroll") == 0 ? "key-gone" : NULL, .text = buf_cstr(&text) };
    updater_version(&u);
    enum err e = updater_post(&u, &said, f);
    net_close_p(&u.net);
    if (e)
        return e;
    r->told = true;
    return reset_save(&a->cfg, r, f);
}

/* While the key is there; then once more with the new identity. */
static void tell_first(struct agent *a, struct reset *r)
{
    struct fault f;
    if (a->phase != CRADLE_CURRENT && a->phase != CRADLE_CANDIDATE)
        return;
    for (int i = 0; i < TELL_TRIES; i++) {
        if (receipt_tell(a, r, &f) == CE_OK)
            return;
        log_warn(0, "the receipt of the reset was not told: %s", f.text);
        usleep(300000);
    }
}

/* -- phases ----------------------------------------------------------------------------------------------------------------------- */
static enum err destroy(struct agent *a, struct fault *f)
{
    enum err e = creds_destroy(&a->creds, f);
    if (e)
        return e;
    a->phase = CRADLE_NO_KEY;
    a->renew_at_s = a->not_after_s = a->next_est_ms = 0;
    a->est_attempts = 0;
    a->outbox.first = a->outbox.count = 0; /* what the old owner's application said and nobody has */
    return CE_OK;
}

static enum err reset_end(struct agent *a, struct reset *r, struct fault *f)
{
    char path[PATH_MAX_LEN];
    if (a->phase != CRADLE_CURRENT || clock_mono_ms() < a->next_reset_ms)
        return CE_OK;
    enum err e = receipt_tell(a, r, f);
    if (e && e != CE_BAD_FIELD) {
        a->next_reset_ms = clock_mono_ms() + 1000 + agent_backoff_ms(a, a->reset_attempts++);
        return e;
    }
    reset_path(&a->cfg, "receipt", path);
    e = record_remove(path, f);
    reset_path(&a->cfg, "reset", path);
    e = e ? e : record_remove(path, f);
    if (!e)
        log_info(0, "%s is reset", a->cfg.uid);
    return e;
}

enum err reset_step(struct agent *a, struct fault *f)
{
    struct reset r = { 0 };
    char path[PATH_MAX_LEN];
    reset_path(&a->cfg, "reset", path);
    enum err e = record_load(path, reset_keys, ARRAY_LEN(reset_keys), &r, f);
    if (e)
        return e == CE_NOT_FOUND ? CE_OK : e;
    if (strcmp(r.phase, "enroll") != 0) { /* nobody uses the identity while it is destroyed */
        char dir[PATH_MAX_LEN];
        updater_dir(&a->cfg, dir);
        file_temps_remove(dir, "re"); /* of reset and receipt */
        update_child_stop(a);
        link_close(a->link);
        a->link = NULL;
    }
    if (strcmp(r.phase, "erase") == 0 && !(e = erase(&a->cfg, f)))
        e = reset_move(&a->cfg, &r, "receipt", f);
    if (!e && strcmp(r.phase, "receipt") == 0 && !(e = receipt_make(a, &r, f)))
        e = reset_move(&a->cfg, &r, "tell", f);
    if (!e && strcmp(r.phase, "tell") == 0) {
        tell_first(a, &r);
        e = reset_move(&a->cfg, &r, "destroy", f);
    }
    if (!e && strcmp(r.phase, "destroy") == 0 && !(e = destroy(a, f)))
        e = reset_move(&a->cfg, &r, "enroll", f);
    return e ? e : strcmp(r.phase, "enroll") == 0 ? reset_end(a, &r, f) : CE_OK;
}
