/* pkcs11.c: see pkcs11.h. One module, one token, one key pair on P-256. */
#include "token/pkcs11.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "token/pkcs11_abi.h"
#include "crypt/der.h"
#include "crypt/hash.h"

#define SLOTS_MAX 64
#define POINT_LEN 65

static const uint8_t p256_oid[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
/* SubjectPublicKeyInfo of a P-256 key up to the point (RFC 5480 2) */
static const uint8_t p256_spki_head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                          0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };

struct token {
    void *dl;                       /* owned: the module */
    const struct ck_functions *ck;
    bool initialized, session_open;
    ck_ulong session, key;
};

/* -- the URI -------------------------------------------------------------------------------------------------------------- */
static bool value_decode(struct span s, char *out, size_t cap)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(cap);
    return percent_decode(s, &b) == CE_OK && b.len && span_to_cstr(buf_span(&b), out, cap) == CE_OK;
}

static enum err uri_attribute(struct span pair, struct pkcs11_uri *u, struct fault *f)
{
    const struct { const char *name; char *out; size_t cap; } rows[] = {
        { "token", u->token, sizeof u->token }, { "object", u->object, sizeof u->object },
        { "module-path", u->module, sizeof u->module }, { "pin-source", u->pin_source, sizeof u->pin_source },
    };
    struct span name, value = pair;
    span_cut(&value, '=', &name);
    if (span_eq_str(name, "pin-value"))
        return fault_set(f, CE_USAGE, "pin-value is refused: others can read command lines; use pin-source=FILE");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (span_eq_str(name, rows[i].name))
            return value_decode(value, rows[i].out, rows[i].cap) ? CE_OK
                   : fault_set(f, CE_USAGE, "%s in the PKCS#11 URI is empty, too long or badly encoded (RFC 7512 2.3)", rows[i].name);
    if (span_eq_str(name, "type") && span_eq_str(value, "private"))
        return CE_OK;
    return fault_set(f, CE_USAGE, "attribute '%.*s' of the PKCS#11 URI is not supported; known: token object module-path pin-source",
                     (int)(name.n < 32 ? name.n : 32), (const char *)name.p);
}

enum err pkcs11_uri_parse(const char *uri, struct pkcs11_uri *u, struct fault *f)
{
    *u = (struct pkcs11_uri){ .object = "cradle-root" };
    struct span s = span_str(uri), path = { 0 }, pair;
    if (!span_starts(s, "pkcs11:"))
        return fault_set(f, CE_USAGE, "a PKCS#11 URI begins with pkcs11: (RFC 7512)");
    s = span_of(s.p + 7, s.n - 7);
    span_cut(&s, '?', &path);
    enum err e = CE_OK;
    while (!e && span_cut(&path, ';', &pair))
        e = pair.n ? uri_attribute(pair, u, f) : CE_OK;
    while (!e && span_cut(&s, '&', &pair))
        e = pair.n ? uri_attribute(pair, u, f) : CE_OK;
    if (!e && strncmp(u->pin_source, "file:", 5) == 0)
        memmove(u->pin_source, u->pin_source + 5, strlen(u->pin_source + 5) + 1);
    if (!e && (!u->token[0] || !u->module[0] || !u->pin_source[0]))
        e = fault_set(f, CE_USAGE, "the PKCS#11 URI lacks %s", !u->token[0] ? "token=" : !u->module[0] ? "module-path=" : "pin-source=");
    return e;
}

/* -- the token ------------------------------------------------------------------------------------------------------------ */
static void token_close(void *arg)
{
    struct token *t = arg;
    if (t->session_open)
        t->ck->close_session(t->session);
    if (t->initialized)
        t->ck->finalize(NULL);
    if (t->dl)
        dlclose(t->dl);
    free(t);
}

static enum err ck_fail(struct fault *f, const char *what, ck_rv rv)
{
    const char *hint = rv == CKR_PIN_INCORRECT_ ? " (the PIN is wrong)" : rv == CKR_PIN_LOCKED_ ? " (the PIN is locked)" : "";
    return fault_set(f, CE_CRYPTO, "the PKCS#11 token refused to %s: error 0x%lx%s", what, rv, hint);
}

static enum err token_load(struct token *t, const char *module, struct fault *f)
{
    t->dl = dlopen(module, RTLD_NOW | RTLD_LOCAL);
    if (!t->dl)
        return fault_set(f, CE_NOT_FOUND, "cannot load the PKCS#11 module: %s", dlerror());
    ck_rv (*list)(struct ck_functions **) = NULL;
    *(void **)&list = dlsym(t->dl, "C_GetFunctionList");
    struct ck_functions *ck = NULL;
    if (!list || list(&ck) != CKR_OK_ || !ck || ck->version.major != 2)
        return fault_set(f, CE_UNSUPPORTED, "%s is not a PKCS#11 version 2 module", module);
    t->ck = ck;
    ck_rv rv = ck->initialize(NULL);
    t->initialized = rv == CKR_OK_;
    return rv == CKR_OK_ || rv == CKR_ALREADY_INITIALIZED_ ? CE_OK : ck_fail(f, "start", rv);
}

static bool label_is(const unsigned char *padded, const char *label)
{
    size_t n = strlen(label);
    if (n > 32 || memcmp(padded, label, n) != 0)
        return false;
    for (size_t i = n; i < 32; i++)
        if (padded[i] != ' ')
            return false;
    return true;
}

static enum err token_find(const struct token *t, const char *label, ck_ulong *slot, struct fault *f)
{
    ck_ulong slots[SLOTS_MAX], n = SLOTS_MAX;
    ck_rv rv = t->ck->get_slot_list(1, slots, &n);
    if (rv != CKR_OK_)
        return ck_fail(f, "list its slots", rv);
    for (ck_ulong i = 0; i < n; i++) {
        struct ck_token_info info;
        if (t->ck->get_token_info(slots[i], &info) == CKR_OK_ && (info.flags & CKF_TOKEN_INITIALIZED_) && label_is(info.label, label)) {
            *slot = slots[i];
            return CE_OK;
        }
    }
    return fault_set(f, CE_NOT_FOUND, "no initialized PKCS#11 token has the label '%s'", label);
}

static enum err token_login(struct token *t, const struct pkcs11_uri *u, struct fault *f)
{
    ck_ulong slot = 0;
    enum err e = token_find(t, u->token, &slot, f);
    if (e)
        return e;
    ck_rv rv = t->ck->open_session(slot, CKF_SERIAL_SESSION_ | CKF_RW_SESSION_, NULL, NULL, &t->session);
    if (rv != CKR_OK_)
        return ck_fail(f, "open a session", rv);
    t->session_open = true;
    CLEANUP(buf_free) struct buf pin = BUF_INIT(4096);
    struct fault why;
    if ((e = file_read_private(u->pin_source, &pin, &why)))
        return fault_set(f, e, "the PIN file: %s", why.text);
    struct span rest = buf_span(&pin), line = { 0 };
    span_cut(&rest, '\n', &line);
    line = span_trim(line);
    rv = t->ck->login(t->session, CKU_USER_, line.p, line.n);
    return rv == CKR_OK_ || rv == CKR_USER_ALREADY_LOGGED_IN_ ? CE_OK : ck_fail(f, "log in", rv);
}

/* The object of a class with this label; *found counts them (0: *out stays; two are refused). */
static enum err object_find(const struct token *t, ck_ulong class, const char *label, ck_ulong *out, ck_ulong *found, struct fault *f)
{
    struct ck_attribute want[] = { { CKA_CLASS_, &class, sizeof class }, { CKA_LABEL_, (void *)label, strlen(label) } };
    ck_ulong objects[2];
    *found = 0;
    ck_rv rv = t->ck->find_init(t->session, want, ARRAY_LEN(want));
    if (rv == CKR_OK_) {
        rv = t->ck->find(t->session, objects, 2, found);
        t->ck->find_final(t->session);
    }
    if (rv != CKR_OK_)
        return ck_fail(f, "search its objects", rv);
    if (*found > 1)
        return fault_set(f, CE_EXISTS, "the token holds more than one object '%s'; name another with object=", label);
    if (*found)
        *out = objects[0];
    return CE_OK;
}

static enum err pair_generate(const struct token *t, const char *label, ck_ulong *pub, ck_ulong *priv, struct fault *f)
{
    unsigned char yes = 1, no = 0;
    struct ck_attribute pub_t[] = { { CKA_TOKEN_, &yes, 1 }, { CKA_VERIFY_, &yes, 1 }, { CKA_LABEL_, (void *)label, strlen(label) },
                                    { CKA_EC_PARAMS_, (void *)p256_oid, sizeof p256_oid } };
    struct ck_attribute priv_t[] = { { CKA_TOKEN_, &yes, 1 },     { CKA_PRIVATE_, &yes, 1 },    { CKA_SENSITIVE_, &yes, 1 },
                                     { CKA_EXTRACTABLE_, &no, 1 }, { CKA_SIGN_, &yes, 1 },
                                     { CKA_LABEL_, (void *)label, strlen(label) } };
    struct ck_mechanism m = { CKM_EC_KEY_PAIR_GEN_, NULL, 0 };
    ck_rv rv = t->ck->generate_pair(t->session, &m, pub_t, ARRAY_LEN(pub_t), priv_t, ARRAY_LEN(priv_t), pub, priv);
    return rv == CKR_OK_ ? CE_OK : ck_fail(f, "make a P-256 key pair", rv);
}

/* CKA_EC_POINT is an OCTET STRING in DER around the point; some modules leave the wrapper out. */
static enum err public_spki(const struct token *t, ck_ulong pub, struct buf *spki, struct fault *f)
{
    uint8_t point[POINT_LEN + 2];
    struct ck_attribute a = { CKA_EC_POINT_, point, sizeof point };
    ck_rv rv = t->ck->get_attribute(t->session, pub, &a, 1);
    if (rv != CKR_OK_)
        return ck_fail(f, "show its public key", rv);
    const uint8_t *p = a.len == POINT_LEN + 2 && point[0] == 4 && point[1] == POINT_LEN ? point + 2 : point;
    if ((a.len != POINT_LEN && p == point) || p[0] != 4)
        return fault_set(f, CE_KEY_ALG, "the key in the token is not on P-256");
    buf_put(spki, p256_spki_head, sizeof p256_spki_head);
    buf_put(spki, p, POINT_LEN);
    return CE_OK;
}

/* key_sign_fn: CKM_ECDSA gives r || s; X.509 wants SEQUENCE { r, s } (RFC 3279 2.2.3). */
static enum err token_sign(void *ctx, struct span message, struct buf *sig)
{
    struct token *t = ctx;
    uint8_t digest[SHA256_LEN], raw[64];
    ck_ulong n = sizeof raw;
    struct ck_mechanism m = { CKM_ECDSA_, NULL, 0 };
    sha256(message, digest);
    if (t->ck->sign_init(t->session, &m, t->key) != CKR_OK_ || t->ck->sign(t->session, digest, sizeof digest, raw, &n) != CKR_OK_ ||
        n != sizeof raw)
        return CE_CRYPTO;
    size_t at = der_begin(sig, DER_SEQUENCE);
    der_put_uint(sig, span_of(raw, 32));
    der_put_uint(sig, span_of(raw + 32, 32));
    der_end(sig, at);
    return buf_err(sig);
}

static enum err token_key(struct token *t, const struct pkcs11_uri *u, struct buf *spki, struct fault *f)
{
    ck_ulong pub = 0, npub, npriv;
    enum err e = object_find(t, CKO_PRIVATE_KEY_, u->object, &t->key, &npriv, f);
    if (e || (e = object_find(t, CKO_PUBLIC_KEY_, u->object, &pub, &npub, f)))
        return e;
    if (npub != npriv)
        return fault_set(f, CE_CRYPTO, "the token holds only one half of the key pair '%s'", u->object);
    if (!npriv && (e = pair_generate(t, u->object, &pub, &t->key, f)))
        return e;
    return public_spki(t, pub, spki, f);
}

enum err pkcs11_key_make(const char *uri, struct key **out, struct fault *f)
{
    struct pkcs11_uri u;
    enum err e = pkcs11_uri_parse(uri, &u, f);
    if (e)
        return e;
    struct token *t = mem_calloc(1, sizeof *t);
    CLEANUP(buf_free) struct buf spki = BUF_INIT(256);
    if ((e = token_load(t, u.module, f)) || (e = token_login(t, &u, f)) || (e = token_key(t, &u, &spki, f))) {
        token_close(t);
        return e;
    }
    e = key_external(buf_span(&spki), token_sign, token_close, t, out, f);
    if (e)
        token_close(t);
    return e;
}
