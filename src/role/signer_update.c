/* signer_update.c: the signer's online update roles: TUF snapshot and timestamp, and directives. It builds each document itself; what a
 * release is made of it cannot say, because only the keys of people sign that. See signer.h.
 */
#include "base/clock.h"
#include "base/file.h"
#include "crypt/hash.h"
#include "role/signer_impl.h"
#include "token/key_file.h"
#include "wire/directive.h"

#define SNAPSHOT_LONGEST_S (31 * 86400)
#define TIMESTAMP_LONGEST_S (7 * 86400)
#define DIRECTIVE_LONGEST_S (31 * 86400)

static const char *const names[SIGNER_UPDATE_ROLES] = { "tuf-snapshot", "tuf-timestamp", "directive" };

/* Signs payload with the role's key, verifies it with the public half, and appends the envelope. */
static enum err envelope_make(struct signer *s, enum signer_update_role role, const char *type, const struct buf *payload, struct buf *body, struct fault *f)
{
    struct signer_update_key *k = &s->update[role];
    struct arena arena = { 0 };
    struct dsse env = { .type = span_str(type), .payload = buf_span(payload) };
    enum err e = dsse_sign(&env, k->key, k->pub.id, &arena, f);
    if (!e && (e = dsse_verify(&env, 0, k->pub.spki)))
        fault_set(f, e, "the signature by keys/%s.key does not hold", names[role]);
    if (!e)
        dsse_encode(&env, body);
    arena_free(&arena);
    s->by = &k->meter;
    return e;
}

static enum err key_need(const struct signer *s, enum signer_update_role role, struct fault *f)
{
    if (s->update[role].elsewhere)
        return signer_no_key(f, names[role]);
    return s->update[role].key ? CE_OK : fault_set(f, CE_UNSUPPORTED, "this site has no key %s: it signs no updates", names[role]);
}

static enum err items_take(struct span in, struct tuf_meta *list, size_t max, size_t *n, struct fault *f)
{
    struct msg_meta_item item;
    for (*n = 0; in.n; (*n)++) {
        if (*n == max || msg_unpack(&msg_desc_meta_item, &in, &item) || item.version < 1 || item.length < 1 || item.sha256.n != SHA256_LEN)
            return fault_set(f, CE_BAD_FIELD, "an item of the metadata is malformed, or there are more than %zu", max);
        list[*n] = (struct tuf_meta){ item.name, item.version, item.length, item.sha256 };
    }
    return CE_OK;
}

SIGNER_ANSWER(sign_meta)
{
    const struct msg_sign_meta *m = &r->sign_meta;
    bool stamp = span_eq_str(m->role, "timestamp");
    enum signer_update_role role = stamp ? SIGNER_TIMESTAMP : SIGNER_SNAPSHOT;
    CLEANUP(buf_free) struct buf payload = BUF_INIT(DSSE_MAX);
    struct tuf_meta list[TUF_LINES + 1];
    struct tuf_head head = { m->version, m->expires };
    size_t n = 0;
    if (!stamp && !span_eq_str(m->role, "snapshot"))
        return fault_set(f, CE_BAD_FIELD, "the signer signs the roles snapshot and timestamp");
    enum err e = key_need(s, role, f);
    int64_t now_s = (s->cfg.wall_ms ? s->cfg.wall_ms(s->cfg.wall_ctx) : clock_now_ms()) / 1000;
    e = e ? e : signer_judge_dates(s, stamp ? "a timestamp" : "a snapshot", now_s, m->expires, stamp ? TIMESTAMP_LONGEST_S : SNAPSHOT_LONGEST_S, f);
    e = e ? e : items_take(m->items, list, stamp ? 1 : ARRAY_LEN(list), &n, f);
    if (!e && (m->version < 1 || m->version <= s->update[role].version)) /* one version, one content */
        e = fault_set(f, CE_BAD_FIELD, "version %lld of the role does not follow %lld", (long long)m->version, (long long)s->update[role].version);
    if (!e && stamp && n != 1)
        e = fault_set(f, CE_BAD_FIELD, "a timestamp names one snapshot");
    if (e)
        return e;
    const struct tuf_timestamp ts = { head, list[0] };
    const struct tuf_snapshot sn = { head, list, n };
    e = stamp ? tuf_timestamp_write(&ts, &payload) : tuf_snapshot_write(&sn, &payload);
    if (e)
        return fault_set(f, e, "the metadata cannot be written");
    e = envelope_make(s, role, DSSE_TYPE_TUF, &payload, body, f);
    if (!e)
        s->update[role].version = m->version;
    return e;
}

static enum err approvals_take(struct span in, struct directive *d, struct fault *f)
{
    struct msg_approval one;
    for (; in.n; d->n_approvals++) {
        if (d->n_approvals == DIRECTIVE_APPROVALS || msg_unpack(&msg_desc_approval, &in, &one))
            return fault_set(f, CE_BAD_FIELD, "an approval is malformed, or there are more than %d", DIRECTIVE_APPROVALS);
        d->approvals[d->n_approvals].by = one.by;
        d->approvals[d->n_approvals].at_s = one.at;
    }
    return CE_OK;
}

SIGNER_ANSWER(sign_directive)
{
    const struct msg_sign_directive *m = &r->sign_directive;
    CLEANUP(buf_free) struct buf payload = BUF_INIT(65536);
    struct directive d = { .action = (enum directive_action)m->action, .device = m->device, .line = m->line, .model = m->model, .hw_rev = m->hw_rev,
                           .spki = m->spki, .sequence = m->sequence, .issued_s = m->issued, .expires_s = m->expires, .release = m->release,
                           .path = m->path, .version = m->version, .sha256 = m->sha256, .sbom_sha256 = m->sbom_sha256, .length = m->length,
                           .counter_floor = m->counter_floor }, again;
    struct arena arena = { 0 };
    enum err e = key_need(s, SIGNER_DIRECTIVE, f);
    if (!e && (m->action < DIRECTIVE_NONE || m->action > DIRECTIVE_RESET))
        e = fault_set(f, CE_BAD_FIELD, "a directive's action is none, install or reset");
    e = e ? e : signer_judge_dates(s, "a directive", m->issued, m->expires, DIRECTIVE_LONGEST_S, f);
    e = e ? e : approvals_take(m->approvals, &d, f);
    if (!e && (e = directive_write(&d, &payload)))
        fault_set(f, e, "the directive cannot be written");
    e = e ? e : directive_read(buf_span(&payload), &arena, &again, f); /* what a device would refuse is not signed */
    arena_free(&arena);
    return e ? e : envelope_make(s, SIGNER_DIRECTIVE, DSSE_TYPE_DIRECTIVE, &payload, body, f);
}

/* -- keys ------------------------------------------------------------------------------------------------------------------------- */
static enum err key_open(struct signer *s, const char *dir, enum signer_update_role role, struct fault *f)
{
    struct signer_update_key *k = &s->update[role];
    CLEANUP(buf_free) struct buf id = BUF_INIT(64), sig = BUF_INIT(16384);
    enum err e = s->cfg.keys->open(s->cfg.keys->ctx, dir, names[role], &k->key, f);
    k->elsewhere = !e && !k->key;
    if (k->elsewhere)
        return CE_OK;
    e = e ? e : tuf_key_make(key_spki(k->key), &s->arena, &k->pub, f);
    e = e ? e : hex_decode(k->pub.id, &id);
    if (e)
        return e;
    memcpy(k->meter.kid, id.data, sizeof k->meter.kid);
    e = s->cfg.unrehearsed ? CE_OK : key_sign(k->key, SPAN_LIT("rehearsal"), &sig);
    return e ? fault_set(f, e, "the key %s does not sign", names[role]) : CE_OK;
}

enum err signer_update_open(struct signer *s, const char *dir, struct fault *f)
{
    char path[PATH_MAX_LEN];
    int there = 0;
    for (int i = 0; i < SIGNER_UPDATE_ROLES; i++) {
        path_join(path, "%s/keys/%s.key", dir, names[i]);
        there += file_exists(path) || key_is_in_token(dir, names[i]);
    }
    if (!there)
        return CE_OK;
    enum err e = CE_OK;
    for (int i = 0; !e && i < SIGNER_UPDATE_ROLES; i++)
        e = key_open(s, dir, (enum signer_update_role)i, f);
    return e;
}

void signer_update_close(struct signer *s)
{
    for (int i = 0; i < SIGNER_UPDATE_ROLES; i++)
        key_free(s->update[i].key);
}
