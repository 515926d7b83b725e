/* envelope.c: see envelope.h. */
#include "envelope.h"

#include <string.h>

#include "base64.h"

#define POINT_LEN 65
#define SPKI_P256_LEN 91
#define PEM_HEAD "-----BEGIN PUBLIC KEY-----"
#define PEM_TAIL "-----END PUBLIC KEY-----"

static const uint8_t spki_p256_head[] = { 0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
                                          0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00 };

int envelope_open(char *text, size_t n, const char *type, struct envelope *out)
{
    struct djson root, kind, payload, inside;
    *out = (struct envelope){ .type = type };
    if (!djson_check(text, n, &root) || !djson_member(root, "payloadType", &kind) || !djson_text_is(kind, type) ||
        !djson_member(root, "payload", &payload) || !djson_text(payload, &inside) || !djson_member(root, "signatures", &out->signatures))
        return CRADLE_UP_FORMAT;
    char *at = text + (inside.p - text);
    if (base64_in_place(at, inside.n, &out->payload_n) || !djson_check(at, out->payload_n, &out->doc) || !djson_is_object(out->doc))
        return CRADLE_UP_FORMAT;
    out->payload = (const uint8_t *)at;
    return CRADLE_UP_OK;
}

int envelope_payload_sha256(const struct envelope *e, const struct cradle_update_port *port, uint8_t out[32])
{
    if (port->sha256_begin(port->ctx) || port->sha256_add(port->ctx, e->payload, e->payload_n) || port->sha256_end(port->ctx, out))
        return CRADLE_UP_CRYPTO;
    return CRADLE_UP_OK;
}

/* Appends v in decimal; returns the new length. */
static size_t decimal(char *out, size_t at, size_t v)
{
    char digits[24];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    while (n)
        out[at++] = digits[--n];
    return at;
}

/* SHA-256 of the pre-authentication encoding: "DSSEv1 LEN type LEN payload". */
static int pae_digest(const struct envelope *e, const struct cradle_update_port *port, uint8_t out[32])
{
    char head[128];
    size_t type_n = strlen(e->type), at = 7;
    memcpy(head, "DSSEv1 ", 7);
    at = decimal(head, at, type_n);
    head[at++] = ' ';
    memcpy(head + at, e->type, type_n);
    at += type_n;
    head[at++] = ' ';
    at = decimal(head, at, e->payload_n);
    head[at++] = ' ';
    if (port->sha256_begin(port->ctx) || port->sha256_add(port->ctx, head, at) || port->sha256_add(port->ctx, e->payload, e->payload_n) ||
        port->sha256_end(port->ctx, out))
        return CRADLE_UP_CRYPTO;
    return CRADLE_UP_OK;
}

/* The key's own signature: is there one under its identifier that holds? */
static bool key_signed(const struct envelope *e, const struct cradle_update_port *port, const struct cradle_update_key *key, const uint8_t digest[32])
{
    struct djson none, one, id, sig, inside;
    uint8_t keyid[32];
    size_t at = 0, n;
    while (djson_each(e->signatures, &at, &none, &one)) {
        char raw[128]; /* base64 of at most 72 bytes */
        if (!djson_member(one, "keyid", &id) || !djson_hex32(id, keyid) || memcmp(keyid, key->id, sizeof keyid) != 0)
            continue;
        if (!djson_member(one, "sig", &sig) || !djson_text(sig, &inside) || inside.n > sizeof raw)
            continue;
        memcpy(raw, inside.p, inside.n);
        if (!base64_in_place(raw, inside.n, &n) && n && port->verify(port->ctx, key->point, digest, (const uint8_t *)raw, n) == 0)
            return true;
    }
    return false;
}

int envelope_verify(const struct envelope *e, const struct cradle_update_port *port, const struct cradle_update_key *keys,
                    const struct cradle_update_role *role)
{
    uint8_t digest[32], good = 0;
    if (pae_digest(e, port, digest))
        return CRADLE_UP_CRYPTO;
    for (unsigned i = 0; i < role->n; i++) {
        const struct cradle_update_key *key = &keys[role->keys[i]];
        bool twice = false; /* one key under two identifiers is one key */
        for (unsigned k = 0; k < i; k++)
            twice = twice || memcmp(keys[role->keys[k]].point, key->point, POINT_LEN) == 0;
        good = (uint8_t)(good + (!twice && key_signed(e, port, key, digest)));
    }
    return role->threshold && good >= role->threshold ? CRADLE_UP_OK : CRADLE_UP_SIGNATURES;
}

/* -- keys of metadata ------------------------------------------------------------------------------------------------------------- */
/* PEM as it stands in a JSON string: line ends are the two characters \n. */
static bool pem_point(struct djson v, uint8_t point[POINT_LEN])
{
    char text[256];
    size_t n = 0, bytes;
    if (v.n < 2 || v.p[0] != '"')
        return false;
    for (size_t i = 1; i + 1 < v.n; i++) {
        char c = v.p[i];
        if (c == '\\' && i + 2 < v.n) {
            c = v.p[++i];
            if (c == 'n' || c == 'r')
                continue;
            if (c != '/')
                return false;
        }
        if (n == sizeof text)
            return false;
        text[n++] = c;
    }
    size_t head = sizeof PEM_HEAD - 1, tail = sizeof PEM_TAIL - 1;
    if (n < head + tail || memcmp(text, PEM_HEAD, head) != 0 || memcmp(text + n - tail, PEM_TAIL, tail) != 0)
        return false;
    if (base64_in_place(text + head, n - head - tail, &bytes) || bytes != SPKI_P256_LEN || memcmp(text + head, spki_p256_head, sizeof spki_p256_head) != 0)
        return false;
    memcpy(point, text + head + sizeof spki_p256_head, POINT_LEN);
    return point[0] == 4;
}

static bool listed(const struct djson *only, const uint8_t id[32])
{
    struct djson none, one;
    uint8_t raw[32];
    size_t at = 0;
    while (only && djson_each(*only, &at, &none, &one))
        if (djson_hex32(one, raw) && memcmp(raw, id, sizeof raw) == 0)
            return true;
    return !only;
}

int keys_read(struct djson holder, const struct djson *only, struct cradle_update_key *keys, uint8_t cap, uint8_t *n)
{
    struct djson list, id, key, type, scheme, val, public;
    size_t at = 0;
    *n = 0;
    if (!djson_member(holder, "keys", &list) || !djson_is_object(list))
        return CRADLE_UP_FORMAT;
    while (djson_each(list, &at, &id, &key)) {
        struct cradle_update_key k;
        if (!djson_hex32(id, k.id) || !djson_member(key, "keytype", &type) || !djson_member(key, "scheme", &scheme) ||
            !djson_member(key, "keyval", &val) || !djson_member(val, "public", &public))
            return CRADLE_UP_FORMAT;
        if (!djson_text_is(type, "ecdsa") || !djson_text_is(scheme, "ecdsa-sha2-nistp256"))
            continue;
        if (!pem_point(public, k.point))
            return CRADLE_UP_FORMAT;
        if (!listed(only, k.id))
            continue;
        if (*n == cap)
            return CRADLE_UP_SPACE;
        keys[(*n)++] = k;
    }
    return CRADLE_UP_OK;
}

int role_read(struct djson role, const struct cradle_update_key *keys, uint8_t n, struct cradle_update_role *out)
{
    struct djson ids, threshold, none, one;
    uint64_t t;
    size_t at = 0;
    uint8_t id[32];
    *out = (struct cradle_update_role){ 0 };
    if (!djson_member(role, "keyids", &ids) || !djson_member(role, "threshold", &threshold) || !djson_uint(threshold, 255, &t) || t == 0)
        return CRADLE_UP_FORMAT;
    out->threshold = (uint8_t)t;
    while (djson_each(ids, &at, &none, &one)) {
        if (!djson_hex32(one, id))
            return CRADLE_UP_FORMAT;
        for (uint8_t i = 0; i < n; i++) {
            if (memcmp(keys[i].id, id, sizeof id) != 0)
                continue;
            if (out->n == CRADLE_UP_ROLE_KEYS)
                return CRADLE_UP_SPACE;
            out->keys[out->n++] = i;
        }
    }
    return CRADLE_UP_OK;
}
