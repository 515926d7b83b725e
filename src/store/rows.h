/* rows.h: an array in an arena that grows while rows are read. Private to src/store. */
#ifndef CRADLE_STORE_ROWS_H
#define CRADLE_STORE_ROWS_H

#include "base/mem.h"

struct rows_list {
    void *items;       /* in the arena */
    size_t n, cap, size;
};
#define ROWS_LIST(type) ((struct rows_list){ .size = sizeof(type) })

/* A zeroed new item; earlier pointers into items may move. */
static inline void *rows_add(struct rows_list *l, struct arena *a)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 4;
        void *items = arena_alloc(a, cap * l->size);
        if (l->n)
            memcpy(items, l->items, l->n * l->size);
        l->items = items;
        l->cap = cap;
    }
    return (char *)l->items + l->size * l->n++;
}

#endif
