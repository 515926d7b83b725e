/* man.c: the manual pages in mdoc, made from the table of verbs: cradle.1 and one page a group (cradle-device.1 …). */
#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"

#define MAN_DATE "November 20, 2026"

/* One word; a control character at a line's start is defused. Returns its width. */
static int man_word(FILE *out, const char *s, int n, bool start)
{
    if (start && (*s == '.' || *s == '\''))
        fputs("\\&", out);
    for (int i = 0; i < n; i++) {
        if (s[i] == '\\')
            fputs("\\e", out);
        else
            putc(s[i], out);
    }
    return n;
}

/* Text for mdoc: lines of at most 78 bytes, a new sentence on a new line. */
static void man_text(FILE *out, const char *s)
{
    int col = 0;
    while (*s) {
        int n = (int)strcspn(s, " ");
        bool sentence = n && s[n - 1] == '.' && s[n] && isupper((unsigned char)s[n + 1]);
        if (col && col + 1 + n > 78) {
            putc('\n', out);
            col = 0;
        }
        if (col) {
            putc(' ', out);
            col++;
        }
        col += man_word(out, s, n, col == 0);
        s += n + (s[n] == ' ');
        if (sentence) {
            putc('\n', out);
            col = 0;
        }
    }
    if (col)
        putc('\n', out);
}

static void man_opt(FILE *out, const struct verb_opt *o)
{
    fprintf(out, ".It Fl Fl %s%s%s\n", o->name + 2, o->arg ? " Ar " : "", o->arg ? o->arg : "");
    char line[256];
    snprintf(line, sizeof line, "%c%s%s.", toupper((unsigned char)o->help[0]), o->help + 1, o->many ? " (may be repeated)" : "");
    man_text(out, line);
}

static void man_head(FILE *out, const char *title, const char *name, const char *what)
{
    fprintf(out, ".\\\" Made by `cradle --man` from the table of verbs; do not edit.\n.Dd " MAN_DATE "\n.Dt %s 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n",
            title, name, what);
}

static void man_synopsis(FILE *out, const struct verb *v)
{
    fprintf(out, ".Nm cradle %s\n", v->name);
    if (v->args[0])
        fprintf(out, ".Ar %s\n", v->args);
    if (v->nopts)
        fputs(".Op Ar options\n", out);
}

static void man_example(FILE *out, const struct verb *v)
{
    fputs(".Bd -literal -offset indent\n", out);
    for (const char *p = v->example; *p; p++) {
        if (*p == '\\')
            fputs("\\e", out);
        else
            putc(*p, out);
    }
    fputs("\n.Ed\n", out);
}

static void man_verb(FILE *out, const struct verb *v)
{
    fprintf(out, ".Ss cradle %s\n.D1 Nm cradle %s%s%s\n", v->name, v->name, v->args[0] ? " Ar " : "", v->args);
    char line[256];
    snprintf(line, sizeof line, "%c%s.", toupper((unsigned char)v->help[0]), v->help + 1);
    man_text(out, line);
    if (v->text) {
        fputs(".Pp\n", out);
        man_text(out, v->text);
    }
    if (v->nopts)
        fputs(".Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < v->nopts; i++)
        man_opt(out, &v->opts[i]);
    if (v->nopts)
        fputs(".El\n", out);
    if (v->example)
        man_example(out, v);
}

static void man_exit(FILE *out)
{
    static const struct { int code; const char *text; } rows[] = {
        { 0, "Done." },
        { 1, "An internal error, or a connection that could not be made." },
        { 2, "The command line or the input is wrong." },
        { 3, "Refused: not known, revoked, or not allowed." },
        { 4, "There is no such object." },
        { 5, "A conflict: it exists already, has changed meanwhile, or may not change so." },
        { 6, "The service is busy or restarting, or did not answer in time; try again." },
        { 7, "Trust: a signature, a proof or the server's certificate does not hold." },
    };
    fputs(".Sh EXIT STATUS\n.Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        fprintf(out, ".It %d\n%s\n", rows[i].code, rows[i].text);
    fputs(".El\n", out);
}

/* One reference a group, in the order of the alphabet. */
static void man_see_groups(FILE *out)
{
    char last[64] = "";
    for (;;) {
        char next[64] = "";
        for (size_t i = 0; i < cli_nverbs; i++) {
            char group[64];
            snprintf(group, sizeof group, "%.*s", (int)verb_group_len(cli_verbs[i]), cli_verbs[i]->name);
            if (strcmp(group, last) > 0 && (!next[0] || strcmp(group, next) < 0))
                snprintf(next, sizeof next, "%s", group);
        }
        if (!next[0])
            return;
        fprintf(out, ".Xr cradle-%s 1 ,\n", next);
        snprintf(last, sizeof last, "%s", next);
    }
}

static void man_main(FILE *out)
{
    man_head(out, "CRADLE", "cradle", "identities of devices, from cradle to grave");
    fputs(".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar arguments\n.Op Ar options\n.Sh DESCRIPTION\nThe operator's command line of\n.Xr cradled 8 .\n"
          ".Nm cradle init\nmakes a site; all other commands speak to the running service over mutual TLS\n"
          "with the operator's certificate, or work on files alone.\n.Pp\nThe commands are:\n.Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < cli_nverbs; i++) {
        const struct verb *v = cli_verbs[i];
        fprintf(out, ".It Nm cradle %s%s%s\n", v->name, v->args[0] ? " Ar " : "", v->args);
        char line[256];
        snprintf(line, sizeof line, "%c%s.", toupper((unsigned char)v->help[0]), v->help + 1);
        man_text(out, line);
    }
    fputs(".El\n.Pp\nOptions of every command:\n.Bl -tag -width Ds\n", out);
    for (size_t i = 0; i < cli_nglobal_opts; i++)
        man_opt(out, &cli_global_opts[i]);
    fputs(".El\n.Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev CRADLE_SITE\nThe site's folder.\n.It Ev NO_COLOR\nWhen set, no colour is used.\n"
          ".It Ev XDG_CONFIG_HOME\nWhere the profile is; default\n.Pa ~/.config .\n.El\n.Sh FILES\n.Bl -tag -width Ds\n"
          ".It Pa ~/.config/cradle/profile\nThe site that commands use without\n.Fl Fl site :\none line\n.Ql site = DIR ,\n"
          "or for a site on another machine the four keys\n.Ql url , ca , cert\nand\n.Ql key .\n.It Pa DIR/cradled.conf\n"
          "The configuration of the site, see\n.Xr cradled.conf 5 .\n.It Pa DIR/operators/NAME.key , NAME.pem\nThe operators' keys and certificates.\n.El\n", out);
    man_exit(out);
    fputs(".Sh SEE ALSO\n", out);
    man_see_groups(out);
    fputs(".Xr cradled.conf 5 ,\n.Xr cradled 8\n", out);
}

enum err man_page(FILE *out, const char *group)
{
    if (strcmp(group, "alarm.conf") == 0) { /* a page of section 5 */
        CLEANUP(buf_free) struct buf page = BUF_INIT(1 << 20);
        alarm_manual(&page);
        fputs(buf_cstr(&page), out);
        return CE_OK;
    }
    if (strcmp(group, "cradle") == 0) {
        man_main(out);
        return CE_OK;
    }
    char title[64], name[64];
    const struct verb *first = NULL;
    int count = 0;
    for (size_t i = 0; i < cli_nverbs; i++)
        if (verb_in_group(cli_verbs[i], group) && ++count == 1)
            first = cli_verbs[i];
    if (!first)
        return CE_NOT_FOUND;
    snprintf(name, sizeof name, "cradle-%s", group);
    snprintf(title, sizeof title, "%s", name);
    for (char *p = title; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    char what[96];
    snprintf(what, sizeof what, "the %s commands of cradle", group);
    man_head(out, title, name, count == 1 ? first->help : what);
    fputs(".Sh SYNOPSIS\n", out);
    for (size_t i = 0; i < cli_nverbs; i++)
        if (verb_in_group(cli_verbs[i], group))
            man_synopsis(out, cli_verbs[i]);
    fputs(".Sh DESCRIPTION\n", out);
    for (size_t i = 0; i < cli_nverbs; i++)
        if (verb_in_group(cli_verbs[i], group))
            man_verb(out, cli_verbs[i]);
    fputs(".Pp\nThe options of every command are in\n.Xr cradle 1 .\n", out);
    man_exit(out);
    fputs(".Sh SEE ALSO\n.Xr cradle 1 ,\n.Xr cradled 8\n", out);
    return CE_OK;
}
