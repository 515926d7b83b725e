/* match.c: is what the installer has before it the image of the order? Each installer shows something else. See gate.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/mem.h"
#include "gate/gate.h"

#define DESCRIPTION_MAX (1u << 20)

static enum err handler_check(struct gate *g, const char *want, struct fault *f)
{
    if (strcmp(g->up.target.handler, want) == 0)
        return CE_OK;
    g->reason = cradle_update_reason(CRADLE_UP_TARGET);
    return fault_set(f, CE_ORDER_REFUSED, "release %s is for the handler %s, not %s: %s", g->up.target.release, g->up.target.handler, want, g->reason);
}

/* -- SWUpdate ----------------------------------------------------------------------------------------------------------------------- */
/* SWUpdate writes from the stream, so there is no file yet. It has verified the signature over sw-description, read it, and left it in its temporary
 * folder; every image that it will install is named there by SHA-256. Nobody but the installer's user may have written it. */
enum err match_swupdate(struct gate *g, struct fault *f)
{
    char path[PATH_MAX_LEN];
    const char *tmp = getenv("TMPDIR");
    struct stat st;
    uint8_t digest[32];
    CLEANUP(buf_free) struct buf text = BUF_INIT(DESCRIPTION_MAX);
    enum err e = handler_check(g, "swupdate", f);
    if (e)
        return e;
    if (tmp && strlen(tmp) > PATH_MAX_LEN / 2)
        return fault_set(f, CE_BAD_CONFIG, "TMPDIR is too long");
    path_join(path, "%s/sw-description", tmp && *tmp ? tmp : "/tmp");
    if (!g->up.target.has_inner)
        return gate_refuse(g, CRADLE_UP_TARGET, f, "the release does not name its sw-description (cradle release create --handler swupdate does)");
    if (lstat(path, &st))
        return fault_set(f, CE_NOT_FOUND, "%s: %s; cradle-gate must be run by SWUpdate, as its -P command", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
        return fault_set(f, CE_BAD_CONFIG, "%s is not a file of this user alone: give SWUpdate a TMPDIR of its own", path);
    if ((e = file_read(path, &text)))
        return fault_set(f, e, "%s: %s", path, strerror(errno));
    if (update_port.sha256_begin(NULL) || update_port.sha256_add(NULL, text.data, text.len) || update_port.sha256_end(NULL, digest))
        return fault_set(f, CE_CRYPTO, "cannot compute SHA-256");
    if (memcmp(digest, g->up.target.inner_sha256, sizeof digest) != 0)
        return gate_refuse(g, CRADLE_UP_DIGEST, f, "the image is signed, but it is not the one that is ordered for this device");
    return CE_OK;
}

/* -- whole files -------------------------------------------------------------------------------------------------------------------- */
static enum err digest_check(struct gate *g, int fd, const char *path, struct fault *f)
{
    CLEANUP(mem_free_p) uint8_t *piece = mem_alloc(65536);
    ssize_t n = 0;
    int up_err = cradle_update_file_begin(&g->up);
    while (!up_err && (n = read(fd, piece, 65536)) > 0)
        up_err = cradle_update_file_add(&g->up, piece, (size_t)n);
    if (n < 0)
        return fault_set(f, CE_IO, "%s: %s", path, strerror(errno));
    up_err = up_err ? up_err : cradle_update_file_end(&g->up);
    return up_err ? gate_refuse(g, up_err, f, "the file is not the one that is ordered for this device") : CE_OK;
}

enum err match_file(struct gate *g, const char *path, struct fault *f)
{
    CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? fault_set(f, CE_NOT_FOUND, "%s: %s", path, strerror(errno)) : digest_check(g, fd, path, f);
}

/* -- RAUC ----------------------------------------------------------------------------------------------------------------------------- */
/* The loop device that dev is, or (dm-verity) that lies under it. */
static enum err loop_of(dev_t dev, char out[PATH_MAX_LEN], struct fault *f)
{
    char path[PATH_MAX_LEN], real[PATH_MAX];
    path_join(path, "/sys/dev/block/%u:%u", major(dev), minor(dev));
    if (!realpath(path, real))
        return fault_set(f, CE_BAD_CONFIG, "the bundle is not mounted from a block device (%s: %s)", path, strerror(errno));
    const char *name = strrchr(real, '/') + 1;
    if (strncmp(name, "dm-", 3) == 0) {
        char found[32] = ""; /* data and hash tree are in one file, so there is one */
        for (int i = 0; i < 1024 && !*found; i++) {
            path_join(path, "/sys/block/%.60s/slaves/loop%d", name, i);
            if (access(path, F_OK) == 0)
                snprintf(found, sizeof found, "loop%d", i);
        }
        path_join(out, "/dev/%s", found);
        return *found ? CE_OK : fault_set(f, CE_BAD_CONFIG, "the bundle %s does not lie in a file", name);
    }
    if (strncmp(name, "loop", 4) != 0)
        return fault_set(f, CE_BAD_CONFIG, "the bundle is on %.60s and not in a file: a streamed bundle cannot be judged before it is installed", name);
    path_join(out, "/dev/%.60s", name);
    return CE_OK;
}

/* The file that the loop device shows: by name from sysfs, and the same by device and inode, so that a file that was moved there since is not taken for it. */
static enum err backing_open(const char *loop, int *fd, char name[PATH_MAX_LEN], struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct loop_info64 info;
    struct stat st;
    CLEANUP(buf_free) struct buf text = BUF_INIT(PATH_MAX_LEN - 1);
    CLEANUP(fd_close_p) int dev = open(loop, O_RDONLY | O_CLOEXEC);
    path_join(path, "/sys/block/%s/loop/backing_file", strrchr(loop, '/') + 1);
    if (dev < 0 || ioctl(dev, LOOP_GET_STATUS64, &info))
        return fault_set(f, CE_IO, "%s: %s", loop, strerror(errno));
    if (file_read(path, &text) || span_to_cstr(span_trim(buf_span(&text)), name, PATH_MAX_LEN))
        return fault_set(f, CE_IO, "%s: %s", path, strerror(errno));
    *fd = open(name, O_RDONLY | O_CLOEXEC);
    if (*fd < 0 || fstat(*fd, &st))
        return fault_set(f, CE_IO, "the bundle %s: %s", name, strerror(errno));
    if (st.st_dev != info.lo_device || st.st_ino != info.lo_inode)
        return fault_set(f, CE_ORDER_REFUSED, "the bundle %s was replaced after RAUC had mounted it", name);
    return CE_OK;
}

/* RAUC mounts a bundle after its signature held, and then asks. What it shows of the contents is what the bundle says of itself; the order names the
 * file, so the file behind the mount is read whole. */
enum err match_rauc(struct gate *g, struct fault *f)
{
    const char *mount = getenv("RAUC_BUNDLE_MOUNT_POINT");
    char loop[PATH_MAX_LEN], name[PATH_MAX_LEN] = "";
    struct stat st;
    CLEANUP(fd_close_p) int fd = -1;
    enum err e = handler_check(g, "rauc", f);
    if (e)
        return e;
    if (!mount || stat(mount, &st))
        return fault_set(f, CE_USAGE, "RAUC_BUNDLE_MOUNT_POINT names no folder; cradle-gate must be run by RAUC, as its pre-install handler");
    e = loop_of(st.st_dev, loop, f);
    e = e ? e : backing_open(loop, &fd, name, f);
    return e ? e : digest_check(g, fd, name, f);
}
