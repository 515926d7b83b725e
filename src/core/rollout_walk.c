/* core/rollout_walk.c: fills the newest wave of a rollout with members, ROLLOUT_PIECE devices a batch along an index. A walk that ended in the
 * middle, by a crash or by a batch that failed, begins anew: who is a member stays one. See core/rollout.h.
 */
#include <stdlib.h>

#include "core/rollout.h"
#include "store/registry.h"
#include "store/tag.h"

struct pick { uint64_t rank; char uid[65], state[8]; };

struct rollout_walk {
    bool active;
    char rollout[49], after[65];
    int64_t wave;
    struct pick *picks;  /* owned; a heap, the highest rank on top: those who come first in the rollout's order */
    size_t n_picks, picks_cap;
};

struct rollout_walk *rollout_walk_new(void) { return mem_calloc(1, sizeof(struct rollout_walk)); }

void rollout_walk_free(struct rollout_walk *w)
{
    if (w)
        free(w->picks);
    free(w);
}

/* -- the N lowest ranks -------------------------------------------------------------------------------------------------------- */
static void pick_swap(struct pick *a, struct pick *b)
{
    struct pick t = *a;
    *a = *b;
    *b = t;
}

static void heap_up(struct pick *h, size_t i)
{
    for (; i && h[(i - 1) / 2].rank < h[i].rank; i = (i - 1) / 2)
        pick_swap(&h[i], &h[(i - 1) / 2]);
}

static void heap_down(struct pick *h, size_t n)
{
    for (size_t i = 0, top = 0;; i = top) {
        for (size_t k = 2 * i + 1; k <= 2 * i + 2 && k < n; k++)
            top = h[k].rank > h[top].rank ? k : top;
        if (top == i)
            return;
        pick_swap(&h[i], &h[top]);
    }
}

static void pick_offer(struct rollout_walk *w, size_t max, uint64_t rank, struct span uid, const char *state)
{
    if (w->n_picks == max && rank >= w->picks[0].rank)
        return;
    if (w->n_picks == w->picks_cap) {
        w->picks_cap = w->picks_cap ? w->picks_cap * 2 : 64;
        w->picks = mem_realloc(w->picks, w->picks_cap * sizeof *w->picks);
    }
    bool full = w->n_picks == max;
    struct pick *p = &w->picks[full ? 0 : w->n_picks];
    *p = (struct pick){ .rank = rank };
    snprintf(p->uid, sizeof p->uid, SPAN_FMT, SPAN_ARG(uid));
    snprintf(p->state, sizeof p->state, "%s", state);
    if (full)
        heap_down(w->picks, w->n_picks);
    else
        heap_up(w->picks, w->n_picks++);
}

/* -- one device ----------------------------------------------------------------------------------------------------------------- */
/* The models whose devices the release fits: asked once a piece. */
struct fits { struct span model; bool good; };

static enum err model_fits(struct batch *b, const struct rollout *r, struct span model, struct fits *cache, bool *good, struct fault *f)
{
    const struct device d = { .model = model };
    struct fault why = { 0 };
    enum err e = CE_OK;
    if (!span_eq(cache->model, model)) {
        e = order_fits(b, &d, &r->release, &why);
        *cache = (struct fits){ model, !e };
    }
    *good = cache->good;
    if (e && db_err_fatal(e))
        *f = why;
    return e && db_err_fatal(e) ? e : CE_OK;
}

static enum err candidate_take(struct batch *b, struct rollout_walk *w, const struct rollout *r, const struct wave_row *wave, const struct candidate_row *c,
                               struct fits *cache, struct fault *f)
{
    bool good = member_matches(&r->row, c) && !c->member_wave;
    enum err e = good ? model_fits(b, r, c->model, cache, &good, f) : CE_OK;
    if (!e && good && r->row.tag.n)
        e = store_tag_has(b->db, c->uid, r->row.tag, &good, f);
    if (!e && good && wave->tag.n)
        e = store_tag_has(b->db, c->uid, wave->tag, &good, f);
    if (e || !good || (wave->percent && member_share(r->row.name, c->uid) >= wave->percent * 100))
        return e;
    const char *state = member_judge(r, c);
    if (!wave->devices)
        return member_join(b, r->row.name, wave->wave, c->uid, span_str(state), f);
    pick_offer(w, (size_t)wave->devices, member_rank(r->row.name, c->uid), c->uid, state);
    return CE_OK;
}

/* Back to what it had confirmed before, where its floor allows. */
static enum err back_take(struct batch *b, const struct rollout *r, const struct wave_row *wave, const struct member_row *m, struct fault *f)
{
    struct version_row v;
    struct release_row rel = { 0 };
    if (!span_eq_str(m->state, "confirmed"))
        return CE_OK;
    enum err e = store_version_get(b->db, b->arena, m->uid, &v, f);
    if (!e && v.before_release.n)
        e = store_release_get(b->db, b->arena, v.line, v.before_release, &rel, f);
    bool can = rel.name.n && !rel.withdrawn && rel.counter >= v.counter_floor;
    return e ? e : member_join(b, r->row.name, wave->wave, m->uid, can ? SPAN_LIT("waiting") : SPAN_LIT("cannot"), f);
}

/* -- pieces --------------------------------------------------------------------------------------------------------------------- */
static enum err piece_back(struct batch *b, struct rollout_walk *w, const struct rollout *r, const struct wave_row *wave, size_t *n, struct fault *f)
{
    struct member_row *rows;
    enum err e = store_member_page(b->db, b->arena, r->row.of, span_str(w->after), ROLLOUT_PIECE, &rows, n, f);
    for (size_t i = 0; !e && i < *n; i++)
        e = back_take(b, r, wave, &rows[i], f);
    if (!e && *n)
        snprintf(w->after, sizeof w->after, SPAN_FMT, SPAN_ARG(rows[*n - 1].uid));
    return e;
}

static enum err piece_group(struct batch *b, struct rollout_walk *w, const struct rollout *r, const struct wave_row *wave, size_t *n, struct fault *f)
{
    struct candidate_row *rows;
    struct fits cache = { 0 };
    enum err e = store_candidates(b->db, b->arena, r->row.line, r->row.name, span_str(w->after), ROLLOUT_PIECE, &rows, n, f);
    for (size_t i = 0; !e && i < *n; i++)
        e = candidate_take(b, w, r, wave, &rows[i], &cache, f);
    if (!e && *n)
        snprintf(w->after, sizeof w->after, SPAN_FMT, SPAN_ARG(rows[*n - 1].uid));
    return e;
}

static enum err walk_end(struct batch *b, struct rollout_walk *w, const struct rollout *r, struct wave_row wave, struct fault *f)
{
    struct tally t;
    enum err e = CE_OK;
    for (size_t i = 0; !e && i < w->n_picks; i++)
        e = member_join(b, r->row.name, wave.wave, span_str(w->picks[i].uid), span_str(w->picks[i].state), f);
    w->active = false;
    wave.filled_at = b->now_ms;
    e = e ? e : store_wave_put(b->db, r->row.name, &wave, f);
    e = e ? e : member_tally(b, r, wave.wave, &t, f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_WAVE_FILLED, span_str(""), 0);
    json_str(j, "name", r->row.name);
    json_int(j, "wave", wave.wave);
    json_int(j, "members", t.members);
    json_int(j, "confirmed", t.confirmed);
    event_end(b);
    struct rollout_row row = r->row;
    return rollout_save(b, &row, f);
}

static void piece_then(void *data, bool committed)
{
    struct rollout_walk *w = data;
    if (!committed) /* the rows are gone, so the place is wrong */
        w->active = false;
}

enum err rollout_walk_piece(struct batch *b, struct rollout_walk *w, const struct rollout *r, bool *done, struct fault *f)
{
    const struct wave_row *wave = &r->waves[r->row.wave - 1];
    size_t n = 0;
    if (!w->active || !span_eq_str(r->row.name, w->rollout) || w->wave != wave->wave) {
        w->active = true;
        w->wave = wave->wave;
        w->after[0] = 0;
        w->n_picks = 0;
        snprintf(w->rollout, sizeof w->rollout, SPAN_FMT, SPAN_ARG(r->row.name));
    }
    enum err e = r->row.of.n ? piece_back(b, w, r, wave, &n, f) : piece_group(b, w, r, wave, &n, f);
    batch_then(b, piece_then, w);
    *done = !e && n < ROLLOUT_PIECE;
    return *done ? walk_end(b, w, r, *wave, f) : e;
}
