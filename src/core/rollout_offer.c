/* core/rollout_offer.c: a device asks: does a rollout want it to install something, and may it be now? See core/rollout.h. */
#include "core/rollout.h"
#include "store/registry.h"
#include "store/tag.h"

#define HELD_S 300       /* a device that is held up asks again then */
#define FULL_S 60
#define OVERTAKEN_MS 900000 /* one that comes and is held up is not silent: noted so often at most */

enum err rollout_of(struct batch *b, const struct order *o, struct rollout *out, bool *there, struct fault *f)
{
    struct rollout *list;
    size_t n = 0;
    enum err e = o->row.rollout.n ? rollout_live(b, &list, &n, f) : CE_OK;
    *there = false;
    for (size_t i = 0; !e && i < n; i++)
        if (span_eq(list[i].row.name, o->row.rollout)) {
            *out = list[i];
            *there = true;
        }
    return e;
}

/* Seconds until the maintenance window opens in the device's own time; 0: it is open. */
static int64_t window_wait(const struct rollout_row *r, int64_t now_ms, int64_t utc_offset_s)
{
    int64_t day = 86400, from = r->from_min * 60, to = r->to_min * 60;
    int64_t t = ((now_ms / 1000 + utc_offset_s) % day + day) % day;
    if (from == to)
        return 0;
    bool open = from < to ? t >= from && t < to : t >= from || t < to;
    return open ? 0 : (from - t + day) % day;
}

enum err rollout_hold(struct batch *b, const struct order *o, const struct msg_update_poll *m, struct offer *out, struct fault *f)
{
    struct rollout r = { 0 };
    bool there;
    *out = (struct offer){ .release = o->release };
    if (o->state == ORDER_DOWNLOADING || o->state == ORDER_INSTALLED) /* it has begun */
        return CE_OK;
    if (o->state == ORDER_POSTPONED && o->row.until_at > b->now_ms) {
        out->wait = true;
        out->wait_s = (o->row.until_at - b->now_ms + 999) / 1000;
        return CE_OK;
    }
    enum err e = rollout_of(b, o, &r, &there, f);
    if (e || !there)
        return e;
    bool stopped = r.state == ROLLOUT_PAUSED || r.state == ROLLOUT_CANCELLED;
    out->wait_s = stopped ? HELD_S : window_wait(&r.row, b->now_ms, m->utc_offset_s);
    out->wait = out->wait_s > 0;
    return CE_OK;
}

/* -- members -------------------------------------------------------------------------------------------------------------------- */
static enum err candidate_of(struct batch *b, const struct device *d, struct candidate_row *out, struct fault *f)
{
    struct version_row v;
    enum err e = store_version_get(b->db, b->arena, d->uid, &v, f);
    *out = (struct candidate_row){ d->uid, d->model, d->batch, d->country, v.version, v.release, v.counter_floor, 0 };
    return e;
}

/* The wave that would have taken it: the first one that fits; 0: none. */
static enum err natural_wave(struct batch *b, const struct rollout *r, struct span uid, size_t *out, struct fault *f)
{
    enum err e = CE_OK;
    int64_t share = member_share(r->row.name, uid);
    *out = 0;
    for (size_t i = 0; !e && !*out && i < r->n_waves; i++) {
        bool fits = r->waves[i].percent && share < r->waves[i].percent * 100;
        if (r->waves[i].tag.n)
            e = store_tag_has(b->db, uid, r->waves[i].tag, &fits, f);
        *out = fits ? i + 1 : 0;
    }
    return e;
}

/* A device that appeared after its wave was filled joins the newest open one. */
static enum err late_join(struct batch *b, const struct rollout *r, const struct device *d, const struct candidate_row *c, struct member_row *m, struct fault *f)
{
    struct fault why = { 0 };
    bool good = !r->row.of.n && member_matches(&r->row, c);
    size_t wave = 0;
    enum err e = CE_OK;
    if (good && r->row.tag.n)
        e = store_tag_has(b->db, d->uid, r->row.tag, &good, f);
    if (!e && good && order_fits(b, d, &r->release, &why)) {
        good = false;
        if (db_err_fatal(why.code)) {
            *f = why;
            return why.code;
        }
    }
    e = e ? e : good ? natural_wave(b, r, d->uid, &wave, f) : CE_OK;
    if (e || !wave || !r->waves[wave - 1].filled_at)
        return e;
    e = member_join(b, r->row.name, r->row.wave, d->uid, span_str(member_judge(r, c)), f);
    return e ? e : store_member_get(b->db, b->arena, r->row.name, d->uid, m, f);
}

/* -- one rollout ------------------------------------------------------------------------------------------------------------------ */
static enum err back_release(struct batch *b, const struct device *d, struct release_row *out, bool *can, struct fault *f)
{
    struct version_row v;
    enum err e = store_version_get(b->db, b->arena, d->uid, &v, f);
    *can = false;
    if (!e && v.before_release.n)
        e = store_release_get(b->db, b->arena, v.line, v.before_release, out, f);
    if (!e && v.before_release.n)
        *can = !out->withdrawn && out->counter >= v.counter_floor;
    return e;
}

/* A member that was waiting: still so? Else it is noted, and release is empty. */
static enum err member_again(struct batch *b, const struct rollout *r, const struct device *d, const struct candidate_row *c, struct member_row *m,
                             struct release_row *release, struct fault *f)
{
    const char *now = "waiting";
    bool can = true;
    enum err e = CE_OK;
    *release = r->release;
    if (r->row.of.n) {
        e = back_release(b, d, release, &can, f);
        now = can ? now : "cannot";
    } else {
        now = r->release.withdrawn ? "cannot" : member_judge(r, c);
    }
    if (!e && !span_eq_str(m->state, now))
        e = member_set(b, r->row.name, m, span_str(now), b->now_ms, f);
    if (strcmp(now, "waiting") != 0)
        *release = (struct release_row){ 0 };
    return e;
}

static enum err member_offer(struct batch *b, const struct rollout *r, struct member_row *m, const struct release_row *release, struct order *o,
                             const struct msg_update_poll *poll, struct offer *out, struct fault *f)
{
    struct tally t = { 0 };
    out->release = *release;
    out->wait_s = r->state == ROLLOUT_PAUSED ? HELD_S : window_wait(&r->row, b->now_ms, poll->utc_offset_s);
    enum err e = !out->wait_s && r->row.max_active ? member_tally(b, r, 0, &t, f) : CE_OK;
    if (!e && r->row.max_active && t.active >= r->row.max_active)
        out->wait_s = FULL_S;
    out->wait = out->wait_s > 0;
    if (e || !out->wait)
        return e ? e : order_make(b, o, release, r->row.name, m->wave, span_str(""), r->row.created_by, f);
    return b->now_ms - m->since > OVERTAKEN_MS ? member_set(b, r->row.name, m, m->state, b->now_ms, f) : CE_OK;
}

/* Paused, and a later one takes it back: who has no order of it yet shall not wait for what will not come. */
static bool taken_back(const struct rollout *list, size_t i)
{
    if (list[i].state != ROLLOUT_PAUSED)
        return false;
    for (size_t k = 0; k < i; k++)
        if (span_eq(list[k].row.of, list[i].row.name) && list[k].state != ROLLOUT_CANCELLED)
            return true;
    return false;
}

enum err rollout_offer(struct batch *b, const struct device *d, struct order *o, const struct msg_update_poll *poll, struct offer *out, struct fault *f)
{
    struct rollout *list;
    struct candidate_row c;
    size_t n = 0;
    *out = (struct offer){ 0 };
    enum err e = rollout_live(b, &list, &n, f);
    e = e || !n ? e : candidate_of(b, d, &c, f);
    for (size_t i = 0; !e && i < n; i++) {
        const struct rollout *r = &list[i];
        struct release_row release = { 0 };
        struct member_row m;
        if (r->state == ROLLOUT_CANCELLED || !span_eq(r->row.line, d->line))
            continue;
        bool back = taken_back(list, i);
        e = store_member_get(b->db, b->arena, r->row.name, d->uid, &m, f);
        if (!e && !m.wave && !back)
            e = late_join(b, r, d, &c, &m, f);
        if (back && (span_eq_str(m.state, "waiting") || span_eq_str(m.state, "absent")))
            continue;
        if (e || !m.wave || span_eq_str(m.state, "cannot") || span_eq_str(m.state, "cancelled"))
            continue;
        if (span_eq_str(m.state, "waiting") || span_eq_str(m.state, "absent"))
            e = member_again(b, r, d, &c, &m, &release, f);
        if (e || span_eq_str(m.state, "cannot"))
            continue;
        return release.name.n ? member_offer(b, r, &m, &release, o, poll, out, f) : CE_OK;
    }
    return e;
}
