/* fold_line.c: what the events of product lines and their settings do to the tables, written a second time on purpose. See fold.h. */
#include "core/fold_priv.h"
#include "store/line_more.h"
#include "store/registry.h"
#include "store/topics.h"

enum err fold_line(struct fold *x)
{
    const struct line_row r = { .name = fold_text(x, "name"), .title = fold_text(x, "title"), .validity_s = fold_number(x, "validity_s"),
                                .clone_policy = fold_text(x, "clone_policy"), .added_at = x->ev->at };
    return x->err ? x->err : store_line_add(x->to, &r, x->f);
}

enum err fold_line_changed(struct fold *x)
{
    struct line_row l;
    struct topics_row t = { .name = fold_text(x, "name"), .write = fold_text(x, "write"), .read = fold_text(x, "read"), .repair = fold_text(x, "repair") };
    enum err e = x->err ? x->err : store_line_get(x->to, &x->arena, t.name, &l, x->f);
    if (e)
        return e;
    l.title = fold_text(x, "title");
    l.validity_s = fold_number(x, "validity_s");
    l.clone_policy = fold_text(x, "clone_policy");
    e = x->err ? x->err : store_line_set(x->to, &l, x->f);
    return e ? e : store_topics_put(x->to, TOPICS_LINE, &t, x->f);
}

enum err fold_line_state(struct fold *x)
{
    struct line_row l;
    struct span name = fold_text(x, "name");
    enum err e = x->err ? x->err : store_line_get(x->to, &x->arena, name, &l, x->f);
    l.suspended = json_is_true(json_object_get(x->payload, "suspended"));
    return e ? e : store_line_set(x->to, &l, x->f);
}

/* -- settings: what the line has, one of them changed ------------------------------------------------------------------------------------ */
static enum err more_fold(struct fold *x, void (*change)(struct fold *x, struct line_more *m))
{
    struct line_more m;
    struct span name = fold_text(x, "name");
    enum err e = x->err ? x->err : store_line_more_get(x->to, &x->arena, name, &m, x->f);
    if (e)
        return e;
    change(x, &m);
    return x->err ? x->err : store_line_more_put(x->to, name, &m, x->f);
}

static void approvals(struct fold *x, struct line_more *m) { m->approvals = fold_number(x, "approvals"); }
static void enroll(struct fold *x, struct line_more *m) { m->enroll_approval = json_is_true(json_object_get(x->payload, "approval")); }
static void secrets(struct fold *x, struct line_more *m) { m->cmp_secret = json_is_true(json_object_get(x->payload, "allowed")); }
static void service(struct fold *x, struct line_more *m) { m->service_until = fold_text(x, "until"); }
static void ca(struct fold *x, struct line_more *m) { m->ca = fold_text(x, "ca"); }
static void key_home(struct fold *x, struct line_more *m) { m->key_home = fold_text(x, "home"); }

static void grace(struct fold *x, struct line_more *m)
{
    m->grace_s = fold_number(x, "grace_s");
    m->grace_any_key = span_eq_str(fold_text(x, "key"), "any");
}

enum err fold_line_approvals(struct fold *x) { return more_fold(x, approvals); }
enum err fold_line_enroll(struct fold *x) { return more_fold(x, enroll); }
enum err fold_line_secrets(struct fold *x) { return more_fold(x, secrets); }
enum err fold_line_service(struct fold *x) { return more_fold(x, service); }
enum err fold_line_ca(struct fold *x) { return more_fold(x, ca); }
enum err fold_line_key_home(struct fold *x) { return more_fold(x, key_home); }
enum err fold_line_grace(struct fold *x) { return more_fold(x, grace); }
