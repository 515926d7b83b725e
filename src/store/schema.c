/* schema.c: the tables as SQL text, and the migrations. See schema.h.
 *
 * Units: names ending in _at are ms since 1970; not_before, not_after, this_update, next_update, revoked_at are seconds (X.509).
 * Wide rows are written once (device, cert, ca, model); what changes lives in narrow tables beside them (device_state, cert_state).
 * db_ddl turns the two words that no dialect shares: BLOB (BYTEA on PostgreSQL) and CLUSTERED (rows kept in key order: WITHOUT
 * ROWID on SQLite, nothing on PostgreSQL).
 */
#include "store/schema.h"

#include <stdio.h>

#include "base/mem.h"

#define CLUSTERED " CLUSTERED"

/* What version 1 had, and still is as it was. What came later stands in an array of its own. */
static const char *const since_1[] = {
    /* -- the node and its stream ------------------------------------------------------------------------------------ */
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)" CLUSTERED,
    "CREATE TABLE node (slot BIGINT NOT NULL PRIMARY KEY, nseq BIGINT NOT NULL, epoch BIGINT NOT NULL, beat BIGINT NOT NULL, "
    "version TEXT NOT NULL, schema BIGINT NOT NULL)" CLUSTERED,
    /* payload: compact JSON, exactly as hashed; empty once erased. leaf hash entry = SHA-256(salt || payload), kept in leaf only when erased */
    "CREATE TABLE event (slot BIGINT NOT NULL, nseq BIGINT NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, device TEXT NOT NULL, "
    "rev BIGINT NOT NULL, salt BLOB NOT NULL, payload TEXT NOT NULL, leaf BLOB, PRIMARY KEY (slot, nseq))" CLUSTERED,
    "CREATE INDEX event_device ON event (device, slot, nseq) WHERE device <> ''",
    /* -- registry ------------------------------------------------------------------------------------------------------ */
    "CREATE TABLE ca (name TEXT NOT NULL PRIMARY KEY, kid BLOB NOT NULL, der BLOB NOT NULL, added_at BIGINT NOT NULL)" CLUSTERED,
    "CREATE TABLE line (name TEXT NOT NULL PRIMARY KEY, title TEXT NOT NULL, validity_s BIGINT NOT NULL, clone_policy TEXT NOT NULL, "
    "suspended BIGINT NOT NULL, added_at BIGINT NOT NULL)" CLUSTERED,
    "CREATE TABLE model (name TEXT NOT NULL PRIMARY KEY, line TEXT NOT NULL, title TEXT NOT NULL, hw_rev TEXT NOT NULL, "
    "added_at BIGINT NOT NULL)" CLUSTERED,
    "CREATE TABLE device (uid TEXT NOT NULL PRIMARY KEY, serial TEXT NOT NULL, model TEXT NOT NULL, line TEXT NOT NULL, "
    "batch TEXT NOT NULL, country TEXT NOT NULL, created_at BIGINT NOT NULL, created_by TEXT NOT NULL)" CLUSTERED,
    "CREATE INDEX device_line ON device (line, uid)",
    "CREATE INDEX device_model ON device (model, uid)",
    "CREATE INDEX device_batch ON device (batch, uid) WHERE batch <> ''",
    "CREATE INDEX device_serial ON device (serial, uid) WHERE serial <> ''",
    /* state: registered provisioned active quarantined suspended revoked decommissioned; rev goes up with every change of the device */
    "CREATE TABLE device_state (uid TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, rev BIGINT NOT NULL, changed_at BIGINT NOT NULL, "
    "last_seen BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX device_state_state ON device_state (state, uid)",
    /* role: admin operator station auditor edge backend; lines: comma-separated, empty for all; state: active removed */
    "CREATE TABLE operator (name TEXT NOT NULL PRIMARY KEY, role TEXT NOT NULL, lines TEXT NOT NULL, state TEXT NOT NULL, "
    "rev BIGINT NOT NULL, added_at BIGINT NOT NULL, changed_at BIGINT NOT NULL)" CLUSTERED,
    /* -- certificates --------------------------------------------------------------------------------------------------- */
    /* holder_kind: 1 operator (any infrastructure role), 2 device; spki: SHA-256 of the SubjectPublicKeyInfo */
    "CREATE TABLE cert (kid BLOB NOT NULL, serial BLOB NOT NULL, holder_kind BIGINT NOT NULL, holder TEXT NOT NULL, "
    "profile TEXT NOT NULL, spki BLOB NOT NULL, not_before BIGINT NOT NULL, not_after BIGINT NOT NULL, issued_at BIGINT NOT NULL, "
    "der BLOB NOT NULL, PRIMARY KEY (serial, kid))",
    "CREATE INDEX cert_holder ON cert (holder, holder_kind, issued_at)",
    /* status: 0 good (row exists for first_used_at only), 1 revoked, 2 held, 3 superseded; shard = CRL shard of the serial */
    "CREATE TABLE cert_state (kid BLOB NOT NULL, serial BLOB NOT NULL, status BIGINT NOT NULL, revoked_at BIGINT NOT NULL, "
    "reason BIGINT NOT NULL, shard BIGINT NOT NULL, not_after BIGINT NOT NULL, first_used_at BIGINT NOT NULL, PRIMARY KEY (kid, serial))" CLUSTERED,
    /* holds all that a CRL lists: shards are read from the index alone */
    "CREATE INDEX cert_state_shard ON cert_state (kid, shard, serial, status, revoked_at, reason, not_after) WHERE status > 0",
    "CREATE TABLE key (spki BLOB NOT NULL PRIMARY KEY, holder_kind BIGINT NOT NULL, holder TEXT NOT NULL, added_at BIGINT NOT NULL, "
    "revoked_at BIGINT NOT NULL)" CLUSTERED,
    /* an intent lives from its commit to its certificate; what is left at start is an orphan. key_der: SubjectPublicKeyInfo, to ask again */
    "CREATE TABLE intent (kid BLOB NOT NULL, serial BLOB NOT NULL, holder_kind BIGINT NOT NULL, holder TEXT NOT NULL, spki BLOB NOT NULL, "
    "key_der BLOB NOT NULL, profile TEXT NOT NULL, not_before BIGINT NOT NULL, not_after BIGINT NOT NULL, at BIGINT NOT NULL, "
    "PRIMARY KEY (kid, serial))" CLUSTERED,
    "CREATE TABLE crl_shard (kid BLOB NOT NULL, shard BIGINT NOT NULL, number BIGINT NOT NULL, this_update BIGINT NOT NULL, "
    "next_update BIGINT NOT NULL, dirty BIGINT NOT NULL, PRIMARY KEY (kid, shard))" CLUSTERED,
    /* -- answers once given, what edges report ---------------------------------------------------------------------------- */
    "CREATE TABLE idem (caller TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, code BIGINT NOT NULL, http BIGINT NOT NULL, "
    "rev BIGINT NOT NULL, text TEXT NOT NULL, body_kind BIGINT NOT NULL, body BLOB NOT NULL, at BIGINT NOT NULL, "
    "PRIMARY KEY (caller, key))" CLUSTERED,
    "CREATE INDEX idem_at ON idem (at)",
    "CREATE TABLE report_seen (edge TEXT NOT NULL, id TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (edge, id))" CLUSTERED,
    "CREATE INDEX report_seen_at ON report_seen (at)",
    "CREATE TABLE edge (name TEXT NOT NULL PRIMARY KEY, vector TEXT NOT NULL, acked_at BIGINT NOT NULL, stale BIGINT NOT NULL, "
    "seen_at BIGINT NOT NULL)" CLUSTERED,
    /* -- evidence log: one row of state (id 1), and which events stand at which leaf indexes -------------------------------- */
    "CREATE TABLE tree (id BIGINT NOT NULL PRIMARY KEY, size BIGINT NOT NULL, root BLOB NOT NULL, epoch BIGINT NOT NULL, "
    "signed_size BIGINT NOT NULL, signed_root BLOB NOT NULL, signed_at BIGINT NOT NULL)" CLUSTERED,
    "CREATE TABLE run (idx BIGINT NOT NULL PRIMARY KEY, slot BIGINT NOT NULL, nseq BIGINT NOT NULL, n BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX run_slot ON run (slot, nseq)",
};

static const char *const since_2[] = {
    /* store/crl_block.h: what CRLs list, packed; filled when core starts. An index of as much was read ten times slower */
    "DROP INDEX cert_state_shard",
    "CREATE TABLE crl_block (kid BLOB NOT NULL, shard BIGINT NOT NULL, first BLOB NOT NULL, entries BLOB NOT NULL, PRIMARY KEY (kid, shard, first))" CLUSTERED,
    /* what reports of incidents read by time */
    "CREATE INDEX event_cut ON event (at, slot, nseq) WHERE kind = 'cut'",
    "CREATE INDEX event_drill ON event (at, slot, nseq) WHERE kind = 'drill'",
    "CREATE INDEX event_line_state ON event (at, slot, nseq) WHERE kind = 'line-state'",
    /* holder: 1 line, 2 backend; lists of topics, each ended by a line break; empty: the default, a line break alone: none */
    "CREATE TABLE topics (holder BIGINT NOT NULL, name TEXT NOT NULL, may_write TEXT NOT NULL, may_read TEXT NOT NULL, "
    "repair TEXT NOT NULL, PRIMARY KEY (holder, name))" CLUSTERED,
    /* store/presence.h */
    "CREATE TABLE presence (uid TEXT NOT NULL PRIMARY KEY, host TEXT NOT NULL, run TEXT NOT NULL, session BIGINT NOT NULL, sync BIGINT NOT NULL, "
    "addr TEXT NOT NULL, tls TEXT NOT NULL, resumed BIGINT NOT NULL, online BIGINT NOT NULL, since BIGINT NOT NULL, at BIGINT NOT NULL, "
    "keepalive_s BIGINT NOT NULL, serial BLOB NOT NULL)" CLUSTERED,
    "CREATE INDEX presence_open ON presence (host, run, sync) WHERE online = 1",
    /* store/beside.h */
    "CREATE TABLE presence_beside (uid TEXT NOT NULL, host TEXT NOT NULL, run TEXT NOT NULL, session BIGINT NOT NULL, sync BIGINT NOT NULL, "
    "addr TEXT NOT NULL, since BIGINT NOT NULL, keepalive_s BIGINT NOT NULL, serial BLOB NOT NULL, PRIMARY KEY (uid, host, run))" CLUSTERED,
    "CREATE INDEX presence_beside_run ON presence_beside (host, run, sync)",
    "CREATE TABLE broker_run (edge TEXT NOT NULL, run TEXT NOT NULL, counts TEXT NOT NULL, at BIGINT NOT NULL, ended BIGINT NOT NULL, "
    "end_below BIGINT NOT NULL, end_at BIGINT NOT NULL, PRIMARY KEY (edge, run))" CLUSTERED,
    "CREATE TABLE broker_total (edge TEXT NOT NULL, name TEXT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (edge, name))" CLUSTERED,
    /* every accepted file of the update metadata, as signed; role: root, targets, snapshot, timestamp or a product line */
    "CREATE TABLE tuf (role TEXT NOT NULL, version BIGINT NOT NULL, envelope BLOB NOT NULL, sha256 BLOB NOT NULL, length BIGINT NOT NULL, "
    "expires_at BIGINT NOT NULL, added_at BIGINT NOT NULL, PRIMARY KEY (role, version))" CLUSTERED,
    "CREATE TABLE release (line TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, path TEXT NOT NULL, sha256 BLOB NOT NULL, "
    "sbom_sha256 BLOB NOT NULL, support_end TEXT NOT NULL, counter BIGINT NOT NULL, length BIGINT NOT NULL, security_only BIGINT NOT NULL, "
    "withdrawn BIGINT NOT NULL, added_at BIGINT NOT NULL, min_version TEXT NOT NULL, handler TEXT NOT NULL, models TEXT NOT NULL, hw_revs TEXT NOT NULL, "
    "PRIMARY KEY (line, name))" CLUSTERED,
    /* -- updates of devices: store/order.h, store/rollout.h -------------------------------------------------------------------- */
    /* the newest order of a device; action: install reset; rollout empty: ordered by somebody for this device alone */
    "CREATE TABLE device_order (uid TEXT NOT NULL PRIMARY KEY, sequence BIGINT NOT NULL, action TEXT NOT NULL, rollout TEXT NOT NULL, wave BIGINT NOT NULL, "
    "line TEXT NOT NULL, release TEXT NOT NULL, by_whom TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, phase TEXT NOT NULL, "
    "percent BIGINT NOT NULL, ordered_at BIGINT NOT NULL, offered_at BIGINT NOT NULL, changed_at BIGINT NOT NULL, until_at BIGINT NOT NULL, "
    "spki BLOB NOT NULL, expires_at BIGINT NOT NULL, envelope BLOB NOT NULL)" CLUSTERED,
    /* what a device runs; release empty: none that this site knows; before_release: what it had confirmed before */
    "CREATE TABLE device_version (uid TEXT NOT NULL PRIMARY KEY, line TEXT NOT NULL, release TEXT NOT NULL, version TEXT NOT NULL, "
    "counter_floor BIGINT NOT NULL, before_release TEXT NOT NULL, confirmed_at BIGINT NOT NULL, sequence BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX device_version_release ON device_version (line, release, uid)",
    /* state: draft approved running paused done cancelled; wave: the newest that is open, 0: none; of_rollout: what it takes back */
    "CREATE TABLE rollout (name TEXT NOT NULL PRIMARY KEY, line TEXT NOT NULL, release TEXT NOT NULL, of_rollout TEXT NOT NULL, q_model TEXT NOT NULL, "
    "q_batch TEXT NOT NULL, q_country TEXT NOT NULL, q_version TEXT NOT NULL, q_tag TEXT NOT NULL, timeout_s BIGINT NOT NULL, from_min BIGINT NOT NULL, "
    "to_min BIGINT NOT NULL, forced BIGINT NOT NULL, max_active BIGINT NOT NULL, note TEXT NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL, "
    "wave BIGINT NOT NULL, rev BIGINT NOT NULL, created_at BIGINT NOT NULL, created_by TEXT NOT NULL, started_at BIGINT NOT NULL, "
    "changed_at BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX rollout_line ON rollout (line, name)",
    "CREATE TABLE rollout_approval (rollout TEXT NOT NULL, by_whom TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (rollout, by_whom))" CLUSTERED,
    /* waves from 1; percent: up to this share of the group, or devices: so many, or tag: those who have it */
    "CREATE TABLE rollout_wave (rollout TEXT NOT NULL, wave BIGINT NOT NULL, percent BIGINT NOT NULL, devices BIGINT NOT NULL, tag TEXT NOT NULL, "
    "success_percent BIGINT NOT NULL, error_percent BIGINT NOT NULL, soak_s BIGINT NOT NULL, opened_at BIGINT NOT NULL, filled_at BIGINT NOT NULL, "
    "reached_at BIGINT NOT NULL, excused BIGINT NOT NULL, PRIMARY KEY (rollout, wave))" CLUSTERED,
    /* members; states as of device_order, and before an order: waiting absent current cannot; since: of the state, or offered */
    "CREATE TABLE rollout_device (rollout TEXT NOT NULL, uid TEXT NOT NULL, wave BIGINT NOT NULL, state TEXT NOT NULL, sequence BIGINT NOT NULL, "
    "since BIGINT NOT NULL, PRIMARY KEY (rollout, uid))" CLUSTERED,
    "CREATE INDEX rollout_device_state ON rollout_device (rollout, state, since, uid)",
    /* how many members are in each state: kept with rollout_device in one transaction */
    "CREATE TABLE rollout_count (rollout TEXT NOT NULL, wave BIGINT NOT NULL, state TEXT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (rollout, wave, state))" CLUSTERED,
    /* when they confirmed: how many in each hour (scale_s 3600) and each second (1) that begins at at_s; kept in the same transaction too */
    "CREATE TABLE rollout_pace (rollout TEXT NOT NULL, scale_s BIGINT NOT NULL, at_s BIGINT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (rollout, scale_s, at_s))" CLUSTERED,
    /* how many devices run what: kept with device_version in one transaction */
    "CREATE TABLE version_count (line TEXT NOT NULL, release TEXT NOT NULL, version TEXT NOT NULL, n BIGINT NOT NULL, PRIMARY KEY (line, release, version))" CLUSTERED,
    "CREATE INDEX release_sha256 ON release (sha256)",
    /* files for devices that lie in DIR/artifact */
    "CREATE TABLE artifact (sha256 BLOB NOT NULL PRIMARY KEY, length BIGINT NOT NULL, name TEXT NOT NULL, encrypted BIGINT NOT NULL, sha1 BLOB NOT NULL, "
    "added_at BIGINT NOT NULL, added_by TEXT NOT NULL)" CLUSTERED,
    "CREATE TABLE device_tag (uid TEXT NOT NULL, tag TEXT NOT NULL, PRIMARY KEY (uid, tag))" CLUSTERED,
    "CREATE INDEX device_tag_tag ON device_tag (tag, uid)",
    /* store/key_block.h */
    "CREATE TABLE key_block (id BLOB NOT NULL PRIMARY KEY, file BLOB NOT NULL, note TEXT NOT NULL, by_whom TEXT NOT NULL, at BIGINT NOT NULL)" CLUSTERED,
    /* store/crypto.h; month: yyyymm of the certificate's end */
    "CREATE TABLE device_crypto (uid TEXT NOT NULL PRIMARY KEY, kid BLOB NOT NULL, serial BLOB NOT NULL, line TEXT NOT NULL, release TEXT NOT NULL, "
    "key_alg TEXT NOT NULL, sig_alg TEXT NOT NULL, not_after BIGINT NOT NULL, month BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX device_crypto_key ON device_crypto (key_alg, line, release, uid)",
    "CREATE TABLE crypto_count (line TEXT NOT NULL, release TEXT NOT NULL, key_alg TEXT NOT NULL, sig_alg TEXT NOT NULL, month BIGINT NOT NULL, "
    "n BIGINT NOT NULL, PRIMARY KEY (line, release, key_alg, sig_alg, month))" CLUSTERED,
    /* store/cmp.h: open CMP transactions; one-time secrets of devices, empty once wiped */
    "CREATE TABLE cmp_tx (tx BLOB NOT NULL PRIMARY KEY, kind BIGINT NOT NULL, who TEXT NOT NULL, ref TEXT NOT NULL, uid TEXT NOT NULL, "
    "answer BIGINT NOT NULL, state TEXT NOT NULL, nonce BLOB NOT NULL, kid BLOB NOT NULL, serial BLOB NOT NULL, fresh BIGINT NOT NULL, enroll BLOB NOT NULL, "
    "began_at BIGINT NOT NULL, until_at BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX cmp_tx_until ON cmp_tx (until_at)",
    "CREATE INDEX cmp_tx_who ON cmp_tx (who)",
    "CREATE INDEX cmp_tx_serial ON cmp_tx (serial)",
    "CREATE TABLE device_secret (ref TEXT NOT NULL PRIMARY KEY, uid TEXT NOT NULL, secret BLOB NOT NULL, state TEXT NOT NULL, tries BIGINT NOT NULL, "
    "made_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, wipe_at BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX device_secret_uid ON device_secret (uid, ref) WHERE state = 'open'",
    "CREATE INDEX device_secret_wipe ON device_secret (wipe_at) WHERE wipe_at > 0",
    /* store/line_more.h */
    "CREATE TABLE line_more (line TEXT NOT NULL PRIMARY KEY, approvals BIGINT NOT NULL, enroll_approval BIGINT NOT NULL, cmp_secret BIGINT NOT NULL, "
    "grace_s BIGINT NOT NULL, grace_any_key BIGINT NOT NULL, service_until TEXT NOT NULL, ca TEXT NOT NULL, key_home TEXT NOT NULL)" CLUSTERED,
    /* store/ca.h. Every CA of an older database is named after its use */
    "CREATE TABLE ca_state (name TEXT NOT NULL PRIMARY KEY, use TEXT NOT NULL, state TEXT NOT NULL, reenroll BIGINT NOT NULL, "
    "changed_at BIGINT NOT NULL)" CLUSTERED,
    "INSERT INTO ca_state (name, use, state, reenroll, changed_at) SELECT name, name, 'active', 0, added_at FROM ca",
    /* store/enroll.h: first enrollments that wait for an approval, one row a key */
    "CREATE TABLE enroll_request (spki BLOB NOT NULL PRIMARY KEY, uid TEXT NOT NULL, line TEXT NOT NULL, key_alg TEXT NOT NULL, proto TEXT NOT NULL, "
    "addr TEXT NOT NULL, asked_by TEXT NOT NULL, state TEXT NOT NULL, by_whom TEXT NOT NULL, note TEXT NOT NULL, asked_at BIGINT NOT NULL, "
    "changed_at BIGINT NOT NULL, until_at BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX enroll_request_state ON enroll_request (state, spki)",
    "CREATE INDEX enroll_request_uid ON enroll_request (uid, spki)",
    "CREATE INDEX enroll_request_waiting ON enroll_request (line) WHERE state = 'waiting'",
    "CREATE INDEX enroll_request_until ON enroll_request (until_at) WHERE until_at > 0",
    /* store/attest.h */
    "CREATE TABLE device_key_home (uid TEXT NOT NULL PRIMARY KEY, spki BLOB NOT NULL, home TEXT NOT NULL, proved BIGINT NOT NULL, ek BLOB NOT NULL, "
    "vendor TEXT NOT NULL, at BIGINT NOT NULL)" CLUSTERED,
    "CREATE TABLE device_ek (uid TEXT NOT NULL PRIMARY KEY, ek BLOB NOT NULL)" CLUSTERED,
    "CREATE UNIQUE INDEX device_ek_ek ON device_ek (ek)",
    "CREATE TABLE line_ek_ca (line TEXT NOT NULL, sha256 BLOB NOT NULL, spki BLOB NOT NULL, title TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (line, sha256))" CLUSTERED,
    /* store/idevid.h */
    "CREATE TABLE line_anchor (line TEXT NOT NULL, sha256 BLOB NOT NULL, root BLOB NOT NULL, inters BLOB NOT NULL, rule TEXT NOT NULL, hw_type TEXT NOT NULL, "
    "model TEXT NOT NULL, title TEXT NOT NULL, added_at BIGINT NOT NULL, added_by TEXT NOT NULL, PRIMARY KEY (line, sha256))" CLUSTERED,
    "CREATE TABLE device_idevid (uid TEXT NOT NULL PRIMARY KEY, spki BLOB NOT NULL, anchor BLOB NOT NULL, serial BLOB NOT NULL, name TEXT NOT NULL, "
    "at BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX device_idevid_spki ON device_idevid (spki)",
    "CREATE TABLE anchor_crl (line TEXT NOT NULL, sha256 BLOB NOT NULL, issuer BLOB NOT NULL, digest BLOB NOT NULL, number BIGINT NOT NULL, this_update BIGINT NOT NULL, "
    "next_update BIGINT NOT NULL, entries BIGINT NOT NULL, revoked TEXT NOT NULL, stale TEXT NOT NULL, added_at BIGINT NOT NULL, added_by TEXT NOT NULL, "
    "PRIMARY KEY (line, sha256, issuer))" CLUSTERED,
    /* store/mass.h: changes of state of all devices that a query matches; is_open: still to be changed, else refused for that reason */
    "CREATE TABLE mass_job (id BIGINT NOT NULL PRIMARY KEY, state TEXT NOT NULL, to_state TEXT NOT NULL, reason TEXT NOT NULL, note TEXT NOT NULL, "
    "q_line TEXT NOT NULL, q_model TEXT NOT NULL, q_batch TEXT NOT NULL, q_country TEXT NOT NULL, q_state TEXT NOT NULL, q_tag TEXT NOT NULL, "
    "q_prefix TEXT NOT NULL, q_key_alg TEXT NOT NULL, enrolled_from BIGINT NOT NULL, enrolled_to BIGINT NOT NULL, created_by TEXT NOT NULL, "
    "confirmed_by TEXT NOT NULL, why TEXT NOT NULL, created_at BIGINT NOT NULL, confirmed_at BIGINT NOT NULL, changed_at BIGINT NOT NULL, "
    "matched BIGINT NOT NULL, after_uid TEXT NOT NULL, looked BIGINT NOT NULL, done BIGINT NOT NULL, already BIGINT NOT NULL, refused BIGINT NOT NULL, "
    "first_event TEXT NOT NULL, last_event TEXT NOT NULL, last_at BIGINT NOT NULL)" CLUSTERED,
    "CREATE INDEX mass_job_state ON mass_job (state, id)",
    "CREATE TABLE mass_device (job BIGINT NOT NULL, is_open BIGINT NOT NULL, uid TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, "
    "PRIMARY KEY (job, is_open, uid))" CLUSTERED,
    "CREATE INDEX cert_end ON cert (kid, not_after)",
    /* store/crypto.h: devices of before device_crypto; how far the walk over them is, until it is done */
    "INSERT INTO meta (name, value) VALUES ('crypto_after', '')",
};

/* One row a version: how the database gets there from the version before: first expand, then what is new in it. expand and contract may be
 * NULL. Version 1 is the first. */
struct migration {
    int64_t version;
    const char *expand, *contract;
    const char *const *added;
    size_t n_added;
};
static const struct migration migrations[] = {
    { 1, NULL, NULL, since_1, ARRAY_LEN(since_1) },
    /* who was connected where are observations: the brokers tell them again */
    { 2, "DROP TABLE presence", NULL, since_2, ARRAY_LEN(since_2) },
};

static enum err added_make(struct db *db, const struct migration *m, struct fault *f)
{
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < m->n_added; i++)
        e = db_ddl(db, m->added[i], f);
    return e;
}

static enum err version_write(struct db *db, int64_t version, struct fault *f)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)version);
    enum err e = db_run(db, "INSERT INTO meta (name, value) VALUES ('schema', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                        DB_ARGS(DB_S(text)), NULL, f);
    return e ? e : db_run(db, "UPDATE node SET schema = $1", DB_ARGS(DB_I(version)), NULL, f);
}

enum err schema_create(struct db *db, struct fault *f)
{
    enum err e = db_begin(db, f);
    for (size_t i = 0; !e && i < ARRAY_LEN(migrations); i++)
        e = added_make(db, &migrations[i], f);
    e = e ? e : version_write(db, SCHEMA_VERSION, f);
    e = e ? e : db_commit(db, f);
    if (e)
        db_rollback(db);
    return e;
}

static enum err version_read(struct db *db, int64_t *version, struct fault *f)
{
    bool there = false;
    enum err e = db_has_table(db, "meta", &there, f);
    if (e)
        return e;
    if (!there)
        return fault_set(f, CE_NOT_FOUND, "the database has no tables");
    return db_get_i64(db, "SELECT CAST(value AS BIGINT) FROM meta WHERE name = 'schema'", DB_NOARGS, 0, version, f);
}

enum err schema_check(struct db *db, struct fault *f)
{
    int64_t v = 0;
    enum err e = version_read(db, &v, f);
    if (e || v == SCHEMA_VERSION)
        return e;
    if (v > SCHEMA_VERSION)
        return fault_set(f, CE_SCHEMA, "the database has schema version %lld, this program knows %d: start the newer program, or restore a backup made by this one",
                         (long long)v, SCHEMA_VERSION);
    return fault_set(f, CE_SCHEMA, "the database has schema version %lld, this program needs %d: make a backup, then run cradled -m SITE", (long long)v,
                     SCHEMA_VERSION);
}

static enum err migrate_one(struct db *db, const struct migration *m, bool contract, struct fault *f)
{
    const char *sql = contract ? m->contract : m->expand;
    enum err e = db_begin(db, f);
    if (!e && sql)
        e = db_ddl(db, sql, f);
    if (!e && !contract)
        e = added_make(db, m, f);
    if (!e && !contract)
        e = version_write(db, m->version, f);
    e = e ? e : db_commit(db, f);
    if (e)
        db_rollback(db);
    return e;
}

enum err schema_migrate(struct db *db, bool contract, int64_t *from, int64_t *to, struct fault *f)
{
    int64_t v = 0;
    enum err e = version_read(db, &v, f);
    if (e)
        return e;
    if (from)
        *from = v;
    if (v > SCHEMA_VERSION)
        return fault_set(f, CE_SCHEMA, "the database has schema version %lld, newer than this program's %d", (long long)v, SCHEMA_VERSION);
    for (size_t i = 0; !e && i < ARRAY_LEN(migrations); i++)
        if (contract ? migrations[i].version <= v : migrations[i].version > v)
            e = migrate_one(db, &migrations[i], contract, f);
    if (to)
        *to = e ? v : SCHEMA_VERSION;
    return e;
}
