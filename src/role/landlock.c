/* landlock.c: see landlock.h. Constants from the kernel's user-space interface are written out: they are newer than Debian 12's
 * headers.
 */
#include "role/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

#define LL_CREATE_RULESET 444
#define LL_ADD_RULE 445
#define LL_RESTRICT_SELF 446
#define LL_QUERY_VERSION 1u
#define LL_RULE_PATH_BENEATH 1

#define LL_FS_EXECUTE (1u << 0)
#define LL_FS_WRITE_FILE (1u << 1)
#define LL_FS_READ_FILE (1u << 2)
#define LL_FS_READ_DIR (1u << 3)
#define LL_FS_REMOVE_DIR (1u << 4)
#define LL_FS_REMOVE_FILE (1u << 5)
#define LL_FS_MAKE_DIR (1u << 7)
#define LL_FS_MAKE_REG (1u << 8)
#define LL_FS_ABI1 0x1fffu       /* bits 0..12 */
#define LL_FS_REFER (1u << 13)   /* ABI 2: rename and link between folders */
#define LL_FS_TRUNCATE (1u << 14) /* ABI 3 */
#define LL_NET_BIND 1u           /* ABI 4: TCP */
#define LL_NET_CONNECT 2u

/* what there is to allow of what is not a folder */
#define LL_OF_FILE (LL_FS_EXECUTE | LL_FS_WRITE_FILE | LL_FS_READ_FILE | LL_FS_TRUNCATE)
#define LL_READ (LL_FS_READ_FILE | LL_FS_READ_DIR)
#define LL_WRITE                                                                                                                 \
    (LL_READ | LL_FS_WRITE_FILE | LL_FS_REMOVE_DIR | LL_FS_REMOVE_FILE | LL_FS_MAKE_DIR | LL_FS_MAKE_REG | LL_FS_REFER | \
     LL_FS_TRUNCATE)

static const uint64_t accesses[] = { [LANDLOCK_READ] = LL_READ, [LANDLOCK_WRITE] = LL_WRITE, [LANDLOCK_RUN] = LL_READ | LL_FS_EXECUTE };

struct ll_ruleset {
    uint64_t fs, net;
};
struct ll_path {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

int landlock_abi(void)
{
    long v = syscall(LL_CREATE_RULESET, NULL, 0, LL_QUERY_VERSION);
    return v < 0 ? 0 : (int)v;
}

static enum err add_path(int ruleset, const char *site, const struct landlock_rule *r, uint64_t handled, struct fault *f)
{
    char path[PATH_MAX_LEN];
    if (r->path[0] == '/')
        path_join(path, "%s", r->path);
    else
        path_join(path, "%s/%s", site, r->path);
    CLEANUP(fd_close_p) int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return CE_OK; /* what is not there cannot be reached */
    struct stat st = { 0 };
    bool there = fd >= 0 && fstat(fd, &st) == 0;
    struct ll_path rule = { .allowed = accesses[r->access] & handled & (S_ISDIR(st.st_mode) ? ~0ull : LL_OF_FILE), .parent_fd = fd };
    if (!there || syscall(LL_ADD_RULE, ruleset, LL_RULE_PATH_BENEATH, &rule, 0))
        return fault_set(f, CE_UNSUPPORTED, "Landlock refused %s: %s", path, strerror(errno));
    return CE_OK;
}

enum err landlock_enter(const char *site, const struct landlock_rule *rules, enum landlock_tcp tcp, struct fault *f)
{
    int abi = landlock_abi();
    if (abi < 1)
        return CE_OK;
    struct ll_ruleset set = { LL_FS_ABI1 | (abi >= 2 ? LL_FS_REFER : 0) | (abi >= 3 ? LL_FS_TRUNCATE : 0),
                              abi < 4 ? 0 : (tcp == LANDLOCK_CONNECT ? 0 : LL_NET_CONNECT) | (tcp == LANDLOCK_BIND ? 0 : LL_NET_BIND) };
    CLEANUP(fd_close_p) int fd = (int)syscall(LL_CREATE_RULESET, &set, abi >= 4 ? sizeof set : sizeof set.fs, 0);
    if (fd < 0)
        return fault_set(f, CE_UNSUPPORTED, "Landlock refused its rule set: %s", strerror(errno));
    for (; rules->path; rules++) {
        enum err e = add_path(fd, site, rules, set.fs, f);
        if (e)
            return e;
    }
    if (syscall(LL_RESTRICT_SELF, fd, 0))
        return fault_set(f, CE_UNSUPPORTED, "Landlock refused: %s", strerror(errno));
    return CE_OK;
}
