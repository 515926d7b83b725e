/* broker_can.c: `cradle broker can NAME write|read|subscribe TOPIC`: would a broker allow it? Decided by the code that the plugin runs, on the
 * policy and the states that the site has, or on those that one broker host holds (--edge-dir). Certificates are not judged here.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/name.h"
#include "cli/cli.h"
#include "cli/device.h"
#include "snap/snapfile.h"
#include "wire/snapshot.h"

struct can { /* the question, what is known, the answer */
    const char *name, *topic, *word, *doing; /* "write", "publish to" */
    unsigned access;
    struct policy *policy;        /* owned, or in file */
    struct policyfile *file;
    char line[LABEL_MAX + 1];     /* "": it is a backend */
    bool backend, quarantined;
    struct fault state;           /* why it is not let in at all; code CE_OK: it is */
    char source[PATH_MAX_LEN];
};

static const struct policy *can_policy(const struct can *q) { return q->file ? q->file->policy : q->policy; }

static void can_free(struct can *q)
{
    policy_free(q->policy);
    policyfile_drop(q->file);
}

static enum err question_read(struct cli *c, struct can *q, struct fault *f)
{
    static const struct { const char *word, *doing; unsigned access; } words[] = {
        { "write", "publish to", TOPIC_WRITE }, { "read", "receive", TOPIC_READ }, { "subscribe", "subscribe to", TOPIC_SUBSCRIBE },
    };
    *q = (struct can){ .name = c->args[0], .word = c->args[1], .topic = c->args[2] };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (!strcmp(q->word, words[i].word)) {
            q->access = words[i].access;
            q->doing = words[i].doing;
        }
    if (!q->access)
        return fault_set(f, CE_USAGE, "%s: it is write, read or subscribe", q->word);
    if (q->access != TOPIC_SUBSCRIBE && !topic_name_valid(span_str(q->topic)))
        return fault_set(f, CE_BAD_FIELD, "'%s' is no topic name: not empty, at most %d bytes of UTF-8, without + and # (MQTT 4.7.1, 4.7.3)", q->topic, TOPIC_MAX);
    bool shared = span_starts(span_str(q->topic), "$share/"); /* looked through when it is judged */
    if (q->access == TOPIC_SUBSCRIBE && !shared && !topic_filter_valid(span_str(q->topic)))
        return fault_set(f, CE_BAD_FIELD, "'%s' is no topic filter: + is a whole level, # is a whole level and the last one (MQTT 4.7.1)", q->topic);
    return name_check_uid(span_str(q->name), f);
}

/* -- what the site knows --------------------------------------------------------------------------------------------------------- */
static enum err get_json(struct cli *c, const char *path, json_t **out, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = cli_call(c, "GET", path, (struct span){ 0 }, &r, f);
    return e ? e : cli_json(&r, out, f);
}

static void state_set(struct can *q, const char *state)
{
    static const struct { const char *state; enum err why; } rows[] = {
        { "revoked", CE_DEVICE_REVOKED }, { "suspended", CE_DEVICE_SUSPENDED }, { "decommissioned", CE_DEVICE_RETIRED },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (!strcmp(state, rows[i].state))
            fault_set(&q->state, rows[i].why, "%s is %s: no broker lets it in", q->name, state);
    q->quarantined = !strcmp(state, "quarantined");
}

/* Is the line suspended? The site lists lines in pages. */
static enum err line_look(struct cli *c, struct can *q, struct fault *f)
{
    char after[256] = "";
    do {
        CLEANUP(json_decref_p) json_t *o = NULL;
        CLEANUP(buf_free) struct buf path = BUF_INIT(4096), query = BUF_INIT(4096);
        size_t i;
        json_t *l;
        query_add(&query, "limit", "200");
        query_add(&query, "after", after[0] ? after : NULL);
        buf_printf(&path, "/api/v1/lines?%s", buf_cstr(&query));
        enum err e = get_json(c, buf_cstr(&path), &o, f);
        if (e)
            return e;
        json_array_foreach(json_object_get(o, "items"), i, l)
            if (!strcmp(json_path_str(l, "name", ""), q->line) && json_is_true(json_object_get(l, "suspended")) && !q->state.code)
                fault_set(&q->state, CE_LINE_SUSPENDED, "the product line %s of %s is suspended: no broker lets it in", q->line, q->name);
        snprintf(after, sizeof after, "%s", json_path_str(o, "next", ""));
    } while (after[0] && !q->state.code);
    return CE_OK;
}

static enum err site_look(struct cli *c, struct can *q, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    enum err e = cli_call(c, "GET", "/api/v1/policy", (struct span){ 0 }, &r, f);
    if (!e)
        e = policy_parse(buf_span(&r.body), &q->policy, f);
    if (e)
        return e;
    snprintf(q->source, sizeof q->source, "the site");
    if (policy_backend(q->policy, span_str(q->name))) {
        q->backend = true;
        return CE_OK;
    }
    if ((e = device_path(q->name, "", &path, f)) || (e = get_json(c, buf_cstr(&path), &o, f)))
        return e == CE_UID_UNKNOWN ? fault_set(f, e, "%s is neither a backend nor a registered device", q->name) : e;
    snprintf(q->line, sizeof q->line, "%s", json_path_str(o, "line", ""));
    state_set(q, json_path_str(o, "state", ""));
    return line_look(c, q, f);
}

/* -- what a broker host knows ---------------------------------------------------------------------------------------------------- */
static void pub_find(struct cli *c, const char *dir, char out[PATH_MAX_LEN])
{
    struct fault none;
    if (cli_opt(c, "--stream-pub")) {
        path_join(out, "%.400s", cli_opt(c, "--stream-pub"));
        return;
    }
    path_join(out, "%s/../stream.pub", dir);
    if (!file_exists(out) && !cli_site(c, &none) && c->site[0])
        path_join(out, "%.400s/trust/stream.pub", c->site);
    if (!file_exists(out))
        path_join(out, "/etc/cradle-edge/stream.pub");
}

static void snap_look(struct can *q, struct snap *s, const char *dir)
{
    uint8_t ident[SNAPSHOT_KEY], line[SNAPSHOT_KEY];
    snapshot_key_ident(span_str(q->name), ident);
    snapshot_key_line(span_str(q->line), line);
    if (snap_has(s, SNAPSHOT_SET_IDENT, ident))
        fault_set(&q->state, CE_DEVICE_REVOKED, "%s is blocked (revoked, suspended, decommissioned or removed): the broker does not let it in", q->name);
    else if (q->line[0] && snap_has(s, SNAPSHOT_SET_LINE, line))
        fault_set(&q->state, CE_LINE_SUSPENDED, "the product line %s of %s is suspended: the broker does not let it in", q->line, q->name);
    q->quarantined = !q->backend && snap_has(s, SNAPSHOT_SET_REPAIR, ident);
    snprintf(q->source, sizeof q->source, "%.300s, %lld ms old", dir, (long long)snap_age_ms(s));
}

static enum err edge_look(struct cli *c, struct can *q, const char *dir, struct fault *f)
{
    char pub_path[PATH_MAX_LEN];
    uint8_t pub[SNAP_PUB];
    struct snap *s = NULL;
    if (strlen(dir) > 300)
        return fault_set(f, CE_USAGE, "--edge-dir: the path is too long");
    pub_find(c, dir, pub_path);
    enum err e = snap_read_pub(pub_path, pub, f);
    if (!e)
        e = snap_open(dir, pub, &s, f);
    if (e)
        return e;
    if (!(q->file = snap_policy_take(s, f)))
        e = f->code;
    else if (policy_backend(q->file->policy, span_str(q->name)))
        q->backend = true;
    else if (!cli_opt(c, "--line"))
        e = fault_set(f, CE_USAGE, "%s is no backend, and a broker host knows no devices but by their certificates: name its product line with --line", q->name);
    else if (!(e = name_check_label("line", span_str(cli_opt(c, "--line")), f)))
        snprintf(q->line, sizeof q->line, "%s", cli_opt(c, "--line"));
    if (!e)
        snap_look(q, s, dir);
    snap_close(s);
    return e;
}

/* -- the answer -------------------------------------------------------------------------------------------------------------------- */
static const char *topic_kind(const struct can *q) { return q->quarantined ? "repair" : q->access == TOPIC_WRITE ? "write" : "read"; }

static enum err judge(const struct can *q, struct span *by, struct fault *f)
{
    const struct policy *p = can_policy(q);
    *by = (struct span){ 0 };
    if (q->state.code)
        return fault_set(f, q->state.code, "%s", q->state.text);
    if (!q->backend && !policy_line(p, span_str(q->line)))
        return fault_set(f, CE_TOPIC_FORBIDDEN, "the product line %s of %s is not in the policy: brokers refuse it", q->line, q->name);
    const struct topic_rights *rights = q->backend ? policy_backend_rights(p, span_str(q->name)) : policy_device_rights(p, span_str(q->line), q->quarantined);
    struct topic_self who = { .uid = span_str(q->name), .line = span_str(q->line) };
    if (topic_allows(rights, &who, span_str(q->topic), q->access, by))
        return CE_OK;
    if (q->quarantined)
        return fault_set(f, CE_DEVICE_QUARANTINED, "%s is in quarantine, and none of the repair topics of line %s covers %s", q->name, q->line, q->topic);
    return q->backend ? fault_set(f, CE_TOPIC_FORBIDDEN, "none of the %s topics of backend %s covers %s", topic_kind(q), q->name, q->topic)
                      : fault_set(f, CE_TOPIC_FORBIDDEN, "none of the %s topics of line %s covers %s for %s", topic_kind(q), q->line, q->topic, q->name);
}

static void print_json(const struct can *q, enum err verdict, struct span by, const struct fault *f)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    struct json_out j = JSON_OUT(&out);
    json_obj(&j, NULL);
    json_bool(&j, "allowed", !verdict);
    json_cstr(&j, "name", q->name);
    json_cstr(&j, "access", q->word);
    json_cstr(&j, "topic", q->topic);
    json_cstr(&j, "line", q->line);
    json_bool(&j, "backend", q->backend);
    json_bool(&j, "quarantined", q->quarantined);
    json_str(&j, "template", by);
    json_cstr(&j, "reason", err_reason(verdict));
    json_cstr(&j, "text", verdict ? f->text : "");
    json_cstr(&j, "source", q->source);
    json_obj_end(&j);
    printf("%s\n", buf_cstr(&out));
}

static enum err can_run(struct cli *c, struct fault *f)
{
    CLEANUP(can_free) struct can q;
    struct span by;
    const char *dir = cli_opt(c, "--edge-dir");
    enum err e = question_read(c, &q, f);
    if (!e && !dir && (cli_opt(c, "--line") || cli_opt(c, "--stream-pub")))
        e = fault_set(f, CE_USAGE, "--line and --stream-pub go with --edge-dir; the site knows them");
    if (!e)
        e = dir ? edge_look(c, &q, dir, f) : site_look(c, &q, f);
    if (e)
        return e;
    e = judge(&q, &by, f);
    if (c->json)
        print_json(&q, e, by, f);
    else if (!e)
        cli_say(c, "%syes%s: %s may %s %s: %s topic " SPAN_FMT " of %s %s (%s)", cli_tint(c, TINT_GOOD), cli_tint(c, TINT_NONE), q.name, q.doing, q.topic,
                topic_kind(&q), SPAN_ARG(by), q.backend ? "backend" : "line", q.backend ? q.name : q.line, q.source);
    else
        cli_say(c, "%sno%s: %s may not %s %s: %s (%s)", cli_tint(c, TINT_BAD), cli_tint(c, TINT_NONE), q.name, q.doing, q.topic, err_reason(e), q.source);
    return e;
}

static const struct verb_opt can_opts[] = {
    { "--edge-dir", "DIR", "ask the files of the cradle-edge on this host (its state_dir), not the site", false },
    { "--line", "LINE", "with --edge-dir: product line of the device, as its certificate names it", false },
    { "--stream-pub", "FILE", "with --edge-dir: public key of the stream (default: DIR/../stream.pub, the site's, /etc/cradle-edge/stream.pub)", false },
};
const struct verb verb_broker_can = {
    .name = "broker can",
    .args = "NAME write|read|subscribe TOPIC",
    .min_args = 3,
    .max_args = 3,
    .help = "say whether brokers allow a device or backend a topic, and why",
    .text = "NAME is a device's UID or a backend's name. Says yes and which topic template decided, and exits with 0; or no and why (blocked, line suspended, "
            "in quarantine, or no template), and exits with 3. A name that nobody has is 4. The certificate is not looked at: it may still be expired or revoked.",
    .example = "cradle broker can pump-0001 write d/pump-0001/up/pressure\ncradle broker can telemetry subscribe 'd/+/up/#' --edge-dir /var/lib/cradle-edge",
    VERB_OPTS(can_opts),
    .run = can_run,
};
