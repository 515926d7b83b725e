/* rollout_fill.c: how long a wave of a rollout takes to fill, in process: the engine picks its members a piece a batch, and whoever asks meanwhile waits
 * for one batch at most. A device polls beside it, once a batch. Argument: devices. Prints JSON for bench/run. The devices are put into the
 * tables, not born one by one.
 */
#define FLEET 1
#include "t/unit/rollout_site.h"

static int64_t *batch_us, *poll_us;
static size_t n_batches, n_polls, cap;

static void must(enum err e, const struct fault *f) { site_must(e, f, "rollout_fill"); }

static void fleet_put(struct db *db, int64_t devices)
{
    struct fault f = { 0 };
    must(db_begin(db, &f), &f);
    for (int64_t i = 0; i < devices; i++) {
        char uid[24];
        snprintf(uid, sizeof uid, "f-%08lld", (long long)i);
        must(db_run(db, "INSERT INTO device (uid, serial, model, line, batch, country, created_at, created_by) VALUES ($1, '', 'm-pump', 'pump', 'big', '', 0, '')",
                    DB_ARGS(DB_S(uid)), NULL, &f), &f);
        must(db_run(db, "INSERT INTO device_state (uid, state, rev, changed_at, last_seen) VALUES ($1, 'active', 1, 0, 0)", DB_ARGS(DB_S(uid)), NULL, &f), &f);
    }
    must(db_commit(db, &f), &f);
}

static int cmp(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void put(const char *what, int64_t *us, size_t n)
{
    qsort(us, n, sizeof *us, cmp);
    printf("\"%s_p50_ms\":%.3f,\"%s_p99_ms\":%.3f,\"%s_max_ms\":%.3f,", what, (double)us[n / 2] / 1e3, what, (double)us[n * 99 / 100] / 1e3, what, (double)us[n - 1] / 1e3);
}

static bool filled(void) { return site_count(&s, "SELECT count(*) FROM rollout_wave WHERE filled_at > 0") == 1; }

/* What the engine has to do next, and a device that asks all the time. */
static void turn_once(void)
{
    static uint64_t asked;
    static int64_t asked_us;
    const struct msg_update_poll m = { .version = SPAN_LIT("") };
    struct fault f = { 0 };
    if (n_batches == cap) {
        cap = cap ? cap * 2 : 4096;
        batch_us = mem_realloc(batch_us, cap * sizeof *batch_us);
        poll_us = mem_realloc(poll_us, cap * sizeof *poll_us);
    }
    if (!asked) {
        asked_us = clock_mono_us();
        asked = site_send(&s, &fleet[0], &msg_desc_update_poll, &m);
    }
    int64_t t = clock_mono_us();
    if (core_has_work(s.core))
        must(core_step(s.core, &f), &f);
    else
        must(core_tick(s.core, clock_mono_ms() + 2000, &f), &f);
    batch_us[n_batches++] = clock_mono_us() - t;
    site_sign(&s);
    if (site_reply_of(&s, asked)->code < 0)
        return;
    poll_us[n_polls++] = clock_mono_us() - asked_us;
    asked = 0;
    site_replies_free(&s);
}

int main(int argc, char **argv)
{
    int64_t devices = argc > 1 ? atoll(argv[1]) : 1000000;
    rollout_site_open();
    fleet_put(core_db(s.core), devices);
    (void)create("big", "r7", "percent 100 90 5 0\n", (struct msg_rollout_add){ .batch = SPAN_LIT("big") });
    (void)move(&ann, "big", "approve");
    (void)move(&olga, "big", "approve");
    const struct msg_rollout_move start_it = { .name = SPAN_LIT("big"), .move = SPAN_LIT("start") };
    int64_t from = clock_mono_us();
    (void)site_send(&s, &s.admin, &msg_desc_rollout_move, &start_it);
    while (!filled() && n_batches < 1000000)
        turn_once();
    double whole_s = (double)(clock_mono_us() - from) / 1e6;
    int64_t members = site_count(&s, "SELECT count(*) FROM rollout_device");
    if (!n_polls)
        return 1;
    printf("{");
    put("batch", batch_us, n_batches);
    put("poll", poll_us, n_polls);
    printf("\"devices\":%lld,\"members\":%lld,\"batches\":%zu,\"whole_s\":%.2f}\n", (long long)devices, (long long)members, n_batches, whole_s);
    free(batch_us);
    free(poll_us);
    rollout_site_close();
    return members != devices;
}
