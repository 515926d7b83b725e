/* fold_key.c: what events about compromised keys do to the table, from their fields alone. See fold.h. */
#include "core/fold_priv.h"
#include "store/key_block.h"

enum err fold_keys_blocked(struct fold *x)
{
    struct span keys = fold_base64(x, "keys"), id;
    int64_t size = fold_number(x, "size");
    struct key_block_row r = { .file = fold_hexed(x, "file"), .note = fold_text(x, "note"), .by = fold_text(x, "by"), .at = x->ev->at };
    enum err e = x->err;
    while (!e && size > 0 && span_get(&keys, (size_t)size, &id)) {
        r.id = id;
        e = store_key_block_put(x->to, &r, x->f);
    }
    return e;
}

enum err fold_key_unblocked(struct fold *x)
{
    struct span key = fold_hexed(x, "key");
    return x->err ? x->err : store_key_block_drop(x->to, key, x->f);
}
