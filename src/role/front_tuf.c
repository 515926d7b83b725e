/* front_tuf.c: POST /api/v1/tuf/{name}: update metadata that people signed. The signatures are verified here, by the keys of the root and
 * targets that core has pushed, so that core reads no JSON of strangers. What another front took a moment ago may still be on its way: so core is
 * asked first (META_SYNC), whose answer comes behind its pushes, and is told which version judged. A front that lies can offer devices metadata that they refuse.
 */
#include <stdlib.h>

#include "role/front_priv.h"
#include "wire/tuf.h"

#define FRONT_METADATA_NAME 64 /* msg.def: key of a query */

struct front_meta { /* parsed anew whenever core pushes */
    struct arena root_arena, targets_arena;
    struct tuf_root root;       /* head.version 0: there is none */
    struct tuf_targets targets;
};

struct front_meta *front_meta_new(void) { return mem_calloc(1, sizeof(struct front_meta)); }

void front_meta_clear(struct front_meta *t)
{
    arena_free(&t->root_arena);
    arena_free(&t->targets_arena);
    *t = (struct front_meta){ 0 };
}

void front_meta_free(struct front_meta *t)
{
    if (t)
        front_meta_clear(t);
    free(t);
}

void front_push_meta(struct front *fr, const struct msg_push_meta *m)
{
    struct front_meta *t = fr->meta;
    struct arena env_arena = { 0 };
    struct dsse env;
    struct fault f = { 0 };
    bool root = span_eq_str(m->role, "root");
    struct arena *arena = root ? &t->root_arena : &t->targets_arena;
    arena_free(arena);
    *arena = (struct arena){ 0 };
    enum err e = dsse_parse(m->envelope, &env_arena, &env, &f);
    if (root)
        e = e ? e : tuf_root_read(env.payload, arena, &t->root, &f);
    else
        e = e ? e : tuf_targets_read(env.payload, arena, &t->targets, &f);
    if (e) {
        log_error(0, "the " SPAN_FMT " metadata of updates is not readable: %s", SPAN_ARG(m->role), f.text);
        *(root ? &t->root.head : &t->targets.head) = (struct tuf_head){ 0 };
    }
    arena_free(&env_arena);
}

/* -- judging ------------------------------------------------------------------------------------------------------------------ */
/* The keys of role whose signatures hold, for the evidence. */
static void keyids_put(const struct dsse *env, const struct tuf_keys *keys, const struct tuf_role *role, struct buf *out)
{
    for (size_t i = 0; i < role->n_keyids; i++) {
        const struct tuf_role one = { .keyids = { role->keyids[i] }, .n_keyids = 1, .threshold = 1 };
        if (tuf_verify(env, keys, &one, NULL))
            continue;
        if (out->len)
            buf_put_u8(out, ' ');
        buf_put_span(out, role->keyids[i]);
    }
}

static enum err root_judge(struct front_req *r, const struct dsse *env, struct msg_tuf_put *m, struct buf *keyids, struct fault *f)
{
    const struct tuf_root *old = &r->fr->meta->root;
    struct tuf_root *next = arena_alloc(&r->arena, sizeof *next);
    enum err e = tuf_root_read(env->payload, &r->arena, next, f);
    if (!e && old->head.version && next->head.version == old->head.version + 1)
        e = tuf_verify(env, &old->keys, &old->roles[TUF_ROOT], f);
    e = e ? e : tuf_verify(env, &next->keys, &next->roles[TUF_ROOT], f);
    m->version = next->head.version;
    m->expires = next->head.expires_s;
    m->judged_by = old->head.version;
    keyids_put(env, &next->keys, &next->roles[TUF_ROOT], keyids);
    return e;
}

static enum err targets_judge(struct front_req *r, const struct dsse *env, struct msg_tuf_put *m, struct buf *keyids, struct fault *f)
{
    const struct tuf_root *root = &r->fr->meta->root;
    struct tuf_targets *t = arena_alloc(&r->arena, sizeof *t);
    if (!root->head.version)
        return fault_set(f, CE_NOT_FOUND, "there is no root metadata yet: send it first");
    enum err e = tuf_verify(env, &root->keys, &root->roles[TUF_TARGETS], f);
    e = e ? e : tuf_targets_read(env->payload, &r->arena, t, f);
    m->version = t->head.version;
    m->expires = t->head.expires_s;
    m->judged_by = root->head.version;
    keyids_put(env, &root->keys, &root->roles[TUF_TARGETS], keyids);
    return e;
}

static struct span list_text(struct arena *a, const struct span *items, size_t n)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    for (size_t i = 0; i < n; i++) {
        buf_put_span(&b, items[i]);
        buf_put_u8(&b, '\n');
    }
    if (!n)
        buf_put_u8(&b, '\n');
    return arena_copy(a, buf_span(&b));
}

static void release_put(const struct tuf_target *t, struct arena *a, struct buf *out)
{
    const struct msg_release_item i = { .name = t->release, .version = t->version, .path = t->path, .sha256 = t->sha256, .sbom_sha256 = t->sbom_sha256,
                                        .support_end = t->support_end, .counter = t->counter, .length = t->length, .security_only = t->security_only,
                                        .min_version = t->min_version, .handler = t->handler, .models = list_text(a, t->models, t->n_models),
                                        .hw_revs = list_text(a, t->hw_revs, t->n_hw_revs) };
    msg_pack(&msg_desc_release_item, &i, out);
}

/* What is too long for a message is no metadata of ours. */
static enum err target_fits(const struct tuf_target *t, struct fault *f)
{
    bool fits = t->release.n <= LABEL_MAX && t->version.n <= 64 && t->min_version.n <= 64 && t->handler.n <= 64 && t->path.n <= 160 && t->support_end.n == 10;
    return fits ? CE_OK : fault_set(f, CE_BAD_METADATA, "target '" SPAN_FMT "': a name, version, path or date is too long", SPAN_ARG(t->path));
}

static enum err line_judge(struct front_req *r, const struct dsse *env, struct msg_tuf_put *m, struct buf *keyids, struct fault *f)
{
    const struct tuf_targets *t = &r->fr->meta->targets;
    const struct tuf_role *role = NULL;
    CLEANUP(buf_free) struct buf items = BUF_INIT(1048576);
    struct tuf_line l;
    for (size_t i = 0; i < t->n_lines && t->head.version; i++)
        role = span_eq(t->lines[i].name, m->role) ? &t->lines[i] : role;
    if (!role)
        return fault_set(f, CE_LINE_UNKNOWN, "the targets metadata names no signers for the line '" SPAN_FMT "': send it first", SPAN_ARG(m->role));
    enum err e = tuf_verify(env, &t->keys, role, f);
    e = e ? e : tuf_line_read(env->payload, m->role, &r->arena, &l, f);
    for (size_t i = 0; !e && i < l.n; i++) {
        e = target_fits(&l.list[i], f);
        if (!e)
            release_put(&l.list[i], &r->arena, &items);
    }
    if (e)
        return e;
    m->version = l.head.version;
    m->expires = l.head.expires_s;
    m->judged_by = t->head.version;
    m->releases = arena_copy(&r->arena, buf_span(&items));
    keyids_put(env, &t->keys, role, keyids);
    return buf_err(&items) ? fault_set(f, CE_TOO_LARGE, "the line has too many releases") : CE_OK;
}

struct tuf_sent { /* while core is asked */
    struct dsse env;
    struct span role;
};

enum err front_tuf_put(struct front_req *r, struct fault *f)
{
    struct tuf_sent *s = arena_alloc(&r->arena, sizeof *s);
    s->role = r->match.params[0];
    enum err e = name_check_label("role", s->role, f);
    e = e ? e : dsse_parse(r->body, &r->arena, &s->env, f);
    if (e)
        return e;
    r->note = s;
    r->desc = &msg_desc_meta_sync;
    r->msg = arena_alloc(&r->arena, r->desc->size);
    return CE_OK;
}

static enum err tuf_judge(struct front_req *r, struct msg_tuf_put *m, struct fault *f)
{
    const struct tuf_sent *s = r->note;
    CLEANUP(buf_free) struct buf keyids = BUF_INIT(1100);
    m->role = s->role;
    enum err e = span_eq_str(m->role, "root") ? root_judge(r, &s->env, m, &keyids, f)
                 : span_eq_str(m->role, "targets") ? targets_judge(r, &s->env, m, &keyids, f) : line_judge(r, &s->env, m, &keyids, f);
    m->envelope = r->body;
    m->keyids = arena_copy(&r->arena, buf_span(&keyids));
    return e;
}

void front_reply_tuf(struct front_req *r, const struct msg_reply *rep)
{
    struct fault f = { 0 };
    if (r->desc != &msg_desc_meta_sync) {
        front_reply_plain(r, rep);
        return;
    }
    struct msg_tuf_put *m = arena_alloc(&r->arena, sizeof *m);
    enum err e = tuf_judge(r, m, &f);
    e = e ? e : front_ask(r, r->fr->core, &msg_desc_tuf_put, m, &f);
    if (e)
        front_refuse(r, e, f.text, NULL);
}

enum err front_metadata(struct front_req *r, struct fault *f)
{
    struct span file = r->match.params[0];
    enum err e = front_query(r, f);
    if (!e && file.n > FRONT_METADATA_NAME)
        e = fault_set(f, CE_NOT_FOUND, "no metadata file has so long a name");
    if (!e)
        ((struct msg_query *)r->msg)->key = file;
    return e;
}
