/* fold_attest.c: what the events about the homes of keys do to the tables, written a second time on purpose. See fold.h. */
#include "core/fold_priv.h"
#include "store/attest.h"

enum err fold_line_ek_ca(struct fold *x)
{
    const struct ek_ca_row r = { fold_text(x, "name"), fold_hexed(x, "sha256"), fold_base64(x, "spki"), fold_text(x, "title"), x->ev->at };
    bool was;
    if (x->err)
        return x->err;
    return json_is_true(json_object_get(x->payload, "removed")) ? store_ek_ca_remove(x->to, r.line, r.sha256, &was, x->f) : store_ek_ca_put(x->to, &r, x->f);
}

enum err fold_device_ek(struct fold *x)
{
    struct span ek = fold_hexed(x, "ek");
    return x->err ? x->err : store_device_ek_put(x->to, x->ev->device, ek, x->f);
}

enum err fold_key_home(struct fold *x)
{
    const struct key_home_row r = { .uid = x->ev->device, .spki = fold_hexed(x, "spki"), .home = fold_text(x, "home"), .proved = json_is_true(json_object_get(x->payload, "proved")),
                                    .ek = fold_hexed(x, "ek"), .vendor = fold_text(x, "vendor"), .at = x->ev->at };
    return x->err ? x->err : store_key_home_put(x->to, &r, x->f);
}
