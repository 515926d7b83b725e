/* export.c: see export.h. */
#include "wire/export.h"

#include <jansson.h>

#include "base/json.h"
#include "crypt/hash.h"
#include "wire/msg.h"
#include "wire/note.h"

static enum err need_text(const json_t *o, const char *key, size_t max, struct arena *a, struct span *out, struct fault *f)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_string(v) || json_string_length(v) > max)
        return fault_set(f, CE_BAD_EXPORT, "evidence export: \"%s\" is not a string of at most %zu bytes", key, max);
    *out = arena_copy(a, span_of(json_string_value(v), json_string_length(v)));
    return CE_OK;
}

static enum err need_count(const json_t *o, const char *key, int64_t min, int64_t *out, struct fault *f)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < min)
        return fault_set(f, CE_BAD_EXPORT, "evidence export: \"%s\" is not a whole number of at least %lld", key, (long long)min);
    *out = json_integer_value(v);
    return CE_OK;
}

static enum err need_hash(const json_t *o, const char *key, uint8_t out[32], struct fault *f)
{
    const json_t *v = json_object_get(o, key);
    CLEANUP(buf_free) struct buf raw = BUF_INIT(64);
    if (!json_is_string(v) || json_string_length(v) != 64 || hex_decode(span_of(json_string_value(v), 64), &raw) || raw.len != 32)
        return fault_set(f, CE_BAD_EXPORT, "evidence export: \"%s\" is not 64 hex digits", key);
    memcpy(out, raw.data, 32);
    return CE_OK;
}

static enum err parse_header(const json_t *o, struct arena *a, struct export_line *out, struct fault *f)
{
    struct span format;
    out->kind = EXPORT_HEADER;
    enum err e = need_text(o, "format", 64, a, &format, f);
    if (e)
        return e;
    if (!span_eq_str(format, EXPORT_FORMAT))
        return fault_set(f, CE_BAD_EXPORT, "evidence export: format \"" SPAN_FMT "\" is not " EXPORT_FORMAT, SPAN_ARG(format));
    e = need_text(o, "origin", NOTE_NAME_MAX, a, &out->origin, f);
    if (!e && !span_is_utf8(out->origin))
        e = fault_set(f, CE_BAD_EXPORT, "evidence export: the origin has control characters");
    return e ? e : need_count(o, "size", 0, &out->size, f);
}

static enum err parse_leaf(const json_t *o, struct arena *a, struct export_line *out, struct fault *f)
{
    out->kind = EXPORT_LEAF;
    enum err e = need_count(o, "index", 0, &out->index, f);
    if (!e)
        e = need_count(o, "slot", 1, &out->slot, f);
    if (!e)
        e = need_count(o, "nseq", 1, &out->nseq, f);
    if (e)
        return e;
    out->erased = json_is_null(json_object_get(o, "payload"));
    if (out->erased)
        return need_hash(o, "leaf", out->entry, f);
    if (json_object_get(o, "leaf"))
        return fault_set(f, CE_BAD_EXPORT, "evidence export: \"leaf\" stands only beside an erased payload");
    e = need_hash(o, "salt", out->salt, f);
    if (!e)
        e = need_text(o, "payload", 65535, a, &out->payload, f);
    if (!e)
        sha256_two(span_of(out->salt, 32), out->payload, out->entry);
    return e;
}

enum err export_line_parse(struct span line, struct arena *a, struct export_line *out, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    struct fault why = { 0 };
    memset(out, 0, sizeof *out);
    if (line.n > EXPORT_LINE_MAX)
        return fault_set(f, CE_BAD_EXPORT, "evidence export: a line is longer than %u bytes", EXPORT_LINE_MAX);
    if (json_parse(line, &o, &why))
        return fault_set(f, CE_BAD_EXPORT, "evidence export: %s", why.text);
    if (!json_is_object(o))
        return fault_set(f, CE_BAD_EXPORT, "evidence export: a line is not a JSON object");
    if (json_object_get(o, "format"))
        return parse_header(o, a, out, f);
    if (json_object_get(o, "index"))
        return parse_leaf(o, a, out, f);
    if (json_object_get(o, "checkpoint")) {
        out->kind = EXPORT_CHECKPOINT;
        return need_text(o, "checkpoint", NOTE_MAX, a, &out->note, f);
    }
    return fault_set(f, CE_BAD_EXPORT, "evidence export: a line is neither header, leaf nor checkpoint");
}

void export_header_put(struct buf *out, struct span origin, int64_t size)
{
    struct json_out j = JSON_OUT(out);
    json_obj(&j, NULL);
    json_cstr(&j, "format", EXPORT_FORMAT);
    json_str(&j, "origin", origin);
    json_int(&j, "size", size);
    json_obj_end(&j);
    buf_put_u8(out, '\n');
}

void export_leaf_put(struct buf *out, const struct export_line *l)
{
    struct json_out j = JSON_OUT(out);
    json_obj(&j, NULL);
    json_int(&j, "index", l->index);
    json_int(&j, "slot", l->slot);
    json_int(&j, "nseq", l->nseq);
    if (l->erased) {
        json_none(&j, "salt");
        json_none(&j, "payload");
        json_hex(&j, "leaf", span_of(l->entry, 32));
    } else {
        json_hex(&j, "salt", span_of(l->salt, 32));
        json_str(&j, "payload", l->payload);
    }
    json_obj_end(&j);
    buf_put_u8(out, '\n');
}

void export_checkpoint_put(struct buf *out, struct span note)
{
    struct json_out j = JSON_OUT(out);
    json_obj(&j, NULL);
    json_str(&j, "checkpoint", note);
    json_obj_end(&j);
    buf_put_u8(out, '\n');
}
