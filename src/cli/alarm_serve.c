/* alarm_serve.c: `cradle alarm serve`: follows the events from where the journal says, judges them, and lets a thread for each channel
 * bring the alarms out. cradled itself has no way out of its jail; this is a client like any other, with the role of an auditor. */
#include "cli/alarm_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#define POLL_MS 200
#define RETRY_MS 1000
#define CURSOR_EVERY_MS 10000 /* the vector is noted at least so often, also when nothing happens */
#define STATUS_EVERY_MS 1000
#define NEXT_WAIT_MS 60000
#define NOTE_AGAIN_MS 1000
#define END_WAIT_S 5          /* for deliveries that are under way; what is cut off is repeated with the same id */

static atomic_bool stop; /* also written by the signal handler: lock-free */
static void on_stop(int sig)
{
    (void)sig;
    atomic_store(&stop, true);
}

/* -- the service -------------------------------------------------------------------------------------------------------------------- */
enum err alarm_net(struct alarm_serve *s, struct fault *f)
{
    struct net_config nc = { .connect_ms = 3000, .total_ms = 10000, .agent = "cradle-alarm/" CRADLE_VERSION };
    struct span rest = span_str(s->conf->head.urls), url, urls[8];
    unsigned n = 0;
    if (s->c->net)
        return CE_OK;
    while (n < ARRAY_LEN(urls) && span_cut(&rest, ' ', &url))
        if (url.n)
            urls[n++] = url;
    s->n_urls = n ? n : 1;
    if (!n || span_to_cstr(urls[s->url % n], nc.base, sizeof nc.base))
        return fault_set(f, CE_BAD_CONFIG, "urls: names no URL");
    path_join(nc.ca, "%s", s->conf->head.ca);
    path_join(nc.cert, "%s", s->conf->head.cert);
    path_join(nc.key, "%s", s->conf->head.key);
    s->c->net_cfg = nc;
    return net_open(&nc, &s->c->net, f);
}

void alarm_net_drop(struct alarm_serve *s)
{
    net_close(s->c->net);
    s->c->net = NULL;
}

static void service_answered(struct alarm_serve *s)
{
    if (s->told || !s->connected)
        log_info(0, "following the events of %s after %s", s->c->net_cfg.base, s->saved.after.len ? buf_cstr(&s->saved.after) : "the start");
    s->connected = true;
    s->told = false;
    s->trouble[0] = 0;
    s->good_ms = clock_mono_ms();
}

static void service_away(struct alarm_serve *s, const struct fault *f)
{
    if (!s->told)
        log_warn(0, "%s; trying again", f->text);
    s->told = true;
    s->connected = false;
    snprintf(s->trouble, sizeof s->trouble, "%s", f->text);
    alarm_net_drop(s);
    s->url++;
}

/* One page of events into the step. *more: the next one is there already. */
static enum err page_take(struct alarm_serve *s, bool *more, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *page = NULL;
    CLEANUP(buf_free) struct buf after = BUF_INIT(8192);
    size_t i;
    json_t *event;
    *more = false;
    buf_put_span(&after, buf_span(&s->saved.after));
    enum err e = alarm_net(s, f);
    if (!e)
        e = cli_event_page(s->c, (struct span){ 0 }, &after, EVENT_PAGE, &page, f);
    if (e)
        return e;
    json_array_foreach(json_object_get(page, "items"), i, event) {
        alarm_judge_event(s->judge, event, clock_mono_ms(), s->raised);
        s->events++;
    }
    *more = json_path_str(page, "next", NULL) != NULL;
    if (!span_eq(buf_span(&after), buf_span(&s->saved.after))) {
        s->due |= span_eq_str(buf_span(&s->saved.after), "now");
        buf_reset(&s->saved.after);
        buf_put_span(&s->saved.after, buf_span(&after));
        json_object_set_new(s->record, "after", json_string(buf_cstr(&after)));
    }
    return CE_OK;
}

/* -- one step: what was read, and what it did, become durable together ----------------------------------------------------------------- */
static void step_gather(struct alarm_serve *s)
{
    int64_t now = clock_mono_ms();
    alarm_judge_tick(s->judge, now, s->raised);
    alarm_watch(s);
    alarm_judge_save(s->judge, false, s->record);
    s->due |= json_array_size(s->raised) || json_object_get(s->record, "count") || json_object_get(s->record, "group");
    s->due |= json_object_get(s->record, "after") && now - s->cursor_ms > CURSOR_EVERY_MS;
    if (s->due && s->saved.after.len) /* with every step, so that a record says where it stands */
        json_object_set_new(s->record, "after", json_string(buf_cstr(&s->saved.after)));
}

static void step_commit(struct alarm_serve *s)
{
    struct fault f = { 0 };
    if (!s->due)
        return;
    if (alarm_queue_commit(s->queue, s->record, s->raised, &s->saved, &f)) {
        alarm_watch_journal(s, &f);
        return;
    }
    if (s->journal_bad_ms)
        log_info(0, "the journal takes alarms again");
    s->journal_bad_ms = 0;
    s->due = false;
    s->cursor_ms = clock_mono_ms();
    s->raised_n += json_array_size(s->raised);
    json_object_clear(s->record);
    json_array_clear(s->raised);
}

static void serve_loop(struct alarm_serve *s)
{
    while (!atomic_load(&stop)) {
        struct fault f = { 0 };
        bool more = false;
        enum err e = CE_OK;
        if (!s->due) {
            e = page_take(s, &more, &f);
            if (e)
                service_away(s, &f);
            else
                service_answered(s);
            step_gather(s);
        }
        step_commit(s);
        if (clock_mono_ms() - s->status_ms >= STATUS_EVERY_MS)
            alarm_status_write(s);
        bool next_url = e && s->url % s->n_urls; /* not all of them were tried */
        if (!more && !next_url && !atomic_load(&stop))
            poll(NULL, 0, e || s->due ? RETRY_MS : POLL_MS);
    }
}

/* -- channels ---------------------------------------------------------------------------------------------------------------------------- */
struct outlet {
    struct alarm_serve *s;
    int channel;
    pthread_t thread;
    bool runs;
};

static void outlet_log(const char *channel, const char *body, const struct alarm_result *r)
{
    CLEANUP(json_decref_p) json_t *o = json_loads(body, 0, NULL);
    const char *id = json_path_str(o, "id", "?");
    if (r->outcome == ALARM_TAKEN)
        log_info(0, "alarm %s: taken by %s", id, channel);
    else if (r->outcome == ALARM_AGAIN)
        log_warn(0, "alarm %s: %s did not take it: %s; again later", id, channel, r->text);
    else
        log_error(0, "alarm %s: %s refused it for good: %s: %s", id, channel, r->text, json_path_str(o, "text", ""));
}

static void *outlet_run(void *arg)
{
    struct outlet *o = arg;
    struct alarm_serve *s = o->s;
    const struct alarm_channel *ch = &s->conf->channel[o->channel];
    char *body;
    int64_t seq;
    while (!atomic_load(&stop)) {
        struct alarm_result r;
        struct fault f = { 0 };
        if (!(seq = alarm_queue_next(s->queue, o->channel, NEXT_WAIT_MS, &body)))
            continue;
        alarm_send(s->conf, ch, body, &r);
        outlet_log(ch->name, body, &r);
        while (alarm_queue_done(s->queue, o->channel, seq, &r, &f) && !atomic_load(&stop))
            poll(NULL, 0, NOTE_AGAIN_MS); /* it must not be sent again for want of a note */
        free(body);
    }
    return NULL;
}

static enum err outlets_start(struct alarm_serve *s, struct outlet *o, struct fault *f)
{
    sigset_t all, was;
    enum err e = CE_OK;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &was); /* signals are the main thread's */
    for (int i = 0; !e && i < s->conf->nchannels; i++) {
        o[i] = (struct outlet){ .s = s, .channel = i };
        o[i].runs = pthread_create(&o[i].thread, NULL, outlet_run, &o[i]) == 0;
        if (!o[i].runs)
            e = fault_set(f, CE_IO, "no thread can be made");
    }
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return e;
}

/* false: a delivery is still under way. */
static bool outlets_end(struct alarm_serve *s, struct outlet *o)
{
    struct timespec until;
    bool all = true;
    atomic_store(&stop, true);
    alarm_queue_stop(s->queue);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += END_WAIT_S;
    for (int i = 0; i < s->conf->nchannels; i++)
        all &= !o[i].runs || pthread_clockjoin_np(o[i].thread, NULL, CLOCK_MONOTONIC, &until) == 0;
    return all;
}

/* -- start and end -------------------------------------------------------------------------------------------------------------------------- */
/* Two on one folder would send everything twice. */
static enum err lock_take(const char *dir, int *fd, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/alarm.lock", dir);
    if (file_mkdirs(dir, 0700))
        return fault_set(f, CE_IO, "%s: cannot be made: %s", dir, strerror(errno));
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0)
        return fault_set(f, CE_IO, "%s: %s", path, strerror(errno));
    return flock(*fd, LOCK_EX | LOCK_NB) ? fault_set(f, CE_EXISTS, "%s: another cradle alarm serve holds this folder", dir) : CE_OK;
}

/* Where to begin when the journal does not say. */
static enum err start_at(struct alarm_serve *s, struct fault *f)
{
    const char *after = cli_opt(s->c, "--after");
    bool from_start = cli_flag(s->c, "--from-start");
    if (s->saved.after.len && (after || from_start))
        return fault_set(f, CE_EXISTS, "%s: the journal says where to go on: at %s; --after and --from-start are for the first start", s->conf->head.state_dir,
                         buf_cstr(&s->saved.after));
    if (!s->saved.after.len && !from_start)
        buf_put_str(&s->saved.after, after ? after : "now");
    return CE_OK;
}

static enum err serve_open(struct alarm_serve *s, int *lock, struct fault *f)
{
    struct sigaction sa = { .sa_handler = on_stop };
    enum err e = alarm_net(s, f);
    for (int i = 0; !e && i < s->conf->nchannels; i++)
        e = alarm_channel_check(&s->conf->channel[i], f);
    if (e || (e = lock_take(s->conf->head.state_dir, lock, f)))
        return e;
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->judge = alarm_judge_new(s->conf);
    if ((e = alarm_queue_open(s->conf->head.state_dir, s->conf, s->judge, &s->queue, &s->saved, f)) || (e = start_at(s, f)))
        return e;
    s->good_ms = s->cursor_ms = clock_mono_ms();
    s->record = json_object();
    s->raised = json_array();
    return CE_OK;
}

static enum err serve_run(struct cli *c, struct fault *f)
{
    CLEANUP(mem_free_p) struct alarm_conf *conf = mem_calloc(1, sizeof *conf);
    CLEANUP(fd_close_p) int lock = -1;
    struct alarm_serve s = { .c = c, .conf = conf };
    struct outlet outlets[ALARM_CHANNELS_MAX] = { 0 };
    log_setup("alarm", LOG_LEVEL_INFO);
    enum err e = alarm_conf_load(cli_opt_or(c, "--config", ALARM_CONF_DEFAULT), conf, f);
    if (!e && !(e = serve_open(&s, &lock, f)) && !(e = outlets_start(&s, outlets, f))) {
        log_info(0, "cradle alarm " CRADLE_VERSION ": %d rules, %d channels, state in %s", conf->nrules, conf->nchannels, conf->head.state_dir);
        serve_loop(&s);
    }
    if (s.queue && !outlets_end(&s, outlets)) {
        log_warn(0, "ended while a delivery was under way; it is repeated with the same id at the next start");
        _exit(0);
    }
    alarm_queue_close(s.queue);
    alarm_judge_free(s.judge);
    alarm_saved_free(&s.saved);
    json_decref(s.record);
    json_decref(s.raised);
    if (!e)
        log_info(0, "ended");
    return e;
}

static const struct verb_opt serve_opts[] = {
    { "--config", "FILE", "its configuration (default " ALARM_CONF_DEFAULT ")", false },
    { "--after", "VECTOR", "at the first start: go on after this vector (SLOT:NSEQ,…) instead of with what happens from now on", false },
    { "--from-start", NULL, "at the first start: judge every event from the first on", false },
};
const struct verb verb_alarm_serve = {
    .name = "alarm serve", .args = "", .help = "follow the events and send alarms, until SIGTERM",
    .text = "Runs in the foreground, on any host that reaches cradled, with the certificate of an auditor. It goes on where its journal says: after a kill, a power loss or an "
            "outage of cradled no event is left out, and no alarm is sent again but the one that was under way, whose id is the same. It logs on standard error. "
            "The configuration is described in cradle-alarm.conf(5); a new one is taken at a restart.",
    .example = "cradle alarm serve --config /etc/cradle-alarm/alarm.conf", VERB_OPTS(serve_opts), .run = serve_run,
};
