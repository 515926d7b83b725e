/* uri.c: see uri.h. */
#include "token/uri.h"

#include <stddef.h>
#include <stdio.h>

#include "base/mem.h"

enum value_kind { TEXT, BYTES, NUMBER, TYPE, IGNORED, PIN_VALUE };

/* RFC 7512 2.3: the attributes of the path end with ";", those of the query with "&". */
static const struct attribute {
    const char *name;
    bool query;
    enum value_kind kind;
    size_t at, cap;
} attributes[] = {
#define TEXT_AT(field) TEXT, offsetof(struct pkcs11_uri, field), sizeof((struct pkcs11_uri *)0)->field
    { "token", false, TEXT_AT(token) },
    { "manufacturer", false, TEXT_AT(manufacturer) },
    { "model", false, TEXT_AT(model) },
    { "serial", false, TEXT_AT(serial) },
    { "slot-description", false, TEXT_AT(slot_description) },
    { "slot-manufacturer", false, TEXT_AT(slot_manufacturer) },
    { "slot-id", false, NUMBER, 0, 0 },
    { "object", false, TEXT_AT(object) },
    { "id", false, BYTES, 0, 0 },
    { "type", false, TYPE, 0, 0 },
    { "library-manufacturer", false, IGNORED, 0, 0 }, /* the module is named by its file */
    { "library-description", false, IGNORED, 0, 0 },
    { "library-version", false, IGNORED, 0, 0 },
    { "module-path", true, TEXT_AT(module) },
    { "module-name", true, TEXT_AT(module_name) },
    { "pin-source", true, TEXT_AT(pin_source) },
    { "pin-value", true, PIN_VALUE, 0, 0 },
#undef TEXT_AT
};

static enum err bad(struct fault *f, const struct attribute *a, const char *what)
{
    return fault_set(f, CE_USAGE, "%s in the PKCS#11 URI %s (RFC 7512 2.3)", a->name, what);
}

static enum err take_id(const struct attribute *a, struct span value, struct pkcs11_uri *u, struct fault *f)
{
    if (!value.n || value.n > sizeof u->id)
        return bad(f, a, "is empty or longer than 64 bytes");
    memcpy(u->id, value.p, value.n);
    u->id_len = value.n;
    return CE_OK;
}

static enum err take(const struct attribute *a, struct span raw, struct pkcs11_uri *u, struct fault *f)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(PATH_MAX_LEN);
    int64_t slot;
    if (a->kind == PIN_VALUE)
        return fault_set(f, CE_USAGE, "pin-value is refused: others can read command lines; use pin-source=FILE");
    if (percent_decode(raw, &b))
        return bad(f, a, "is too long or badly encoded");
    struct span value = buf_span(&b);
    switch (a->kind) {
    case TEXT:
        return value.n && span_to_cstr(value, (char *)u + a->at, a->cap) == CE_OK ? CE_OK : bad(f, a, "is empty or too long");
    case BYTES:
        return take_id(a, value, u, f);
    case NUMBER:
        u->has_slot = span_to_i64(value, &slot) && slot >= 0;
        u->slot = u->has_slot ? (uint64_t)slot : 0;
        return u->has_slot ? CE_OK : bad(f, a, "is not a number");
    case TYPE:
        return span_eq_str(value, "private") ? CE_OK : bad(f, a, "names no private key: leave it out, or type=private");
    case IGNORED:
    case PIN_VALUE:
        break;
    }
    return CE_OK;
}

static enum err take_pair(struct span pair, bool query, unsigned *seen, struct pkcs11_uri *u, struct fault *f)
{
    struct span name, value = pair;
    bool has_value = memchr(pair.p, '=', pair.n) != NULL;
    span_cut(&value, '=', &name);
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        const struct attribute *a = &attributes[i];
        if (a->query != query || !span_eq_str(name, a->name))
            continue;
        if (*seen & 1u << i)
            return bad(f, a, "stands twice");
        *seen |= 1u << i;
        return has_value ? take(a, value, u, f) : bad(f, a, "has no value");
    }
    return fault_set(f, CE_USAGE, "the %s of the PKCS#11 URI has an unknown attribute '%.*s' (RFC 7512 2.3)", query ? "query" : "path",
                     (int)(name.n < 32 ? name.n : 32), (const char *)name.p);
}

/* module-path may name the module or, with module-name, its folder; pin-source may be a path or a file: URI (RFC 7512 2.4). */
static enum err settle(struct pkcs11_uri *u, const char *object_default, struct fault *f)
{
    char path[PATH_MAX_LEN + 40];
    if (strncmp(u->pin_source, "file:", 5) == 0)
        memmove(u->pin_source, u->pin_source + 5, strlen(u->pin_source + 5) + 1);
    if (strncmp(u->pin_source, "//", 2) == 0) /* file:///path */
        memmove(u->pin_source, u->pin_source + 2, strlen(u->pin_source + 2) + 1);
    if (u->pin_source[0] == '|')
        return fault_set(f, CE_USAGE, "pin-source in the PKCS#11 URI must be a file, not a command");
    for (const char *p = u->module_name; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p))
            return fault_set(f, CE_USAGE, "module-name in the PKCS#11 URI is a name of letters, digits, . _ -; use module-path=FILE");
    if (u->module[0] && u->module[0] != '/')
        return fault_set(f, CE_USAGE, "module-path in the PKCS#11 URI must be an absolute path");
    if (u->module[0] && u->module_name[0]) {
        int n = snprintf(path, sizeof path, "%s/%s.so", u->module, u->module_name);
        if (n < 0 || (size_t)n >= sizeof u->module)
            return fault_set(f, CE_USAGE, "module-path in the PKCS#11 URI is too long");
        memcpy(u->module, path, (size_t)n + 1);
    }
    bool has_token = u->token[0] || u->serial[0] || u->has_slot;
    if (!has_token || (!u->module[0] && !u->module_name[0]))
        return fault_set(f, CE_USAGE, "the PKCS#11 URI lacks %s", !has_token ? "token= (or serial= or slot-id=)" : "module-path= (or module-name=)");
    if (!u->object[0] && !u->id_len && object_default && span_to_cstr(span_str(object_default), u->object, sizeof u->object))
        return fault_set(f, CE_USAGE, "the name of the key is too long");
    return u->object[0] || u->id_len ? CE_OK : fault_set(f, CE_USAGE, "the PKCS#11 URI lacks object= (or id=)");
}

enum err pkcs11_uri_parse(struct span uri, const char *object_default, struct pkcs11_uri *u, struct fault *f)
{
    *u = (struct pkcs11_uri){ .token = "" };
    struct span s = span_trim(uri), path = { 0 }, pair;
    unsigned seen = 0;
    if (!span_starts(s, "pkcs11:"))
        return fault_set(f, CE_USAGE, "a PKCS#11 URI begins with pkcs11: (RFC 7512)");
    s = span_of(s.p + 7, s.n - 7);
    span_cut(&s, '?', &path);
    enum err e = CE_OK;
    while (!e && span_cut(&path, ';', &pair))
        e = pair.n ? take_pair(pair, false, &seen, u, f) : CE_OK;
    while (!e && span_cut(&s, '&', &pair))
        e = pair.n ? take_pair(pair, true, &seen, u, f) : CE_OK;
    return e ? e : settle(u, object_default, f);
}

/* RFC 7512 2.3: what stands for itself in an attribute of the path; the rest is percent-encoded. */
static void label_put(struct buf *out, const char *label)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (; *label; label++)
        buf_printf(out, strchr(plain, *label) ? "%c" : "%%%02X", (unsigned char)*label);
}

enum err pkcs11_uri_relabel(struct span uri, const char *label, struct buf *out)
{
    struct span rest = span_trim(uri), path = { 0 }, one;
    span_cut(&rest, '?', &path);
    if (!span_starts(path, "pkcs11:"))
        return CE_USAGE;
    path = span_of(path.p + 7, path.n - 7);
    buf_put_str(out, "pkcs11:");
    while (span_cut(&path, ';', &one))
        if (one.n && !span_starts(one, "object=")) {
            buf_put_span(out, one);
            buf_put_u8(out, ';');
        }
    buf_put_str(out, "object=");
    label_put(out, label);
    if (rest.n)
        buf_put_u8(out, '?');
    buf_put_span(out, rest);
    return buf_err(out);
}

bool pkcs11_uri_same_token(const struct pkcs11_uri *a, const struct pkcs11_uri *b)
{
    return strcmp(a->module, b->module) == 0 && strcmp(a->module_name, b->module_name) == 0 && strcmp(a->token, b->token) == 0 &&
           strcmp(a->serial, b->serial) == 0 && strcmp(a->manufacturer, b->manufacturer) == 0 && strcmp(a->model, b->model) == 0 &&
           strcmp(a->slot_description, b->slot_description) == 0 && strcmp(a->slot_manufacturer, b->slot_manufacturer) == 0 &&
           a->has_slot == b->has_slot && a->slot == b->slot && strcmp(a->pin_source, b->pin_source) == 0;
}
