/* topic.c: see topic.h. Templates are matched as they are written: they are checked once, so that '%', '+' and '#' can only be whole levels. */
#include "wire/topic.h"

static bool utf8_valid(struct span s) /* MQTT 1.5.4: well-formed, without U+0000 */
{
    while (s.n) {
        size_t len = s.p[0] < 0x80 ? s.p[0] != 0 : span_utf8_len(s);
        if (!len)
            return false;
        s = span_of(s.p + len, s.n - len);
    }
    return true;
}

bool topic_name_valid(struct span name)
{
    return name.n && name.n <= TOPIC_MAX && !memchr(name.p, '+', name.n) && !memchr(name.p, '#', name.n) && utf8_valid(name);
}

/* Next level; false when there is none. Empty levels count ("a//b" has three). */
static bool level_next(struct span *rest, bool *more, struct span *level)
{
    if (!*more)
        return false;
    const uint8_t *slash = rest->n ? memchr(rest->p, '/', rest->n) : NULL;
    size_t n = slash ? (size_t)(slash - rest->p) : rest->n;
    *level = span_of(rest->p, n);
    *more = slash != NULL;
    *rest = span_of(rest->p + n + *more, rest->n - n - *more);
    return true;
}

static bool has_byte(struct span s, char c) { return s.n && memchr(s.p, c, s.n); }

/* The rule of 4.7.1 that the filter's levels break; NULL: none. */
static const char *levels_fault(struct span filter)
{
    bool more = true;
    struct span level;
    while (level_next(&filter, &more, &level)) {
        if (has_byte(level, '+') && level.n != 1)
            return "+ is a whole level (MQTT 4.7.1.3)";
        if (has_byte(level, '#') && level.n != 1)
            return "# is a whole level (MQTT 4.7.1.2)";
        if (has_byte(level, '#') && more)
            return "# is the last level (MQTT 4.7.1.2)";
    }
    return NULL;
}

bool topic_filter_valid(struct span filter)
{
    return filter.n && filter.n <= TOPIC_MAX && !span_starts(filter, "$share/") && utf8_valid(filter) && !levels_fault(filter);
}

static const char *variables_fault(struct span t, bool with_line)
{
    bool more = true;
    struct span level;
    while (level_next(&t, &more, &level)) {
        if (!has_byte(level, '%') || span_eq_str(level, "%u"))
            continue;
        if (!span_eq_str(level, "%l"))
            return with_line ? "% begins only %u and %l, each as a whole level" : "% begins only %u, as a whole level";
        if (!with_line)
            return "%l is for devices: a backend has no line";
    }
    return NULL;
}

enum err topic_template_check(struct span text, bool with_line, struct fault *f)
{
    if (!text.n || text.n > TOPIC_TEMPLATE_MAX)
        return fault_set(f, CE_BAD_FIELD, "a topic template has 1 to %d bytes, not %zu", TOPIC_TEMPLATE_MAX, text.n);
    const char *why = NULL;
    if (!span_is_utf8(text))
        why = "it is no UTF-8 text without control characters (MQTT 1.5.4)";
    else if (span_starts(text, "$share/"))
        why = "a shared subscription is no filter (MQTT 5 4.8.2); name the filter behind its group";
    else
        why = levels_fault(text);
    if (!why)
        why = variables_fault(text, with_line);
    return why ? fault_set(f, CE_BAD_FIELD, "topic template '%.*s': %s", text.n > 120 ? 120 : (int)text.n, (const char *)text.p, why) : CE_OK;
}

/* What is left of the template when the filter has ended: "/#" matches the parent level too (4.7.1.2). */
static bool rest_matches_nothing(const uint8_t *t, const uint8_t *end) { return end - t == 2 && t[0] == '/' && t[1] == '#'; }

bool topic_covers(struct span tmpl, const struct topic_self *who, struct span filter)
{
    const uint8_t *t = tmpl.p, *t_end = t + tmpl.n, *p = filter.p, *p_end = p + filter.n;
    if (!tmpl.n || !filter.n || (*p == '$' && (*t == '+' || *t == '#')))
        return false;
    if (tmpl.n == 3 && !memcmp(t, "+/#", 3)) /* matches what # does */
        t += 2;
    for (; t < t_end; t++) {
        if (*t == '#')
            return true;
        if (*t == '+') {
            if (p < p_end && *p == '#')
                return false; /* the filter reaches beyond this level */
            while (p < p_end && *p != '/')
                p++;
        } else if (*t == '%') {
            struct span name = *++t == 'u' ? who->uid : who->line;
            if (!name.n || (size_t)(p_end - p) < name.n || memcmp(p, name.p, name.n) != 0)
                return false;
            p += name.n;
        } else if (p < p_end && *p == *t) {
            p++;
        } else {
            return p == p_end && rest_matches_nothing(t, t_end);
        }
    }
    return p == p_end;
}

static bool set_covers(const struct topic_set *set, const struct topic_self *who, struct span filter, struct span *by)
{
    for (unsigned i = 0; i < set->n; i++)
        if (topic_covers(set->templates[i], who, filter)) {
            *by = set->templates[i];
            return true;
        }
    return false;
}

/* "$share/GROUP/FILTER" (MQTT 5 4.8.2) -> FILTER; empty when malformed */
static struct span share_strip(struct span filter)
{
    struct span group;
    if (!span_starts(filter, "$share/"))
        return filter;
    filter = span_of(filter.p + 7, filter.n - 7);
    if (!span_cut(&filter, '/', &group) || !group.n || has_byte(group, '+') || has_byte(group, '#'))
        return (struct span){ 0 };
    return filter;
}

bool topic_allows(const struct topic_rights *rights, const struct topic_self *who, struct span topic, unsigned access, struct span *by)
{
    struct span unwanted;
    by = by ? by : &unwanted;
    *by = (struct span){ 0 };
    switch (access) {
    case TOPIC_UNSUBSCRIBE:
        return true;
    case TOPIC_SUBSCRIBE:
        if (topic.n > TOPIC_MAX)
            return false;
        topic = share_strip(topic);
        return topic_filter_valid(topic) && set_covers(&rights->read, who, topic, by);
    case TOPIC_READ:
    case TOPIC_WRITE:
        return topic_name_valid(topic) && set_covers(access == TOPIC_READ ? &rights->read : &rights->write, who, topic, by);
    default:
        return false;
    }
}
