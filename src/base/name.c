/* name.c: see name.h. */
#include "base/name.h"

static bool is_alnum(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

static bool name_is(struct span s, size_t max, const char *extra)
{
    if (s.n == 0 || s.n > max || !is_alnum(s.p[0]))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == 0 || (!is_alnum(s.p[i]) && !strchr(extra, s.p[i])))
            return false;
    return true;
}

enum err name_check_uid(struct span s, struct fault *f)
{
    if (name_is(s, UID_MAX, "._-:"))
        return CE_OK;
    return fault_set(f, CE_BAD_UID, "a UID is 1 to %d characters of A-Z a-z 0-9 . _ - : and begins with a letter or digit (%zu bytes given)",
                     UID_MAX, s.n);
}

enum err name_check_label(const char *what, struct span s, struct fault *f)
{
    if (name_is(s, LABEL_MAX, "._-"))
        return CE_OK;
    return fault_set(f, CE_BAD_NAME, "%s must be 1 to %d characters of A-Z a-z 0-9 . _ - and begin with a letter or digit", what, LABEL_MAX);
}

enum err name_check_text(const char *what, struct span s, size_t max, struct fault *f)
{
    if (s.n <= max && span_is_utf8(s))
        return CE_OK;
    return fault_set(f, CE_BAD_NAME, "%s must be UTF-8 text without control characters, at most %zu bytes", what, max);
}
