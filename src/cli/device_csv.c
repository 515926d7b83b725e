/* device_csv.c: `cradle device add --csv`: every line is tried, refused ones are reported with the reason and can be tried again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/device.h"

#define REFUSED_SHOWN 20

enum err csv_split(char *line, struct span *fields, int max, int *n, struct fault *f)
{
    char *p = line;
    for (*n = 0;; p++) {
        if (*n == max)
            return fault_set(f, CE_BAD_INPUT, "more than %d fields", max);
        bool quoted = *p == '"';
        char *out = p, *start = p;
        if (!quoted) {
            p += strcspn(p, ",");
            out = p;
        } else {
            for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
                p += *p == '"';
                *out++ = *p;
            }
            if (*p++ != '"')
                return fault_set(f, CE_BAD_INPUT, "a quoted field is not closed");
            if (*p && *p != ',')
                return fault_set(f, CE_BAD_INPUT, "text after a closing quote");
        }
        fields[(*n)++] = quoted ? span_of(start, (size_t)(out - start)) : span_trim(span_of(start, (size_t)(out - start)));
        if (!*p)
            return CE_OK;
    }
}

struct csv_job {
    struct cli *c;
    FILE *in, *refused_out;
    json_t *refused;       /* array of {line, uid, reason, detail} */
    int64_t line, tried, added;
    enum err first;        /* of the first refusal */
};

static void csv_refuse(struct csv_job *j, const char *raw, struct span uid, enum err e, const struct fault *f)
{
    j->first = j->first ? j->first : e;
    json_t *o = json_pack("{s:I,s:o?,s:s,s:s}", "line", (json_int_t)j->line, "uid", json_stringn((const char *)uid.p, uid.n), "reason",
                          err_reason(e), "detail", f->text);
    json_array_append_new(j->refused, o ? o : json_null());
    if (j->refused_out)
        fprintf(j->refused_out, "# line %lld: %s: %s\n%s\n", (long long)j->line, err_reason(e), f->text, raw);
}

/* Errors that concern the service, not this line: going on makes no sense. */
static bool ends_the_job(enum err e)
{
    enum err_class k = err_class(e);
    return k == ERRC_AUTHN || k == ERRC_BUSY || k == ERRC_INTERNAL || k == ERRC_TRUST || e == CE_ROLE_FORBIDDEN;
}

static enum err csv_line(struct csv_job *j, char *line, struct fault *f)
{
    CLEANUP(mem_free_p) char *raw = mem_strdup(line);
    struct span fields[CSV_FIELDS] = { { 0 } };
    struct fault why = { 0 };
    int n = 0;
    j->tried++;
    enum err e = csv_split(line, fields, CSV_FIELDS, &n, &why);
    struct device_row d = { fields[0], fields[1], fields[2], fields[3], fields[4], { 0 } };
    if (!e)
        e = name_check_uid(d.uid, &why);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    if (!e)
        e = device_post(j->c, &d, &r, &why);
    if (e && ends_the_job(e))
        return fault_set(f, e, "line %lld: %.200s (%lld devices were registered; run it again: those are refused as existing)",
                         (long long)j->line, why.text, (long long)j->added);
    if (e)
        csv_refuse(j, raw, d.uid, e, &why);
    else
        j->added++;
    return CE_OK;
}

static enum err csv_read(struct csv_job *j, struct fault *f)
{
    CLEANUP(mem_free_p) char *line = NULL;
    size_t cap = 0;
    enum err e = CE_OK;
    while (!e && getline(&line, &cap, j->in) >= 0) {
        j->line++;
        line[strcspn(line, "\r\n")] = 0;
        struct span s = span_trim(span_str(line));
        if (!s.n || s.p[0] == '#' || (j->line == 1 && span_starts(s, "uid,")))
            continue;
        e = csv_line(j, line, f);
        cli_progress(j->c, "devices", j->tried, 0);
    }
    cli_progress_end(j->c);
    if (!e && ferror(j->in))
        e = fault_set(f, CE_IO, "reading failed after line %lld", (long long)j->line);
    return e;
}

static enum err csv_report(struct csv_job *j, struct fault *f)
{
    size_t n = json_array_size(j->refused), i;
    json_t *o;
    if (j->c->json) {
        CLEANUP(json_decref_p) json_t *all = json_pack("{s:I,s:O}", "added", (json_int_t)j->added, "refused", j->refused);
        cli_print_json(all);
    } else {
        cli_say(j->c, "%lld of %lld devices registered", (long long)j->added, (long long)j->tried);
        json_array_foreach(j->refused, i, o) {
            if (i < REFUSED_SHOWN)
                cli_say(j->c, "  line %lld %s: %s", (long long)json_path_int(o, "line", 0), json_path_str(o, "uid", "-"),
                        json_path_str(o, "detail", ""));
        }
        if (n > REFUSED_SHOWN)
            cli_say(j->c, "  and %zu more%s", n - REFUSED_SHOWN, j->refused_out ? "" : "; --refused FILE writes them all");
    }
    return n ? fault_set(f, j->first, "%zu of %lld lines were refused", n, (long long)j->tried) : CE_OK;
}

enum err device_add_csv(struct cli *c, const char *file, struct fault *f)
{
    struct csv_job j = { .c = c };
    const char *out = cli_opt(c, "--refused");
    enum err e = cli_net(c, f);
    if (e)
        return e;
    j.in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    if (!j.in)
        return fault_set(f, CE_NOT_FOUND, "cannot read %s: %s", file, strerror(errno));
    if (out && !(j.refused_out = fopen(out, "we")))
        e = fault_set(f, CE_IO, "cannot write %s: %s", out, strerror(errno));
    j.refused = json_array();
    if (!e)
        e = csv_read(&j, f);
    if (!e)
        e = csv_report(&j, f);
    if (j.in != stdin)
        fclose(j.in);
    if (j.refused_out && fclose(j.refused_out) && !e)
        e = fault_set(f, CE_IO, "cannot write %s: %s", out, strerror(errno));
    json_decref(j.refused);
    return e;
}
