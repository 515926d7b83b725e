/* policy.c: see policy.h. */
#include "core/policy.h"

#include "core/stream.h"
#include "crypt/ca_set.h"
#include "store/ca.h"
#include "wire/policy.h"
#include "wire/text_list.h"

void policy_defaults(enum topics_of of, struct topics_row *t)
{
    if (of != TOPICS_LINE)
        return;
    t->write = t->write.n ? t->write : SPAN_LIT("d/%u/up/#\n");
    t->read = t->read.n ? t->read : SPAN_LIT("d/%u/down/#\n");
    t->repair = t->repair.n ? t->repair : SPAN_LIT("d/%u/repair/#\n");
}

static enum err list_check(const char *field, struct span list, bool with_line, struct fault *f)
{
    struct span one;
    struct fault why;
    int n = 0;
    if (!text_list_valid(list))
        return fault_set(f, CE_BAD_FIELD, "%s: a topic is empty", field);
    while (text_list_next(&list, &one)) {
        if (++n > TOPIC_TEMPLATES)
            return fault_set(f, CE_BAD_FIELD, "%s: more than %d topics", field, TOPIC_TEMPLATES);
        if (topic_template_check(one, with_line, &why))
            return fault_set(f, CE_BAD_FIELD, "%s: %.200s", field, why.text);
    }
    return CE_OK;
}

enum err policy_check_topics(enum topics_of of, const struct topics_row *t, struct fault *f)
{
    enum err e = list_check("write", t->write, of == TOPICS_LINE, f);
    e = e ? e : list_check("read", t->read, of == TOPICS_LINE, f);
    return e ? e : list_check("repair", t->repair, of == TOPICS_LINE, f);
}

/* -- the document ------------------------------------------------------------------------------------------------------------------ */
struct build { struct buf *doc; struct span scope; };

static void list_put(struct buf *doc, char kind, struct span list)
{
    struct span one;
    while (text_list_next(&list, &one))
        buf_printf(doc, " %c " SPAN_FMT "\n", kind, SPAN_ARG(one));
}

static void rights_put(struct buf *doc, enum topics_of of, const struct topics_row *row)
{
    struct topics_row t = *row;
    policy_defaults(of, &t);
    list_put(doc, 'w', t.write);
    list_put(doc, 'r', t.read);
    list_put(doc, 'q', t.repair);
}

static bool in_list(struct span list, struct span name)
{
    struct span one;
    while (span_cut(&list, ',', &one))
        if (span_eq(span_trim(one), name))
            return true;
    return false;
}

static bool line_put(void *ctx, const struct topics_row *t, struct span clone_policy)
{
    struct build *b = ctx;
    if (b->scope.n && !in_list(b->scope, t->name))
        return true;
    buf_printf(b->doc, "line " SPAN_FMT " " SPAN_FMT "\n", SPAN_ARG(t->name), SPAN_ARG(clone_policy));
    rights_put(b->doc, TOPICS_LINE, t);
    return !b->doc->err;
}

static bool backend_put(void *ctx, const struct topics_row *t, struct span none)
{
    struct build *b = ctx;
    (void)none;
    buf_printf(b->doc, "backend " SPAN_FMT "\n", SPAN_ARG(t->name));
    rights_put(b->doc, TOPICS_BACKEND, t);
    return !b->doc->err;
}

/* CAs whose certificates count; at brokers and servers those for IDevIDs do not. From the tables: the query role builds the document too. */
static enum err cas_put(struct db *db, struct buf *doc, struct fault *f)
{
    struct arena a = { 0 };
    struct ca_row *cas;
    struct ca_state_row *states;
    size_t n = 0, n_states = 0;
    enum err e = store_ca_list(db, &a, &cas, &n, f);
    e = e ? e : store_ca_state_list(db, &a, &states, &n_states, f);
    for (size_t i = 0; !e && i < n_states; i++) {
        enum ca_use use = ca_use_find(states[i].use);
        enum ca_state state = ca_state_find(states[i].state);
        if (use == CA_USE_ROOT || use == CA_USE_IDEVID || (state != CA_ACTIVE && state != CA_PASSIVE))
            continue;
        for (size_t k = 0; k < n; k++)
            if (span_eq(cas[k].name, states[i].name)) {
                buf_printf(doc, "ca %s ", ca_use_name(use));
                buf_put_base64(doc, cas[k].der, 0);
                buf_put_u8(doc, '\n');
            }
    }
    arena_free(&a);
    return e;
}

enum err policy_build(struct db *db, struct span scope, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf doc = BUF_INIT(POLICY_MAX);
    struct build b = { &doc, scope };
    buf_put_str(&doc, "cradle-policy 1\n");
    enum err e = cas_put(db, &doc, f);
    e = e ? e : store_topics_each(db, TOPICS_LINE, line_put, &b, f);
    if (!e && !scope.n)
        e = store_topics_each(db, TOPICS_BACKEND, backend_put, &b, f);
    if (!e && buf_err(&doc))
        e = fault_set(f, CE_TOO_LARGE, "the policy document for the brokers would have more than %d bytes: fewer lines, or fewer topics, are needed",
                      POLICY_MAX);
    if (!e)
        buf_put_span(out, buf_span(&doc));
    return e;
}

enum err policy_changed(struct batch *b, struct fault *f)
{
    struct buf doc = BUF_INIT(0);
    enum err e = policy_build(b->db, (struct span){ 0 }, &doc, f);
    if (e)
        buf_free(&doc);
    else
        stream_change_policy(b, &doc);
    return e;
}
