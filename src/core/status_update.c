/* status_update.c: what the status says about updates: how long the metadata lives, rollouts that are paused, support that ends while devices run
 * the release, and whether the fronts reach the depot. It reads few and small rows: the newest of each role, started rollouts, counts. What is worth
 * a warning is for who reads it (cli/status_update.c).
 */
#include "base/clock.h"
#include "core/engine.h"
#include "core/front_counts.h"
#include "core/status.h"
#include "store/rollout.h"
#include "store/update.h"

#define LISTED 100          /* of each kind */
#define SUPPORT_SOON_S (90 * 86400)

static void metadata_put(struct core *core, struct arena *a, struct json_out *j)
{
    struct tuf_row *rows;
    size_t n = 0;
    json_arr(j, "metadata");
    if (store_tuf_list(core->db, a, &rows, &n, NULL))
        n = 0; /* the rest is worth saying all the same */
    for (size_t i = 0; i < n; i++) {
        json_obj(j, NULL);
        json_str(j, "role", rows[i].role);
        json_int(j, "version", rows[i].version);
        json_time_ms(j, "added_at", rows[i].added_at);
        json_time_ms(j, "expires_at", rows[i].expires_at * 1000);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void paused_put(struct core *core, struct arena *a, struct json_out *j)
{
    struct rollout_row *rows;
    size_t n = 0;
    json_arr(j, "paused");
    if (store_rollout_paused(core->db, a, LISTED, &rows, &n, NULL))
        n = 0;
    for (size_t i = 0; i < n; i++) {
        json_obj(j, NULL);
        json_str(j, "name", rows[i].name);
        json_str(j, "line", rows[i].line);
        json_str(j, "release", rows[i].release);
        json_str(j, "why", rows[i].why);
        json_time_ms(j, "since", rows[i].changed_at);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void support_put(struct core *core, struct arena *a, int64_t now_ms, struct json_out *j)
{
    struct release_use *rows;
    size_t n = 0;
    char until[32];
    clock_text_s(now_ms / 1000 + SUPPORT_SOON_S, until); /* dates compare as text */
    json_arr(j, "support_ending");
    if (store_release_ending(core->db, a, span_of(until, 10), LISTED, &rows, &n, NULL))
        n = 0;
    for (size_t i = 0; i < n; i++) {
        json_obj(j, NULL);
        json_str(j, "line", rows[i].line);
        json_str(j, "release", rows[i].name);
        json_str(j, "support_end", rows[i].support_end);
        json_int(j, "devices", rows[i].devices);
        json_obj_end(j);
    }
    json_arr_end(j);
}

static void depot_put(const struct core *core, struct json_out *j)
{
    int64_t fronts = 0, without = 0, failures = 0;
    for (size_t i = 0; i < core->npeers; i++) {
        const uint64_t *counts = core->peers[i].counts;
        if (!core->peers[i].open || !counts)
            continue;
        fronts++;
        without += counts[COUNT_DEPOT_GONE] != 0;
        failures += (int64_t)counts[COUNT_DEPOT_FAILED];
    }
    json_obj(j, "depot");
    json_int(j, "fronts", fronts);
    json_int(j, "fronts_without", without);
    json_int(j, "failures", failures);
    json_obj_end(j);
}

void update_status_put(struct core *core, int64_t now_ms, struct json_out *j)
{
    struct arena a = { 0 };
    json_obj(j, "updates");
    metadata_put(core, &a, j);
    paused_put(core, &a, j);
    support_put(core, &a, now_ms, j);
    depot_put(core, j);
    json_obj_end(j);
    arena_free(&a);
}
