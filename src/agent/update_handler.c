/* update_handler.c: see update_handler.h. */
#include "agent/update_handler.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/exec.h"
#include "base/mem.h"

static bool word_in(const char *list, const char *word)
{
    struct span rest = span_str(list), one;
    while (span_cut(&rest, ' ', &one))
        if (one.n && span_eq_str(one, word))
            return true;
    return false;
}

static const char *command_of(const struct agent_config *cfg, const char *name)
{
    const struct { const char *name, *command; } rows[] = {
        { "swupdate", cfg->swupdate_command }, { "rauc", cfg->rauc_command }, { "mcu", cfg->mcu_command }, { "command", cfg->custom_command },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].command;
    return "";
}

enum err handler_find(const struct agent_config *cfg, const char *dir, const char *name, struct handler *out, struct fault *f)
{
    *out = (struct handler){ .cfg = cfg, .dir = dir, .slots = strcmp(name, "raw") == 0 || strcmp(name, "files") == 0, .files = strcmp(name, "files") == 0 };
    if (!*name || !word_in(cfg->update_handlers, name))
        return fault_set(f, CE_ROLE_FORBIDDEN, "the release wants the handler '%s', which update_handlers does not allow", name);
    if (out->files && !*cfg->files_path)
        return fault_set(f, CE_BAD_CONFIG, "the handler files needs files_path");
    if (out->slots && !out->files && (!*cfg->slot_a || !*cfg->slot_b))
        return fault_set(f, CE_BAD_CONFIG, "the handler raw needs slot_a and slot_b");
    if (out->slots)
        return CE_OK;
    const char *command = command_of(cfg, name);
    snprintf(out->command, sizeof out->command, "%s", command);
    return *command ? CE_OK : fault_set(f, CE_BAD_CONFIG, "the handler '%s' has no command in the configuration", name);
}

void slot_path(const struct handler *h, char slot, char *out)
{
    if (h->files)
        path_join(out, "%s.%c", h->cfg->files_path, slot);
    else
        path_join(out, "%s", slot == 'a' ? h->cfg->slot_a : h->cfg->slot_b);
}

void handler_place(const struct handler *h, char slot, char *out)
{
    if (h->slots)
        slot_path(h, slot, out);
    else
        path_join(out, "%s/artifact", h->dir);
}

static enum err dir_sync_of(const char *path)
{
    char dir[PATH_MAX_LEN];
    const char *slash = strrchr(path, '/');
    path_join(dir, "%.*s", slash ? (int)(slash - path) : 1, slash && slash != path ? path : slash ? "/" : ".");
    return file_sync_dir(dir);
}

/* A file that lies there from before the first update becomes slot b, without ever being away. */
static enum err files_adopt(const struct handler *h, struct fault *f)
{
    char other[PATH_MAX_LEN];
    slot_path(h, 'b', other);
    unlink(other);
    if (link(h->cfg->files_path, other) || dir_sync_of(other))
        return fault_set(f, err_from_errno(errno), "%s: %s", other, strerror(errno));
    return slot_switch(h, 'b', f);
}

static enum err files_active(const struct handler *h, char *slot, struct fault *f)
{
    char to[PATH_MAX_LEN];
    struct stat st;
    *slot = 'b';
    if (lstat(h->cfg->files_path, &st))
        return errno == ENOENT ? CE_OK : fault_set(f, err_from_errno(errno), "%s: %s", h->cfg->files_path, strerror(errno));
    if (S_ISREG(st.st_mode))
        return files_adopt(h, f);
    ssize_t n = readlink(h->cfg->files_path, to, sizeof to - 1);
    if (n < 2 || to[n - 2] != '.' || (to[n - 1] != 'a' && to[n - 1] != 'b'))
        return fault_set(f, CE_BAD_CONFIG, "%s is neither a file nor a symbolic link to its .a or .b", h->cfg->files_path);
    *slot = to[n - 1];
    return CE_OK;
}

static enum err slot_of_text(const char *text, const char *from, char *slot, struct fault *f)
{
    struct span s = span_trim(span_str(text));
    if (s.n != 1 || (s.p[0] != 'a' && s.p[0] != 'b'))
        return fault_set(f, CE_BAD_CONFIG, "%s says neither a nor b", from);
    *slot = (char)s.p[0];
    return CE_OK;
}

enum err slot_active(const struct handler *h, char *slot, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct exec_result r;
    if (h->files)
        return files_active(h, slot, f);
    if (*h->cfg->slot_active_command) {
        const struct exec_job job = { .command = h->cfg->slot_active_command, .limit_s = h->cfg->health_limit_s };
        enum err e = exec_run(&job, &r, f);
        return e ? e : slot_of_text(r.out, "slot_active_command", slot, f);
    }
    CLEANUP(buf_free) struct buf text = BUF_INIT(64);
    path_join(path, "%s/slot", h->dir);
    enum err e = file_read(path, &text);
    *slot = 'a';
    if (e == CE_NOT_FOUND)
        return CE_OK;
    return e ? fault_set(f, e, "%s: %s", path, strerror(errno)) : slot_of_text(buf_cstr(&text), path, slot, f);
}

static enum err files_switch(const struct handler *h, char slot, struct fault *f)
{
    char path[PATH_MAX_LEN], tmp[PATH_MAX_LEN], to[PATH_MAX_LEN];
    slot_path(h, slot, path);
    const char *base = strrchr(path, '/');
    path_join(to, "%s", base ? base + 1 : path);
    path_join(tmp, "%s.new", h->cfg->files_path);
    unlink(tmp);
    if (symlink(to, tmp) || rename(tmp, h->cfg->files_path) || dir_sync_of(h->cfg->files_path))
        return fault_set(f, err_from_errno(errno), "%s: %s", h->cfg->files_path, strerror(errno));
    return CE_OK;
}

enum err slot_switch(const struct handler *h, char slot, struct fault *f)
{
    char path[PATH_MAX_LEN], text[3] = { slot, '\n', 0 }, name[2] = { slot, 0 };
    struct exec_result r;
    if (h->files)
        return files_switch(h, slot, f);
    if (*h->cfg->slot_switch_command) {
        const struct exec_job job = { .command = h->cfg->slot_switch_command, .slot = name, .limit_s = h->cfg->health_limit_s };
        return exec_run(&job, &r, f);
    }
    path_join(path, "%s/slot", h->dir);
    enum err e = file_write_atomic(path, span_str(text), 0644);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : CE_OK;
}
