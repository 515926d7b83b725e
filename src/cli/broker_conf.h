/* broker_conf.h: reads mosquitto.conf as Mosquitto 2.x does and finds settings that would let a revoked device in, or harm otherwise.
 * Pure: text in, findings out; files, include_dir and certificates are broker_lint.c's. It does not validate the file for the broker.
 */
#ifndef CRADLE_CLI_BROKER_CONF_H
#define CRADLE_CLI_BROKER_CONF_H

#include "base/span.h"

#define BROKER_FINDINGS 128
#define BROKER_LISTENERS 32
#define BROKER_INCLUDES 8
#define BROKER_CAFILES 32
#define BROKER_PATH 256

enum broker_level {
    BROKER_HARM,   /* works, but will hurt */
    BROKER_LET_IN, /* a revoked device could get in */
};

struct broker_finding {
    enum broker_level level;
    int file;          /* index given to broker_conf_read; -1: the configuration as a whole */
    int line;          /* from 1; 0: the whole file */
    char what[200];    /* the setting, as found */
    const char *why, *fix; /* literals */
};

struct broker_listener {
    int file, line, port;
    bool open;         /* made by listener, port, or implied by a setting before the first of them */
    bool require_certificate, tls, websockets, psk;
};

struct broker_path {
    int file, line;
    char path[BROKER_PATH];
};

struct broker_conf {
    struct broker_listener listeners[BROKER_LISTENERS]; /* [0] is the default listener */
    int n_listeners;
    bool per_listener, plugin_any;
    int per_listener_file, per_listener_line;
    struct broker_path includes[BROKER_INCLUDES];       /* include_dir, in order; the caller reads them */
    int n_includes;
    struct broker_path cafiles[BROKER_CAFILES];         /* cafile and capath of listeners, for the caller to compare */
    int n_cafiles;
    struct broker_finding findings[BROKER_FINDINGS];
    int n_findings;
    bool incomplete;   /* more findings, listeners or paths than fit: what was found stands, "nothing else" does not */
    bool in_bridge;
};

void broker_conf_init(struct broker_conf *c);
/* One file's text; file is the caller's index for findings. Call once a file in the broker's order. */
void broker_conf_read(struct broker_conf *c, int file, struct span text);
/* After the last file: what only the whole can show. */
void broker_conf_end(struct broker_conf *c);
void broker_conf_add(struct broker_conf *c, enum broker_level level, int file, int line, struct span what, const char *why, const char *fix);
bool broker_conf_lets_in(const struct broker_conf *c);

#endif
