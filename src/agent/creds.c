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

static void generation_remove(const struct creds *c, int id)
{
    char dir[PATH_MAX_LEN], path[PATH_MAX_LEN];
    path_join(dir, "%s/id-%d", c->dir, id);
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        path_join(path, "%s/%.200s", dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(dir);
}

static bool slot_has(const struct creds *c, enum creds_slot slot, const char *file)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s/%s", c->dir, link_names[slot], file);
    return file_exists(path);
}

/* Temporary files of an interrupted write may hold a key: they go. */
static void temps_remove(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        char path[PATH_MAX_LEN];
        if (!strstr(e->d_name, ".tmp"))
            continue;
        path_join(path, "%s/%.200s", dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
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
            temps_remove(path);
        } else if (id) {
            log_info(0, "removing %s/id-%d, left by an interruption", c->dir, id);
            generation_remove(c, id);
        }
    }
    if (d)
        closedir(d);
    temps_remove(c->dir);
}

enum err creds_open(const char *dir, struct creds *c, enum cradle_phase *phase, struct fault *f)
{
    path_join(c->dir, "%s", dir);
    if (file_mkdirs(dir, 0700))
        return creds_fault(c, "make the folder", f);
    if (link_read(c, CREDS_NEXT) && !slot_has(c, CREDS_NEXT, "cert.pem")) {
        enum err e = creds_drop_next(c, f);
        if (e)
            return e;
    }
    creds_clear(c);
    if (!link_read(c, CREDS_CURRENT) || !slot_has(c, CREDS_CURRENT, "key.pem"))
        *phase = CRADLE_NO_KEY;
    else if (!slot_has(c, CREDS_CURRENT, "cert.pem"))
        *phase = CRADLE_NO_CERT;
    else
        *phase = link_read(c, CREDS_NEXT) ? CRADLE_CANDIDATE : CRADLE_CURRENT;
    return CE_OK;
}

void creds_key_path(const struct creds *c, enum creds_slot slot, char *out) { path_join(out, "%s/%s/key.pem", c->dir, link_names[slot]); }
void creds_cert_path(const struct creds *c, enum creds_slot slot, char *out) { path_join(out, "%s/%s/cert.pem", c->dir, link_names[slot]); }

static enum err generation_make(struct creds *c, char *dir, struct fault *f)
{
    path_join(dir, "%s/id-%d", c->dir, c->next_id);
    generation_remove(c, c->next_id);
    if (mkdir(dir, 0700) || file_sync_dir(c->dir))
        return creds_fault(c, "make a generation", f);
    return CE_OK;
}

enum err creds_first(struct creds *c, enum err (*make_key)(const char *path, void *arg), void *arg, struct fault *f)
{
    char dir[PATH_MAX_LEN], key[PATH_MAX_LEN];
    enum err e = generation_make(c, dir, f);
    if (e)
        return e;
    path_join(key, "%s/key.pem", dir);
    if ((e = make_key(key, arg)))
        return e;
    return link_set(c, CREDS_CURRENT, c->next_id++, f);
}

enum err creds_begin(struct creds *c, bool keep_key, char *key_path, struct fault *f)
{
    char dir[PATH_MAX_LEN], old[PATH_MAX_LEN];
    enum err e = generation_make(c, dir, f);
    if (e)
        return e;
    path_join(key_path, "%s/key.pem", dir);
    creds_key_path(c, CREDS_CURRENT, old);
    if (keep_key && (link(old, key_path) || file_sync_dir(dir)))
        return creds_fault(c, "keep the key", f);
    return CE_OK;
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
        generation_remove(c, old);
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
        generation_remove(c, id);
    return CE_OK;
}

static void key_overwrite(const char *path)
{
    static const uint8_t zeros[4096];
    CLEANUP(fd_close_p) int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (file_write_all(fd, span_of(zeros, sizeof zeros)) || fsync(fd))
        log_warn(0, "%s is removed without being overwritten: %s", path, strerror(errno));
}

enum err creds_destroy(struct creds *c, struct fault *f)
{
    DIR *d = opendir(c->dir);
    struct dirent *e;
    char path[PATH_MAX_LEN];
    while (d && (e = readdir(d))) {
        int id = strncmp(e->d_name, "id-", 3) == 0 ? atoi(e->d_name + 3) : 0;
        if (!id)
            continue;
        path_join(path, "%s/id-%d/key.pem", c->dir, id);
        key_overwrite(path);
        generation_remove(c, id);
        c->next_id = id >= c->next_id ? id + 1 : c->next_id;
    }
    if (d)
        closedir(d);
    for (size_t i = 0; i < ARRAY_LEN(link_names); i++) {
        path_join(path, "%s/%s", c->dir, link_names[i]);
        if (unlink(path) && errno != ENOENT)
            return creds_fault(c, "destroy the identity", f);
    }
    return file_sync_dir(c->dir) ? creds_fault(c, "destroy the identity", f) : CE_OK;
}
