/* topic.c: fuzz target of topic rights: "TEMPLATE\nUID\nLINE\nTOPIC". Every verdict is compared with an oracle that shares nothing with
 * wire/topic.c: it splits into levels, matches names by the words of MQTT 4.7, and decides whether a template covers a filter by
 * trying names that the filter matches, made with a level that appears nowhere else. */
#include "base/log.h"
#include "base/name.h"
#include "wire/topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LEVELS 40
struct topic_levels { int n; struct span at[LEVELS]; };
static const char fresh[] = "\x7e\x7e never \x7e\x7e";

static bool split(struct span s, struct topic_levels *out)
{
    size_t from = 0;
    out->n = 0;
    for (size_t i = 0; i <= s.n; i++)
        if (i == s.n || s.p[i] == '/') {
            if (out->n == LEVELS - 4)
                return false;
            out->at[out->n++] = span_of(s.p + from, i - from);
            from = i + 1;
        }
    return true;
}

static bool names_match(const struct topic_levels *t, const struct topic_levels *name, const struct topic_self *who)
{
    for (int i = 0; i < t->n; i++) {
        bool dollar = i == 0 && name->at[0].n && name->at[0].p[0] == '$';
        if (span_eq_str(t->at[i], "#"))
            return !dollar && name->n >= i; /* i levels matched: the parent, and everything below it */
        if (i >= name->n)
            return false;
        if (span_eq_str(t->at[i], "+") ? dollar
            : span_eq_str(t->at[i], "%u") ? !span_eq(who->uid, name->at[i])
            : span_eq_str(t->at[i], "%l") ? !who->line.n || !span_eq(who->line, name->at[i])
                                          : !span_eq(t->at[i], name->at[i]))
            return false;
    }
    return t->n == name->n;
}

/* One name that the filter matches: + becomes plus; # becomes `deep` levels of `plus`, none for 0. Does the template match it? */
static bool one_matches(const struct topic_levels *t, const struct topic_levels *filter, const struct topic_self *who, struct span plus, int deep)
{
    struct topic_levels name = { 0 };
    for (int i = 0; i < filter->n; i++) {
        if (!span_eq_str(filter->at[i], "#"))
            name.at[name.n++] = span_eq_str(filter->at[i], "+") ? plus : filter->at[i];
        else
            for (int k = 0; k < deep && name.n < LEVELS; k++)
                name.at[name.n++] = plus;
    }
    if (!name.n || (name.n == 1 && !name.at[0].n))
        return true; /* no name at all: nothing to cover */
    return names_match(t, &name, who);
}

static bool oracle(const struct topic_levels *t, const struct topic_levels *filter, const struct topic_self *who)
{
    bool all = true;
    for (int deep = 0; deep <= 3; deep++)
        all = all && one_matches(t, filter, who, span_str(fresh), deep) && one_matches(t, filter, who, (struct span){ 0 }, deep);
    return all && one_matches(t, filter, who, span_str(fresh), LEVELS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size), tmpl = { 0 }, by;
    struct topic_self who = { 0 };
    struct topic_levels t, filter;
    struct fault f;
    span_cut(&in, '\n', &tmpl);
    span_cut(&in, '\n', &who.uid);
    span_cut(&in, '\n', &who.line);
    bool line_good = !who.line.n || !name_check_label("line", who.line, &f);
    if (topic_template_check(tmpl, true, &f) || name_check_uid(who.uid, &f) || !line_good)
        return 0;
    struct topic_rights rights = { .read = { &tmpl, 1 }, .write = { &tmpl, 1 } };
    bool name = topic_name_valid(in), is_filter = topic_filter_valid(in);
    INVARIANT(!name || is_filter || span_starts(in, "$share/"));
    bool read = topic_allows(&rights, &who, in, TOPIC_READ, &by);
    INVARIANT(read == topic_allows(&rights, &who, in, TOPIC_WRITE, NULL) && read == (by.n != 0) && (!read || name));
    bool sub = topic_allows(&rights, &who, in, TOPIC_SUBSCRIBE, NULL);
    INVARIANT(!sub || is_filter || span_starts(in, "$share/"));
    INVARIANT(!topic_allows(&(struct topic_rights){ 0 }, &who, in, TOPIC_READ, NULL));
    if (!split(tmpl, &t) || !split(in, &filter))
        return 0;
    if (name)
        INVARIANT(read == names_match(&t, &filter, &who));
    if (is_filter)
        INVARIANT(sub == oracle(&t, &filter, &who));
    return 0;
}

#include "t/fuzz/replay.h"
