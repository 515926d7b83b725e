/* report.c: `cradle report cuts`: every session that was closed, who decided it and how long it took; and those that should have been. */
#include "cli/report.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"

#define ROWS_DEFAULT 100000
#define SHOWN 40

static const char *text(struct report *r, const json_t *o, const char *path) { return arena_str(&r->arena, span_str(json_path_str(o, path, ""))); }

static const char *event_name_of(struct report *r, const json_t *ev)
{
    if (!json_is_object(ev))
        return "";
    return arena_printf(&r->arena, "%lld:%lld", (long long)json_path_int(ev, "slot", 0), (long long)json_path_int(ev, "nseq", 0));
}

static void cut_take(struct report *r, const json_t *o)
{
    const json_t *d = json_object_get(o, "decision");
    r->cuts[r->ncuts++] = (struct cut_row){
        .device = text(r, o, "device"), .line = text(r, o, "line"), .edge = text(r, o, "payload.edge"), .addr = text(r, o, "payload.addr"),
        .reason = text(r, o, "payload.reason"), .decision = event_name_of(r, d), .kind = text(r, d, "kind"), .state = text(r, d, "payload.to"),
        .by = text(r, d, "payload.by"), .why = text(r, d, "payload.reason"), .note = text(r, d, "payload.note"), .decided_at = text(r, d, "at"),
        .frame_at = text(r, o, "payload.frame_at"), .cut_at = text(r, o, "payload.cut_at"), .told_at = text(r, o, "at"),
        .total_ms = json_path_int(o, "total_ms", -1), .host_us = json_path_int(o, "payload.latency_us", 0),
    };
}

static void uncut_take(struct report *r, const json_t *o)
{
    const json_t *d = json_object_get(o, "decision");
    r->uncut[r->nuncut++] = (struct uncut_row){
        .device = text(r, o, "device"), .line = text(r, o, "line"), .state = text(r, o, "state"), .edge = text(r, o, "edge"), .addr = text(r, o, "addr"),
        .online_since = text(r, o, "online_since"), .decision = event_name_of(r, d), .decided_at = text(r, d, "at"), .by = text(r, d, "payload.by"),
        .note = text(r, d, "payload.note"), .acked = json_is_true(json_object_get(o, "acked")),
    };
}

/* Every page of one of the two lists, up to max rows. */
static enum err pages_read(struct cli *c, struct report *r, const struct list *l, bool cuts, size_t max, struct fault *f)
{
    CLEANUP(mem_free_p) char *next = NULL;
    enum err e;
    size_t n = 0;
    do {
        CLEANUP(json_decref_p) json_t *page = json_array();
        size_t i;
        json_t *o;
        e = cli_list_page(c, l, (int64_t)(max - n), page, &next, f);
        n += json_array_size(page);
        if (cuts)
            r->cuts = mem_realloc(r->cuts, (n + 1) * sizeof *r->cuts);
        else
            r->uncut = mem_realloc(r->uncut, (n + 1) * sizeof *r->uncut);
        json_array_foreach(page, i, o)
            (cuts ? cut_take : uncut_take)(r, o);
        cli_progress(c, cuts ? "cuts" : "open sessions", (int64_t)n, 0);
    } while (!e && next && n < max);
    cli_progress_end(c);
    r->more |= !e && next;
    return e;
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* Sorts values. */
static void spread_of(int64_t *values, size_t n, struct spread *out)
{
    *out = (struct spread){ .n = n };
    if (!n)
        return;
    qsort(values, n, sizeof *values, by_value);
    out->p50 = values[(n * 50 + 99) / 100 - 1];
    out->p90 = values[(n * 90 + 99) / 100 - 1];
    out->p99 = values[(n * 99 + 99) / 100 - 1];
    out->max = values[n - 1];
}

/* Of the cuts that somebody decided. */
static void spreads_make(struct report *r)
{
    int64_t *total = mem_calloc(r->ncuts + 1, sizeof *total), *host = mem_calloc(r->ncuts + 1, sizeof *host);
    size_t n = 0, nhost = 0;
    for (size_t i = 0; i < r->ncuts; i++) {
        if (r->cuts[i].total_ms >= 0)
            total[n++] = r->cuts[i].total_ms;
        if (r->cuts[i].total_ms >= 0 && r->cuts[i].host_us > 0)
            host[nhost++] = r->cuts[i].host_us;
    }
    spread_of(total, n, &r->total_ms);
    spread_of(host, nhost, &r->host_us);
    free(total);
    free(host);
}

/* "7d" ago, or RFC 3339. */
static enum err since_read(struct cli *c, struct report *r, struct fault *f)
{
    const char *given = cli_opt_or(c, "--since", "");
    int64_t s, at;
    char text_at[CLOCK_TEXT_MAX];
    r->since = "";
    if (!*given)
        return CE_OK;
    if (clock_parse_span_s(span_str(given), &s) == CE_OK)
        at = clock_now_ms() - s * 1000;
    else if (clock_parse_ms(span_str(given), &at))
        return fault_set(f, CE_USAGE, "--since must be a time span such as 12h or 30d, or a time such as 2026-11-20T22:57:00Z, not '%s'", given);
    clock_text_ms(at > 0 ? at : 0, text_at);
    r->since = arena_str(&r->arena, span_str(text_at));
    return CE_OK;
}

static enum err report_read(struct cli *c, struct report *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf q = BUF_INIT(2048);
    int64_t limit;
    char now[CLOCK_TEXT_MAX];
    enum err e = cli_opt_int(c, "--limit", ROWS_DEFAULT, 1, 10000000, &limit, f);
    e = e ? e : since_read(c, r, f);
    e = e ? e : cli_net(c, f);
    if (e)
        return e;
    r->site = c->net_cfg.base;
    r->device = cli_opt_or(c, "--device", "");
    r->edge = cli_opt_or(c, "--edge", "");
    clock_text_ms(clock_now_ms(), now);
    r->made_at = arena_str(&r->arena, span_str(now));
    query_add(&q, "since", *r->since ? r->since : NULL);
    query_add(&q, "device", cli_opt(c, "--device"));
    query_add(&q, "edge", cli_opt(c, "--edge"));
    const struct list cuts = { .path = "/api/v1/reports/cuts", .query = buf_span(&q) }, uncut = { .path = "/api/v1/reports/uncut", .query = buf_span(&q) };
    e = pages_read(c, r, &cuts, true, (size_t)limit, f);
    e = e ? e : pages_read(c, r, &uncut, false, (size_t)limit, f);
    spreads_make(r);
    return e;
}

static void report_free(struct report *r)
{
    free(r->cuts);
    free(r->uncut);
    arena_free(&r->arena);
}

/* -- on a terminal --------------------------------------------------------------------------------------------------------------- */
static void print_spread(const struct cli *c, const struct report *r)
{
    cli_say(c, "%zu sessions closed%s%s, %zu of them because somebody decided so", r->ncuts, *r->since ? " since " : "", r->since, r->total_ms.n);
    if (!r->total_ms.n)
        return;
    cli_say(c, "  from the decision to the report:  half within %lld ms, 90 %% within %lld, 99 %% within %lld, the slowest %lld ms", (long long)r->total_ms.p50,
            (long long)r->total_ms.p90, (long long)r->total_ms.p99, (long long)r->total_ms.max);
    cli_say(c, "  of that at the broker's host:     half within %.1f ms, 90 %% within %.1f, 99 %% within %.1f, the slowest %.1f ms", (double)r->host_us.p50 / 1000,
            (double)r->host_us.p90 / 1000, (double)r->host_us.p99 / 1000, (double)r->host_us.max / 1000);
}

static void print_text(const struct cli *c, const struct report *r, json_t *o)
{
    static const struct column cols[] = {
        { "DECIDED", "decided_at", 24, NULL }, { "DEVICE", "device", 0, NULL }, { "EDGE", "edge", 0, NULL },       { "TOTAL MS", "total_ms", 0, NULL },
        { "AT HOST", "host_ms", 0, NULL },     { "REASON", "reason", 0, NULL }, { "BY", "by", 0, NULL },           { "NOTE", "note", 0, NULL },
    };
    static const struct column missing[] = {
        { "DEVICE", "device", 0, NULL }, { "STATE", "state", 0, tint_state }, { "EDGE", "edge", 0, NULL },       { "ACKED", "acked", 0, NULL },
        { "ADDRESS", "addr", 0, NULL },  { "DECIDED", "decided_at", 0, NULL }, { "BY", "by", 0, NULL },
    };
    json_t *cuts = json_object_get(o, "cuts");
    print_spread(c, r);
    while (json_array_size(cuts) > SHOWN)
        json_array_remove(cuts, 0);
    if (r->ncuts > SHOWN)
        cli_say(c, "the newest %d (--csv, --html and --json have all):", SHOWN);
    if (r->ncuts && !c->quiet)
        cli_table(c, cuts, cols, ARRAY_LEN(cols));
    if (r->nuncut && !c->quiet) {
        cli_say(c, "\n%sNot closed, as far as is known: %zu%s", cli_tint(c, TINT_BAD), r->nuncut, cli_tint(c, TINT_NONE));
        cli_table(c, json_object_get(o, "uncut"), missing, ARRAY_LEN(missing));
    }
    if (r->more)
        cli_say(c, "There is more: narrow it by --since, or raise --limit");
}

static enum err cuts_out(struct cli *c, const struct report *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(1u << 30);
    const char *html = cli_opt(c, "--html");
    if (html)
        cuts_html(r, &out);
    else if (cli_flag(c, "--csv"))
        cuts_csv(r, &out);
    if (buf_err(&out))
        return fault_set(f, CE_TOO_LARGE, "the report is too large; narrow it by --since");
    if (html) {
        enum err e = file_write_atomic(html, buf_span(&out), 0644);
        if (e)
            return fault_set(f, e, "%s cannot be written: %s", html, err_text(e));
        print_spread(c, r);
        cli_say(c, "wrote %s: %zu cuts, %zu sessions that are open against a decision", html, r->ncuts, r->nuncut);
        return CE_OK;
    }
    if (cli_flag(c, "--csv")) {
        fwrite(out.data, 1, out.len, stdout);
        return CE_OK;
    }
    CLEANUP(json_decref_p) json_t *o = cuts_json(r);
    if (c->json)
        cli_print_json(o);
    else
        print_text(c, r, o);
    return CE_OK;
}

static enum err cuts_run(struct cli *c, struct fault *f)
{
    CLEANUP(report_free) struct report r = { 0 };
    if (!!cli_opt(c, "--html") + cli_flag(c, "--csv") + c->json > 1)
        return fault_set(f, CE_USAGE, "--html, --csv and --json are three forms of one report: give one");
    enum err e = report_read(c, &r, f);
    return e ? e : cuts_out(c, &r, f);
}

static const struct verb_opt cuts_opts[] = {
    { "--since", "TIME", "from then on: a span (12h, 30d) before now, or a time (2026-11-20T22:57:00Z)", false },
    { "--device", "UID", "of this device", false },
    { "--edge", "NAME", "at this broker host", false },
    { "--html", "FILE", "write one self-contained page to FILE", false },
    { "--csv", NULL, "print comma-separated values (RFC 4180)", false },
    { "--limit", "ROWS", "stop after so many rows (default 100000)", false },
};
const struct verb verb_report_cuts = {
    .name = "report cuts", .args = "", .help = "every session that was cut: who decided, why, and how long it took",
    .text = "Total is from the decision to when the server was told, by the server's clock: never less than it was. At host is what the broker's host took of "
            "it, by the host's clock. Sessions that a decision should have closed and that are open, as far as is known, are named at the end, with "
            "whether their host has taken the decision over. In CSV a text that a spreadsheet would take for a formula begins with an apostrophe.",
    .example = "cradle report cuts --since 30d\ncradle report cuts --since 2026-11-20T00:00:00Z --html incident.html", VERB_OPTS(cuts_opts), .run = cuts_run,
};
