/* init_place.c: where a site is made and how it gets to its place. A new DIR: in a folder beside it, renamed at the end, so there is a
 * whole site or none. A DIR that is there already (a mounted volume, a service's state folder): in DIR/.init-PID; its parts are moved up
 * at the end, cradled.conf last, without which it is no site. What a killed init left is cleared away by the next one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/init.h"

/* Everything at the top of a site; cradled.conf is the last to come. */
static const char *const parts[] = { "offline", "ca", "keys", "trust", "profiles", "tls", "operators",
                                     "db", "log", "pub", "run", "artifact", "delta", "depot", "birth.json", "cradled.conf" };
static const char *const folders[] = { "", "/offline", "/ca", "/keys", "/trust", "/profiles", "/tls", "/operators",
                                       "/db", "/log", "/pub", "/pub/ca", "/pub/crl", "/pub/crl/root", "/run",
                                       "/artifact", "/delta", "/depot" };

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

static void remove_tree(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

static void remove_parts(const char *dir)
{
    char path[PATH_MAX_LEN];
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        path_join(path, "%s/%s", dir, parts[i]);
        remove_tree(path);
    }
}

static bool is_part(const char *name)
{
    for (size_t i = 0; i + 1 < ARRAY_LEN(parts); i++)
        if (strcmp(parts[i], name) == 0)
            return true;
    return false;
}

/* "PREFIX" and the number of a process that is no more. */
static bool is_leftover(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    char *end = NULL;
    long pid = strncmp(name, prefix, n) == 0 ? strtol(name + n, &end, 10) : 0;
    return pid > 0 && !*end && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void remove_leftovers(const char *dir, const char *prefix)
{
    char path[PATH_MAX_LEN];
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_leftover(e->d_name, prefix)) {
            path_join(path, "%s/%s", dir, e->d_name);
            remove_tree(path);
        }
    if (d)
        closedir(d);
}

enum err place_check(struct init *in, struct fault *f)
{
    DIR *d = opendir(in->dir);
    int leftovers = 0, remains = 0, others = 0;
    in->inside = d != NULL;
    if (!d)
        return errno == ENOENT ? CE_OK : fault_set(f, CE_IO, "cannot make a site in %s: %s", in->dir, strerror(errno));
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (is_leftover(e->d_name, ".init-"))
            leftovers++;
        else if (is_part(e->d_name))
            remains++;
        else
            others++;
    }
    closedir(d);
    if (others || (remains && !leftovers))
        return fault_set(f, CE_EXISTS, "%s is not empty; a site is made in a new or empty folder only", in->dir);
    if (leftovers)
        remove_parts(in->dir);
    remove_leftovers(in->dir, ".init-");
    return CE_OK;
}

/* Splits a path into its folder (PATH_MAX_LEN bytes) and its last name. */
static const char *parent_of(const char *dir, char *parent)
{
    const char *slash = strrchr(dir, '/');
    path_join(parent, "%.*s", slash == dir ? 1 : slash ? (int)(slash - dir) : 1, slash ? dir : ".");
    return slash ? slash + 1 : dir;
}

/* Sets tmp; makes the folders above it. */
static enum err place_choose(struct init *in, struct fault *f)
{
    char parent[PATH_MAX_LEN], prefix[PATH_MAX_LEN];
    if (in->inside) {
        path_join(in->tmp, "%s/.init-%ld", in->dir, (long)getpid());
        return CE_OK;
    }
    const char *name = parent_of(in->dir, parent);
    enum err e = file_mkdirs(parent, 0755);
    if (e)
        return fault_set(f, e, "cannot make %s: %s", parent, strerror(errno));
    path_join(prefix, ".%s.init-", name);
    remove_leftovers(parent, prefix);
    path_join(in->tmp, "%s/%s%ld", parent, prefix, (long)getpid());
    return CE_OK;
}

enum err place_begin(struct init *in, struct fault *f)
{
    enum err e = place_choose(in, f);
    for (size_t i = 0; !e && i < ARRAY_LEN(folders); i++) {
        char path[PATH_MAX_LEN];
        path_join(path, "%s%s", in->tmp, folders[i]);
        if (mkdir(path, 0700))
            e = fault_set(f, err_from_errno(errno), "cannot make %s: %s", path, strerror(errno));
    }
    return e;
}

static enum err move_parts(struct init *in, struct fault *f)
{
    char from[PATH_MAX_LEN], to[PATH_MAX_LEN];
    struct stat st;
    if (stat(in->tmp, &st) || chmod(in->dir, st.st_mode & 0777))
        return fault_set(f, err_from_errno(errno), "cannot set the mode of %s: %s", in->dir, strerror(errno));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        path_join(from, "%s/%s", in->tmp, parts[i]);
        path_join(to, "%s/%s", in->dir, parts[i]);
        if (rename(from, to)) {
            enum err e = fault_set(f, err_from_errno(errno), "cannot put the site at %s: %s", in->dir, strerror(errno));
            remove_parts(in->dir);
            return e;
        }
    }
    rmdir(in->tmp);
    return file_sync_dir(in->dir) ? fault_set(f, CE_IO, "cannot sync %s: %s", in->dir, strerror(errno)) : CE_OK;
}

enum err place_end(struct init *in, struct fault *f)
{
    if (init_interrupted())
        return fault_set(f, CE_IO, "interrupted; nothing was made");
    if (in->inside)
        return move_parts(in, f);
    if (rename(in->tmp, in->dir))
        return fault_set(f, errno == ENOTEMPTY || errno == EEXIST ? CE_EXISTS : err_from_errno(errno), "cannot put the site at %s: %s",
                         in->dir, strerror(errno));
    char parent[PATH_MAX_LEN];
    parent_of(in->dir, parent);
    return file_sync_dir(parent) ? fault_set(f, CE_IO, "cannot sync %s: %s", parent, strerror(errno)) : CE_OK;
}

void place_abort(struct init *in)
{
    if (in->tmp[0])
        remove_tree(in->tmp);
}
