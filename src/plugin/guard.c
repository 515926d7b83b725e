/* guard.c: admitting, refusing, judging again, and reporting it. */
#include "plugin/guard.h"

#include <stdio.h>

#include "base/clock.h"
#include "wire/snapshot.h"

#define END_WAIT_MS 500 /* for edge, to take the last reports */

enum err guard_open(struct guard *g, struct fault *f)
{
    enum err e = opts_load(&g->opts, f);
    if (!e)
        e = snap_open(g->opts.cfg.snapshot_dir, g->opts.pub, &g->snap, f);
    if (!e && !(g->policy = snap_policy_take(g->snap, f)))
        e = f->code;
    if (e)
        return e;
    g->sessions = session_table_new();
    copies_open(&g->copies, g->sessions);
    g->presence.sessions = g->sessions;
    e = outbox_new(g->opts.cfg.report_socket, &g->outbox, f);
    g->presence.outbox = g->outbox;
    if (!e && (limit_new(g->opts.cfg.login_rate_identity, g->opts.cfg.login_burst_identity, &g->by_identity) ||
               limit_new(g->opts.cfg.login_rate_address, g->opts.cfg.login_burst_address, &g->by_address)))
        e = fault_set(f, CE_IO, "no random numbers for the limits of logins");
    return e;
}

void guard_close(struct guard *g)
{
    watch_stop(g->watch);
    if (g->outbox)
        outbox_end(g->outbox, END_WAIT_MS);
    limit_free(g->by_identity);
    limit_free(g->by_address);
    outbox_free(g->outbox);
    copies_close(&g->copies);
    session_table_free(g->sessions);
    policyfile_drop(g->policy);
    snap_close(g->snap);
}

enum err guard_watch(struct guard *g, struct fault *f)
{
    if (g->watch)
        return CE_OK;
    struct watch_config cfg = { .dir = g->opts.cfg.snapshot_dir, .snap = g->snap, .outbox = g->outbox, .main = pthread_self(),
                                .alarm_ms = g->opts.cfg.alarm_after * 1000, .refuse_ms = g->opts.cfg.refuse_after * 1000 };
    return watch_start(&cfg, &g->watch, f);
}

/* The policy in force. What was looked up in another turn may be gone. */
static const struct policy *guard_policy(struct guard *g)
{
    uint64_t turn = snap_policy_turn(g->snap);
    if (turn != g->policy_turn) {
        struct policyfile *now = snap_policy_take(g->snap, NULL);
        policyfile_drop(g->policy);
        g->policy = now;
        g->policy_turn = turn;
    }
    return g->policy->policy;
}

/* s: a live session of it; NULL: it logs in. */
static void facts_of(struct guard *g, const struct peer *p, const struct session *s, struct judge_facts *out)
{
    const struct policy *policy = guard_policy(g);
    *out = (struct judge_facts){
        .now_s = clock_now_s(),
        .age_ms = snap_age_ms(g->snap),
        .refuse_ms = g->opts.cfg.refuse_after * 1000,
        .ca_ended = snap_has(g->snap, SNAPSHOT_SET_CERT, p->ca_key),
        .cert_revoked = snap_has(g->snap, SNAPSHOT_SET_CERT, p->cert_key),
        .ident_blocked = snap_has(g->snap, SNAPSHOT_SET_IDENT, p->ident_key),
        .line_suspended = p->line[0] && snap_has(g->snap, SNAPSHOT_SET_LINE, p->line_key),
        .quarantined = p->kind == PEER_DEVICE && snap_has(g->snap, SNAPSHOT_SET_REPAIR, p->ident_key),
        .line_known = policy_line(policy, span_str(p->line)) != NULL,
        .backend_listed = policy_backend(policy, span_str(p->cn)) != NULL,
        .live = s != NULL,
        .repair = s && s->repair,
    };
}

static void guard_nudge(struct guard *g)
{
    if (g->watch)
        watch_nudge(g->watch);
}

static void report_put(struct guard *g, const struct outbox_report *r)
{
    outbox_put(g->outbox, r);
    guard_nudge(g);
}

static void report_refused(struct guard *g, const struct peer *p, const char *addr, const struct fault *f)
{
    struct tally_item x = { .code = f->code, .serial_n = p->serial_n, .at_ms = clock_now_ms() };
    memcpy(x.uid, p->cn, sizeof x.uid);
    memcpy(x.serial, p->serial, sizeof x.serial);
    snprintf(x.addr, sizeof x.addr, "%.*s", (int)sizeof x.addr - 1, addr);
    snprintf(x.text, sizeof x.text, "%.*s", (int)sizeof x.text - 1, f->text);
    outbox_refused(g->outbox, &x);
    guard_nudge(g);
}

static bool ident_elsewhere(struct guard *g, const struct peer *p, const void *client)
{
    for (struct session *s = session_by_ident(g->sessions, p->ident_key); s; s = session_ident_next(s))
        if (s->client != client)
            return true;
    return false;
}

static void clone_tell(struct guard *g, const struct outbox_report *r)
{
    memcpy(g->alarm, r->text, sizeof g->alarm);
    report_put(g, r);
}

static bool line_refuses(struct guard *g, const struct peer *p)
{
    const struct policy_line *line = p->kind == PEER_DEVICE ? policy_line(guard_policy(g), span_str(p->line)) : NULL;
    return line && line->clones == POLICY_CLONES_REFUSE;
}

static enum err clone_refuse(struct guard *g, const struct peer *p, const struct guard_client *c, struct fault *f)
{
    struct outbox_report r;
    bool alarm;
    if (!line_refuses(g, p))
        return CE_OK;
    enum err e = copies_refuse(&g->copies, p, c->client, c->addr, clock_mono_ms(), &alarm, &r, f);
    if (alarm)
        clone_tell(g, &r);
    return e;
}

/* The certificate's own faults come first, then what the broker's set-up makes impossible to keep. */
static enum err login_judge(struct guard *g, const struct guard_client *c, const struct session *s, struct peer *p, struct judge_facts *facts,
                            struct fault *f)
{
    *p = (struct peer){ 0 };
    if (!s && !limit_take_addr(g->by_address, c->addr, clock_mono_us()))
        return fault_set(f, CE_RATE, "too many logins from this address (plugin_opt_login_rate_address: %lld a minute)",
                         (long long)g->opts.cfg.login_rate_address);
    if (!c->der.n)
        return fault_set(f, CE_NO_CERT, "no client certificate (the listener needs require_certificate true)");
    enum err e = peer_read(c->der, &g->opts.trust, p, f);
    if (e)
        return e;
    peer_place(p, &g->opts.trust, guard_policy(g));
    if (!s && p->kind != PEER_FOREIGN && !limit_take(g->by_identity, span_of(p->cert_key, SNAPSHOT_KEY), clock_mono_us()))
        return fault_set(f, CE_RATE, "too many logins of %s (plugin_opt_login_rate_identity: %lld a minute)", p->cn,
                         (long long)g->opts.cfg.login_rate_identity);
    facts_of(g, p, s, facts);
    e = judge_peer(p, c->id, facts, f);
    int64_t max_s = g->opts.cfg.keepalive_max;
    if (!e && !s && max_s && (!c->keepalive_s || c->keepalive_s > max_s))
        e = fault_set(f, CE_KEEPALIVE, "%s asks for a keepalive of %lld s; this broker allows 1 to %lld (plugin_opt_keepalive_max)", p->cn,
                      (long long)c->keepalive_s, (long long)max_s);
    if (!e && !g->ticked)
        e = fault_set(f, CE_UNSUPPORTED, "the broker has sent the plugin no tick yet (Mosquitto 2.0.11 with per_listener_settings true never "
                                         "does): a revocation could not be cut");
    return e;
}

static void limits_count(struct guard *g)
{
    uint64_t n = limit_forgotten(g->by_identity) + limit_forgotten(g->by_address);
    if (n != g->forgotten)
        outbox_count(g->outbox, BROKER_limits_forgotten, (int64_t)(n - g->forgotten));
    g->forgotten = n;
}

enum err guard_login(struct guard *g, const struct guard_client *c, const char **cn, struct fault *f)
{
    struct outbox_report r;
    struct peer p;
    struct judge_facts facts;
    struct session *s = g->reloading ? session_find(g->sessions, c->client) : NULL;
    enum err e = login_judge(g, c, s, &p, &facts, f);
    if (!e && !s)
        e = clone_refuse(g, &p, c, f);
    limits_count(g);
    if (e) {
        if (s)
            s->kicked = true; /* judged again and refused: its will dies with it */
        report_refused(g, &p, c->addr, f);
        return e;
    }
    if (s && !memcmp(s->peer.cert_key, p.cert_key, SNAPSHOT_KEY)) { /* judged again by a reload */
        *cn = s->peer.cn;
        return CE_OK;
    }
    guard_gone(g, c->client); /* an entry that the broker has not ended */
    s = session_add(g->sessions, c->client, &p, c->addr);
    s->repair = facts.quarantined;
    *cn = s->peer.cn;
    if (g->watch)
        watch_next_end(g->watch, session_first_end(g->sessions)->peer.not_after);
    s->keepalive_s = c->keepalive_s;
    presence_begin(&g->presence, s, &c->tls);
    if (copies_begun(&g->copies, s, &r))
        clone_tell(g, &r);
    guard_nudge(g);
    return CE_OK;
}

/* Looked up once in each turn of the policy. */
static const struct topic_rights *session_rights(struct guard *g, struct session *s)
{
    const struct policy *policy = guard_policy(g);
    if (!s->rights || s->rights_turn != g->policy_turn) {
        s->rights = s->peer.kind == PEER_BACKEND ? policy_backend_rights(policy, span_str(s->peer.cn))
                                                 : policy_device_rights(policy, span_str(s->peer.line), s->repair);
        s->rights_turn = g->policy_turn;
    }
    return s->rights;
}

static struct topic_self self_of(const char *uid, const char *line) { return (struct topic_self){ .uid = span_str(uid), .line = span_str(line) }; }

/* May a message be kept for a device that is away and whose line is not known (its session is older than this run of the broker)? When any
 * line may receive it; it is judged again when the device takes it, then by its certificate. */
static bool any_line_reads(const struct policy *policy, const char *uid, bool quarantined, const char *topic)
{
    for (size_t i = 0; i < policy_lines(policy); i++) {
        const struct policy_line *l = policy_line_at(policy, i);
        struct topic_self who = { .uid = span_str(uid), .line = l->name };
        if (topic_allows(quarantined ? &l->repair : &l->rights, &who, span_str(topic), TOPIC_READ, NULL))
            return true;
    }
    return false;
}

static bool device_by_name(struct guard *g, const char *uid, const uint8_t *key, const char *line, const char *topic, unsigned access)
{
    const struct policy *policy = guard_policy(g);
    bool quarantined = snap_has(g->snap, SNAPSHOT_SET_REPAIR, key);
    uint8_t line_key[SNAPSHOT_KEY];
    if (!line[0])
        return access == TOPIC_READ && any_line_reads(policy, uid, quarantined, topic);
    snapshot_key_line(span_str(line), line_key);
    struct topic_self who = self_of(uid, line);
    return !snap_has(g->snap, SNAPSHOT_SET_LINE, line_key) &&
           topic_allows(policy_device_rights(policy, span_str(line), quarantined), &who, span_str(topic), access, NULL);
}

/* Offline sessions and the wills of ended ones come without certificate: judged by the user name that was set at login. */
static bool acl_by_name(struct guard *g, const struct guard_client *c, const char *topic, unsigned access)
{
    uint8_t key[SNAPSHOT_KEY];
    if (!c->username || !c->id || strcmp(c->username, c->id) != 0 || name_check_uid(span_str(c->id), NULL))
        return false;
    if (access != TOPIC_READ && access != TOPIC_WRITE)
        return false;
    snapshot_key_ident(span_str(c->id), key);
    if (snap_has(g->snap, SNAPSHOT_SET_IDENT, key))
        return false;
    struct session_memory was = { .kind = PEER_FOREIGN };
    bool known = session_gone(g->sessions, key, &was);
    if (!known && access == TOPIC_WRITE)
        return false; /* a will of somebody who was never let in here, or was put out */
    const struct topic_rights *backend = policy_backend_rights(guard_policy(g), span_str(c->id));
    struct topic_self who = self_of(c->id, "");
    if (was.kind == PEER_BACKEND || (!known && policy_backend(guard_policy(g), span_str(c->id))))
        return topic_allows(backend, &who, span_str(topic), access, NULL);
    return device_by_name(g, c->id, key, was.line, topic, access);
}

/* Mosquitto 2.0.21 checks the will of a session that has just ended while its TLS object still exists. */
static bool acl_last_will(struct guard *g, const struct guard_client *c, const char *topic, unsigned access, bool *bypass)
{
    struct peer p;
    struct judge_facts facts;
    struct fault f;
    *bypass = peer_read(c->der, &g->opts.trust, &p, &f) != CE_OK || !session_gone_was(g->sessions, &p, c->client);
    if (*bypass || access != TOPIC_WRITE)
        return false;
    peer_place(&p, &g->opts.trust, guard_policy(g));
    struct session was = { .peer = p, .repair = snap_has(g->snap, SNAPSHOT_SET_REPAIR, p.ident_key) };
    facts_of(g, &p, &was, &facts);
    struct topic_self who = self_of(p.cn, p.line);
    return judge_peer(&p, c->id, &facts, &f) == CE_OK && topic_allows(session_rights(g, &was), &who, span_str(topic), access, NULL);
}

bool guard_knows(const struct guard *g, const struct mosquitto *client) { return session_find(g->sessions, client) != NULL; }

bool guard_acl(struct guard *g, const struct guard_client *c, const char *topic, unsigned access, bool *bypass)
{
    struct session *s = session_find(g->sessions, c->client);
    *bypass = false;
    if (s) {
        struct outbox_report r;
        if (access != TOPIC_READ && copies_heard(&g->copies, s, clock_mono_ms(), &r))
            clone_tell(g, &r);
        struct topic_self who = self_of(s->peer.cn, s->peer.line);
        return !s->kicked && topic_allows(session_rights(g, s), &who, span_str(topic), access, NULL);
    }
    return c->der.n ? acl_last_will(g, c, topic, access, bypass) : acl_by_name(g, c, topic, access);
}

void guard_gone(struct guard *g, const struct mosquitto *client)
{
    struct session *s = session_find(g->sessions, client);
    if (!s)
        return;
    copies_ended(&g->copies, s);
    presence_end(&g->presence, s, ident_elsewhere(g, &s->peer, client));
    session_remove(g->sessions, s);
    if (g->watch) {
        struct session *first = session_first_end(g->sessions);
        watch_next_end(g->watch, first ? first->peer.not_after : INT64_MAX);
    }
    guard_nudge(g);
}

enum err guard_judge_live(struct guard *g, const struct session *s, struct fault *f)
{
    struct judge_facts facts;
    facts_of(g, &s->peer, s, &facts);
    return judge_peer(&s->peer, s->peer.cn, &facts, f);
}

void guard_report_cut(struct guard *g, const struct session *s, enum err why, int64_t at_ms, int64_t seen_us)
{
    struct outbox_report r;
    presence_report(&r, "cut", err_reason(why), &s->peer, s->addr);
    outbox_count(g->outbox, BROKER_cuts, 1);
    r.latency_us = seen_us ? clock_mono_us() - seen_us : 0;
    r.frame_at_ms = at_ms;
    if (at_ms)
        snprintf(r.text, sizeof r.text, "%lld ms after the signed frame", (long long)(r.at_ms - at_ms));
    report_put(g, &r);
}
