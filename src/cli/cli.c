/* cli.c: finds the verb, reads its options, runs it, prints what went wrong. No verb lives here. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

const struct verb *const cli_verbs[] = {
#define VERB(name) &verb_##name,
#include "cli/verbs.def"
#undef VERB
};
const size_t cli_nverbs = ARRAY_LEN(cli_verbs);

const struct verb_opt cli_global_opts[] = {
    { "--site", "DIR", "the site's folder (else $CRADLE_SITE, else the profile)", false },
    { "--as", "NAME", "act as this operator of the site (DIR/operators/NAME.key, default admin)", false },
    { "--json", NULL, "print JSON instead of text", false },
    { "--quiet", NULL, "print errors only", false },
    { "--help", NULL, "print this help", false },
};
const size_t cli_nglobal_opts = ARRAY_LEN(cli_global_opts);

size_t verb_group_len(const struct verb *v)
{
    const char *space = strchr(v->name, ' ');
    return space ? (size_t)(space - v->name) : strlen(v->name);
}

bool verb_in_group(const struct verb *v, const char *group)
{
    size_t n = verb_group_len(v);
    return strlen(group) == n && strncmp(v->name, group, n) == 0;
}

/* The verb called "first" or "first second"; *words says which. */
static const struct verb *verb_find(const char *first, const char *second, int *words)
{
    char two[64];
    snprintf(two, sizeof two, "%s %s", first, second ? second : "");
    for (size_t i = 0; i < cli_nverbs; i++) {
        bool one = strcmp(cli_verbs[i]->name, first) == 0;
        if (one || (second && strcmp(cli_verbs[i]->name, two) == 0)) {
            *words = one ? 1 : 2;
            return cli_verbs[i];
        }
    }
    return NULL;
}

static const struct verb_opt *opt_find(const struct verb *v, const char *name, size_t n)
{
    for (size_t i = 0; v && i < v->nopts; i++)
        if (strlen(v->opts[i].name) == n && strncmp(v->opts[i].name, name, n) == 0)
            return &v->opts[i];
    for (size_t i = 0; i < cli_nglobal_opts; i++)
        if (strlen(cli_global_opts[i].name) == n && strncmp(cli_global_opts[i].name, name, n) == 0)
            return &cli_global_opts[i];
    return NULL;
}

/* One option at argv[*i], with "=value", the next argument as value, or none. */
static enum err parse_opt(struct cli *c, int argc, char **argv, int *i, struct fault *f)
{
    const char *arg = argv[*i], *eq = strchr(arg, '=');
    size_t n = eq ? (size_t)(eq - arg) : strlen(arg);
    const struct verb_opt *o = opt_find(c->verb, arg, n);
    if (!o)
        return fault_set(f, CE_USAGE, "unknown option '%.*s'; see: cradle %s --help", (int)n, arg, c->verb ? c->verb->name : "");
    if (!o->arg && eq)
        return fault_set(f, CE_USAGE, "option %s takes no value", o->name);
    if (o->arg && !eq && *i + 1 >= argc)
        return fault_set(f, CE_USAGE, "option %s needs a value: %s %s", o->name, o->name, o->arg);
    if (c->nopts == CLI_OPTS_MAX)
        return fault_set(f, CE_USAGE, "too many options");
    if (!o->many && cli_opt(c, o->name))
        return fault_set(f, CE_USAGE, "option %s is given twice", o->name);
    const char *value = !o->arg ? "" : eq ? eq + 1 : argv[++*i];
    c->opts[c->nopts++] = (struct cli_given){ o->name, value };
    return CE_OK;
}

static enum err parse_verb(struct cli *c, int argc, char **argv, int *at, struct fault *f)
{
    const char *first = argv[*at], *second = *at + 1 < argc ? argv[*at + 1] : NULL;
    int words = 0;
    c->verb = verb_find(first, second && second[0] != '-' ? second : NULL, &words);
    *at += words;
    if (c->verb)
        return CE_OK;
    for (size_t i = 0; i < cli_nverbs; i++)
        if (verb_in_group(cli_verbs[i], first))
            return fault_set(f, CE_USAGE, "'%s%s%s' is not a command; see: cradle %s --help", first, second ? " " : "",
                             second ? second : "", first);
    return fault_set(f, CE_USAGE, "'%s' is not a command; see: cradle --help", first);
}

enum err cli_parse(struct cli *c, int argc, char **argv, struct fault *f)
{
    bool options = true;
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i];
        enum err e = CE_OK;
        if (options && strcmp(a, "--") == 0)
            options = false;
        else if (options && strncmp(a, "--", 2) == 0)
            e = parse_opt(c, argc, argv, &i, f);
        else if (options && a[0] == '-' && a[1])
            return fault_set(f, CE_USAGE, "unknown option '%s'; options are long ones: --help lists them", a);
        else if (!c->verb) {
            e = parse_verb(c, argc, argv, &i, f);
            i--;
        } else if (c->nargs == CLI_ARGS_MAX)
            return fault_set(f, CE_USAGE, "too many arguments");
        else
            c->args[c->nargs++] = a;
        if (e)
            return e;
    }
    if (!c->verb || cli_flag(c, "--help"))
        return CE_OK;
    if (c->nargs < c->verb->min_args || (c->verb->max_args >= 0 && c->nargs > c->verb->max_args))
        return fault_set(f, CE_USAGE, "%s; usage: cradle %s %s", c->nargs < c->verb->min_args ? "an argument is missing" : "too many arguments",
                         c->verb->name, c->verb->args);
    return CE_OK;
}

static void cli_close(struct cli *c)
{
    cli_progress_end(c);
    net_close(c->net);
    c->net = NULL;
}

/* --help, --version, --man GROUP and a group without a verb are answered before any verb is looked for. */
static bool cli_information(int argc, char **argv, int *code)
{
    const char *first = argc > 1 ? argv[1] : "--help";
    const char *second = argc > 2 ? argv[2] : NULL;
    *code = 0;
    if (strcmp(first, "--version") == 0 || strcmp(first, "-V") == 0) {
        puts("cradle " CRADLE_VERSION);
        return true;
    }
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || (strcmp(first, "help") == 0 && !second)) {
        help_all(argc > 1 ? stdout : stderr);
        *code = argc > 1 ? 0 : err_exit(CE_USAGE);
        return true;
    }
    if (strcmp(first, "--man") == 0 && second) {
        *code = err_exit(man_page(stdout, second));
        return true;
    }
    if (strcmp(first, "help") == 0)
        first = second;
    int words;
    if (second && second != first && strncmp(second, "--help", 6) != 0)
        return false;
    for (size_t i = 0; i < cli_nverbs && !verb_find(first, NULL, &words); i++)
        if (verb_in_group(cli_verbs[i], first)) {
            help_group(second ? stdout : stderr, first);
            *code = second ? 0 : err_exit(CE_USAGE);
            return true;
        }
    return false;
}

int cli_main(int argc, char **argv)
{
    int code;
    if (cli_information(argc, argv, &code))
        return code;
    struct cli c = { 0 };
    struct fault f = { 0 };
    enum err e = cli_parse(&c, argc, argv, &f);
    c.json = cli_flag(&c, "--json");
    c.quiet = cli_flag(&c, "--quiet");
    c.colour = isatty(1) && !getenv("NO_COLOR") && !c.json;
    if (!e && cli_flag(&c, "--help")) {
        if (c.verb)
            help_verb(stdout, c.verb);
        else
            help_all(stdout);
        return 0;
    }
    if (!e && !c.verb)
        e = fault_set(&f, CE_USAGE, "a command is missing; see: cradle --help");
    if (!e)
        e = c.verb->run(&c, &f);
    cli_close(&c);
    if (!e && fflush(stdout))
        e = fault_set(&f, CE_IO, "cannot write the output");
    if (e)
        cli_print_fault(&c, e, &f);
    return err_exit(e);
}
