/* core/rollout_member.c: who belongs to a rollout, in which state, and how many of each. See core/rollout.h. */
#include "core/rollout.h"
#include "crypt/hash.h"
#include "wire/directive.h"

enum err member_join(struct batch *b, struct span rollout, int64_t wave, struct span uid, struct span state, struct fault *f)
{
    const struct member_row m = { .uid = uid, .wave = wave, .state = state, .since = b->now_ms };
    bool added = false;
    enum err e = store_member_add(b->db, rollout, &m, &added, f);
    return e || !added ? e : store_count_add(b->db, rollout, wave, state, 1, f);
}

enum err member_set(struct batch *b, struct span rollout, struct member_row *m, struct span state, int64_t since, struct fault *f)
{
    enum err e = CE_OK;
    if (!span_eq(m->state, state)) {
        e = store_count_add(b->db, rollout, m->wave, m->state, -1, f);
        e = e ? e : store_count_add(b->db, rollout, m->wave, state, 1, f);
    }
    if (!e && span_eq_str(m->state, "confirmed"))
        e = store_pace_add(b->db, rollout, m->since, -1, f);
    if (!e && span_eq_str(state, "confirmed"))
        e = store_pace_add(b->db, rollout, since, 1, f);
    m->state = state;
    m->since = since;
    return e ? e : store_member_set(b->db, rollout, m, f);
}

/* fold_order.c has the same rule for since. */
enum err member_follow(struct batch *b, const struct order_row *o, struct fault *f)
{
    struct member_row m;
    enum order_state s = ORDER_NONE;
    enum err e = o->rollout.n ? store_member_get(b->db, b->arena, o->rollout, o->uid, &m, f) : CE_OK;
    if (e || !o->rollout.n || !m.wave)
        return e;
    order_state_parse(o->state, &s);
    m.sequence = o->sequence;
    bool working = s == ORDER_OFFERED || s == ORDER_DOWNLOADING || s == ORDER_INSTALLED;
    return member_set(b, o->rollout, &m, o->state, working ? o->offered_at : s == ORDER_POSTPONED ? o->until_at : o->changed_at, f);
}

static void tally_add(struct tally *t, struct span state, int64_t n)
{
    enum order_state s = ORDER_NONE;
    order_state_parse(state, &s);
    bool waiting = span_eq_str(state, "waiting"), current = span_eq_str(state, "current"), absent = span_eq_str(state, "absent");
    if (s == ORDER_CANCELLED || span_eq_str(state, "cannot"))
        return; /* it was not asked to */
    t->members += n;
    t->confirmed += s == ORDER_CONFIRMED || current ? n : 0;
    t->failed += s == ORDER_FAILED || s == ORDER_REFUSED || s == ORDER_ROLLED_BACK ? n : 0;
    t->silent += s == ORDER_SILENT || absent ? n : 0;
    t->declined += s == ORDER_DECLINED ? n : 0;
    t->active += s == ORDER_ORDERED || s == ORDER_OFFERED || s == ORDER_DOWNLOADING || s == ORDER_INSTALLED ? n : 0;
    t->open += waiting || (order_state_open(s) && s != ORDER_SILENT) ? n : 0;
}

enum err member_tally(struct batch *b, const struct rollout *r, int64_t wave, struct tally *out, struct fault *f)
{
    struct count_row *rows;
    size_t n;
    *out = (struct tally){ .wave = wave };
    enum err e = store_count_list(b->db, b->arena, r->row.name, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        if (!wave || rows[i].wave == wave)
            tally_add(out, rows[i].state, rows[i].n);
    return e;
}

uint64_t member_rank(struct span rollout, struct span uid)
{
    uint8_t digest[SHA256_LEN];
    uint64_t rank = 0;
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, rollout);
    sha256_add(&h, SPAN_LIT("\n"));
    sha256_add(&h, uid);
    sha256_end(&h, digest);
    for (int i = 0; i < 8; i++)
        rank = rank << 8 | digest[i];
    return rank;
}

int64_t member_share(struct span rollout, struct span uid) { return (int64_t)(member_rank(rollout, uid) % 10000); }

static bool allows(struct span want, struct span have) { return !want.n || span_eq(want, have); }

bool member_matches(const struct rollout_row *r, const struct candidate_row *c)
{
    return c->model.n && allows(r->model, c->model) && allows(r->batch, c->batch) && allows(r->country, c->country) && allows(r->version, c->version);
}

const char *member_judge(const struct rollout *r, const struct candidate_row *c)
{
    const struct release_row *rel = &r->release;
    if (span_eq(c->release, rel->name) || span_eq(c->version, rel->version))
        return "current";
    if (c->counter_floor > rel->counter)
        return "cannot";
    if (!c->version.n)
        return "waiting";
    bool old = rel->min_version.n && version_cmp(c->version, rel->min_version) < 0, newer = version_cmp(c->version, rel->version) > 0;
    return old || newer ? "cannot" : "waiting";
}
