/* device_tags.c: the tags of a device: labels by which searches and rollouts pick it, nothing that gives or takes a right. The event tells
 * all that a device has then, so that no event depends on the ones before it.
 */
#include "base/log.h"
#include "base/name.h"
#include "core/engine.h"
#include "core/registry.h"
#include "store/tag.h"
#include "wire/text_list.h"

struct tags {
    struct span list[DEVICE_TAGS_MAX * 3]; /* sorted */
    size_t n;
};

static bool tags_find(const struct tags *t, struct span tag, size_t *at)
{
    for (*at = 0; *at < t->n && span_cmp(t->list[*at], tag) < 0; ++*at)
        ;
    return *at < t->n && span_eq(t->list[*at], tag);
}

static void tags_add(struct tags *t, struct span tag)
{
    size_t at;
    if (tags_find(t, tag, &at))
        return;
    INVARIANT(t->n < ARRAY_LEN(t->list));
    memmove(t->list + at + 1, t->list + at, (t->n++ - at) * sizeof *t->list);
    t->list[at] = tag;
}

static void tags_remove(struct tags *t, struct span tag)
{
    size_t at;
    if (tags_find(t, tag, &at))
        memmove(t->list + at, t->list + at + 1, (--t->n - at) * sizeof *t->list);
}

static enum err list_check(const char *what, struct span list, struct fault *f)
{
    struct span tag;
    enum err e = text_list_valid(list) ? CE_OK : fault_set(f, CE_BAD_FIELD, "%s: the list is malformed", what);
    int n = 0;
    for (; !e && text_list_next(&list, &tag); n++)
        e = name_check_label("tag", tag, f);
    if (!e && n > DEVICE_TAGS_MAX)
        e = fault_set(f, CE_BAD_FIELD, "%s: up to %d tags at once, not %d", what, DEVICE_TAGS_MAX, n);
    return e;
}

/* now: the tags that the device has, as a list; becomes those that it shall have. */
static enum err tags_change(const struct msg_device_tags *m, struct buf *now, struct span before, struct fault *f)
{
    struct tags t = { .n = 0 };
    struct span list = before, tag;
    while (text_list_next(&list, &tag))
        tags_add(&t, tag);
    for (list = m->remove; text_list_next(&list, &tag);)
        tags_remove(&t, tag);
    for (list = m->add; text_list_next(&list, &tag);)
        tags_add(&t, tag);
    if (t.n > DEVICE_TAGS_MAX)
        return fault_set(f, CE_BAD_FIELD, "a device holds up to %d tags, '" SPAN_FMT "' would have %zu", DEVICE_TAGS_MAX, SPAN_ARG(m->uid), t.n);
    for (size_t i = 0; i < t.n; i++) {
        buf_put_span(now, t.list[i]);
        buf_put_u8(now, '\n');
    }
    return CE_OK;
}

static void tags_reply(struct batch *b, const struct device *d, struct span tags, struct msg_reply *out)
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(0);
    struct json_out o = JSON_OUT(&body);
    json_obj(&o, NULL);
    json_str(&o, "uid", d->uid);
    json_int(&o, "rev", d->rev);
    text_list_json(&o, "tags", tags);
    json_obj_end(&o);
    out->rev = d->rev;
    reply_json(b, &body, out);
}

static enum err tags_judge(struct batch *b, const struct caller *c, const struct msg_device_tags *m, struct device *d, struct fault *f)
{
    enum err e = list_check("add", m->add, f);
    e = e ? e : list_check("remove", m->remove, f);
    e = e ? e : name_check_text("note", m->note, TEXT_MAX, f);
    e = e ? e : device_get(b, m->uid, d, f);
    e = e ? e : authz_line(c, d->line, f);
    if (!e && c->m->if_match >= 0 && c->m->if_match != d->rev)
        e = fault_set(f, CE_REV_MISMATCH, "device '" SPAN_FMT "' is at rev %lld, If-Match asked for %lld: read it again", SPAN_ARG(d->uid),
                      (long long)d->rev, (long long)c->m->if_match);
    return e;
}

enum err registry_op_device_tags(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f)
{
    const struct msg_device_tags *m = msg;
    CLEANUP(buf_free) struct buf before = BUF_INIT(0), now = BUF_INIT(0);
    struct device d = { 0 };
    enum err e = tags_judge(b, c, m, &d, f);
    e = e ? e : store_tags_get(b->db, m->uid, &before, f);
    e = e ? e : tags_change(m, &now, buf_span(&before), f);
    if (e)
        return e;
    if (span_eq(buf_span(&before), buf_span(&now))) {
        tags_reply(b, &d, buf_span(&now), out);
        return CE_OK;
    }
    e = device_touch(b, &d, f);
    e = e ? e : store_tags_put(b->db, m->uid, buf_span(&now), f);
    if (e)
        return e;
    struct json_out *j = event_begin(b, EVENT_DEVICE_TAGS, d.uid, d.rev);
    json_str(j, "tags", buf_span(&now));
    json_str(j, "note", m->note);
    json_str(j, "by", c->name);
    event_end(b);
    tags_reply(b, &d, buf_span(&now), out);
    return CE_OK;
}
