/* key_file.c: see key_file.h. */
#include "token/key_file.h"

#include <errno.h>

#include "base/mem.h"

static const struct token_options unattended = { .need_pin = true };

static enum err put_new(const char *path, struct span bytes, struct fault *f)
{
    enum err e = file_write_new(path, bytes, 0600);
    return e ? fault_set(f, e, "%s: %s", path, e == CE_EXISTS ? "it is there already; a key is never replaced" : err_text(e)) : CE_OK;
}

static enum err make_file(const char *path, const char *alg, struct key **out, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(65536);
    CLEANUP(key_free_p) struct key *key = NULL;
    enum err e = key_generate(alg, &key, f);
    if (!e && (e = key_write_pem(key, NULL, &pem)))
        fault_set(f, e, "cannot encode the key %s", path);
    e = e ? e : put_new(path, buf_span(&pem), f);
    if (e)
        return e;
    *out = key;
    key = NULL;
    return CE_OK;
}

/* The URI as it is written: with the label that was taken when it had none. */
static void uri_put(struct buf *out, struct span uri, const char *object_default)
{
    struct pkcs11_uri u;
    struct fault f;
    struct span rest = uri, path;
    bool has_key = pkcs11_uri_parse(uri, NULL, &u, &f) == CE_OK; /* without a default, a URI without object and id is refused */
    span_cut(&rest, '?', &path);
    buf_put_span(out, path);
    if (!has_key)
        buf_printf(out, ";object=%s", object_default);
    if (rest.n)
        buf_put_u8(out, '?');
    buf_put_span(out, rest);
    buf_put_u8(out, '\n');
}

enum err key_make_at(const char *dir, const char *name, const char *alg, const char *uri, const char *object_default, struct key **out,
                     struct token_info *where, struct fault *f)
{
    char key_path[PATH_MAX_LEN], uri_path[PATH_MAX_LEN];
    path_join(key_path, "%s/keys/%s.key", dir, name);
    path_join(uri_path, "%s/keys/%s.uri", dir, name);
    if (file_exists(key_path) || file_exists(uri_path))
        return fault_set(f, CE_EXISTS, "%s/keys has a key '%s' already; a key is never replaced", dir, name);
    if (!uri)
        return make_file(key_path, alg, out, f);
    CLEANUP(key_free_p) struct key *key = NULL;
    CLEANUP(buf_free) struct buf line = BUF_INIT(PKCS11_URI_MAX);
    enum err e = token_key_make(uri, object_default, alg, &unattended, &key, where, f);
    if (e)
        return e;
    uri_put(&line, span_trim(span_str(uri)), object_default);
    e = buf_err(&line) ? fault_set(f, CE_USAGE, "the PKCS#11 URI is longer than %d bytes", PKCS11_URI_MAX) : put_new(uri_path, buf_span(&line), f);
    if (e)
        return e;
    *out = key;
    key = NULL;
    return CE_OK;
}

bool key_is_in_token(const char *dir, const char *name)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/keys/%s.uri", dir, name);
    return file_exists(path);
}

enum err key_uri_read(const char *dir, const char *name, struct pkcs11_uri *out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(PKCS11_URI_MAX);
    struct fault why = { 0 };
    path_join(path, "%s/keys/%s.uri", dir, name);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "%s: %s", path, e == CE_IO ? strerror(errno) : err_text(e));
    struct span rest = buf_span(&text), line = { 0 };
    span_cut(&rest, '\n', &line);
    e = pkcs11_uri_parse(line, NULL, out, &why);
    if (!e && !out->pin_source[0])
        e = fault_set(&why, CE_USAGE, "the PKCS#11 URI lacks pin-source=FILE");
    return e ? fault_set(f, CE_BAD_CONFIG, "%s: %s", path, why.text) : CE_OK;
}

enum err key_open_at(const char *dir, const char *name, struct key **out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct pkcs11_uri u;
    path_join(path, "%s/keys/%s.key", dir, name);
    if (!key_is_in_token(dir, name))
        return key_read_file(path, NULL, out, f);
    if (file_exists(path))
        return fault_set(f, CE_BAD_CONFIG, "%s/keys has both %s.key and %s.uri: remove the one that is not the key", dir, name, name);
    enum err e = key_uri_read(dir, name, &u, f);
    return e ? e : token_key_own(&u, NULL, &unattended, out, NULL, f);
}

static enum err open_any(void *ctx, const char *dir, const char *name, struct key **out, struct fault *f)
{
    (void)ctx;
    return key_open_at(dir, name, out, f);
}
const struct key_source key_source_any = { open_any, NULL };
