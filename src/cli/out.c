/* out.c: what a verb prints: lines, colour, progress. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/verb.h"

#define PROGRESS_AFTER_MS 1000
#define PROGRESS_EVERY_MS 100

void cli_say(const struct cli *c, const char *fmt, ...)
{
    if (c->quiet || c->json)
        return;
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    fflush(stdout);
}

const char *cli_tint(const struct cli *c, enum cli_tint t)
{
    static const char *const codes[] = {
        [TINT_NONE] = "\033[0m", [TINT_GOOD] = "\033[32m", [TINT_WARN] = "\033[33m",
        [TINT_BAD] = "\033[31m", [TINT_DIM] = "\033[2m",   [TINT_BOLD] = "\033[1m",
    };
    return c->colour ? codes[t] : "";
}

void cli_progress(struct cli *c, const char *what, int64_t did, int64_t of)
{
    int64_t now = clock_mono_ms();
    if (!c->progress_at_ms)
        c->progress_at_ms = now + PROGRESS_AFTER_MS;
    if (c->quiet || now < c->progress_at_ms || !isatty(2))
        return;
    c->progress_at_ms = now + PROGRESS_EVERY_MS;
    c->progress_shown = true;
    if (of > 0)
        fprintf(stderr, "\r%s: %lld of %lld (%lld %%)\033[K", what, (long long)did, (long long)of, (long long)(did * 100 / of));
    else
        fprintf(stderr, "\r%s: %lld\033[K", what, (long long)did);
}

void cli_progress_end(struct cli *c)
{
    if (c->progress_shown)
        fputs("\r\033[K", stderr);
    c->progress_shown = false;
    c->progress_at_ms = 0;
}

void cli_print_fault(const struct cli *c, enum err e, const struct fault *f)
{
    const char *text = f->text[0] ? f->text : err_text(e);
    if (c->json) {
        CLEANUP(buf_free) struct buf b = BUF_INIT(4096);
        struct json_out j = JSON_OUT(&b);
        json_obj(&j, NULL);
        json_cstr(&j, "reason", err_reason(e));
        json_cstr(&j, "detail", text);
        json_obj_end(&j);
        fprintf(stderr, "%s\n", buf_cstr(&b));
        return;
    }
    bool tint = isatty(2) && !getenv("NO_COLOR");
    fprintf(stderr, "%scradle%s%s: %s%s\n", tint ? "\033[31m" : "", c->verb ? " " : "", c->verb ? c->verb->name : "", text,
            tint ? "\033[0m" : "");
}

/* Bytes of a character that steers a terminal or reorders what is read; 0: none begins here. C0, DEL, C1 (C2 80..9F in UTF-8), line
 * separators and bidirectional controls (U+2028..202E, U+2066..2069). */
static int steering(const unsigned char *p)
{
    if (p[0] < 0x20 || p[0] == 0x7f)
        return 1;
    if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
        return 2;
    if (p[0] == 0xe2 && ((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
        return 3;
    return 0;
}

void cli_safe(struct buf *out, const char *s, int max_bytes)
{
    struct span rest = span_str(s);
    for (size_t left = max_bytes > 0 ? (size_t)max_bytes : 0; rest.n;) {
        int bad = steering(rest.p);
        size_t n = bad ? (size_t)bad : span_utf8_len(rest);
        if (left < (n && !bad ? n : 1))
            return;
        if (n && !bad)
            buf_put(out, rest.p, n);
        else
            buf_put_u8(out, '?');
        n = n ? n : 1;
        left -= n < left ? n : left;
        rest = span_of(rest.p + n, rest.n - n);
    }
}

void cli_put_safe(const char *s, int max_bytes)
{
    CLEANUP(buf_free) struct buf b = BUF_INIT(0);
    cli_safe(&b, s, max_bytes);
    if (b.len)
        fwrite(b.data, 1, b.len, stdout);
}
