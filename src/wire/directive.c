/* directive.c: see directive.h. */
#include "wire/directive.h"

#include "base/clock.h"
#include "base/name.h"
#include "crypt/hash.h"
#include "wire/tuf_impl.h"

#define SPEC 1

static const char *const actions[] = { "none", "install", "reset" };

static enum err time_read(const struct tuf_in *in, const json_t *o, const char *name, int64_t *out_s)
{
    struct span text = { 0 };
    int64_t ms = 0;
    enum err e = tuf_text(in, o, name, &text);
    if (!e && clock_parse_ms(text, &ms))
        e = fault_set(in->f, CE_BAD_METADATA, "directive: '%s' must be a time such as 2027-01-31T00:00:00Z", name);
    *out_s = ms / 1000;
    return e;
}

static enum err approvals_read(const struct tuf_in *in, const json_t *o, struct directive *out)
{
    const json_t *list = NULL;
    enum err e = tuf_array(in, o, "approvals", DIRECTIVE_APPROVALS, &list);
    for (size_t i = 0; !e && i < json_array_size(list); i++) {
        e = tuf_text(in, json_array_get(list, i), "by", &out->approvals[i].by);
        e = e ? e : time_read(in, json_array_get(list, i), "at", &out->approvals[i].at_s);
        out->n_approvals++;
    }
    return e;
}

static enum err install_read(const struct tuf_in *in, const json_t *o, struct directive *out)
{
    enum err e = tuf_text(in, o, "release", &out->release);
    e = e ? e : tuf_text(in, o, "path", &out->path);
    e = e ? e : tuf_text(in, o, "version", &out->version);
    e = e ? e : tuf_sha256(in, o, "sha256", &out->sha256);
    e = e ? e : tuf_sha256(in, o, "sbom_sha256", &out->sbom_sha256);
    e = e ? e : tuf_int(in, o, "length", 1, &out->length);
    e = e ? e : tuf_int(in, o, "counter_floor", 0, &out->counter_floor);
    return e ? e : approvals_read(in, o, out);
}

static enum err action_read(const struct tuf_in *in, const json_t *o, struct directive *out)
{
    struct span text = { 0 };
    enum err e = tuf_text(in, o, "action", &text);
    for (size_t i = 0; !e && i < ARRAY_LEN(actions); i++)
        if (span_eq_str(text, actions[i])) {
            out->action = (enum directive_action)i;
            return CE_OK;
        }
    return e ? e : fault_set(in->f, CE_BAD_METADATA, "directive: 'action' is none, install or reset");
}

enum err directive_read(struct span payload, struct arena *a, struct directive *out, struct fault *f)
{
    const struct tuf_in in = { a, f };
    CLEANUP(json_decref_p) json_t *o = NULL;
    struct span type = { 0 };
    int64_t spec = 0;
    *out = (struct directive){ 0 };
    enum err e = json_parse(payload, &o, f);
    e = e ? e : tuf_text(&in, o, "_type", &type);
    e = e ? e : tuf_int(&in, o, "spec", 1, &spec);
    if (!e && (!span_eq_str(type, "directive") || spec != SPEC))
        e = fault_set(f, CE_BAD_METADATA, "this is no directive of version %d", SPEC);
    e = e ? e : action_read(&in, o, out);
    e = e ? e : tuf_text(&in, o, "device", &out->device);
    e = e ? e : name_check_uid(out->device, f);
    e = e ? e : tuf_text(&in, o, "line", &out->line);
    e = e ? e : tuf_text(&in, o, "model", &out->model);
    if (!e && json_object_get(o, "hw_rev"))
        e = tuf_text(&in, o, "hw_rev", &out->hw_rev);
    e = e ? e : tuf_sha256(&in, o, "spki", &out->spki);
    e = e ? e : tuf_int(&in, o, "sequence", 1, &out->sequence);
    e = e ? e : time_read(&in, o, "issued", &out->issued_s);
    e = e ? e : time_read(&in, o, "expires", &out->expires_s);
    if (!e && out->action == DIRECTIVE_INSTALL)
        e = install_read(&in, o, out);
    return e;
}

static json_t *time_json(int64_t at_s)
{
    char text[CLOCK_TEXT_MAX];
    clock_text_s(at_s, text);
    return json_string(text);
}

static int install_put(json_t *o, const struct directive *d)
{
    json_t *approvals = json_array();
    for (size_t i = 0; i < d->n_approvals; i++)
        json_array_append_new(approvals, json_pack("{s:o,s:o}", "by", tuf_str(d->approvals[i].by), "at", time_json(d->approvals[i].at_s)));
    int bad = json_object_set_new(o, "release", tuf_str(d->release)) | json_object_set_new(o, "path", tuf_str(d->path));
    bad |= json_object_set_new(o, "version", tuf_str(d->version)) | json_object_set_new(o, "sha256", tuf_hex(d->sha256));
    bad |= json_object_set_new(o, "sbom_sha256", tuf_hex(d->sbom_sha256)) | json_object_set_new(o, "length", json_integer(d->length));
    bad |= json_object_set_new(o, "counter_floor", json_integer(d->counter_floor)) | json_object_set_new(o, "approvals", approvals);
    return bad;
}

enum err directive_write(const struct directive *d, struct buf *out)
{
    json_t *o = json_pack("{s:s,s:i,s:s,s:o,s:o,s:o,s:o,s:I,s:o,s:o}", "_type", "directive", "spec", SPEC, "action", actions[d->action], "device",
                          tuf_str(d->device), "line", tuf_str(d->line), "model", tuf_str(d->model), "spki", tuf_hex(d->spki), "sequence",
                          (json_int_t)d->sequence, "issued", time_json(d->issued_s), "expires", time_json(d->expires_s));
    int bad = d->hw_rev.n ? json_object_set_new(o, "hw_rev", tuf_str(d->hw_rev)) : 0;
    if (d->action == DIRECTIVE_INSTALL)
        bad |= install_put(o, d);
    if (bad) {
        json_decref(o);
        return CE_BAD_METADATA;
    }
    return tuf_dump(o, out);
}

/* -- versions ------------------------------------------------------------------------------------------------------------------ */
static bool digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool letter(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

enum err version_check(struct span v, struct fault *f)
{
    bool good = v.n && v.n <= 64 && digit(v.p[0]);
    for (size_t i = 0; good && i < v.n; i++)
        good = digit(v.p[i]) || letter(v.p[i]) || strchr(".-+_", v.p[i]) != NULL;
    return good ? CE_OK : fault_set(f, CE_BAD_NAME, "a version is 1 to 64 of 0-9 A-Z a-z . - + _ and begins with a digit");
}

/* The next run of digits or of letters; what stands between runs only separates them. */
static struct span part_next(struct span *v)
{
    while (v->n && !digit(v->p[0]) && !letter(v->p[0]))
        *v = span_of(v->p + 1, v->n - 1);
    size_t n = 0;
    while (n < v->n && (digit(v->p[0]) ? digit(v->p[n]) : letter(v->p[n])))
        n++;
    struct span part = span_of(v->p, n);
    *v = span_of(v->p + n, v->n - n);
    return part;
}

static int number_cmp(struct span a, struct span b)
{
    while (a.n > 1 && a.p[0] == '0')
        a = span_of(a.p + 1, a.n - 1);
    while (b.n > 1 && b.p[0] == '0')
        b = span_of(b.p + 1, b.n - 1);
    if (a.n != b.n)
        return a.n < b.n ? -1 : 1;
    return memcmp(a.p, b.p, a.n);
}

/* word < missing < number */
static int rank(struct span part) { return !part.n ? 1 : digit(part.p[0]) ? 2 : 0; }

int version_cmp(struct span a, struct span b)
{
    for (;;) {
        struct span x = part_next(&a), y = part_next(&b);
        if (rank(x) != rank(y))
            return rank(x) - rank(y);
        if (!x.n)
            return 0;
        int d = rank(x) == 2 ? number_cmp(x, y) : span_cmp(x, y);
        if (d)
            return d;
    }
}
