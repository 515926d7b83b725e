/* cli.h: what the machinery under the verbs shares: parsing the command line, help, tables of output. A verb includes verb.h;
 * this file is for the machinery itself and for verbs that print tables. */
#ifndef CRADLE_CLI_CLI_H
#define CRADLE_CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "cli/verb.h"
#include "wire/msg.h"

extern const struct verb *const cli_verbs[];
extern const size_t cli_nverbs;
extern const struct verb_opt cli_global_opts[]; /* options of every verb */
extern const size_t cli_nglobal_opts;

/* The whole program but main: parses, runs, prints the fault; returns the exit code. */
int cli_main(int argc, char **argv);
/* Finds the verb in argv[1..] and fills c with its options and arguments (borrowed from argv). CE_USAGE.
 * c->verb NULL with CE_OK: only --help or --version was asked for. */
MUST_USE enum err cli_parse(struct cli *c, int argc, char **argv, struct fault *f);

/* Length of the group name in a verb's name: "device" of "device add"; the whole name of "status". */
size_t verb_group_len(const struct verb *v);
bool verb_in_group(const struct verb *v, const char *group);

void help_all(FILE *out);
void help_group(FILE *out, const char *group);
void help_verb(FILE *out, const struct verb *v);
/* One manual page in mdoc: group "cradle" or the first word of verbs. CE_NOT_FOUND. */
MUST_USE enum err man_page(FILE *out, const char *group);

/* -- output of JSON answers ---------------------------------------------------------------------------------------------- */
struct column {
    const char *title;
    const char *path;   /* key of an item, "a.b" for nested ones */
    int min_width;
    enum cli_tint (*tint)(const char *value); /* NULL: none */
};
struct json_text { char text[96]; };
/* Text of a scalar at path of o, "-" when absent or null. */
const char *json_path_text(const json_t *o, const char *path, struct json_text *out);
int64_t json_path_int(const json_t *o, const char *path, int64_t def);
const char *json_path_str(const json_t *o, const char *path, const char *def);
void cli_table(const struct cli *c, const json_t *items, const struct column *cols, size_t ncols);
enum cli_tint tint_state(const char *value);
/* Decodes a reply's body. Owned by the caller (json_decref); NULL and CE_BAD_JSON otherwise. */
MUST_USE enum err cli_json(const struct net_reply *r, json_t **out, struct fault *f);
void cli_print_json(const json_t *o);            /* compact, one line, on stdout */
void cli_print_text(const struct cli *c, const char *key, const struct net_reply *r); /* a body that is text; with --json as a member */
MUST_USE enum err cli_print_reply(const struct net_reply *r, struct fault *f); /* a reply's body; an empty one as {} */

/* Sets a member of a request; NULL: left out. CE_BAD_NAME when it is not UTF-8. */
MUST_USE enum err json_set_text(json_t *o, const char *key, const char *value, struct fault *f);

/* A list verb's whole life: pages through `path` (query text without after and limit, "" or "?a=b"), prints table or JSON. */
struct list {
    const char *path;
    struct span query;         /* "k=v&k=v"; borrowed from the verb */
    const struct column *cols;
    size_t ncols;
    const char *empty;         /* "there is no device yet; `cradle device add` …" */
    void (*row)(const struct cli *c, const json_t *item); /* prints one item in place of the table; NULL: cols */
};
/* Adds key=value percent-encoded when value is not NULL. */
void query_add(struct buf *q, const char *key, const char *value);
/* One page of at most `want` rows: appends its items, replaces *next (owned; NULL at the end). A page can be empty and not the last: filters look at a
 * bounded number of rows. But a cursor must move. */
MUST_USE enum err cli_list_page(struct cli *c, const struct list *l, int64_t want, json_t *items, char **next, struct fault *f);
MUST_USE enum err cli_list(struct cli *c, struct list *l, struct fault *f);
/* What is wrong by the service's own status; key names the trouble while it lasts. */
typedef void status_found(void *arg, bool alarm, const char *key, const char *text);
void status_judge(const json_t *status, int64_t now_ms, status_found *found, void *arg);
void status_judge_updates(const json_t *status, int64_t now_ms, status_found *found, void *arg); /* part of it: status_update.c */
const char *cli_ms_text(int64_t ms, char *out, size_t cap); /* "3 s", "12 min", "5 h", "40 days"; returns out */
int64_t cli_ago_ms(const json_t *o, const char *key, int64_t now_ms); /* since the time in a member; -1: it is none */
void cli_print_event(const struct cli *c, const json_t *event); /* one line, or JSON with --json */
void cli_event_members(const json_t *event, struct buf *out); /* " key=value …": what a human reads of its payload */
/* One page of the stream after the vector, which moves on also past what the filters ("a=b&c=d") left out. At most EVENT_PAGE events;
 * page: owned by the caller (json_decref). */
#define EVENT_PAGE 500
MUST_USE enum err cli_event_page(struct cli *c, struct span filter, struct buf *after, int64_t limit, json_t **page, struct fault *f);

/* The site's files that a verb on the server's machine reads: key of cradled.conf, "" when absent. */
MUST_USE enum err site_conf_get(const char *site, const char *key, char *out, size_t cap, struct fault *f);
/* Base URL of the plain port as certificates carry it (CA_URL_MAX bytes of crypt/ca.h) and the CRL shards of each CA; n_shards
 * may be NULL. */
MUST_USE enum err site_http_url(const char *site, char *url, int64_t *n_shards, struct fault *f);
/* ${XDG_CONFIG_HOME:-~/.config}/cradle/profile */
MUST_USE enum err profile_path(char *out, struct fault *f);

#endif
