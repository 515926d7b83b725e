/* line_held.c: see line.h. A table of slots by a hash of the name; a line takes the slot of another with the same hash. */
#include "core/engine.h"
#include "core/line.h"

static struct held_line *slot_of(struct core *core, struct span name)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ name.p[i]) * 16777619u;
    return &core->lines[(h ^ h >> 16) % CORE_LINES];
}

static void held_drop(struct held_line *h)
{
    arena_free(&h->arena);
    *h = (struct held_line){ 0 };
}

void lines_forget(struct core *core)
{
    for (size_t i = 0; i < CORE_LINES; i++)
        held_drop(&core->lines[i]);
}

static void line_copy(struct arena *a, const struct line *from, struct line *to)
{
    *to = *from;
    struct span *const texts[] = { &to->row.name, &to->row.title, &to->row.clone_policy, &to->more.service_until, &to->more.ca, &to->more.key_home };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i]->n)
            *texts[i] = arena_copy(a, *texts[i]);
}

enum err line_get(struct batch *b, struct span name, struct line *out, struct fault *f)
{
    struct held_line *h = slot_of(b->core, name);
    if (h->known && span_eq(h->line.row.name, name)) {
        line_copy(b->arena, &h->line, out);
        return CE_OK;
    }
    enum err e = store_line_get(b->db, b->arena, name, &out->row, f);
    e = e ? e : store_line_more_get(b->db, b->arena, name, &out->more, f);
    if (e || b->work->lines_written)
        return e;
    held_drop(h);
    line_copy(&h->arena, out, &h->line);
    h->known = true;
    return CE_OK;
}

/* Before the write: what is in memory is over whatever becomes of it. */
static void lines_written(struct batch *b)
{
    lines_forget(b->core);
    b->work->lines_written = true;
}

enum err line_row_add(struct batch *b, const struct line_row *row, struct fault *f)
{
    lines_written(b);
    return store_line_add(b->db, row, f);
}

enum err line_row_put(struct batch *b, const struct line_row *row, struct fault *f)
{
    lines_written(b);
    return store_line_set(b->db, row, f);
}

enum err line_more_put(struct batch *b, struct span name, const struct line_more *more, struct fault *f)
{
    lines_written(b);
    return store_line_more_put(b->db, name, more, f);
}
