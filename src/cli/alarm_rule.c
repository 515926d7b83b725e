/* alarm_rule.c: the state of the rules: how often something came within a window, and what is gathered after an alarm. Windows go by
 * the events' own time, so that events that are read late, or twice, count the same. Pure but for memory. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"

#define WEIGHT_MAX 1000000000
#define SLICE_MAX 1000000000000000 /* sums and numbers of slices in the journal: beyond, it is not ours */

struct tally { /* of one value of `by` */
    char *key;               /* owned */
    int64_t slice;           /* number of the newest slice */
    int64_t n[ALARM_SLICES]; /* n[slice % ALARM_SLICES] is the newest */
    bool changed;
};

struct rule_state {
    struct tally *tally; /* owned, ALARM_KEYS_MAX of them once there is one */
    int ntally;
    json_t *gone;        /* keys that are no more, since the last save; owned */
    bool open, changed;  /* an alarm went out and what follows is gathered */
    int64_t opened_mono_ms;
    struct alarm_gathered gathered;
};

struct alarm_judge {
    const struct alarm_conf *conf;
    struct rule_state rule[ALARM_RULES_MAX];
    json_t *orphans;     /* rule that is not configured any more -> what it had gathered; owned */
    bool orphans_told;
    uint64_t evicted;
    int64_t era;
};

struct alarm_judge *alarm_judge_new(const struct alarm_conf *c)
{
    struct alarm_judge *j = mem_calloc(1, sizeof *j);
    j->conf = c;
    j->orphans = json_object();
    for (int i = 0; i < c->nrules; i++)
        j->rule[i].gone = json_array();
    return j;
}

void alarm_judge_free(struct alarm_judge *j)
{
    for (int i = 0; j && i < j->conf->nrules; i++) {
        struct rule_state *s = &j->rule[i];
        for (int k = 0; k < s->ntally; k++)
            free(s->tally[k].key);
        free(s->tally);
        json_decref(s->gone);
        alarm_gathered_free(&s->gathered);
    }
    if (j)
        json_decref(j->orphans);
    free(j);
}

uint64_t alarm_judge_evicted(const struct alarm_judge *j) { return j->evicted; }
void alarm_judge_era(struct alarm_judge *j, int64_t era) { j->era = era; }

/* -- counting ------------------------------------------------------------------------------------------------------------------ */
static void tally_remove(struct rule_state *s, struct tally *t)
{
    json_array_append_new(s->gone, json_string(t->key));
    free(t->key);
    *t = s->tally[--s->ntally];
}

static struct tally *tally_find(const struct rule_state *s, const char *key)
{
    for (int i = 0; i < s->ntally; i++)
        if (strcmp(s->tally[i].key, key) == 0)
            return &s->tally[i];
    return NULL;
}

static struct tally *tally_take(struct alarm_judge *j, struct rule_state *s, const char *key, int64_t slice)
{
    struct tally *t = tally_find(s, key);
    if (t)
        return t;
    if (!s->tally)
        s->tally = mem_calloc(ALARM_KEYS_MAX, sizeof *s->tally);
    if (s->ntally == ALARM_KEYS_MAX) {
        struct tally *oldest = &s->tally[0];
        for (int i = 1; i < s->ntally; i++)
            if (s->tally[i].slice < oldest->slice)
                oldest = &s->tally[i];
        j->evicted += oldest->slice > slice - ALARM_SLICES;
        tally_remove(s, oldest);
    }
    t = &s->tally[s->ntally++];
    *t = (struct tally){ .key = mem_strdup(key), .slice = slice };
    return t;
}

/* Adds weight at a slice; returns the sum of the window that ends with the newest slice. */
static int64_t tally_add(struct tally *t, int64_t slice, int64_t weight)
{
    int64_t sum = 0, oldest = t->slice - ALARM_SLICES + 1;
    if (slice < oldest) /* another stream's, late: counts as the oldest that counts */
        slice = oldest > 0 ? oldest : 0;
    if (slice - t->slice >= ALARM_SLICES) {
        memset(t->n, 0, sizeof t->n);
        t->slice = slice;
    }
    while (t->slice < slice)
        t->n[++t->slice % ALARM_SLICES] = 0;
    t->n[slice % ALARM_SLICES] += weight;
    for (int i = 0; i < ALARM_SLICES; i++)
        sum += t->n[i];
    t->changed = true;
    return sum;
}

/* How many the event makes: 0 when the rule's count is not reached yet. */
static int64_t rule_count(struct alarm_judge *j, const struct alarm_rule *r, struct rule_state *s, const json_t *event, const char *key)
{
    struct alarm_text t;
    int64_t weight = 1, at_ms = 0;
    if (r->cfg.sum[0] && (!span_to_i64(span_str(alarm_field(event, r->cfg.sum, &t)), &weight) || weight < 1))
        weight = 1;
    if (weight > WEIGHT_MAX)
        weight = WEIGHT_MAX;
    if (r->cfg.count <= 1)
        return weight;
    if (clock_parse_ms(span_str(json_path_str(event, "at", "")), &at_ms))
        at_ms = 0;
    int64_t slice = at_ms / (r->cfg.window * 1000 / ALARM_SLICES);
    struct tally *tally = tally_take(j, s, key, slice);
    int64_t sum = tally_add(tally, slice, weight);
    if (sum < r->cfg.count)
        return 0;
    tally_remove(s, tally);
    return sum;
}

/* -- judging ------------------------------------------------------------------------------------------------------------------- */
static void rule_fire(struct alarm_judge *j, const struct alarm_rule *r, struct rule_state *s, const json_t *event, const char *subject,
                      int64_t count, int64_t now_mono_ms, json_t *raised)
{
    struct alarm_gathered one = { 0 };
    if (r->cfg.group && s->open) {
        alarm_gather(&s->gathered, event, subject, count);
        s->changed = true;
        return;
    }
    alarm_gather(&one, event, subject, count);
    alarm_raise(j->conf, r, j->era, &one, raised);
    alarm_gathered_free(&one);
    if (r->cfg.group) {
        s->open = s->changed = true;
        s->opened_mono_ms = now_mono_ms;
    }
}

void alarm_judge_event(struct alarm_judge *j, const json_t *event, int64_t now_mono_ms, json_t *raised)
{
    for (int i = 0; i < j->conf->nrules; i++) {
        const struct alarm_rule *r = &j->conf->rule[i];
        struct alarm_text t;
        if (!alarm_when_match(r, event))
            continue;
        const char *by = r->cfg.by[0] ? alarm_field(event, r->cfg.by, &t) : "";
        int64_t count = rule_count(j, r, &j->rule[i], event, by);
        if (count)
            rule_fire(j, r, &j->rule[i], event, *by ? by : alarm_subject(event, &t), count, now_mono_ms, raised);
    }
}

/* What a rule that is gone had gathered is told to the channels for this service's own alarms. */
static void orphan_raise(struct alarm_judge *j, const char *name, const json_t *what, json_t *raised)
{
    struct alarm_rule r = { .severity = ALARM_WARNING, .channels = j->conf->self_channels };
    struct alarm_gathered g = { 0 };
    snprintf(r.name, sizeof r.name, "%s", name);
    alarm_gathered_load(&g, what);
    if (g.count > 0)
        alarm_raise(j->conf, &r, j->era, &g, raised);
    alarm_gathered_free(&g);
}

void alarm_judge_tick(struct alarm_judge *j, int64_t now_mono_ms, json_t *raised)
{
    const char *name;
    json_t *what;
    if (!j->orphans_told) {
        json_object_foreach(j->orphans, name, what)
            orphan_raise(j, name, what, raised);
        j->orphans_told = json_object_size(j->orphans) > 0;
    }
    for (int i = 0; i < j->conf->nrules; i++) {
        struct rule_state *s = &j->rule[i];
        if (!s->open || now_mono_ms - s->opened_mono_ms < j->conf->rule[i].cfg.group * 1000)
            continue;
        s->changed = true;
        s->open = s->gathered.count > 0; /* as long as they come, one alarm for each such time */
        s->opened_mono_ms = now_mono_ms;
        if (s->gathered.count)
            alarm_raise(j->conf, &j->conf->rule[i], j->era, &s->gathered, raised);
        alarm_gathered_free(&s->gathered);
    }
}

/* -- durable state --------------------------------------------------------------------------------------------------------------- */
static json_t *tally_save(const struct alarm_rule *r, const struct tally *t)
{
    json_t *n = json_array();
    for (int i = 0; i < ALARM_SLICES; i++)
        json_array_append_new(n, json_integer(t->n[i]));
    return json_pack("[s,s,I,o,I]", r->name, t->key, (json_int_t)t->slice, n, (json_int_t)r->cfg.window);
}

static void rule_save(struct rule_state *s, const struct alarm_rule *r, bool all, json_t *count, json_t *group)
{
    size_t k;
    json_t *key;
    json_array_foreach(s->gone, k, key)
        if (!all)
            json_array_append_new(count, json_pack("[s,O]", r->name, key));
    json_array_clear(s->gone);
    for (int i = 0; i < s->ntally; i++) {
        if (all || s->tally[i].changed)
            json_array_append_new(count, tally_save(r, &s->tally[i]));
        s->tally[i].changed = false;
    }
    if (all ? s->open : s->changed)
        json_array_append_new(group, s->open ? json_pack("[s,o]", r->name, alarm_gathered_save(&s->gathered)) : json_pack("[s,n]", r->name));
    s->changed = false;
}

void alarm_judge_save(struct alarm_judge *j, bool all, json_t *record)
{
    json_t *count = json_array(), *group = json_array();
    const char *name;
    json_t *what;
    for (int i = 0; i < j->conf->nrules; i++)
        rule_save(&j->rule[i], &j->conf->rule[i], all, count, group);
    json_object_foreach(j->orphans, name, what)
        if (all != j->orphans_told)
            json_array_append_new(group, all ? json_pack("[s,O]", name, what) : json_pack("[s,n]", name));
    if (j->orphans_told)
        json_object_clear(j->orphans);
    j->orphans_told = false;
    if (json_array_size(count))
        json_object_set(record, "count", count);
    if (json_array_size(group))
        json_object_set(record, "group", group);
    json_decref(count);
    json_decref(group);
}

static int rule_find(const struct alarm_judge *j, const json_t *name)
{
    const char *s = json_string_value(name);
    for (int i = 0; s && i < j->conf->nrules; i++)
        if (strcmp(j->conf->rule[i].name, s) == 0)
            return i;
    return -1;
}

static bool number_get(const json_t *v, int64_t *out)
{
    *out = (int64_t)json_integer_value(v);
    return json_is_integer(v) && *out >= 0 && *out <= SLICE_MAX;
}

/* A window of another length numbers its slices in another way: its counts begin anew. */
static void count_load(struct alarm_judge *j, const json_t *row)
{
    int i = rule_find(j, json_array_get(row, 0));
    const char *key = json_string_value(json_array_get(row, 1));
    const json_t *slices = json_array_get(row, 3);
    int64_t slice, n[ALARM_SLICES];
    if (i < 0 || !key)
        return;
    struct rule_state *s = &j->rule[i];
    struct tally *t = tally_find(s, key);
    if (t)
        tally_remove(s, t);
    bool good = number_get(json_array_get(row, 2), &slice) && json_array_size(slices) == ALARM_SLICES &&
                json_integer_value(json_array_get(row, 4)) == j->conf->rule[i].cfg.window;
    for (size_t k = 0; good && k < ALARM_SLICES; k++)
        good = number_get(json_array_get(slices, k), &n[k]);
    if (good)
        memcpy(tally_take(j, s, key, slice)->n, n, sizeof n);
    json_array_clear(s->gone);
}

static void orphan_load(struct alarm_judge *j, const char *name, json_t *what)
{
    if (!name || name_check_label("rule", span_str(name), NULL))
        return;
    if (json_is_object(what))
        json_object_set(j->orphans, name, what);
    else
        json_object_del(j->orphans, name);
}

void alarm_judge_load(struct alarm_judge *j, const json_t *record, int64_t now_mono_ms)
{
    size_t k;
    json_t *row;
    json_array_foreach(json_object_get(record, "count"), k, row)
        count_load(j, row);
    json_array_foreach(json_object_get(record, "group"), k, row) {
        int i = rule_find(j, json_array_get(row, 0));
        const char *name = json_string_value(json_array_get(row, 0));
        json_t *what = json_array_get(row, 1);
        if (i < 0) {
            orphan_load(j, name, what);
            continue;
        }
        j->rule[i].open = json_is_object(what);
        j->rule[i].opened_mono_ms = now_mono_ms;
        alarm_gathered_load(&j->rule[i].gathered, what);
    }
}
