/* config.c: see config.h. */
#include "base/config.h"

#include <errno.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

static const struct config_key *config_find(const struct config_key *keys, size_t nkeys, struct span name)
{
    for (size_t i = 0; i < nkeys; i++)
        if (span_eq_str(name, keys[i].name))
            return &keys[i];
    return NULL;
}

static struct span config_strip_comment(struct span line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] == '#' && (i == 0 || line.p[i - 1] == ' ' || line.p[i - 1] == '\t'))
            return span_trim(span_of(line.p, i));
    return span_trim(line);
}

static enum err config_set_str(const struct config_key *k, struct span v, void *at, struct fault *f)
{
    if ((int64_t)v.n < k->min || (int64_t)v.n > k->max || !span_is_utf8(v) ||
        span_to_cstr(v, at, CONFIG_STR_MAX) != CE_OK)
        return fault_set(f, CE_BAD_CONFIG, "%s must be text of %lld to %lld bytes", k->name, (long long)k->min, (long long)k->max);
    if (config_strip_comment(v).n != v.n) /* would not survive config_dump and config_parse */
        return fault_set(f, CE_BAD_CONFIG, "%s must not have white space at its ends, nor a # at its start or after white space", k->name);
    return CE_OK;
}

static enum err config_set_key(const struct config_key *k, struct span v, void *cfg, struct fault *f)
{
    char *at = (char *)cfg + k->offset;
    int64_t n = 0;
    switch (k->type) {
    case CFG_STR:
        return config_set_str(k, v, at, f);
    case CFG_BOOL:
        if (!span_eq_str(v, "yes") && !span_eq_str(v, "no"))
            return fault_set(f, CE_BAD_CONFIG, "%s must be yes or no", k->name);
        *(bool *)at = span_eq_str(v, "yes");
        return CE_OK;
    case CFG_INT:
    case CFG_SPAN_S:
        break;
    }
    bool ok = k->type == CFG_INT ? span_to_i64(v, &n) : clock_parse_span_s(v, &n) == CE_OK;
    if (!ok || n < k->min || n > k->max)
        return fault_set(f, CE_BAD_CONFIG, "%s must be %s from %lld to %lld%s%s", k->name,
                         k->type == CFG_INT ? "a whole number" : "a time span (90, 15m, 12h, 30d, 2y)", (long long)k->min,
                         (long long)k->max, *k->unit ? " " : "", k->unit);
    memcpy(at, &n, sizeof n);
    return CE_OK;
}

enum err config_set(const struct config_key *keys, size_t nkeys, struct span key, struct span value, void *cfg, struct fault *f)
{
    const struct config_key *k = config_find(keys, nkeys, key);
    if (!k)
        return fault_set(f, CE_BAD_CONFIG, "unknown key '" SPAN_FMT "'", SPAN_ARG(key));
    return config_set_key(k, value, cfg, f);
}

static enum err config_line(const struct config_key *keys, size_t nkeys, struct span line, bool *seen, void *cfg, struct fault *f)
{
    struct span name, value = line;
    if (!memchr(line.p, '=', line.n))
        return fault_set(f, CE_BAD_CONFIG, "expected 'key = value'");
    span_cut(&value, '=', &name);
    name = span_trim(name);
    value = span_trim(value);
    const struct config_key *k = config_find(keys, nkeys, name);
    if (!k)
        return fault_set(f, CE_BAD_CONFIG, "unknown key '%.*s'", (int)(name.n < 64 ? name.n : 64), (const char *)name.p);
    if (seen[k - keys])
        return fault_set(f, CE_BAD_CONFIG, "%s is set a second time", k->name);
    seen[k - keys] = true;
    return config_set_key(k, value, cfg, f);
}

enum err config_parse_part(const struct config_key *keys, size_t nkeys, const char *name, unsigned first_line, struct span text, void *cfg,
                           struct fault *f)
{
    CLEANUP(mem_free_p) bool *seen = mem_calloc(nkeys, sizeof *seen);
    struct span line;
    struct fault inner = { 0 };
    for (size_t i = 0; i < nkeys; i++)
        INVARIANT(config_set_key(&keys[i], span_str(keys[i].def), cfg, &inner) == CE_OK);
    for (unsigned no = first_line; span_cut(&text, '\n', &line); no++) {
        line = config_strip_comment(line);
        if (line.n == 0)
            continue;
        if (!span_is_utf8(line) && memchr(line.p, '\t', line.n) == NULL)
            return fault_set(f, CE_BAD_CONFIG, "%s:%u: not valid UTF-8 text", name, no);
        if (config_line(keys, nkeys, line, seen, cfg, &inner) != CE_OK)
            return fault_set(f, CE_BAD_CONFIG, "%s:%u: %s", name, no, inner.text);
    }
    return CE_OK;
}

enum err config_parse(const struct config_key *keys, size_t nkeys, const char *name, struct span text, void *cfg, struct fault *f)
{
    return config_parse_part(keys, nkeys, name, 1, text, cfg, f);
}

enum err config_load(const struct config_key *keys, size_t nkeys, const char *path, void *cfg, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(1 << 20);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "%s: cannot be read: %s", path, e == CE_IO ? strerror(errno) : e == CE_NOT_FOUND ? "there is no such file" : err_text(e));
    return config_parse(keys, nkeys, path, buf_span(&text), cfg, f);
}

void config_dump(const struct config_key *keys, size_t nkeys, const void *cfg, bool with_doc, struct buf *out)
{
    for (size_t i = 0; i < nkeys; i++) {
        const struct config_key *k = &keys[i];
        const char *at = (const char *)cfg + k->offset;
        int64_t n = 0;
        if (with_doc)
            buf_printf(out, "%s# %s%s%s%s\n", i ? "\n" : "", k->doc, *k->unit ? " (" : "", k->unit, *k->unit ? ")" : "");
        if (k->type == CFG_STR)
            buf_printf(out, "%s = %s\n", k->name, at);
        else if (k->type == CFG_BOOL)
            buf_printf(out, "%s = %s\n", k->name, *(const bool *)at ? "yes" : "no");
        else {
            memcpy(&n, at, sizeof n);
            buf_printf(out, "%s = %lld\n", k->name, (long long)n);
        }
    }
}

void config_mdoc(const struct config_key *keys, size_t nkeys, struct buf *out)
{
    static const char *const types[] = { "Text", "Number", "Time span", "Yes or no" };
    for (size_t i = 0; i < nkeys; i++) {
        const struct config_key *k = &keys[i];
        size_t word = strcspn(k->doc, " "); /* a first word that is a name keeps its letter */
        bool name = memchr(k->doc, '\'', word) || strncmp(k->doc, "nginx", 5) == 0;
        char first = (char)(!name && k->doc[0] >= 'a' && k->doc[0] <= 'z' ? k->doc[0] - 32 : k->doc[0]);
        buf_printf(out, ".It Va %s\n%c%s.\n.br\n%s", k->name, first, k->doc + 1, types[k->type]);
        if (k->type == CFG_INT || k->type == CFG_SPAN_S)
            buf_printf(out, " from %lld to %lld%s%s", (long long)k->min, (long long)k->max, *k->unit ? " " : "", k->unit);
        buf_printf(out, "; default\n.Ql %s .\n", *k->def ? k->def : "(empty)");
    }
}
