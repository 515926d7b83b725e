/* core_rollout_fleet.c: a rollout to 10 000 devices of which three in a hundred fail: waves of 1, 10 and 100 percent, the real signer, and counts that
 * are right at the end. The devices and their certificates are put into the tables, not born one by one (so there is no fold here).
 */
#define FLEET 1
#include "t/unit/rollout_site.h"

#define DEVICES 10000
static const struct msg_rollout_add any;
static struct span kid; /* of the CA of devices */

static void must(enum err e, const struct fault *f) { site_must(e, f, "a row of the fleet"); }

static void device_put(struct db *db, int i, int64_t now_s)
{
    char uid[16];
    uint8_t serial[4] = { 1, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i }, spki[32] = { 7 };
    struct fault f = { 0 };
    snprintf(uid, sizeof uid, "f-%05d", i);
    memcpy(spki + 1, serial, sizeof serial);
    must(db_run(db, "INSERT INTO device (uid, serial, model, line, batch, country, created_at, created_by) VALUES ($1, '', 'm-pump', 'pump', 'big', '', 0, '')",
                DB_ARGS(DB_S(uid)), NULL, &f), &f);
    must(db_run(db, "INSERT INTO device_state (uid, state, rev, changed_at, last_seen) VALUES ($1, 'active', 1, 0, 0)", DB_ARGS(DB_S(uid)), NULL, &f), &f);
    must(db_run(db, "INSERT INTO cert (kid, serial, holder_kind, holder, profile, spki, not_before, not_after, issued_at, der) "
                    "VALUES ($1, $2, 2, $3, 'device', $4, $5, $6, 0, $4)",
                DB_ARGS(DB_B(kid), DB_B(span_of(serial, 4)), DB_S(uid), DB_B(span_of(spki, 32)), DB_I(now_s - 1000), DB_I(now_s + 90000)), NULL, &f), &f);
}

static uint64_t ask(int i, const struct msg_desc *d, const void *m)
{
    char uid[16];
    uint8_t serial[4] = { 1, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i }, spki[32] = { 7 };
    struct buf body = BUF_INIT(0);
    snprintf(uid, sizeof uid, "f-%05d", i);
    memcpy(spki + 1, serial, sizeof serial);
    const struct msg_caller c = { .kind = CALLER_DEVICE, .kid = kid, .serial = span_of(serial, 4), .spki = span_of(spki, 32), .cn = span_str(uid),
                                  .addr = SPAN_LIT("192.0.2.1"), .proto = SPAN_LIT("update"), .if_match = -1 };
    msg_pack(&msg_desc_caller, &c, &body);
    msg_pack(d, m, &body);
    core_request(s.core, 1, &(struct ipc_frame){ (uint16_t)d->type, ++s.rid, buf_span(&body) });
    buf_free(&body);
    return s.rid;
}

/* Everybody polls; who is told something does it, or fails. Returns how many were. */
static int round_of(void)
{
    const struct msg_update_poll p = { .version = SPAN_LIT("") };
    int told = 0;
    for (int from = 0; from < DEVICES; from += 250) {
        uint64_t first = s.rid + 1;
        site_replies_free(&s);
        for (int i = from; i < from + 250; i++)
            ask(i, &msg_desc_update_poll, &p);
        site_run(&s);
        bool ready[250];
        for (int i = 0; i < 250; i++) {
            json_t *j = site_json(site_reply_of(&s, first + (uint64_t)i));
            ready[i] = strcmp(json_word(j, "state"), "ready") == 0;
            told += ready[i];
            json_decref(j);
        }
        for (int i = 0; i < 250; i++) {
            const struct msg_update_report good = { .sequence = 1, .state = SPAN_LIT("confirmed"), .version = SPAN_LIT("1.7.0") },
                                           bad = { .sequence = 1, .state = SPAN_LIT("failed"), .reason = SPAN_LIT("no-space") };
            if (ready[i])
                ask(from + i, &msg_desc_update_report, (from + i) % 100 < 3 ? &bad : &good);
        }
        site_run(&s);
    }
    pass(1000);
    return told;
}

int main(void)
{
    struct fault f = { 0 };
    rollout_site_open();
    kid = fleet[0].cert.aki;
    must(db_begin(core_db(s.core), &f), &f);
    for (int i = 0; i < DEVICES; i++)
        device_put(core_db(s.core), i, clock_now_s());
    must(db_commit(core_db(s.core), &f), &f);
    struct msg_rollout_add m = any;
    m.batch = SPAN_LIT("big");
    ok(reply_is(create("big", "r7", "percent 1 90 10 0\npercent 10 90 5 0\npercent 100 90 5 0\n", m), CE_OK), "a rollout to ten thousand devices");
    ok(reply_is(move(&ann, "big", "approve"), CE_OK) && reply_is(move(&s.admin, "big", "start"), CE_OK), "approved and started");
    int64_t began = clock_mono_ms();
    for (int i = 0; i < 30 && !site_count(&s, "SELECT filled_at FROM rollout_wave WHERE wave = 1"); i++)
        pass(0);
    int64_t first = site_count(&s, "SELECT count(*) FROM rollout_device");
    ok(first > 60 && first < 140, "the first wave has about one in a hundred: %lld (%lld ms)", (long long)first, (long long)(clock_mono_ms() - began));
    int told = 0, rounds = 0;
    while (rounds < 12 && !state_is("big", "done") && !state_is("big", "paused")) {
        told += round_of();
        rounds++;
        for (int i = 0; i < 30; i++)
            pass(0);
    }
    ok(state_is("big", "done"), "it comes to its end, after %d rounds of polls", rounds);
    ok(told == DEVICES && count("big", "confirmed") == 9700 && count("big", "failed") == 300, "9700 have confirmed, 300 failed, nobody was told twice (%d)", told);
    ok(site_count(&s, "SELECT count(*) FROM rollout_wave WHERE reached_at > 0") == 3, "through all three waves");
    ok(site_count(&s, "SELECT max(n) FROM (SELECT count(*) AS n FROM event WHERE kind LIKE 'firmware-%' GROUP BY device)") <= 3, "with three events for a device at most");
    ok(site_counts_good(&s), "counts of versions and of confirmations by time agree with the rows");
    rollout_site_close();
    return done();
}
