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

/* What comes from others must not steer the terminal: C0, DEL and C1 (C2 80..9F in UTF-8) become '?'. */
void cli_put_safe(const char *s, int max_bytes)
{
    for (int i = 0; s[i] && i < max_bytes; i++) {
        unsigned char ch = (unsigned char)s[i], next = (unsigned char)s[i + 1];
        if (ch == 0xc2 && next >= 0x80 && next <= 0x9f) {
            putchar('?');
            i++;
        } else
            putchar(ch < 0x20 || ch == 0x7f ? '?' : ch);
    }
}
