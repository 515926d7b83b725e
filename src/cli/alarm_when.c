/* alarm_when.c: which events a rule means: known kinds and fields, and conditions on fields. Pure. */
#include <stdio.h>

#include "base/mem.h"
#include "cli/alarm.h"
#include "cli/cli.h"

static const struct { const char *kind, *fields; } kinds_known[] = {
#define EVENT(upper, name, fields, doc) { name, fields },
#include "wire/event.def"
#undef EVENT
};

bool alarm_kind_known(struct span kind)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds_known); i++)
        if (span_eq_str(kind, kinds_known[i].kind))
            return true;
    return false;
}

/* Does the list "a b c" hold the word? "*" holds every one. */
static bool list_holds(struct span list, struct span word)
{
    struct span one;
    while (span_cut(&list, ' ', &one))
        if (span_eq(one, word) || span_eq_str(one, "*"))
            return true;
    return false;
}

/* Is the field in "name:s count:i"? */
static bool fields_have(const char *fields, struct span field, bool number)
{
    struct span rest = span_str(fields), one, name;
    while (span_cut(&rest, ' ', &one))
        if (span_cut(&one, ':', &name) && span_eq(name, field) && (!number || span_eq_str(one, "i")))
            return true;
    return false;
}

bool alarm_field_known(struct span kinds, struct span field, bool number)
{
    if (fields_have("device:s kind:s rev:i", field, number))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(kinds_known); i++)
        if (list_holds(kinds, span_str(kinds_known[i].kind)) && fields_have(kinds_known[i].fields, field, number))
            return true;
    return false;
}

const char *alarm_field(const json_t *event, const char *field, struct alarm_text *out)
{
    const json_t *v = json_object_get(event, field);
    if (!v)
        v = json_object_get(json_object_get(event, "payload"), field);
    if (json_is_string(v))
        return json_string_value(v);
    out->text[0] = 0;
    if (json_is_integer(v))
        snprintf(out->text, sizeof out->text, "%lld", (long long)json_integer_value(v));
    else if (json_is_boolean(v))
        snprintf(out->text, sizeof out->text, "%s", json_is_true(v) ? "yes" : "no");
    return out->text;
}

/* -- conditions ------------------------------------------------------------------------------------------------------------------- */
/* "field>=3" cut at its operator. */
static bool cond_cut(struct span one, struct span *field, struct span *value, struct alarm_cond *c)
{
    static const struct { const char *text; int op; } ops[] = {
        { "!=", COND_IS_NOT }, { ">=", COND_AT_LEAST }, { "<=", COND_AT_MOST }, { "=", COND_IS },
    };
    size_t at = 0;
    while (at < one.n && !strchr("!=<>", one.p[at]))
        at++;
    for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
        struct span rest = span_of(one.p + at, one.n - at);
        if (!span_starts(rest, ops[i].text))
            continue;
        size_t n = strlen(ops[i].text);
        *field = span_of(one.p, at);
        *value = span_of(rest.p + n, rest.n - n);
        c->op = (typeof(c->op))ops[i].op;
        return at > 0;
    }
    return false;
}

static enum err cond_parse(const struct alarm_rule *r, struct span one, struct alarm_cond *c, struct fault *f)
{
    struct span field, value;
    int n = (int)(one.n < 80 ? one.n : 80);
    if (!cond_cut(one, &field, &value, c) || span_to_cstr(field, c->field, sizeof c->field) || span_to_cstr(value, c->value, sizeof c->value))
        return fault_set(f, CE_BAD_CONFIG, "[rule %s]: when: '%.*s' is not field=value, field!=value, field>=number or field<=number", r->name, n,
                         (const char *)one.p);
    bool number = c->op == COND_AT_LEAST || c->op == COND_AT_MOST;
    if (!alarm_field_known(span_str(r->cfg.kinds), field, number))
        return fault_set(f, CE_BAD_CONFIG, "[rule %s]: when: these events have no field '%s'%s", r->name, c->field, number ? " that is a number" : "");
    if (number && !span_to_i64(value, &c->number))
        return fault_set(f, CE_BAD_CONFIG, "[rule %s]: when: '%.*s' needs a whole number", r->name, n, (const char *)one.p);
    return CE_OK;
}

enum err alarm_when_parse(struct alarm_rule *r, struct fault *f)
{
    struct span rest = span_str(r->cfg.when), one;
    r->nconds = 0;
    while (span_cut(&rest, ' ', &one)) {
        if (!one.n)
            continue;
        if (r->nconds == ALARM_CONDS_MAX)
            return fault_set(f, CE_BAD_CONFIG, "[rule %s]: when: more than %d conditions", r->name, ALARM_CONDS_MAX);
        enum err e = cond_parse(r, one, &r->cond[r->nconds], f);
        if (e)
            return e;
        r->nconds++;
    }
    return CE_OK;
}

/* Text against a pattern in which * is any text. Linear in text for each star. */
static bool glob_match(struct span pat, struct span s)
{
    size_t p = 0, i = 0, star = SIZE_MAX, back = 0;
    while (i < s.n) {
        if (p < pat.n && pat.p[p] == '*') {
            star = p++;
            back = i;
        } else if (p < pat.n && pat.p[p] == s.p[i]) {
            p++;
            i++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            i = ++back;
        } else
            return false;
    }
    while (p < pat.n && pat.p[p] == '*')
        p++;
    return p == pat.n;
}

static bool any_match(const char *patterns, const char *text)
{
    struct span rest = span_str(patterns), one;
    if (!*patterns)
        return !*text;
    while (span_cut(&rest, '|', &one))
        if (glob_match(one, span_str(text)))
            return true;
    return false;
}

static bool cond_match(const struct alarm_cond *c, const json_t *event)
{
    struct alarm_text t;
    const char *text = alarm_field(event, c->field, &t);
    int64_t n;
    switch (c->op) {
    case COND_IS:
        return any_match(c->value, text);
    case COND_IS_NOT:
        return !any_match(c->value, text);
    case COND_AT_LEAST:
        return span_to_i64(span_str(text), &n) && n >= c->number;
    case COND_AT_MOST:
        return span_to_i64(span_str(text), &n) && n <= c->number;
    }
    return false;
}

bool alarm_when_match(const struct alarm_rule *r, const json_t *event)
{
    struct alarm_text t;
    if (!list_holds(span_str(r->cfg.kinds), span_str(alarm_field(event, "kind", &t))))
        return false;
    for (int i = 0; i < r->nconds; i++)
        if (!cond_match(&r->cond[i], event))
            return false;
    return true;
}
