/* program.c: see program.h. */
#include "base/program.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int usage(const struct program *p, FILE *out, int rc)
{
    fprintf(out, "usage: %s [-c FILE] %s\n\n%s\n\n", p->name, p->fallback ? "[VERB]" : "VERB", p->about);
    for (size_t i = 0; i < p->manual.n_verbs; i++) {
        const struct manual_verb *v = manual_verb_at(&p->manual, i);
        char call[64];
        snprintf(call, sizeof call, "%s%s%s", v->name, *v->args ? " " : "", v->args);
        fprintf(out, "  %-36s %s\n", call, v->help);
    }
    fprintf(out, "\nFILE is %s unless given%s%s.\n", p->conf, p->fallback ? "; without a verb: " : "", p->fallback ? p->fallback : "");
    fprintf(out, "Exit codes: 0 done, 2 usage, 3 refused, 4 not found, 5 conflict, 6 try again, 7 not trusted, 1 other.\n");
    return rc;
}

int program_fail(const char *program, enum err e, const struct fault *f)
{
    fprintf(stderr, "%s: %s (%s)\n", program, f->text, err_reason(e));
    return err_exit(e);
}

int program_begin(const struct program *p, int argc, char **argv, const char **conf, size_t *verb, int *rc)
{
    int opt;
    *conf = p->conf;
    *rc = 0;
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return usage(p, stdout, 0), -1;
    if (argc == 3 && strcmp(argv[1], "--man") == 0)
        return *rc = manual_print(&p->manual, argv[2]), -1;
    while ((opt = getopt(argc, argv, "+c:hV")) != -1) {
        if (opt == 'V')
            return printf("%s %s\n", p->name, CRADLE_VERSION), -1;
        if (opt != 'c')
            return *rc = usage(p, opt == 'h' ? stdout : stderr, opt == 'h' ? 0 : err_exit(CE_USAGE)), -1;
        *conf = optarg;
    }
    const char *word = optind < argc ? argv[optind] : p->fallback;
    for (size_t i = 0; word && i < p->manual.n_verbs; i++)
        if (strcmp(manual_verb_at(&p->manual, i)->name, word) == 0)
            return *verb = i, optind;
    if (word)
        fprintf(stderr, "%s: unknown verb '%s'\n", p->name, word);
    return *rc = usage(p, stderr, err_exit(CE_USAGE)), -1;
}
