/* alarm_status.c: alarm.status: written each second by the service for `cradle alarm status`, monitoring, and a tired person. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/alarm_serve.h"
#include "wire/msg.h"

#define STATUS_DEAD_MS 30000 /* a request that hangs holds it up */

static void put_lane(struct json_out *j, const struct alarm_channel *ch, const struct alarm_lane *l, int64_t now_ms)
{
    json_obj(j, NULL);
    json_cstr(j, "name", ch->name);
    json_cstr(j, "type", ch->cfg.type);
    json_int(j, "waiting", l->waiting);
    json_int(j, "waiting_bytes", l->bytes);
    json_int(j, "taken", l->taken);
    json_int(j, "refused", l->refused);
    json_int(j, "failed", l->failed);
    json_int(j, "dropped", l->dropped);
    json_int(j, "failing_s", l->failing_mono_ms ? (now_ms - l->failing_mono_ms) / 1000 : 0);
    if (l->taken_at_ms)
        json_time_ms(j, "taken_at", l->taken_at_ms);
    json_cstr(j, "error", l->error);
    json_obj_end(j);
}

static void status_text(struct alarm_serve *s, struct buf *out)
{
    struct json_out j = JSON_OUT(out);
    const char *name;
    json_t *v;
    int64_t now = clock_mono_ms();
    json_obj(&j, NULL);
    json_int(&j, "pid", getpid());
    json_time_ms(&j, "at", clock_now_ms());
    json_cstr(&j, "url", s->c->net_cfg.base);
    json_bool(&j, "connected", s->connected);
    json_cstr(&j, "trouble", s->trouble);
    json_str(&j, "vector", buf_span(&s->saved.after));
    json_int(&j, "age_ms", now - s->good_ms);
    json_int(&j, "events", (int64_t)s->events);
    json_int(&j, "alarms", (int64_t)s->raised_n);
    json_int(&j, "evicted", (int64_t)s->evicted);
    json_bool(&j, "journal", !s->journal_bad_ms);
    json_arr(&j, "channels");
    for (int i = 0; i < s->conf->nchannels; i++) {
        struct alarm_lane l;
        alarm_queue_lane(s->queue, i, &l);
        put_lane(&j, &s->conf->channel[i], &l, now);
    }
    json_arr_end(&j);
    json_arr(&j, "troubles");
    json_object_foreach(s->saved.cond, name, v)
        json_cstr(&j, NULL, name);
    json_arr_end(&j);
    json_obj_end(&j);
    buf_put_u8(out, '\n');
}

void alarm_status_write(struct alarm_serve *s)
{
    char tmp[PATH_MAX_LEN], path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 20);
    s->status_ms = clock_mono_ms();
    status_text(s, &out);
    path_join(tmp, "%s/" ALARM_STATUS_FILE ".new", s->conf->head.state_dir);
    path_join(path, "%s/" ALARM_STATUS_FILE, s->conf->head.state_dir);
    CLEANUP(fd_close_p) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    bool whole = fd >= 0 && file_write_all(fd, buf_span(&out)) == CE_OK; /* no fsync: it is made anew each second */
    if (!whole || rename(tmp, path))
        log_warn(0, "%s cannot be written: %s", path, strerror(errno));
}

/* -- cradle alarm status ------------------------------------------------------------------------------------------------------------ */
static enum err status_verdict(const struct alarm_conf *c, const json_t *o, struct fault *f)
{
    const char *at = json_path_str(o, "at", "");
    int64_t age_ms = cli_ago_ms(o, "at", clock_now_ms()), away_ms = json_path_int(o, "age_ms", 0);
    const json_t *troubles = json_object_get(o, "troubles");
    if (age_ms < 0 || age_ms > STATUS_DEAD_MS)
        return fault_set(f, CE_NOT_FOUND, "no cradle alarm serve runs here: its status is from %s; start it, and it goes on from where it stood", at);
    if (!json_is_true(json_object_get(o, "journal")))
        return fault_set(f, CE_STALE, "the journal takes nothing, so alarms stand still; look at the disk under %s", c->head.state_dir);
    if (away_ms > c->head.away_after * 1000)
        return fault_set(f, CE_STALE, "cradled has been out of reach for %lld s: %.150s", (long long)away_ms / 1000, json_path_str(o, "trouble", ""));
    if (json_array_size(troubles))
        return fault_set(f, CE_STALE, "%zu trouble%s: %s", json_array_size(troubles), json_array_size(troubles) > 1 ? "s" : "",
                         json_string_value(json_array_get(troubles, 0)));
    return CE_OK;
}

static void lane_print(const struct cli *c, const json_t *l)
{
    char ago[32];
    int64_t failing_s = json_path_int(l, "failing_s", 0), since = cli_ago_ms(l, "taken_at", clock_now_ms());
    printf("channel    %s (%s): %s%s%s, %lld waiting, %lld taken since the start", json_path_str(l, "name", "?"), json_path_str(l, "type", "?"),
           cli_tint(c, failing_s ? TINT_BAD : TINT_GOOD), failing_s ? "failing" : "well", cli_tint(c, TINT_NONE),
           (long long)json_path_int(l, "waiting", 0), (long long)json_path_int(l, "taken", 0));
    if (since >= 0)
        printf(", the last %s ago", cli_ms_text(since, ago, sizeof ago));
    if (json_path_int(l, "refused", 0))
        printf(", %lld refused", (long long)json_path_int(l, "refused", 0));
    if (json_path_int(l, "dropped", 0))
        printf(", %lld dropped", (long long)json_path_int(l, "dropped", 0));
    putchar('\n');
    if (json_path_str(l, "error", "")[0]) {
        fputs("           last error: ", stdout);
        cli_put_safe(json_path_str(l, "error", ""), 250);
        putchar('\n');
    }
}

static void status_print(const struct cli *c, const json_t *o)
{
    size_t i;
    json_t *v;
    char age[32];
    bool connected = json_is_true(json_object_get(o, "connected"));
    printf("stream     %s %s\n", connected ? "connected to" : "NOT CONNECTED to", json_path_str(o, "url", ""));
    if (!connected) {
        fputs("trouble    ", stdout);
        cli_put_safe(json_path_str(o, "trouble", ""), 250);
        putchar('\n');
    }
    printf("cursor     %s, %s old\n", json_path_str(o, "vector", ""), cli_ms_text(json_path_int(o, "age_ms", 0), age, sizeof age));
    printf("since start %lld events judged, %lld alarms raised\n", (long long)json_path_int(o, "events", 0), (long long)json_path_int(o, "alarms", 0));
    json_array_foreach(json_object_get(o, "channels"), i, v)
        lane_print(c, v);
    json_array_foreach(json_object_get(o, "troubles"), i, v)
        printf("%strouble%s    %s\n", cli_tint(c, TINT_BAD), cli_tint(c, TINT_NONE), json_string_value(v));
}

static enum err status_run(struct cli *c, struct fault *f)
{
    CLEANUP(mem_free_p) struct alarm_conf *conf = mem_calloc(1, sizeof *conf);
    CLEANUP(buf_free) struct buf text = BUF_INIT(1 << 20);
    CLEANUP(json_decref_p) json_t *o = NULL;
    char path[PATH_MAX_LEN];
    enum err e = alarm_conf_load(cli_opt_or(c, "--config", ALARM_CONF_DEFAULT), conf, f);
    if (e)
        return e;
    path_join(path, "%s/" ALARM_STATUS_FILE, conf->head.state_dir);
    e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "%s: %s; no cradle alarm serve has run with this state_dir", path, strerror(errno));
    if ((e = json_parse(buf_span(&text), &o, f)))
        return e;
    if (c->json)
        cli_print_json(o);
    else if (!c->quiet)
        status_print(c, o);
    return status_verdict(conf, o, f);
}

static const struct verb_opt status_opts[] = { { "--config", "FILE", "its configuration (default " ALARM_CONF_DEFAULT ")", false } };
const struct verb verb_alarm_status = {
    .name = "alarm status", .args = "", .help = "is the alarm service on this host well? where it stands, what waits, the last errors",
    .text = "Exit code 4 when none runs, 7 when it is in trouble: cradled out of reach, a channel that fails, refuses or is full.",
    .example = "cradle alarm status\ncradle alarm status --quiet || echo 'look at the alarms'", VERB_OPTS(status_opts), .run = status_run,
};
