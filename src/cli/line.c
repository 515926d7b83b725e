/* line.c: `cradle line add|list|set|suspend|resume` and `cradle policy show`: product lines and what their devices may do at a broker. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/name.h"
#include "cli/cli.h"
#include "cli/topics.h"

#define LINE_APPROVALS_MAX 8 /* core/line.c */

static enum err line_send(struct cli *c, const char *method, const char *path, json_t *o, struct net_reply *r, struct fault *f)
{
    static const char *const texts[][2] = { { "title", "--title" }, { "clone_policy", "--clone-policy" }, { "note", "--note" }, { "enroll_approval", "--enroll-approval" },
                                             { "service_until", "--service-until" }, { "cmp_secret", "--cmp-secret" }, { "key_home", "--key-home" } };
    int64_t validity;
    enum err e = cli_opt_span_s(c, "--validity", 0, &validity, f);
    for (size_t i = 0; !e && i < ARRAY_LEN(texts); i++)
        e = json_set_text(o, texts[i][0], cli_opt(c, texts[i][1]), f);
    if (e)
        return e;
    if (validity)
        json_object_set_new(o, "validity_s", json_integer(validity));
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    return cli_call(c, method, path, span_str(body), r, f);
}

static enum err line_add_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object();
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = name_check_label("line", span_str(c->args[0]), f);
    e = e ? e : json_set_text(o, "name", c->args[0], f);
    e = e ? e : line_send(c, "POST", "/api/v1/lines", o, &r, f);
    if (e)
        return e;
    cli_say(c, "added line %s; next: cradle model add MODEL --line %s", c->args[0], c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}

#define TITLE_OPT { "--title", "TEXT", "name for humans", false }
#define VALIDITY_OPT { "--validity", "TIME", "life of device certificates (default: the device profile's)", false }
#define CLONE_OPT                                                                                                                  \
    { "--clone-policy", "POLICY", "when two holders of one identity are seen: alarm (the newest login wins; default), quarantine " \
                                  "(the device keeps its repair topics only), refuse (who comes second stays out)", false }
static const struct verb_opt line_add_opts[] = { TITLE_OPT, VALIDITY_OPT, CLONE_OPT };
const struct verb verb_line_add = {
    .name = "line add", .args = "NAME", .min_args = 1, .max_args = 1, .help = "add a product line",
    .example = "cradle line add pump --validity 3y", VERB_OPTS(line_add_opts), .run = line_add_run,
};

static enum err line_list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "LINE", "name", 12, NULL }, { "TITLE", "title", 0, NULL }, { "VALIDITY S", "validity_s", 0, NULL }, { "CLONES", "clone_policy", 0, NULL },
        { "SUSPENDED", "suspended", 0, NULL }, { "APPROVALS", "approvals", 0, NULL }, { "ENROLL APPROVAL", "enroll_approval", 0, NULL },
        { "SERVICE UNTIL", "service_until", 0, NULL }, { "SECRETS", "cmp_secret", 0, NULL }, { "KEY HOME", "key_home", 0, NULL },
    };
    struct list l = { .path = "/api/v1/lines", .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "There is no product line yet: cradle line add NAME" };
    return cli_list(c, &l, f);
}
static const struct verb_opt page_opts[] = {
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_line_list = { .name = "line list", .args = "", .help = "list product lines", VERB_OPTS(page_opts), .run = line_list_run };

/* -- what devices of a line may do ------------------------------------------------------------------------------------------------- */
static enum err line_patch(struct cli *c, json_t *o, struct net_reply *r, struct fault *f)
{
    char path[128];
    enum err e = name_check_label("line", span_str(c->args[0]), f);
    snprintf(path, sizeof path, "/api/v1/lines/%.64s", c->args[0]);
    return e ? e : line_send(c, "PATCH", path, o, r, f);
}

/* --grace TIME or none */
static enum err grace_option(struct cli *c, json_t *o, struct fault *f)
{
    const char *grace = cli_opt(c, "--grace");
    int64_t grace_s = 0;
    enum err e = CE_OK;
    if (grace && strcmp(grace, "none") == 0)
        json_object_set_new(o, "no_grace", json_true());
    else if (grace && !(e = cli_opt_span_s(c, "--grace", 0, &grace_s, f)))
        json_object_set_new(o, "grace_s", json_integer(grace_s));
    return e ? e : json_set_text(o, "grace_key", cli_opt(c, "--grace-key"), f);
}

static enum err line_set_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object(), *line = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    int64_t approvals;
    enum err e = topics_option(c, "--write", "write", o, f);
    e = e ? e : topics_option(c, "--read", "read", o, f);
    e = e ? e : topics_option(c, "--repair", "repair", o, f);
    if (e)
        return e;
    if (cli_flag(c, "--default-topics"))
        json_object_set_new(o, "defaults", json_true());
    if ((e = cli_opt_int(c, "--approvals", 0, 1, LINE_APPROVALS_MAX, &approvals, f)))
        return e;
    if (approvals)
        json_object_set_new(o, "approvals", json_integer(approvals));
    if ((e = grace_option(c, o, f)))
        return e;
    if ((e = json_set_text(o, "ca", cli_opt(c, "--ca"), f)))
        return e;
    if ((e = line_patch(c, o, &r, f)) || (e = cli_json(&r, &line, f)))
        return e;
    if (c->json)
        return cli_print_reply(&r, f);
    cli_say(c, "line %s is set: brokers have it within a second; clones: %s", c->args[0], json_path_str(line, "clone_policy", "?"));
    if (json_path_int(line, "grace_s", 0))
        cli_say(c, "ended certificates are renewed up to %lld s after their end, with %s key", (long long)json_path_int(line, "grace_s", 0),
                strcmp(json_path_str(line, "grace_key", "same"), "any") == 0 ? "any" : "their own");
    topics_say(c, line, "write", "may publish");
    topics_say(c, line, "read", "may receive");
    topics_say(c, line, "repair", "in quarantine");
    return CE_OK;
}

static const struct verb_opt line_set_opts[] = {
    TITLE_OPT, VALIDITY_OPT, CLONE_OPT,
    { "--write", "TOPIC", "topic that its devices may publish to; %u is the device's UID, %l the line, each as a whole level", true },
    { "--read", "TOPIC", "topic that they may receive", true },
    { "--repair", "TOPIC", "topic that a device in quarantine may publish to and receive, and nothing else", true },
    { "--approvals", "N", "so many people at least must approve a rollout to devices of the line (never fewer than the site says)", false },
    { "--enroll-approval", "yes|no", "a first enrollment of a device of the line waits until somebody approves it: cradle enroll list", false },
    { "--service-until", "DATE", "its devices are in service until this day, whatever they run (cradle crypto inventory); none: nothing is said", false },
    { "--grace", "TIME", "a device whose certificate ended no longer ago than this may still renew it, such as 180d; none: not at all (default)", false },
    { "--grace-key", "KEY", "with which key: same (that of the certificate; default) or any", false },
    { "--ca", "CA", "its devices get their certificates from this CA; default: from the one that is active for devices", false },
    { "--cmp-secret", "yes|no", "may its devices enroll by a one-time secret (cradle device secret)? no, unless set", false },
    { "--key-home", "HOME", "tpm: certificates only for keys that are proved to live in a TPM (cradle tpm trust); any (default)", false },
    { "--default-topics", NULL, "first back to d/%u/up/#, d/%u/down/# and d/%u/repair/#", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_line_set = {
    .name = "line set", .args = "NAME", .min_args = 1, .max_args = 1, .help = "change what devices of a line may do at the brokers, who approves their updates, whether somebody approves their enrollment, how late they may renew, and how long they are in service",
    .text = "Each of --write, --read and --repair is given up to eight times and replaces what was set; given once with an empty text it takes all "
            "topics away. Live sessions go on under the new rights.",
    .example = "cradle line set pump --write 'd/%u/up/#' --write 'l/%l/alarm/%u' --clone-policy quarantine", VERB_OPTS(line_set_opts), .run = line_set_run,
};

static enum err state_change(struct cli *c, const char *state, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s}", "state", state);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = line_patch(c, o, &r, f);
    if (e)
        return e;
    if (state[0] == 's')
        cli_say(c, "suspended line %s: its devices are cut, and neither log in, enroll nor renew until: cradle line resume %s", c->args[0], c->args[0]);
    else
        cli_say(c, "resumed line %s", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
static enum err line_suspend_run(struct cli *c, struct fault *f) { return state_change(c, "suspended", f); }
static enum err line_resume_run(struct cli *c, struct fault *f) { return state_change(c, "active", f); }

static const struct verb_opt note_opts[] = { { "--note", "TEXT", "why, in your words; becomes evidence", false } };
const struct verb verb_line_suspend = {
    .name = "line suspend", .args = "NAME", .min_args = 1, .max_args = 1, .help = "cut all devices of a line until it is resumed",
    .text = "Brokers and servers refuse every device of the line, enrollment and renewal too. Certificates, OCSP and CRLs stay as they are.",
    .example = "cradle line suspend pump --note 'firmware 2.1 floods the brokers'", VERB_OPTS(note_opts), .run = line_suspend_run,
};
const struct verb verb_line_resume = {
    .name = "line resume", .args = "NAME", .min_args = 1, .max_args = 1, .help = "let the devices of a suspended line in again",
    VERB_OPTS(note_opts), .run = line_resume_run,
};

static enum err policy_show_run(struct cli *c, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = cli_call(c, "GET", "/api/v1/policy", (struct span){ 0 }, &r, f);
    if (!e)
        cli_print_text(c, "policy", &r);
    return e;
}
const struct verb verb_policy_show = {
    .name = "policy show", .args = "", .help = "print the policy document that the brokers have", .run = policy_show_run,
};
