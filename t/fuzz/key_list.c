/* key_list.c: fuzz target of lists of compromised keys, which an operator has from anybody. */
#include "base/log.h"
#include "wire/key_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    struct key_list_id id;
    struct fault f = { .code = CE_OK };
    unsigned line = 0;
    enum err e;
    while (!(e = key_list_next(&in, &line, &id, &f)) && id.n)
        INVARIANT((id.n == 32 || id.n == 10) && line <= size + 1);
    INVARIANT(e == CE_OK || f.text[0]);
    return 0;
}

#include "t/fuzz/replay.h"
