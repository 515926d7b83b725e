/* mem.c: see mem.h. */
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *mem_check(void *p)
{
    if (!p) {
        static const char text[] = "fatal: out of memory\n";
        ssize_t ignored = write(2, text, sizeof text - 1);
        (void)ignored;
        abort();
    }
    return p;
}

void *mem_alloc(size_t n) { return mem_check(malloc(n ? n : 1)); }
void *mem_calloc(size_t count, size_t n) { return mem_check(calloc(count ? count : 1, n ? n : 1)); }
void *mem_realloc(void *p, size_t n) { return mem_check(realloc(p, n ? n : 1)); }
char *mem_strdup(const char *s) { return mem_check(strdup(s)); }
void mem_zero(void *p, size_t n) { explicit_bzero(p, n); }

void mem_free_p(void *pp) { free(*(void **)pp); }

void fd_close_p(int *fd)
{
    int eno = errno;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = eno;
}

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, cap;
    uint8_t bytes[] __attribute__((aligned(16)));
};

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2) /* a length that wrapped around: no machine has so much */
        mem_check(NULL);
    n = (n + 15) & ~(size_t)15;
    if (!a->head || a->head->cap - a->head->used < n) {
        size_t cap = n > 4096 ? n : 4096;
        struct arena_chunk *c = mem_alloc(sizeof *c + cap);
        *c = (struct arena_chunk){ .next = a->head, .cap = cap };
        a->head = c;
    }
    void *p = a->head->bytes + a->head->used;
    a->head->used += n;
    a->total += n;
    memset(p, 0, n);
    return p;
}

struct span arena_copy(struct arena *a, struct span s)
{
    uint8_t *p = arena_alloc(a, s.n + 1);
    if (s.n)
        memcpy(p, s.p, s.n);
    return (struct span){ p, s.n };
}

char *arena_str(struct arena *a, struct span s) { return (char *)(uintptr_t)arena_copy(a, s).p; }

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *out = arena_alloc(a, (size_t)(n < 0 ? 0 : n) + 1);
    if (n >= 0)
        vsnprintf(out, (size_t)n + 1, fmt, again);
    va_end(again);
    return out;
}

void arena_free(struct arena *a)
{
    while (a->head) {
        struct arena_chunk *next = a->head->next;
        mem_zero(a->head->bytes, a->head->used);
        free(a->head);
        a->head = next;
    }
    a->total = 0;
}
