/* schema_v1.h: the tables of schema version 1, written down by hand, and the way back to it from the present version. For tests of the
 * migration: what a migrated database has must be what a new one has. */
#ifndef CRADLE_T_SCHEMA_V1_H
#define CRADLE_T_SCHEMA_V1_H

#include "store/db.h"

#define V1_PRESENCE \
    "CREATE TABLE presence (uid TEXT NOT NULL PRIMARY KEY, host TEXT NOT NULL, addr TEXT NOT NULL, online BIGINT NOT NULL, " \
    "at BIGINT NOT NULL) CLUSTERED"

static const char *const schema_v1[] = {
    "CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) CLUSTERED",
    "CREATE TABLE node (slot BIGINT NOT NULL PRIMARY KEY, nseq BIGINT NOT NULL, epoch BIGINT NOT NULL, beat BIGINT NOT NULL, "
    "version TEXT NOT NULL, schema BIGINT NOT NULL) CLUSTERED",
    "CREATE TABLE event (slot BIGINT NOT NULL, nseq BIGINT NOT NULL, at BIGINT NOT NULL, kind TEXT NOT NULL, device TEXT NOT NULL, "
    "rev BIGINT NOT NULL, salt BLOB NOT NULL, payload TEXT NOT NULL, leaf BLOB, PRIMARY KEY (slot, nseq)) CLUSTERED",
    "CREATE INDEX event_device ON event (device, slot, nseq) WHERE device <> ''",
    "CREATE TABLE ca (name TEXT NOT NULL PRIMARY KEY, kid BLOB NOT NULL, der BLOB NOT NULL, added_at BIGINT NOT NULL) CLUSTERED",
    "CREATE TABLE line (name TEXT NOT NULL PRIMARY KEY, title TEXT NOT NULL, validity_s BIGINT NOT NULL, clone_policy TEXT NOT NULL, "
    "suspended BIGINT NOT NULL, added_at BIGINT NOT NULL) CLUSTERED",
    "CREATE TABLE model (name TEXT NOT NULL PRIMARY KEY, line TEXT NOT NULL, title TEXT NOT NULL, hw_rev TEXT NOT NULL, "
    "added_at BIGINT NOT NULL) CLUSTERED",
    "CREATE TABLE device (uid TEXT NOT NULL PRIMARY KEY, serial TEXT NOT NULL, model TEXT NOT NULL, line TEXT NOT NULL, "
    "batch TEXT NOT NULL, country TEXT NOT NULL, created_at BIGINT NOT NULL, created_by TEXT NOT NULL) CLUSTERED",
    "CREATE INDEX device_line ON device (line, uid)",
    "CREATE INDEX device_model ON device (model, uid)",
    "CREATE INDEX device_batch ON device (batch, uid) WHERE batch <> ''",
    "CREATE INDEX device_serial ON device (serial, uid) WHERE serial <> ''",
    "CREATE TABLE device_state (uid TEXT NOT NULL PRIMARY KEY, state TEXT NOT NULL, rev BIGINT NOT NULL, changed_at BIGINT NOT NULL, "
    "last_seen BIGINT NOT NULL) CLUSTERED",
    "CREATE INDEX device_state_state ON device_state (state, uid)",
    "CREATE TABLE operator (name TEXT NOT NULL PRIMARY KEY, role TEXT NOT NULL, lines TEXT NOT NULL, state TEXT NOT NULL, "
    "rev BIGINT NOT NULL, added_at BIGINT NOT NULL, changed_at BIGINT NOT NULL) CLUSTERED",
    "CREATE TABLE cert (kid BLOB NOT NULL, serial BLOB NOT NULL, holder_kind BIGINT NOT NULL, holder TEXT NOT NULL, "
    "profile TEXT NOT NULL, spki BLOB NOT NULL, not_before BIGINT NOT NULL, not_after BIGINT NOT NULL, issued_at BIGINT NOT NULL, "
    "der BLOB NOT NULL, PRIMARY KEY (serial, kid))",
    "CREATE INDEX cert_holder ON cert (holder, holder_kind, issued_at)",
    "CREATE TABLE cert_state (kid BLOB NOT NULL, serial BLOB NOT NULL, status BIGINT NOT NULL, revoked_at BIGINT NOT NULL, "
    "reason BIGINT NOT NULL, shard BIGINT NOT NULL, not_after BIGINT NOT NULL, first_used_at BIGINT NOT NULL, PRIMARY KEY (kid, serial)) CLUSTERED",
    "CREATE INDEX cert_state_shard ON cert_state (kid, shard, serial, status, revoked_at, reason, not_after) WHERE status > 0",
    "CREATE TABLE key (spki BLOB NOT NULL PRIMARY KEY, holder_kind BIGINT NOT NULL, holder TEXT NOT NULL, added_at BIGINT NOT NULL, "
    "revoked_at BIGINT NOT NULL) CLUSTERED",
    "CREATE TABLE intent (kid BLOB NOT NULL, serial BLOB NOT NULL, holder_kind BIGINT NOT NULL, holder TEXT NOT NULL, spki BLOB NOT NULL, "
    "key_der BLOB NOT NULL, profile TEXT NOT NULL, not_before BIGINT NOT NULL, not_after BIGINT NOT NULL, at BIGINT NOT NULL, "
    "PRIMARY KEY (kid, serial)) CLUSTERED",
    "CREATE TABLE crl_shard (kid BLOB NOT NULL, shard BIGINT NOT NULL, number BIGINT NOT NULL, this_update BIGINT NOT NULL, "
    "next_update BIGINT NOT NULL, dirty BIGINT NOT NULL, PRIMARY KEY (kid, shard)) CLUSTERED",
    "CREATE TABLE idem (caller TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL, code BIGINT NOT NULL, http BIGINT NOT NULL, "
    "rev BIGINT NOT NULL, text TEXT NOT NULL, body_kind BIGINT NOT NULL, body BLOB NOT NULL, at BIGINT NOT NULL, "
    "PRIMARY KEY (caller, key)) CLUSTERED",
    "CREATE INDEX idem_at ON idem (at)",
    "CREATE TABLE report_seen (edge TEXT NOT NULL, id TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (edge, id)) CLUSTERED",
    "CREATE INDEX report_seen_at ON report_seen (at)",
    V1_PRESENCE,
    "CREATE TABLE edge (name TEXT NOT NULL PRIMARY KEY, vector TEXT NOT NULL, acked_at BIGINT NOT NULL, stale BIGINT NOT NULL, "
    "seen_at BIGINT NOT NULL) CLUSTERED",
    "CREATE TABLE tree (id BIGINT NOT NULL PRIMARY KEY, size BIGINT NOT NULL, root BLOB NOT NULL, epoch BIGINT NOT NULL, "
    "signed_size BIGINT NOT NULL, signed_root BLOB NOT NULL, signed_at BIGINT NOT NULL) CLUSTERED",
    "CREATE TABLE run (idx BIGINT NOT NULL PRIMARY KEY, slot BIGINT NOT NULL, nseq BIGINT NOT NULL, n BIGINT NOT NULL) CLUSTERED",
    "CREATE INDEX run_slot ON run (slot, nseq)",
};

static const char *const schema_back[] = {
    "DROP TABLE crl_block", "DELETE FROM meta WHERE name = 'crl_block'",
    "CREATE INDEX cert_state_shard ON cert_state (kid, shard, serial, status, revoked_at, reason, not_after) WHERE status > 0",
    "DROP INDEX event_cut", "DROP INDEX event_drill", "DROP INDEX event_line_state", "DROP TABLE topics", "DROP TABLE tuf", "DROP TABLE release", "DROP TABLE artifact", "DROP TABLE device_tag", "DROP TABLE line_more", "DROP TABLE line_anchor", "DROP TABLE anchor_crl", "DROP TABLE device_idevid", "DROP TABLE mass_job", "DROP TABLE mass_device", "DROP TABLE enroll_request",
    "DROP TABLE key_block", "DROP TABLE cmp_tx", "DROP TABLE device_secret", "DROP TABLE device_key_home", "DROP TABLE device_ek", "DROP TABLE line_ek_ca",
    "DROP TABLE device_order", "DROP TABLE device_version", "DROP TABLE rollout", "DROP TABLE rollout_approval", "DROP TABLE rollout_wave",
    "DROP TABLE rollout_device", "DROP TABLE rollout_count", "DROP TABLE rollout_pace", "DROP TABLE version_count", "DROP TABLE device_crypto", "DROP TABLE crypto_count", "DROP TABLE presence",
    "DROP TABLE ca_state", "DROP TABLE presence_beside", "DROP TABLE broker_run", "DROP TABLE broker_total", V1_PRESENCE,
    "DROP INDEX cert_end", "DELETE FROM meta WHERE name = 'crypto_after'",
    "UPDATE meta SET value = '1' WHERE name = 'schema'",
};

/* Makes a database of the present version one of version 1. */
static inline enum err schema_to_v1(struct db *db, struct fault *f)
{
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < sizeof schema_back / sizeof schema_back[0]; i++)
        e = db_ddl(db, schema_back[i], f);
    return e;
}

#endif
