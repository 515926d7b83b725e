/* alarm_body.c: what an alarm is: events gathered into one JSON object with bounds on everything that strangers could make long. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"

#define SUBJECT_BYTES 128
#define TEXT_BYTES 300

const char *alarm_subject(const json_t *event, struct alarm_text *out)
{
    static const char *const fields[] = { "device", "uid", "holder", "edge", "name", "role", "caller", "addr" };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const char *s = alarm_field(event, fields[i], out);
        if (*s)
            return s;
    }
    return "";
}

/* Cut to max bytes between characters, without what steers a terminal. */
static json_t *bounded_text(const char *s, int max)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    cli_safe(&b, s, max);
    json_t *o = json_stringn((const char *)b.data, b.len);
    return o ? o : json_string("?");
}

static bool array_holds(const json_t *a, const json_t *text)
{
    size_t i;
    json_t *v;
    json_array_foreach(a, i, v)
        if (json_equal(v, text))
            return true;
    return false;
}

static void subject_add(struct alarm_gathered *g, const char *subject)
{
    CLEANUP(json_decref_p) json_t *text = bounded_text(subject, SUBJECT_BYTES);
    if (!*subject || array_holds(g->subjects, text))
        return;
    if (json_array_size(g->subjects) < ALARM_SUBJECTS_MAX)
        json_array_append(g->subjects, text);
    else
        g->unnamed++;
}

static void event_add(struct alarm_gathered *g, const json_t *event)
{
    if (json_array_size(g->events) >= ALARM_EVENTS_MAX)
        return;
    json_t *copy = json_copy((json_t *)event);
    if (json_dumpb(event, NULL, 0, JSON_COMPACT) > ALARM_EVENT_BYTES)
        json_object_set_new(copy, "payload", json_null());
    json_array_append_new(g->events, copy);
}

/* Times and places are printable ASCII; anything else is not taken. */
static void ascii_copy(char *out, size_t cap, const char *s)
{
    bool plain = strlen(s) < cap;
    for (size_t i = 0; s[i]; i++)
        plain = plain && s[i] >= 0x20 && s[i] <= 0x7e;
    snprintf(out, cap, "%s", plain ? s : "");
}

void alarm_gather(struct alarm_gathered *g, const json_t *event, const char *subject, int64_t weight)
{
    if (!g->events) {
        g->events = json_array();
        g->subjects = json_array();
    }
    char place[48];
    snprintf(place, sizeof place, "%lld:%lld", (long long)json_path_int(event, "slot", 0), (long long)json_path_int(event, "nseq", 0));
    if (!g->first[0]) {
        snprintf(g->first, sizeof g->first, "%s", place);
        ascii_copy(g->at, sizeof g->at, json_path_str(event, "at", ""));
    }
    snprintf(g->last, sizeof g->last, "%s", place);
    ascii_copy(g->at_last, sizeof g->at_last, json_path_str(event, "at", ""));
    g->count += weight;
    subject_add(g, subject);
    event_add(g, event);
}

void alarm_gathered_free(struct alarm_gathered *g)
{
    json_decref(g->events);
    json_decref(g->subjects);
    *g = (struct alarm_gathered){ 0 };
}

json_t *alarm_gathered_save(const struct alarm_gathered *g)
{
    if (!g->events)
        return json_object();
    return json_pack("{s:I,s:O,s:O,s:I,s:s,s:s,s:s,s:s}", "count", (json_int_t)g->count, "events", g->events, "subjects", g->subjects, "unnamed",
                     (json_int_t)g->unnamed, "at", g->at, "until", g->at_last, "first", g->first, "last", g->last);
}

void alarm_gathered_load(struct alarm_gathered *g, const json_t *o)
{
    alarm_gathered_free(g);
    json_t *events = json_object_get(o, "events"), *subjects = json_object_get(o, "subjects");
    if (!json_is_array(events) || !json_is_array(subjects))
        return;
    g->events = json_incref(events);
    g->subjects = json_incref(subjects);
    g->count = json_path_int(o, "count", 0);
    g->unnamed = json_path_int(o, "unnamed", 0);
    ascii_copy(g->at, sizeof g->at, json_path_str(o, "at", ""));
    ascii_copy(g->at_last, sizeof g->at_last, json_path_str(o, "until", ""));
    ascii_copy(g->first, sizeof g->first, json_path_str(o, "first", ""));
    ascii_copy(g->last, sizeof g->last, json_path_str(o, "last", ""));
}

/* One line for a human: the first event, and how many there are. */
static json_t *gathered_text(const struct alarm_gathered *g)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    const json_t *ev = json_array_get(g->events, 0);
    const char *subject = json_string_value(json_array_get(g->subjects, 0));
    buf_printf(&b, "%s%s%s", json_path_str(ev, "kind", "event"), subject ? " " : "", subject ? subject : "");
    int64_t more = (int64_t)json_array_size(g->subjects) - 1 + g->unnamed;
    if (more > 0)
        buf_printf(&b, " and %lld more", (long long)more);
    if (g->count > 1)
        buf_printf(&b, " (%lld times)", (long long)g->count);
    cli_event_members(ev, &b);
    const char *text = buf_cstr(&b);
    return bounded_text(text ? text : "event", TEXT_BYTES);
}

static void raise_to(uint32_t channels, json_t *body, json_t *raised)
{
    INVARIANT(body);
    json_array_append_new(raised, json_pack("{s:I,s:o}", "to", (json_int_t)channels, "body", body));
}

void alarm_raise(const struct alarm_conf *c, const struct alarm_rule *r, int64_t era, const struct alarm_gathered *g, json_t *raised)
{
    char id[512], place[sizeof g->first], tail[24] = "";
    snprintf(place, sizeof place, "%s", g->first);
    for (char *p = place; *p; p++)
        *p = *p == ':' ? '-' : *p;
    if (era)
        snprintf(tail, sizeof tail, "-%lld", (long long)era);
    snprintf(id, sizeof id, "%s.%s.%s%s", c->head.name, r->name, place, tail);
    raise_to(r->channels,
             json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:I,s:o,s:O,s:I,s:s,s:s,s:O}", "id", id, "site", c->head.name, "rule", r->name, "severity",
                       alarm_severity_name(r->severity), "at", g->at, "until", g->at_last, "count", (json_int_t)g->count, "text", gathered_text(g),
                       "subjects", g->subjects, "subjects_more", (json_int_t)g->unnamed, "first", g->first, "last", g->last, "events", g->events),
             raised);
}

void alarm_raise_self(const struct alarm_conf *c, const struct alarm_self *self, json_t *raised)
{
    char id[512], at[CLOCK_TEXT_MAX];
    const char *rule = strcmp(self->what, "test") == 0 ? "test" : "self";
    clock_text_ms(self->at_ms, at);
    snprintf(id, sizeof id, "%s.%s.%s%s%.64s-%lld", c->head.name, rule, self->what, *self->key ? "-" : "", self->key, (long long)self->at_ms);
    raise_to(self->to,
             json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:i,s:o,s:[s],s:i,s:s,s:b,s:[]}", "id", id, "site", c->head.name, "rule", rule, "severity",
                       alarm_severity_name(self->over ? ALARM_INFO : self->severity), "at", at, "until", at, "count", 1, "text",
                       bounded_text(self->text, TEXT_BYTES), "subjects", *self->key ? self->key : self->what, "subjects_more", 0, "trouble",
                       self->what, "over", self->over, "events"),
             raised);
}
