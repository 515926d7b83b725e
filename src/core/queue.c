/* queue.c: the queues of what core is asked and of what the signer has answered, and when the writes among it are ripe for a batch. See core.h, linger_ms.
 *
 * A batch costs what it costs: a flush of the disk, and pages of the database that every batch touches. Under load core would take each request as it comes and
 * make ten batches where one would do, for the other processes have the processors meanwhile. So enrollments wait for each other: not when few of them are
 * on their way, never for longer than linger_ms, and not beside anything else: what cuts somebody off waits for nobody.
 */
#include "base/clock.h"
#include "core/engine.h"

#define LINGER_FEW 16   /* enrollments on their way, here or at the signer: fewer do not wait */
#define LINGER_FULL 64  /* so many are worth a batch */

void queue_init(struct item_list *l) { *l = (struct item_list){ .tail = &l->head }; }

void queue_put(struct item_list *l, struct item *it)
{
    *l->tail = it;
    l->tail = &it->next;
    l->n++;
    l->n_patient += it->patient;
}

struct item *queue_pop(struct item_list *l)
{
    struct item *it = l->head;
    if (!it)
        return NULL;
    l->head = it->next;
    if (!l->head)
        l->tail = &l->head;
    l->n--;
    l->n_patient -= it->patient;
    it->next = NULL;
    return it;
}

int64_t queue_ripe_us(const struct core *core, int64_t mono_us)
{
    const struct item_list *l = &core->writes;
    bool may_wait = l->n_patient == l->n && l->n < LINGER_FULL && (int64_t)l->n + core->stats.signer_waiting >= LINGER_FEW && !core->draining;
    int64_t until_us = l->head && may_wait ? l->head->queued_us + core->cfg.linger_ms * 1000 : mono_us;
    return until_us > mono_us ? until_us : mono_us;
}
