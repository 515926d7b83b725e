/* fold_enroll.c: what the events about enrollments that wait for an approval do to the tables, written a second time on purpose. done
 * follows from cert-issued (fold_apply.c). See fold.h. */
#include "core/fold_priv.h"
#include "store/enroll.h"

enum err fold_enroll_requested(struct fold *x)
{
    const struct enroll_row r = { .spki = fold_hexed(x, "spki"), .uid = x->ev->device, .line = fold_text(x, "line"), .key_alg = fold_text(x, "key_alg"),
                                  .proto = fold_text(x, "proto"), .addr = fold_text(x, "addr"), .asked_by = fold_text(x, "by"), .state = SPAN_LIT("waiting"),
                                  .asked_at = x->ev->at, .changed_at = x->ev->at, .until_at = fold_time_ms(x, "until_at") };
    return x->err ? x->err : store_enroll_put(x->to, &r, x->f);
}

enum err fold_enroll_decided(struct fold *x)
{
    struct enroll_row r;
    struct span spki = fold_hexed(x, "spki");
    enum err e = x->err ? x->err : store_enroll_get(x->to, &x->arena, spki, &r, x->f);
    if (e)
        return e;
    r.changed_at = x->ev->at;
    r.until_at = 0;
    if (span_eq_str(x->ev->kind, "enroll-expired")) {
        r.state = SPAN_LIT("expired");
    } else {
        bool approved = span_eq_str(x->ev->kind, "enroll-approved");
        r.state = approved ? SPAN_LIT("approved") : SPAN_LIT("refused");
        r.until_at = approved ? fold_time_ms(x, "until_at") : 0;
        r.note = fold_text(x, "note");
        r.by = fold_text(x, "by");
    }
    return x->err ? x->err : store_enroll_put(x->to, &r, x->f);
}
