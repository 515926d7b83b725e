/* mem.h: allocation that aborts on exhaustion, zeroing that the compiler keeps, the one cleanup
 * idiom, and an arena for the life of one request. Not for the device library, which never allocates.
 */
#ifndef CRADLE_BASE_MEM_H
#define CRADLE_BASE_MEM_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

void *mem_alloc(size_t n);                 /* aborts when out of memory; caller frees with free() */
void *mem_calloc(size_t count, size_t n);  /* zeroed; aborts on overflow too */
void *mem_realloc(void *p, size_t n);
char *mem_strdup(const char *s);
void mem_zero(void *p, size_t n);          /* never optimised away */

/* Scope cleanup: `CLEANUP(buf_free) struct buf b = BUF_INIT(0);` calls buf_free(&b) on every way out. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))
/* For pointers: CLEANUP_PTR(X509, X509_free) once, then `CLEANUP(X509_free_p) X509 *x = NULL;`. */
#define CLEANUP_PTR(type, fn)                          \
    static inline void fn##_p(type **p)                \
    {                                                  \
        if (*p)                                        \
            fn(*p);                                    \
    }
void mem_free_p(void *pp);                 /* for CLEANUP(mem_free_p) T *p */
void fd_close_p(int *fd);                  /* for CLEANUP(fd_close_p) int fd = -1; leaves -1, errno as it was */

/* Arena: everything made from it dies with arena_free. */
struct arena_chunk;
struct arena {
    struct arena_chunk *head; /* owned */
    size_t total;             /* bytes handed out */
};
void *arena_alloc(struct arena *a, size_t n);            /* zeroed, 16-byte aligned; aborts when out of memory */
struct span arena_copy(struct arena *a, struct span s);  /* followed by a NUL that n does not count */
char *arena_str(struct arena *a, struct span s);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void arena_free(struct arena *a);

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
