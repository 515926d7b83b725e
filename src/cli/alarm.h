/* alarm.h: alarms out of the event stream: what the files alarm*.c share. Following the stream and the verbs are alarm_serve.c and
 * alarm_cli.c; judging events is alarm_rule.c; what waits, durably, is alarm_queue.c; going out is alarm_send.c.
 *
 * An alarm is a JSON object with an id that is its own for ever. Each channel gets it at least once: again only when the end of this
 * process fell between a delivery and its note in the journal, and then with the same id and the same bytes.
 */
#ifndef CRADLE_CLI_ALARM_H
#define CRADLE_CLI_ALARM_H

#include <jansson.h>

#include "base/config.h"
#include "base/name.h"
#include "net/net.h"

#define ALARM_CONF_DEFAULT "/etc/cradle-alarm/alarm.conf"
#define ALARM_CHANNELS_MAX 16
#define ALARM_RULES_MAX 64
#define ALARM_CONDS_MAX 12
#define ALARM_KEYS_MAX 1024   /* values of `by` that a rule counts at a time */
#define ALARM_SUBJECTS_MAX 20 /* subjects named in one alarm */
#define ALARM_EVENTS_MAX 10   /* events in one alarm */
#define ALARM_EVENT_BYTES 4096 /* an event in an alarm; larger ones are there without payload */
#define ALARM_SLICES 8        /* of a rule's window */

/* -- configuration ------------------------------------------------------------------------------------------------------------ */
#define CFG CONFIG_FIELD
struct alarm_head {
#include "cli/alarm.def"
};
struct alarm_rule_keys {
#include "cli/alarm_rule.def"
};
struct alarm_channel_keys {
#include "cli/alarm_channel.def"
};
#undef CFG

enum alarm_type { ALARM_WEBHOOK, ALARM_MAIL, ALARM_COMMAND };
enum alarm_severity { ALARM_INFO, ALARM_WARNING, ALARM_CRITICAL };
const char *alarm_severity_name(enum alarm_severity s);

struct alarm_cond { /* one condition of `when` */
    char field[49];
    enum { COND_IS, COND_IS_NOT, COND_AT_LEAST, COND_AT_MOST } op;
    char value[CONFIG_STR_MAX];
    int64_t number; /* of COND_AT_… */
};

struct alarm_rule {
    char name[LABEL_MAX + 1];
    struct alarm_rule_keys cfg;
    enum alarm_severity severity;
    uint32_t channels; /* bit i: channel[i] */
    struct alarm_cond cond[ALARM_CONDS_MAX];
    int nconds;
};

struct alarm_channel {
    char name[LABEL_MAX + 1];
    struct alarm_channel_keys cfg;
    enum alarm_type type;
};

struct alarm_conf {
    struct alarm_head head;
    uint32_t self_channels;
    struct alarm_rule rule[ALARM_RULES_MAX];
    int nrules;
    struct alarm_channel channel[ALARM_CHANNELS_MAX];
    int nchannels;
};

extern const struct config_key alarm_head_table[], alarm_rule_table[], alarm_channel_table[];
extern const size_t alarm_nhead_table, alarm_nrule_table, alarm_nchannel_table;

/* Pure: text into *out; name begins each message ("alarm.conf:12: …"). CE_BAD_CONFIG. */
MUST_USE enum err alarm_conf_parse(const char *name, struct span text, struct alarm_conf *out, struct fault *f);
MUST_USE enum err alarm_conf_load(const char *path, struct alarm_conf *out, struct fault *f);
/* The effective configuration as a file that alarm_conf_parse reads back. */
void alarm_conf_dump(const struct alarm_conf *c, bool with_doc, struct buf *out);
int alarm_channel_find(const struct alarm_conf *c, const char *name); /* index, -1 none */
/* alarm.conf(5) in mdoc. */
void alarm_manual(struct buf *out);

/* Reads the conditions of `when`. kinds: those of the rule; a field that none of them has is refused. */
MUST_USE enum err alarm_when_parse(struct alarm_rule *r, struct fault *f);
bool alarm_when_match(const struct alarm_rule *r, const json_t *event);
/* Is this a kind of event, and does it have this field (of type 'i' when number)? kinds as in a rule. */
bool alarm_kind_known(struct span kind);
bool alarm_field_known(struct span kinds, struct span field, bool number);
/* Text of a field of an event, of its head or its payload; "" when absent. */
struct alarm_text { char text[96]; };
const char *alarm_field(const json_t *event, const char *field, struct alarm_text *out);

/* -- judging events ------------------------------------------------------------------------------------------------------------
 * struct alarm_judge holds the state of every rule: counts in their windows, and what is gathered. One thread. */
struct alarm_judge; /* opaque */
struct alarm_judge *alarm_judge_new(const struct alarm_conf *c); /* c is borrowed */
void alarm_judge_free(struct alarm_judge *j);
/* Judges one event as the API gives it. Alarms that it raises are appended to raised (an array, see alarm_raise). */
void alarm_judge_event(struct alarm_judge *j, const json_t *event, int64_t now_mono_ms, json_t *raised);
/* Closes what has been gathered for long enough. */
void alarm_judge_tick(struct alarm_judge *j, int64_t now_mono_ms, json_t *raised);
/* State that changed since the last call (all: everything) as members "count" and "group" of record; nothing changed: no member. */
void alarm_judge_save(struct alarm_judge *j, bool all, json_t *record);
/* Takes such members back. What a rule gathered that is gone is raised with the next tick. */
void alarm_judge_load(struct alarm_judge *j, const json_t *record, int64_t now_mono_ms);
uint64_t alarm_judge_evicted(const struct alarm_judge *j); /* values of `by` that made room for others */
void alarm_judge_era(struct alarm_judge *j, int64_t era);

/* -- what an alarm is -----------------------------------------------------------------------------------------------------------
 * Appends {"to":bits,"body":{…}} to raised. */
struct alarm_gathered {
    int64_t count;       /* events, by `sum` */
    json_t *events;      /* the first ALARM_EVENTS_MAX, bounded; owned */
    json_t *subjects;    /* the first ALARM_SUBJECTS_MAX, each once; owned */
    int64_t unnamed;     /* events whose subject is not among them */
    char at[32], at_last[32], first[48], last[48]; /* SLOT:NSEQ and time of the first and the last event */
};
/* subject: whom or what the event is about (alarm_subject, or the value that a rule counts by). */
void alarm_gather(struct alarm_gathered *g, const json_t *event, const char *subject, int64_t weight);
const char *alarm_subject(const json_t *event, struct alarm_text *out);
void alarm_gathered_free(struct alarm_gathered *g); /* leaves it empty */
json_t *alarm_gathered_save(const struct alarm_gathered *g);
void alarm_gathered_load(struct alarm_gathered *g, const json_t *o);
/* era: how often the service was seen to go back in its stream, so that ids stay unique. */
void alarm_raise(const struct alarm_conf *c, const struct alarm_rule *r, int64_t era, const struct alarm_gathered *g, json_t *raised);
struct alarm_self {      /* an alarm of this service about itself */
    const char *what;    /* a word: "away" */
    const char *key;     /* what tells two of them apart: "" or "pager" */
    const char *text;
    enum alarm_severity severity;
    uint32_t to;         /* channels */
    int64_t at_ms;       /* wall clock; makes the id */
    bool over;           /* the trouble is over */
};
void alarm_raise_self(const struct alarm_conf *c, const struct alarm_self *self, json_t *raised);

/* -- channels -------------------------------------------------------------------------------------------------------------------- */
enum alarm_outcome { ALARM_TAKEN, ALARM_AGAIN, ALARM_REFUSED };
struct alarm_result {
    enum alarm_outcome outcome;
    int64_t wait_s;  /* that the receiver asked for; 0: none */
    char text[256];  /* why not */
};
/* One attempt, blocking at most for the channel's timeout. body: the alarm's JSON. */
void alarm_send(const struct alarm_conf *c, const struct alarm_channel *ch, const char *body, struct alarm_result *out);
/* Checks what the channel needs on this host (files, programs). CE_BAD_CONFIG. */
MUST_USE enum err alarm_channel_check(const struct alarm_channel *ch, struct fault *f);

/* Pure parts, for tests: a message by RFC 5322; the signature of a post (Standard Webhooks); a URL cut into base and path. */
MUST_USE enum err alarm_mail(const struct alarm_channel *ch, const json_t *alarm, struct buf *out);
void alarm_sign(struct span secret, const char *id, int64_t at_s, const char *body, struct buf *out);
MUST_USE enum err alarm_url_cut(const char *url, char *base, size_t cap, const char **path, struct fault *f);
MUST_USE enum err alarm_secret_read(const char *path, struct buf *out, struct fault *f);
/* Judges an answer: status 0 when there was none. */
enum alarm_outcome alarm_hook_outcome(int status);
enum alarm_outcome alarm_exit_outcome(enum alarm_type type, int exit_code);

/* Runs a program: argv as given, env NULL-terminated, input on its standard input, nothing else inherited; its group is killed after
 * timeout_ms. Returns the exit code, 128 + the signal that ended it, or -1 (said's text tells why). said: the end of what it wrote on
 * standard error, one line, made safe. */
int alarm_exec(char *const argv[], char *const env[], struct span input, int64_t timeout_ms, char *said, size_t cap);

#endif
