/* fold.c: fold(events) = tables. Reads every event of a database in order, applies its payload, and nothing else, to empty tables in
 * memory, and compares: lines and their topics, backends, models, devices, their states and tags, certificates (by SHA-256), their states, keys, operators, CAs, update metadata, releases, orders to devices, what they run, enrollments that wait,
 * and rollouts, with the counts of both.
 * It is what restore stands on: a state that no event explains would be lost with the tables. Applying: fold_apply.c.
 */
#include "core/fold.h"

#include <inttypes.h>

#include "base/mem.h"
#include "crypt/hash.h"
#include "store/node.h"
#include "store/schema.h"
#include "wire/msg.h"

#define PAGE 1000

struct table {
    const char *name, *sql; /* rows in key order; the first two columns name the row in a message */
    int der_column;         /* compared by SHA-256 (the fold knows no more); -1: none */
};

/* last_seen, presence and what brokers count are observations, idem and report_seen memory of answers, intents, CMP transactions and CRL numbers work in progress: no state.
 * Of a secret, the bytes and the wrong tries are in no event. */
static const struct table tables[] = {
    { "ca", "SELECT name, kid, der, added_at FROM ca ORDER BY name", -1 },
    { "ca_state", "SELECT name, use, state, reenroll, changed_at FROM ca_state ORDER BY name", -1 },
    { "line_more", "SELECT line, approvals, enroll_approval, cmp_secret, grace_s, grace_any_key, service_until, ca, key_home FROM line_more ORDER BY line", -1 },
    { "line", "SELECT name, title, validity_s, clone_policy, suspended, added_at FROM line ORDER BY name", -1 },
    { "topics", "SELECT name, holder, may_write, may_read, repair FROM topics ORDER BY holder, name", -1 },
    { "model", "SELECT name, line, title, hw_rev, added_at FROM model ORDER BY name", -1 },
    { "device", "SELECT uid, serial, model, line, batch, country, created_at, created_by FROM device ORDER BY uid", -1 },
    { "device_state", "SELECT uid, state, rev, changed_at FROM device_state ORDER BY uid", -1 },
    { "device_tag", "SELECT uid, tag FROM device_tag ORDER BY uid, tag", -1 },
    { "operator", "SELECT name, role, lines, state, rev, added_at, changed_at FROM operator ORDER BY name", -1 },
    { "cert", "SELECT kid, serial, holder_kind, holder, profile, spki, not_before, not_after, issued_at, der FROM cert ORDER BY kid, serial", 9 },
    { "cert_state", "SELECT kid, serial, status, revoked_at, reason, shard, not_after, first_used_at FROM cert_state ORDER BY kid, serial", -1 },
    { "key", "SELECT spki, holder, holder_kind, added_at, revoked_at FROM key ORDER BY spki", -1 },
    { "tuf", "SELECT role, version, sha256, length, expires_at, added_at, envelope FROM tuf ORDER BY role, version", 6 },
    { "artifact", "SELECT sha256, name, length, encrypted, sha1, added_at, added_by FROM artifact ORDER BY sha256", -1 },
    { "release", "SELECT line, name, version, path, sha256, sbom_sha256, support_end, counter, length, security_only, withdrawn, added_at, min_version, "
                 "handler, models, hw_revs FROM release "
                 "ORDER BY line, name", -1 },
    { "device_order", "SELECT uid, sequence, action, rollout, wave, line, release, by_whom, state, reason, ordered_at, offered_at, changed_at, until_at, spki, "
                      "expires_at, envelope FROM device_order ORDER BY uid", 16 },
    { "device_version", "SELECT uid, line, release, version, counter_floor, before_release, confirmed_at, sequence FROM device_version ORDER BY uid", -1 },
    { "version_count", "SELECT line, release, version, n FROM version_count ORDER BY line, release, version", -1 },
    { "device_crypto", "SELECT uid, kid, serial, line, release, key_alg, sig_alg, not_after, month FROM device_crypto ORDER BY uid", -1 },
    { "crypto_count", "SELECT line, release, key_alg, sig_alg, month, n FROM crypto_count ORDER BY line, release, key_alg, sig_alg, month", -1 },
    { "rollout_pace", "SELECT rollout, scale_s, at_s, n FROM rollout_pace ORDER BY rollout, scale_s, at_s", -1 },
    { "rollout", "SELECT name, line, release, of_rollout, q_model, q_batch, q_country, q_version, q_tag, timeout_s, from_min, to_min, forced, max_active, note, state, "
                 "why, wave, rev, created_at, created_by, started_at, changed_at FROM rollout ORDER BY name", -1 },
    { "device_secret", "SELECT ref, uid, state, made_at, expires_at FROM device_secret ORDER BY ref", -1 },
    { "device_key_home", "SELECT uid, spki, home, proved, ek, vendor, at FROM device_key_home ORDER BY uid", -1 },
    { "device_ek", "SELECT uid, ek FROM device_ek ORDER BY uid", -1 },
    { "line_ek_ca", "SELECT line, sha256, spki, title, at FROM line_ek_ca ORDER BY line, sha256", -1 },
    { "enroll_request", "SELECT spki, uid, line, key_alg, proto, addr, asked_by, state, by_whom, note, asked_at, changed_at, until_at FROM enroll_request "
                        "ORDER BY spki", -1 },
    { "key_block", "SELECT id, file, note, by_whom, at FROM key_block ORDER BY id", -1 },
    { "line_anchor", "SELECT line, sha256, root, inters, rule, hw_type, model, title, added_at, added_by FROM line_anchor ORDER BY line, sha256", -1 },
    { "anchor_crl", "SELECT line, sha256, issuer, digest, number, this_update, next_update, entries, revoked, stale, added_at, added_by FROM anchor_crl ORDER BY line, sha256, issuer", -1 },
    { "device_idevid", "SELECT uid, spki, anchor, serial, name, at FROM device_idevid ORDER BY uid", -1 },
    /* progress is compared once the job has ended */
    { "mass_job", "SELECT id, state, to_state, reason, note, q_line, q_model, q_batch, q_country, q_state, q_tag, q_prefix, q_key_alg, enrolled_from, enrolled_to, "
                  "created_by, confirmed_by, why, created_at, confirmed_at, changed_at, CASE WHEN state = 'counting' THEN 0 ELSE matched END, "
                  "CASE WHEN state IN ('done', 'cancelled') THEN first_event ELSE '' END, CASE WHEN state IN ('done', 'cancelled') THEN done ELSE 0 END, "
                  "CASE WHEN state IN ('done', 'cancelled') THEN refused ELSE 0 END FROM mass_job ORDER BY id", -1 },
    /* what is left of a cancelled job is forgotten bit by bit */
    { "mass_device", "SELECT m.job, m.uid, m.is_open, m.reason, m.detail FROM mass_device m JOIN mass_job j ON j.id = m.job "
                     "WHERE m.is_open = 0 OR j.state <> 'cancelled' ORDER BY m.job, m.uid", -1 },
    { "rollout_approval", "SELECT rollout, by_whom, at FROM rollout_approval ORDER BY rollout, by_whom", -1 },
    { "rollout_wave", "SELECT rollout, tag, wave, percent, devices, success_percent, error_percent, soak_s, opened_at, filled_at, reached_at, excused FROM rollout_wave "
                      "ORDER BY rollout, wave", -1 },
    /* without what follows from tables and time */
    { "rollout_device", "SELECT rollout, uid, wave, state, sequence, since FROM rollout_device WHERE state NOT IN ('waiting', 'absent', 'current', 'cannot') "
                        "ORDER BY rollout, uid", -1 },
};

static enum err event_fold(struct db *to, const struct event_row *ev, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *payload = NULL;
    if (!ev->payload.n)
        return CE_OK; /* erased: nothing follows from it; the rows that it made must have been erased with it */
    enum err e = json_parse(ev->payload, &payload, f);
    if (e)
        return fault_set(f, CE_LOG_INCONSISTENT, "event %" PRId64 ":%" PRId64 " is not JSON", ev->slot, ev->nseq);
    e = fold_apply(to, ev, payload, f);
    if (e && !db_err_fatal(e)) {
        struct fault why = *f;
        return fault_set(f, CE_LOG_INCONSISTENT, "event %" PRId64 ":%" PRId64 " (" SPAN_FMT ") does not fit what came before: %.120s", ev->slot,
                         ev->nseq, SPAN_ARG(ev->kind), why.text);
    }
    return e;
}

/* One slot, a page at a time. */
static enum err slot_fold(struct db *from, struct db *to, int64_t slot, struct fault *f)
{
    int64_t at = 0;
    for (;;) {
        struct db_rows r;
        struct event_row ev;
        int64_t n = 0;
        enum err e = CE_OK;
        event_after(from, slot, at, PAGE, &r);
        while (!e && db_next(&r)) {
            event_read(&r, &ev);
            if (ev.nseq != at + 1)
                e = fault_set(f, CE_LOG_INCONSISTENT, "slot %" PRId64 ": after event %" PRId64 " comes %" PRId64 ": the stream has a hole", slot, at, ev.nseq);
            e = e ? e : event_fold(to, &ev, f);
            at = ev.nseq;
            n++;
        }
        enum err end = db_rows_end(&r, e ? NULL : f);
        e = e ? e : end;
        if (e || n < PAGE)
            return e;
    }
}

static enum err all_fold(struct db *from, struct db *to, struct fault *f)
{
    int64_t slots[64];
    size_t n = 0;
    struct db_rows r;
    db_rows(from, "SELECT slot FROM node ORDER BY slot", DB_NOARGS, &r);
    while (db_next(&r) && n < ARRAY_LEN(slots))
        slots[n++] = db_i64(&r, 0);
    enum err e = db_rows_end(&r, f);
    e = e ? e : db_begin(to, f);
    for (size_t i = 0; !e && i < n; i++)
        e = slot_fold(from, to, slots[i], f);
    return e ? e : db_commit(to, f);
}

static bool column_eq(const struct table *t, const struct db_rows *a, const struct db_rows *b, int col)
{
    uint8_t hash[SHA256_LEN];
    struct span x = db_span(a, col), y = db_span(b, col);
    if (col != t->der_column || !x.n)
        return span_eq(x, y);
    sha256(x, hash);
    return span_eq(span_of(hash, sizeof hash), y);
}

/* Keys are text or bytes: bytes are printed in hex. */
static void key_print(const struct db_rows *r, char *out, size_t cap)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    for (int col = 0; col < 2; col++) {
        struct span v = db_span(r, col);
        if (col)
            buf_put_u8(&b, ' ');
        if (span_is_utf8(v))
            buf_put_span(&b, v);
        else
            buf_put_hex(&b, v);
    }
    snprintf(out, cap, "%s", buf_cstr(&b));
}

static enum err table_compare(struct db *from, struct db *to, const struct table *t, struct fault *f)
{
    struct db_rows a, b;
    enum err e = CE_OK;
    char key[120];
    db_rows(from, t->sql, DB_NOARGS, &a);
    db_rows(to, t->sql, DB_NOARGS, &b);
    for (;;) {
        bool more = db_next(&a), folded = db_next(&b);
        if (more != folded) {
            key_print(more ? &a : &b, key, sizeof key);
            e = fault_set(f, CE_LOG_INCONSISTENT, "%s: row %s is only in the %s", t->name, key, more ? "table, no event explains it" : "events");
        }
        for (int col = 0; !e && more && col < db_columns(&a); col++)
            if (!column_eq(t, &a, &b, col)) {
                key_print(&a, key, sizeof key);
                e = fault_set(f, CE_LOG_INCONSISTENT, "%s: row %s differs in column %d (table '%.24s', events '%.24s')", t->name, key, col + 1,
                              span_is_utf8(db_span(&a, col)) ? (const char *)db_span(&a, col).p : "bytes",
                              span_is_utf8(db_span(&b, col)) ? (const char *)db_span(&b, col).p : "bytes");
            }
        if (e || !more)
            break;
    }
    struct fault late = { 0 };
    enum err ea = db_rows_end(&a, &late), eb = db_rows_end(&b, &late);
    if (!e && (ea || eb)) {
        *f = late;
        return ea ? ea : eb;
    }
    return e;
}

enum err core_fold_check(struct db *db, struct fault *f)
{
    CLEANUP(db_close_p) struct db *to = NULL;
    bool own = !db_in_tx(db); /* events and tables of one moment, also while a core writes */
    enum err e = own ? db_begin_read(db, f) : CE_OK;
    e = e ? e : db_open("", DB_MEMORY, &to, f);
    e = e ? e : schema_create(to, f);
    e = e ? e : all_fold(db, to, f);
    for (size_t i = 0; !e && i < ARRAY_LEN(tables); i++)
        e = table_compare(db, to, &tables[i], f);
    if (own)
        db_rollback(db);
    return e;
}
