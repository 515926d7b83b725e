/* alarm_queue.c: see alarm_queue.h. */
#include "cli/alarm_queue_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"

#define RETRY_MIN_MS 1000
#define FRESH_MS 10000          /* a channel that fails is tried so often with alarms that were not tried yet */
#define HOLD_MAX_S 3600         /* longest wait that a receiver may ask for */
#define GROWTH (4 << 20)        /* bytes between two snapshots, beside the size of the first */
#define SELF_ROOM 2             /* this service's own alarms may fill a queue so many times */

/* Which channels have room for the alarm; added and dropped count what this step does. */
static uint32_t room_for(const struct alarm_queue *q, uint32_t to, int64_t len, bool self, int64_t *added, int64_t *dropped)
{
    uint32_t taken = 0;
    for (int i = 0; i < q->conf->nchannels; i++) {
        if (!(to & 1u << i))
            continue;
        bool room = q->lane[i].info.bytes + added[i] + len <= q->conf->head.queue_max * (self ? SELF_ROOM : 1);
        taken |= room ? 1u << i : 0;
        added[i] += room ? len : 0;
        dropped[i] += !room;
    }
    return taken;
}

/* Members "alarm" and "drop" of the record for what was raised. bodies: text of each, NULL when no channel takes it; the caller's. */
static void record_fill(const struct alarm_queue *q, json_t *record, const json_t *raised, char **bodies, uint32_t *to)
{
    json_t *alarms = json_array(), *drops = json_array(), *one;
    int64_t added[ALARM_CHANNELS_MAX] = { 0 }, dropped[ALARM_CHANNELS_MAX] = { 0 }, seq = q->next_seq;
    size_t i;
    json_array_foreach(raised, i, one) {
        json_t *body = json_object_get(one, "body");
        bool self = strcmp(json_path_str(body, "rule", ""), "self") == 0;
        bodies[i] = json_dumps(body, JSON_COMPACT);
        INVARIANT(bodies[i]);
        to[i] = room_for(q, (uint32_t)json_path_int(one, "to", 0), (int64_t)strlen(bodies[i]), self, added, dropped);
        if (to[i])
            json_array_append_new(alarms, json_pack("[I,o,O]", (json_int_t)seq++, queue_names(q, to[i]), body));
    }
    for (int k = 0; k < q->conf->nchannels; k++)
        if (dropped[k])
            json_array_append_new(drops, json_pack("[s,I]", q->conf->channel[k].name, (json_int_t)dropped[k]));
    if (json_array_size(alarms))
        json_object_set(record, "alarm", alarms);
    if (json_array_size(drops))
        json_object_set(record, "drop", drops);
    json_decref(alarms);
    json_decref(drops);
}

static void snapshot_when_grown(struct alarm_queue *q, const struct alarm_saved *saved)
{
    struct fault f = { 0 };
    if (q->journal.bytes <= 2 * q->journal.started + GROWTH)
        return;
    if (queue_snapshot(q, saved, &f)) {
        log_warn(0, "the journal cannot be made smaller: %s", f.text);
        q->journal.started += GROWTH; /* again when it has grown on */
    }
}

enum err alarm_queue_commit(struct alarm_queue *q, json_t *record, const json_t *raised, const struct alarm_saved *saved, struct fault *f)
{
    size_t n = json_array_size(raised);
    CLEANUP(mem_free_p) char **bodies = mem_calloc(n + 1, sizeof *bodies);
    CLEANUP(mem_free_p) uint32_t *to = mem_calloc(n + 1, sizeof *to);
    CLEANUP(buf_free) struct buf line = BUF_INIT((size_t)1 << 31);
    pthread_mutex_lock(&q->lock);
    record_fill(q, record, raised, bodies, to);
    journal_line(record, &line);
    enum err e = buf_err(&line);
    e = e ? e : journal_append(&q->journal, buf_span(&line), f);
    for (size_t i = 0; i < n; i++) {
        if (!e && to[i])
            queue_item_add(q, q->next_seq++, to[i], bodies[i], false);
        free(bodies[i]);
    }
    if (!e) {
        queue_lanes_dropped(q, json_object_get(record, "lane"), false);
        queue_lanes_dropped(q, json_object_get(record, "drop"), true);
        snapshot_when_grown(q, saved);
    }
    pthread_cond_broadcast(&q->news);
    pthread_mutex_unlock(&q->lock);
    json_object_del(record, "alarm");
    json_object_del(record, "drop");
    return e;
}

void alarm_queue_volatile(struct alarm_queue *q, const json_t *raised)
{
    size_t i;
    json_t *one;
    pthread_mutex_lock(&q->lock);
    json_array_foreach(raised, i, one) {
        CLEANUP(mem_free_p) char *body = json_dumps(json_object_get(one, "body"), JSON_COMPACT);
        if (body)
            queue_item_add(q, -(int64_t)clock_mono_us(), (uint32_t)json_path_int(one, "to", 0), body, true);
    }
    pthread_cond_broadcast(&q->news);
    pthread_mutex_unlock(&q->lock);
}

/* -- deliveries ----------------------------------------------------------------------------------------------------------------------- */
/* What was never tried first, then what was tried less often; the older one of equals. */
static struct item *item_pick(struct alarm_queue *q, int channel)
{
    struct item *it, *best = NULL;
    int level, best_level = INT32_MAX;
    TAILQ_FOREACH(it, &q->items, link) {
        if (!(it->waiting & 1u << channel))
            continue;
        level = (it->tried[channel] + 3) / 4;
        if (level < best_level) {
            best = it;
            best_level = level;
        }
        if (!best_level)
            break;
    }
    return best;
}

static int64_t due_ms(const struct lane *l, const struct item *it, int channel)
{
    int64_t due = l->next_ms;
    if (!it->tried[channel] && l->last_ms + FRESH_MS < due)
        due = l->last_ms + FRESH_MS;
    return due > l->hold_ms ? due : l->hold_ms;
}

int64_t alarm_queue_next(struct alarm_queue *q, int channel, int64_t max_wait_ms, char **body)
{
    int64_t until = clock_mono_ms() + max_wait_ms, seq = 0;
    *body = NULL;
    pthread_mutex_lock(&q->lock);
    while (!q->stop && !seq) {
        int64_t now = clock_mono_ms(), wake = until;
        struct item *it = item_pick(q, channel);
        int64_t due = it ? due_ms(&q->lane[channel], it, channel) : wake;
        if (it && due <= now) {
            seq = it->seq;
            *body = mem_strdup(it->body);
        } else if (now >= until)
            break;
        else {
            wake = due < until ? due : until;
            struct timespec ts = { .tv_sec = wake / 1000, .tv_nsec = wake % 1000 * 1000000 };
            pthread_cond_timedwait(&q->news, &q->lock, &ts);
        }
    }
    pthread_mutex_unlock(&q->lock);
    return seq;
}

static void lane_failed(struct alarm_queue *q, int channel, struct item *it, const struct alarm_result *r)
{
    struct lane *l = &q->lane[channel];
    uint16_t rnd = 0;
    int64_t now = clock_mono_ms(), most = q->conf->head.retry_max * 1000;
    int64_t wait = l->failures < 20 ? (int64_t)RETRY_MIN_MS << l->failures : most;
    if (random_bytes(&rnd, sizeof rnd))
        rnd = 0;
    wait = wait < most ? wait : most;
    wait -= wait * rnd / (4 * UINT16_MAX); /* so that many of us do not come together */
    l->failures++;
    l->last_ms = now;
    l->next_ms = now + wait;
    l->hold_ms = r->wait_s > 0 ? now + (r->wait_s < HOLD_MAX_S ? r->wait_s : HOLD_MAX_S) * 1000 : 0;
    l->info.failed++;
    if (!l->info.failing_mono_ms)
        l->info.failing_mono_ms = now;
    snprintf(l->info.error, sizeof l->info.error, "%s", r->text);
    if (it && it->tried[channel] < UINT8_MAX)
        it->tried[channel]++;
}

static void lane_answered(struct lane *l, const struct item *it, const struct alarm_result *r)
{
    bool taken = r->outcome == ALARM_TAKEN;
    l->failures = 0;
    l->next_ms = l->hold_ms = l->info.failing_mono_ms = 0;
    l->info.taken += taken;
    l->info.refused += !taken;
    if (taken)
        l->info.taken_at_ms = clock_now_ms();
    snprintf(l->info.error, sizeof l->info.error, "%s", taken ? "" : r->text);
    if (!taken && it) {
        CLEANUP(json_decref_p) json_t *o = json_loads(it->body, 0, NULL);
        snprintf(l->info.refused_id, sizeof l->info.refused_id, "%.250s", json_path_str(o, "id", "?"));
    }
}

enum err alarm_queue_done(struct alarm_queue *q, int channel, int64_t seq, const struct alarm_result *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf line = BUF_INIT(4096);
    enum err e = CE_OK;
    pthread_mutex_lock(&q->lock);
    struct item *it = queue_item_find(q, seq);
    if (r->outcome == ALARM_AGAIN)
        lane_failed(q, channel, it, r);
    else {
        CLEANUP(json_decref_p) json_t *o =
            json_pack("{s:[I,s,s]}", "done", (json_int_t)seq, q->conf->channel[channel].name, r->outcome == ALARM_TAKEN ? "taken" : "refused");
        if (it && !it->gone_with_us) {
            journal_line(o, &line);
            e = journal_append(&q->journal, buf_span(&line), f);
        }
        if (!e) {
            lane_answered(&q->lane[channel], it, r);
            if (it)
                queue_item_done(q, it, channel);
        }
    }
    pthread_mutex_unlock(&q->lock);
    return e;
}

void alarm_queue_lane(struct alarm_queue *q, int channel, struct alarm_lane *out)
{
    pthread_mutex_lock(&q->lock);
    *out = q->lane[channel].info;
    pthread_mutex_unlock(&q->lock);
}

void alarm_queue_stop(struct alarm_queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->stop = true;
    pthread_cond_broadcast(&q->news);
    pthread_mutex_unlock(&q->lock);
}
