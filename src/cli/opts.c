/* opts.c: what a verb reads from its command line. */
#include <string.h>

#include "base/clock.h"
#include "cli/verb.h"

const char *cli_opt_n(const struct cli *c, const char *name, int i)
{
    for (int k = 0; k < c->nopts; k++)
        if (strcmp(c->opts[k].name, name) == 0 && i-- == 0)
            return c->opts[k].value;
    return NULL;
}

const char *cli_opt(const struct cli *c, const char *name) { return cli_opt_n(c, name, 0); }

const char *cli_opt_or(const struct cli *c, const char *name, const char *def)
{
    const char *v = cli_opt(c, name);
    return v ? v : def;
}

bool cli_flag(const struct cli *c, const char *name) { return cli_opt(c, name) != NULL; }

enum err cli_opt_span_s(const struct cli *c, const char *name, int64_t def, int64_t *out, struct fault *f)
{
    const char *v = cli_opt(c, name);
    *out = def;
    if (v && clock_parse_span_s(span_str(v), out) != CE_OK)
        return fault_set(f, CE_USAGE, "%s must be a time span such as 90, 15m, 12h, 30d or 2y, not '%s'", name, v);
    return CE_OK;
}

enum err cli_opt_int(const struct cli *c, const char *name, int64_t def, int64_t min, int64_t max, int64_t *out, struct fault *f)
{
    const char *v = cli_opt(c, name);
    *out = def;
    if (v && (!span_to_i64(span_str(v), out) || *out < min || *out > max))
        return fault_set(f, CE_USAGE, "%s must be a whole number from %lld to %lld, not '%s'", name, (long long)min, (long long)max, v);
    return CE_OK;
}
