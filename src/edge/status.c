/* status.c: edge.status: written each second for `cradle-edge -s`, monitoring, and a tired person. Not evidence. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "edge/edge.h"
#include "wire/msg.h"

#define STATUS_FILE "edge.status"
#define STATUS_DEAD_MS 5000

enum err edge_status_write(struct edge *e)
{
    char tmp[PATH_MAX_LEN], path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf out = BUF_INIT(65536);
    struct json_out j = JSON_OUT(&out);
    struct spool_info spool;
    pthread_mutex_lock(&e->lock);
    struct edge_view v = e->view;
    pthread_mutex_unlock(&e->lock);
    spool_info(e->spool, &spool);
    json_obj(&j, NULL);
    json_int(&j, "pid", getpid());
    json_time_ms(&j, "at", clock_now_ms());
    json_cstr(&j, "url", v.url);
    json_bool(&j, "connected", v.connected);
    json_cstr(&j, "trouble", v.trouble);
    json_cstr(&j, "vector", v.vector);
    json_int(&j, "age_ms", v.vector[0] ? edge_view_age_ms(&v) : -1);
    json_time_ms(&j, "snapshot_made", v.made_ms);
    json_int(&j, "certs", v.n[SNAPSHOT_SET_CERT - 1]);
    json_int(&j, "idents", v.n[SNAPSHOT_SET_IDENT - 1]);
    json_int(&j, "lines", v.n[SNAPSHOT_SET_LINE - 1]);
    json_int(&j, "repair", v.n[SNAPSHOT_SET_REPAIR - 1]);
    json_int(&j, "tail_bytes", v.tail_bytes);
    json_cstr(&j, "policy", v.policy);
    json_time_ms(&j, "policy_stored", v.policy_stored_ms);
    json_int(&j, "frames", (int64_t)v.frames);
    json_int(&j, "snapshots", (int64_t)v.snapshots);
    json_int(&j, "connects", (int64_t)v.connects);
    json_int(&j, "last_latency_us", v.last_latency_us);
    json_int(&j, "authz_let_in", (int64_t)atomic_load(&e->authz_let_in));
    json_int(&j, "authz_refused", (int64_t)atomic_load(&e->authz_refused));
    json_int(&j, "authz_unanswered", (int64_t)atomic_load(&e->authz_unanswered));
    json_int(&j, "reports_waiting", spool.waiting);
    json_int(&j, "reports_dropped", (int64_t)spool.dropped);
    json_obj_end(&j);
    buf_put_u8(&out, '\n');
    path_join(tmp, "%s/" STATUS_FILE ".new", e->cfg.state_dir);
    path_join(path, "%s/" STATUS_FILE, e->cfg.state_dir);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_from_errno(errno);
    bool whole = write(fd, out.data, out.len) == (ssize_t)out.len; /* no fsync: it is made anew each second */
    close(fd);
    return whole && !rename(tmp, path) ? CE_OK : err_from_errno(errno);
}

static int64_t num(const json_t *o, const char *key) { return (int64_t)json_integer_value(json_object_get(o, key)); }

static const char *str(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "";
}

static enum err status_judge(const struct edge_config *cfg, const json_t *o, struct fault *f)
{
    int64_t at_ms = 0, age = num(o, "age_ms");
    if (clock_parse_ms(span_str(str(o, "at")), &at_ms) || clock_now_ms() - at_ms > STATUS_DEAD_MS)
        return fault_set(f, CE_NOT_FOUND, "no cradle-edge runs here: its status is from %s; start it, and consumers will catch up", str(o, "at"));
    if (age < 0)
        return fault_set(f, CE_STALE, "no snapshot has come yet: brokers on this host cannot start; check urls, cert and key in edge.conf");
    if (age > cfg->refuse_after * 1000)
        return fault_set(f, CE_STALE, "the snapshot is %lld s old: consumers refuse new logins; is cradled reachable?", (long long)age / 1000);
    if (age > cfg->alarm_after * 1000)
        return fault_set(f, CE_STALE, "the snapshot is %lld s old (alarm from %lld s): consumers still serve; is cradled reachable?",
                         (long long)age / 1000, (long long)cfg->alarm_after);
    return CE_OK;
}

enum err edge_status_print(const struct edge_config *cfg, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf text = BUF_INIT(65536);
    json_t *o = NULL;
    path_join(path, "%s/" STATUS_FILE, cfg->state_dir);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "%s: %s; no cradle-edge has run with this state_dir", path, e == CE_NOT_FOUND ? "is not there" : err_text(e));
    e = json_parse(buf_span(&text), &o, f);
    if (e)
        return e;
    e = status_judge(cfg, o, f);
    printf("stream     %s %s\n", json_is_true(json_object_get(o, "connected")) ? "connected to" : "NOT CONNECTED to", str(o, "url"));
    if (str(o, "trouble")[0])
        printf("trouble    %s\n", str(o, "trouble"));
    printf("age        %lld ms (alarm from %lld s, logins refused from %lld s)\n", (long long)num(o, "age_ms"), (long long)cfg->alarm_after,
           (long long)cfg->refuse_after);
    printf("vector     %s\n", str(o, "vector"));
    printf("snapshot   %lld certificates, %lld identities, %lld lines, %lld in quarantine, made %s, tail %lld bytes\n", (long long)num(o, "certs"),
           (long long)num(o, "idents"), (long long)num(o, "lines"), (long long)num(o, "repair"), str(o, "snapshot_made"), (long long)num(o, "tail_bytes"));
    printf("policy     %s, stored %s\n", str(o, "policy"), str(o, "policy_stored"));
    printf("since start %lld frames, %lld snapshots, %lld connections; newest change after %.1f ms\n", (long long)num(o, "frames"),
           (long long)num(o, "snapshots"), (long long)num(o, "connects"), (double)num(o, "last_latency_us") / 1000);
    printf("proxies    %lld let in, %lld refused, %lld not answered for want of a fresh snapshot\n", (long long)num(o, "authz_let_in"),
           (long long)num(o, "authz_refused"), (long long)num(o, "authz_unanswered"));
    printf("reports    %lld waiting, %lld dropped\n", (long long)num(o, "reports_waiting"), (long long)num(o, "reports_dropped"));
    json_decref(o);
    return e;
}
