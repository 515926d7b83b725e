/* report_form.c: the forms of a report of cuts: a page, comma-separated values, JSON. Pure. */
#include "cli/report.h"

#include <stdio.h>
#include <string.h>

static const struct { const char *title; size_t offset; } cut_texts[] = {
#define T(title, field) { title, offsetof(struct cut_row, field) }
    T("device", device), T("line", line),         T("edge", edge),         T("addr", addr),         T("reason", reason),   T("decision", decision),
    T("kind", kind),     T("state", state),       T("by", by),             T("why", why),           T("note", note),       T("decided_at", decided_at),
    T("frame_at", frame_at), T("cut_at", cut_at), T("told_at", told_at),
#undef T
};

static const char *cut_text(const struct cut_row *row, size_t i)
{
    const char *s;
    memcpy(&s, (const char *)row + cut_texts[i].offset, sizeof s);
    return s;
}

/* -- JSON ------------------------------------------------------------------------------------------------------------------------- */
static json_t *spread_json(const struct spread *s, double unit)
{
    return json_pack("{s:I,s:f,s:f,s:f,s:f}", "n", (json_int_t)s->n, "p50", (double)s->p50 / unit, "p90", (double)s->p90 / unit, "p99", (double)s->p99 / unit,
                     "max", (double)s->max / unit);
}

json_t *cuts_json(const struct report *r)
{
    json_t *cuts = json_array(), *uncut = json_array();
    for (size_t i = 0; i < r->ncuts; i++) {
        json_t *o = json_object();
        for (size_t k = 0; k < ARRAY_LEN(cut_texts); k++)
            json_object_set_new(o, cut_texts[k].title, json_string(cut_text(&r->cuts[i], k)));
        json_object_set_new(o, "total_ms", r->cuts[i].total_ms < 0 ? json_null() : json_integer(r->cuts[i].total_ms));
        json_object_set_new(o, "host_ms", json_real((double)r->cuts[i].host_us / 1000));
        json_array_append_new(cuts, o);
    }
    for (size_t i = 0; i < r->nuncut; i++) {
        const struct uncut_row *u = &r->uncut[i];
        json_array_append_new(uncut, json_pack("{s:s,s:s,s:s,s:s,s:b,s:s,s:s,s:s,s:s,s:s,s:s}", "device", u->device, "line", u->line, "state", u->state, "edge", u->edge,
                                               "acked", u->acked, "addr", u->addr, "online_since", u->online_since, "decision", u->decision, "decided_at",
                                               u->decided_at, "by", u->by, "note", u->note));
    }
    return json_pack("{s:s,s:s,s:b,s:o,s:o,s:o,s:o}", "made_at", r->made_at, "since", r->since, "more", r->more, "total_ms", spread_json(&r->total_ms, 1), "host_ms",
                     spread_json(&r->host_us, 1000), "cuts", cuts, "uncut", uncut);
}

/* -- CSV, RFC 4180 ------------------------------------------------------------------------------------------------------------------ */
/* A spreadsheet runs what begins like a formula: an apostrophe makes it text. */
static void csv_text(struct buf *out, const char *s)
{
    buf_put_u8(out, '"');
    if (*s && strchr("=+-@\t\r", *s))
        buf_put_u8(out, '\'');
    for (; *s; s++) {
        if (*s == '"')
            buf_put_u8(out, '"');
        buf_put_u8(out, (uint8_t)*s);
    }
    buf_put_u8(out, '"');
}

void cuts_csv(const struct report *r, struct buf *out)
{
    for (size_t k = 0; k < ARRAY_LEN(cut_texts); k++)
        buf_printf(out, "%s,", cut_texts[k].title);
    buf_put_str(out, "total_ms,host_ms,closed\r\n");
    for (size_t i = 0; i < r->ncuts; i++) {
        const struct cut_row *row = &r->cuts[i];
        for (size_t k = 0; k < ARRAY_LEN(cut_texts); k++) {
            csv_text(out, cut_text(row, k));
            buf_put_u8(out, ',');
        }
        if (row->total_ms >= 0)
            buf_printf(out, "%lld", (long long)row->total_ms);
        buf_printf(out, ",%.3f,yes\r\n", (double)row->host_us / 1000);
    }
    for (size_t i = 0; i < r->nuncut; i++) {
        const struct uncut_row *u = &r->uncut[i];
        const struct cut_row row = { u->device, u->line, u->edge, u->addr, "", u->decision, "device-state", u->state, u->by, "", u->note, u->decided_at, "", "", "", -1, 0 };
        for (size_t k = 0; k < ARRAY_LEN(cut_texts); k++) {
            csv_text(out, cut_text(&row, k));
            buf_put_u8(out, ',');
        }
        buf_put_str(out, ",,no\r\n");
    }
}

/* -- HTML --------------------------------------------------------------------------------------------------------------------------- */
static void html_text(struct buf *out, const char *s)
{
    for (; *s; s++)
        switch (*s) {
        case '&': buf_put_str(out, "&amp;"); break;
        case '<': buf_put_str(out, "&lt;"); break;
        case '>': buf_put_str(out, "&gt;"); break;
        case '"': buf_put_str(out, "&quot;"); break;
        case '\'': buf_put_str(out, "&#39;"); break;
        default: buf_put_u8(out, (uint8_t)*s);
        }
}

static void cell(struct buf *out, const char *s)
{
    buf_put_str(out, "<td>");
    html_text(out, s);
    buf_put_str(out, "</td>");
}

static void head_row(struct buf *out, const char *const *titles)
{
    buf_put_str(out, "<thead><tr>");
    for (; *titles; titles++)
        buf_printf(out, "<th>%s</th>", *titles);
    buf_put_str(out, "</tr></thead>\n");
}

/* No script, nothing from elsewhere: the policy forbids both, should a text ever get through. */
static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\"><title>Sessions cut</title>\n<style>\n"
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em;color:#1a1a1a;background:#fff}h1{font-size:1.5em}h2{font-size:1.15em;margin-top:1.8em}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.25em .6em;border-bottom:1px solid #ccc;text-align:left;vertical-align:top}\n"
    "th{background:#f2f2f2}td.n{text-align:right}.bad{color:#a00;font-weight:bold}.good{color:#060}td.note{max-width:24em;overflow-wrap:anywhere}\n"
    "@media print{body{margin:0;font-size:10px}thead{display:table-header-group}tr{break-inside:avoid}th{background:none}}\n</style></head><body>\n";

static void html_summary(const struct report *r, struct buf *out)
{
    buf_put_str(out, "<h1>Sessions cut</h1>\n<p>Site ");
    html_text(out, r->site);
    buf_put_str(out, ", made ");
    html_text(out, r->made_at);
    buf_put_str(out, *r->since ? ", since " : ", since the beginning");
    html_text(out, r->since);
    if (*r->device)
        buf_put_str(out, ", device "), html_text(out, r->device);
    if (*r->edge)
        buf_put_str(out, ", host "), html_text(out, r->edge);
    buf_printf(out, ".</p>\n<p>%zu sessions were closed, %zu of them because somebody decided so; <span class=\"%s\">%zu that a decision should have closed are open</span>, "
                    "as far as is known.%s</p>\n", r->ncuts, r->total_ms.n, r->nuncut ? "bad" : "good", r->nuncut, r->more ? " There is more than this report holds." : "");
    static const char *const titles[] = { "ms", "half within", "90 % within", "99 % within", "slowest", NULL };
    buf_put_str(out, "<table>");
    head_row(out, titles);
    buf_printf(out, "<tr><td>from the decision to the report, by the server's clock</td><td class=\"n\">%lld</td><td class=\"n\">%lld</td><td class=\"n\">%lld</td>"
                    "<td class=\"n\">%lld</td></tr>\n", (long long)r->total_ms.p50, (long long)r->total_ms.p90, (long long)r->total_ms.p99, (long long)r->total_ms.max);
    buf_printf(out, "<tr><td>of that at the broker's host, by its clock</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f</td><td class=\"n\">%.1f</td>"
                    "<td class=\"n\">%.1f</td></tr></table>\n", (double)r->host_us.p50 / 1000, (double)r->host_us.p90 / 1000, (double)r->host_us.p99 / 1000,
               (double)r->host_us.max / 1000);
}

static void html_uncut(const struct report *r, struct buf *out)
{
    static const char *const titles[] = { "device", "line", "state", "host", "host has it", "address", "connected since", "decision", "decided", "by", "note", NULL };
    if (!r->nuncut)
        return;
    buf_put_str(out, "<h2 class=\"bad\">Not closed, as far as is known</h2>\n<table>");
    head_row(out, titles);
    for (size_t i = 0; i < r->nuncut; i++) {
        const struct uncut_row *u = &r->uncut[i];
        const char *const cells[] = { u->device, u->line, u->state, u->edge, u->acked ? "yes" : "no", u->addr, u->online_since, u->decision, u->decided_at, u->by, u->note };
        buf_put_str(out, "<tr>");
        for (size_t k = 0; k < ARRAY_LEN(cells); k++)
            cell(out, cells[k]);
        buf_put_str(out, "</tr>\n");
    }
    buf_put_str(out, "</table>\n");
}

static void html_cuts(const struct report *r, struct buf *out)
{
    static const char *const titles[] = { "decided", "by", "state", "why", "note", "event", "device", "line", "host", "address", "reason at the host", "frame signed",
                                          "closed (host's clock)", "told", "total ms", "at host ms", NULL };
    buf_put_str(out, "<h2>Closed</h2>\n<table>");
    head_row(out, titles);
    for (size_t i = 0; i < r->ncuts; i++) {
        const struct cut_row *c = &r->cuts[i];
        const char *const first[] = { c->decided_at, c->by, *c->state ? c->state : c->kind, c->why };
        const char *const rest[] = { c->decision, c->device, c->line, c->edge, c->addr, c->reason, c->frame_at, c->cut_at, c->told_at };
        buf_put_str(out, "<tr>");
        for (size_t k = 0; k < ARRAY_LEN(first); k++)
            cell(out, first[k]);
        buf_put_str(out, "<td class=\"note\">");
        html_text(out, c->note);
        buf_put_str(out, "</td>");
        for (size_t k = 0; k < ARRAY_LEN(rest); k++)
            cell(out, rest[k]);
        if (c->total_ms >= 0)
            buf_printf(out, "<td class=\"n\">%lld</td>", (long long)c->total_ms);
        else
            buf_put_str(out, "<td></td>");
        buf_printf(out, "<td class=\"n\">%.1f</td></tr>\n", (double)c->host_us / 1000);
    }
    buf_put_str(out, "</table>\n");
}

void cuts_html(const struct report *r, struct buf *out)
{
    buf_put_str(out, page_head);
    html_summary(r, out);
    html_uncut(r, out);
    html_cuts(r, out);
    buf_put_str(out, "</body></html>\n");
}
