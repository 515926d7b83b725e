/* text_list.c: see text_list.h. */
#include "wire/text_list.h"

bool text_list_next(struct span *list, struct span *one)
{
    return !span_eq_str(*list, "\n") && span_cut(list, '\n', one);
}

bool text_list_valid(struct span list)
{
    struct span one;
    if (list.n && list.p[list.n - 1] != '\n')
        return false;
    while (text_list_next(&list, &one))
        if (!one.n || span_eq_str(list, "\n"))
            return false;
    return true;
}

void text_list_json(struct json_out *j, const char *key, struct span list)
{
    struct span one;
    json_arr(j, key);
    while (text_list_next(&list, &one))
        json_str(j, NULL, one);
    json_arr_end(j);
}
