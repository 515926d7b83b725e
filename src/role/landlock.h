/* landlock.h: the file system that a process may still see, by the kernel's Landlock; raw system calls, because Debian 12 has no
 * library for it. A kernel without it is not an error: seccomp and file permissions remain (the parent logs it once).
 */
#ifndef CRADLE_ROLE_LANDLOCK_H
#define CRADLE_ROLE_LANDLOCK_H

#include <stdbool.h>

#include "base/err.h"

enum landlock_access {
    LANDLOCK_READ,
    LANDLOCK_WRITE, /* and read, make, remove */
    LANDLOCK_RUN,   /* read and execute */
};

enum landlock_tcp { LANDLOCK_NO_TCP, LANDLOCK_BIND, LANDLOCK_CONNECT };

struct landlock_rule {
    const char *path; /* a folder with all below it, or a file: below the site, or absolute; NULL ends the list */
    enum landlock_access access;
};

int landlock_abi(void); /* 0: the kernel has none */
/* Everything outside the rules' paths becomes unreachable, and every process outside for ptrace; where the kernel can do that, TCP
 * too, as far as tcp says. Needs no_new_privs. CE_UNSUPPORTED: the kernel has Landlock but refused. */
MUST_USE enum err landlock_enter(const char *site, const struct landlock_rule *rules, enum landlock_tcp tcp, struct fault *f);

#endif
