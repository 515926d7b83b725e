/* update.c: the metadata half of cradle/update.h: root, timestamp, snapshot, targets, by the client workflow of TUF 5. */
#include "update_impl.h"

#include <string.h>

static const char *const role_names[] = { "root", "targets", "snapshot", "timestamp" };

void cradle_update_begin(struct cradle_update *u, const struct cradle_update_port *port, const struct cradle_update_self *self,
                         const struct cradle_update_state *state, int64_t now_s)
{
    memset(u, 0, sizeof *u);
    u->port = port;
    u->self = self;
    u->state = *state;
    u->clock_s = now_s;
    u->now_s = now_s > state->time_s ? now_s : state->time_s;
    u->good_until_s = INT64_MAX;
    u->step = UP_STEP_ROOT;
}

int update_stop(struct cradle_update *u, int err)
{
    if (err)
        u->step = UP_STEP_DEAD;
    return err;
}

/* _type, version and expiry of a metadata document. */
static int head_read(struct djson doc, const char *type, uint32_t *version, int64_t *expires_s)
{
    struct djson v;
    uint64_t n;
    if (!djson_member(doc, "_type", &v) || !djson_text_is(v, type) || !djson_member(doc, "version", &v) || !djson_uint(v, INT32_MAX, &n) || !n ||
        !djson_member(doc, "expires", &v) || !djson_time(v, expires_s))
        return CRADLE_UP_FORMAT;
    *version = (uint32_t)n;
    return CRADLE_UP_OK;
}

/* -- root ------------------------------------------------------------------------------------------------------------------------- */
static int root_roles(struct djson doc, struct cradle_update *u)
{
    struct djson roles, one;
    int err = keys_read(doc, NULL, u->keys, CRADLE_UP_KEYS, &u->n_keys);
    if (err)
        return err;
    if (!djson_member(doc, "roles", &roles))
        return CRADLE_UP_FORMAT;
    for (int i = 0; i < 4; i++) {
        if (!djson_member(roles, role_names[i], &one))
            return CRADLE_UP_FORMAT;
        if ((err = role_read(one, u->keys, u->n_keys, &u->roles[i])))
            return err;
    }
    memset(&u->roles[ROLE_DIRECTIVE], 0, sizeof u->roles[0]);
    return djson_member(doc, "x-cradle-directive", &one) ? role_read(one, u->keys, u->n_keys, &u->roles[ROLE_DIRECTIVE]) : CRADLE_UP_OK;
}

static bool role_has(const struct cradle_update *u, int role, const uint8_t id[32])
{
    for (unsigned i = 0; i < u->roles[role].n; i++)
        if (memcmp(u->keys[u->roles[role].keys[i]].id, id, 32) == 0)
            return true;
    return false;
}

/* Has the next root other keys for the role than the one at hand? */
static bool role_changes(const struct cradle_update *u, struct djson doc, int role)
{
    struct djson roles, one, ids, none, id;
    uint8_t raw[32];
    size_t at = 0;
    unsigned n = 0;
    if (!djson_member(doc, "roles", &roles) || !djson_member(roles, role_names[role], &one) || !djson_member(one, "keyids", &ids))
        return true;
    for (; djson_each(ids, &at, &none, &id); n++)
        if (!djson_hex32(id, raw) || !role_has(u, role, raw))
            return true;
    return n != u->roles[role].n;
}

/* Is a key of the root at hand no key of the next one's directives? */
static bool directive_key_leaves(const struct cradle_update *u, struct djson doc)
{
    struct djson one, ids, none, id;
    const struct cradle_update_role *r = &u->roles[ROLE_DIRECTIVE];
    uint8_t raw[32];
    for (unsigned i = 0; i < r->n; i++) {
        bool stays = false;
        size_t at = 0;
        if (!djson_member(doc, "x-cradle-directive", &one) || !djson_member(one, "keyids", &ids))
            return true;
        while (!stays && djson_each(ids, &at, &none, &id))
            stays = djson_hex32(id, raw) && memcmp(raw, u->keys[r->keys[i]].id, sizeof raw) == 0;
        if (!stays)
            return true;
    }
    return false;
}

/* What a stolen key ran ahead with counts no more (TUF 5.3.11). The counter floor and the versions of people's metadata stay. */
static void stolen_forget(struct cradle_update *u, bool metadata, bool directive)
{
    if (metadata)
        u->state.timestamp_version = u->state.snapshot_version = 0;
    if (!directive)
        return;
    u->state.sequence = 0;
    u->state.time_s = 0;
    u->now_s = u->clock_s;
}

/* TUF 5.3: the stored root is known by its digest; each next one must be signed by the old root's keys and by its own. The new keys replace
 * the old ones before they are known to be good: there is no room for both, and after a refusal nothing of u counts any more. */
static int root_step(struct cradle_update *u, const struct envelope *e)
{
    uint8_t digest[32];
    uint32_t version = 0;
    int64_t expires_s = 0;
    bool first = u->n_keys == 0, online_keys_change = false, directive_keys_change = false;
    int err = head_read(e->doc, "root", &version, &expires_s);
    err = err ? err : envelope_payload_sha256(e, u->port, digest);
    if (err)
        return err;
    if (first && (memcmp(digest, u->state.root_sha256, sizeof digest) != 0 || (u->state.root_version && version != u->state.root_version)))
        return CRADLE_UP_MIX;
    if (!first && version != u->state.root_version + 1)
        return CRADLE_UP_ROLLBACK;
    if (!first) {
        err = envelope_verify(e, u->port, u->keys, &u->roles[ROLE_ROOT]);
        online_keys_change = role_changes(u, e->doc, ROLE_TIMESTAMP) || role_changes(u, e->doc, ROLE_SNAPSHOT);
        directive_keys_change = directive_key_leaves(u, e->doc);
    }
    err = err ? err : root_roles(e->doc, u);
    err = err ? err : envelope_verify(e, u->port, u->keys, &u->roles[ROLE_ROOT]);
    if (err)
        return err;
    stolen_forget(u, online_keys_change, directive_keys_change);
    memcpy(u->state.root_sha256, digest, sizeof digest);
    u->state.root_version = version;
    u->root_expires_s = expires_s;
    return CRADLE_UP_OK;
}

int cradle_update_root(struct cradle_update *u, char *envelope, size_t n)
{
    struct envelope e;
    if (u->step != UP_STEP_ROOT)
        return update_stop(u, CRADLE_UP_ORDER);
    int err = envelope_open(envelope, n, ENVELOPE_TUF, &e);
    return update_stop(u, err ? err : root_step(u, &e));
}

/* -- timestamp, snapshot, targets ------------------------------------------------------------------------------------------------- */
static int meta_read(struct djson doc, const char *name, struct cradle_update_meta *out)
{
    struct djson meta, one, v;
    char want[CRADLE_UP_NAME + 8];
    uint64_t version;
    size_t name_n = strlen(name);
    if (name_n + sizeof ".json" > sizeof want || !djson_member(doc, "meta", &meta))
        return CRADLE_UP_FORMAT;
    memcpy(want, name, name_n);
    memcpy(want + name_n, ".json", sizeof ".json");
    *out = (struct cradle_update_meta){ 0 };
    if (!djson_member(meta, want, &one) || !djson_member(one, "version", &v) || !djson_uint(v, INT32_MAX, &version) || !version)
        return CRADLE_UP_MIX;
    out->version = (uint32_t)version;
    if (djson_member(one, "hashes", &v)) {
        struct djson sha;
        if (!djson_member(v, "sha256", &sha) || !djson_hex32(sha, out->sha256))
            return CRADLE_UP_FORMAT;
        out->has_sha256 = 1;
    }
    return CRADLE_UP_OK;
}

/* SHA-256 of the envelope as it came, before it is decoded. */
static int bytes_match(struct cradle_update *u, const char *envelope, size_t n, const struct cradle_update_meta *meta)
{
    uint8_t digest[32];
    if (!meta->has_sha256)
        return CRADLE_UP_OK;
    if (u->port->sha256_begin(u->port->ctx) || u->port->sha256_add(u->port->ctx, envelope, n) || u->port->sha256_end(u->port->ctx, digest))
        return CRADLE_UP_CRYPTO;
    return memcmp(digest, meta->sha256, sizeof digest) == 0 ? CRADLE_UP_OK : CRADLE_UP_MIX;
}

int update_metadata(struct cradle_update *u, char *envelope, size_t n, const struct update_rule *rule, struct envelope *e)
{
    uint32_t version = 0;
    int64_t expires_s = 0;
    int err = rule->named ? bytes_match(u, envelope, n, rule->named) : CRADLE_UP_OK;
    err = err ? err : envelope_open(envelope, n, ENVELOPE_TUF, e);
    err = err ? err : envelope_verify(e, u->port, u->keys, rule->role);
    err = err ? err : head_read(e->doc, rule->type, &version, &expires_s);
    if (err)
        return err;
    if (rule->named && version != rule->named->version)
        return CRADLE_UP_MIX;
    if (version < *rule->seen)
        return CRADLE_UP_ROLLBACK;
    if (expires_s <= u->now_s)
        return CRADLE_UP_EXPIRED;
    u->good_until_s = expires_s < u->good_until_s ? expires_s : u->good_until_s;
    *rule->seen = version;
    return CRADLE_UP_OK;
}

int cradle_update_timestamp(struct cradle_update *u, char *envelope, size_t n)
{
    struct envelope e;
    if (u->step != UP_STEP_ROOT || !u->n_keys)
        return update_stop(u, CRADLE_UP_ORDER);
    if (u->root_expires_s <= u->now_s)
        return update_stop(u, CRADLE_UP_EXPIRED);
    const struct update_rule rule = { "timestamp", &u->roles[ROLE_TIMESTAMP], NULL, &u->state.timestamp_version };
    int err = update_metadata(u, envelope, n, &rule, &e);
    err = err ? err : meta_read(e.doc, "snapshot", &u->snapshot);
    u->step = UP_STEP_SNAPSHOT;
    return update_stop(u, err);
}

int cradle_update_snapshot(struct cradle_update *u, char *envelope, size_t n)
{
    struct envelope e;
    if (u->step != UP_STEP_SNAPSHOT)
        return update_stop(u, CRADLE_UP_ORDER);
    const struct update_rule rule = { "snapshot", &u->roles[ROLE_SNAPSHOT], &u->snapshot, &u->state.snapshot_version };
    int err = update_metadata(u, envelope, n, &rule, &e);
    err = err ? err : meta_read(e.doc, "targets", &u->targets);
    err = err ? err : meta_read(e.doc, u->self->line, &u->line_meta);
    u->step = UP_STEP_TARGETS;
    return update_stop(u, err);
}

/* From here on only who signs directives counts of the root: their keys to the front, the others make room for the line's. */
static void directive_keys_first(struct cradle_update *u)
{
    struct cradle_update_role *r = &u->roles[ROLE_DIRECTIVE];
    for (uint8_t i = 0; i < r->n; i++) {
        struct cradle_update_key one = u->keys[i];
        uint8_t from = r->keys[i];
        u->keys[i] = u->keys[from];
        u->keys[from] = one;
        for (uint8_t k = 0; k < r->n; k++) /* all: a key may be listed twice */
            r->keys[k] = r->keys[k] == i ? from : r->keys[k] == from ? i : r->keys[k];
    }
    u->n_keys = r->n;
}

static int line_role_read(struct cradle_update *u, struct djson delegations, struct djson role)
{
    struct djson ids;
    struct cradle_update_key *room = u->keys + u->n_keys;
    uint8_t got = 0;
    int err = djson_member(role, "keyids", &ids) ? keys_read(delegations, &ids, room, (uint8_t)(CRADLE_UP_KEYS - u->n_keys), &got) : CRADLE_UP_FORMAT;
    err = err ? err : role_read(role, room, got, &u->line);
    for (unsigned i = 0; !err && i < u->line.n; i++)
        u->line.keys[i] = (uint8_t)(u->line.keys[i] + u->n_keys);
    u->n_keys = (uint8_t)(u->n_keys + got);
    return err;
}

static int delegation_find(struct cradle_update *u, struct djson doc)
{
    struct djson delegations, roles, none, one, v, paths, path;
    char want[CRADLE_UP_NAME + 8];
    size_t at = 0, first = 0, n = strlen(u->self->line);
    if (n + 5 > sizeof want || !djson_member(doc, "delegations", &delegations) || !djson_member(delegations, "roles", &roles))
        return CRADLE_UP_FORMAT;
    memcpy(want, u->self->line, n);
    memcpy(want + n, "/*/*", 5);
    directive_keys_first(u);
    while (djson_each(roles, &at, &none, &one)) {
        if (!djson_member(one, "name", &v) || !djson_text_is(v, u->self->line))
            continue;
        if (!djson_member(one, "paths", &paths) || !djson_each(paths, &first, &none, &path) || !djson_text_is(path, want))
            return CRADLE_UP_FORMAT;
        return line_role_read(u, delegations, one);
    }
    return CRADLE_UP_TARGET; /* nobody may sign for this line */
}

int cradle_update_targets(struct cradle_update *u, char *envelope, size_t n)
{
    struct envelope e;
    if (u->step != UP_STEP_TARGETS)
        return update_stop(u, CRADLE_UP_ORDER);
    const struct update_rule rule = { "targets", &u->roles[ROLE_TARGETS], &u->targets, &u->state.targets_version };
    int err = update_metadata(u, envelope, n, &rule, &e);
    err = err ? err : delegation_find(u, e.doc);
    u->step = UP_STEP_DIRECTIVE;
    return update_stop(u, err);
}

/* -- which file is next ------------------------------------------------------------------------------------------------------------- */
static size_t put(char *out, size_t at, size_t cap, const char *text, size_t n)
{
    if (n >= cap - at)
        n = cap - at - 1;
    memcpy(out + at, text, n);
    out[at + n] = 0;
    return at + n;
}

void cradle_update_next(const struct cradle_update *u, char name[CRADLE_UP_NAME + 24])
{
    const size_t cap = CRADLE_UP_NAME + 24;
    const char *role = u->step == UP_STEP_ROOT && u->n_keys ? "root" : u->step == UP_STEP_SNAPSHOT ? "snapshot" : u->step == UP_STEP_TARGETS ? "targets" :
                       u->step == UP_STEP_LINE ? u->self->line : NULL;
    uint32_t version = u->step == UP_STEP_ROOT ? u->state.root_version + 1 : u->step == UP_STEP_SNAPSHOT ? u->snapshot.version :
                       u->step == UP_STEP_TARGETS ? u->targets.version : u->line_meta.version;
    char digits[12];
    size_t at = sizeof digits;
    name[0] = 0;
    if (!role)
        return;
    digits[--at] = '.';
    do
        digits[--at] = (char)('0' + version % 10);
    while ((version /= 10) != 0);
    size_t n = put(name, 0, cap, digits + at, sizeof digits - at);
    n = put(name, n, cap, role, strlen(role));
    put(name, n, cap, ".json", 5);
}
