/* rollout.c: `cradle rollout list|show|devices|approve|start|pause|resume|cancel|rollback`. Making one: rollout_create.c; following one: rollout_watch.c. */
#include "cli/rollout.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/name.h"

#define BAR_WIDTH 40

enum err rollout_path(const char *name, const char *tail, struct buf *out, struct fault *f)
{
    enum err e = name_check_label("rollout", span_str(name), f);
    if (!e)
        buf_printf(out, "/api/v1/rollouts/%s%s", name, tail);
    return e;
}

enum err rollout_read(struct cli *c, const char *name, json_t **out, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(256);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = rollout_path(name, "", &path, f);
    e = e ? e : cli_call(c, "GET", buf_cstr(&path), (struct span){ 0 }, &r, f);
    return e ? e : cli_json(&r, out, f);
}

/* -- printing ---------------------------------------------------------------------------------------------------------------------------- */
static void bar_part(const struct cli *c, enum cli_tint tint, char mark, int64_t n, int64_t total, int64_t *sum, int *at)
{
    *sum += n;
    int to = total ? (int)(*sum * BAR_WIDTH / total) : 0;
    printf("%s", cli_tint(c, tint));
    for (; *at < to; ++*at)
        putchar(mark);
    printf("%s", cli_tint(c, TINT_NONE));
}

/* # confirmed, ! failed or silent, > under way, . still to come. */
static void wave_print(const struct cli *c, const json_t *w)
{
    int64_t total = json_path_int(w, "counts.total", 0), ok = json_path_int(w, "counts.confirmed", 0), sum = 0;
    int64_t bad = json_path_int(w, "counts.failed", 0) + json_path_int(w, "counts.silent", 0);
    int64_t busy = json_path_int(w, "counts.offered", 0) + json_path_int(w, "counts.downloading", 0) + json_path_int(w, "counts.installed", 0);
    char who[80];
    int at = 0;
    if (json_path_str(w, "tag", "")[0])
        snprintf(who, sizeof who, "tag %.40s", json_path_str(w, "tag", ""));
    else if (json_path_int(w, "devices", 0))
        snprintf(who, sizeof who, "%lld devices", (long long)json_path_int(w, "devices", 0));
    else
        snprintf(who, sizeof who, "to %lld %%", (long long)json_path_int(w, "percent", 0));
    printf("wave %-2lld %-14s [", (long long)json_path_int(w, "wave", 0), who);
    bar_part(c, TINT_GOOD, '#', ok, total, &sum, &at);
    bar_part(c, TINT_BAD, '!', bad, total, &sum, &at);
    bar_part(c, TINT_WARN, '>', busy, total, &sum, &at);
    for (; at < BAR_WIDTH; at++)
        putchar('.');
    printf("] %lld of %lld confirmed, %lld failed, %lld silent, %lld under way\n", (long long)ok, (long long)total, (long long)json_path_int(w, "counts.failed", 0),
           (long long)json_path_int(w, "counts.silent", 0), (long long)busy);
}

/* What to do next, with its name; "": nothing. */
static const char *next_step(const char *state, const char *name, char *out, size_t cap)
{
    static const char paused[] = "look at `cradle rollout devices %.64s --state failed`, then cradle rollout resume %.64s, or cancel or rollback";
    out[0] = '\0';
    if (strcmp(state, "draft") == 0)
        snprintf(out, cap, "somebody else approves it: cradle rollout approve %.64s", name);
    else if (strcmp(state, "approved") == 0)
        snprintf(out, cap, "cradle rollout start %.64s", name);
    else if (strcmp(state, "running") == 0)
        snprintf(out, cap, "cradle rollout watch %.64s", name);
    else if (strcmp(state, "paused") == 0)
        snprintf(out, cap, paused, name, name);
    return out;
}

static enum cli_tint tint_rollout(const char *state)
{
    return strcmp(state, "done") == 0 || strcmp(state, "running") == 0 ? TINT_GOOD : strcmp(state, "paused") == 0 ? TINT_BAD : TINT_NONE;
}

static void line_print(const char *title, const char *value)
{
    printf("%-11s ", title);
    cli_put_safe(value, 300);
    printf("\n");
}

int rollout_print(const struct cli *c, const json_t *o)
{
    static const struct { const char *title, *path; } rows[] = {
        { "Release", "release" }, { "Line", "line" }, { "Takes back", "of" }, { "Model", "query.model" }, { "Batch", "query.batch" },
        { "Country", "query.country" }, { "Version", "query.version" }, { "Tag", "query.tag" }, { "Note", "note" }, { "Made by", "created_by" },
        { "Made at", "created_at" }, { "Started", "started_at" }, { "Why", "why" },
    };
    char next_text[300];
    const char *state = json_path_str(o, "state", "?"), *next = next_step(state, json_path_str(o, "name", "NAME"), next_text, sizeof next_text);
    int lines = 2;
    size_t i;
    json_t *x;
    struct json_text t;
    line_print("Rollout", json_path_str(o, "name", "?"));
    printf("%-11s %s", "State", cli_tint(c, tint_rollout(state)));
    cli_put_safe(state, 40);
    printf("%s\n", cli_tint(c, TINT_NONE));
    for (i = 0; i < ARRAY_LEN(rows); i++)
        if (json_path_str(o, rows[i].path, "")[0]) {
            line_print(rows[i].title, json_path_text(o, rows[i].path, &t));
            lines++;
        }
    json_array_foreach(json_object_get(o, "approvals"), i, x) {
        line_print("Approved by", json_path_str(x, "by", "?"));
        lines++;
    }
    static const char *const marks[] = { "times.p50_s", "times.p90_s", "times.p99_s" };
    for (i = 0; i < ARRAY_LEN(marks); i++)
        if (json_path_int(o, marks[i], -1) >= 0) {
            char span[32];
            printf("%-11s %s after the start\n", i == 0 ? "50 % by" : i == 1 ? "90 % by" : "99 % by",
                   cli_ms_text(json_path_int(o, marks[i], 0) * 1000, span, sizeof span));
            lines++;
        }
    json_array_foreach(json_object_get(o, "waves"), i, x) {
        wave_print(c, x);
        lines++;
    }
    if (*next)
        printf("%-11s %s\n", "Next", next);
    return lines + (*next != 0);
}

/* -- reading verbs ------------------------------------------------------------------------------------------------------------------------ */
static enum err show_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    enum err e = rollout_read(c, c->args[0], &o, f);
    if (e)
        return e;
    if (c->json)
        cli_print_json(o);
    else
        rollout_print(c, o);
    return CE_OK;
}
const struct verb verb_rollout_show = {
    .name = "rollout show", .args = "NAME", .min_args = 1, .max_args = 1, .help = "show one rollout: settings, approvals, and a bar for each wave",
    .text = "In a bar # is confirmed, ! failed or silent, > under way, a point still to come.", .example = "cradle rollout show r7-all", .run = show_run,
};

static enum err list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "ROLLOUT", "name", 12, NULL }, { "STATE", "state", 9, tint_rollout }, { "LINE", "line", 0, NULL }, { "RELEASE", "release", 0, NULL },
        { "WAVE", "wave", 0, NULL },     { "STARTED", "started_at", 0, NULL },  { "WHY", "why", 0, NULL },
    };
    CLEANUP(buf_free) struct buf q = BUF_INIT(512);
    query_add(&q, "line", cli_opt(c, "--line"));
    struct list l = { .path = "/api/v1/rollouts", .query = buf_span(&q), .cols = cols, .ncols = ARRAY_LEN(cols),
                      .empty = "There is no rollout yet: cradle rollout create NAME --line LINE --release RELEASE --wave 1% --wave 100%" };
    return cli_list(c, &l, f);
}
#define PAGE_OPTS                                                                      \
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },            \
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false }
static const struct verb_opt list_opts[] = { { "--line", "LINE", "of this product line", false }, PAGE_OPTS };
const struct verb verb_rollout_list = { .name = "rollout list", .args = "", .help = "list rollouts", .example = "cradle rollout list --line vib", VERB_OPTS(list_opts), .run = list_run };

static enum err devices_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "UID", "uid", 16, NULL }, { "WAVE", "wave", 0, NULL }, { "STATE", "state", 11, NULL }, { "SINCE", "since", 20, NULL }, { "PERCENT", "percent", 0, NULL },
        { "REASON", "reason", 0, NULL },
    };
    CLEANUP(buf_free) struct buf path = BUF_INIT(256), q = BUF_INIT(512);
    enum err e = rollout_path(c->args[0], "/devices", &path, f);
    query_add(&q, "state", cli_opt(c, "--state"));
    struct list l = { .path = buf_cstr(&path), .query = buf_span(&q), .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "No device of the rollout matches." };
    return e ? e : cli_list(c, &l, f);
}
static const struct verb_opt devices_opts[] = {
    { "--state", "STATE", "waiting, current, cannot, ordered, offered, downloading, installed, confirmed, failed, rolled-back, refused, declined, silent …", false }, PAGE_OPTS,
};
const struct verb verb_rollout_devices = {
    .name = "rollout devices", .args = "NAME", .min_args = 1, .max_args = 1, .help = "list the devices of a rollout and what became of each",
    .example = "cradle rollout devices r7-all --state failed", VERB_OPTS(devices_opts), .run = devices_run,
};

/* -- moves -------------------------------------------------------------------------------------------------------------------------------------- */
static enum err move_run(struct cli *c, const char *move, const char *done, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(256);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = json_object(), *answer = NULL;
    char tail[32];
    snprintf(tail, sizeof tail, "/%s", move);
    enum err e = rollout_path(c->args[0], tail, &path, f);
    e = e ? e : json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    if ((e = cli_call(c, "POST", buf_cstr(&path), span_str(body), &r, f)) || (e = cli_json(&r, &answer, f)))
        return e;
    if (c->json) {
        cli_print_json(answer);
        return CE_OK;
    }
    const char *name = json_path_str(answer, "name", c->args[0]), *state = json_path_str(answer, "state", "?");
    char next[300];
    next_step(state, name, next, sizeof next);
    cli_say(c, "%s %s; rollout %s is %s (%lld of %lld approvals)%s%s", done, c->args[0], name, state, (long long)json_path_int(answer, "approvals", 0),
            (long long)json_path_int(answer, "approvals_needed", 0), *next ? "; next: " : "", next);
    return CE_OK;
}

#define MOVE(move_, done_, help_, text_)                                                                              \
    static enum err move_##_run(struct cli *c, struct fault *f) { return move_run(c, #move_, done_, f); }             \
    const struct verb verb_rollout_##move_ = {                                                                        \
        .name = "rollout " #move_, .args = "NAME", .min_args = 1, .max_args = 1, .help = help_, .text = text_,        \
        .example = "cradle rollout " #move_ " r7-all", VERB_OPTS(note_opts), .run = move_##_run,                      \
    };
static const struct verb_opt note_opts[] = { { "--note", "TEXT", "why, in your words; becomes evidence", false } };
MOVE(approve, "approved", "agree to a rollout that somebody else made", "Whoever made a rollout cannot approve it.")
MOVE(start, "started", "start an approved rollout", "Judged first by the gate, each rule with what was found becomes evidence; a refusal names the rules that say no.")
MOVE(pause, "paused", "offer a rollout to no more devices", "Devices that have begun to install go on.")
MOVE(resume, "resumed", "let a paused rollout go on", "The failures until now are accepted by whoever resumes; only more of them pause it again.")
MOVE(cancel, "cancelled", "end a rollout", "Orders that no device has begun are taken back. It cannot be started again.")
MOVE(rollback, "takes back", "make a rollout that brings the devices back to what they ran before", "It is a rollout of its own (NAME-back), to be approved and started like any other.")
