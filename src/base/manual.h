/* manual.h: the manual pages of a program with a configuration file: section 8 as its text, with a list of its verbs when it has some, section 5
 * with a list of its keys.
 */
#ifndef CRADLE_BASE_MANUAL_H
#define CRADLE_BASE_MANUAL_H

#include "base/config.h"

/* First member of a program's own struct of a verb. */
struct manual_verb {
    const char *name, *args; /* args "" for none */
    const char *help;        /* one line, lower case, no full stop */
};

struct manual {
    const char *page8;                   /* the whole page in mdoc(7); with verbs: what stands before their list */
    const char *page8_tail;              /* … and after it */
    const void *verbs;                   /* n_verbs elements of verb_size bytes, each beginning with a struct manual_verb */
    size_t n_verbs, verb_size;
    const char *page5_head, *page5_tail; /* what stands before and after the list of keys */
    const struct config_key *keys;
    size_t n_keys;
};
/* For page5_head: the form of every configuration file, see config.h. */
#define MANUAL_CONF_FORM \
    "Lines have the form\n.Ql key = value .\nA\n.Ql #\nat the start of a line or after white space begins a comment.\n" \
    "Unknown, repeated and out-of-range keys are errors.\n"
#define MANUAL_CONF_SPANS "Time spans are written\n.Ql 90 ,\n.Ql 15m ,\n.Ql 12h ,\n.Ql 30d\nor\n.Ql 2y .\n"

const struct manual_verb *manual_verb_at(const struct manual *m, size_t i);
/* section "5" or "8": mdoc on stdout; returns the exit code. */
int manual_print(const struct manual *m, const char *section);

#endif
