/* mass_pace.c: how many devices each operator changes without a job, in a time: more than mass_revoke_confirm are a mass change, whether they come in one
 * request or one by one, and that takes a job, which a second person confirms. See mass.h.
 *
 * Counted in memory, in steps of MASS_PACE_STEP_MS: a restart of core forgets it, as whoever can restart the service can also set mass_revoke_confirm.
 */
#include <stdlib.h>
#include <string.h>

#include "core/mass.h"

#define STEPS (MASS_PACE_MS / MASS_PACE_STEP_MS)

struct mass_pace {
    struct mass_pace *next;
    char name[LABEL_MAX + 1];      /* of the operator */
    int64_t n[STEPS], step[STEPS]; /* changed in that step of the monotonic clock; ring */
};

void mass_pace_free(struct mass_pace *p)
{
    while (p) {
        struct mass_pace *next = p->next;
        free(p);
        p = next;
    }
}

static struct mass_pace *pace_of(struct batch *b, struct span name)
{
    struct mass_pace **head = &((struct mass *)core_part(b->core, CORE_PART_MASS))->pace, *p = *head;
    while (p && !span_eq_str(name, p->name))
        p = p->next;
    if (p || name.n > LABEL_MAX)
        return p;
    p = mem_calloc(1, sizeof *p);
    memcpy(p->name, name.p, name.n);
    p->next = *head;
    return *head = p;
}

static int64_t within(const struct mass_pace *p, int64_t step)
{
    int64_t sum = 0;
    for (int i = 0; i < STEPS; i++)
        sum += p->step[i] > step - STEPS ? p->n[i] : 0;
    return sum;
}

enum err mass_pace_judge(struct batch *b, const struct caller *c, int64_t n, struct fault *f)
{
    const struct mass_pace *p = pace_of(b, c->name);
    int64_t before = p ? within(p, b->mono_ms / MASS_PACE_STEP_MS) : 0, most = core_config(b->core)->mass_confirm;
    if (before + n <= most)
        return CE_OK;
    return fault_set(f, CE_SECOND_PERSON, "%lld device%s, after %lld that '" SPAN_FMT "' changed within %d minutes, %s more than %lld (mass_revoke_confirm): make a job, which "
                     "somebody else confirms: cradle device revoke --query …", (long long)n, n == 1 ? "" : "s", (long long)before, SPAN_ARG(c->name), MASS_PACE_MS / 60000,
                     n == 1 ? "is" : "are", (long long)most);
}

struct taken { struct mass_pace *p; int64_t n, step; };

static void taken_settle(void *data, bool committed)
{
    const struct taken *t = data;
    int i = (int)(t->step % STEPS);
    if (!committed && t->p->step[i] == t->step)
        t->p->n[i] -= t->n;
}

void mass_pace_take(struct batch *b, const struct caller *c, int64_t n)
{
    struct mass_pace *p = pace_of(b, c->name);
    struct taken *t = arena_alloc(b->arena, sizeof *t);
    *t = (struct taken){ .p = p, .n = n, .step = b->mono_ms / MASS_PACE_STEP_MS };
    int i = (int)(t->step % STEPS);
    if (!p)
        return;
    if (p->step[i] != t->step)
        p->n[i] = 0;
    p->step[i] = t->step;
    p->n[i] += n;
    batch_then(b, taken_settle, t);
}
