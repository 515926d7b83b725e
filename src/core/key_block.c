/* key_block.c: see key_block.h. Decide first, then write. */
#include "core/key_block.h"

#include "base/name.h"
#include "core/ca.h"
#include "core/registry.h"
#include "crypt/hash.h"
#include "crypt/key_gate.h"
#include "store/cert.h"
#include "store/idevid.h"
#include "store/key_block.h"

/* -- the judgement ---------------------------------------------------------------------------------------------------------------- */
enum err key_block_check_digest(struct batch *b, struct span sha, struct fault *f)
{
    struct key_block_row row;
    enum err e = store_key_block_get(b->db, b->arena, sha, &row, f);
    if (e == CE_NOT_FOUND)
        return CE_OK;
    return e ? e : fault_set(f, CE_KEY_BLOCKED, "the key is on this site's list of compromised keys; make a new one");
}

enum err key_block_check(struct batch *b, struct span spki, struct span sha, struct fault *f)
{
    uint8_t debian[KEY_DEBIAN_LEN];
    enum err e = key_block_check_digest(b, sha, f);
    return e || !key_debian_id(spki, debian) ? e : key_block_check_digest(b, span_of(debian, sizeof debian), f);
}

enum err key_of_ca_check(struct batch *b, struct span sha, struct fault *f)
{
    for (size_t i = 0; i < core_cas(b->core); i++) {
        const struct core_ca *ca = core_ca_at(b->core, i);
        if (span_eq(sha, span_of(ca->spki, SHA256_LEN)))
            return fault_set(f, CE_KEY_OF_OTHER, "the key in the CSR is that of CA " SPAN_FMT, SPAN_ARG(ca->name));
    }
    return CE_OK;
}

/* -- who uses one now ---------------------------------------------------------------------------------------------------------------- */
static void used_put(struct json_out *o, struct span id, const char *kind, struct span holder)
{
    json_obj(o, NULL);
    json_hex(o, "key", id);
    json_cstr(o, "kind", kind);
    json_str(o, "holder", holder);
    json_obj_end(o);
}

/* By the register of keys: whoever has a certificate with it that has not ended and is not revoked. Keys that are listed by their modulus are not found so. */
static enum err used_find(struct batch *b, struct span id, struct json_out *o, struct fault *f)
{
    struct key_row key;
    struct idevid_row idevid;
    struct cert_row *rows;
    size_t n = 0;
    if (id.n != SHA256_LEN)
        return CE_OK;
    enum err e = store_idevid_by_key(b->db, b->arena, id, &idevid, f);
    if (!e)
        used_put(o, id, "idevid", idevid.uid);
    if (e && e != CE_NOT_FOUND)
        return e;
    e = store_key_get(b->db, b->arena, id, &key, f);
    if (!e)
        e = store_cert_list(b->db, b->arena, key.holder_kind, key.holder, b->now_ms / 1000, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        if (span_eq(rows[i].spki, id) && rows[i].state.status != CERT_REVOKED) {
            used_put(o, id, key.holder_kind == CERT_HOLDER_DEVICE ? "device" : "operator", key.holder);
            break;
        }
    return e == CE_NOT_FOUND ? CE_OK : e;
}

/* -- changes -------------------------------------------------------------------------------------------------------------------------- */
static enum err block_check(const struct msg_key_block *m, size_t size, struct fault *f)
{
    if (size != SHA256_LEN && size != KEY_DEBIAN_LEN)
        return fault_set(f, CE_BAD_FIELD, "size is 32 (SHA-256 of a SubjectPublicKeyInfo) or 10 (openssl-blacklist)");
    if (!m->keys.n || m->keys.n % size)
        return fault_set(f, CE_BAD_FIELD, "keys are %zu bytes each, one after the other", size);
    if (m->file.n && m->file.n != SHA256_LEN)
        return fault_set(f, CE_BAD_FIELD, "file is the SHA-256 of a list");
    return name_check_text("note", m->note, TEXT_MAX, f);
}

enum err key_op_block(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_key_block *m = msg;
    size_t size = m->size ? (size_t)m->size : SHA256_LEN;
    int64_t count = 0, known = 0;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0), fresh = BUF_INIT(0);
    struct json_out o = JSON_OUT(&body);
    enum err e = block_check(m, size, f);
    json_obj(&o, NULL);
    json_arr(&o, "used");
    for (size_t at = 0; !e && at < m->keys.n; at += size) {
        struct key_block_row row;
        struct span id = span_of(m->keys.p + at, size);
        e = store_key_block_get(b->db, b->arena, id, &row, f);
        if (e == CE_NOT_FOUND) {
            row = (struct key_block_row){ .id = id, .file = m->file, .note = m->note, .by = c->name, .at = b->now_ms };
            e = store_key_block_put(b->db, &row, f);
            buf_put_span(&fresh, id);
            count++;
        } else
            known++;
        e = e ? e : used_find(b, id, &o, f);
    }
    if (e)
        return e;
    json_arr_end(&o);
    json_int(&o, "blocked", count);
    json_int(&o, "known", known);
    json_obj_end(&o);
    if (count) {
        struct json_out *j = event_begin(b, EVENT_KEYS_BLOCKED, (struct span){ 0 }, 0);
        json_int(j, "count", count);
        json_int(j, "size", (int64_t)size);
        json_base64(j, "keys", buf_span(&fresh));
        json_hex(j, "file", m->file);
        json_str(j, "note", m->note);
        json_str(j, "by", c->name);
        event_end(b);
    }
    reply_json(b, &body, out);
    return CE_OK;
}

enum err key_op_unblock(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_key_unblock *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct key_block_row row;
    enum err e = name_check_text("note", m->note, TEXT_MAX, f);
    e = e ? e : store_key_block_get(b->db, b->arena, m->key, &row, f);
    e = e ? e : store_key_block_drop(b->db, m->key, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_KEY_UNBLOCKED, (struct span){ 0 }, 0);
    json_hex(j, "key", m->key);
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    struct json_out o = JSON_OUT(&body);
    json_obj(&o, NULL);
    json_hex(&o, "key", m->key);
    json_obj_end(&o);
    reply_json(b, &body, out);
    return CE_OK;
}
