/* core/update_online.c: the online roles: a snapshot that names the newest targets and lines, and a timestamp that names it, each made anew
 * when something changed and when half of its life is over. One is in the making at a time. See core/update.h.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/rollout.h"
#include "core/update_priv.h"
#include "crypt/hash.h"
#include "store/update.h"

struct update {
    struct core *core;
    bool unable;           /* the signer has no keys for this: nothing is tried again until the next start */
    bool begun;            /* there is targets metadata to speak of */
    bool changed;          /* targets or a line changed: a snapshot is due */
    bool asked;            /* one is at the signer */
    bool stamp;            /* of it: a timestamp, not a snapshot */
    int64_t version, expires_s; /* of it */
    struct ca_signature signature;
    int64_t snapshot_due_ms, timestamp_due_ms; /* monotonic */
};

/* -- what changed ----------------------------------------------------------------------------------------------------------- */
static void changed_then(void *data, bool committed)
{
    struct update *u = data;
    u->begun |= committed;
    u->changed |= committed;
    core_wake(u->core);
}

void update_changed(struct batch *b, struct span role, struct span envelope)
{
    struct update *u = core_part(b->core, CORE_PART_UPDATE);
    const struct msg_push_meta m = { .role = role, .envelope = envelope };
    if (span_eq_str(role, "root") || span_eq_str(role, "targets"))
        batch_push_msg(b, -1, &msg_desc_push_meta, &m);
    rollout_changed(b, span_str(""));
    if (!span_eq_str(role, "root"))
        batch_then(b, changed_then, u);
}

static void meta_push(struct batch *b, int peer, const char *role)
{
    struct tuf_row row;
    struct fault f;
    if (store_tuf_newest(b->db, b->arena, span_str(role), &row, &f)) {
        log_warn(0, "the update metadata of %s could not be read: %s", role, f.text);
        return;
    }
    const struct msg_push_meta m = { .role = row.role, .envelope = row.envelope };
    if (row.version)
        batch_push_msg(b, peer, &msg_desc_push_meta, &m);
}

static void update_peer(struct batch *b, void *state, int peer)
{
    (void)state;
    meta_push(b, peer, "root");
    meta_push(b, peer, "targets");
}

/* -- the signer's answer ------------------------------------------------------------------------------------------------------- */
static void retry_later(struct update *u, int64_t mono_ms)
{
    u->asked = false;
    *(u->stamp ? &u->timestamp_due_ms : &u->snapshot_due_ms) = mono_ms + UPDATE_RETRY_MS;
}

static void ask_drop(void *data)
{
    struct update *u = data;
    retry_later(u, clock_mono_ms());
}

static void signed_event(struct batch *b, const struct tuf_row *row, const struct msg_signed *m)
{
    struct ca_signature s = ca_signature_of(m);
    struct json_out *j = event_begin(b, EVENT_TUF_SIGNED, (struct span){ 0 }, 0);
    json_str(j, "role", row->role);
    json_int(j, "version", row->version);
    json_hex(j, "sha256", row->sha256);
    json_int(j, "length", row->length);
    json_time_ms(j, "expires_at", row->expires_at * 1000);
    json_hex(j, "kid", span_of(s.kid, sizeof s.kid));
    ca_signature_put(j, &s);
    event_end(b);
}

static void signed_then(void *data, bool committed)
{
    struct update *u = data;
    u->asked = false;
    if (!committed) {
        ca_signature_unused(u->core, &u->signature, "not-stored");
        retry_later(u, clock_mono_ms());
    } else if (u->stamp) {
        u->timestamp_due_ms = clock_mono_ms() + UPDATE_TIMESTAMP_S * 500LL;
    } else {
        u->snapshot_due_ms = clock_mono_ms() + UPDATE_SNAPSHOT_S * 500LL;
        u->timestamp_due_ms = 0; /* it must name the new snapshot */
    }
    core_wake(u->core);
}

static enum err meta_signed(struct batch *b, void *data, const struct msg_signed *m)
{
    struct update *u = data;
    struct fault f = { 0 };
    uint8_t digest[SHA256_LEN];
    if (m->code) {
        u->unable = m->code == CE_UNSUPPORTED;
        log_warn(0, "the %s of the update metadata was not signed: " SPAN_FMT "%s", u->stamp ? "timestamp" : "snapshot", SPAN_ARG(m->text),
                 u->unable ? "" : "; asked again");
        retry_later(u, b->mono_ms);
        return CE_OK;
    }
    sha256(m->body, digest);
    u->signature = ca_signature_of(m);
    const struct tuf_row row = { span_str(u->stamp ? "timestamp" : "snapshot"), u->version, m->body, span_of(digest, sizeof digest), (int64_t)m->body.n,
                                 u->expires_s, b->now_ms };
    enum err e = store_tuf_add(b->db, &row, &f);
    if (e) {
        ca_signature_unused(u->core, &u->signature, "not-stored");
        log_warn(0, "the %s of the update metadata could not be stored: %s", u->stamp ? "timestamp" : "snapshot", f.text);
        retry_later(u, b->mono_ms);
        return e;
    }
    signed_event(b, &row, m);
    rollout_changed(b, span_str(""));
    batch_then(b, signed_then, u);
    return CE_OK;
}

/* -- asking -------------------------------------------------------------------------------------------------------------------------- */
static void item_put(struct buf *items, struct span name, const struct tuf_row *row)
{
    char file[64];
    snprintf(file, sizeof file, SPAN_FMT ".json", SPAN_ARG(name));
    const struct msg_meta_item i = { .name = span_str(file), .version = row->version, .length = row->length, .sha256 = row->sha256 };
    msg_pack(&msg_desc_meta_item, &i, items);
}

static bool is_online(struct span role) { return span_eq_str(role, "snapshot") || span_eq_str(role, "timestamp"); }

static enum err items_make(struct batch *b, bool stamp, struct buf *items, int64_t *version, struct fault *f)
{
    struct tuf_row *rows;
    size_t n;
    enum err e = store_tuf_list(b->db, b->arena, &rows, &n, f);
    *version = 1;
    for (size_t i = 0; !e && i < n; i++) {
        if (span_eq_str(rows[i].role, stamp ? "timestamp" : "snapshot"))
            *version = rows[i].version + 1;
        if (stamp ? span_eq_str(rows[i].role, "snapshot") : !is_online(rows[i].role) && !span_eq_str(rows[i].role, "root"))
            item_put(items, rows[i].role, &rows[i]);
    }
    return e;
}

static enum err update_work(struct batch *b, void *state, struct fault *f)
{
    struct update *u = state;
    CLEANUP(buf_free) struct buf items = BUF_INIT(65536);
    u->stamp = !u->changed && b->mono_ms < u->snapshot_due_ms;
    enum err e = batch_clock_check(b, f);
    e = e ? e : items_make(b, u->stamp, &items, &u->version, f);
    if (!e && buf_err(&items))
        e = fault_set(f, CE_TOO_LARGE, "too many lines for one snapshot");
    if (e) {
        log_warn(0, "the update metadata waits: %s", f->text);
        retry_later(u, b->mono_ms);
        return CE_OK;
    }
    u->expires_s = b->now_ms / 1000 + (u->stamp ? UPDATE_TIMESTAMP_S : UPDATE_SNAPSHOT_S);
    const struct msg_sign_meta m = { .role = span_str(u->stamp ? "timestamp" : "snapshot"), .version = u->version, .expires = u->expires_s,
                                     .items = arena_copy(b->arena, buf_span(&items)) };
    u->asked = true;
    u->changed &= u->stamp;
    batch_sign_msg(b, &msg_desc_sign_meta, &m, (struct sign_done){ .fn = meta_signed, .drop = ask_drop, .data = u });
    return CE_OK;
}

static bool update_tick(struct batch *b, void *state, int64_t *next_ms)
{
    struct update *u = state;
    *next_ms = b->mono_ms + 3600000;
    if (u->asked || u->unable || !u->begun)
        return false;
    int64_t due = u->changed ? 0 : u->snapshot_due_ms < u->timestamp_due_ms ? u->snapshot_due_ms : u->timestamp_due_ms;
    *next_ms = due > b->mono_ms ? due : b->mono_ms + UPDATE_RETRY_MS;
    return due <= b->mono_ms;
}

/* -- the part ------------------------------------------------------------------------------------------------------------------------ */
static int64_t due_of(const struct batch *b, const struct tuf_row *row, int64_t life_s)
{
    int64_t left_s = row->expires_at - b->now_ms / 1000 - life_s / 2;
    return b->mono_ms + (left_s > 0 ? left_s * 1000 : 0);
}

/* The rows say what is there, and whether a change before the end had not led to a snapshot yet. */
static enum err update_start(struct batch *b, void *state, struct fault *f)
{
    struct update *u = state;
    struct tuf_row *rows;
    size_t n;
    int64_t newest_at = 0, snapshot_at = -1, timestamp_at = -1;
    enum err e = store_tuf_list(b->db, b->arena, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        if (span_eq_str(rows[i].role, "snapshot"))
            snapshot_at = rows[i].added_at, u->snapshot_due_ms = due_of(b, &rows[i], UPDATE_SNAPSHOT_S);
        else if (span_eq_str(rows[i].role, "timestamp"))
            timestamp_at = rows[i].added_at, u->timestamp_due_ms = due_of(b, &rows[i], UPDATE_TIMESTAMP_S);
        else if (!span_eq_str(rows[i].role, "root"))
            newest_at = rows[i].added_at > newest_at ? rows[i].added_at : newest_at, u->begun = true;
    }
    u->changed = u->begun && snapshot_at <= newest_at;
    if (timestamp_at <= snapshot_at)
        u->timestamp_due_ms = 0;
    return e;
}

static void update_close(void *state) { free(state); }

static enum err update_open(struct core *core, void **state, struct fault *f)
{
    struct update *u = mem_calloc(1, sizeof *u);
    (void)f;
    u->core = core;
    *state = u;
    return CE_OK;
}

const struct core_part update_part = {
    .name = "update", .open = update_open, .close = update_close, .start = update_start, .tick = update_tick, .work = update_work, .peer = update_peer,
};
