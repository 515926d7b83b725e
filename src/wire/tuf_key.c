/* tuf_key.c: keys and roles of TUF metadata, and the rule of thresholds (TUF 4.2, 4.3, 5). See tuf.h. */
#include "crypt/hash.h"
#include "crypt/key_gate.h"
#include "crypt/pem.h"
#include "wire/canon_json.h"
#include "wire/tuf_impl.h"

#define ED25519_PREFIX "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00" /* SubjectPublicKeyInfo up to the key, RFC 8410 4 */

static const struct kind {
    enum key_alg alg;
    const char *keytype, *scheme;
} kinds[] = {
    { KEY_EC_P256, "ecdsa", "ecdsa-sha2-nistp256" },
    { KEY_ED25519, "ed25519", "ed25519" },
    { KEY_MLDSA65, "ml-dsa-65", "ml-dsa-65" },
};

/* -- key objects -------------------------------------------------------------------------------------------------------------- */
static json_t *key_json(struct span spki)
{
    struct spki_info k;
    CLEANUP(buf_free) struct buf pem = BUF_INIT(0);
    if (spki_parse(spki, &k, NULL))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (kinds[i].alg != k.alg)
            continue;
        if (k.alg == KEY_ED25519)
            buf_put_hex(&pem, k.key);
        else
            pem_encode("PUBLIC KEY", spki, &pem);
        return json_pack("{s:s,s:s,s:{s:o}}", "keytype", kinds[i].keytype, "scheme", kinds[i].scheme, "keyval", "public", tuf_str(buf_span(&pem)));
    }
    return NULL;
}

static enum err key_id(const json_t *key, struct arena *a, struct span *out)
{
    CLEANUP(buf_free) struct buf canon = BUF_INIT(65536), hex = BUF_INIT(0);
    uint8_t digest[SHA256_LEN];
    enum err e = canon_json_put(key, &canon);
    if (e)
        return e;
    sha256(buf_span(&canon), digest);
    buf_put_hex(&hex, span_of(digest, sizeof digest));
    *out = arena_copy(a, buf_span(&hex));
    return CE_OK;
}

enum err tuf_key_make(struct span spki, struct arena *a, struct tuf_key *k, struct fault *f)
{
    json_t *key = key_json(spki);
    if (!key)
        return fault_set(f, CE_KEY_ALG, "release keys are ec:P-256, ed25519 or ml-dsa-65");
    k->spki = arena_copy(a, spki);
    enum err e = key_id(key, a, &k->id);
    json_decref(key);
    return e ? fault_set(f, e, "the key's identifier cannot be made") : CE_OK;
}

static enum err spki_of(const struct kind *kind, struct span public, struct arena *a, struct span *out)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(KEY_SPKI_MAX);
    struct spki_info k;
    enum err e;
    if (kind->alg == KEY_ED25519) {
        buf_put_span(&der, SPAN_LIT(ED25519_PREFIX));
        e = hex_decode(public, &der);
    } else {
        e = pem_decode(public, "PUBLIC KEY", 0, &der);
    }
    e = e ? e : key_gate(buf_span(&der), NULL, &k, NULL);
    if (!e && k.alg != kind->alg)
        e = CE_KEY_ALG;
    *out = e ? (struct span){ 0 } : arena_copy(a, buf_span(&der));
    return e;
}

/* A key of a type that this program does not know stays in the list, without its bytes: it counts for nothing, and harms nobody. */
static enum err key_read(const struct tuf_in *in, const char *id, const json_t *o, struct tuf_key *out)
{
    struct span type, scheme, public;
    const json_t *val;
    enum err e = tuf_text(in, o, "keytype", &type);
    e = e ? e : tuf_text(in, o, "scheme", &scheme);
    e = e ? e : tuf_object(in, o, "keyval", &val);
    e = e ? e : tuf_text(in, val, "public", &public);
    if (e)
        return e;
    out->id = arena_copy(in->a, span_str(id));
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (span_eq_str(type, kinds[i].keytype) && span_eq_str(scheme, kinds[i].scheme) && (e = spki_of(&kinds[i], public, in->a, &out->spki)))
            return e == CE_UNSUPPORTED ? CE_OK : fault_set(in->f, CE_BAD_METADATA, "TUF: key %.16s is no sound %s key", id, kinds[i].scheme);
    return CE_OK;
}

enum err tuf_keys_read(const struct tuf_in *in, const json_t *o, struct tuf_keys *out)
{
    const json_t *keys;
    const char *id;
    json_t *one;
    enum err e = tuf_object(in, o, "keys", &keys);
    if (!e && json_object_size(keys) > TUF_KEYS)
        return fault_set(in->f, CE_BAD_METADATA, "TUF: more than %d keys", TUF_KEYS);
    out->n = 0;
    json_object_foreach((json_t *)(uintptr_t)keys, id, one) {
        struct span got;
        if (e)
            return e;
        struct tuf_key *k = &out->list[out->n++];
        *k = (struct tuf_key){ 0 };
        e = key_read(in, id, one, k);
        e = e ? e : key_id(one, in->a, &got);
        if (!e && !span_eq(got, k->id))
            e = fault_set(in->f, CE_BAD_METADATA, "TUF 4.2: key %.16s does not have its own digest as its identifier", id);
    }
    return e;
}

json_t *tuf_keys_json(const struct tuf_keys *keys)
{
    json_t *o = json_object();
    for (size_t i = 0; i < keys->n; i++) {
        json_t *key = key_json(keys->list[i].spki);
        if (!key || json_object_setn_new(o, (const char *)keys->list[i].id.p, keys->list[i].id.n, key)) {
            json_decref(o);
            return NULL;
        }
    }
    return o;
}

const struct tuf_key *tuf_key_find(const struct tuf_keys *keys, struct span id)
{
    for (size_t i = 0; i < keys->n; i++)
        if (span_eq(keys->list[i].id, id))
            return &keys->list[i];
    return NULL;
}

/* -- roles -------------------------------------------------------------------------------------------------------------------- */
enum err tuf_role_read(const struct tuf_in *in, const json_t *o, const char *what, struct tuf_role *out)
{
    const json_t *ids;
    *out = (struct tuf_role){ 0 };
    enum err e = tuf_array(in, o, "keyids", TUF_ROLE_KEYS, &ids);
    e = e ? e : tuf_int(in, o, "threshold", 1, &out->threshold);
    for (size_t i = 0; !e && i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        struct span s = span_of(json_string_value(id), json_string_length(id));
        for (size_t k = 0; k < out->n_keyids; k++)
            if (span_eq(out->keyids[k], s))
                return fault_set(in->f, CE_BAD_METADATA, "TUF 4.3: a key is named twice in role %s", what);
        out->keyids[out->n_keyids++] = arena_copy(in->a, s);
    }
    if (!e && (size_t)out->threshold > out->n_keyids)
        e = fault_set(in->f, CE_BAD_METADATA, "TUF 4.3: role %s wants %lld signatures and has %zu keys", what, (long long)out->threshold, out->n_keyids);
    return e;
}

json_t *tuf_role_json(const struct tuf_role *role)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < role->n_keyids; i++)
        json_array_append_new(ids, tuf_str(role->keyids[i]));
    return json_pack("{s:o,s:I}", "keyids", ids, "threshold", (json_int_t)role->threshold);
}

static bool key_signs(const struct dsse *env, const struct tuf_key *key)
{
    for (size_t i = 0; i < env->n_sigs; i++)
        if (span_eq(env->sigs[i].keyid, key->id) && dsse_verify(env, i, key->spki) == CE_OK)
            return true;
    return false;
}

enum err tuf_verify(const struct dsse *env, const struct tuf_keys *keys, const struct tuf_role *role, struct fault *f)
{
    int64_t good = 0;
    if (!span_eq_str(env->type, DSSE_TYPE_TUF))
        return fault_set(f, CE_BAD_ENVELOPE, "DSSE: payload type '" SPAN_FMT "' is not " DSSE_TYPE_TUF, SPAN_ARG(env->type));
    for (size_t i = 0; i < role->n_keyids; i++) {
        const struct tuf_key *key = tuf_key_find(keys, role->keyids[i]);
        good += key && key->spki.n && key_signs(env, key);
    }
    if (role->threshold < 1 || good < role->threshold)
        return fault_set(f, CE_THRESHOLD, "%lld of the role's keys signed, %lld must", (long long)good, (long long)role->threshold);
    return CE_OK;
}
