/* err.c: names, texts and mappings of the one error enum. Tables only. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
    const char *name, *reason, *text;
    enum err_class class;
};

static const struct err_row rows[CE_COUNT] = {
    [CE_OK] = { "OK", "ok", "no error", ERRC_NONE },
#define ERR(name, class, reason, text) [CE_##name] = { #name, reason, text, ERRC_##class },
#include "err.def"
#undef ERR
};

static const struct err_row *err_row(enum err e)
{
    return (unsigned)e < CE_COUNT ? &rows[e] : &rows[CE_INTERNAL];
}

const char *err_name(enum err e) { return err_row(e)->name; }
const char *err_reason(enum err e) { return err_row(e)->reason; }
const char *err_text(enum err e) { return err_row(e)->text; }
enum err_class err_class(enum err e) { return err_row(e)->class; }

int err_http(enum err e)
{
    switch (err_class(e)) {
    case ERRC_NONE: return 200;
    case ERRC_INPUT: return 400;
    case ERRC_AUTHN: return 401;
    case ERRC_DENIED: return 403;
    case ERRC_MISSING: return 404;
    case ERRC_METHOD: return 405;
    case ERRC_CONFLICT: return 409;
    case ERRC_PRECOND: return 412;
    case ERRC_PRECREQ: return 428;
    case ERRC_LARGE: return 413;
    case ERRC_MEDIA: return 415;
    case ERRC_RATE: return 429;
    case ERRC_BUSY: return 503;
    case ERRC_PENDING: return 202;
    case ERRC_UNOFFERED: return 501;
    case ERRC_INTERNAL:
    case ERRC_TRUST: break;
    }
    return 500;
}

int err_exit(enum err e)
{
    switch (err_class(e)) {
    case ERRC_NONE: return 0;
    case ERRC_INPUT:
    case ERRC_UNOFFERED:
    case ERRC_METHOD:
    case ERRC_MEDIA:
    case ERRC_LARGE: return 2;
    case ERRC_AUTHN:
    case ERRC_DENIED: return 3;
    case ERRC_MISSING: return 4;
    case ERRC_CONFLICT:
    case ERRC_PRECOND:
    case ERRC_PRECREQ: return 5;
    case ERRC_PENDING:
    case ERRC_RATE:
    case ERRC_BUSY: return 6;
    case ERRC_TRUST: return 7;
    case ERRC_INTERNAL: break;
    }
    return 1;
}

enum err err_from_reason(const char *reason)
{
    for (unsigned i = 0; i < CE_COUNT; i++)
        if (strcmp(rows[i].reason, reason) == 0)
            return (enum err)i;
    return CE_INTERNAL;
}

enum err err_from_errno(int eno)
{
    switch (eno) {
    case ENOSPC:
    case EDQUOT: return CE_DISK_FULL;
    case EROFS: return CE_STORE_READONLY;
    default: return CE_IO;
    }
}

enum err fault_set(struct fault *f, enum err code, const char *fmt, ...)
{
    if (!f)
        return code;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, ap);
    va_end(ap);
    for (char *p = f->text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    f->code = code;
    return code;
}
