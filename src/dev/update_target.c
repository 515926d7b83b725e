/* update_target.c: the other half of cradle/update.h: the directive, the target that it names, and the file. */
#include <string.h>

#include "update_impl.h"

static bool self_is(struct djson o, const char *name, const char *want)
{
    struct djson v;
    return djson_member(o, name, &v) ? djson_text_is(v, want) : want[0] == 0;
}

/* -- directive ------------------------------------------------------------------------------------------------------------------- */
static int install_read(struct djson o, struct cradle_update_target *t, uint32_t *floor)
{
    struct djson v;
    uint64_t n;
    if (!djson_member(o, "release", &v) || !djson_copy(v, t->release, sizeof t->release) || !djson_member(o, "path", &v) ||
        !djson_copy(v, t->path, sizeof t->path) || !djson_member(o, "version", &v) || !djson_copy(v, t->version, sizeof t->version) ||
        !djson_member(o, "sha256", &v) || !djson_hex32(v, t->sha256) || !djson_member(o, "sbom_sha256", &v) || !djson_hex32(v, t->sbom_sha256) ||
        !djson_member(o, "length", &v) || !djson_uint(v, INT64_MAX, &t->length) || !djson_member(o, "counter_floor", &v) ||
        !djson_uint(v, INT32_MAX, &n))
        return CRADLE_UP_FORMAT;
    *floor = (uint32_t)n;
    return CRADLE_UP_OK;
}

static int for_us(const struct cradle_update *u, struct djson o)
{
    struct djson v;
    uint8_t spki[32];
    if (!self_is(o, "device", u->self->uid) || !djson_member(o, "spki", &v) || !djson_hex32(v, spki) || memcmp(spki, u->self->spki_sha256, sizeof spki) != 0)
        return CRADLE_UP_DEVICE;
    if (!self_is(o, "line", u->self->line) || !self_is(o, "model", u->self->model) || !self_is(o, "hw_rev", u->self->hw_rev))
        return CRADLE_UP_MODEL;
    return CRADLE_UP_OK;
}

static int directive_step(struct cradle_update *u, struct djson o)
{
    struct djson v;
    struct cradle_update_target *t = &u->target;
    int64_t issued_s = 0, expires_s = 0;
    uint64_t spec = 0;
    uint32_t floor = 0;
    if (!self_is(o, "_type", "directive") || !djson_member(o, "spec", &v) || !djson_uint(v, 255, &spec) || spec != 1 || !djson_member(o, "sequence", &v) ||
        !djson_uint(v, INT64_MAX, &t->sequence) || !djson_member(o, "issued", &v) || !djson_time(v, &issued_s) || !djson_member(o, "expires", &v) ||
        !djson_time(v, &expires_s) || !djson_member(o, "action", &v))
        return CRADLE_UP_FORMAT;
    int err = for_us(u, o);
    if (err)
        return err;
    if (t->sequence < u->state.sequence)
        return CRADLE_UP_REPLAY;
    if (expires_s <= u->now_s || issued_s >= u->good_until_s) /* made when the metadata beside it had expired? Nobody moves this device's time so far */
        return CRADLE_UP_EXPIRED;
    t->action = djson_text_is(v, "install") ? CRADLE_UP_INSTALL : djson_text_is(v, "reset") ? CRADLE_UP_RESET : CRADLE_UP_NOTHING;
    if (t->action == CRADLE_UP_NOTHING && !djson_text_is(v, "none"))
        return CRADLE_UP_FORMAT;
    if (t->action == CRADLE_UP_INSTALL && (err = install_read(o, t, &floor)))
        return err;
    u->state.sequence = t->sequence;
    u->state.counter_floor = floor > u->state.counter_floor ? floor : u->state.counter_floor;
    u->state.time_s = issued_s > u->state.time_s ? issued_s : u->state.time_s;
    return CRADLE_UP_OK;
}

int cradle_update_directive(struct cradle_update *u, char *envelope, size_t n)
{
    struct envelope e;
    if (u->step != UP_STEP_DIRECTIVE)
        return update_stop(u, CRADLE_UP_ORDER);
    int err = envelope_open(envelope, n, ENVELOPE_DIRECTIVE, &e);
    err = err ? err : envelope_verify(&e, u->port, u->keys, &u->roles[ROLE_DIRECTIVE]);
    err = err ? err : directive_step(u, e.doc);
    u->step = u->target.action == CRADLE_UP_INSTALL ? UP_STEP_LINE : UP_STEP_DONE;
    return update_stop(u, err);
}

/* -- the line's metadata ------------------------------------------------------------------------------------------------------------ */
static bool list_has(struct djson list, const char *want, bool empty_is_all)
{
    struct djson none, one;
    size_t at = 0;
    bool any = false;
    while (djson_each(list, &at, &none, &one)) {
        if (djson_text_is(one, want))
            return true;
        any = true;
    }
    return empty_is_all && !any;
}

/* Do metadata and directive say the same of the file? */
static int agree(const struct cradle_update_target *t, struct djson target, struct djson custom)
{
    struct djson v, sha;
    uint8_t digest[32];
    uint64_t length;
    if (!djson_member(target, "length", &v) || !djson_uint(v, INT64_MAX, &length) || length != t->length || !djson_member(target, "hashes", &v) ||
        !djson_member(v, "sha256", &sha) || !djson_hex32(sha, digest) || memcmp(digest, t->sha256, sizeof digest) != 0)
        return CRADLE_UP_TARGET;
    if (!self_is(custom, "release", t->release) || !self_is(custom, "version", t->version) || !djson_member(custom, "sbom", &v) ||
        !djson_member(v, "sha256", &sha) || !djson_hex32(sha, digest) || memcmp(digest, t->sbom_sha256, sizeof digest) != 0)
        return CRADLE_UP_TARGET;
    return CRADLE_UP_OK;
}

static int fits(const struct cradle_update *u, struct djson custom)
{
    struct djson v;
    char lowest[CRADLE_UP_NAME];
    if (!djson_member(custom, "models", &v) || !list_has(v, u->self->model, false))
        return CRADLE_UP_MODEL;
    if (!djson_member(custom, "hw_revs", &v) || !list_has(v, u->self->hw_rev, true))
        return CRADLE_UP_MODEL;
    if (!djson_member(custom, "min_version", &v) || !djson_copy(v, lowest, sizeof lowest))
        return CRADLE_UP_FORMAT;
    return u->self->version[0] && cradle_version_cmp(u->self->version, lowest) < 0 ? CRADLE_UP_VERSION : CRADLE_UP_OK;
}

static int target_take(struct cradle_update *u, struct djson custom)
{
    struct djson v, one;
    struct cradle_update_target *t = &u->target;
    uint64_t n;
    if (!djson_member(custom, "counter", &v) || !djson_uint(v, INT32_MAX, &n) || !djson_member(custom, "handler", &one) ||
        !djson_copy(one, t->handler, sizeof t->handler))
        return CRADLE_UP_FORMAT;
    t->counter = (uint32_t)n;
    if (t->counter < u->state.counter_floor)
        return CRADLE_UP_COUNTER;
    t->has_inner = djson_member(custom, "inner_sha256", &v);
    if (t->has_inner && !djson_hex32(v, t->inner_sha256))
        return CRADLE_UP_FORMAT;
    if (!djson_member(custom, "blocks", &v))
        return CRADLE_UP_OK;
    if (!djson_member(v, "size", &one) || !djson_uint(one, INT32_MAX, &n) || !n || !djson_member(v, "sha256", &one) || !djson_hex32(one, t->blocks_sha256))
        return CRADLE_UP_FORMAT;
    t->block_size = (uint32_t)n;
    return CRADLE_UP_OK;
}

int cradle_update_line(struct cradle_update *u, char *envelope, size_t n)
{
    struct envelope e;
    struct djson targets, target, custom, cradle;
    if (u->step != UP_STEP_LINE)
        return update_stop(u, CRADLE_UP_ORDER);
    const struct update_rule rule = { "targets", &u->line, &u->line_meta, &u->state.line_version };
    int err = update_metadata(u, envelope, n, &rule, &e);
    if (!err && (!djson_member(e.doc, "targets", &targets) || !djson_member(targets, u->target.path, &target) ||
                 !djson_member(target, "custom", &custom) || !djson_member(custom, "cradle", &cradle)))
        err = CRADLE_UP_TARGET;
    size_t line_n = strlen(u->self->line);
    if (!err && (strncmp(u->target.path, u->self->line, line_n) != 0 || u->target.path[line_n] != '/'))
        err = CRADLE_UP_TARGET;
    err = err ? err : agree(&u->target, target, cradle);
    err = err ? err : fits(u, cradle);
    err = err ? err : target_take(u, cradle);
    u->step = UP_STEP_READY;
    return update_stop(u, err);
}

/* -- the file -------------------------------------------------------------------------------------------------------------------------- */
void cradle_update_again(struct cradle_update *u, const struct cradle_update_port *port, const struct cradle_update_target *target)
{
    memset(u, 0, sizeof *u);
    u->port = port;
    u->target = *target;
    u->step = UP_STEP_READY;
}

int cradle_update_file_begin(struct cradle_update *u)
{
    if (u->step != UP_STEP_READY && u->step != UP_STEP_FILE)
        return CRADLE_UP_ORDER;
    u->step = UP_STEP_FILE;
    u->got = 0;
    return u->port->sha256_begin(u->port->ctx) ? CRADLE_UP_CRYPTO : CRADLE_UP_OK;
}

int cradle_update_file_add(struct cradle_update *u, const void *data, size_t n)
{
    if (u->step != UP_STEP_FILE)
        return CRADLE_UP_ORDER;
    if (n > u->target.length - u->got)
        return CRADLE_UP_LENGTH; /* endless data ends here */
    u->got += n;
    return u->port->sha256_add(u->port->ctx, data, n) ? CRADLE_UP_CRYPTO : CRADLE_UP_OK;
}

int cradle_update_file_end(struct cradle_update *u)
{
    uint8_t digest[32];
    if (u->step != UP_STEP_FILE)
        return CRADLE_UP_ORDER;
    u->step = UP_STEP_READY;
    if (u->port->sha256_end(u->port->ctx, digest))
        return CRADLE_UP_CRYPTO;
    if (u->got != u->target.length)
        return CRADLE_UP_LENGTH;
    return memcmp(digest, u->target.sha256, sizeof digest) == 0 ? CRADLE_UP_OK : CRADLE_UP_DIGEST;
}

static int digest_is(const struct cradle_update_port *port, const void *data, size_t n, const uint8_t want[32])
{
    uint8_t digest[32];
    if (port->sha256_begin(port->ctx) || port->sha256_add(port->ctx, data, n) || port->sha256_end(port->ctx, digest))
        return CRADLE_UP_CRYPTO;
    return memcmp(digest, want, sizeof digest) == 0 ? CRADLE_UP_OK : CRADLE_UP_DIGEST;
}

static uint64_t blocks_of(const struct cradle_update_target *t) { return t->block_size ? (t->length + t->block_size - 1) / t->block_size : 0; }

int cradle_update_blocks(struct cradle_update *u, const uint8_t *list, size_t n)
{
    if (u->step != UP_STEP_READY)
        return CRADLE_UP_ORDER;
    if (n % 32 || n / 32 != blocks_of(&u->target))
        return CRADLE_UP_LENGTH;
    return digest_is(u->port, list, n, u->target.blocks_sha256);
}

int cradle_update_block(struct cradle_update *u, const uint8_t *list, uint32_t i, const void *data, size_t n)
{
    uint64_t count = blocks_of(&u->target), left = u->target.length - (uint64_t)i * u->target.block_size;
    if (u->step != UP_STEP_READY)
        return CRADLE_UP_ORDER;
    if (i >= count || n != (left < u->target.block_size ? left : u->target.block_size))
        return CRADLE_UP_LENGTH;
    return digest_is(u->port, data, n, list + (size_t)i * 32);
}

void cradle_update_confirm(struct cradle_update_state *state, const struct cradle_update_target *target)
{
    if (target->counter > state->counter_floor)
        state->counter_floor = target->counter;
}

/* -- words and versions ----------------------------------------------------------------------------------------------------------------- */
const char *cradle_update_reason(int err)
{
    static const struct { int err; const char *word; } words[] = {
        { CRADLE_UP_OK, "ok" },                 { CRADLE_UP_ORDER, "wrong-order" },      { CRADLE_UP_FORMAT, "bad-metadata" },
        { CRADLE_UP_SIGNATURES, "threshold" },  { CRADLE_UP_EXPIRED, "metadata-expired" }, { CRADLE_UP_ROLLBACK, "metadata-rollback" },
        { CRADLE_UP_MIX, "metadata-mix" },      { CRADLE_UP_DEVICE, "wrong-device" },    { CRADLE_UP_MODEL, "wrong-model" },
        { CRADLE_UP_REPLAY, "directive-replay" }, { CRADLE_UP_TARGET, "wrong-target" },  { CRADLE_UP_COUNTER, "counter-low" },
        { CRADLE_UP_VERSION, "version-too-old" }, { CRADLE_UP_LENGTH, "wrong-length" },  { CRADLE_UP_DIGEST, "wrong-digest" },
        { CRADLE_UP_CRYPTO, "crypto" },         { CRADLE_UP_SPACE, "too-many-keys" },
    };
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i].err == err)
            return words[i].word;
    return "unknown";
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static size_t part_len(const char **v)
{
    while (**v && !is_digit(**v) && !is_letter(**v))
        (*v)++;
    size_t n = 0;
    while (is_digit(**v) ? is_digit((*v)[n]) : is_letter((*v)[n]))
        n++;
    return n;
}

static int rank(const char *p, size_t n) { return !n ? 1 : is_digit(*p) ? 2 : 0; }

static int part_cmp(const char *a, size_t an, const char *b, size_t bn)
{
    bool number = is_digit(*a);
    while (number && an > 1 && *a == '0')
        a++, an--;
    while (number && bn > 1 && *b == '0')
        b++, bn--;
    if (number && an != bn)
        return an < bn ? -1 : 1;
    int d = memcmp(a, b, an < bn ? an : bn);
    return d ? d : an == bn ? 0 : an < bn ? -1 : 1;
}

int cradle_version_cmp(const char *a, const char *b)
{
    for (;;) {
        size_t an = part_len(&a), bn = part_len(&b);
        if (rank(a, an) != rank(b, bn))
            return rank(a, an) - rank(b, bn);
        if (!an)
            return 0;
        int d = part_cmp(a, an, b, bn);
        if (d)
            return d;
        a += an;
        b += bn;
    }
}
