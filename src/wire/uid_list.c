/* uid_list.c: see uid_list.h. */
#include "wire/uid_list.h"

#include "base/name.h"

enum err uid_list_take(json_t *obj, struct buf *out, struct fault *f)
{
    json_t *uids = json_object_get(obj, "uids"), *one;
    size_t i;
    if (!json_is_array(uids) || !json_array_size(uids) || json_array_size(uids) > UID_LIST_MAX)
        return fault_set(f, CE_BAD_FIELD, "field 'uids' must be an array of 1 to %d UIDs", UID_LIST_MAX);
    json_array_foreach(uids, i, one) {
        struct span uid = span_of(json_string_value(one), json_string_length(one));
        struct fault why = { 0 };
        if (name_check_uid(uid, &why))
            return fault_set(f, CE_BAD_UID, "uids[%zu]: %.200s", i, why.text);
        buf_put_u8(out, (uint8_t)uid.n);
        buf_put_span(out, uid);
    }
    json_object_del(obj, "uids");
    return buf_err(out);
}

bool uid_list_next(struct span *list, struct span *uid)
{
    struct span in = *list;
    uint8_t n;
    if (!span_get_u8(&in, &n) || !span_get(&in, n, uid))
        return false;
    *list = in;
    return true;
}
