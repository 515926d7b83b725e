/* manual.h: the manual pages of a program with a configuration file: section 8 as its text, section 5 with a list of its keys. */
#ifndef CRADLE_BASE_MANUAL_H
#define CRADLE_BASE_MANUAL_H

#include "base/config.h"

struct manual {
    const char *page8;                  /* the whole page in mdoc(7) */
    const char *page5_head, *page5_tail; /* what stands before and after the list of keys */
    const struct config_key *keys;
    size_t n_keys;
};

/* section "5" or "8": mdoc on stdout; returns the exit code. */
int manual_print(const struct manual *m, const char *section);

#endif
