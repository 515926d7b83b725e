/* intoto.c: see intoto.h. */
#include "wire/intoto.h"

#include "base/name.h"
#include "wire/tuf_impl.h"

#define STATEMENT "https://in-toto.io/Statement/v1" /* the type's name as its specification writes it; nobody fetches it */

static json_t *texts_json(const struct span *list, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(out, tuf_str(list[i]));
    return out;
}

static json_t *predicate_json(const struct intoto_release *r)
{
    const struct tuf_target *t = r->target;
    json_t *metadata = json_pack("{s:o,s:I,s:o,s:o}", "role", tuf_str(r->line), "version", (json_int_t)r->line_version, "sha256", tuf_hex(r->line_sha256), "approved_by",
                                 texts_json(r->approved, r->n_approved));
    json_t *p = json_pack("{s:o,s:o,s:o,s:o,s:o,s:I,s:b,s:o,s:o,s:o,s:I,s:{s:o,s:o},s:o}", "line", tuf_str(r->line), "release", tuf_str(t->release), "version",
                          tuf_str(t->version), "min_version", tuf_str(t->min_version), "handler", tuf_str(t->handler), "counter", (json_int_t)t->counter, "security_only",
                          t->security_only, "models", texts_json(t->models, t->n_models), "hw_revs", texts_json(t->hw_revs, t->n_hw_revs), "support_end",
                          tuf_str(t->support_end), "length", (json_int_t)t->length, "sbom", "format", tuf_str(t->sbom_format), "sha256", tuf_hex(t->sbom_sha256), "metadata",
                          metadata);
    if (p && t->notes_sha256.n)
        json_object_set_new(p, "notes_sha256", tuf_hex(t->notes_sha256));
    if (p && t->inner_sha256.n)
        json_object_set_new(p, "inner_sha256", tuf_hex(t->inner_sha256));
    return p;
}

enum err intoto_write(const struct intoto_release *r, struct buf *out)
{
    json_t *predicate = predicate_json(r);
    if (!predicate)
        return CE_BAD_METADATA;
    return tuf_dump(json_pack("{s:s,s:[{s:o,s:{s:o}}],s:s,s:o}", "_type", STATEMENT, "subject", "name", tuf_str(r->file), "digest", "sha256", tuf_hex(r->target->sha256),
                              "predicateType", INTOTO_PREDICATE, "predicate", predicate), out);
}

static enum err predicate_read(const struct tuf_in *in, const json_t *o, struct intoto *out)
{
    const json_t *p, *sbom;
    enum err e = tuf_object(in, o, "predicate", &p);
    e = e ? e : tuf_text(in, p, "version", &out->version);
    e = e ? e : tuf_text(in, p, "line", &out->line);
    e = e ? e : name_check_label("in-toto: 'line'", out->line, in->f);
    e = e ? e : tuf_text(in, p, "release", &out->release);
    e = e ? e : tuf_object(in, p, "sbom", &sbom);
    return e ? e : tuf_sha256(in, sbom, "sha256", &out->sbom_sha256);
}

enum err intoto_read(struct span payload, struct arena *a, struct intoto *out, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    const struct tuf_in in = { .a = a, .f = f };
    const json_t *subjects, *digest;
    struct span type = { 0 };
    *out = (struct intoto){ 0 };
    enum err e = json_parse(payload, &o, f);
    e = e ? e : tuf_text(&in, o, "_type", &type);
    if (!e && !span_eq_str(type, STATEMENT))
        return fault_set(f, CE_BAD_METADATA, "in-toto: '_type' " SPAN_FMT " is not that of a Statement v1", SPAN_ARG(type));
    e = e ? e : tuf_array(&in, o, "subject", 1, &subjects);
    if (!e && json_array_size(subjects) != 1)
        return fault_set(f, CE_BAD_METADATA, "in-toto: exactly one subject is wanted");
    e = e ? e : tuf_text(&in, json_array_get(subjects, 0), "name", &out->name);
    e = e ? e : tuf_object(&in, json_array_get(subjects, 0), "digest", &digest);
    e = e ? e : tuf_sha256(&in, digest, "sha256", &out->sha256);
    e = e ? e : tuf_text(&in, o, "predicateType", &out->predicate_type);
    return e || !span_eq_str(out->predicate_type, INTOTO_PREDICATE) ? e : predicate_read(&in, o, out);
}
