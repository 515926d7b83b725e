/* parent_user.c: who the processes run as. Started by root, every role becomes `user` (the signer `signer_user`) before it is
 * executed; started by anybody else, all stay who they are.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "role/parent.h"

enum err identity_find(const char *user, struct identity *out, struct fault *f)
{
    int64_t number;
    *out = (struct identity){ 0 };
    if (geteuid() != 0)
        return CE_OK;
    if (!*user)
        return fault_set(f, CE_BAD_CONFIG, "cradled was started by root and will not run its roles as root: set user in cradled.conf");
    const struct passwd *pw = getpwnam(user);
    if (pw) {
        *out = (struct identity){ .change = true, .uid = pw->pw_uid, .gid = pw->pw_gid };
        if (span_to_cstr(span_str(user), out->name, sizeof out->name))
            return fault_set(f, CE_BAD_CONFIG, "the user name %s is too long", user);
    } else if (span_to_i64(span_str(user), &number) && number > 0 && number < 0x7fffffff) {
        *out = (struct identity){ .change = true, .uid = (uid_t)number, .gid = (gid_t)number };
    } else
        return fault_set(f, CE_BAD_CONFIG, "there is no user %s; make it (adduser --system --group %s) or change user in cradled.conf", user, user);
    if (out->uid == 0)
        return fault_set(f, CE_BAD_CONFIG, "user must not be root");
    return CE_OK;
}

void identity_enter(const struct identity *id)
{
    INVARIANT(!id->change || (setegid(id->gid) == 0 && seteuid(id->uid) == 0));
}

void identity_leave(const struct identity *id)
{
    int eno = errno;
    INVARIANT(!id->change || (seteuid(0) == 0 && setegid(0) == 0));
    errno = eno;
}

/* Keeps the one right that a port below 1024 needs, through execve, for a process that is no longer root. */
static bool keep_port_capability(void)
{
    struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct d[2] = { 0 };
    d[0].effective = d[0].permitted = d[0].inheritable = 1u << CAP_NET_BIND_SERVICE;
    return syscall(SYS_capset, &h, d) == 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) == 0;
}

enum err identity_drop(const struct identity *id, bool keep_ports, struct fault *f)
{
    if (!keep_ports)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (!id->change)
        return CE_OK;
    if (keep_ports && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
        return fault_set(f, CE_UNSUPPORTED, "cannot keep capabilities: %s", strerror(errno));
    if ((*id->name ? initgroups(id->name, id->gid) : setgroups(0, NULL)) || setresgid(id->gid, id->gid, id->gid) ||
        setresuid(id->uid, id->uid, id->uid))
        return fault_set(f, CE_UNSUPPORTED, "cannot become user %u: %s", (unsigned)id->uid, strerror(errno));
    if (keep_ports && !keep_port_capability())
        return fault_set(f, CE_UNSUPPORTED, "cannot keep the right to ports below 1024: %s", strerror(errno));
    INVARIANT(setuid(0) != 0 && geteuid() == id->uid);
    return CE_OK;
}

enum err identity_check_config(const char *site, const char *conf, struct fault *f)
{
    const char *const paths[] = { site, conf };
    struct stat st;
    for (size_t i = 0; geteuid() == 0 && i < ARRAY_LEN(paths); i++) {
        if (stat(paths[i], &st))
            return fault_set(f, CE_IO, "%s: %s", paths[i], strerror(errno));
        if (st.st_uid != 0 || (st.st_mode & 022))
            return fault_set(f, CE_BAD_CONFIG, "%s can be changed by others than root, who starts cradled: chown root and chmod go-w, or start it as that user",
                             paths[i]);
    }
    return CE_OK;
}

/* In a process of its own, because only a real change of identity answers the question. */
static int try_site(const struct identity *id, const char *site)
{
    char path[PATH_MAX_LEN];
    static const char *const folders[] = { "db", "log", "pub", "run", "artifact", "delta", "depot" };
    if (identity_drop(id, false, NULL) || chdir(site) || access("ca", X_OK))
        return 1;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        path_join(path, "%s/%s", site, folders[i]);
        if (mkdir(path, 0700) && errno != EEXIST)
            return 2;
        if (access(path, W_OK | X_OK))
            return 2;
    }
    return 0;
}

/* Folders that sites made by an older program do not have: below a folder of root only root can make them. */
static void make_folders(const struct identity *id, const char *site)
{
    static const char *const folders[] = { "artifact", "delta", "depot" };
    char path[PATH_MAX_LEN];
    path_join(path, "%s/ca", site);
    for (size_t i = 0; id->change && file_exists(path) && i < ARRAY_LEN(folders); i++) {
        char made[PATH_MAX_LEN];
        path_join(made, "%s/%s", site, folders[i]);
        if (mkdir(made, 0700) == 0 && lchown(made, id->uid, id->gid) != 0)
            rmdir(made); /* the check says what is missing */
    }
}

enum err identity_check_site(const struct identity *id, const char *site, struct fault *f)
{
    int status = 0;
    make_folders(id, site);
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_site(id, site));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return fault_set(f, CE_IO, "cannot start a process: %s", strerror(errno));
    const char *who = id->change ? (*id->name ? id->name : "the configured user") : "this user";
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CE_OK;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
        return fault_set(f, CE_IO, "%s cannot write in %s/{db,log,pub,run,artifact,delta,depot}; give them to it (chown)", who, site);
    return fault_set(f, CE_IO, "%s cannot enter %s (or a folder above it), or it is not a site; make one with: cradle init %s", who, site, site);
}
