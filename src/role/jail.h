/* jail.h: what a role gives up before it touches a stranger's bytes: new privileges, core dumps, file system outside the site
 * (Landlock, where the kernel has it), and every system call that its work does not need (seccomp; the default is death by
 * SIGSYS). There is no way back.
 */
#ifndef CRADLE_ROLE_JAIL_H
#define CRADLE_ROLE_JAIL_H

#include "base/err.h"

enum jail {
    JAIL_FRONT,  /* accepts on open sockets, reads and writes; no open, no connect, no exec */
    JAIL_CORE,   /* files under DIR/db, DIR/log, DIR/pub; no sockets beyond the open ones, no exec */
    JAIL_QUERY,  /* files under DIR/db, read-only opens; nothing else */
    JAIL_DEPOT,  /* files under DIR/artifact and DIR/delta, reads what nginx has spooled; no sockets beyond the open ones, no exec */
    JAIL_SIGNER, /* reads and writes its open descriptors; no files, no sockets */
    JAIL_HSM,    /* a vendor's module: files below its own folders, threads, and sockets as far as hsm_connect says; no exec, no processes */
    JAIL_COUNT
};

/* Enters: jail_files, then jail_calls. Call it once, after everything that needs opening is open, before foreign bytes. CE_UNSUPPORTED when the kernel
 * lacks seccomp; f says what failed. site may be NULL for the signer. */
MUST_USE enum err jail_enter(enum jail j, const char *site, struct fault *f);
/* The two halves, for a role with threads: files (of this thread and those that it makes) and privileges; then, when the threads
 * are there, system calls, for all of them. */
MUST_USE enum err jail_files(enum jail j, const char *site, struct fault *f);
MUST_USE enum err jail_calls(enum jail j, struct fault *f);
/* The halves for the hsm role: folders beyond the site that its modules write (separated by spaces), TCP; what sockets they may make: no, unix, tcp. */
#define JAIL_HSM_PATHS 16
#define JAIL_HSM_PATHS_LEN 512
MUST_USE enum err jail_hsm_files(const char *site, const char *paths, bool tcp, struct fault *f);
MUST_USE enum err jail_hsm_calls(const char *connect, struct fault *f);
/* The part that every role does first: no_new_privs, no core dumps, not dumpable, so that nothing else that runs as its user (nginx
 * does) can trace it or read its memory. */
MUST_USE enum err jail_prepare(struct fault *f);

#endif
