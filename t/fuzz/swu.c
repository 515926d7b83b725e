/* The front of a .swu image: what is accepted lies inside of the input and begins behind a cpio header. */
#include "wire/swu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span out;
    struct fault f;
    if (swu_description(span_of(data, size), &out, &f) == CE_OK &&
        (!out.n || out.n > SWU_DESCRIPTION_MAX || out.p < data + 110 || (size_t)(out.p - data) > size || out.n > size - (size_t)(out.p - data)))
        __builtin_trap();
    return 0;
}

#include "t/fuzz/replay.h"
