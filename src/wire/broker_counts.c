/* broker_counts.c: see broker_counts.h. */
#include "wire/broker_counts.h"

#include <stdio.h>

static const struct { const char *name; bool gauge; } counts[] = {
#define counter false
#define gauge true
#define BROKER_COUNT(name, type, help) { #name, type },
#include "wire/broker_counts.def"
#undef BROKER_COUNT
#undef counter
#undef gauge
};

#define REFUSED "refused."

bool broker_number_gauge(int i) { return i < BROKER_COUNTS && counts[i].gauge; }

void broker_number_name(int i, char *out)
{
    if (i < BROKER_COUNTS)
        snprintf(out, BROKER_NAME_MAX, "%s", counts[i].name);
    else
        snprintf(out, BROKER_NAME_MAX, REFUSED "%s", err_reason((enum err)(i - BROKER_COUNTS)));
}

static int broker_number_find(struct span name) /* -1: none */
{
    char one[BROKER_NAME_MAX];
    for (int i = 0; i < BROKER_NUMBERS; i++) {
        broker_number_name(i, one);
        if (span_eq_str(name, one))
            return i;
    }
    return -1;
}

void broker_counts_put(struct buf *out, const struct broker_counts *c)
{
    char name[BROKER_NAME_MAX], item[BROKER_NAME_MAX + 24];
    size_t from = out->len;
    for (int i = 0; i < BROKER_NUMBERS; i++) {
        if (!c->n[i])
            continue;
        broker_number_name(i, name);
        int n = snprintf(item, sizeof item, "%s%s=%lld", out->len > from ? "," : "", name, (long long)c->n[i]);
        if (out->len - from + (size_t)n <= BROKER_COUNTS_TEXT_MAX)
            buf_put(out, item, (size_t)n);
    }
}

enum err broker_counts_parse(struct span text, struct broker_counts *out)
{
    struct span one, name;
    bool seen[BROKER_NUMBERS] = { false };
    *out = (struct broker_counts){ .n = { 0 } };
    if (text.n && text.p[text.n - 1] == ',')
        return CE_BAD_FIELD;
    while (span_cut(&text, ',', &one)) {
        int64_t n;
        if (!memchr(one.p, '=', one.n) || !span_cut(&one, '=', &name) || !name.n || !span_to_i64(one, &n) || n < 0 || n > BROKER_NUMBER_MAX)
            return CE_BAD_FIELD;
        int i = broker_number_find(name);
        if (i < 0)
            continue;
        if (seen[i])
            return CE_BAD_FIELD;
        seen[i] = true;
        out->n[i] = n;
    }
    return CE_OK;
}
