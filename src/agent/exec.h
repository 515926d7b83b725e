/* exec.h: runs a configured command: no shell, no inherited environment, a time limit for its whole process group, the end of its output kept.
 * A command is words separated by spaces; a word that is {file}, {slot}, {release} or {version} is replaced. Words of strangers never become more
 * than one argument. */
#ifndef CRADLE_AGENT_EXEC_H
#define CRADLE_AGENT_EXEC_H

#include <signal.h>

#include "base/file.h"

struct exec_job { /* all borrowed; NULL: not given */
    const char *command;
    const char *file, *slot, *release, *version;
    uint64_t sequence;
    int attempt;
    const char *input;      /* path that becomes standard input; NULL: /dev/null */
    int64_t limit_s;
};

struct exec_result {
    char out[256];          /* the end of its output, printable, without white space at its ends */
    int code;               /* exit code, 128 + signal, -1 when it did not end in time */
};

/* CE_OK: it exited with 0. Otherwise f says how it ended, with the end of what it wrote. */
MUST_USE enum err exec_run(const struct exec_job *job, struct exec_result *result, struct fault *f);

#endif
