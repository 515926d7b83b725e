/* device_state.c: `cradle device revoke|suspend|quarantine|resume|decommission` of one device. Of many: device_bulk.c. */
#include <string.h>

#include "base/mem.h"
#include "cli/device.h"
#include "cli/mass.h"
#include "cli/wait.h"

static enum err one_wait(struct cli *c, const struct device_change *ch, const json_t *answer, int64_t limit_s, struct wait *w, struct fault *f)
{
    enum err e = wait_open(c, w, f);
    e = e ? e : wait_for_decision(w, json_path_str(answer, "decided", NULL), json_path_str(answer, "changed_at", NULL), &c->args[0], 1, f);
    return e ? e : wait_run(w, limit_s * 1000, ch->cuts, f);
}

static enum err one_change(struct cli *c, const struct device_change *ch, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s}", "state", ch->state), *answer = NULL;
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(wait_close) struct wait w = { 0 };
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
    if ((e = cli_net(c, f)) || (e = net_request(c->net, "PATCH", buf_cstr(&path), headers, span_str(body), &r, f)) || (e = cli_json(&r, &answer, f)))
        return e;
    double ms = (double)r.answer_us / 1000;
    cli_say(c, "%s %s: durable %.1f ms after the request was sent (the connection took %.1f ms)%s%s", ch->done, c->args[0], ms,
            (double)r.connect_us / 1000, r.etag[0] ? ", revision " : "", r.etag);
    if (cli_flag(c, "--wait"))
        e = one_wait(c, ch, answer, wait_s, &w, f);
    if (c->json) {
        CLEANUP(json_decref_p) json_t *all = json_pack("{s:s,s:s,s:s,s:f,s:o}", "uid", c->args[0], "state", ch->state, "rev", r.etag, "durable_ms", ms,
                                                       "edges", wait_json(&w));
        cli_print_json(all);
    }
    return e;
}

static enum err change_run(struct cli *c, const struct device_change *ch, struct fault *f)
{
    if (cli_opt(c, "--query") && (c->nargs || device_query_given(c)))
        return fault_set(f, CE_USAGE, "--query goes without a UID and without --line, --model …: write them into it");
    if (cli_opt(c, "--query"))
        return device_mass_change(c, ch, f);
    if (c->nargs && device_query_given(c))
        return fault_set(f, CE_USAGE, "give a UID or a query (--line, --model …), not both");
    if (!c->nargs && !device_query_given(c))
        return fault_set(f, CE_USAGE, "which device? give a UID, or a query: --query, --line, --model, --batch, --country, --state, --tag, --prefix");
    if (!c->nargs)
        return device_bulk_change(c, ch, f);
    if (cli_flag(c, "--dry-run") || cli_opt(c, "--expect") || cli_opt(c, "--run"))
        return fault_set(f, CE_USAGE, "--dry-run, --expect and --run go with a query, not with a UID");
    return one_change(c, ch, f);
}

#define CHANGE(verb_, ...)                                                        \
    static enum err verb_##_run(struct cli *c, struct fault *f)                   \
    {                                                                             \
        static const struct device_change ch = { __VA_ARGS__ };                   \
        return change_run(c, &ch, f);                                             \
    }
CHANGE(revoke, .state = "revoked", .done = "revoked", .doing = "revoke", .how = " for ever", .cuts = true)
CHANGE(suspend, .state = "suspended", .done = "suspended", .doing = "suspend", .how = "", .cuts = true)
CHANGE(quarantine, .state = "quarantined", .done = "quarantined", .doing = "quarantine", .how = "", .cuts = true)
CHANGE(resume, .state = "active", .done = "resumed", .doing = "resume", .how = "", .cuts = false)
CHANGE(decommission, .state = "decommissioned", .done = "decommissioned", .doing = "decommission", .how = " for good", .cuts = true)

#define NOTE_OPT { "--note", "TEXT", "why, in your words; becomes evidence", false }
#define WAIT_OPTS                                                                                    \
    { "--wait", NULL, "wait until every edge has taken it over; print when each did", false },       \
    { "--wait-time", "TIME", "with --wait: give up after this (default 5)", false },                 \
    { "--if-match", "REV", "only when the device still has this revision", false },                \
    { "--query", "KEY=VALUE,…", "instead of a UID: all devices that match, as a job of the server: line, model, batch, country, state, tag, prefix, key-alg, enrolled-from, enrolled-to", false }, \
    { "--line", "LINE", "instead of a UID: all devices of this product line", false },              \
    { "--model", "MODEL", "… of this model", false },                                               \
    { "--batch", "BATCH", "… of this batch", false },                                               \
    { "--country", "CC", "… sold in this country", false },                                         \
    { "--state", "STATE", "… in this state", false },                                               \
    { "--tag", "TAG", "… with this tag", false },                                                   \
    { "--prefix", "TEXT", "… whose UID or serial begins with this", false },                        \
    { "--dry-run", NULL, "with a query: say what matches, and change nothing", false },             \
    { "--expect", "COUNT", "with a query: go on without asking when exactly so many match", false }, \
    { "--run", "NAME", "with a query: go on with the run of this name that broke off", false }
#define QUERY_TEXT                                                                                                            \
    "With --query the server counts who matches and waits for a confirmation with that number: --expect, typed on the terminal, or cradle revocation confirm; by a "    \
    "second person when they are more than mass_revoke_confirm. It works by itself then, also after a restart: cradle revocation watch, pause, cancel, show. "    \
    "With --line, --model and the like all devices that match are changed by this command, up to 500 in one transaction. More than mass_revoke_confirm in ten minutes are refused: use --query. Look first with --dry-run; "    \
    "then say with --expect how many there are, or answer the question on the terminal. A run that breaks off says its name: the same " \
    "command with --run NAME goes on. Exit code 6: the change is durable, but an edge did not take it over within --wait-time."
static const struct verb_opt revoke_opts[] = {
    { "--reason", "REASON", "keyCompromise, cessationOfOperation, affiliationChanged, superseded, unspecified … (RFC 5280 5.3.1)", false },
    NOTE_OPT, WAIT_OPTS,
};
static const struct verb_opt state_opts[] = { NOTE_OPT, WAIT_OPTS };

const struct verb verb_device_revoke = {
    .name = "device revoke", .args = "[UID]", .max_args = 1, .help = "revoke a device for ever and cut its sessions",
    .text = "The answer is durable: the revocation is written, with its evidence, before it is printed. Brokers, servers and OCSP refuse the "
            "device from then on, live sessions are closed. It cannot be undone; suspend can. " QUERY_TEXT,
    .example = "cradle device revoke pump-0001 --reason keyCompromise --note 'stolen' --wait\n"
               "cradle device revoke --model P100 --batch 7 --dry-run\ncradle device revoke --model P100 --batch 7 --expect 312 --reason keyCompromise --wait\n"
               "cradle device revoke --query line=pump,key-alg=rsa:2048,enrolled-from=2026-01-01,enrolled-to=2026-02-01 --reason keyCompromise",
    VERB_OPTS(revoke_opts), .run = revoke_run,
};
const struct verb verb_device_suspend = {
    .name = "device suspend", .args = "[UID]", .max_args = 1, .help = "cut a device until it is resumed", .text = QUERY_TEXT,
    VERB_OPTS(state_opts),
    .run = suspend_run,
};
const struct verb verb_device_quarantine = {
    .name = "device quarantine", .args = "[UID]", .max_args = 1, .help = "leave a device nothing but its repair topics until it is resumed",
    .text = "Its certificates stay valid, its live sessions are closed once; then it may log in at the brokers again, but publish and receive only what "
            "its line allows a device in quarantine (d/UID/repair/# by default). Servers behind cradle-edge and renewals refuse it. " QUERY_TEXT,
    .example = "cradle device quarantine pump-0001 --note 'seen in two places' --wait", VERB_OPTS(state_opts), .run = quarantine_run,
};
const struct verb verb_device_resume = {
    .name = "device resume", .args = "[UID]", .max_args = 1, .help = "let a quarantined or suspended device in again", .text = QUERY_TEXT,
    VERB_OPTS(state_opts),
    .run = resume_run,
};
const struct verb verb_device_decommission = {
    .name = "device decommission", .args = "[UID]", .max_args = 1, .help = "end a device's life for good", .text = QUERY_TEXT,
    VERB_OPTS(state_opts),
    .run = decommission_run,
};
