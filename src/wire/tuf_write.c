/* tuf_write.c: writing the four roles and the line roles. See tuf.h. */
#include "wire/tuf_impl.h"

enum err tuf_root_write(const struct tuf_root *r, struct buf *out)
{
    json_t *doc = tuf_doc(TUF_ROOT, &r->head), *roles = json_object();
    for (int t = 0; t < TUF_TYPES; t++)
        json_object_set_new(roles, tuf_type_name((enum tuf_type)t), tuf_role_json(&r->roles[t]));
    int bad = json_object_set_new(doc, "consistent_snapshot", json_true());
    bad |= json_object_set_new(doc, "keys", tuf_keys_json(&r->keys));
    bad |= json_object_set_new(doc, "roles", roles);
    if (r->directive.n_keyids)
        bad |= json_object_set_new(doc, "x-cradle-directive", tuf_role_json(&r->directive));
    if (bad) {
        json_decref(doc);
        return CE_BAD_METADATA;
    }
    return tuf_dump(doc, out);
}

static json_t *delegation_json(const struct tuf_role *line)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(0);
    json_t *o = tuf_role_json(line);
    buf_put_span(&path, line->name);
    buf_put_str(&path, "/*/*");
    json_object_set_new(o, "name", tuf_str(line->name));
    json_object_set_new(o, "paths", json_pack("[o]", tuf_str(buf_span(&path))));
    json_object_set_new(o, "terminating", json_true());
    return o;
}

enum err tuf_targets_write(const struct tuf_targets *t, struct buf *out)
{
    json_t *doc = tuf_doc(TUF_TARGETS, &t->head), *roles = json_array();
    for (size_t i = 0; i < t->n_lines; i++)
        json_array_append_new(roles, delegation_json(&t->lines[i]));
    json_t *delegations = json_pack("{s:o,s:o}", "keys", tuf_keys_json(&t->keys), "roles", roles);
    if (!delegations || json_object_set_new(doc, "delegations", delegations) || json_object_set_new(doc, "targets", json_object())) {
        json_decref(doc);
        return CE_BAD_METADATA;
    }
    return tuf_dump(doc, out);
}

static json_t *meta_json(const struct tuf_meta *m)
{
    json_t *o = json_pack("{s:I}", "version", (json_int_t)m->version);
    if (m->length)
        json_object_set_new(o, "length", json_integer(m->length));
    if (m->sha256.n)
        json_object_set_new(o, "hashes", json_pack("{s:o}", "sha256", tuf_hex(m->sha256)));
    return o;
}

static enum err meta_write(enum tuf_type type, const struct tuf_head *h, const struct tuf_meta *list, size_t n, struct buf *out)
{
    json_t *doc = tuf_doc(type, h), *meta = json_object();
    int bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= json_object_setn_new(meta, (const char *)list[i].name.p, list[i].name.n, meta_json(&list[i]));
    bad |= json_object_set_new(doc, "meta", meta);
    if (bad) {
        json_decref(doc);
        return CE_BAD_METADATA;
    }
    return tuf_dump(doc, out);
}

enum err tuf_snapshot_write(const struct tuf_snapshot *s, struct buf *out) { return meta_write(TUF_SNAPSHOT, &s->head, s->list, s->n, out); }

enum err tuf_timestamp_write(const struct tuf_timestamp *t, struct buf *out)
{
    struct tuf_meta m = t->snapshot;
    m.name = SPAN_LIT("snapshot.json");
    return meta_write(TUF_TIMESTAMP, &t->head, &m, 1, out);
}

static json_t *list_json(const struct span *list, size_t n)
{
    json_t *o = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(o, tuf_str(list[i]));
    return o;
}

static json_t *target_json(const struct tuf_target *t)
{
    json_t *c = json_pack("{s:o,s:o,s:o,s:o,s:I,s:b,s:o,s:o,s:o,s:{s:o,s:o}}", "release", tuf_str(t->release), "version", tuf_str(t->version),
                          "min_version", tuf_str(t->min_version), "handler", tuf_str(t->handler), "counter", (json_int_t)t->counter,
                          "security_only", (int)t->security_only, "support_end", tuf_str(t->support_end), "models", list_json(t->models, t->n_models),
                          "hw_revs", list_json(t->hw_revs, t->n_hw_revs), "sbom", "sha256", tuf_hex(t->sbom_sha256), "format", tuf_str(t->sbom_format));
    if (t->notes_sha256.n)
        json_object_set_new(c, "notes_sha256", tuf_hex(t->notes_sha256));
    if (t->inner_sha256.n)
        json_object_set_new(c, "inner_sha256", tuf_hex(t->inner_sha256));
    if (t->block_size)
        json_object_set_new(c, "blocks", json_pack("{s:I,s:o}", "size", (json_int_t)t->block_size, "sha256", tuf_hex(t->blocks_sha256)));
    return json_pack("{s:I,s:{s:o},s:{s:o}}", "length", (json_int_t)t->length, "hashes", "sha256", tuf_hex(t->sha256), "custom", "cradle", c);
}

enum err tuf_line_write(const struct tuf_line *l, struct buf *out)
{
    json_t *doc = tuf_doc(TUF_TARGETS, &l->head), *targets = json_object();
    int bad = 0;
    for (size_t i = 0; i < l->n; i++)
        bad |= json_object_setn_new(targets, (const char *)l->list[i].path.p, l->list[i].path.n, target_json(&l->list[i]));
    bad |= json_object_set_new(doc, "targets", targets);
    if (bad) {
        json_decref(doc);
        return CE_BAD_METADATA;
    }
    return tuf_dump(doc, out);
}
