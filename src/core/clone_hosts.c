/* clone_hosts.c: see clone_hosts.h. */
#include "core/clone_hosts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct host {
    char place[sizeof((struct clone_session *)0)->place], run[sizeof((struct clone_session *)0)->run];
    int64_t alive_ms, came_ms;
    int64_t behind_ms; /* least time between what a report says and its coming: delay is never negative, so the rest is the clock */
    int64_t lost, doubt_ms; /* doubt_ms: proves nothing until then */
    bool used;
};
struct clone_hosts {
    size_t n;
    struct host hosts[CLONE_HOSTS];
};

struct clone_hosts *clone_hosts_new(void) { return mem_calloc(1, sizeof(struct clone_hosts)); }
void clone_hosts_free(struct clone_hosts *h) { free(h); }

static struct host *host_find(struct clone_hosts *h, const char *place, const char *run)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->hosts[i].used && !strcmp(h->hosts[i].run, run) && !strcmp(h->hosts[i].place, place))
            return &h->hosts[i];
    return NULL;
}

static struct host *host_make(struct clone_hosts *h, const char *place, const char *run)
{
    struct host *at = NULL;
    if (h->n < CLONE_HOSTS) {
        at = &h->hosts[h->n++];
    } else {
        at = &h->hosts[0];
        for (size_t i = 0; i < h->n; i++)
            if (!h->hosts[i].used || (at->used && h->hosts[i].came_ms < at->came_ms))
                at = &h->hosts[i];
    }
    *at = (struct host){ .used = true, .behind_ms = INT64_MAX };
    snprintf(at->place, sizeof at->place, "%s", place);
    snprintf(at->run, sizeof at->run, "%s", run);
    return at;
}

void clone_hosts_alive(struct clone_hosts *h, const char *place, const char *run, int64_t at_ms, int64_t now_ms, int64_t lost)
{
    struct host *x = host_find(h, place, run);
    if (!x) {
        x = host_make(h, place, run);
        x->lost = lost;
    }
    x->came_ms = now_ms;
    x->alive_ms = at_ms > x->alive_ms ? at_ms : x->alive_ms;
    x->behind_ms = now_ms - at_ms < x->behind_ms ? now_ms - at_ms : x->behind_ms;
    x->doubt_ms = lost > x->lost ? at_ms + CLONE_DOUBT_MS : x->doubt_ms;
    x->lost = lost;
}

void clone_hosts_synced(struct clone_hosts *h, const char *place, const char *run)
{
    struct host *x = host_find(h, place, run);
    if (x)
        x->doubt_ms = 0;
}

void clone_hosts_ended(struct clone_hosts *h, const char *place, const char *run)
{
    struct host *x = host_find(h, place, run);
    if (x)
        x->used = false;
}

int64_t clone_hosts_heard(const struct clone_hosts *h, const struct clone_session *s, int64_t overlap_ms)
{
    const struct host *x = host_find((struct clone_hosts *)h, s->place, s->run);
    if (!x || !s->keepalive_s || x->alive_ms < x->doubt_ms || x->behind_ms > CLONE_CLOCK_MS || x->behind_ms < -CLONE_CLOCK_MS)
        return 0;
    int64_t silence_ms = s->keepalive_s * 1500;
    if (silence_ms > overlap_ms)
        silence_ms = overlap_ms;
    return x->alive_ms - silence_ms - CLONE_PATIENCE_MS;
}
