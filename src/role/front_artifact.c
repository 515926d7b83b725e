/* front_artifact.c: uploads of artifacts and their removal: JSON or the name of a spooled body in, a message to the depot out. What the
 * depot has put in place is told to core, which makes the evidence, before the client hears of it; what core has let go the depot removes.
 */
#include "crypt/hash.h"
#include "role/front_priv.h"

/* -- what comes --------------------------------------------------------------------------------------------------------------------- */
enum err front_sha256_param(struct front_req *r, struct span *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(SHA256_LEN);
    const struct span p = r->match.params[r->match.nparams - 1];
    if (p.n != 2 * SHA256_LEN || hex_decode(p, &b))
        return fault_set(f, CE_BAD_FIELD, "the path names it by its SHA-256: 64 hexadecimal digits");
    *out = arena_copy(&r->arena, buf_span(&b));
    return CE_OK;
}

enum err front_upload_open(struct front_req *r, struct fault *f)
{
    struct msg_upload_open *m = arena_alloc(&r->arena, sizeof *m);
    enum err e = front_json(r, f);
    if (e)
        return e;
    const struct msg_artifact_add *a = r->msg;
    *m = (struct msg_upload_open){ .sha256 = a->sha256, .length = a->length, .name = a->name, .encrypted = a->encrypted };
    r->desc = &msg_desc_upload_open;
    r->msg = m;
    return CE_OK;
}

static enum err offset_read(struct front_req *r, int64_t *out, struct fault *f)
{
    struct span rest = r->query, name, value;
    bool there = false;
    enum err e;
    while ((e = http_query_next(&rest, &r->arena, &name, &value, f)) == CE_OK) {
        if (there || !span_eq_str(name, "offset") || !span_to_i64(value, out) || *out < 0)
            return fault_set(f, CE_BAD_FIELD, "this path takes one query parameter: offset, a number of bytes");
        there = true;
    }
    if (e != CE_NOT_FOUND)
        return e;
    return there ? CE_OK : fault_set(f, CE_BAD_FIELD, "query parameter 'offset' is missing");
}

/* The body: spooled by the ingress, which says where (nginx.c), or in the request itself, when the ingress has no such means. */
enum err front_upload_put(struct front_req *r, struct fault *f)
{
    struct msg_upload_put *m = arena_alloc(&r->arena, sizeof *m);
    struct span path = front_in_header(r, "X-Cradle-Body");
    enum err e = front_sha256_param(r, &m->sha256, f);
    e = e ? e : offset_read(r, &m->offset, f);
    if (e)
        return e;
    for (size_t i = path.n; i > 0 && !m->spool.n; i--)
        if (path.p[i - 1] == '/')
            m->spool = span_of(path.p + i, path.n - i);
    if (m->spool.n > 32 || !span_is_utf8(m->spool))
        return fault_set(f, CE_BAD_INPUT, "the ingress names no file of a body");
    if (!m->spool.n)
        m->bytes = r->body;
    r->desc = &msg_desc_upload_put;
    r->msg = m;
    return CE_OK;
}

/* Messages that are a digest and nothing else: the field is the same in each. */
enum err front_upload_named(struct front_req *r, struct fault *f)
{
    r->desc = r->handler->desc;
    r->msg = arena_alloc(&r->arena, r->desc->size);
    return front_sha256_param(r, r->msg, f);
}

enum err front_artifact_remove(struct front_req *r, struct fault *f)
{
    struct span sha256;
    enum err e = front_sha256_param(r, &sha256, f);
    e = e ? e : front_json(r, f);
    if (!e)
        ((struct msg_artifact_remove *)r->msg)->sha256 = sha256;
    return e;
}

/* -- what goes back ------------------------------------------------------------------------------------------------------------------ */
static bool from_core(const struct front_req *r) { return channel_peer(r->sent_to) == ROLE_CORE; }

void front_reply_upload(struct front_req *r, const struct msg_reply *rep)
{
    struct msg_artifact_add *m;
    struct msg_reply made = *rep;
    struct fault f = { 0 };
    if (from_core(r)) {
        front_reply_plain(r, rep);
        return;
    }
    if (rep->body_kind != BODY_BINARY) { /* it goes on */
        if (r->desc == &msg_desc_upload_open)
            made.http = 201;
        front_reply_plain(r, &made);
        return;
    }
    m = arena_alloc(&r->arena, sizeof *m);
    if (msg_unpack_all(&msg_desc_artifact_add, arena_copy(&r->arena, rep->body), m))
        channel_bad(r->sent_to, MSG_REPLY, "artifact_add");
    enum err e = front_ask(r, r->fr->core, &msg_desc_artifact_add, m, &f);
    if (e)
        front_refuse(r, e, f.text, NULL);
}

struct removed {
    struct span body; /* core's answer */
};

void front_reply_removed(struct front_req *r, const struct msg_reply *rep)
{
    struct fault f = { 0 };
    if (!from_core(r)) {
        front_send(r, 200, "application/json", ((struct removed *)r->note)->body);
        return;
    }
    struct removed *kept = arena_alloc(&r->arena, sizeof *kept);
    struct msg_artifact_drop *m = arena_alloc(&r->arena, sizeof *m);
    kept->body = arena_copy(&r->arena, rep->body);
    m->sha256 = ((const struct msg_artifact_remove *)r->msg)->sha256;
    r->note = kept;
    enum err e = front_ask(r, r->fr->depot, &msg_desc_artifact_drop, m, &f);
    if (e)
        front_refuse(r, e, f.text, NULL);
}
