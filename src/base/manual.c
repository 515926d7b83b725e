/* manual.c: see manual.h. */
#include "base/manual.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

int manual_print(const struct manual *m, const char *section)
{
    CLEANUP(buf_free) struct buf keys = BUF_INIT(1 << 20);
    if (strcmp(section, "8") == 0)
        return fputs(m->page8, stdout) < 0;
    if (strcmp(section, "5") != 0)
        return err_exit(CE_USAGE);
    config_mdoc(m->keys, m->n_keys, &keys);
    return fputs(m->page5_head, stdout) < 0 || fputs(buf_cstr(&keys), stdout) < 0 || fputs(m->page5_tail, stdout) < 0;
}
