/* stream_set.c: see stream_set.h. */
#include "core/stream_set.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "cradle/snapshot.h"

_Static_assert(STREAM_KEY == SNAPSHOT_KEY, "one key size");

void stream_set_free(struct stream_set *s)
{
    free(s->keys);
    free(s->log);
    *s = (struct stream_set){ 0 };
}

void stream_set_change(struct stream_set *s, int op, const uint8_t key[STREAM_KEY])
{
    INVARIANT(op == SNAPSHOT_OP_ADD || op == SNAPSHOT_OP_DEL);
    if (s->nlog == s->log_cap) {
        s->log_cap = s->log_cap ? s->log_cap * 2 : 64;
        s->log = mem_realloc(s->log, s->log_cap * sizeof *s->log);
    }
    struct stream_set_change *c = &s->log[s->nlog];
    memcpy(c->key, key, STREAM_KEY);
    c->op = (uint8_t)op;
    c->order = (uint32_t)s->nlog++;
}

static int change_cmp(const void *a, const void *b)
{
    const struct stream_set_change *x = a, *y = b;
    int d = memcmp(x->key, y->key, STREAM_KEY);
    return d ? d : x->order < y->order ? -1 : 1;
}

/* Keeps each key's last change. */
static size_t log_last(struct stream_set_change *log, size_t n)
{
    size_t out = 0;
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || memcmp(log[i].key, log[i + 1].key, STREAM_KEY) != 0)
            log[out++] = log[i];
    return out;
}

void stream_set_fold(struct stream_set *s)
{
    if (!s->nlog)
        return;
    qsort(s->log, s->nlog, sizeof *s->log, change_cmp);
    size_t m = log_last(s->log, s->nlog), n = 0, i = 0, j = 0;
    uint8_t *out = mem_alloc((s->n + m + 1) * STREAM_KEY);
    while (i < s->n || j < m) {
        int d = i == s->n ? 1 : j == m ? -1 : memcmp(s->keys + i * STREAM_KEY, s->log[j].key, STREAM_KEY);
        const uint8_t *from = NULL;
        if (d < 0) {
            from = s->keys + i++ * STREAM_KEY;
        } else {
            from = s->log[j].op == SNAPSHOT_OP_ADD ? s->log[j].key : NULL;
            i += d == 0;
            j++;
        }
        if (from)
            memcpy(out + n++ * STREAM_KEY, from, STREAM_KEY);
    }
    free(s->keys);
    s->keys = out;
    s->n = n;
    s->nlog = 0;
}

bool stream_set_has(struct stream_set *s, const uint8_t key[STREAM_KEY])
{
    stream_set_fold(s);
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int d = memcmp(s->keys + mid * STREAM_KEY, key, STREAM_KEY);
        if (d == 0)
            return true;
        if (d < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

struct span stream_set_body(struct stream_set *s)
{
    stream_set_fold(s);
    return span_of(s->keys, s->n * STREAM_KEY);
}
