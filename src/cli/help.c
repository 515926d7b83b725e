/* help.c: --help and shell completion, made from the table of verbs. */
#include <string.h>

#include "cli/cli.h"

static void put_opt(FILE *out, const struct verb_opt *o)
{
    char left[64];
    snprintf(left, sizeof left, "%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    fprintf(out, "  %-24s %s%s\n", left, o->help, o->many ? " (may be repeated)" : "");
}

static void put_verb(FILE *out, const struct verb *v)
{
    char left[96];
    snprintf(left, sizeof left, "%s%s%s", v->name, v->args[0] ? " " : "", v->args);
    fprintf(out, "  %-34s %s\n", left, v->help);
}

static void put_globals(FILE *out)
{
    fputs("\nOptions of every command:\n", out);
    for (size_t i = 0; i < cli_nglobal_opts; i++)
        put_opt(out, &cli_global_opts[i]);
}

void help_all(FILE *out)
{
    fputs("cradle: identities of devices, from cradle to grave\n\nusage: cradle COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n", out);
    for (size_t i = 0; i < cli_nverbs; i++)
        put_verb(out, cli_verbs[i]);
    put_globals(out);
    fputs("\nA new site: cradle init DIR --name NAME --org ORG --passphrase-file FILE\nMore: cradle COMMAND --help, man cradle\n", out);
}

void help_group(FILE *out, const char *group)
{
    fprintf(out, "usage: cradle %s COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n", group);
    for (size_t i = 0; i < cli_nverbs; i++)
        if (verb_in_group(cli_verbs[i], group))
            put_verb(out, cli_verbs[i]);
}

/* Words in lines of at most 78 bytes. */
static void put_paragraph(FILE *out, const char *s)
{
    int col = 0;
    while (*s) {
        int n = (int)strcspn(s, " ");
        if (col && col + 1 + n > 78)
            col = fprintf(out, "\n") - 1;
        col += fprintf(out, "%s%.*s", col ? " " : "", n, s);
        s += n + (s[n] == ' ');
    }
    putc('\n', out);
}

void help_verb(FILE *out, const struct verb *v)
{
    fprintf(out, "cradle %s: %s\n\nusage: cradle %s%s%s%s\n", v->name, v->help, v->name, v->args[0] ? " " : "", v->args,
            v->nopts ? " [OPTIONS]" : "");
    if (v->text) {
        putc('\n', out);
        put_paragraph(out, v->text);
    }
    if (v->nopts)
        fputs("\nOptions:\n", out);
    for (size_t i = 0; i < v->nopts; i++)
        put_opt(out, &v->opts[i]);
    put_globals(out);
    if (v->example)
        fputs("\nExamples:\n", out);
    for (const char *p = v->example; p && *p;) {
        size_t n = strcspn(p, "\n");
        fprintf(out, "  %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
}

/* One `case` arm a verb: what may follow it. */
static void complete_arm(FILE *out, const struct verb *v)
{
    fprintf(out, "    \"%s\") w=\"", v->name);
    for (size_t i = 0; i < v->nopts; i++)
        fprintf(out, "%s ", v->opts[i].name);
    for (size_t i = 0; i < cli_nglobal_opts; i++)
        fprintf(out, "%s%s", i ? " " : "", cli_global_opts[i].name);
    fputs("\" ;;\n", out);
}

static void complete_groups(FILE *out)
{
    for (size_t i = 0; i < cli_nverbs; i++) {
        const struct verb *v = cli_verbs[i];
        size_t n = verb_group_len(v);
        if (i && verb_group_len(cli_verbs[i - 1]) == n && strncmp(cli_verbs[i - 1]->name, v->name, n) == 0)
            continue;
        if (!v->name[n])
            continue;
        fprintf(out, "    %.*s) w=\"", (int)n, v->name);
        const char *sep = "";
        for (size_t k = 0; k < cli_nverbs; k++)
            if (verb_group_len(cli_verbs[k]) == n && strncmp(cli_verbs[k]->name, v->name, n) == 0 && cli_verbs[k]->name[n]) {
                fprintf(out, "%s%s", sep, cli_verbs[k]->name + n + 1);
                sep = " ";
            }
        fputs("\" ;;\n", out);
    }
}

static enum err completion_run(struct cli *c, struct fault *f)
{
    if (strcmp(c->args[0], "bash") != 0)
        return fault_set(f, CE_USAGE, "there is completion for bash only");
    FILE *out = stdout;
    fputs("_cradle() {\n  local cur=${COMP_WORDS[COMP_CWORD]} v=\"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" w=\n  if [ \"$COMP_CWORD\" = 1 ]; then\n    w=\"", out);
    for (size_t i = 0; i < cli_nverbs; i++) {
        size_t n = verb_group_len(cli_verbs[i]);
        if (!i || verb_group_len(cli_verbs[i - 1]) != n || strncmp(cli_verbs[i - 1]->name, cli_verbs[i]->name, n) != 0)
            fprintf(out, "%s%.*s", i ? " " : "", (int)n, cli_verbs[i]->name);
    }
    fputs("\"\n  elif [ \"$COMP_CWORD\" = 2 ] && [ \"${cur#-}\" = \"$cur\" ]; then\n    case ${COMP_WORDS[1]} in\n", out);
    complete_groups(out);
    fputs("    esac\n  else\n    case $v in\n", out);
    for (size_t i = 0; i < cli_nverbs; i++)
        if (strchr(cli_verbs[i]->name, ' '))
            complete_arm(out, cli_verbs[i]);
    fputs("    esac\n    [ -n \"$w\" ] || case ${COMP_WORDS[1]} in\n", out);
    for (size_t i = 0; i < cli_nverbs; i++)
        if (!strchr(cli_verbs[i]->name, ' '))
            complete_arm(out, cli_verbs[i]);
    fputs("    esac\n  fi\n  COMPREPLY=($(compgen -W \"$w\" -- \"$cur\"))\n  [ -n \"$COMPREPLY\" ] || COMPREPLY=($(compgen -f -- \"$cur\"))\n}\ncomplete -F _cradle cradle\n", out);
    return CE_OK;
}

const struct verb verb_completion = {
    .name = "completion", .args = "SHELL", .min_args = 1, .max_args = 1, .help = "print the completion script for a shell (bash)",
    .example = "cradle completion bash > /etc/bash_completion.d/cradle", .run = completion_run,
};
