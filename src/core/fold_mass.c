/* fold_mass.c: what the events about mass changes do to their table, written a second time on purpose. Counts of the progress between two of them
 * are in no event, and are not compared; the list of devices is. See fold.h. */
#include "core/fold_priv.h"
#include "store/mass.h"
#include "wire/text_list.h"

enum err fold_mass_created(struct fold *x)
{
    const struct mass_row r = { .id = fold_number(x, "id"), .state = SPAN_LIT("counting"), .to_state = fold_text(x, "state"), .reason = fold_text(x, "reason"),
                                .note = fold_text(x, "note"),
                                .q = { fold_text(x, "line"), fold_text(x, "model"), fold_text(x, "batch"), fold_text(x, "country"), fold_text(x, "in_state"),
                                       fold_text(x, "tag"), fold_text(x, "prefix"), fold_text(x, "key_alg"), fold_number(x, "enrolled_from"), fold_number(x, "enrolled_to") },
                                .created_by = fold_text(x, "by"), .created_at = x->ev->at, .changed_at = x->ev->at };
    return x->err ? x->err : store_mass_put(x->to, &r, x->f);
}

/* An event about a job that is there: its row as the event leaves it. */
static enum err row_change(struct fold *x, void (*change)(struct fold *x, struct mass_row *r))
{
    struct mass_row r;
    int64_t id = fold_number(x, "id");
    enum err e = x->err ? x->err : store_mass_get(x->to, &x->arena, id, &r, x->f);
    if (e)
        return e;
    change(x, &r);
    r.changed_at = x->ev->at;
    return x->err ? x->err : store_mass_put(x->to, &r, x->f);
}

static void counted(struct fold *x, struct mass_row *r)
{
    r->state = SPAN_LIT("waiting");
    r->matched = fold_number(x, "matched");
}

static void confirmed(struct fold *x, struct mass_row *r)
{
    r->state = SPAN_LIT("running");
    r->confirmed_by = fold_text(x, "by");
    r->confirmed_at = x->ev->at;
}

static void moved(struct fold *x, struct mass_row *r)
{
    r->state = fold_text(x, "to");
    r->why = fold_text(x, "why");
}

static void ended(struct fold *x, struct mass_row *r)
{
    moved(x, r);
    r->done = fold_number(x, "done");
    r->already = fold_number(x, "already");
    r->refused = fold_number(x, "refused");
    r->first = fold_text(x, "first");
    r->last = fold_text(x, "last");
}

enum err fold_mass_counted(struct fold *x) { return row_change(x, counted); }
enum err fold_mass_confirmed(struct fold *x) { return row_change(x, confirmed); }
enum err fold_mass_state(struct fold *x) { return row_change(x, moved); }
enum err fold_mass_ended(struct fold *x) { return row_change(x, ended); }

/* -- the list of devices ---------------------------------------------------------------------------------------------------------- */
enum err fold_mass_listed(struct fold *x)
{
    int64_t id = fold_number(x, "id");
    struct span uids = fold_text(x, "uids"), uid;
    enum err e = x->err;
    while (!e && text_list_next(&uids, &uid))
        e = store_mass_device_add(x->to, id, uid, x->f);
    return e;
}

enum err fold_mass_device(struct fold *x)
{
    int64_t id = fold_number(x, "id");
    struct span result = fold_text(x, "result"), reason = fold_text(x, "reason"), detail = fold_text(x, "detail");
    if (x->err)
        return x->err;
    if (!span_eq_str(result, "refused"))
        return store_mass_device_done(x->to, id, x->ev->device, x->f);
    return store_mass_device_refused(x->to, id, x->ev->device, arena_str(&x->arena, reason), arena_str(&x->arena, detail), x->f);
}

enum err fold_mass_changed(struct fold *x)
{
    int64_t id = json_integer_value(json_object_get(x->payload, "job")); /* absent in events of old */
    return id ? store_mass_device_done(x->to, id, x->ev->device, x->f) : CE_OK;
}
