/* cradle_gate.c: the command line of the gate: a table of verbs. What they do is in judge.c, match.c and order.c. */
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/program.h"
#include "gate/gate.h"

static struct gate gate; /* one a process */

static int fail(enum err e, const struct fault *f) { return program_fail("cradle-gate", e, f); }

static enum err match(struct gate *g, char **args, struct fault *f)
{
    if (args[0] && strcmp(args[0], "swupdate") == 0)
        return match_swupdate(g, f);
    if (args[0] && strcmp(args[0], "rauc") == 0)
        return match_rauc(g, f);
    return match_file(g, args[1], f);
}

static int verb_check(struct gate *g, char **args)
{
    struct fault f = { 0 };
    bool known = args[0] && (strcmp(args[0], "swupdate") == 0 || strcmp(args[0], "rauc") == 0 || (strcmp(args[0], "file") == 0 && args[1]));
    enum err e = known ? gate_judge(g, &f) : fault_set(&f, CE_USAGE, "check swupdate, check rauc or check file PATH");
    e = e ? e : match(g, args, &f);
    e = e ? e : order_accept(g, &f);
    if (!e) {
        printf("cradle-gate: release %s, version %s, is ordered for %s (order %llu)\n", g->up.target.release, g->up.target.version, g->cfg.uid,
               (unsigned long long)g->up.target.sequence);
        return 0;
    }
    if (*g->reason)
        order_report(g, g->up.target.sequence, "refused", g->reason, f.text);
    return fail(e, &f);
}

static int verb_fetch(struct gate *g, char **args)
{
    struct fault f = { 0 };
    (void)args;
    enum err e = g->net ? gate_judge(g, &f) : fault_set(&f, CE_USAGE, "update_url is not set: there is no server to fetch from");
    if (e)
        return fail(e, &f);
    printf("release %s, version %s, is ordered for %s\n", g->up.target.release, g->up.target.version, g->cfg.uid);
    return 0;
}

static int verb_installed(struct gate *g, char **args)
{
    struct fault f = { 0 };
    (void)args;
    enum err e = order_installed(g, &f);
    return e ? fail(e, &f) : 0;
}

static int verb_confirm(struct gate *g, char **args)
{
    struct fault f = { 0 };
    enum err e = order_confirm(g, args[0] ? args[0] : g->version, &f);
    if (e)
        return fail(e, &f);
    puts("confirmed: nothing with a lower security counter is installed from now on");
    return 0;
}

static int verb_config(struct gate *g, char **args)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    (void)args;
    config_dump(gate_keys, gate_nkeys, &g->cfg, true, &out);
    fputs(buf_cstr(&out), stdout);
    return 0;
}

static const struct gate_verb verbs[] = {
    { { "check", "swupdate | rauc | file PATH", "is the image that is about to be installed ordered for this device? Exit code 0: yes" }, verb_check },
    { { "fetch", "", "ask the server and keep its answer, for an installation without network" }, verb_fetch },
    { { "installed", "", "the installer is done: tell the server" }, verb_installed },
    { { "confirm", "[VERSION]", "the new version runs and is well: raise the counter floor and tell the server" }, verb_confirm },
    { { "config", "", "print the effective configuration" }, verb_config },
};

int main(int argc, char **argv)
{
    const struct program program = { .name = "cradle-gate", .about = "The check of the directive for installers that know nothing of it.",
                                     .conf = "/etc/cradle-agent/gate.conf", .manual = gate_manual(verbs, ARRAY_LEN(verbs)) };
    struct fault f = { 0 };
    const char *path;
    size_t verb;
    int rc;
    log_setup("gate", LOG_LEVEL_INFO);
    int at = program_begin(&program, argc, argv, &path, &verb, &rc);
    if (at < 0)
        return rc;
    enum err e = gate_open(&gate, path, &f);
    rc = e ? fail(e, &f) : verbs[verb].run(&gate, argv + at + 1);
    gate_close(&gate);
    return rc;
}
