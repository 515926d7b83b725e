/* mass.c: a mass change as a client sees it, and `cradle device revoke|suspend|resume … --query`. The work is the server's: this program may end
 * at any moment, and the job goes on. See mass.h. */
#include "cli/mass.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/device.h"
#include "cli/wait.h"

#define POLL_MS 200

enum err mass_read(struct cli *c, int64_t id, json_t **out, struct fault *f)
{
    char path[64];
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    snprintf(path, sizeof path, "/api/v1/revocations/%lld", (long long)id);
    enum err e = cli_call(c, "GET", path, (struct span){ 0 }, &r, f);
    return e ? e : cli_json(&r, out, f);
}

enum err mass_move(struct cli *c, int64_t id, const char *move, int64_t expect, const char *note, struct fault *f)
{
    char path[96];
    CLEANUP(json_decref_p) json_t *o = json_object();
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = json_set_text(o, "note", note, f);
    if (e)
        return e;
    if (expect)
        json_object_set_new(o, "expect", json_integer(expect));
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    snprintf(path, sizeof path, "/api/v1/revocations/%lld/%s", (long long)id, move);
    return cli_call(c, "POST", path, span_str(body), &r, f);
}

enum err mass_follow(struct cli *c, int64_t id, const char *state, json_t **out, struct fault *f)
{
    bool counting = strcmp(state, "counting") == 0;
    for (;;) {
        enum err e = mass_read(c, id, out, f);
        if (e)
            return e;
        int64_t sum = json_path_int(*out, "done", 0) + json_path_int(*out, "already", 0) + json_path_int(*out, "refused", 0);
        if (counting)
            cli_progress(c, "devices looked at", json_path_int(*out, "looked", 0), 0);
        else
            cli_progress(c, "devices", sum, json_path_int(*out, "matched", 0));
        if (strcmp(json_path_str(*out, "state", ""), state) != 0) {
            cli_progress_end(c);
            return CE_OK;
        }
        json_decref(*out);
        *out = NULL;
        poll(NULL, 0, POLL_MS);
    }
}

/* -- the report ------------------------------------------------------------------------------------------------------------------- */
static void hosts_say(struct cli *c, const json_t *job)
{
    size_t i, n = 0;
    json_t *h;
    const json_t *hosts = json_object_get(job, "hosts");
    json_array_foreach(hosts, i, h)
        n += json_is_true(json_object_get(h, "follows"));
    if (json_array_size(hosts) && json_path_int(job, "done", 0))
        cli_say(c, "  %zu of %zu broker hosts have taken it over by now; the sessions that were closed: cradle report cuts", n, json_array_size(hosts));
}

static void times_say(struct cli *c, const json_t *job)
{
    int64_t from = 0, to = 0;
    const char *first = json_path_str(job, "first", ""), *last = json_path_str(job, "last", "");
    if (!*first || clock_parse_ms(span_str(json_path_str(job, "confirmed_at", "")), &from) || clock_parse_ms(span_str(json_path_str(job, "last_at", "")), &to))
        return;
    cli_say(c, "  %.1f s from the confirmation to the last decision; evidence: events %s to %s", (double)(to > from ? to - from : 0) / 1000, first, last);
}

enum err mass_report(struct cli *c, const json_t *job, struct fault *f)
{
    const char *state = json_path_str(job, "state", ""), *why = json_path_str(job, "why", "");
    long long id = json_path_int(job, "id", 0), matched = json_path_int(job, "matched", 0), refused = json_path_int(job, "refused", 0);
    if (c->json)
        cli_print_json(job);
    cli_say(c, "mass change %lld (to %s) is %s%s%s: done %lld, already so %lld, refused %lld of %lld devices", id, json_path_str(job, "to", ""), state, *why ? ", " : "", why,
            (long long)json_path_int(job, "done", 0), (long long)json_path_int(job, "already", 0), refused, matched);
    times_say(c, job);
    hosts_say(c, job);
    if (strcmp(state, "waiting") == 0)
        return fault_set(f, CE_PENDING, "%lld devices match, nothing was changed; mass change %lld waits: cradle revocation confirm %lld --expect %lld, or cancel", matched, id, id,
                         matched);
    if (strcmp(state, "paused") == 0)
        return fault_set(f, CE_STATE_CHANGE, "mass change %lld is paused: cradle revocation resume %lld, or cancel", id, id);
    if (strcmp(state, "cancelled") == 0)
        return fault_set(f, matched ? CE_STATE_CHANGE : CE_NOT_FOUND, "mass change %lld: %s", id, *why ? why : "cancelled");
    if (refused)
        return fault_set(f, CE_STATE_CHANGE, "%lld of %lld devices were refused; which, and why: cradle revocation show %lld", refused, matched, id);
    return CE_OK;
}

/* -- a query ------------------------------------------------------------------------------------------------------------------------ */
static const char *const keys[][2] = {
    { "line", "line" },       { "model", "model" },     { "batch", "batch" },                 { "country", "country" },         { "state", "in_state" }, { "tag", "tag" },
    { "prefix", "prefix" }, { "key-alg", "key_alg" }, { "enrolled-from", "enrolled_from" }, { "enrolled-to", "enrolled_to" },
};

/* A day stands for its beginning. */
static enum err one_key(json_t *o, struct span key, struct span value, struct fault *f)
{
    char text[128];
    if (!value.n || value.n > 100)
        return fault_set(f, CE_USAGE, "--query: '" SPAN_FMT "' has no value; leave it out to match all", SPAN_ARG(key));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!span_eq_str(key, keys[i][0]))
            continue;
        bool day = strncmp(keys[i][0], "enrolled-", 9) == 0 && value.n == 10;
        snprintf(text, sizeof text, SPAN_FMT "%s", SPAN_ARG(value), day ? "T00:00:00Z" : "");
        return json_set_text(o, keys[i][1], text, f);
    }
    return fault_set(f, CE_USAGE, "--query: there is no '" SPAN_FMT "': line, model, batch, country, state, tag, prefix, key-alg, enrolled-from, enrolled-to", SPAN_ARG(key));
}

static enum err query_parse(const char *text, json_t *o, struct fault *f)
{
    struct span rest = span_str(text), one, key;
    enum err e = rest.n ? CE_OK : fault_set(f, CE_USAGE, "--query is empty");
    while (!e && rest.n) {
        one = rest;
        if (!span_cut(&rest, ',', &one))
            rest = (struct span){ 0 };
        e = span_cut(&one, '=', &key) ? one_key(o, span_trim(key), span_trim(one), f)
                                      : fault_set(f, CE_USAGE, "--query is KEY=VALUE,KEY=VALUE …, not '" SPAN_FMT "'", SPAN_ARG(one));
    }
    return e;
}

/* -- the verbs of devices -------------------------------------------------------------------------------------------------------------- */
static enum err job_make(struct cli *c, const struct device_change *ch, int64_t *id, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s}", "state", ch->state), *answer = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = query_parse(cli_opt(c, "--query"), o, f);
    e = e ? e : json_set_text(o, "reason", cli_opt(c, "--reason"), f);
    e = e ? e : json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    e = cli_call(c, "POST", "/api/v1/revocations", span_str(body), &r, f);
    e = e ? e : cli_json(&r, &answer, f);
    *id = e ? 0 : json_path_int(answer, "id", 0);
    return e;
}

static enum err asked(struct cli *c, const struct device_change *ch, int64_t n, struct fault *f)
{
    char line[64];
    int64_t typed = -1;
    (void)c;
    fprintf(stderr, "%s these %lld devices%s? Type %lld to go on: ", ch->doing, (long long)n, ch->how, (long long)n);
    if (!fgets(line, sizeof line, stdin))
        line[0] = 0;
    return span_to_i64(span_trim(span_str(line)), &typed) && typed == n ? CE_OK : fault_set(f, CE_USAGE, "not confirmed; nothing was changed");
}

/* *go: confirm it now. A refusal takes the job back; one that nobody has said anything about stays, for whoever confirms it. */
static enum err judge(struct cli *c, const struct device_change *ch, const json_t *job, bool *go, struct fault *f)
{
    int64_t n = json_path_int(job, "matched", 0), id = json_path_int(job, "id", 0), expect;
    struct fault ignored;
    enum err e = cli_opt_int(c, "--expect", -1, 0, INT64_MAX, &expect, f);
    *go = false;
    if (e || strcmp(json_path_str(job, "state", ""), "waiting") != 0)
        return e ? e : mass_report(c, job, f);
    if (cli_flag(c, "--dry-run")) {
        e = mass_move(c, id, "cancel", 0, "dry run", f);
        cli_say(c, "%lld devices match; nothing was changed", (long long)n);
        if (c->json)
            cli_print_json(job);
        return e;
    }
    if (expect < 0 && !(isatty(0) && isatty(2) && !c->json))
        return mass_report(c, job, f);
    if (expect >= 0 && expect != n)
        e = fault_set(f, CE_USAGE, "%lld devices match, not %lld; nothing was changed", (long long)n, (long long)expect);
    else if (expect < 0)
        e = asked(c, ch, n, f);
    if (e && mass_move(c, id, "cancel", 0, "not confirmed", &ignored))
        cli_say(c, "mass change %lld waits still: cradle revocation cancel %lld", (long long)id, (long long)id);
    *go = !e;
    return e;
}

static enum err hosts_wait(struct cli *c, const struct device_change *ch, const json_t *job, struct fault *f)
{
    CLEANUP(wait_close) struct wait w = { 0 };
    int64_t wait_s;
    enum err e = cli_opt_span_s(c, "--wait-time", 5, &wait_s, f);
    if (e || !cli_flag(c, "--wait") || !json_path_int(job, "done", 0))
        return e;
    e = wait_open(c, &w, f);
    w.quiet = true;
    e = e ? e : wait_for_decision(&w, json_path_str(job, "last", NULL), json_path_str(job, "last_at", NULL), NULL, 0, f);
    return e ? e : wait_run(&w, wait_s * 1000, ch->cuts, f);
}

enum err device_mass_change(struct cli *c, const struct device_change *ch, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *job = NULL, *end = NULL;
    int64_t id = 0;
    bool go = false;
    if (cli_opt(c, "--if-match") || cli_opt(c, "--run"))
        return fault_set(f, CE_USAGE, "--if-match and --run do not go with --query");
    enum err e = job_make(c, ch, &id, f);
    e = e ? e : mass_follow(c, id, "counting", &job, f);
    e = e ? e : judge(c, ch, job, &go, f);
    if (e || !go)
        return e;
    e = mass_move(c, id, "confirm", json_path_int(job, "matched", 0), NULL, f);
    e = e ? e : mass_follow(c, id, "running", &end, f);
    if (e)
        return e;
    struct fault waited = { 0 };
    enum err late = hosts_wait(c, ch, end, &waited);
    if (late) {
        *f = waited;
        e = mass_report(c, end, &waited);
        return late;
    }
    return mass_report(c, end, f);
}
