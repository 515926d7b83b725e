/* device_state.c: `cradle device revoke|suspend|resume|decommission`, and waiting until every edge has taken a revocation over. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/device.h"

#define WAIT_POLL_MS 20
#define WAIT_CUT_MS 500 /* a closed session is told by the broker just after its edge took the change over */
#define EDGES_MAX 256

struct wait {
    struct cli *c;
    const char *uid;
    int64_t slot, nseq, at_ms;             /* the event that changed the state */
    struct { char name[LABEL_MAX + 1]; bool acked; } edges[EDGES_MAX];
    int nedges, nacked, ncut;
    char after[64];                        /* vector to go on from */
    json_t *out;                           /* array of what happened, for --json */
};

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

static enum err wait_edges(struct wait *w, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    enum err e = get_json(w->c, "/api/v1/operators?limit=500", &o, f);
    size_t i;
    json_t *op;
    json_array_foreach(json_object_get(o, "items"), i, op) {
        if (strcmp(json_path_str(op, "role", ""), "edge") != 0 || strcmp(json_path_str(op, "state", "active"), "removed") == 0)
            continue;
        if (w->nedges < EDGES_MAX)
            snprintf(w->edges[w->nedges++].name, sizeof w->edges[0].name, "%s", json_path_str(op, "name", ""));
    }
    return e;
}

/* Finds the event that made the new state: the last device-state of the timeline. */
static enum err wait_event(struct wait *w, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(2048);
    CLEANUP(mem_free_p) char *next = NULL;
    enum err e = CE_OK;
    do {
        CLEANUP(json_decref_p) json_t *o = NULL;
        buf_reset(&path);
        if ((e = device_path(w->uid, "/timeline?limit=500", &path, f)))
            return e;
        if (next) {
            buf_put_str(&path, "&after=");
            net_escape(&path, span_str(next));
        }
        if ((e = get_json(w->c, buf_cstr(&path), &o, f)))
            return e;
        size_t i;
        json_t *ev;
        json_array_foreach(json_object_get(o, "items"), i, ev) {
            if (strcmp(json_path_str(ev, "kind", ""), "device-state") == 0 &&
                clock_parse_ms(span_str(json_path_str(ev, "at", "")), &w->at_ms) == CE_OK) {
                w->slot = json_path_int(ev, "slot", 0);
                w->nseq = json_path_int(ev, "nseq", 0);
            }
        }
        free(next);
        next = json_path_str(o, "next", NULL) ? mem_strdup(json_path_str(o, "next", NULL)) : NULL;
    } while (next);
    snprintf(w->after, sizeof w->after, "%lld:%lld", (long long)w->slot, (long long)w->nseq);
    return w->nseq ? CE_OK : fault_set(f, CE_NOT_FOUND, "the timeline of %s shows no change of state", w->uid);
}

/* at_text: when, by the edge's clock. */
static void wait_note(struct wait *w, const char *what, const char *edge, const char *at_text)
{
    int64_t at_ms = w->at_ms;
    if (clock_parse_ms(span_str(at_text), &at_ms) != CE_OK)
        at_ms = w->at_ms;
    json_array_append_new(w->out, json_pack("{s:s,s:s,s:I}", "what", what, "edge", edge, "after_ms", (json_int_t)(at_ms - w->at_ms)));
    cli_say(w->c, "  %s %s after %lld ms", edge, what, (long long)(at_ms - w->at_ms));
}

static void wait_take(struct wait *w, const json_t *ev)
{
    const char *kind = json_path_str(ev, "kind", ""), *edge = json_path_str(ev, "payload.edge", "");
    if (strcmp(kind, "cut") == 0 && strcmp(json_path_str(ev, "device", ""), w->uid) == 0 && ++w->ncut)
        wait_note(w, "closed a live session", edge, json_path_str(ev, "payload.cut_at", ""));
    if (strcmp(kind, "edge-ack") != 0 || vector_at(json_path_str(ev, "payload.vector", ""), w->slot) < w->nseq)
        return;
    for (int i = 0; i < w->nedges; i++)
        if (!w->edges[i].acked && strcmp(w->edges[i].name, edge) == 0) {
            w->edges[i].acked = true;
            w->nacked++;
            wait_note(w, "took it over", edge, json_path_str(ev, "payload.ack_at", ""));
        }
}

static enum err wait_poll(struct wait *w, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(2048);
    CLEANUP(json_decref_p) json_t *o = NULL;
    buf_put_str(&path, "/api/v1/events?limit=500&after=");
    net_escape(&path, span_str(w->after));
    enum err e = get_json(w->c, buf_cstr(&path), &o, f);
    size_t i;
    json_t *ev;
    json_array_foreach(json_object_get(o, "items"), i, ev) {
        wait_take(w, ev);
        if (json_path_int(ev, "slot", -1) == w->slot)
            snprintf(w->after, sizeof w->after, "%lld:%lld", (long long)w->slot, (long long)json_path_int(ev, "nseq", 0));
    }
    return e;
}

static enum err wait_run(struct wait *w, int64_t limit_s, struct fault *f)
{
    enum err e = wait_event(w, f);
    if (e || (e = wait_edges(w, f)))
        return e;
    if (!w->nedges)
        cli_say(w->c, "  there is no edge to wait for");
    int64_t end = clock_mono_ms() + limit_s * 1000;
    while (w->nacked < w->nedges) {
        if ((e = wait_poll(w, f)))
            return e;
        if (w->nacked == w->nedges)
            break;
        if (clock_mono_ms() > end) {
            CLEANUP(buf_free) struct buf names = BUF_INIT(120);
            for (int i = 0; i < w->nedges; i++)
                if (!w->edges[i].acked)
                    buf_printf(&names, " %s", w->edges[i].name);
            return fault_set(f, CE_TIMEOUT, "the change is durable, but not taken over within %lld s by:%s; look at cradle status and at cradle-edge there",
                             (long long)limit_s, buf_err(&names) ? " several edges" : buf_cstr(&names));
        }
        poll(NULL, 0, WAIT_POLL_MS);
    }
    end = clock_mono_ms() + WAIT_CUT_MS;
    while (!e && w->nedges && !w->ncut && clock_mono_ms() < end) {
        poll(NULL, 0, WAIT_POLL_MS);
        e = wait_poll(w, f);
    }
    return e;
}

/* One PATCH; `done` is the word for what has happened. */
static enum err state_change(struct cli *c, const char *state, const char *done, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s}", "state", state);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    int64_t wait_s, if_match;
    enum err e = device_path(c->args[0], "", &path, f);
    if (e || (e = cli_opt_span_s(c, "--wait-time", 5, &wait_s, f)) || (e = cli_opt_int(c, "--if-match", -1, 0, INT64_MAX, &if_match, f)))
        return e;
    if ((e = json_set_text(o, "reason", cli_opt(c, "--reason"), f)) || (e = json_set_text(o, "note", cli_opt(c, "--note"), f)))
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    char match[64];
    snprintf(match, sizeof match, "If-Match: \"%lld\"", (long long)if_match);
    const char *const headers[] = { "Content-Type: application/json", if_match >= 0 ? match : NULL, NULL };
    if ((e = cli_net(c, f)))
        return e;
    e = net_request(c->net, "PATCH", buf_cstr(&path), headers, span_str(body), &r, f);
    double ms = (double)r.answer_us / 1000;
    if (e)
        return e;
    cli_say(c, "%s %s: durable %.1f ms after the request was sent (the connection took %.1f ms)%s%s", done, c->args[0], ms,
            (double)r.connect_us / 1000, r.etag[0] ? ", revision " : "", r.etag);
    struct wait w = { .c = c, .uid = c->args[0], .out = json_array() };
    if (cli_flag(c, "--wait"))
        e = wait_run(&w, wait_s, f);
    if (c->json) {
        CLEANUP(json_decref_p) json_t *all = json_pack("{s:s,s:s,s:s,s:f,s:O}", "uid", c->args[0], "state", state, "rev", r.etag, "durable_ms",
                                                       ms, "edges", w.out);
        cli_print_json(all);
    }
    json_decref(w.out);
    return e;
}

static enum err revoke_run(struct cli *c, struct fault *f) { return state_change(c, "revoked", "revoked", f); }
static enum err suspend_run(struct cli *c, struct fault *f) { return state_change(c, "suspended", "suspended", f); }
static enum err quarantine_run(struct cli *c, struct fault *f) { return state_change(c, "quarantined", "quarantined", f); }
static enum err resume_run(struct cli *c, struct fault *f) { return state_change(c, "active", "resumed", f); }
static enum err decommission_run(struct cli *c, struct fault *f) { return state_change(c, "decommissioned", "decommissioned", f); }

#define NOTE_OPT { "--note", "TEXT", "why, in your words; becomes evidence", false }
#define WAIT_OPTS                                                                                    \
    { "--wait", NULL, "wait until every edge has taken it over; print when each did", false },       \
    { "--wait-time", "TIME", "with --wait: give up after this (default 5)", false },                 \
    { "--if-match", "REV", "only when the device still has this revision", false }
static const struct verb_opt revoke_opts[] = {
    { "--reason", "REASON", "keyCompromise, cessationOfOperation, affiliationChanged, superseded, unspecified … (RFC 5280 5.3.1)", false },
    NOTE_OPT, WAIT_OPTS,
};
static const struct verb_opt state_opts[] = { NOTE_OPT, WAIT_OPTS };

const struct verb verb_device_revoke = {
    .name = "device revoke", .args = "UID", .min_args = 1, .max_args = 1, .help = "revoke a device for ever and cut its sessions",
    .text = "The answer is durable: the revocation is written, with its evidence, before it is printed. Brokers, servers and OCSP refuse the "
            "device from then on, live sessions are closed. It cannot be undone; suspend can.",
    .example = "cradle device revoke pump-0001 --reason keyCompromise --note 'stolen' --wait", VERB_OPTS(revoke_opts), .run = revoke_run,
};
const struct verb verb_device_suspend = {
    .name = "device suspend", .args = "UID", .min_args = 1, .max_args = 1, .help = "cut a device until it is resumed", VERB_OPTS(state_opts),
    .run = suspend_run,
};
const struct verb verb_device_quarantine = {
    .name = "device quarantine", .args = "UID", .min_args = 1, .max_args = 1, .help = "leave a device nothing but its repair topics until it is resumed",
    .text = "Its certificates stay valid, its live sessions are closed once; then it may log in at the brokers again, but publish and receive only what "
            "its line allows a device in quarantine (d/UID/repair/# by default). Servers behind cradle-edge and renewals refuse it.",
    .example = "cradle device quarantine pump-0001 --note 'seen in two places' --wait", VERB_OPTS(state_opts), .run = quarantine_run,
};
const struct verb verb_device_resume = {
    .name = "device resume", .args = "UID", .min_args = 1, .max_args = 1, .help = "let a quarantined or suspended device in again", VERB_OPTS(state_opts),
    .run = resume_run,
};
const struct verb verb_device_decommission = {
    .name = "device decommission", .args = "UID", .min_args = 1, .max_args = 1, .help = "end a device's life for good", VERB_OPTS(state_opts),
    .run = decommission_run,
};
