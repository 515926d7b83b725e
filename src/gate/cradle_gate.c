/* cradle_gate.c: the command line of the gate: a table of verbs. What they do is in judge.c, match.c and order.c. */
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "gate/gate.h"

static struct gate gate; /* one a process */

static int fail(enum err e, const struct fault *f)
{
    fprintf(stderr, "cradle-gate: %s (%s)\n", f->text, err_reason(e));
    return err_exit(e);
}

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
    { "check", "swupdate | rauc | file PATH", verb_check, "is the image that is about to be installed ordered for this device? Exit code 0: yes" },
    { "fetch", "", verb_fetch, "ask the server and keep its answer, for an installation without network" },
    { "installed", "", verb_installed, "the installer is done: tell the server" },
    { "confirm", "[VERSION]", verb_confirm, "the new version runs and is well: raise the counter floor and tell the server" },
    { "config", "", verb_config, "print the effective configuration" },
};

static int usage(FILE *out, int rc)
{
    fprintf(out, "usage: cradle-gate [-c FILE] VERB\n\nThe check of the directive for installers that know nothing of it.\n\n");
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        fprintf(out, "  %-10s %-28s %s\n", verbs[i].name, verbs[i].args, verbs[i].help);
    fprintf(out, "\nFILE is /etc/cradle-agent/gate.conf unless given.\nExit codes: 0 done, 2 usage, 3 refused, 4 not found, 5 conflict, 6 try again, 7 not trusted, 1 other.\n");
    return rc;
}

int main(int argc, char **argv)
{
    struct fault f = { 0 };
    const char *path = "/etc/cradle-agent/gate.conf";
    int opt;
    log_setup("gate", LOG_LEVEL_INFO);
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return usage(stdout, 0);
    if (argc == 3 && strcmp(argv[1], "--man") == 0)
        return gate_manual(argv[2], verbs, ARRAY_LEN(verbs));
    while ((opt = getopt(argc, argv, "+c:hV")) != -1) {
        if (opt == 'c')
            path = optarg;
        else if (opt == 'V')
            return puts("cradle-gate " CRADLE_VERSION), 0;
        else
            return usage(opt == 'h' ? stdout : stderr, opt == 'h' ? 0 : 2);
    }
    for (size_t i = 0; i < ARRAY_LEN(verbs) && optind < argc; i++) {
        if (strcmp(verbs[i].name, argv[optind]) != 0)
            continue;
        enum err e = gate_open(&gate, path, &f);
        int rc = e ? fail(e, &f) : verbs[i].run(&gate, argv + optind + 1);
        gate_close(&gate);
        return rc;
    }
    return usage(stderr, 2);
}
