/* manual.c: see manual.h. */
#include "base/manual.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

const struct manual_verb *manual_verb_at(const struct manual *m, size_t i)
{
    return (const void *)((const char *)m->verbs + i * m->verb_size);
}

static int page8_print(const struct manual *m)
{
    CLEANUP(buf_free) struct buf page = BUF_INIT(1 << 20);
    buf_put_str(&page, m->page8);
    for (size_t i = 0; i < m->n_verbs; i++) {
        const struct manual_verb *v = manual_verb_at(m, i);
        buf_printf(&page, ".It Ic %s%s%s\n%c%s.\n", v->name, *v->args ? " " : "", v->args, toupper((unsigned char)v->help[0]), v->help + 1);
    }
    if (m->n_verbs)
        buf_put_str(&page, m->page8_tail);
    return fputs(buf_cstr(&page), stdout) < 0;
}

int manual_print(const struct manual *m, const char *section)
{
    CLEANUP(buf_free) struct buf keys = BUF_INIT(1 << 20);
    if (strcmp(section, "8") == 0)
        return page8_print(m);
    if (strcmp(section, "5") != 0)
        return err_exit(CE_USAGE);
    config_mdoc(m->keys, m->n_keys, &keys);
    return fputs(m->page5_head, stdout) < 0 || fputs(buf_cstr(&keys), stdout) < 0 || fputs(m->page5_tail, stdout) < 0;
}
