/* plugin.c: cradle_mosquitto.so: the glue between Mosquitto's plugin interface (version 5) and guard.h. Written for 2.0 and for 2.1, in
 * which ticks are no clock. The broker's functions are called here only, from its own thread; a client is put out only in a tick,
 * never inside its own callback.
 */
#include <mosquitto.h>
#if __has_include(<mosquitto/broker.h>) /* since 2.1 */
#include <mosquitto/broker.h>
#include <mosquitto/broker_plugin.h>
#else
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#endif
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "plugin/guard.h"

#define TICK_BUDGET_US 5000 /* of one tick, for judging everybody again */
#define RATE_LOG_MS 10000

static mosquitto_plugin_id_t *plugin_id;

static void client_read(struct mosquitto *client, struct guard_client *out)
{
    const char *addr = mosquitto_client_address(client);
    *out = (struct guard_client){ .client = client, .id = mosquitto_client_id(client), .username = mosquitto_client_username(client),
                                  .addr = addr ? addr : "" };
}

/* The client's certificate; *owned is for OPENSSL_free. Empty: none (any more). */
static struct span client_der(struct mosquitto *client, unsigned char **owned)
{
    X509 *cert = mosquitto_client_certificate(client);
    int n = cert ? i2d_X509(cert, owned) : 0;
    X509_free(cert);
    return span_of(*owned, n > 0 ? (size_t)n : 0);
}

static struct tlsinfo client_tls(struct mosquitto *client)
{
    X509 *cert = mosquitto_client_certificate(client);
    struct tlsinfo tls = tlsinfo_take(cert);
    X509_free(cert);
    return tls;
}

/* Who is limited would fill the log: a line in ten seconds. The counters and the evidence have them all. */
static bool refusal_logged(struct guard *g, enum err e)
{
    int64_t now = clock_mono_ms();
    if (e != CE_RATE)
        return true;
    if (g->told_rate_ms && now - g->told_rate_ms < RATE_LOG_MS)
        return false;
    g->told_rate_ms = now;
    return true;
}

static void alarm_log(struct guard *g)
{
    if (g->alarm[0])
        mosquitto_log_printf(MOSQ_LOG_WARNING, "cradle: ALARM clone-suspected: %s", g->alarm);
    g->alarm[0] = 0;
}

static int on_basic_auth(int event, void *data, void *user)
{
    struct mosquitto_evt_basic_auth *ed = data;
    struct guard *g = user;
    struct guard_client c;
    struct fault f = { 0 };
    const char *cn = NULL;
    unsigned char *der = NULL;
    (void)event;
    client_read(ed->client, &c);
    if (!guard_knows(g, ed->client)) /* a reload asks for live sessions too */
        c.tls = client_tls(ed->client);
    c.keepalive_s = mosquitto_client_keepalive(ed->client);
    c.der = client_der(ed->client, &der);
    if (!c.der.n && g->reloading)
        return MOSQ_ERR_SUCCESS; /* a reload asks for offline sessions too; nobody logs in here */
    enum err e = guard_watch(g, &f);
    if (!e)
        e = guard_login(g, &c, &cn, &f);
    if (!e && (!c.username || strcmp(c.username, cn) != 0) && mosquitto_set_username(ed->client, cn) != MOSQ_ERR_SUCCESS)
        e = fault_set(&f, CE_INTERNAL, "the broker did not take the user name %s", cn);
    OPENSSL_free(der);
    if (e && refusal_logged(g, e))
        mosquitto_log_printf(MOSQ_LOG_NOTICE, "cradle: refused %s from %s: %s: %s", c.id ? c.id : "-", c.addr, err_reason(e), f.text);
    alarm_log(g);
    return e ? MOSQ_ERR_AUTH : MOSQ_ERR_SUCCESS;
}

/* MQTT 5 enhanced authentication would skip BASIC_AUTH. */
static int on_ext_auth(int event, void *data, void *user)
{
    struct mosquitto_evt_extended_auth *ed = data;
    struct guard *g = user;
    struct guard_client c;
    (void)event;
    client_read(ed->client, &c);
    struct tally_item x = { .code = CE_UNSUPPORTED, .at_ms = clock_now_ms(),
                            .text = "enhanced authentication is refused: the certificate is the only identity" };
    snprintf(x.addr, sizeof x.addr, "%.63s", c.addr);
    outbox_refused(g->outbox, &x);
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "cradle: refused %s from %s: %s", c.id ? c.id : "-", c.addr, x.text);
    return MOSQ_ERR_AUTH;
}

static int on_acl(int event, void *data, void *user)
{
    struct mosquitto_evt_acl_check *ed = data;
    struct guard *g = user;
    struct guard_client c;
    unsigned char *der = NULL;
    bool bypass;
    (void)event;
    client_read(ed->client, &c);
    if (!guard_knows(g, ed->client))
        c.der = client_der(ed->client, &der);
    bool allowed = guard_acl(g, &c, ed->topic, (unsigned)ed->access, &bypass);
    alarm_log(g);
    int64_t now = clock_mono_ms();
    if (bypass && (!g->told_bypass_ms || now - g->told_bypass_ms > 60000)) {
        g->told_bypass_ms = now;
        mosquitto_log_printf(MOSQ_LOG_ERR, "cradle: ALARM: %s from %s is connected, but the broker never asked about it: "
                                           "use_identity_as_username? Its topics are refused; run cradle broker lint", c.id ? c.id : "-", c.addr);
    }
    OPENSSL_free(der);
    return allowed ? MOSQ_ERR_SUCCESS : MOSQ_ERR_ACL_DENIED;
}

static int on_disconnect(int event, void *data, void *user)
{
    struct mosquitto_evt_disconnect *ed = data;
    (void)event;
    guard_gone(user, ed->client); /* unknown pointers: clients that were refused */
    return MOSQ_ERR_SUCCESS;
}

static int on_reload(int event, void *data, void *user)
{
    struct guard *g = user;
    (void)event;
    (void)data;
    g->reloading = true;
    return MOSQ_ERR_SUCCESS;
}

/* -- putting out ------------------------------------------------------------------------------------------------------------ */
static void session_cut(struct guard *g, struct session *s, enum err why, const struct fault *f, int64_t at_ms, int64_t seen_us)
{
    char id[UID_MAX + 1];
    const void *client = s->client;
    memcpy(id, s->peer.cn, sizeof id);
    s->kicked = true;
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "cradle: cut %s: %s: %s", id, err_reason(why), f->text);
    guard_report_cut(g, s, why, at_ms, seen_us); /* before "disconnected", which says that there is a cut: what is lost, is lost from the end */
    mosquitto_kick_client_by_clientid(id, false); /* calls on_disconnect, which drops s */
    s = session_find(g->sessions, client);
    if (s) /* not under its id any more (displaced): without an entry here all its topics are refused */
        session_remove(g->sessions, s);
}

static bool session_judge(struct guard *g, struct session *s, int64_t at_ms, int64_t seen_us)
{
    struct fault f = { 0 };
    enum err why = guard_judge_live(g, s, &f);
    if (why)
        session_cut(g, s, why, &f, at_ms, seen_us);
    return why != CE_OK;
}

static void job_run(struct guard *g, const struct watch_job *j)
{
    struct session *s;
    bool again = true;
    while (again) { /* a cut frees the entry: look from the start */
        again = false;
        s = j->set == SNAPSHOT_SET_CERT ? session_by_cert(g->sessions, j->key) : session_by_ident(g->sessions, j->key);
        for (; s && !again; s = again ? NULL : j->set == SNAPSHOT_SET_CERT ? session_cert_next(s) : session_ident_next(s))
            again = session_judge(g, s, j->at_ms, j->seen_us);
    }
}

static void ends_run(struct guard *g)
{
    struct session *s;
    while ((s = session_first_end(g->sessions)) && s->peer.not_after < clock_now_s() && session_judge(g, s, 0, 0))
        continue;
    if (g->watch)
        watch_next_end(g->watch, s ? s->peer.not_after : INT64_MAX);
}

static void sweep_run(struct guard *g)
{
    int64_t until = clock_mono_us() + TICK_BUDGET_US;
    struct session *s;
    while (g->sweeping && clock_mono_us() < until) {
        s = session_sweep_next(g->sessions, SWEEP_JUDGE);
        if (s)
            (void)session_judge(g, s, g->sweep_at_ms, g->sweep_seen_us);
        else
            g->sweeping = false;
    }
    watch_busy(g->watch, g->sweeping);
}

static void notes_log(const struct watch_work *work)
{
    static const int levels[] = { MOSQ_LOG_NOTICE, MOSQ_LOG_WARNING, MOSQ_LOG_ERR };
    for (size_t i = 0; i < work->n_notes; i++)
        mosquitto_log_printf(levels[work->notes[i].level], "cradle: %s", work->notes[i].text);
}

static void work_run(struct guard *g)
{
    watch_take(g->watch, &g->work);
    notes_log(&g->work);
    for (size_t i = 0; i < g->work.n_jobs; i++)
        job_run(g, &g->work.jobs[i]);
    if (g->work.judge_all) {
        session_sweep_begin(g->sessions, SWEEP_JUDGE);
        g->sweeping = true;
        g->sweep_at_ms = g->work.all_at_ms;
        g->sweep_seen_us = g->work.all_seen_us;
    }
}

static int on_tick(int event, void *data, void *user)
{
    struct guard *g = user;
    struct fault f;
    (void)event;
    (void)data; /* next_s and next_ns stay as they are: 2.1 takes them as promises */
    g->ticked = true;
    g->reloading = false;
    if (guard_watch(g, &f)) {
        mosquitto_log_printf(MOSQ_LOG_ERR, "cradle: %s", f.text);
        return MOSQ_ERR_SUCCESS;
    }
    if (watch_due(g->watch))
        work_run(g);
    ends_run(g);
    if (g->sweeping)
        sweep_run(g);
    presence_tell(&g->presence);
    return MOSQ_ERR_SUCCESS;
}

/* -- the plugin interface ------------------------------------------------------------------------------------------------------ */
static const struct {
    int event;
    int (*run)(int, void *, void *);
} callbacks[] = {
    { MOSQ_EVT_RELOAD, on_reload },        { MOSQ_EVT_ACL_CHECK, on_acl },          { MOSQ_EVT_BASIC_AUTH, on_basic_auth },
    { MOSQ_EVT_EXT_AUTH_START, on_ext_auth }, { MOSQ_EVT_EXT_AUTH_CONTINUE, on_ext_auth }, { MOSQ_EVT_TICK, on_tick },
    { MOSQ_EVT_DISCONNECT, on_disconnect },
};

int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++)
        if (supported_versions[i] == MOSQ_PLUGIN_VERSION)
            return MOSQ_PLUGIN_VERSION;
    return -1;
}

static int init_fail(struct guard *g, const struct fault *f)
{
    mosquitto_log_printf(MOSQ_LOG_ERR, "cradle: the broker must not start: %s: %s", err_reason(f->code), f->text);
    tlsinfo_close();
    guard_close(g);
    free(g);
    return MOSQ_ERR_INVAL;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata, struct mosquitto_opt *options, int option_count)
{
    struct guard *g = mem_calloc(1, sizeof *g);
    struct fault f = { 0 };
    enum err e = CE_OK;
    opts_defaults(&g->opts);
    for (int i = 0; i < option_count && !e; i++)
        e = opts_set(&g->opts, options[i].key, options[i].value, &f);
    if (!e)
        e = guard_open(g, &f);
    if (!e)
        e = tlsinfo_open(&f);
    if (!e) {
        struct policyfile *p = snap_policy_take(g->snap, NULL);
        tlsinfo_policy(p);
        policyfile_drop(p);
    }
    for (size_t i = 0; i < ARRAY_LEN(callbacks) && !e; i++)
        if (mosquitto_callback_register(identifier, callbacks[i].event, callbacks[i].run, NULL, g))
            e = fault_set(&f, CE_UNSUPPORTED, "this broker has no event %d", callbacks[i].event);
    if (e)
        return init_fail(g, &f);
    plugin_id = identifier;
    *userdata = g;
    char vector[SNAPSHOT_VECTOR_MAX + 1];
    snap_vector(g->snap, vector);
    mosquitto_log_printf(MOSQ_LOG_NOTICE, "cradle: plugin " CRADLE_VERSION " owns every identity; snapshot at %s, %lld ms old, policy of %zu lines and "
                                          "%zu backends", vector, (long long)snap_age_ms(g->snap), policy_lines(g->policy->policy), policy_backends(g->policy->policy));
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    struct guard *g = userdata;
    (void)options;
    (void)option_count;
    if (!g)
        return MOSQ_ERR_SUCCESS; /* 2.1 calls this after an init that failed, too */
    for (size_t i = 0; i < ARRAY_LEN(callbacks); i++)
        mosquitto_callback_unregister(plugin_id, callbacks[i].event, callbacks[i].run, NULL);
    tlsinfo_close();
    guard_close(g);
    free(g);
    return MOSQ_ERR_SUCCESS;
}
