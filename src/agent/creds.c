/* creds.c: see creds.h. */
#include "agent/creds.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

static const char *const link_names[] = { "current", "next" };

static enum err creds_fault(const struct creds *c, const char *what, struct fault *f)
{
    return fault_set(f, err_from_errno(errno), "%s: cannot %s: %s", c->dir, what, strerror(errno));
}

/* The generation that a link names, 0 when there is none. */
static int link_read(const struct creds *c, enum creds_slot slot)
{
    char path[PATH_MAX_LEN], target[64];
    path_join(path, "%s/%s", c->dir, link_names[slot]);
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n <= 3)
        return 0;
    target[n] = 0;
    return strncmp(target, "id-", 3) == 0 ? atoi(target + 3) : 0;
}

static enum err link_set(const struct creds *c, enum creds_slot slot, int id, struct fault *f)
{
    char tmp[PATH_MAX_LEN], path[PATH_MAX_LEN], target[32];
    path_join(tmp, "%s/%s.tmp", c->dir, link_names[slot]);
    path_join(path, "%s/%s", c->dir, link_names[slot]);
    snprintf(target, sizeof target, "id-%d", id);
    unlink(tmp);
    if (symlink(target, tmp) || rename(tmp, path) || file_sync_dir(c->dir))
        return creds_fault(c, "name a generation", f);
    return CE_OK;
}

static enum err generation_remove(const struct creds *c, int id, struct fault *f)
{
    char dir[PATH_MAX_LEN], path[PATH_MAX_LEN];
    path_join(dir, "%s/id-%d", c->dir, id);
    enum err e = key_destroy(c->cfg, dir, f); /* first: the folder says where the key is */
    if (e)
        return e;
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        if (entry->d_name[0] == '.')
            continue;
        path_join(path, "%s/%.200s", dir, entry->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
    return CE_OK;
}

/* What cannot be removed now (a token that does not answer) is removed at a later start. */
static void generation_drop(struct creds *c, int id)
{
    struct fault f;
    if (generation_remove(c, id, &f)) {
        log_warn(0, "%s/id-%d stays for now: %s", c->dir, id, f.text);
        c->next_id = id >= c->next_id ? id + 1 : c->next_id;
    }
}

static bool slot_has(const struct creds *c, enum creds_slot slot, const char *file)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s/%s", c->dir, link_names[slot], file);
    return file_exists(path);
}

/* Removes folders that no link names and temporary files; learns the highest number in use. */
static void creds_clear(struct creds *c)
{
    int current = link_read(c, CREDS_CURRENT), next = link_read(c, CREDS_NEXT);
    DIR *d = opendir(c->dir);
    struct dirent *e;
    c->next_id = 1 + (current > next ? current : next);
    while (d && (e = readdir(d))) {
        char path[PATH_MAX_LEN];
        int id = strncmp(e->d_name, "id-", 3) == 0 ? atoi(e->d_name + 3) : 0;
        path_join(path, "%s/%.200s", c->dir, e->d_name);
        if (id && (id == current || id == next)) {
            file_temps_remove(path, ""); /* they may hold a key */
        } else if (id) {
            log_info(0, "removing %s/id-%d, left by an interruption", c->dir, id);
            generation_drop(c, id);
        }
    }
    if (d)
        closedir(d);
    file_temps_remove(c->dir, "");
}

enum err creds_open(const struct agent_config *cfg, struct creds *c, enum cradle_phase *phase, struct fault *f)
{
    c->cfg = cfg;
    path_join(c->dir, "%s", cfg->state_dir);
    if (file_mkdirs(c->dir, 0700))
        return creds_fault(c, "make the folder", f);
    if (link_read(c, CREDS_NEXT) && !slot_has(c, CREDS_NEXT, "cert.pem")) {
        enum err e = creds_drop_next(c, f);
        if (e)
            return e;
    }
    creds_clear(c);
    char current[PATH_MAX_LEN];
    creds_slot_dir(c, CREDS_CURRENT, current);
    if (!link_read(c, CREDS_CURRENT) || !key_present(current))
        *phase = CRADLE_NO_KEY;
    else if (!slot_has(c, CREDS_CURRENT, "cert.pem"))
        *phase = CRADLE_NO_CERT;
    else
        *phase = link_read(c, CREDS_NEXT) ? CRADLE_CANDIDATE : CRADLE_CURRENT;
    return CE_OK;
}

void creds_slot_dir(const struct creds *c, enum creds_slot slot, char *out) { path_join(out, "%s/%s", c->dir, link_names[slot]); }
void creds_cert_path(const struct creds *c, enum creds_slot slot, char *out) { path_join(out, "%s/%s/cert.pem", c->dir, link_names[slot]); }

static enum err generation_make(struct creds *c, char *dir, struct fault *f)
{
    path_join(dir, "%s/id-%d", c->dir, c->next_id);
    enum err e = generation_remove(c, c->next_id, f);
    if (e)
        return e;
    if (mkdir(dir, 0700) || file_sync_dir(c->dir))
        return creds_fault(c, "make a generation", f);
    return CE_OK;
}

enum err creds_first(struct creds *c, struct fault *f)
{
    char dir[PATH_MAX_LEN];
    CLEANUP(key_close) struct agent_key k = { 0 };
    enum err e = generation_make(c, dir, f);
    e = e ? e : key_make(c->cfg, dir, &k, f);
    return e ? e : link_set(c, CREDS_CURRENT, c->next_id++, f);
}

enum err creds_begin(struct creds *c, bool keep_key, char *dir, struct agent_key *k, struct fault *f)
{
    char old[PATH_MAX_LEN];
    enum err e = generation_make(c, dir, f);
    if (e || !keep_key)
        return e ? e : key_make(c->cfg, dir, k, f);
    creds_slot_dir(c, CREDS_CURRENT, old);
    e = key_share(old, dir, f);
    return e ? e : key_open(c->cfg, dir, k, f);
}

static enum err cert_store(const struct creds *c, const char *dir, struct span pem, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/cert.pem", dir);
    enum err e = file_write_atomic(path, pem, 0644);
    return e ? creds_fault(c, "store the certificate", f) : CE_OK;
}

enum err creds_store_current(struct creds *c, struct span pem, struct fault *f)
{
    char dir[PATH_MAX_LEN];
    path_join(dir, "%s/%s", c->dir, link_names[CREDS_CURRENT]);
    return cert_store(c, dir, pem, f);
}

enum err creds_store_next(struct creds *c, struct span pem, struct fault *f)
{
    char dir[PATH_MAX_LEN];
    path_join(dir, "%s/id-%d", c->dir, c->next_id);
    enum err e = cert_store(c, dir, pem, f);
    return e ? e : link_set(c, CREDS_NEXT, c->next_id++, f);
}

enum err creds_swap(struct creds *c, struct fault *f)
{
    char next[PATH_MAX_LEN], current[PATH_MAX_LEN];
    int old = link_read(c, CREDS_CURRENT);
    path_join(next, "%s/next", c->dir);
    path_join(current, "%s/current", c->dir);
    if (rename(next, current) || file_sync_dir(c->dir))
        return creds_fault(c, "swap the identity", f);
    if (old)
        generation_drop(c, old);
    return CE_OK;
}

enum err creds_drop_next(struct creds *c, struct fault *f)
{
    char next[PATH_MAX_LEN];
    int id = link_read(c, CREDS_NEXT);
    path_join(next, "%s/next", c->dir);
    if ((unlink(next) && errno != ENOENT) || file_sync_dir(c->dir))
        return creds_fault(c, "drop the candidate", f);
    if (id)
        generation_drop(c, id);
    return CE_OK;
}

enum err creds_destroy(struct creds *c, struct fault *f)
{
    enum err e = CE_OK;
    DIR *d = opendir(c->dir);
    struct dirent *entry;
    char path[PATH_MAX_LEN];
    while (!e && d && (entry = readdir(d))) {
        int id = strncmp(entry->d_name, "id-", 3) == 0 ? atoi(entry->d_name + 3) : 0;
        if (!id)
            continue;
        e = generation_remove(c, id, f);
        c->next_id = id >= c->next_id ? id + 1 : c->next_id;
    }
    if (d)
        closedir(d);
    for (size_t i = 0; !e && i < ARRAY_LEN(link_names); i++) {
        path_join(path, "%s/%s", c->dir, link_names[i]);
        if (unlink(path) && errno != ENOENT)
            return creds_fault(c, "destroy the identity", f);
    }
    return e || !file_sync_dir(c->dir) ? e : creds_fault(c, "destroy the identity", f);
}
