/* alarm_watch.c: what may be wrong with the alarms themselves: the service out of reach or gone back, a certificate that ends, a channel
 * that fails, refuses or is full. A trouble is told when it begins and when it is over; a restart in between tells nothing again. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/alarm_serve.h"
#include "cli/operator.h"
#include "crypt/cert.h"

#define CERT_SOON_S (10 * 86400)
#define BEHIND_CHECKS 2
#define RENEW_EVERY_MS 3600000

struct trouble {
    const char *what, *key; /* see struct alarm_self */
    enum alarm_severity severity;
    uint32_t but;           /* channels that are not told */
    char text[300], over[300];
};

static void name_of(const struct trouble *t, char out[160]) { snprintf(out, 160, "%s:%.100s", t->what, t->key); }

static void tell(struct alarm_serve *s, const struct trouble *t, bool over)
{
    struct alarm_self self = { .what = t->what, .key = t->key, .text = over ? t->over : t->text, .severity = t->severity,
                               .to = s->conf->self_channels & ~t->but, .at_ms = clock_now_ms(), .over = over };
    log_at(over ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, 0, "%s%s", over ? "" : "ALARM ", self.text);
    alarm_raise_self(s->conf, &self, s->raised);
    s->due = true;
}

static bool trouble_told(const struct alarm_serve *s, const struct trouble *t)
{
    char name[160];
    name_of(t, name);
    return json_object_get(s->saved.cond, name) != NULL;
}

/* Says that a trouble is there, or not. */
static void trouble_set(struct alarm_serve *s, const struct trouble *t, bool on)
{
    char name[160];
    if (on == trouble_told(s, t))
        return;
    name_of(t, name);
    if (on)
        json_object_set_new(s->saved.cond, name, json_integer(clock_now_ms()));
    else
        json_object_del(s->saved.cond, name);
    json_object_set_new(s->record, "cond", json_copy(s->saved.cond));
    tell(s, t, !on);
}

/* -- the stream ----------------------------------------------------------------------------------------------------------------------- */
static void watch_away(struct alarm_serve *s, int64_t now_ms)
{
    struct trouble t = { .what = "away", .key = "", .severity = ALARM_CRITICAL, .over = "cradled answers again: events go on from where they stood" };
    char ago[32];
    int64_t away = now_ms - s->good_ms;
    snprintf(t.text, sizeof t.text, "cradled has been out of reach for %s: %.200s", cli_ms_text(away, ago, sizeof ago), s->trouble);
    if (s->connected || away > s->conf->head.away_after * 1000)
        trouble_set(s, &t, !s->connected);
}

/* Is any stream of the vector `ours` ahead of `theirs`? lower: ours, with such streams set back. */
static bool vector_ahead(struct span ours, struct span theirs, struct buf *lower)
{
    struct span one, slot;
    bool ahead = false;
    while (span_cut(&ours, ',', &one)) {
        int64_t mine = 0, yours = 0, id = 0, other;
        if (!span_cut(&one, ':', &slot) || !span_to_i64(slot, &id) || !span_to_i64(one, &mine))
            continue;
        struct span rest = theirs, two;
        bool there = false;
        while (!there && span_cut(&rest, ',', &two))
            there = span_cut(&two, ':', &slot) && span_to_i64(slot, &other) && other == id && span_to_i64(two, &yours);
        bool past = there && mine > yours;
        ahead |= past;
        buf_printf(lower, "%s%lld:%lld", lower->len ? "," : "", (long long)id, (long long)(past ? yours : mine));
    }
    return ahead;
}

/* The service may have gone back: a database restored from an older copy. Then events would come under numbers that we have seen. */
static void watch_back(struct alarm_serve *s)
{
    CLEANUP(buf_free) struct buf theirs = BUF_INIT(8192), lower = BUF_INIT(8192);
    CLEANUP(json_decref_p) json_t *page = NULL;
    struct trouble t = { .what = "back", .key = "", .severity = ALARM_CRITICAL };
    buf_put_str(&theirs, "now");
    if (cli_event_page(s->c, (struct span){ 0 }, &theirs, 1, &page, NULL) || !vector_ahead(buf_span(&s->saved.after), buf_span(&theirs), &lower)) {
        s->behind = 0;
        return;
    }
    if (++s->behind < BEHIND_CHECKS)
        return;
    snprintf(t.text, sizeof t.text, "cradled has gone back in its stream, from %.60s to %.60s: was an old database restored? Events go on from there",
             buf_cstr(&s->saved.after), buf_cstr(&theirs));
    buf_reset(&s->saved.after);
    buf_put_span(&s->saved.after, buf_span(&lower));
    alarm_judge_era(s->judge, ++s->saved.era);
    json_object_set_new(s->record, "era", json_integer(s->saved.era));
    s->behind = 0;
    tell(s, &t, false);
}

/* -- the service's status ----------------------------------------------------------------------------------------------------------------- */
struct findings {
    struct alarm_serve *s;
    json_t *seen; /* keys */
};

static void on_found(void *arg, bool alarm, const char *key, const char *text)
{
    struct findings *f = arg;
    struct trouble t = { .what = "status", .key = key, .severity = ALARM_CRITICAL };
    char name[160];
    if (!alarm)
        return;
    snprintf(t.text, sizeof t.text, "%s", text);
    name_of(&t, name);
    json_object_set_new(f->seen, name, json_true());
    trouble_set(f->s, &t, true);
}

static void watch_status(struct alarm_serve *s)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL, *seen = json_object(), *told = json_copy(s->saved.cond);
    struct findings found = { s, seen };
    const char *name;
    json_t *v;
    if (cli_call(s->c, "GET", "/api/v1/status", (struct span){ 0 }, &r, NULL) || cli_json(&r, &o, NULL))
        return;
    status_judge(o, clock_now_ms(), on_found, &found);
    json_object_foreach(told, name, v) {
        struct trouble t = { .what = "status", .key = name + strlen("status:") };
        if (strncmp(name, "status:", strlen("status:")) != 0 || json_object_get(seen, name))
            continue;
        snprintf(t.over, sizeof t.over, "cradled's status says no more: %.200s", t.key);
        trouble_set(s, &t, false);
    }
}

/* Renews our certificate when it is time: true. cradled may say that it is too early, and is asked again later. */
static bool certificate_renew(struct alarm_serve *s, const struct cert *cert)
{
    struct operator_renewed r;
    struct fault f = { 0 };
    int64_t due_s = cert->not_before + (cert->not_after - cert->not_before) / 100 * s->conf->head.renew_at_pct, now_ms = clock_mono_ms();
    if (clock_now_s() < due_s || (s->renew_ms && now_ms - s->renew_ms < RENEW_EVERY_MS))
        return false;
    s->renew_ms = now_ms;
    if (operator_renew(s->c, &r, &f)) {
        log_warn(0, "our certificate could not be renewed: %s", f.text);
        return false;
    }
    log_info(0, "our certificate is good until %s", r.until);
    return r.renewed;
}

static void watch_certificate(struct alarm_serve *s)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct trouble t = { .what = "certificate", .key = "", .severity = ALARM_WARNING, .over = "our certificate is renewed" };
    struct cert cert;
    char left[32];
    if (cert_load(s->conf->head.cert, &der, &cert, NULL))
        return;
    if (certificate_renew(s, &cert)) {
        trouble_set(s, &t, false);
        return;
    }
    int64_t left_s = cert.not_after - clock_now_s(), most_s = (cert.not_after - cert.not_before) / 10; /* of a short life, the last tenth */
    snprintf(t.text, sizeof t.text, "our certificate %.150s ends in %s and could not be renewed: alarms end with it; the log says why", s->conf->head.cert,
             cli_ms_text(left_s * 1000, left, sizeof left));
    trouble_set(s, &t, left_s < (most_s < CERT_SOON_S ? most_s : CERT_SOON_S));
}

/* -- channels -------------------------------------------------------------------------------------------------------------------------------- */
static void watch_failing(struct alarm_serve *s, int ch, const struct alarm_lane *l, int64_t now_ms)
{
    const char *name = s->conf->channel[ch].name;
    struct trouble t = { .what = "failing", .key = name, .severity = ALARM_CRITICAL, .but = 1u << ch };
    char ago[32];
    int64_t failing = l->failing_mono_ms ? now_ms - l->failing_mono_ms : 0;
    snprintf(t.text, sizeof t.text, "channel %s has taken nothing for %s, %lld alarms wait: %.120s", name, cli_ms_text(failing, ago, sizeof ago),
             (long long)l->waiting, l->error);
    snprintf(t.over, sizeof t.over, "channel %s takes alarms again", name);
    if (failing > s->conf->head.failing_after * 1000 || (!failing && l->taken))
        trouble_set(s, &t, failing > 0);
}

static void watch_refused(struct alarm_serve *s, int ch, const struct alarm_lane *l)
{
    const char *name = s->conf->channel[ch].name;
    struct trouble t = { .what = "refused", .key = name, .severity = ALARM_CRITICAL, .but = 1u << ch };
    snprintf(t.text, sizeof t.text, "channel %s refused alarm %.100s for good: %.100s", name, l->refused_id, l->error);
    snprintf(t.over, sizeof t.over, "channel %s takes alarms again; what it refused is in this service's log", name);
    if (l->refused > s->refused[ch])
        trouble_set(s, &t, true);
    else if (!l->error[0] && l->taken)
        trouble_set(s, &t, false);
    s->refused[ch] = l->refused;
}

static void watch_full(struct alarm_serve *s, int ch, const struct alarm_lane *l)
{
    const char *name = s->conf->channel[ch].name;
    struct trouble t = { .what = "overflow", .key = name, .severity = ALARM_CRITICAL };
    snprintf(t.text, sizeof t.text, "the queue of channel %s is full: alarms for it are dropped", name);
    snprintf(t.over, sizeof t.over, "the queue of channel %s has room again; %lld alarms for it were dropped: cradle event list has their events", name,
             (long long)l->dropped);
    bool told = trouble_told(s, &t);
    if (!told)
        trouble_set(s, &t, l->dropped > 0);
    else if (l->bytes < s->conf->head.queue_max / 2) {
        trouble_set(s, &t, false);
        json_object_set_new(s->record, "lane", json_pack("[[s,i]]", name, 0));
    }
}

static void watch_lost(struct alarm_serve *s)
{
    struct trouble t = { .what = "lost", .key = "", .severity = ALARM_WARNING };
    if (s->saved.lost <= 0)
        return;
    snprintf(t.text, sizeof t.text, "%lld deliveries waited for channels that are not configured any more; they are dropped", (long long)s->saved.lost);
    tell(s, &t, false);
    s->saved.lost = 0;
}

void alarm_watch(struct alarm_serve *s)
{
    int64_t now = clock_mono_ms();
    watch_away(s, now);
    watch_lost(s);
    for (int i = 0; i < s->conf->nchannels; i++) {
        struct alarm_lane l;
        alarm_queue_lane(s->queue, i, &l);
        watch_failing(s, i, &l, now);
        watch_refused(s, i, &l);
        watch_full(s, i, &l);
    }
    if (alarm_judge_evicted(s->judge) > s->evicted)
        log_warn(0, "a rule counts more than %d values of its field `by` at a time; those seen longest ago made room", ALARM_KEYS_MAX);
    s->evicted = alarm_judge_evicted(s->judge);
    if (!s->connected || now - s->check_ms < s->conf->head.check_every * 1000)
        return;
    s->check_ms = now;
    watch_certificate(s);
    watch_back(s);
    watch_status(s);
    alarm_net_drop(s); /* the next connection is made with the certificate that is on disk now */
}

void alarm_watch_journal(struct alarm_serve *s, const struct fault *why)
{
    CLEANUP(json_decref_p) json_t *raised = json_array();
    char text[300];
    if (s->journal_bad_ms)
        return;
    s->journal_bad_ms = clock_mono_ms();
    snprintf(text, sizeof text, "alarms stand still: the journal takes nothing: %.200s", why->text);
    log_error(0, "ALARM %s", text);
    struct alarm_self self = { .what = "journal", .key = "", .text = text, .severity = ALARM_CRITICAL, .to = s->conf->self_channels,
                               .at_ms = clock_now_ms() };
    alarm_raise_self(s->conf, &self, raised);
    alarm_queue_volatile(s->queue, raised);
}
