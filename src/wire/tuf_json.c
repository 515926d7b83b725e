/* tuf_json.c: members of TUF objects, and what every role begins with. See tuf_impl.h. */
#include "base/clock.h"
#include "crypt/hash.h"
#include "wire/tuf_impl.h"

static const char *const types[TUF_TYPES] = { "root", "targets", "snapshot", "timestamp" };

const char *tuf_type_name(enum tuf_type t) { return types[t]; }

/* -- reading ------------------------------------------------------------------------------------------------------------------ */
static struct span text_of(const json_t *v) { return json_is_string(v) ? span_of(json_string_value(v), json_string_length(v)) : (struct span){ 0 }; }

enum err tuf_text(const struct tuf_in *in, const json_t *o, const char *name, struct span *out)
{
    struct span s = text_of(json_object_get(o, name));
    if (!s.n || s.n > 4096 || memchr(s.p, 0, s.n))
        return fault_set(in->f, CE_BAD_METADATA, "TUF: '%s' must be a text of 1 to 4096 bytes", name);
    *out = arena_copy(in->a, s);
    return CE_OK;
}

enum err tuf_int(const struct tuf_in *in, const json_t *o, const char *name, int64_t min, int64_t *out)
{
    const json_t *v = json_object_get(o, name);
    if (!json_is_integer(v) || json_integer_value(v) < min)
        return fault_set(in->f, CE_BAD_METADATA, "TUF: '%s' must be a whole number from %lld on", name, (long long)min);
    *out = json_integer_value(v);
    return CE_OK;
}

enum err tuf_sha256(const struct tuf_in *in, const json_t *o, const char *name, struct span *out)
{
    CLEANUP(buf_free) struct buf raw = BUF_INIT(SHA256_LEN);
    if (hex_decode(text_of(json_object_get(o, name)), &raw) || raw.len != SHA256_LEN)
        return fault_set(in->f, CE_BAD_METADATA, "TUF: '%s' must be %d hexadecimal digits", name, 2 * SHA256_LEN);
    *out = arena_copy(in->a, buf_span(&raw));
    return CE_OK;
}

enum err tuf_object(const struct tuf_in *in, const json_t *o, const char *name, const json_t **out)
{
    *out = json_object_get(o, name);
    return json_is_object(*out) ? CE_OK : fault_set(in->f, CE_BAD_METADATA, "TUF: '%s' must be an object", name);
}

enum err tuf_array(const struct tuf_in *in, const json_t *o, const char *name, size_t max, const json_t **out)
{
    *out = json_object_get(o, name);
    if (!json_is_array(*out) || json_array_size(*out) > max)
        return fault_set(in->f, CE_BAD_METADATA, "TUF: '%s' must be an array of at most %zu", name, max);
    return CE_OK;
}

enum err tuf_open(const struct tuf_in *in, struct span payload, enum tuf_type type, json_t **doc, struct tuf_head *out)
{
    struct span text, spec;
    int64_t ms = 0;
    enum err e = json_parse(payload, doc, in->f);
    e = e ? e : tuf_text(in, *doc, "_type", &text);
    if (!e && !span_eq_str(text, types[type]))
        return fault_set(in->f, CE_BAD_METADATA, "TUF: this is metadata of type '" SPAN_FMT "', not %s", SPAN_ARG(text), types[type]);
    e = e ? e : tuf_text(in, *doc, "spec_version", &spec);
    if (!e && !span_starts(spec, "1."))
        return fault_set(in->f, CE_BAD_METADATA, "TUF: specification " SPAN_FMT " is not one of 1.x", SPAN_ARG(spec));
    e = e ? e : tuf_int(in, *doc, "version", 1, &out->version);
    e = e ? e : tuf_text(in, *doc, "expires", &text);
    if (!e && clock_parse_ms(text, &ms))
        return fault_set(in->f, CE_BAD_METADATA, "TUF: 'expires' must be a time such as 2027-01-31T00:00:00Z");
    out->expires_s = ms / 1000;
    return e;
}

/* -- writing ------------------------------------------------------------------------------------------------------------------ */
json_t *tuf_str(struct span s) { return json_stringn((const char *)s.p, s.n); }

json_t *tuf_hex(struct span s)
{
    CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
    buf_put_hex(&hex, s);
    return tuf_str(buf_span(&hex));
}

json_t *tuf_doc(enum tuf_type type, const struct tuf_head *h)
{
    char expires[CLOCK_TEXT_MAX];
    clock_text_s(h->expires_s, expires);
    return json_pack("{s:s,s:s,s:I,s:s}", "_type", types[type], "spec_version", TUF_SPEC, "version", (json_int_t)h->version, "expires", expires);
}

enum err tuf_dump(json_t *doc, struct buf *out)
{
    CLEANUP(mem_free_p) char *text = doc ? json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(doc);
    if (!text)
        return CE_BAD_METADATA;
    buf_put_str(out, text);
    return buf_err(out);
}
