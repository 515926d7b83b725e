/* update_store.c: see update_store.h. A new root is written under its own name before the state that names it, so that whatever a power cut
 * leaves, root and state fit. */
#include "agent/update_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/record.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "dev/envelope.h"

#define ROOT_MAX (1u << 20)
#define LOCK_LIMIT_MS 10000

struct state_record {
#define CFG CONFIG_FIELD
#include "agent/update_state.def"
#undef CFG
};
static const struct config_key state_keys[] = {
#define CFG(...) CONFIG_ROW(state_record, __VA_ARGS__)
#include "agent/update_state.def"
#undef CFG
};

/* -- state ------------------------------------------------------------------------------------------------------------------------ */
static enum err state_from(const char *name, const struct state_record *r, struct cradle_update_state *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf digest = BUF_INIT(32);
    if (hex_decode(span_str(r->root_sha256), &digest) || digest.len != 32)
        return fault_set(f, CE_BAD_CONFIG, "%s: root_sha256 is not 64 hex digits", name);
    *out = (struct cradle_update_state){
        .root_version = (uint32_t)r->root_version, .timestamp_version = (uint32_t)r->timestamp_version, .snapshot_version = (uint32_t)r->snapshot_version,
        .targets_version = (uint32_t)r->targets_version, .line_version = (uint32_t)r->line_version, .sequence = (uint64_t)r->sequence,
        .counter_floor = (uint32_t)r->counter_floor, .time_s = r->time_s,
    };
    memcpy(out->root_sha256, digest.data, 32);
    return CE_OK;
}

enum err update_state_parse(const char *name, struct span text, struct cradle_update_state *out, struct fault *f)
{
    struct state_record r = { 0 };
    enum err e = record_parse(name, text, state_keys, ARRAY_LEN(state_keys), &r, f);
    return e ? e : state_from(name, &r, out, f);
}

static enum err state_write(const struct update_store *s, const struct cradle_update_state *state, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct state_record r = {
        .root_version = state->root_version, .timestamp_version = state->timestamp_version, .snapshot_version = state->snapshot_version,
        .targets_version = state->targets_version, .line_version = state->line_version, .sequence = (int64_t)state->sequence,
        .counter_floor = state->counter_floor, .time_s = state->time_s,
    };
    for (size_t i = 0; i < sizeof state->root_sha256; i++)
        snprintf(r.root_sha256 + 2 * i, 3, "%02x", state->root_sha256[i]);
    path_join(path, "%s/state", s->dir);
    return record_save(path, state_keys, ARRAY_LEN(state_keys), &r, f);
}

/* -- roots ------------------------------------------------------------------------------------------------------------------------ */
static void root_path(const struct update_store *s, uint32_t version, char *out)
{
    path_join(out, "%s/%u.root.json", s->dir, version);
    if (!version || !file_exists(out))
        path_join(out, "%s/root.json", s->dir);
}

enum err update_store_root(const struct update_store *s, struct buf *out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    root_path(s, s->state.root_version, path);
    enum err e = file_read(path, out);
    return e ? fault_set(f, e, "the root of updates %s: %s", path, strerror(errno)) : CE_OK;
}

static enum err factory_root_take(struct update_store *s, const char *factory_root, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(ROOT_MAX);
    path_join(path, "%s/root.json", s->dir);
    if (file_exists(path))
        return CE_OK;
    if (!*factory_root)
        return fault_set(f, CE_NOT_FOUND, "there is no %s: a device trusts no update before its maker's root.json is there", path);
    enum err e = file_read(factory_root, &text);
    if (e)
        return fault_set(f, e, "the root of updates %s: %s", factory_root, strerror(errno));
    if ((e = file_write_atomic(path, buf_span(&text), 0600)))
        return fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    return CE_OK;
}

/* A device that has looked at nothing yet trusts the root that it was made with, by its digest. */
static enum err state_new(struct update_store *s, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(ROOT_MAX);
    struct envelope env;
    s->state = (struct cradle_update_state){ 0 };
    enum err e = update_store_root(s, &text, f);
    if (e)
        return e;
    if (envelope_open((char *)text.data, text.len, ENVELOPE_TUF, &env) || envelope_payload_sha256(&env, &update_port, s->state.root_sha256))
        return fault_set(f, CE_BAD_CONFIG, "%s/root.json is not a signed root", s->dir);
    return CE_OK;
}

/* Roots that the state does not name: the ones before, and one that a power cut left. */
static void roots_clear(const struct update_store *s)
{
    DIR *d = opendir(s->dir);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        char path[PATH_MAX_LEN];
        char *end;
        unsigned long n = strtoul(e->d_name, &end, 10);
        if (end == e->d_name || strcmp(end, ".root.json") != 0 || n == s->state.root_version)
            continue;
        path_join(path, "%s/%.200s", s->dir, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
}

/* -- opening ---------------------------------------------------------------------------------------------------------------------- */
static enum err store_lock(struct update_store *s, struct fault *f)
{
    char path[PATH_MAX_LEN];
    int64_t end_ms = clock_mono_ms() + LOCK_LIMIT_MS;
    path_join(path, "%s/state.lock", s->dir);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno));
    while (flock(s->lock_fd, LOCK_EX | LOCK_NB)) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno));
        if (clock_mono_ms() >= end_ms)
            return fault_set(f, CE_BUSY, "another program looks at update metadata in %s", s->dir);
        usleep(20000);
    }
    return CE_OK;
}

static enum err store_load(struct update_store *s, const char *factory_root, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct state_record r = { 0 };
    enum err e = store_lock(s, f);
    e = e ? e : factory_root_take(s, factory_root, f);
    if (e)
        return e;
    path_join(path, "%s/state", s->dir);
    e = record_load(path, state_keys, ARRAY_LEN(state_keys), &r, f);
    if (e == CE_NOT_FOUND)
        return state_new(s, f);
    e = e ? e : state_from(path, &r, &s->state, f);
    if (!e) {
        file_temps_remove(s->dir, "");
        roots_clear(s);
    }
    return e;
}

enum err update_store_open(struct update_store *s, const char *dir, const char *factory_root, struct fault *f)
{
    *s = (struct update_store){ .lock_fd = -1 };
    path_join(s->dir, "%s", dir);
    if (file_mkdirs(dir, 0700))
        return fault_set(f, err_from_errno(errno), "cannot make %s: %s", dir, strerror(errno));
    enum err e = store_load(s, factory_root, f);
    if (e)
        update_store_close(s);
    return e;
}

void update_store_close(struct update_store *s) { fd_close_p(&s->lock_fd); }

/* -- saving ----------------------------------------------------------------------------------------------------------------------- */
enum err update_store_save(struct update_store *s, const struct cradle_update_state *state, struct span root, struct fault *f)
{
    char path[PATH_MAX_LEN];
    INVARIANT(s->lock_fd >= 0);
    bool same_root = state->root_version == s->state.root_version; /* a newer one may take back what a thief of online keys ran ahead with */
    if (state->root_version < s->state.root_version || state->counter_floor < s->state.counter_floor ||
        (same_root && (state->sequence < s->state.sequence || state->time_s < s->state.time_s)))
        return fault_set(f, CE_ROLLBACK, "the state of updates in %s would go back", s->dir);
    if (root.n) {
        path_join(path, "%s/%u.root.json", s->dir, state->root_version);
        enum err e = file_write_atomic(path, root, 0600);
        if (e)
            return fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    }
    enum err e = state_write(s, state, f);
    if (!e)
        s->state = *state;
    return e;
}

enum err update_store_confirm(struct update_store *s, uint32_t counter, struct fault *f)
{
    struct cradle_update_state next = s->state;
    const struct cradle_update_target t = { .counter = counter };
    cradle_update_confirm(&next, &t);
    return next.counter_floor == s->state.counter_floor ? CE_OK : update_store_save(s, &next, span_of(NULL, 0), f);
}
