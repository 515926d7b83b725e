/* fold_rollout.c: what the events about rollouts do to the tables, written a second time on purpose. See fold.h. */
#include "core/fold_priv.h"
#include "store/rollout.h"
#include "wire/waves.h"

static enum err row_of(struct fold *x, struct rollout_row *r)
{
    struct span name = fold_text(x, "name");
    return x->err ? x->err : store_rollout_get(x->to, &x->arena, name, r, x->f);
}

static enum err row_put(struct fold *x, struct rollout_row *r)
{
    r->rev++;
    r->changed_at = x->ev->at;
    return x->err ? x->err : store_rollout_put(x->to, r, x->f);
}

enum err fold_rollout(struct fold *x)
{
    struct rollout_row r = { .name = fold_text(x, "name"), .line = fold_text(x, "line"), .release = fold_text(x, "release"), .of = fold_text(x, "of"),
                             .model = fold_text(x, "model"), .batch = fold_text(x, "batch"), .country = fold_text(x, "country"), .version = fold_text(x, "version"),
                             .tag = fold_text(x, "tag"), .timeout_s = fold_number(x, "timeout_s"), .from_min = fold_number(x, "from_min"),
                             .to_min = fold_number(x, "to_min"), .forced = json_is_true(json_object_get(x->payload, "forced")),
                             .max_active = fold_number(x, "max_active"), .note = fold_text(x, "note"), .state = SPAN_LIT("draft"),
                             .created_at = x->ev->at, .created_by = fold_text(x, "by") };
    struct wave list[WAVES_MAX];
    size_t n = 0;
    enum err e = waves_read(fold_text(x, "waves"), list, &n, x->f);
    e = e ? e : row_put(x, &r);
    for (size_t i = 0; !e && i < n; i++) {
        const struct wave_row w = { .wave = (int64_t)i + 1, .percent = list[i].percent, .devices = list[i].devices, .tag = list[i].tag,
                                    .success_percent = list[i].success_percent, .error_percent = list[i].error_percent, .soak_s = list[i].soak_s };
        e = store_wave_put(x->to, r.name, &w, x->f);
    }
    return e;
}

/* The state's own event follows when the approval was the last one needed: both count. */
enum err fold_rollout_approved(struct fold *x)
{
    struct rollout_row r;
    enum err e = row_of(x, &r);
    e = e ? e : store_approval_add(x->to, r.name, fold_text(x, "by"), x->ev->at, x->f);
    return e ? e : row_put(x, &r);
}

enum err fold_rollout_state(struct fold *x)
{
    struct rollout_row r;
    enum err e = row_of(x, &r);
    if (e)
        return e;
    r.state = fold_text(x, "to");
    r.why = fold_text(x, "why");
    if (span_eq_str(r.state, "running") && !r.started_at)
        r.started_at = x->ev->at;
    return row_put(x, &r);
}

static enum err wave_fold(struct fold *x, void (*change)(struct fold *x, struct rollout_row *r, struct wave_row *w))
{
    struct rollout_row r;
    struct wave_row *waves = NULL;
    size_t n = 0;
    int64_t wave = fold_number(x, "wave");
    enum err e = row_of(x, &r);
    e = e ? e : store_wave_list(x->to, &x->arena, r.name, &waves, &n, x->f);
    if (!e && (wave < 1 || wave > (int64_t)n))
        e = fault_set(x->f, CE_LOG_INCONSISTENT, "the rollout has no wave %lld", (long long)wave);
    if (e)
        return e;
    change(x, &r, &waves[wave - 1]);
    e = store_wave_put(x->to, r.name, &waves[wave - 1], x->f);
    return e ? e : row_put(x, &r);
}

static void opened(struct fold *x, struct rollout_row *r, struct wave_row *w)
{
    r->wave = w->wave;
    w->opened_at = x->ev->at;
}
static void filled(struct fold *x, struct rollout_row *r, struct wave_row *w)
{
    (void)r;
    w->filled_at = x->ev->at;
}
static void reached(struct fold *x, struct rollout_row *r, struct wave_row *w)
{
    (void)r;
    w->reached_at = x->ev->at;
}
static void excused(struct fold *x, struct rollout_row *r, struct wave_row *w)
{
    (void)r;
    w->excused = fold_number(x, "failures");
}
enum err fold_wave_opened(struct fold *x) { return wave_fold(x, opened); }
enum err fold_wave_filled(struct fold *x) { return wave_fold(x, filled); }
enum err fold_wave_reached(struct fold *x) { return wave_fold(x, reached); }
enum err fold_wave_excused(struct fold *x) { return wave_fold(x, excused); }
