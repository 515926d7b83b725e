/* fold_idevid.c: what events about IDevIDs and grace do to the tables, from their fields alone. See fold.h. */
#include "core/fold_priv.h"
#include "store/idevid.h"
#include "store/node.h"

enum err fold_anchor_added(struct fold *x)
{
    const struct anchor_row r = { .line = fold_text(x, "line"), .sha256 = fold_hexed(x, "sha256"), .root = fold_base64(x, "root"), .inters = fold_base64(x, "inters"),
                                  .rule = fold_text(x, "rule"), .hw_type = fold_text(x, "hw_type"), .model = fold_text(x, "model"), .title = fold_text(x, "title"),
                                  .added_at = x->ev->at, .added_by = fold_text(x, "by") };
    return x->err ? x->err : store_anchor_add(x->to, &r, x->f);
}

enum err fold_anchor_removed(struct fold *x)
{
    struct span line = fold_text(x, "line"), sha256 = fold_hexed(x, "sha256");
    return x->err ? x->err : store_anchor_remove(x->to, line, sha256, x->f);
}

enum err fold_idevid_pinned(struct fold *x)
{
    const struct idevid_row r = { .uid = x->ev->device, .spki = fold_hexed(x, "spki"), .anchor = fold_hexed(x, "anchor"), .serial = fold_hexed(x, "serial"),
                                  .name = fold_text(x, "name"), .at = x->ev->at };
    return x->err ? x->err : store_idevid_put(x->to, &r, x->f);
}

enum err fold_idevid_forgotten(struct fold *x) { return store_idevid_forget(x->to, x->ev->device, x->f); }

enum err fold_anchor_crl(struct fold *x)
{
    const struct anchor_crl_row r = { .line = fold_text(x, "line"), .sha256 = fold_hexed(x, "sha256"), .issuer = fold_hexed(x, "issuer"), .digest = fold_hexed(x, "digest"),
                                      .number = fold_number(x, "number"), .this_update = fold_number(x, "this_update"), .next_update = fold_number(x, "next_update"),
                                      .entries = fold_number(x, "entries"), .revoked = fold_text(x, "revoked"), .stale = fold_text(x, "stale"), .added_at = x->ev->at,
                                      .added_by = fold_text(x, "by") };
    return x->err ? x->err : store_anchor_crl_put(x->to, &r, x->f);
}
