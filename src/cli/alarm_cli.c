/* alarm_cli.c: `cradle alarm add|check|test`, and alarm.conf(5). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"
#include "cli/operator.h"

#define CONFIG_OPT { "--config", "FILE", "its configuration (default " ALARM_CONF_DEFAULT ")", false }

static enum err conf_of(const struct cli *c, struct alarm_conf *conf, struct fault *f)
{
    return alarm_conf_load(cli_opt_or(c, "--config", ALARM_CONF_DEFAULT), conf, f);
}

/* -- add -------------------------------------------------------------------------------------------------------------------------- */
static const char rules_text[] =
    "\n# What is told. Kinds of events and their fields: docs/events.md. All keys: cradle-alarm.conf(5).\n"
    "[rule copies]\nkinds = clone-suspected\nseverity = critical\ngroup = 1m\n\n"
    "[rule foreign]\nkinds = refused\nwhen = reason=certificate-foreign|bad-signature|key-of-other|key-revoked\nseverity = critical\ngroup = 5m\n\n"
    "[rule refusals]\nkinds = refused\nsum = count\ncount = 100\nwindow = 5m\nby = addr\ngroup = 15m\n\n"
    "[rule lint]\nkinds = refused\nwhen = reason=lint\nseverity = critical\ngroup = 15m\n\n"
    "[rule stale]\nkinds = stale\nseverity = critical\n\n"
    "[rule tokens]\nkinds = token-lost token-back\nseverity = critical\n\n"
    "[rule drills]\nkinds = drill\nwhen = result!=passed\nseverity = critical\n\n"
    "[rule restarts]\nkinds = role-restarted repaired cert-orphan signature-unused\ngroup = 5m\n\n"
    "[rule revoked]\nkinds = device-state\nwhen = to=revoked|suspended|quarantined\nseverity = info\ngroup = 1m\n\n"
    "[rule operators]\nkinds = operator-added operator-removed\n";

static void put_channels(const struct cli *c, struct buf *b)
{
    const char *url = cli_opt(c, "--webhook"), *to = cli_opt(c, "--mail"), *command = cli_opt(c, "--command");
    buf_put_str(b, "\n# Who is told. Sign what is posted: openssl rand -base64 32 > webhook.secret (0600), and give the receiver a copy.\n");
    if (url)
        buf_printf(b, "[channel webhook]\ntype = webhook\nurl = %s\n# secret = /etc/cradle-alarm/webhook.secret\n\n", url);
    if (to)
        buf_printf(b, "[channel mail]\ntype = mail\nto = %s\nfrom = %s\n\n", to, cli_opt_or(c, "--from", to));
    if (command)
        buf_printf(b, "[channel command]\ntype = command\ncommand = %s\n\n", command);
    if (!url && !to && !command)
        buf_put_str(b, "# [channel webhook]\n# type = webhook\n# url = https://alarms.example.com/cradle\n# secret = /etc/cradle-alarm/webhook.secret\n#\n"
                       "# [channel mail]\n# type = mail\n# to = security@example.com\n# from = cradle@example.com\n#\n"
                       "# [channel command]\n# type = command\n# command = /usr/local/bin/page-somebody\n");
}

static enum err write_conf(const struct cli *c, const char *dir, struct fault *f)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(65536);
    CLEANUP(mem_free_p) char *here = realpath(dir, NULL);
    CLEANUP(mem_free_p) struct alarm_conf *conf = mem_calloc(1, sizeof *conf);
    const char *at = cli_opt_or(c, "--install-dir", here ? here : dir), *state = cli_opt(c, "--state-dir");
    bool channels = cli_opt(c, "--webhook") || cli_opt(c, "--mail") || cli_opt(c, "--command");
    buf_printf(&b, "# alarm.conf: made by cradle alarm add %s.\n\n# The site's name in alarms, and cradled's URLs, tried in turn (separated by spaces).\n"
                   "name = %s\nurls = %s\n\n", c->args[0], cli_opt_or(c, "--name", "cradle"), c->net_cfg.base);
    buf_printf(&b, "# Whom we trust, and who we are. Change the folder when these files move.\nca = %s/bundle.pem\ncert = %s/alarm.pem\nkey = %s/alarm.key\n\n", at,
               at, at);
    if (state)
        buf_printf(&b, "# Where we are in the stream, and what waits.\nstate_dir = %s\n", state);
    else
        buf_printf(&b, "# Where we are in the stream, and what waits.\nstate_dir = %s/state\n", at);
    put_channels(c, &b);
    buf_put_str(&b, rules_text);
    enum err e = channels ? alarm_conf_parse("alarm.conf", buf_span(&b), conf, f) : CE_OK;
    return e ? e : folder_put(dir, "alarm.conf", buf_span(&b), f);
}

static enum err add_run(struct cli *c, struct fault *f)
{
    char key[PATH_MAX_LEN], pem[PATH_MAX_LEN];
    const char *out = cli_opt_or(c, "--out", c->args[0]);
    struct operator_new n = { .name = c->args[0], .role = "auditor", .out = out, .file = "alarm" };
    if (strlen(out) > 300 || strlen(cli_opt_or(c, "--install-dir", "")) > 150 || strlen(cli_opt_or(c, "--state-dir", "")) > 180)
        return fault_set(f, CE_USAGE, "the path is too long");
    enum err e = cli_site(c, f);
    if (e || (e = cli_net(c, f)))
        return e;
    if ((e = file_mkdirs(out, 0700)))
        return fault_set(f, e, "cannot make the folder %s: %s", out, strerror(errno));
    if ((e = write_conf(c, out, f)) || (e = folder_copy(c, "ca/bundle.pem", out, "bundle.pem", f)) || (e = operator_make(c, &n, key, pem, f)))
        return e;
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "name", n.name, "role", n.role, "dir", out, "key", key);
        cli_print_json(o);
    }
    cli_say(c, "added %s with role auditor; its folder is %s: say in %s/alarm.conf who is told, then: cradle alarm test --config %s/alarm.conf", n.name, out,
            out, out);
    return CE_OK;
}

static const struct verb_opt add_opts[] = {
    { "--out", "DIR", "the folder to make (default ./NAME)", false },
    { "--install-dir", "DIR", "where the folder will be, for the paths in alarm.conf (default: where it is made)", false },
    { "--state-dir", "DIR", "where the service keeps its journal (default: state/ in its folder)", false },
    { "--name", "SITE", "name of the site in alarms (default cradle)", false },
    { "--webhook", "URL", "a channel that posts to this URL", false },
    { "--mail", "ADDRESS", "a channel that sends mail there", false },
    { "--from", "ADDRESS", "whom the mail comes from (default: the same address)", false },
    { "--command", "PROGRAM", "a channel that runs this", false },
};
const struct verb verb_alarm_add = {
    .name = "alarm add", .args = "NAME", .min_args = 1, .max_args = 1, .help = "add an alarm service: identity (auditor) and configuration for its host",
    .text = "Makes a folder with alarm.key (0600), alarm.pem, bundle.pem and alarm.conf, which has rules to begin with. Works on the server's machine, where the site's folder is.",
    .example = "cradle alarm add alarm-1 --out ./cradle-alarm --install-dir /etc/cradle-alarm --state-dir /var/lib/cradle-alarm --mail security@example.com",
    VERB_OPTS(add_opts), .run = add_run,
};

/* -- check -------------------------------------------------------------------------------------------------------------------------- */
static enum err check_run(struct cli *c, struct fault *f)
{
    CLEANUP(mem_free_p) struct alarm_conf *conf = mem_calloc(1, sizeof *conf);
    CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 20);
    enum err e = conf_of(c, conf, f);
    for (int i = 0; !e && i < conf->nchannels; i++)
        e = alarm_channel_check(&conf->channel[i], f);
    if (e)
        return e;
    if (cli_flag(c, "--print")) {
        alarm_conf_dump(conf, true, &out);
        fputs(buf_cstr(&out), stdout);
    } else if (c->json)
        printf("{\"rules\":%d,\"channels\":%d}\n", conf->nrules, conf->nchannels);
    else
        cli_say(c, "%s is right: %d rules, %d channels; next: cradle alarm test", cli_opt_or(c, "--config", ALARM_CONF_DEFAULT), conf->nrules,
                conf->nchannels);
    return CE_OK;
}
static const struct verb_opt check_opts[] = { CONFIG_OPT, { "--print", NULL, "print the effective configuration, every key with its meaning", false } };
const struct verb verb_alarm_check = {
    .name = "alarm check", .args = "", .help = "check an alarm service's configuration and what its channels need on this host", .example = "cradle alarm check --print",
    VERB_OPTS(check_opts), .run = check_run,
};

/* -- test ---------------------------------------------------------------------------------------------------------------------------- */
static bool test_one(struct cli *c, const struct alarm_conf *conf, int ch, const char *body)
{
    static const char *const words[] = { [ALARM_TAKEN] = "taken", [ALARM_AGAIN] = "not taken", [ALARM_REFUSED] = "refused" };
    const struct alarm_channel *channel = &conf->channel[ch];
    struct alarm_result r;
    int64_t began = clock_mono_ms();
    alarm_send(conf, channel, body, &r);
    int64_t took = clock_mono_ms() - began;
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:s,s:I,s:s}", "channel", channel->name, "type", channel->cfg.type, "outcome",
                                                     words[r.outcome], "ms", (json_int_t)took, "error", r.text);
        cli_print_json(o);
    }
    cli_say(c, "%-16s %s after %lld ms%s%s", channel->name, words[r.outcome], (long long)took, r.text[0] ? ": " : "", r.text);
    return r.outcome == ALARM_TAKEN;
}

static enum err test_run(struct cli *c, struct fault *f)
{
    CLEANUP(mem_free_p) struct alarm_conf *conf = mem_calloc(1, sizeof *conf);
    CLEANUP(json_decref_p) json_t *raised = json_array();
    const char *only = cli_opt(c, "--channel");
    int bad = 0, all = 0;
    enum err e = conf_of(c, conf, f);
    if (e)
        return e;
    if (only && alarm_channel_find(conf, only) < 0)
        return fault_set(f, CE_NOT_FOUND, "there is no [channel %.48s] in the configuration", only);
    struct alarm_self self = { .what = "test", .key = "", .text = "this is a test of the alarms; nothing has happened", .severity = ALARM_INFO,
                               .at_ms = clock_now_ms() };
    alarm_raise_self(conf, &self, raised);
    CLEANUP(mem_free_p) char *body = json_dumps(json_object_get(json_array_get(raised, 0), "body"), JSON_COMPACT);
    for (int i = 0; i < conf->nchannels; i++) {
        if (only && strcmp(conf->channel[i].name, only) != 0)
            continue;
        all++;
        bad += !test_one(c, conf, i, body);
    }
    return bad ? fault_set(f, CE_IO, "%d of %d channels did not take the test", bad, all) : CE_OK;
}
static const struct verb_opt test_opts[] = { CONFIG_OPT, { "--channel", "NAME", "only this channel", false } };
const struct verb verb_alarm_test = {
    .name = "alarm test", .args = "", .help = "send a test alarm through every channel, now, and say what became of it",
    .text = "Each channel gets one attempt, whether the service runs or not. Exit code 1 when one of them did not take it.", .example = "cradle alarm test --channel mail",
    VERB_OPTS(test_opts), .run = test_run,
};

/* -- alarm.conf(5) ---------------------------------------------------------------------------------------------------------------------- */
void alarm_manual(struct buf *out)
{
    buf_put_str(out, ".Dd November 20, 2026\n.Dt CRADLE-ALARM.CONF 5\n.Os\n.Sh NAME\n.Nm alarm.conf\n.Nd configuration of cradle alarm serve\n"
                     ".Sh DESCRIPTION\n.Ql cradle alarm add NAME\nmakes this file and all that it names.\nLines have the form\n.Ql key = value .\nA\n.Ql #\n"
                     "at the start of a line or after white space begins a comment.\nUnknown, repeated and out-of-range keys are errors,\n"
                     "as are kinds of events and fields that do not exist.\nKeys of the service come first, then sections\n.Ql [channel NAME]\nand\n.Ql [rule NAME] .\n"
                     ".Sh KEYS OF THE SERVICE\n.Bl -tag -width Ds\n");
    config_mdoc(alarm_head_table, alarm_nhead_table, out);
    buf_put_str(out, ".El\n.Sh KEYS OF A CHANNEL\nA webhook is posted JSON with the headers Idempotency-Key, webhook-id, webhook-timestamp and, with\n.Va secret ,\n"
                     "webhook-signature: v1, and the base64 of HMAC-SHA256 over ID.TIMESTAMP.BODY (Standard Webhooks).\n"
                     "An answer 2xx takes the alarm; 408, 425, 429, 5xx and none at all are tried again; others refuse it for good.\n"
                     "A command takes it with exit code 0; 75, a signal, a time-out and a program that cannot be started are tried again.\n.Bl -tag -width Ds\n");
    config_mdoc(alarm_channel_table, alarm_nchannel_table, out);
    buf_put_str(out, ".El\n.Sh KEYS OF A RULE\n.Bl -tag -width Ds\n");
    config_mdoc(alarm_rule_table, alarm_nrule_table, out);
    buf_put_str(out, ".El\n.Sh SEE ALSO\n.Xr cradle-alarm 1 ,\n.Xr sendmail 8\n");
}
