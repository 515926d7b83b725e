/* err.h: the one error enum and the text that travels with a refusal.
 *
 * Every function that can fail returns `enum err`, CE_OK being 0. Where bytes or wishes of a
 * stranger are judged, a `struct fault` also carries one clear sentence naming the rule broken.
 * It is not a log: logging is log.h, evidence is the event stream.
 */
#ifndef CRADLE_BASE_ERR_H
#define CRADLE_BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum err_class {
    ERRC_NONE, ERRC_INPUT, ERRC_AUTHN, ERRC_DENIED, ERRC_MISSING, ERRC_METHOD, ERRC_CONFLICT,
    ERRC_PRECOND, ERRC_PRECREQ, ERRC_LARGE, ERRC_MEDIA, ERRC_RATE, ERRC_BUSY, ERRC_INTERNAL, ERRC_TRUST, ERRC_PENDING, ERRC_UNOFFERED,
};

enum err {
    CE_OK = 0,
#define ERR(name, class, reason, text) CE_##name,
#include "err.def"
#undef ERR
    CE_COUNT
};

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* A refusal: code plus one sentence for a human. text is always NUL-terminated. */
struct fault {
    enum err code;
    char text[256];
};

/* Sets code and text (truncated to fit; control bytes become '?') and returns code. f may be NULL. */
enum err fault_set(struct fault *f, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);

const char *err_name(enum err e);   /* "UID_UNKNOWN"; never NULL */
const char *err_reason(enum err e); /* stable reason code, "uid-unknown"; "ok" for CE_OK; never NULL */
const char *err_text(enum err e);   /* what it means; never NULL */
enum err_class err_class(enum err e);
int err_http(enum err e);           /* HTTP status of the class; 200 for CE_OK */
int err_exit(enum err e);           /* exit code of the class, table in man/cradle.1 */
enum err err_from_reason(const char *reason); /* CE_INTERNAL when unknown */
enum err err_from_errno(int eno);   /* ENOSPC -> CE_DISK_FULL, EROFS -> CE_STORE_READONLY, else CE_IO */

#endif
