/* event.c: `cradle event list|follow`: the evidence as it is written. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"

#define FOLLOW_POLL_MS 200
#define FOLLOW_RETRY_MS 1000

/* Members that the head of the line shows already, or that no human reads: --json has them. */
static bool member_hidden(const char *key)
{
    static const char *const names[] = { "at", "kind", "device", "rev", "kid", "spki", "sha256", "der", "holder_kind", "run", "counter", "shard",
                                         "first_at", "key", "schema" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], key) == 0)
            return true;
    return false;
}

/* s since 1970 in these members are dates to a human. */
static bool member_is_date(const char *key)
{
    return strcmp(key, "not_before") == 0 || strcmp(key, "not_after") == 0 || strcmp(key, "revoked_at") == 0 ||
           strcmp(key, "this_update") == 0 || strcmp(key, "next_update") == 0;
}

static void put_member(struct buf *out, const char *key, const json_t *v)
{
    char date[CLOCK_TEXT_MAX];
    if (json_is_string(v) && json_string_length(v)) {
        buf_printf(out, " %s=", key);
        cli_safe(out, json_string_value(v), 100);
    } else if (json_is_integer(v) && member_is_date(key)) {
        clock_text_s((int64_t)json_integer_value(v), date);
        buf_printf(out, " %s=%s", key, date);
    } else if (json_is_integer(v))
        buf_printf(out, " %s=%lld", key, (long long)json_integer_value(v));
    else if (json_is_boolean(v))
        buf_printf(out, " %s=%s", key, json_is_true(v) ? "yes" : "no");
}

void cli_event_members(const json_t *ev, struct buf *out)
{
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get((json_t *)ev, "payload"), key, v)
        if (!member_hidden(key))
            put_member(out, key, v);
}

void cli_print_event(const struct cli *c, const json_t *ev)
{
    static const char *const bad[] = { "refused", "clone-suspected", "cert-orphan", "stale" };
    const char *kind = json_path_str(ev, "kind", "-"), *device = json_path_str(ev, "device", "");
    CLEANUP(buf_free) struct buf members = BUF_INIT(0);
    if (c->json) {
        cli_print_json(ev);
        return;
    }
    enum cli_tint t = strcmp(kind, "cert-revoked") == 0 ? TINT_WARN : TINT_BOLD;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        t = strcmp(kind, bad[i]) == 0 ? TINT_BAD : t;
    printf("%.30s %lld:%-6lld %s%-16.40s%s%s%.64s", json_path_str(ev, "at", "-"), (long long)json_path_int(ev, "slot", 0),
           (long long)json_path_int(ev, "nseq", 0), cli_tint(c, t), kind, cli_tint(c, TINT_NONE), device[0] ? " " : "", device);
    cli_event_members(ev, &members);
    buf_put_u8(&members, '\n');
    fwrite(members.data, 1, members.len, stdout);
}

static void filters(const struct cli *c, struct buf *q)
{
    query_add(q, "device", cli_opt(c, "--device"));
    query_add(q, "kind", cli_opt(c, "--kind"));
    query_add(q, "line", cli_opt(c, "--line"));
}

static enum err list_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf q = BUF_INIT(4096);
    filters(c, &q);
    struct list l = { .path = "/api/v1/events", .query = buf_span(&q), .empty = "No event matches.", .row = cli_print_event };
    return cli_list(c, &l, f);
}

#define FILTER_OPTS                                                              \
    { "--device", "UID", "of this device", false },                              \
    { "--kind", "KIND", "of this kind: device-state, cert-issued, refused …", false }, \
    { "--line", "LINE", "of this product line's devices", false }
#define AFTER_OPT { "--after", "VECTOR", "after this vector: SLOT:NSEQ,…", false }
static const struct verb_opt list_opts[] = { FILTER_OPTS, { "--limit", "ROWS", "stop after so many rows (default 1000)", false }, AFTER_OPT };
const struct verb verb_event_list = {
    .name = "event list", .args = "", .help = "list events, oldest first", .example = "cradle event list --device pump-0001\ncradle event list --kind refused --json | jq .items[].payload",
    VERB_OPTS(list_opts), .run = list_run,
};

/* -- follow ---------------------------------------------------------------------------------------------------------------- */
static volatile sig_atomic_t stop;
static void on_stop(int sig)
{
    (void)sig;
    stop = 1;
}

enum err cli_event_page(struct cli *c, struct span filter, struct buf *after, int64_t limit, json_t **page, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(16384);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(buf_free) struct buf q = BUF_INIT(8192);
    char rows[24];
    buf_put_span(&q, filter);
    snprintf(rows, sizeof rows, "%lld", (long long)(limit < EVENT_PAGE ? limit : EVENT_PAGE));
    query_add(&q, "limit", rows);
    query_add(&q, "after", after->len ? buf_cstr(after) : NULL);
    buf_printf(&path, "/api/v1/events?%s", buf_cstr(&q));
    enum err e = cli_call(c, "GET", buf_cstr(&path), (struct span){ 0 }, &r, f);
    if (e || (e = cli_json(&r, page, f)))
        return e;
    const char *vector = json_path_str(*page, "vector", ""); /* also past what the filters left out */
    if (*vector) {
        buf_reset(after);
        buf_put_str(after, vector);
    }
    return CE_OK;
}

/* One page; *after moves on. *count: events printed; *more: the next page is there already. */
static enum err follow_page(struct cli *c, struct buf *after, int64_t want, int64_t *count, bool *more, struct fault *f)
{
    CLEANUP(buf_free) struct buf q = BUF_INIT(4096);
    CLEANUP(json_decref_p) json_t *o = NULL;
    filters(c, &q);
    enum err e = cli_event_page(c, buf_span(&q), after, want, &o, f);
    if (e)
        return e;
    size_t i;
    json_t *ev, *items = json_object_get(o, "items");
    json_array_foreach(items, i, ev)
        cli_print_event(c, ev);
    *count = (int64_t)json_array_size(items);
    *more = json_path_str(o, "next", NULL) != NULL;
    return CE_OK;
}

static enum err follow_run(struct cli *c, struct fault *f)
{
    CLEANUP(buf_free) struct buf after = BUF_INIT(2048);
    int64_t limit, seen = 0, n = 0;
    enum err e = cli_opt_int(c, "--limit", INT64_MAX, 1, INT64_MAX, &limit, f);
    struct sigaction sa = { .sa_handler = on_stop };
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    if (e)
        return e;
    if (!cli_flag(c, "--from-start"))
        buf_put_str(&after, cli_opt_or(c, "--after", "now"));
    bool told = false, more = false;
    while (!stop && seen < limit) {
        e = follow_page(c, &after, limit - seen, &n, &more, f);
        bool away = err_class(e) == ERRC_BUSY || e == CE_IO;
        if (e && !away)
            return e;
        if (away && !told && !c->quiet)
            fprintf(stderr, "cradle event follow: %s; trying again\n", f->text);
        told = away;
        seen += e ? 0 : n;
        fflush(stdout);
        if (ferror(stdout))
            return fault_set(f, CE_IO, "nobody reads the output any more");
        if (e || !more)
            poll(NULL, 0, e ? FOLLOW_RETRY_MS : FOLLOW_POLL_MS);
    }
    return CE_OK;
}
static const struct verb_opt follow_opts[] = {
    FILTER_OPTS, AFTER_OPT, { "--from-start", NULL, "from the first event on", false }, { "--limit", "EVENTS", "stop after so many", false },
};
const struct verb verb_event_follow = {
    .name = "event follow", .args = "", .help = "print events as they happen, until interrupted", .example = "cradle event follow --kind refused",
    VERB_OPTS(follow_opts), .run = follow_run,
};
