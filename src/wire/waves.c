/* waves.c: see waves.h. */
#include "wire/waves.h"

#include "base/name.h"

#define SOAK_MAX_S (31 * 86400)

void wave_put(struct buf *out, const struct wave *w)
{
    if (w->tag.n)
        buf_printf(out, "tag " SPAN_FMT, SPAN_ARG(w->tag));
    else
        buf_printf(out, "%s %lld", w->percent ? "percent" : "devices", (long long)(w->percent ? w->percent : w->devices));
    buf_printf(out, " %lld %lld %lld\n", (long long)w->success_percent, (long long)w->error_percent, (long long)w->soak_s);
}

static bool number_take(struct span *rest, int64_t *out)
{
    struct span one;
    return span_cut(rest, ' ', &one) && span_to_i64(one, out);
}

static enum err wave_read(struct span line, struct wave *w, struct fault *f)
{
    struct span kind, what;
    *w = (struct wave){ 0 };
    if (!span_cut(&line, ' ', &kind) || !span_cut(&line, ' ', &what) || !number_take(&line, &w->success_percent) || !number_take(&line, &w->error_percent) ||
        !number_take(&line, &w->soak_s))
        return fault_set(f, CE_BAD_FIELD, "a wave has a share, two thresholds and a rest");
    if (span_eq_str(kind, "tag")) {
        w->tag = what;
        return name_check_label("tag", what, f);
    }
    if (span_eq_str(kind, "percent") && span_to_i64(what, &w->percent) && w->percent >= 1 && w->percent <= 100)
        return CE_OK;
    if (span_eq_str(kind, "devices") && span_to_i64(what, &w->devices) && w->devices >= 1 && w->devices <= WAVE_DEVICES_MAX)
        return CE_OK;
    return fault_set(f, CE_BAD_FIELD, "a wave has either percent (1 to 100), devices (1 to %d) or tag", WAVE_DEVICES_MAX);
}

enum err waves_read(struct span text, struct wave out[WAVES_MAX], size_t *n, struct fault *f)
{
    struct span line;
    int64_t percent = 0;
    for (*n = 0; text.n && span_cut(&text, '\n', &line); (*n)++) {
        if (*n == WAVES_MAX)
            return fault_set(f, CE_BAD_FIELD, "there are more than %d waves", WAVES_MAX);
        struct wave *w = &out[*n];
        enum err e = wave_read(line, w, f);
        if (e)
            return e;
        if (w->success_percent < 0 || w->success_percent > 100 || w->error_percent < 0 || w->error_percent > 100 || w->soak_s < 0 || w->soak_s > SOAK_MAX_S)
            return fault_set(f, CE_BAD_FIELD, "thresholds are 0 to 100 percent, a rest at most %d s", SOAK_MAX_S);
        if (w->percent && w->percent <= percent)
            return fault_set(f, CE_BAD_FIELD, "the percentages of waves rise: each says up to which share of the group it goes");
        percent = w->percent ? w->percent : percent;
    }
    return *n ? CE_OK : fault_set(f, CE_BAD_FIELD, "a rollout has at least one wave");
}
