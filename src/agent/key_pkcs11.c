/* key_pkcs11.c: a home of keys (key.h): a PKCS#11 token, through src/token. `key = pkcs11:…` names module, token and PIN file; each key gets a label of its own
 * (the URI's object or "cradle", a dash, random digits), so that a candidate stands beside the key in use. key.uri is the whole URI of one. Connections to tokens: p11_home.c. */
#include <errno.h>
#include <stdlib.h>

#include "agent/key.h"
#include "agent/key_remote.h"
#include "agent/p11_home.h"
#include "base/file.h"
#include "base/mem.h"

#define URI_MAX 2048

struct pkcs11_key {
    struct key_remote remote;
    struct p11_home *home; /* counted */
    struct token_key *key; /* owned */
};

static bool pkcs11_wanted(const char *setting) { return strncmp(setting, "pkcs11:", 7) == 0; }

/* The URI of one key: the setting with a label of its own. */
static enum err uri_make(const char *setting, struct span digits, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf label = BUF_INIT(512);
    struct pkcs11_uri u;
    enum err e = pkcs11_uri_parse(span_str(setting), "cradle", &u, f);
    if (!e && u.id_len)
        return fault_set(f, CE_USAGE, "id in the PKCS#11 URI names one key, and a device has two while it renews: use object");
    if (!e && !u.pin_source[0])
        return fault_set(f, CE_USAGE, "the PKCS#11 URI lacks pin-source=FILE");
    if (e)
        return e;
    buf_printf(&label, "%s-", u.object);
    buf_put_hex(&label, digits);
    if (pkcs11_uri_relabel(span_str(setting), buf_cstr(&label), out))
        return fault_set(f, CE_USAGE, "the PKCS#11 URI is too long");
    return pkcs11_uri_parse(buf_span(out), NULL, &u, f);
}

static enum err pkcs11_check(const struct agent_config *cfg, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(URI_MAX);
    struct fault why = { 0 };
    enum err e = uri_make(cfg->key, SPAN_LIT("12345678"), &text, &why);
    return e ? fault_set(f, CE_BAD_CONFIG, "key: %s", why.text) : CE_OK;
}

/* -- signing -------------------------------------------------------------------------------------------------------------------------- */
static enum err remote_sign(struct key_remote *r, const uint8_t digest[32], uint8_t sig[64], struct fault *f)
{
    struct pkcs11_key *k = (struct pkcs11_key *)r;
    enum err e = token_digest_sign(k->key, digest, sig, f);
    if (e == CE_TOKEN_LOST && p11_home_again(k->home, f) == CE_OK)
        e = token_digest_sign(k->key, digest, sig, f);
    return e;
}

static void remote_release(struct key_remote *r)
{
    struct pkcs11_key *k = (struct pkcs11_key *)r;
    token_digest_close(k->key);
    p11_home_leave(k->home);
    free(k);
}

static enum err pair_open(struct pkcs11_key *k, const struct pkcs11_uri *u, bool make, uint8_t point[65], struct fault *f)
{
    enum err e = token_digest_open(p11_home_session(k->home), u, make, &k->key, point, f);
    if (e != CE_TOKEN_LOST || (e = p11_home_again(k->home, f)))
        return e;
    return token_digest_open(p11_home_session(k->home), u, make, &k->key, point, f);
}

static enum err uri_open(const struct agent_config *cfg, struct span text, bool make, EVP_PKEY **out, struct fault *f)
{
    struct pkcs11_uri u;
    uint8_t point[CRADLE_POINT_LEN];
    enum err e = pkcs11_uri_parse(text, NULL, &u, f);
    if (e)
        return e;
    struct pkcs11_key *k = mem_calloc(1, sizeof *k);
    k->remote = (struct key_remote){ remote_sign, remote_release };
    e = p11_home_open(cfg->state_dir, &u, &k->home, f);
    e = e ? e : pair_open(k, &u, make, point, f);
    e = e ? e : key_remote_bind(&k->remote, point, out, f);
    if (e)
        remote_release(&k->remote);
    return e;
}

/* -- the home ------------------------------------------------------------------------------------------------------------------------- */
static enum err uri_load(const char *path, struct buf *text, struct fault *f)
{
    struct fault why;
    enum err e = file_read_private(path, text, &why);
    return e ? fault_set(f, e, "the device's key: %s", why.text) : CE_OK;
}

static enum err pkcs11_open(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(URI_MAX);
    enum err e = uri_load(path, &text, f);
    return e ? e : uri_open(cfg, buf_span(&text), false, out, f);
}

/* The file first: whatever stops us afterwards, key_destroy finds what is in the token. */
static enum err pkcs11_make(const struct agent_config *cfg, const char *path, EVP_PKEY **out, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(URI_MAX);
    uint8_t r[8];
    enum err e = random_bytes(r, sizeof r);
    e = e ? e : uri_make(cfg->key, span_of(r, sizeof r), &text, f);
    if (e)
        return e;
    buf_put_u8(&text, '\n');
    e = buf_err(&text) ? buf_err(&text) : file_write_new(path, buf_span(&text), 0600);
    if (e)
        return fault_set(f, e, "cannot write %s: %s", path, strerror(errno));
    return uri_open(cfg, buf_span(&text), true, out, f);
}

/* A file without a whole URI is one whose making was cut off: no key was made. */
static enum err pkcs11_destroy(const struct agent_config *cfg, const char *path, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(URI_MAX);
    struct pkcs11_uri u;
    struct p11_home *home = NULL;
    enum err e = uri_load(path, &text, f);
    if (e || !text.len || text.data[text.len - 1] != '\n')
        return e;
    e = pkcs11_uri_parse(buf_span(&text), NULL, &u, f);
    e = e ? e : p11_home_open(cfg->state_dir, &u, &home, f);
    if (e)
        return e;
    e = token_key_destroy(p11_home_session(home), &u, f);
    if (e == CE_TOKEN_LOST && (e = p11_home_again(home, f)) == CE_OK)
        e = token_key_destroy(p11_home_session(home), &u, f);
    p11_home_leave(home);
    return e;
}

const struct key_backend key_backend_pkcs11 = { "pkcs11", "key.uri", pkcs11_wanted, pkcs11_make, pkcs11_open, pkcs11_destroy, pkcs11_check };
