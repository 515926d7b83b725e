/* swu.c: see swu.h. */
#include "wire/swu.h"

#define NAME "sw-description"
#define HEADER_LEN 110 /* magic of six bytes, then 13 numbers of eight hexadecimal digits */
enum { FIELD_SIZE = 6, FIELD_NAME_SIZE = 11, FIELD_CHECK = 12 };

static bool number(struct span header, unsigned field, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < 8; i++) {
        int digit = hex_value(header.p[6 + 8 * field + i]);
        if (digit < 0)
            return false;
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

enum err swu_description(struct span head, struct span *out, struct fault *f)
{
    struct span rest = head, header, name, pad;
    uint32_t size = 0, name_size = 0, check = 0, sum = 0;
    if (!span_get(&rest, HEADER_LEN, &header) || !(span_starts(header, "070701") || span_starts(header, "070702")))
        return fault_set(f, CE_BAD_INPUT, "no .swu image: it does not begin as a cpio archive (newc or crc)");
    if (!number(header, FIELD_SIZE, &size) || !number(header, FIELD_NAME_SIZE, &name_size) || !number(header, FIELD_CHECK, &check))
        return fault_set(f, CE_BAD_INPUT, "no .swu image: a number of its cpio header is none");
    if (name_size != sizeof NAME || !span_get(&rest, name_size, &name) || memcmp(name.p, NAME, sizeof NAME) != 0)
        return fault_set(f, CE_BAD_INPUT, "the first file of a .swu image must be " NAME);
    if (!size || size > SWU_DESCRIPTION_MAX)
        return fault_set(f, CE_BAD_INPUT, NAME " has %u bytes; 1 to %u are allowed", size, SWU_DESCRIPTION_MAX);
    if (!span_get(&rest, (4 - (HEADER_LEN + name_size) % 4) % 4, &pad) || !span_get(&rest, size, out))
        return fault_set(f, CE_BAD_INPUT, "the .swu image ends within " NAME);
    for (uint32_t i = 0; i < size; i++)
        sum += out->p[i];
    if (header.p[5] == '2' && sum != check)
        return fault_set(f, CE_BAD_INPUT, "the cpio checksum of " NAME " is wrong");
    return CE_OK;
}
