/* artifact.c: see artifact.h. Decide first, then write. */
#include "core/artifact.h"

#include "base/name.h"
#include "core/registry.h"
#include "crypt/hash.h"
#include "store/artifact.h"

static void artifact_reply(struct batch *b, const struct artifact_row *r, int64_t http, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out o = JSON_OUT(&body);
    json_obj(&o, NULL);
    json_hex(&o, "sha256", r->sha256);
    json_int(&o, "length", r->length);
    json_str(&o, "name", r->name);
    json_bool(&o, "encrypted", r->encrypted != 0);
    json_time_ms(&o, "added_at", r->added_at);
    json_obj_end(&o);
    out->http = http;
    reply_json(b, &body, out);
}

enum err artifact_op_add(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_artifact_add *m = msg;
    struct artifact_row old, row = { .sha256 = m->sha256, .length = m->length, .name = m->name, .encrypted = m->encrypted, .sha1 = m->sha1,
                                    .added_at = b->now_ms, .added_by = c->name };
    if (m->sha256.n != SHA256_LEN || m->sha1.n != SHA1_LEN || m->length < 1)
        return fault_set(f, CE_BAD_FIELD, "a file has a SHA-256, a SHA-1 and at least one byte");
    enum err e = name_check_text("name", m->name, 160, f);
    e = e ? e : store_artifact_get(b->db, b->arena, m->sha256, &old, f);
    if (!e && (old.encrypted != 0) != (m->encrypted != 0)) /* its record is older than the depot's file: people and devices were told the other */
        return fault_set(f, CE_EXISTS, "this file is recorded as %s: remove it first", old.encrypted ? "encrypted" : "not encrypted");
    if (!e) {
        artifact_reply(b, &old, 200, out);
        return CE_OK;
    }
    if (e != CE_NOT_FOUND)
        return e;
    *f = (struct fault){ 0 };
    e = store_artifact_add(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_ARTIFACT_STORED, (struct span){ 0 }, 0);
    json_hex(j, "sha256", m->sha256);
    json_int(j, "length", m->length);
    json_str(j, "name", m->name);
    json_bool(j, "encrypted", m->encrypted != 0);
    json_hex(j, "sha1", m->sha1);
    json_str(j, "by", c->name);
    event_end(b);
    artifact_reply(b, &row, 201, out);
    return CE_OK;
}

enum err artifact_op_remove(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_artifact_remove *m = msg;
    struct artifact_row row;
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    e = e ? e : store_artifact_get(b->db, b->arena, m->sha256, &row, f);
    if (!e && row.releases)
        e = fault_set(f, CE_ARTIFACT_USED, "%lld signed releases name this file: withdraw them first", (long long)row.releases);
    e = e ? e : store_artifact_remove(b->db, m->sha256, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_ARTIFACT_REMOVED, (struct span){ 0 }, 0);
    json_hex(j, "sha256", m->sha256);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    artifact_reply(b, &row, 200, out);
    return CE_OK;
}
