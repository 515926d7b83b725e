/* pem.c: see pem.h. */
#include "crypt/pem.h"

#include <stdio.h>

#include "base/log.h"

#define PEM_LABEL_MAX 64

static bool pem_find(struct span in, const char *marker, size_t *at)
{
    const uint8_t *hit = in.n ? memmem(in.p, in.n, marker, strlen(marker)) : NULL;
    if (hit)
        *at = (size_t)(hit - in.p);
    return hit != NULL;
}

static void pem_marker(char *out, const char *word, const char *label)
{
    int n = snprintf(out, PEM_LABEL_MAX + 32, "-----%s %s-----", word, label);
    INVARIANT(n > 0 && n < PEM_LABEL_MAX + 32);
}

void pem_encode(const char *label, struct span der, struct buf *out)
{
    buf_printf(out, "-----BEGIN %s-----\n", label);
    buf_put_base64(out, der, 64);
    buf_printf(out, "-----END %s-----\n", label);
}

bool pem_present(struct span text, const char *label)
{
    char begin[PEM_LABEL_MAX + 32];
    size_t at;
    pem_marker(begin, "BEGIN", label);
    return pem_find(text, begin, &at);
}

enum err pem_decode(struct span text, const char *label, unsigned index, struct buf *out)
{
    char begin[PEM_LABEL_MAX + 32], end[PEM_LABEL_MAX + 32];
    size_t at;
    pem_marker(begin, "BEGIN", label);
    pem_marker(end, "END", label);
    for (unsigned i = 0;; i++) {
        if (!pem_find(text, begin, &at))
            return CE_NOT_FOUND;
        text = span_of(text.p + at + strlen(begin), text.n - at - strlen(begin));
        if (!pem_find(text, end, &at))
            return CE_TRUNCATED;
        if (i == index)
            return base64_decode(span_of(text.p, at), out);
        text = span_of(text.p + at, text.n - at);
    }
}
