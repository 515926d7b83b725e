/* judge.c: the steps of cradle/update.h, fed by the server or by the folder of the last offer. See gate.h. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gate/gate.h"

#define FILE_MAX_LEN (1u << 20)
#define ROOTS_MAX 64 /* roots in one look */

enum part { PART_TIMESTAMP, PART_SNAPSHOT, PART_TARGETS, PART_DIRECTIVE, PART_LINE, PART_COUNT };
typedef int step_fn(struct cradle_update *u, char *envelope, size_t n);

static const struct { const char *file; step_fn *step; } parts[PART_COUNT] = {
    { "timestamp.json", cradle_update_timestamp }, { "snapshot.json", cradle_update_snapshot }, { "targets.json", cradle_update_targets },
    { "directive.json", cradle_update_directive }, { "line.json", cradle_update_line },
};

struct look {
    struct gate *g;
    bool online;
    struct buf part[PART_COUNT], root; /* owned; root: the newest one, when it is newer than the stored one */
};

static void look_free(struct look *l)
{
    for (int i = 0; i < PART_COUNT; i++)
        buf_free(&l->part[i]);
    buf_free(&l->root);
}

/* -- where bytes come from -------------------------------------------------------------------------------------------------------- */
static enum err from_server(struct look *l, const char *path, struct buf *out, struct fault *f)
{
    struct net_reply reply = { 0 };
    enum err e = net_get(l->g->net, path, &reply, f);
    if (e && reply.status == 404)
        e = CE_NOT_FOUND;
    else if (e && (reply.status == 0 || reply.status >= 500))
        e = CE_TIMEOUT;
    if (!e)
        buf_put_span(out, buf_span(&reply.body));
    net_reply_free(&reply);
    return e ? e : buf_err(out);
}

static enum err from_folder(struct look *l, const char *name, struct buf *out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/offer/%s", l->g->cfg.update_dir, name);
    enum err e = file_read(path, out);
    return e ? fault_set(f, e, "%s: %s", path, strerror(errno)) : CE_OK;
}

static enum err root_get(struct look *l, const char *name, struct buf *out, struct fault *f)
{
    char path[128];
    snprintf(path, sizeof path, "/update/v1/metadata/%.90s", name);
    return l->online ? from_server(l, path, out, f) : from_folder(l, name, out, f);
}

static enum err part_get(struct look *l, enum part p, struct fault *f)
{
    char name[CRADLE_UP_NAME + 24], path[128];
    if (!l->online)
        return from_folder(l, parts[p].file, &l->part[p], f);
    cradle_update_next(&l->g->up, name);
    snprintf(path, sizeof path, "/update/v1/metadata/%s", p == PART_TIMESTAMP ? parts[p].file : name);
    return from_server(l, p == PART_DIRECTIVE ? "/update/v1/directive" : path, &l->part[p], f);
}

/* -- the steps ---------------------------------------------------------------------------------------------------------------------- */
/* The library decodes in place; what came is kept for the folder. */
static int step(struct look *l, step_fn *fn, const struct buf *envelope)
{
    CLEANUP(buf_free) struct buf copy = BUF_INIT(FILE_MAX_LEN + 1);
    buf_put_span(&copy, buf_span(envelope));
    return buf_err(&copy) || !copy.len ? CRADLE_UP_FORMAT : fn(&l->g->up, (char *)copy.data, copy.len);
}

static enum err root_steps(struct look *l, struct fault *f)
{
    struct gate *g = l->g;
    CLEANUP(buf_free) struct buf stored = BUF_INIT(FILE_MAX_LEN);
    enum err e = update_store_root(&g->store, &stored, f);
    int up_err = e ? 0 : step(l, cradle_update_root, &stored);
    for (int i = 0; !e && !up_err && i < ROOTS_MAX; i++) {
        char name[CRADLE_UP_NAME + 24];
        CLEANUP(buf_free) struct buf next = BUF_INIT(FILE_MAX_LEN);
        cradle_update_next(&g->up, name);
        e = root_get(l, name, &next, f);
        if (e == CE_NOT_FOUND)
            break;
        if (e || (up_err = step(l, cradle_update_root, &next)))
            continue;
        buf_reset(&l->root);
        buf_put_span(&l->root, buf_span(&next));
    }
    e = e == CE_NOT_FOUND ? CE_OK : e;
    if (e || up_err)
        return e ? e : gate_refuse(g, up_err, f, "the root of updates is refused");
    /* TUF 5.3: a root that was accepted stays, whatever comes after it */
    return l->root.len ? update_store_save(&g->store, &g->up.state, buf_span(&l->root), f) : CE_OK;
}

static enum err look(struct look *l, struct fault *f)
{
    struct gate *g = l->g;
    cradle_update_begin(&g->up, &update_port, &g->self, &g->store.state, clock_now_s());
    enum err e = root_steps(l, f);
    for (int p = 0; !e && p < PART_COUNT; p++) {
        if (p == PART_LINE && g->up.target.action != CRADLE_UP_INSTALL)
            break;
        e = part_get(l, (enum part)p, f);
        if (e == CE_NOT_FOUND) {
            g->reason = p == PART_DIRECTIVE ? "no-order" : "no-metadata";
            return fault_set(f, CE_ORDER_REFUSED, p == PART_DIRECTIVE ? "there is no order for this device: no-order" : "there is no %s: no-metadata", parts[p].file);
        }
        int up_err = e ? 0 : step(l, parts[p].step, &l->part[p]);
        if (up_err)
            e = gate_refuse(g, up_err, f, p == PART_DIRECTIVE ? "the order is refused" : p == PART_LINE ? "the release is refused" : "the update metadata is refused");
    }
    return e;
}

/* For a time without network. Not all at once: a mixture is refused by the digests in it. */
static void offer_keep(struct look *l)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/offer", l->g->cfg.update_dir);
    enum err e = file_mkdirs(path, 0700);
    for (int p = 0; !e && p < PART_COUNT; p++) {
        path_join(path, "%s/offer/%s", l->g->cfg.update_dir, parts[p].file);
        e = file_write_atomic(path, buf_span(&l->part[p]), 0600);
    }
    if (e)
        log_warn(0, "cannot keep the order in %s: %s", path, strerror(errno));
}

static enum err judge_once(struct gate *g, bool online, struct fault *f)
{
    CLEANUP(look_free) struct look l = { .g = g, .online = online, .root = BUF_INIT(FILE_MAX_LEN) };
    for (int p = 0; p < PART_COUNT; p++)
        l.part[p] = BUF_INIT(FILE_MAX_LEN);
    enum err e = look(&l, f);
    e = e ? e : update_store_save(&g->store, &g->up.state, span_of(NULL, 0), f);
    if (!e && online)
        offer_keep(&l);
    if (!e && g->up.target.action != CRADLE_UP_INSTALL) {
        g->reason = "no-order";
        return fault_set(f, CE_ORDER_REFUSED, "the order for this device is not to install anything: no-order");
    }
    return e;
}

enum err gate_judge(struct gate *g, struct fault *f)
{
    enum err e = update_store_open(&g->store, g->cfg.update_dir, g->cfg.factory_root, f);
    if (e)
        return e;
    e = judge_once(g, g->net != NULL, f);
    if (e == CE_TIMEOUT && g->net) {
        log_warn(0, "the server cannot be asked (%s); judging what it said last", f->text);
        e = judge_once(g, false, f);
    }
    update_store_close(&g->store);
    return e;
}
