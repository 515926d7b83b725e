/* stream_snapshot.c: what a snapshot of COUNT revoked certificates costs the deciding thread: load at start, the longest step while
 * the snapshot is made, time to the subscriber's answer, and the time of a revocation meanwhile; and a CRL shard of a quarter of them. Usage: stream_snapshot [COUNT].
 * Prints one line of JSON.
 */
#include "store/crl_block.h"
#include "t/unit/cert_site.h"

static struct site s;
static struct who edge;

static void fill(int count)
{
    struct core_ca ca;
    struct fault f = { 0 };
    struct db *db = core_db(s.core);
    uint8_t serial[16];
    core_ca(s.core, span_str("device"), &ca);
    site_must(db_begin(db, &f), &f, "begin");
    for (int i = 0; i < count; i++) {
        struct cert_state st = { .status = CERT_REVOKED, .revoked_at = clock_now_s(), .reason = 1, .not_after = clock_now_s() + 864000 };
        site_must(random_bytes(serial, sizeof serial), NULL, "random");
        serial[0] = 1 + serial[0] % 127;
        st.shard = crl_shard_of(span_of(serial, 16), SITE_SHARDS);
        site_must(store_cert_state_put(db, ca.kid, span_of(serial, 16), &st, &f), &f, "row");
        site_must(store_crl_list_put(db, ca.kid, st.shard, &(struct crl_listed){span_of(serial, 16), st.revoked_at, st.not_after, st.reason}, &f), &f, "block");
    }
    site_must(db_commit(db, &f), &f, "commit");
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 1000000;
    struct fault f = { 0 };
    site_open(&s);
    site_operator(&s, "edge-1", "edge", "", &edge);
    site_device(&s, "dev-1", "pump");
    site_wait(&s, 300);
    fill(count);
    core_close(s.core);
    site_forget_asks(&s);
    int64_t t0 = clock_mono_us();
    site_core_open(&s);
    int64_t load_us = clock_mono_us() - t0;
    site_wait(&s, 50);
    struct msg_edge_open m = { .since = SPAN_LIT("") };
    struct msg_device_state st = { .uid = SPAN_LIT("dev-1"), .state = SPAN_LIT("revoked") };
    int64_t worst_us = 0, revoked_us = 0;
    t0 = clock_mono_us();
    uint64_t rid = site_send(&s, &edge, &msg_desc_edge_open, &m), rid2 = site_send(&s, &s.admin, &msg_desc_device_state, &st);
    size_t frames = s.n_frames;
    while (site_reply_of(&s, rid)->code < 0) {
        int64_t from = clock_mono_us();
        if (core_has_work(s.core))
            site_must(core_step(s.core, &f), &f, "core_step");
        int64_t took = clock_mono_us() - from;
        worst_us = took > worst_us ? took : worst_us;
        site_sign(&s);
        if (!revoked_us && s.n_frames > frames && site_reply_of(&s, rid2)->code == CE_OK)
            revoked_us = clock_mono_us() - t0;
    }
    int64_t answer_us = clock_mono_us() - t0;
    /* one revocation in a shard of a quarter of them: the CRL is made beside the other work */
    int64_t worst_crl_us = 0, published = site_count(&s, "SELECT count(*) FROM event WHERE kind = 'crl-published'");
    struct core_ca ca;
    core_ca(s.core, span_str("device"), &ca);
    site_must(db_run(core_db(s.core), "UPDATE crl_shard SET dirty = dirty + 1, this_update = 0 WHERE kid = $1 AND shard = 0", DB_ARGS(DB_B(ca.kid)), NULL, &f), &f, "mark");
    core_close(s.core);
    site_forget_asks(&s);
    site_core_open(&s);
    site_must(core_threads(s.core, &f), &f, "threads");
    t0 = clock_mono_us();
    while (site_count(&s, "SELECT count(*) FROM event WHERE kind = 'crl-published'") == published && clock_mono_us() - t0 < 20000000) {
        int64_t from = clock_mono_us();
        if (core_has_work(s.core))
            site_must(core_step(s.core, &f), &f, "core_step");
        else
            site_must(core_tick(s.core, clock_mono_ms(), &f), &f, "core_tick");
        int64_t took = clock_mono_us() - from;
        worst_crl_us = took > worst_crl_us ? took : worst_crl_us;
        site_sign(&s);
    }
    int64_t crl_us = clock_mono_us() - t0;
    printf("{\"bench\":\"stream_snapshot\",\"certs\":%d,\"bytes\":%zu,\"load_ms\":%.1f,\"answer_ms\":%.1f,\"worst_step_ms\":%.1f,\"revocation_meanwhile_ms\":%.1f,\"crl_entries\":%d,\"crl_ms\":%.1f,\"crl_worst_step_ms\":%.1f}\n",
           count, site_reply_of(&s, rid)->body.n, (double)load_us / 1e3, (double)answer_us / 1e3, (double)worst_us / 1e3, (double)revoked_us / 1e3, count / SITE_SHARDS,
           (double)crl_us / 1e3, (double)worst_crl_us / 1e3);
    buf_free(&edge.der);
    site_close(&s);
    return 0;
}
