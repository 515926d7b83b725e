/* core/update.c: taking update metadata over. See core/update.h; snapshot and timestamp: update_online.c. */
#include "core/update.h"

#include "base/name.h"
#include "core/line.h"
#include "core/update_priv.h"
#include "crypt/hash.h"
#include "store/registry.h"
#include "store/update.h"

/* -- versions --------------------------------------------------------------------------------------------------------------- */
/* Root follows root without a gap, because devices walk the chain; the others only never go back. */
static enum err version_judge(const struct msg_tuf_put *m, const struct tuf_row *newest, struct fault *f)
{
    bool root = span_eq_str(m->role, "root");
    if (m->version <= newest->version)
        return fault_set(f, CE_METADATA_OLD, "version %lld of '" SPAN_FMT "' does not follow version %lld, which is here", (long long)m->version,
                         SPAN_ARG(m->role), (long long)newest->version);
    if (root && m->version != newest->version + 1)
        return fault_set(f, CE_METADATA_OLD, "root version %lld must follow version %lld: send those between first", (long long)m->version,
                         (long long)newest->version);
    return CE_OK;
}

/* The front that verified the signatures must have done it by the metadata that is in force now. A root is held by its own number (version_judge). */
static enum err judge_check(struct batch *b, const struct msg_tuf_put *m, struct fault *f)
{
    const char *by = span_eq_str(m->role, "targets") ? "root" : "targets";
    struct tuf_row row;
    if (span_eq_str(m->role, "root"))
        return CE_OK;
    enum err e = store_tuf_newest(b->db, b->arena, span_str(by), &row, f);
    if (e || row.version == m->judged_by)
        return e;
    return fault_set(f, CE_BUSY, "%s version %lld came while this was judged by version %lld: send it again", by, (long long)row.version, (long long)m->judged_by);
}

static enum err put_check(struct batch *b, const struct msg_tuf_put *m, struct tuf_row *newest, struct fault *f)
{
    struct line line;
    enum err e = CE_OK;
    if (m->expires <= b->now_ms / 1000)
        return fault_set(f, CE_METADATA_EXPIRED, "the metadata of '" SPAN_FMT "' has expired", SPAN_ARG(m->role));
    if (!span_eq_str(m->role, "root") && !span_eq_str(m->role, "targets"))
        e = line_get(b, m->role, &line, f);
    if (e == CE_NOT_FOUND)
        return fault_set(f, CE_LINE_UNKNOWN, "there is no product line '" SPAN_FMT "'; add it first: cradle line add", SPAN_ARG(m->role));
    e = e ? e : store_tuf_newest(b->db, b->arena, m->role, newest, f);
    e = e ? e : judge_check(b, m, f);
    return e ? e : version_judge(m, newest, f);
}

/* -- releases ------------------------------------------------------------------------------------------------------------------ */
static enum err release_put(struct batch *b, struct span line, const struct msg_release_item *i, struct span by, struct fault *f)
{
    const struct release_row row = { .line = line, .name = i->name, .version = i->version, .path = i->path, .sha256 = i->sha256,
                                     .sbom_sha256 = i->sbom_sha256, .support_end = i->support_end, .counter = i->counter, .length = i->length,
                                     .security_only = i->security_only, .added_at = b->now_ms, .min_version = i->min_version,
                                     .handler = i->handler, .models = i->models, .hw_revs = i->hw_revs };
    enum err e = store_release_add(b->db, &row, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_RELEASE_ADDED, (struct span){ 0 }, 0);
    json_str(j, "line", line);
    json_str(j, "name", i->name);
    json_str(j, "version", i->version);
    json_str(j, "path", i->path);
    json_hex(j, "sha256", i->sha256);
    json_hex(j, "sbom_sha256", i->sbom_sha256);
    json_str(j, "support_end", i->support_end);
    json_int(j, "counter", i->counter);
    json_int(j, "length", i->length);
    json_bool(j, "security_only", i->security_only != 0);
    json_str(j, "min_version", i->min_version);
    json_str(j, "handler", i->handler);
    json_str(j, "models", i->models);
    json_str(j, "hw_revs", i->hw_revs);
    json_str(j, "by", by);
    event_end(b);
    return CE_OK;
}

static enum err release_drop(struct batch *b, const struct release_row *r, struct span by, struct fault *f)
{
    enum err e = store_release_withdraw(b->db, r->line, r->name, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_RELEASE_WITHDRAWN, (struct span){ 0 }, 0);
    json_str(j, "line", r->line);
    json_str(j, "name", r->name);
    json_str(j, "by", by);
    event_end(b);
    return CE_OK;
}

static const struct release_row *release_find(const struct release_row *rows, size_t n, struct span name)
{
    for (size_t i = 0; i < n; i++)
        if (span_eq(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static bool item_named(struct span items, struct span name)
{
    struct msg_release_item i;
    while (items.n && !msg_unpack(&msg_desc_release_item, &items, &i))
        if (span_eq(i.name, name))
            return true;
    return false;
}

/* A release keeps for ever what it was: neither its bytes nor its version change under its name, and it does not come back. */
static enum err release_same(const struct release_row *r, const struct msg_release_item *i, struct fault *f)
{
    if (span_eq(r->sha256, i->sha256) && span_eq(r->version, i->version) && r->counter == i->counter && !r->withdrawn)
        return CE_OK;
    return fault_set(f, CE_EXISTS, "release '" SPAN_FMT "' of line '" SPAN_FMT "' %s: give the new one another name", SPAN_ARG(r->name), SPAN_ARG(r->line),
                     r->withdrawn ? "was withdrawn" : "was another file before");
}

static enum err releases_follow(struct batch *b, const struct msg_tuf_put *m, struct span by, struct fault *f)
{
    struct release_row *rows;
    struct msg_release_item i;
    size_t n;
    enum err e = store_release_list(b->db, b->arena, m->role, (struct span){ 0 }, INT32_MAX, &rows, &n, f);
    for (struct span rest = m->releases; !e && rest.n;) {
        if (msg_unpack(&msg_desc_release_item, &rest, &i))
            return fault_set(f, CE_BAD_FRAME, "the list of releases is malformed");
        const struct release_row *r = release_find(rows, n, i.name);
        e = r ? release_same(r, &i, f) : release_put(b, m->role, &i, by, f);
    }
    for (size_t k = 0; !e && k < n; k++)
        if (!rows[k].withdrawn && !item_named(m->releases, rows[k].name))
            e = release_drop(b, &rows[k], by, f);
    return e;
}

/* -- the operation ---------------------------------------------------------------------------------------------------------------- */
static void accepted_event(struct batch *b, const struct msg_tuf_put *m, const struct tuf_row *row, struct span by)
{
    struct json_out *j = event_begin(b, EVENT_TUF_ACCEPTED, (struct span){ 0 }, 0);
    json_str(j, "role", m->role);
    json_int(j, "version", m->version);
    json_hex(j, "sha256", row->sha256);
    json_int(j, "length", row->length);
    json_time_ms(j, "expires_at", m->expires * 1000);
    json_str(j, "keyids", m->keyids);
    json_str(j, "by", by);
    event_end(b);
}

enum err update_op_tuf_put(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_tuf_put *m = msg;
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct tuf_row newest;
    uint8_t digest[SHA256_LEN];
    enum err e = put_check(b, m, &newest, f);
    sha256(m->envelope, digest);
    const struct tuf_row row = { m->role, m->version, m->envelope, span_of(digest, sizeof digest), (int64_t)m->envelope.n, m->expires, b->now_ms };
    e = e ? e : store_tuf_add(b->db, &row, f);
    e = e ? e : releases_follow(b, m, c->name, f);
    if (e)
        return e;
    accepted_event(b, m, &row, c->name);
    update_changed(b, m->role, m->envelope);
    struct json_out j = JSON_OUT(&body);
    json_obj(&j, NULL);
    json_str(&j, "role", m->role);
    json_int(&j, "version", m->version);
    json_hex(&j, "sha256", row.sha256);
    json_time_ms(&j, "expires_at", m->expires * 1000);
    json_obj_end(&j);
    out->http = 201;
    out->body_kind = BODY_JSON;
    out->body = arena_copy(b->arena, buf_span(&body));
    return CE_OK;
}

enum err update_op_meta_sync(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    (void)b;
    (void)c;
    (void)msg;
    (void)out;
    (void)f;
    return CE_OK;
}
