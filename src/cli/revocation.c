/* revocation.c: `cradle revocation list|show|watch|confirm|pause|resume|cancel`: mass changes that somebody made with cradle device revoke
 * --query (mass.c). */
#include <string.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "cli/mass.h"

static enum err id_read(const struct cli *c, int64_t *id, struct fault *f)
{
    if (span_to_i64(span_str(c->args[0]), id) && *id > 0)
        return CE_OK;
    return fault_set(f, CE_USAGE, "a mass change is named by its number (cradle revocation list), not '%.40s'", c->args[0]);
}

static enum err list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "ID", "id", 4, NULL }, { "TO", "to", 9, NULL }, { "STATE", "state", 9, NULL }, { "MATCHED", "matched", 8, NULL }, { "DONE", "done", 8, NULL },
        { "REFUSED", "refused", 8, NULL }, { "BY", "created_by", 0, NULL }, { "AT", "created_at", 20, NULL }, { "NOTE", "note", 0, NULL },
    };
    struct list l = { .path = "/api/v1/revocations", .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "There was no mass change yet; see cradle device revoke --help" };
    return cli_list(c, &l, f);
}
static const struct verb_opt list_opts[] = {
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_revocation_list = {
    .name = "revocation list", .args = "", .help = "list changes of many devices at once, the newest first", .example = "cradle revocation list", VERB_OPTS(list_opts), .run = list_run,
};

static enum err refused_print(struct cli *c, int64_t id, struct fault *f)
{
    static const struct column cols[] = { { "REFUSED", "uid", 12, NULL }, { "REASON", "reason", 12, NULL }, { "DETAIL", "detail", 0, NULL } };
    char path[80];
    snprintf(path, sizeof path, "/api/v1/revocations/%lld/refused", (long long)id);
    struct list l = { .path = path, .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "No device was refused" };
    return cli_list(c, &l, f);
}

static enum err show_run(struct cli *c, struct fault *f)
{
    static const char *const rows[][2] = {
        { "to", "to" }, { "reason", "reason" }, { "note", "note" }, { "state", "state" }, { "why", "why" }, { "matched", "matched" }, { "done", "done" },
        { "already so", "already" }, { "refused", "refused" }, { "wanted by", "created_by" }, { "at", "created_at" }, { "confirmed by", "confirmed_by" },
        { "at", "confirmed_at" }, { "first event", "first" }, { "last event", "last" }, { "last decision", "last_at" },
    };
    CLEANUP(json_decref_p) json_t *job = NULL;
    struct json_text t;
    const char *key;
    json_t *value;
    int64_t id;
    enum err e = id_read(c, &id, f);
    e = e ? e : mass_read(c, id, &job, f);
    if (e)
        return e;
    if (c->json) {
        cli_print_json(job);
        return CE_OK;
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        printf("%-14s  ", rows[i][0]);
        cli_put_safe(json_path_text(job, rows[i][1], &t), 4096);
        putchar('\n');
    }
    printf("%-14s ", "query");
    json_object_foreach(json_object_get(job, "query"), key, value)
        if (json_is_string(value) && *json_string_value(value)) {
            printf(" %s=", key);
            cli_put_safe(json_string_value(value), 4096);
        }
    putchar('\n');
    return json_path_int(job, "refused", 0) ? refused_print(c, id, f) : CE_OK;
}
#define NUMBER .args = "NUMBER", .min_args = 1, .max_args = 1
const struct verb verb_revocation_show = {
    .name = "revocation show", NUMBER, .help = "show one such change, and the devices that were refused", .example = "cradle revocation show 7",
    .run = show_run,
};

static enum err watch(struct cli *c, int64_t id, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *job = NULL;
    enum err e = mass_follow(c, id, "counting", &job, f);
    if (!e && strcmp(json_path_str(job, "state", ""), "running") == 0) {
        json_decref(job);
        job = NULL;
        e = mass_follow(c, id, "running", &job, f);
    }
    return e ? e : mass_report(c, job, f);
}

static enum err watch_run(struct cli *c, struct fault *f)
{
    int64_t id;
    enum err e = id_read(c, &id, f);
    return e ? e : watch(c, id, f);
}
const struct verb verb_revocation_watch = {
    .name = "revocation watch", NUMBER, .help = "follow such a change to its end", .text = "The work is the server's: it goes on when this command ends.",
    .example = "cradle revocation watch 7", .run = watch_run,
};

static enum err confirm_run(struct cli *c, struct fault *f)
{
    int64_t id, expect;
    enum err e = id_read(c, &id, f);
    e = e ? e : cli_opt_int(c, "--expect", 0, 1, INT64_MAX, &expect, f);
    if (!e && !expect)
        e = fault_set(f, CE_USAGE, "say how many devices you mean: --expect N (cradle revocation show %lld)", (long long)id);
    e = e ? e : mass_move(c, id, "confirm", expect, cli_opt(c, "--note"), f);
    if (e)
        return e;
    cli_say(c, "confirmed mass change %lld of %lld devices: it runs", (long long)id, (long long)expect);
    return watch(c, id, f);
}
static const struct verb_opt confirm_opts[] = {
    { "--expect", "COUNT", "so many devices, as it was counted", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_revocation_confirm = {
    .name = "revocation confirm", NUMBER, .help = "let a change of many devices begin that somebody wants", .text =
        "Of more devices than mass_revoke_confirm (cradled.conf; 100) says, somebody else confirms than who made it. Exactly the devices that were counted are changed.",
    .example = "cradle revocation show 7\ncradle revocation confirm 7 --expect 5012 --note 'called Anna'", VERB_OPTS(confirm_opts), .run = confirm_run,
};

static enum err move_run(struct cli *c, const char *move, const char *say, struct fault *f)
{
    int64_t id;
    enum err e = id_read(c, &id, f);
    e = e ? e : mass_move(c, id, move, 0, cli_opt(c, "--note"), f);
    if (!e)
        cli_say(c, "mass change %lld %s", (long long)id, say);
    return e;
}
static const struct verb_opt note_opts[] = { { "--note", "TEXT", "why, in your words; becomes evidence", false } };
#define MOVE(move_, help_, say_)                                                                                    \
    static enum err move_##_run(struct cli *c, struct fault *f) { return move_run(c, #move_, say_, f); }              \
    const struct verb verb_revocation_##move_ = {                                                                     \
        .name = "revocation " #move_, NUMBER, .help = help_, .example = "cradle revocation " #move_ " 7", VERB_OPTS(note_opts), .run = move_##_run, \
    };
MOVE(pause, "stop a change of many devices for now", "is paused; to go on: cradle revocation resume")
MOVE(resume, "let a paused change of many devices go on", "goes on")
MOVE(cancel, "end a change of many devices; what was changed stays so", "is cancelled; what was changed stays so")
