/* core/gate.c: what must hold before a rollout starts. Every rule is judged and written down, also those that hold. See core/rollout.h. */
#include "base/clock.h"
#include "core/rollout.h"
#include "core/line.h"
#include "store/artifact.h"

/* Nobody knows of vulnerabilities yet: said in the evidence, not passed over. */
static const struct gate_source *const source = NULL;

struct gate {
    struct buf rules, why;
    int bad;
};

static void rule(struct gate *g, const char *name, bool holds, const char *word)
{
    buf_printf(&g->rules, "%s%s %s", g->rules.len ? "; " : "", name, holds ? word : "no");
    if (holds)
        return;
    buf_printf(&g->why, "%s%s", g->bad++ ? ", " : "", name);
}

static enum err metadata_rules(struct batch *b, const struct rollout *r, struct gate *g, struct fault *f)
{
    struct tuf_row *rows;
    size_t n;
    bool signed_ = false, fresh = false;
    enum err e = rollout_metadata(b, &rows, &n, f);
    for (size_t i = 0; !e && i < n; i++) {
        signed_ |= span_eq(rows[i].role, r->row.line) && rows[i].expires_at > b->now_ms / 1000;
        fresh |= span_eq_str(rows[i].role, "targets") && rows[i].expires_at > b->now_ms / 1000;
    }
    rule(g, "line-metadata", signed_, "valid");
    rule(g, "targets-metadata", fresh, "valid");
    return e;
}

static enum err release_rules(struct batch *b, const struct rollout *r, struct gate *g, struct fault *f)
{
    const struct release_row *rel = &r->release;
    struct artifact_row file;
    char today[40];
    static const uint8_t none[32];
    clock_text_s(b->now_ms / 1000, today);
    today[10] = 0;
    rule(g, "release", !rel->withdrawn, "signed");
    rule(g, "sbom", rel->sbom_sha256.n == 32 && memcmp(rel->sbom_sha256.p, none, 32) != 0, "named");
    rule(g, "support-end", rel->support_end.n == 10 && memcmp(rel->support_end.p, today, 10) >= 0, "ahead");
    enum err e = store_artifact_get(b->db, b->arena, rel->sha256, &file, f);
    rule(g, "artifact", !e && file.length == rel->length, "stored");
    return db_err_fatal(e) ? e : CE_OK;
}

static enum err findings_rule(struct batch *b, const struct rollout *r, struct gate *g, struct fault *f)
{
    int64_t n = 0;
    enum err e = source ? source->open_findings(b, &r->release, &n, f) : CE_OK;
    rule(g, "findings", n == 0, source ? source->name : "none-registered");
    return e;
}

enum err rollout_approved(struct batch *b, const struct rollout *r, bool *enough, int64_t *have, int64_t *need, struct fault *f)
{
    const struct core_config *cfg = core_config(b->core);
    const struct rollout_row *row = &r->row;
    struct approval_row *rows;
    size_t n;
    bool all = !row->of.n && !row->model.n && !row->batch.n && !row->country.n && !row->version.n && !row->tag.n;
    enum err e = store_approval_list(b->db, b->arena, row->name, &rows, &n, f);
    struct line line = { 0 }; /* may ask for more than the site, never for less */
    e = e ? e : line_get(b, row->line, &line, f);
    int64_t of_line = line.more.approvals;
    *have = (int64_t)n;
    *need = all ? cfg->approvals_all : cfg->approvals;
    *need = of_line > *need ? of_line : *need;
    *enough = *have >= *need;
    return e;
}

enum err gate_judge(struct batch *b, const struct rollout *r, struct span by, bool *passed, struct span *why, struct fault *f)
{
    struct gate g = { .rules = BUF_INIT(0), .why = BUF_INIT(0) };
    bool enough = false;
    int64_t have, need;
    enum err e = metadata_rules(b, r, &g, f);
    if (!e && !r->row.of.n) /* one that takes back is judged device by device */
        e = release_rules(b, r, &g, f);
    e = e ? e : rollout_approved(b, r, &enough, &have, &need, f);
    rule(&g, "approvals", enough, "complete");
    e = e ? e : findings_rule(b, r, &g, f);
    *passed = !g.bad;
    *why = arena_copy(b->arena, buf_span(&g.why));
    if (!e) {
        struct json_out *j = event_begin(b, g.bad ? EVENT_GATE_REFUSED : EVENT_GATE_PASSED, span_str(""), 0);
        json_str(j, "name", r->row.name);
        json_str(j, "line", r->row.line);
        json_str(j, "release", r->row.release);
        json_str(j, "rules", buf_span(&g.rules));
        json_str(j, "by", by);
        event_end(b);
    }
    buf_free(&g.rules);
    buf_free(&g.why);
    return e;
}
