/* birth.c: see birth.h. The file is ours, not a stranger's; it is checked all the same, since a wrong register cannot be undone. */
#include "core/birth.h"

#include "base/name.h"
#include "core/batch.h"
#include "core/line.h"
#include "crypt/cert.h"
#include "crypt/hash.h"
#include "store/ca.h"
#include "store/cert.h"
#include "store/node.h"
#include "store/registry.h"
#include "store/schema.h"
#include "wire/policy.h"
#include "wire/route.h"

/* A member as text in the arena; CE_BAD_CONFIG names where ("cas[1].kid"). */
static enum err text_get(struct batch *b, const json_t *obj, const char *where, const char *key, bool required, struct span *out, struct fault *f)
{
    const json_t *v = json_object_get(obj, key);
    *out = span_str("");
    if (!v && !required)
        return CE_OK;
    if (!json_is_string(v) || (required && json_string_length(v) == 0))
        return fault_set(f, CE_BAD_CONFIG, "birth.json: %s.%s must be a text", where, key);
    *out = arena_copy(b->arena, span_of(json_string_value(v), json_string_length(v)));
    return CE_OK;
}

static enum err bytes_get(struct batch *b, const json_t *obj, const char *where, const char *key, bool hex, struct span *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf bytes = BUF_INIT(CERT_MAX);
    struct span text;
    enum err e = text_get(b, obj, where, key, true, &text, f);
    if (e)
        return e;
    if ((hex ? hex_decode(text, &bytes) : base64_decode(text, &bytes)) || buf_err(&bytes))
        return fault_set(f, CE_BAD_CONFIG, "birth.json: %s.%s is not %s", where, key, hex ? "hex" : "base64");
    *out = arena_copy(b->arena, buf_span(&bytes));
    return CE_OK;
}

static enum err named(enum err e, const char *where, struct fault *f)
{
    struct fault why = *f;
    return e && !db_err_fatal(e) ? fault_set(f, CE_BAD_CONFIG, "birth.json: %s: %.200s", where, why.code ? why.text : err_text(e)) : e;
}

static enum err site_import(struct batch *b, const json_t *root, struct fault *f)
{
    static const char *const keys[] = { "name", "org", "url", "http_url" };
    struct span v[ARRAY_LEN(keys)];
    const json_t *site = json_object_get(root, "site");
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < ARRAY_LEN(keys); i++) {
        e = text_get(b, site, "site", keys[i], true, &v[i], f);
        e = e ? e : named(name_check_text(keys[i], v[i], TEXT_MAX, f), "site", f);
        /* "site" in meta is what says that this was done */
        e = e ? e : meta_put(b->db, i ? keys[i] : "site", v[i], f);
    }
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_SITE_CREATED, (struct span){ 0 }, 0);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        json_str(j, keys[i], v[i]);
    json_int(j, "schema", SCHEMA_VERSION);
    json_cstr(j, "version", CRADLE_VERSION);
    event_end(b);
    return CE_OK;
}

static enum err ca_import(struct batch *b, const json_t *ca, const char *where, struct fault *f)
{
    struct ca_row row = { .added_at = b->now_ms };
    struct cert cert;
    enum err e = text_get(b, ca, where, "name", true, &row.name, f);
    e = e ? e : bytes_get(b, ca, where, "kid", true, &row.kid, f);
    e = e ? e : bytes_get(b, ca, where, "der", false, &row.der, f);
    e = e ? e : named(name_check_label("name", row.name, f), where, f);
    e = e ? e : named(cert_parse(row.der, &cert, f), where, f);
    if (e)
        return e;
    if (!cert.is_ca || !span_eq(cert.ski, row.kid))
        return fault_set(f, CE_BAD_CONFIG, "birth.json: %s.der is not a CA certificate with the subject key id %s.kid", where, where);
    e = named(store_ca_add(b->db, &row, f), where, f);
    const struct ca_state_row state = { .name = row.name, .use = row.name, .state = span_str(ca_state_name(CA_ACTIVE)), .changed_at = row.added_at };
    if (!e && !ca_use_find(row.name))
        e = fault_set(f, CE_BAD_CONFIG, "birth.json: %s.name is root, device or infra", where);
    e = e ? e : named(store_ca_state_put(b->db, &state, f), where, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_CA_ADDED, (struct span){ 0 }, 0);
    json_str(j, "name", row.name);
    json_hex(j, "kid", row.kid);
    json_base64(j, "der", row.der);
    event_end(b);
    return CE_OK;
}

static enum err line_import(struct batch *b, const json_t *line, const char *where, struct fault *f)
{
    struct line_row row = { .added_at = b->now_ms };
    const json_t *validity = json_object_get(line, "validity_s");
    enum err e = text_get(b, line, where, "name", true, &row.name, f);
    e = e ? e : text_get(b, line, where, "title", false, &row.title, f);
    e = e ? e : text_get(b, line, where, "clone_policy", false, &row.clone_policy, f);
    e = e ? e : named(name_check_label("name", row.name, f), where, f);
    if (e)
        return e;
    enum policy_clones clones;
    if (!row.clone_policy.n)
        row.clone_policy = SPAN_LIT("alarm");
    if (!policy_clones_from_name(row.clone_policy, &clones)) /* brokers would not take the whole policy */
        return fault_set(f, CE_BAD_CONFIG, "birth.json: %s.clone_policy is alarm, quarantine or refuse", where);
    row.validity_s = json_is_integer(validity) ? (int64_t)json_integer_value(validity) : 0;
    e = named(line_row_add(b, &row, f), where, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_LINE_ADDED, (struct span){ 0 }, 0);
    json_str(j, "name", row.name);
    json_str(j, "title", row.title);
    json_int(j, "validity_s", row.validity_s);
    json_str(j, "clone_policy", row.clone_policy);
    json_cstr(j, "by", "init");
    event_end(b);
    return CE_OK;
}

static void cert_fields(struct json_out *j, const struct cert *c, struct span holder)
{
    json_hex(j, "kid", c->aki);
    json_hex(j, "serial", c->serial);
    json_int(j, "holder_kind", CERT_HOLDER_OPERATOR);
    json_str(j, "holder", holder);
    json_hex(j, "spki", span_of(c->spki_sha256, sizeof c->spki_sha256));
    json_cstr(j, "profile", "operator");
    json_int(j, "not_before", c->not_before);
    json_int(j, "not_after", c->not_after);
}

/* cradle init signed it with the infrastructure CA's key, before there was a signer: intent and issue stand together, counter 0. */
static enum err operator_cert_import(struct batch *b, struct span name, const struct cert *c, struct fault *f)
{
    uint8_t hash[32];
    struct span spki = span_of(c->spki_sha256, sizeof c->spki_sha256);
    const struct cert_row row = { .kid = c->aki, .serial = c->serial, .holder_kind = CERT_HOLDER_OPERATOR, .holder = name,
                                  .profile = SPAN_LIT("operator"), .spki = spki, .not_before = c->not_before, .not_after = c->not_after,
                                  .issued_at = b->now_ms, .der = c->der };
    enum err e = store_cert_add(b->db, &row, f);
    e = e ? e : store_key_add(b->db, spki, CERT_HOLDER_OPERATOR, name, b->now_ms, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_CERT_INTENT, (struct span){ 0 }, 0);
    cert_fields(j, c, name);
    json_cstr(j, "by", "init");
    event_end(b);
    sha256(c->der, hash);
    j = event_begin(b, EVENT_CERT_ISSUED, (struct span){ 0 }, 0);
    cert_fields(j, c, name);
    json_hex(j, "sha256", span_of(hash, sizeof hash));
    json_hex(j, "run", (struct span){ 0 });
    json_int(j, "counter", 0);
    event_end(b);
    return CE_OK;
}

static enum err operator_import(struct batch *b, const json_t *op, const char *where, struct fault *f)
{
    struct operator_row row = { .state = SPAN_LIT("active"), .rev = 1, .added_at = b->now_ms, .changed_at = b->now_ms };
    struct span der = { 0 };
    struct cert c;
    enum err e = text_get(b, op, where, "name", true, &row.name, f);
    e = e ? e : text_get(b, op, where, "role", true, &row.role, f);
    e = e ? e : text_get(b, op, where, "lines", false, &row.lines, f);
    e = e ? e : bytes_get(b, op, where, "cert", false, &der, f);
    e = e ? e : named(name_check_label("name", row.name, f), where, f);
    e = e ? e : named(cert_parse(der, &c, f), where, f);
    if (e)
        return e;
    if (!route_role_bit(row.role) || !span_eq(c.cn, row.name) || !c.aki.n)
        return fault_set(f, CE_BAD_CONFIG, "birth.json: %s: the role is not known, or the certificate is not for this name", where);
    e = named(store_operator_add(b->db, &row, f), where, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_OPERATOR_ADDED, (struct span){ 0 }, 0);
    json_str(j, "name", row.name);
    json_str(j, "role", row.role);
    json_str(j, "lines", row.lines);
    json_cstr(j, "by", "init");
    event_end(b);
    return named(operator_cert_import(b, row.name, &c, f), where, f);
}

static enum err array_import(struct batch *b, const json_t *root, const char *key, bool required,
                             enum err (*one)(struct batch *, const json_t *, const char *, struct fault *), struct fault *f)
{
    const json_t *a = json_object_get(root, key);
    size_t n = json_array_size(a);
    if (required && !n)
        return fault_set(f, CE_BAD_CONFIG, "birth.json: '%s' must be a list that is not empty", key);
    for (size_t i = 0; i < n; i++) {
        char where[48];
        snprintf(where, sizeof where, "%s[%zu]", key, i);
        enum err e = one(b, json_array_get(a, i), where, f);
        if (e)
            return e;
    }
    return CE_OK;
}

enum err birth_import(struct batch *b, struct span text, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *root = NULL;
    int64_t admins = 0;
    enum err e = json_parse(text, &root, f);
    if (e)
        return named(e, "the file", f);
    const char *format = json_string_value(json_object_get(root, "format"));
    if (!format || strcmp(format, "cradle-birth-1"))
        return fault_set(f, CE_BAD_CONFIG, "birth.json: 'format' is not cradle-birth-1");
    e = site_import(b, root, f);
    e = e ? e : array_import(b, root, "cas", true, ca_import, f);
    e = e ? e : array_import(b, root, "lines", false, line_import, f);
    e = e ? e : array_import(b, root, "operators", true, operator_import, f);
    e = e ? e : store_operator_count(b->db, "admin", &admins, f);
    if (!e && !admins)
        e = fault_set(f, CE_BAD_CONFIG, "birth.json: no operator has the role admin");
    return e;
}
