/* tuf_read.c: reading the four roles and the line roles. See tuf.h. */
#include "base/name.h"
#include "wire/tuf_impl.h"

#define PATHS_SUFFIX "/*/*" /* a line's role may sign LINE/RELEASE/FILE, nothing else */

enum err tuf_root_read(struct span payload, struct arena *a, struct tuf_root *out, struct fault *f)
{
    const struct tuf_in in = { a, f };
    CLEANUP(json_decref_p) json_t *doc = NULL;
    const json_t *roles, *one;
    *out = (struct tuf_root){ 0 };
    enum err e = tuf_open(&in, payload, TUF_ROOT, &doc, &out->head);
    e = e ? e : tuf_keys_read(&in, doc, &out->keys);
    e = e ? e : tuf_object(&in, doc, "roles", &roles);
    if (!e && !json_is_true(json_object_get(doc, "consistent_snapshot")))
        e = fault_set(f, CE_BAD_METADATA, "TUF 6.2: 'consistent_snapshot' must be true");
    for (int t = 0; !e && t < TUF_TYPES; t++) {
        const char *name = tuf_type_name((enum tuf_type)t);
        e = tuf_object(&in, roles, name, &one);
        e = e ? e : tuf_role_read(&in, one, name, &out->roles[t]);
    }
    if (!e && json_object_get(doc, "x-cradle-directive")) {
        e = tuf_object(&in, doc, "x-cradle-directive", &one);
        e = e ? e : tuf_role_read(&in, one, "directive", &out->directive);
    }
    return e;
}

static enum err delegation_read(const struct tuf_in *in, const json_t *o, struct tuf_role *out)
{
    const json_t *paths;
    struct span name = { 0 };
    enum err e = tuf_text(in, o, "name", &name);
    e = e ? e : name_check_label("delegated role", name, in->f);
    e = e ? e : tuf_role_read(in, o, "of a line", out);
    e = e ? e : tuf_array(in, o, "paths", 1, &paths);
    if (e)
        return e;
    char want[LABEL_MAX + sizeof PATHS_SUFFIX];
    snprintf(want, sizeof want, SPAN_FMT PATHS_SUFFIX, SPAN_ARG(name));
    const char *path = json_string_value(json_array_get(paths, 0));
    if (!path || strcmp(path, want) != 0 || !json_is_true(json_object_get(o, "terminating")))
        return fault_set(in->f, CE_BAD_METADATA, "TUF 4.5: the delegation to " SPAN_FMT " must end there and be for the path %s", SPAN_ARG(name), want);
    out->name = name;
    return CE_OK;
}

enum err tuf_targets_read(struct span payload, struct arena *a, struct tuf_targets *out, struct fault *f)
{
    const struct tuf_in in = { a, f };
    CLEANUP(json_decref_p) json_t *doc = NULL;
    const json_t *targets, *delegations, *roles = NULL;
    *out = (struct tuf_targets){ 0 };
    enum err e = tuf_open(&in, payload, TUF_TARGETS, &doc, &out->head);
    e = e ? e : tuf_object(&in, doc, "targets", &targets);
    if (!e && json_object_size(targets))
        e = fault_set(f, CE_BAD_METADATA, "the role targets delegates to product lines and names no target itself");
    e = e ? e : tuf_object(&in, doc, "delegations", &delegations);
    e = e ? e : tuf_keys_read(&in, delegations, &out->keys);
    e = e ? e : tuf_array(&in, delegations, "roles", TUF_LINES, &roles);
    if (e)
        return e;
    size_t n = json_array_size(roles);
    out->lines = arena_alloc(a, (n + 1) * sizeof *out->lines);
    for (; !e && out->n_lines < n; out->n_lines++) {
        e = delegation_read(&in, json_array_get(roles, out->n_lines), &out->lines[out->n_lines]);
        for (size_t i = 0; !e && i < out->n_lines; i++)
            if (span_eq(out->lines[i].name, out->lines[out->n_lines].name))
                e = fault_set(f, CE_BAD_METADATA, "TUF 4.5: two delegations to " SPAN_FMT, SPAN_ARG(out->lines[i].name));
    }
    return e;
}

static enum err meta_read(const struct tuf_in *in, const char *name, const json_t *o, struct tuf_meta *out)
{
    const json_t *hashes = json_object_get(o, "hashes");
    *out = (struct tuf_meta){ .name = arena_copy(in->a, span_str(name)) };
    enum err e = tuf_int(in, o, "version", 1, &out->version);
    if (!e && json_object_get(o, "length"))
        e = tuf_int(in, o, "length", 1, &out->length);
    if (!e && hashes)
        e = tuf_sha256(in, hashes, "sha256", &out->sha256);
    return e;
}

enum err tuf_snapshot_read(struct span payload, struct arena *a, struct tuf_snapshot *out, struct fault *f)
{
    const struct tuf_in in = { a, f };
    CLEANUP(json_decref_p) json_t *doc = NULL;
    const json_t *meta = NULL;
    const char *name;
    json_t *one;
    *out = (struct tuf_snapshot){ 0 };
    enum err e = tuf_open(&in, payload, TUF_SNAPSHOT, &doc, &out->head);
    e = e ? e : tuf_object(&in, doc, "meta", &meta);
    if (!e && json_object_size(meta) > TUF_LINES + 1)
        e = fault_set(f, CE_BAD_METADATA, "TUF: a snapshot of more than %d files", TUF_LINES + 1);
    if (e)
        return e;
    out->list = arena_alloc(a, (json_object_size(meta) + 1) * sizeof *out->list);
    json_object_foreach((json_t *)(uintptr_t)meta, name, one)
        if (!e)
            e = meta_read(&in, name, one, &out->list[out->n++]);
    if (!e && !json_object_get(meta, "targets.json"))
        e = fault_set(f, CE_BAD_METADATA, "TUF 4.4: a snapshot without targets.json");
    return e;
}

enum err tuf_timestamp_read(struct span payload, struct arena *a, struct tuf_timestamp *out, struct fault *f)
{
    const struct tuf_in in = { a, f };
    CLEANUP(json_decref_p) json_t *doc = NULL;
    const json_t *meta, *one;
    *out = (struct tuf_timestamp){ 0 };
    enum err e = tuf_open(&in, payload, TUF_TIMESTAMP, &doc, &out->head);
    e = e ? e : tuf_object(&in, doc, "meta", &meta);
    e = e ? e : tuf_object(&in, meta, "snapshot.json", &one);
    return e ? e : meta_read(&in, "snapshot.json", one, &out->snapshot);
}

/* -- targets of a line ------------------------------------------------------------------------------------------------------------ */
static enum err list_read(const struct tuf_in *in, const json_t *o, const char *name, struct span *out, size_t *n)
{
    const json_t *list = NULL;
    enum err e = tuf_array(in, o, name, TUF_LIST, &list);
    *n = 0;
    for (size_t i = 0; !e && i < json_array_size(list); i++) {
        const json_t *v = json_array_get(list, i);
        struct span s = span_of(json_string_value(v), json_string_length(v));
        e = name_check_label(name, s, in->f);
        out[(*n)++] = arena_copy(in->a, s);
    }
    return e;
}

/* LINE/RELEASE/FILE, RELEASE and FILE being labels. */
static enum err path_check(const struct tuf_in *in, struct span path, struct span line, struct span release)
{
    struct span rest = path, one, two;
    if (!span_cut(&rest, '/', &one) || !span_eq(one, line) || !span_cut(&rest, '/', &two) || !span_eq(two, release) ||
        name_check_label("file", rest, NULL))
        return fault_set(in->f, CE_BAD_METADATA, "target '" SPAN_FMT "' must be called " SPAN_FMT "/" SPAN_FMT "/FILE", SPAN_ARG(path), SPAN_ARG(line),
                         SPAN_ARG(release));
    return CE_OK;
}

static enum err custom_read(const struct tuf_in *in, const json_t *c, struct tuf_target *out)
{
    const json_t *sbom = NULL, *blocks = json_object_get(c, "blocks");
    enum err e = tuf_text(in, c, "release", &out->release);
    e = e ? e : name_check_label("release", out->release, in->f);
    e = e ? e : tuf_text(in, c, "version", &out->version);
    e = e ? e : tuf_text(in, c, "min_version", &out->min_version);
    e = e ? e : tuf_text(in, c, "handler", &out->handler);
    e = e ? e : tuf_int(in, c, "counter", 0, &out->counter);
    e = e ? e : list_read(in, c, "models", out->models, &out->n_models);
    e = e ? e : list_read(in, c, "hw_revs", out->hw_revs, &out->n_hw_revs);
    if (!e && !out->n_models)
        e = fault_set(in->f, CE_BAD_METADATA, "a target without 'models' fits no device");
    e = e ? e : tuf_object(in, c, "sbom", &sbom);
    e = e ? e : tuf_sha256(in, sbom, "sha256", &out->sbom_sha256);
    e = e ? e : tuf_text(in, sbom, "format", &out->sbom_format);
    e = e ? e : tuf_text(in, c, "support_end", &out->support_end);
    if (!e && json_object_get(c, "notes_sha256"))
        e = tuf_sha256(in, c, "notes_sha256", &out->notes_sha256);
    if (!e && json_object_get(c, "inner_sha256"))
        e = tuf_sha256(in, c, "inner_sha256", &out->inner_sha256);
    out->security_only = json_is_true(json_object_get(c, "security_only"));
    if (!e && blocks) {
        e = tuf_int(in, blocks, "size", 4096, &out->block_size);
        e = e ? e : tuf_sha256(in, blocks, "sha256", &out->blocks_sha256);
    }
    return e;
}

static enum err target_read(const struct tuf_in *in, const char *path, const json_t *o, struct span line, struct tuf_target *out)
{
    const json_t *hashes, *custom, *cradle;
    out->path = arena_copy(in->a, span_str(path));
    enum err e = tuf_int(in, o, "length", 1, &out->length);
    e = e ? e : tuf_object(in, o, "hashes", &hashes);
    e = e ? e : tuf_sha256(in, hashes, "sha256", &out->sha256);
    e = e ? e : tuf_object(in, o, "custom", &custom);
    e = e ? e : tuf_object(in, custom, "cradle", &cradle);
    e = e ? e : custom_read(in, cradle, out);
    return e ? e : path_check(in, out->path, line, out->release);
}

enum err tuf_line_read(struct span payload, struct span line, struct arena *a, struct tuf_line *out, struct fault *f)
{
    const struct tuf_in in = { a, f };
    CLEANUP(json_decref_p) json_t *doc = NULL;
    const json_t *targets = NULL;
    const char *path;
    json_t *one;
    *out = (struct tuf_line){ 0 };
    enum err e = tuf_open(&in, payload, TUF_TARGETS, &doc, &out->head);
    e = e ? e : tuf_object(&in, doc, "targets", &targets);
    if (!e && json_object_size(targets) > TUF_FILES)
        e = fault_set(f, CE_BAD_METADATA, "more than %d targets in one line", TUF_FILES);
    if (!e && json_object_get(doc, "delegations"))
        e = fault_set(f, CE_BAD_METADATA, "the role of a line delegates no further");
    if (e)
        return e;
    out->list = arena_alloc(a, (json_object_size(targets) + 1) * sizeof *out->list);
    json_object_foreach((json_t *)(uintptr_t)targets, path, one)
        if (!e)
            e = target_read(&in, path, one, line, &out->list[out->n++]);
    return e;
}
