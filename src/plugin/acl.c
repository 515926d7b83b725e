/* acl.c: topic templates. */
#include "plugin/acl.h"

#include "base/mem.h"

/* Next level of a topic; false when there is none. Empty levels count ("a//b" has three). */
static bool level_next(struct span *rest, bool *more, struct span *level)
{
    if (!*more)
        return false;
    const uint8_t *slash = rest->n ? memchr(rest->p, '/', rest->n) : NULL;
    size_t n = slash ? (size_t)(slash - rest->p) : rest->n;
    *level = span_of(rest->p, n);
    *more = slash != NULL;
    rest->p += n + *more;
    rest->n -= n + *more;
    return true;
}

static bool filter_valid(struct span filter)
{
    bool more = true;
    struct span level;
    if (!filter.n || !span_is_utf8(filter))
        return false;
    while (level_next(&filter, &more, &level)) {
        bool hash = level.n && memchr(level.p, '#', level.n), plus = level.n && memchr(level.p, '+', level.n);
        if ((hash || plus) && level.n != 1)
            return false; /* MQTT 3.1.1 4.7.1: a wildcard is a whole level */
        if (hash && more)
            return false; /* 4.7.1.2: # is the last level */
        if (level.n && memchr(level.p, '%', level.n) && !span_eq_str(level, "%u"))
            return false;
    }
    return true;
}

enum err acl_set_parse(struct acl_set *set, struct span list, struct fault *f)
{
    struct span one;
    set->n = 0;
    while (span_cut(&list, ',', &one)) {
        one = span_trim(one);
        if (!one.n)
            continue;
        if (set->n == ACL_TEMPLATES)
            return fault_set(f, CE_BAD_CONFIG, "more than %d topic templates", ACL_TEMPLATES);
        if (!filter_valid(one) || span_to_cstr(one, set->templates[set->n], ACL_TEMPLATE_MAX))
            return fault_set(f, CE_BAD_CONFIG, "'" SPAN_FMT "' is no topic filter (MQTT 3.1.1 4.7; %%u only as a whole level)",
                             SPAN_ARG(one));
        set->n++;
    }
    return CE_OK;
}

bool acl_covers(const char *tmpl, const char *uid, struct span filter)
{
    struct span t = span_str(tmpl), tl, fl;
    bool tmore = true, fmore = true, first = true;
    if (!filter.n)
        return false;
    for (;; first = false) {
        bool have_t = level_next(&t, &tmore, &tl);
        if (have_t && span_eq_str(tl, "#") && !(first && filter.p[0] == '$'))
            return true; /* also the parent level itself, 4.7.1.2 */
        bool have_f = level_next(&filter, &fmore, &fl);
        if (!have_t || !have_f)
            return have_t == have_f;
        if (span_eq_str(fl, "#"))
            return false; /* the filter reaches beyond a template without # here */
        if (span_eq_str(tl, "+")) {
            if (first && fl.n && fl.p[0] == '$')
                return false; /* 4.7.2: wildcards never match $ topics */
            continue;
        }
        if (!(span_eq_str(tl, "%u") ? span_eq_str(fl, uid) : span_eq(tl, fl)))
            return false;
    }
}

static bool set_covers(const struct acl_set *set, const char *uid, struct span filter)
{
    for (int i = 0; i < set->n; i++)
        if (acl_covers(set->templates[i], uid, filter))
            return true;
    return false;
}

/* "$share/GROUP/FILTER" (MQTT 5 4.8.2) -> FILTER; empty when malformed */
static struct span share_strip(struct span filter)
{
    struct span group;
    if (!span_starts(filter, "$share/"))
        return filter;
    filter = span_of(filter.p + 7, filter.n - 7);
    if (!span_cut(&filter, '/', &group) || !group.n)
        return (struct span){ 0 };
    return filter;
}

bool acl_allows(const struct acl_rules *rules, const char *uid, const char *topic, unsigned access)
{
    struct span t = span_str(topic);
    switch (access) {
    case ACL_UNSUBSCRIBE:
        return true;
    case ACL_SUBSCRIBE:
        t = share_strip(t);
        return filter_valid(t) && set_covers(&rules->read, uid, t);
    case ACL_READ:
    case ACL_WRITE:
        if (!t.n || memchr(t.p, '+', t.n) || memchr(t.p, '#', t.n))
            return false;
        return set_covers(access == ACL_READ ? &rules->read : &rules->write, uid, t);
    default:
        return false;
    }
}
