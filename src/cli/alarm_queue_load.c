/* alarm_queue_load.c: the journal back into memory, and a snapshot of what still counts in its place. See alarm_queue.h. */
#include "cli/alarm_queue_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli.h"

void alarm_saved_free(struct alarm_saved *s)
{
    buf_free(&s->after);
    json_decref(s->cond);
    s->cond = NULL;
}

/* -- items ------------------------------------------------------------------------------------------------------------------------ */
void queue_item_add(struct alarm_queue *q, int64_t seq, uint32_t channels, const char *body, bool gone_with_us)
{
    size_t len = strlen(body);
    struct item *it = mem_calloc(1, sizeof *it + len + 1);
    it->seq = seq;
    it->waiting = channels;
    it->gone_with_us = gone_with_us;
    it->len = len;
    memcpy(it->body, body, len + 1);
    TAILQ_INSERT_TAIL(&q->items, it, link);
    for (int i = 0; i < q->conf->nchannels; i++)
        if (channels & 1u << i) {
            q->lane[i].info.waiting++;
            q->lane[i].info.bytes += (int64_t)len;
        }
}

struct item *queue_item_find(struct alarm_queue *q, int64_t seq)
{
    struct item *it;
    TAILQ_FOREACH(it, &q->items, link)
        if (it->seq == seq)
            return it;
    return NULL;
}

void queue_item_done(struct alarm_queue *q, struct item *it, int channel)
{
    if (!(it->waiting & 1u << channel))
        return;
    q->lane[channel].info.waiting--;
    q->lane[channel].info.bytes -= (int64_t)it->len;
    it->waiting &= ~(1u << channel);
    if (!it->waiting) {
        TAILQ_REMOVE(&q->items, it, link);
        free(it);
    }
}

/* -- loading ---------------------------------------------------------------------------------------------------------------------- */
struct load {
    struct alarm_queue *q;
    struct alarm_saved *saved;
};

static void load_alarm(struct load *l, const json_t *row)
{
    struct alarm_queue *q = l->q;
    int64_t seq = (int64_t)json_integer_value(json_array_get(row, 0));
    CLEANUP(mem_free_p) char *body = json_dumps(json_array_get(row, 2), JSON_COMPACT);
    uint32_t to = 0;
    size_t i;
    json_t *name;
    json_array_foreach(json_array_get(row, 1), i, name) {
        int ch = json_is_string(name) ? alarm_channel_find(q->conf, json_string_value(name)) : -1;
        l->saved->lost += ch < 0;
        to |= ch < 0 ? 0 : 1u << ch;
    }
    if (seq < q->next_seq || !body)
        return;
    q->next_seq = seq + 1;
    if (to)
        queue_item_add(q, seq, to, body, false);
}

static void load_done(struct load *l, const json_t *done)
{
    const char *name = json_string_value(json_array_get(done, 1));
    int ch = name ? alarm_channel_find(l->q->conf, name) : -1;
    struct item *it = ch < 0 ? NULL : queue_item_find(l->q, (int64_t)json_integer_value(json_array_get(done, 0)));
    if (it)
        queue_item_done(l->q, it, ch);
    else if (name && ch < 0 && l->saved->lost > 0)
        l->saved->lost--; /* delivered while the channel was there */
}

void queue_lanes_dropped(struct alarm_queue *q, const json_t *rows, bool add)
{
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        const char *name = json_string_value(json_array_get(row, 0));
        int ch = name ? alarm_channel_find(q->conf, name) : -1;
        int64_t n = (int64_t)json_integer_value(json_array_get(row, 1));
        if (ch >= 0)
            q->lane[ch].info.dropped = n + (add ? q->lane[ch].info.dropped : 0);
    }
}

static void load_record(void *arg, const json_t *record)
{
    struct load *l = arg;
    size_t i;
    json_t *row;
    const char *after = json_path_str(record, "after", NULL);
    json_t *cond = json_object_get(record, "cond");
    if (after) {
        buf_reset(&l->saved->after);
        buf_put_str(&l->saved->after, after);
    }
    if (json_is_object(cond)) {
        json_decref(l->saved->cond);
        l->saved->cond = json_incref(cond);
    }
    l->saved->era = json_path_int(record, "era", l->saved->era);
    int64_t seq = json_path_int(record, "seq", 0);
    l->q->next_seq = seq > l->q->next_seq ? seq : l->q->next_seq;
    alarm_judge_load(l->q->judge, record, clock_mono_ms());
    json_array_foreach(json_object_get(record, "alarm"), i, row)
        load_alarm(l, row);
    if (json_object_get(record, "done"))
        load_done(l, json_object_get(record, "done"));
    queue_lanes_dropped(l->q, json_object_get(record, "lane"), false);
    queue_lanes_dropped(l->q, json_object_get(record, "drop"), true);
}

/* -- a snapshot of what still counts ------------------------------------------------------------------------------------------------ */
json_t *queue_names(const struct alarm_queue *q, uint32_t channels)
{
    json_t *names = json_array();
    for (int i = 0; i < q->conf->nchannels; i++)
        if (channels & 1u << i)
            json_array_append_new(names, json_string(q->conf->channel[i].name));
    return names;
}

static void snapshot_line(const struct alarm_queue *q, const struct alarm_saved *saved, struct buf *out)
{
    CLEANUP(json_decref_p) json_t *o = json_object(), *lane = json_array();
    CLEANUP(buf_free) struct buf after = BUF_INIT(0);
    buf_put_span(&after, buf_span(&saved->after));
    for (int i = 0; i < q->conf->nchannels; i++)
        if (q->lane[i].info.dropped)
            json_array_append_new(lane, json_pack("[s,I]", q->conf->channel[i].name, (json_int_t)q->lane[i].info.dropped));
    json_object_set_new(o, "era", json_integer(saved->era));
    json_object_set_new(o, "after", json_string(buf_cstr(&after)));
    json_object_set(o, "cond", saved->cond);
    json_object_set(o, "lane", lane);
    alarm_judge_save(q->judge, true, o);
    journal_line(o, out);
}

enum err queue_snapshot(struct alarm_queue *q, const struct alarm_saved *saved, struct fault *f)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT((size_t)1 << 32);
    struct item *it;
    snapshot_line(q, saved, &out);
    TAILQ_FOREACH(it, &q->items, link) {
        CLEANUP(json_decref_p) json_t *body = json_loads(it->body, 0, NULL);
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:[[I,o,O]]}", "alarm", (json_int_t)it->seq, queue_names(q, it->waiting), body);
        if (!it->gone_with_us && o)
            journal_line(o, &out);
    }
    CLEANUP(json_decref_p) json_t *end = json_pack("{s:I}", "seq", (json_int_t)q->next_seq); /* after the alarms, which are older */
    journal_line(end, &out);
    enum err e = buf_err(&out);
    return e ? e : journal_replace(&q->journal, buf_span(&out), f);
}

enum err alarm_queue_open(const char *dir, const struct alarm_conf *c, struct alarm_judge *judge, struct alarm_queue **out,
                          struct alarm_saved *saved, struct fault *f)
{
    struct alarm_queue *q = mem_calloc(1, sizeof *q);
    struct load l = { q, saved };
    pthread_condattr_t attr;
    char path[PATH_MAX_LEN];
    *saved = (struct alarm_saved){ .cond = json_object() };
    q->conf = c;
    q->judge = judge;
    q->next_seq = 1;
    TAILQ_INIT(&q->items);
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->news, &attr);
    pthread_condattr_destroy(&attr);
    path_join(path, "%s/alarm.journal", dir);
    enum err e = journal_open(&q->journal, path, load_record, &l, f);
    alarm_judge_era(judge, saved->era);
    if (!e)
        e = queue_snapshot(q, saved, f);
    if (e) {
        alarm_queue_close(q);
        return e;
    }
    *out = q;
    return CE_OK;
}

void alarm_queue_close(struct alarm_queue *q)
{
    struct item *it;
    if (!q)
        return;
    while ((it = TAILQ_FIRST(&q->items))) {
        TAILQ_REMOVE(&q->items, it, link);
        free(it);
    }
    journal_close(&q->journal);
    pthread_cond_destroy(&q->news);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

