/* rollout_site.h: for tests of rollouts: order_site.h with a fleet, people who approve, and time that passes. Include once. */
#ifndef CRADLE_T_ROLLOUT_SITE_H
#define CRADLE_T_ROLLOUT_SITE_H

#include "base/log.h"
#include "t/unit/order_site.h"

static struct site s;
static struct who station, ann, olga, fleet[FLEET];
static const struct site_release r6 = { "r6", "1.6.0", "m-pump\n", NULL, 4 }, r7 = { "r7", "1.7.0", "m-pump\n", NULL, 4 },
                                 r8 = { "r8", "1.8.0", "m-pump\n", NULL, 5 },
                                 r9 = { "r9", "1.9.0", "m-pump\n", NULL, 5 }, r20 = { "r20", "2.0.0", "m-pump\n", NULL, 5 }, old = { "old", "1.0.0", "m-pump\n", "2020-01-01", 1 };

static inline const struct msg_reply *create(const char *name, const char *release, const char *waves, struct msg_rollout_add m)
{
    m.name = span_str(name);
    m.line = SPAN_LIT("pump");
    m.release = span_str(release);
    m.waves = span_str(waves);
    return site_do(&s, &s.admin, &msg_desc_rollout_add, &m);
}

static inline const struct msg_reply *move(const struct who *w, const char *name, const char *what)
{
    const struct msg_rollout_move m = { .name = span_str(name), .move = span_str(what) };
    return site_do(&s, w, &msg_desc_rollout_move, &m);
}

static inline void pass(int64_t ms)
{
    struct fault f = { 0 };
    s.wall_skew_ms += ms;
    for (int i = 0; i < 4; i++) {
        site_must(core_tick(s.core, clock_mono_ms() + 2000, &f), &f, "core_tick");
        site_run(&s);
    }
}

/* With the approvals that it needs, and all members of its first wave. */
static inline bool start(const char *name)
{
    bool good = reply_is(move(&ann, name, "approve"), CE_OK) && reply_is(move(&olga, name, "approve"), CE_OK) && reply_is(move(&s.admin, name, "start"), CE_OK);
    pass(0);
    return good;
}

static inline int64_t count(const char *rollout, const char *state)
{
    char sql[300];
    int64_t rows, n;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM rollout_device WHERE rollout = '%s' AND state = '%s'", rollout, state);
    rows = site_count(&s, sql);
    snprintf(sql, sizeof sql, "SELECT coalesce(sum(n), 0) FROM rollout_count WHERE rollout = '%s' AND state = '%s'", rollout, state);
    n = site_count(&s, sql);
    if (rows != n)
        printf("# %s: %s: %lld members, counted %lld\n", rollout, state, (long long)rows, (long long)n);
    return rows == n ? n : -1;
}

static inline bool state_is(const char *rollout, const char *state)
{
    char sql[200];
    snprintf(sql, sizeof sql, "SELECT count(*) FROM rollout WHERE name = '%s' AND state = '%s'", rollout, state);
    return site_count(&s, sql) == 1;
}

/* One device's turn: polls, and does what it is told, or ends it otherwise (NULL: not at all). Returns the number of its order, 0: nothing to do. */
static inline int64_t turn(int i, const char *end, const char *version)
{
    json_t *j = site_poll(&s, &fleet[i]);
    int64_t sequence = strcmp(json_word(j, "state"), "ready") == 0 ? json_number(j, "sequence") : 0;
    json_decref(j);
    if (!sequence || !end)
        return sequence;
    if (strcmp(end, "confirmed") == 0)
        (void)site_report(&s, &fleet[i], sequence, "installed", version);
    (void)site_report(&s, &fleet[i], sequence, end, version);
    return sequence;
}

static inline int all(const char *end, const char *version)
{
    int n = 0;
    for (int i = 0; i < FLEET; i++)
        n += turn(i, end, version) != 0;
    pass(0);
    return n;
}

static inline void rollout_site_open(void)
{
    static char uid[FLEET][16];
    log_setup("test", LOG_LEVEL_ERROR);
    site_open(&s);
    site_operator(&s, "line-1", "station", "", &station);
    site_operator(&s, "ann", "admin", "", &ann);
    site_operator(&s, "olga", "operator", "pump", &olga);
    for (int i = 0; i < FLEET; i++) {
        snprintf(uid[i], sizeof uid[i], "dev-%03d", i);
        site_enroll(&s, &station, uid[i], "pump", &fleet[i]);
    }
    site_role(&s, "targets", 1, span_str(""));
    site_releases(&s, "pump", 1, (const struct site_release[]){ r6, r7, r8, r9, r20, old }, 6);
}

static inline void rollout_site_close(void)
{
    for (int i = 0; i < FLEET; i++)
        buf_free(&fleet[i].der);
    buf_free(&station.der);
    buf_free(&ann.der);
    buf_free(&olga.der);
    site_close(&s);
}
#endif
