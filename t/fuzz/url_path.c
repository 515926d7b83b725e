/* Request targets: split, route, decode, query. Parameters that come out hold no control bytes. */
#include "wire/http.h"
#include "wire/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = { "GET", "POST", "PATCH", "DELETE" };
    struct arena a = { 0 };
    struct span path, query, key, value;
    struct route_match m;
    struct fault f;
    if (http_target_split(span_of(data, size), &path, &query, &f) == CE_OK) {
        for (size_t i = 0; i < ARRAY_LEN(methods); i++)
            if (route_find(span_str(methods[i]), path, &a, &m, &f) == CE_OK)
                for (size_t k = 0; k < m.nparams; k++)
                    if (m.params[k].n == 0 || !span_is_utf8(m.params[k]))
                        __builtin_trap();
        while (http_query_next(&query, &a, &key, &value, &f) == CE_OK)
            if (key.n == 0 || !span_is_utf8(value))
                __builtin_trap();
    }
    arena_free(&a);
    return 0;
}

#include "t/fuzz/replay.h"
