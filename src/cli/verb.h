/* verb.h: the one table of the command line's verbs. Each verb is a `const struct verb verb_NAME` in the file that implements
 * it, listed in verbs.def; dispatch, --help, completion and the manual pages are all made from it.
 */
#ifndef CRADLE_CLI_VERB_H
#define CRADLE_CLI_VERB_H

#include "base/span.h"
#include "net/net.h"

struct verb_opt {
    const char *name; /* "--reason" */
    const char *arg;  /* "REASON"; NULL: a flag */
    const char *help; /* one line, no full stop */
    bool many;        /* may be repeated (cli_opt_n) */
};

struct cli;
struct verb {
    const char *name;             /* "device revoke", "evidence verify", "status" */
    const char *args;             /* positional arguments for the usage line: "UID", "FILE [SERIAL]", "" */
    int min_args, max_args;       /* max -1: any number */
    const char *help;             /* one line, lower case, no full stop */
    const char *text;             /* a paragraph for the manual page and --help; NULL: none */
    const char *example;          /* command lines, one per line; NULL: none */
    const struct verb_opt *opts;  /* besides those of every verb: --site --json --help --quiet */
    size_t nopts;
    enum err (*run)(struct cli *c, struct fault *f); /* err_exit() of the result is the exit code; f is printed */
};
#define VERB_OPTS(a) .opts = (a), .nopts = sizeof(a) / sizeof((a)[0])

#define VERB(name) extern const struct verb verb_##name;
#include "verbs.def"
#undef VERB

/* -- what a verb gets -------------------------------------------------------------------------------------------------- */
#define CLI_ARGS_MAX 64
#define CLI_OPTS_MAX 64
struct cli {
    const struct verb *verb;
    const char *args[CLI_ARGS_MAX]; /* positional, borrowed from argv */
    int nargs;
    struct cli_given { const char *name, *value; } opts[CLI_OPTS_MAX];
    int nopts;
    bool json, quiet, colour;       /* colour: terminal and no NO_COLOR */
    char site[PATH_MAX_LEN];        /* site folder, "" when the profile names a remote one */
    struct net_config net_cfg;      /* filled by cli_net */
    struct net *net;
    int64_t progress_at_ms;
    bool progress_shown;
};

const char *cli_opt(const struct cli *c, const char *name);             /* value ("" for a flag that is given) or NULL */
const char *cli_opt_or(const struct cli *c, const char *name, const char *def);
bool cli_flag(const struct cli *c, const char *name);
const char *cli_opt_n(const struct cli *c, const char *name, int i);    /* i-th occurrence or NULL */
/* Span of time ("90", "15m", "2y") and whole number options; CE_USAGE names the option. */
MUST_USE enum err cli_opt_span_s(const struct cli *c, const char *name, int64_t def, int64_t *out, struct fault *f);
MUST_USE enum err cli_opt_int(const struct cli *c, const char *name, int64_t def, int64_t min, int64_t max, int64_t *out,
                              struct fault *f);

/* The site folder, from --site, $CRADLE_SITE or the profile; CE_USAGE with what to do when there is none. Fills c->site. */
MUST_USE enum err cli_site(struct cli *c, struct fault *f);
/* Opens c->net to the site (once) with the operator's certificate. */
MUST_USE enum err cli_net(struct cli *c, struct fault *f);
/* cli_net + net_request/net_json with a body (empty: none). */
MUST_USE enum err cli_call(struct cli *c, const char *method, const char *path, struct span json_body, struct net_reply *r,
                           struct fault *f);

/* Progress on a terminal's stderr, only after the first second, at most ten times a second, never with --quiet. */
void cli_progress(struct cli *c, const char *what, int64_t did, int64_t of);
void cli_progress_end(struct cli *c);
void cli_say(const struct cli *c, const char *fmt, ...) PRINTF_LIKE(2, 3); /* a line on stdout unless --quiet or --json */
void cli_safe(struct buf *out, const char *s, int max_bytes); /* text of others, cut between characters, control characters defused */
void cli_put_safe(const char *s, int max_bytes);   /* the same on stdout */
enum cli_tint { TINT_NONE, TINT_GOOD, TINT_WARN, TINT_BAD, TINT_DIM, TINT_BOLD };
const char *cli_tint(const struct cli *c, enum cli_tint t);                /* escape sequence or "" */
void cli_print_fault(const struct cli *c, enum err e, const struct fault *f); /* on stderr; the machinery calls it */

#endif
