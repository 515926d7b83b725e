/* wait.c: see wait.h. */
#include "cli/wait.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

#define WAIT_POLL_MS 20
#define WAIT_CUT_MS 500 /* a closed session is told by the broker just after its edge took the change over */

static enum err get_json(struct cli *c, const char *path, json_t **out, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = cli_call(c, "GET", path, (struct span){ 0 }, &r, f);
    return e ? e : cli_json(&r, out, f);
}

/* The component of slot in vector text "slot:nseq,slot:nseq"; -1 when absent. */
static int64_t vector_at(const char *vector, int64_t slot)
{
    struct span rest = span_str(vector), part, s;
    while (span_cut(&rest, ',', &part)) {
        int64_t a, b;
        if (span_cut(&part, ':', &s) && span_to_i64(s, &a) && span_to_i64(part, &b) && a == slot)
            return b;
    }
    return -1;
}

enum err wait_open(struct cli *c, struct wait *w, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    *w = (struct wait){ .c = c, .devices = json_object() };
    enum err e = get_json(c, "/api/v1/operators?limit=500", &o, f);
    size_t i;
    json_t *op;
    json_array_foreach(json_object_get(o, "items"), i, op) {
        if (strcmp(json_path_str(op, "role", ""), "edge") != 0 || strcmp(json_path_str(op, "state", "active"), "removed") == 0)
            continue;
        w->hosts = mem_realloc(w->hosts, (w->n + 1) * sizeof *w->hosts);
        w->hosts[w->n] = (struct wait_host){ 0 };
        snprintf(w->hosts[w->n++].name, sizeof w->hosts[0].name, "%s", json_path_str(op, "name", ""));
    }
    return e;
}

void wait_close(struct wait *w)
{
    free(w->hosts);
    json_decref(w->devices);
    *w = (struct wait){ 0 };
}

enum err wait_for_decision(struct wait *w, const char *decided, const char *decided_at, const char *const *uids, size_t n, struct fault *f)
{
    struct span rest = span_str(decided), slot_text;
    int64_t at_ms;
    if (!decided || !decided_at || !span_cut(&rest, ':', &slot_text) || !span_to_i64(slot_text, &w->slot) || !span_to_i64(rest, &w->nseq) ||
        clock_parse_ms(span_str(decided_at), &at_ms))
        return fault_set(f, CE_BAD_JSON, "the service does not say which event decided");
    if (!w->after[0])
        snprintf(w->after, sizeof w->after, "%lld:%lld", (long long)w->slot, (long long)w->nseq);
    w->at_ms = at_ms;
    for (size_t i = 0; i < n; i++)
        json_object_set_new(w->devices, uids[i], json_integer(at_ms));
    for (size_t i = 0; i < w->n; i++)
        w->nacked -= w->hosts[i].acked, w->hosts[i].acked = false;
    return CE_OK;
}

static struct wait_host *host_find(struct wait *w, const char *name)
{
    for (size_t i = 0; i < w->n; i++)
        if (strcmp(w->hosts[i].name, name) == 0)
            return &w->hosts[i];
    return NULL;
}

/* From a decision to when the server was told; 0 when its clock was set back meanwhile. */
static int64_t after_ms(struct wait *w, const json_t *ev, int64_t decided_ms)
{
    int64_t at;
    if (clock_parse_ms(span_str(json_path_str(ev, "at", "")), &at) || at < decided_ms)
        return 0;
    if (at - decided_ms > w->slowest_ms)
        w->slowest_ms = at - decided_ms;
    return at - decided_ms;
}

static void take_cut(struct wait *w, const json_t *ev)
{
    const json_t *decided = json_object_get(w->devices, json_path_str(ev, "device", ""));
    struct wait_host *h = host_find(w, json_path_str(ev, "payload.edge", ""));
    if (!decided || !h)
        return;
    int64_t ms = after_ms(w, ev, (int64_t)json_integer_value(decided));
    h->cuts++;
    w->ncut++;
    h->last_cut_ms = ms > h->last_cut_ms ? ms : h->last_cut_ms;
    if (!w->quiet)
        cli_say(w->c, "  %s closed a live session after %lld ms (%.1f ms of it at the host)", h->name, (long long)ms,
                (double)json_path_int(ev, "payload.latency_us", 0) / 1000);
}

static void take_ack(struct wait *w, const json_t *ev)
{
    struct wait_host *h = host_find(w, json_path_str(ev, "payload.edge", ""));
    if (!h || h->acked || vector_at(json_path_str(ev, "payload.vector", ""), w->slot) < w->nseq)
        return;
    h->acked = true;
    w->nacked++;
    h->after_ms = after_ms(w, ev, w->at_ms);
    h->own_us = json_path_int(ev, "payload.latency_us", 0);
    if (!w->quiet)
        cli_say(w->c, "  %s took it over after %lld ms (%.1f ms of it at the host)", h->name, (long long)h->after_ms, (double)h->own_us / 1000);
}

/* *more: the page was full. */
static enum err wait_poll(struct wait *w, bool *more, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(2048);
    CLEANUP(json_decref_p) json_t *o = NULL;
    buf_put_str(&path, "/api/v1/events?limit=500&after=");
    net_escape(&path, span_str(w->after));
    enum err e = get_json(w->c, buf_cstr(&path), &o, f);
    size_t i;
    json_t *ev;
    json_array_foreach(json_object_get(o, "items"), i, ev) {
        if (strcmp(json_path_str(ev, "kind", ""), "cut") == 0)
            take_cut(w, ev);
        else if (strcmp(json_path_str(ev, "kind", ""), "edge-ack") == 0)
            take_ack(w, ev);
        if (json_path_int(ev, "slot", -1) == w->slot)
            snprintf(w->after, sizeof w->after, "%lld:%lld", (long long)w->slot, (long long)json_path_int(ev, "nseq", 0));
    }
    *more = json_is_string(json_object_get(o, "next"));
    return e;
}

/* -- hosts that do not answer ----------------------------------------------------------------------------------------------------- */
static void host_trouble(const json_t *status, const struct wait_host *h, struct buf *out)
{
    size_t i;
    json_t *e;
    char ago[32];
    int64_t seen = 0;
    bool stale = false;
    json_array_foreach(json_object_get(status, "edges"), i, e)
        if (strcmp(json_path_str(e, "name", ""), h->name) == 0) {
            if (clock_parse_ms(span_str(json_path_str(e, "seen_at", "")), &seen))
                seen = 0;
            stale = json_is_true(json_object_get(e, "stale"));
        }
    int64_t now = 0;
    if (clock_parse_ms(span_str(json_path_str(status, "at", "")), &now))
        seen = 0;
    if (seen)
        buf_printf(out, "%s %s (%sheard of %s ago)", out->len ? "," : "", h->name, stale ? "stale, " : "", cli_ms_text(now - seen, ago, sizeof ago));
    else
        buf_printf(out, "%s %s (never heard of)", out->len ? "," : "", h->name);
}

static enum err wait_missed(struct wait *w, int64_t limit_ms, struct fault *f)
{
    CLEANUP(buf_free) struct buf names = BUF_INIT(160);
    CLEANUP(json_decref_p) json_t *status = NULL;
    struct fault ignored;
    if (get_json(w->c, "/api/v1/status", &status, &ignored))
        status = NULL; /* the names alone, then */
    for (size_t i = 0; i < w->n; i++)
        if (!w->hosts[i].acked)
            host_trouble(status, &w->hosts[i], &names);
    return fault_set(f, CE_TIMEOUT, "the change is durable, but not taken over within %.1f s by:%s; look at cradle status and at cradle-edge there",
                     (double)limit_ms / 1000, buf_err(&names) ? " several edges" : buf_cstr(&names));
}

static enum err wait_acks(struct wait *w, int64_t limit_ms, struct fault *f)
{
    int64_t end = clock_mono_ms() + limit_ms;
    while (w->nacked < w->n) {
        bool more;
        enum err e = wait_poll(w, &more, f);
        if (e)
            return e;
        if (w->nacked == w->n)
            break;
        if (clock_mono_ms() > end)
            return wait_missed(w, limit_ms, f);
        if (!more)
            poll(NULL, 0, WAIT_POLL_MS);
    }
    return CE_OK;
}

static enum err wait_cuts(struct wait *w, int64_t limit_ms, struct fault *f)
{
    int64_t now = clock_mono_ms(), last = now, end = now + limit_ms;
    enum err e = CE_OK;
    size_t devices = json_object_size(w->devices);
    while (!e && w->n && (size_t)w->ncut < devices && now - last < WAIT_CUT_MS && now < end) {
        bool more;
        int64_t had = w->ncut;
        e = wait_poll(w, &more, f);
        now = clock_mono_ms();
        last = more || w->ncut > had ? now : last;
        if (!more && !e)
            poll(NULL, 0, WAIT_POLL_MS);
    }
    return e;
}

enum err wait_run(struct wait *w, int64_t limit_ms, bool cuts, struct fault *f)
{
    if (!w->n)
        cli_say(w->c, "  there is no edge to wait for");
    enum err e = wait_acks(w, limit_ms, f);
    e = e || !cuts ? e : wait_cuts(w, limit_ms, f);
    for (size_t i = 0; w->quiet && i < w->n; i++) {
        const struct wait_host *h = &w->hosts[i];
        if (h->acked)
            cli_say(w->c, "  %s took it over after %lld ms (%.1f ms of it at the host)", h->name, (long long)h->after_ms, (double)h->own_us / 1000);
        if (h->cuts)
            cli_say(w->c, "  %s closed %lld live sessions, the last after %lld ms", h->name, (long long)h->cuts, (long long)h->last_cut_ms);
    }
    return e;
}

json_t *wait_json(const struct wait *w)
{
    json_t *out = json_array();
    for (size_t i = 0; i < w->n; i++) {
        const struct wait_host *h = &w->hosts[i];
        json_array_append_new(out, json_pack("{s:s,s:b,s:I,s:f,s:I,s:I}", "edge", h->name, "acked", h->acked, "after_ms",
                                             (json_int_t)(h->acked ? h->after_ms : -1), "host_ms", h->acked ? (double)h->own_us / 1000 : -1.0, "cuts",
                                             (json_int_t)h->cuts, "last_cut_ms", (json_int_t)(h->cuts ? h->last_cut_ms : -1)));
    }
    return out;
}
