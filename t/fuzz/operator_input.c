/* operator_input.c: any bytes as a CSV line of devices, which may come from somebody else's file. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault f = { 0 };
    struct span fields[CSV_FIELDS];
    int n = 0;
    char *line = mem_alloc(size + 1);
    if (size)
        memcpy(line, data, size);
    line[size] = 0;
    enum err e = csv_split(line, fields, CSV_FIELDS, &n, &f);
    INVARIANT(e ? f.text[0] != 0 : n >= 1 && n <= CSV_FIELDS);
    for (int i = 0; !e && i < n; i++)
        INVARIANT((const char *)fields[i].p >= line && fields[i].p + fields[i].n <= (const uint8_t *)line + size);
    free(line);
    return 0;
}

#include "t/fuzz/replay.h"
