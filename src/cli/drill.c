/* drill.c: `cradle drill revoke|list`: a canary is put out on purpose, everything that follows is measured, the result is filed as evidence,
 * and the canary is let in again. A procedure that is never tried does not work when it is needed.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/device.h"
#include "cli/drill_look.h"
#include "cli/wait.h"

#define LIMIT_MAX_MS 3600000

struct drill {
    struct cli *c;
    const char *uid, *state;     /* what it is put into */
    bool final, session;         /* cannot be undone; a live session must be closed */
    int64_t limit_ms, wait_ms;
    json_t *answer, *filed;      /* owned */
    struct wait wait;
    struct look look;
    bool out;                    /* the canary is out and may be let in again */
};

static void drill_free(struct drill *d)
{
    json_decref(d->answer);
    json_decref(d->filed);
    wait_close(&d->wait);
    look_free(&d->look);
}

static enum err patch(struct cli *c, const char *uid, const char *state, const char *note, json_t **out, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s}", "state", state, "note", note), *answer = NULL;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = device_path(uid, "", &path, f);
    e = e ? e : cli_call(c, "PATCH", buf_cstr(&path), span_str(body), &r, f);
    e = e ? e : cli_json(&r, out ? out : &answer, f);
    return e;
}

/* -- before ------------------------------------------------------------------------------------------------------------------------- */
/* "1s", "500ms" */
static enum err limit_read(struct cli *c, int64_t *ms, struct fault *f)
{
    struct span s = span_str(cli_opt_or(c, "--limit", "1s"));
    int64_t v = -1;
    if (s.n > 2 && memcmp(s.p + s.n - 2, "ms", 2) == 0 && span_to_i64(span_of(s.p, s.n - 2), &v))
        *ms = v;
    else if (clock_parse_span_s(s, &v) == CE_OK && v <= LIMIT_MAX_MS / 1000)
        *ms = v * 1000;
    else
        v = -1;
    if (v < 0 || *ms < 1 || *ms > LIMIT_MAX_MS)
        return fault_set(f, CE_USAGE, "--limit must be a time such as 500ms, 1s or 1m, at most an hour");
    return CE_OK;
}

static enum err how_read(struct drill *d, struct fault *f)
{
    static const struct { const char *how, *state; bool final; } rows[] = { { "suspend", "suspended", false }, { "quarantine", "quarantined", false },
                                                                            { "revoke", "revoked", true } };
    const char *how = cli_opt_or(d->c, "--how", "suspend");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strcmp(rows[i].how, how) == 0) {
            d->state = rows[i].state;
            d->final = rows[i].final;
        }
    if (!d->state)
        return fault_set(f, CE_USAGE, "--how is suspend, quarantine or revoke, not '%s'", how);
    if (strcmp(d->state, "quarantined") == 0 && (cli_flag(d->c, "--ocsp") || cli_flag(d->c, "--crl")))
        return fault_set(f, CE_USAGE, "a quarantined device's certificates stay good: --ocsp and --crl go with suspend and revoke");
    if (d->final && !cli_flag(d->c, "--yes"))
        return fault_set(f, CE_USAGE, "a revoked canary cannot come back: say --yes, or leave --how out (suspend, and resume afterwards)");
    return CE_OK;
}

static enum err canary_check(struct drill *d, const json_t *device, struct fault *f)
{
    const char *state = json_path_str(device, "state", "?");
    if (strcmp(state, "active") != 0)
        return fault_set(f, CE_STATE_CHANGE, "device %s is %s; a drill needs an active one that nothing depends on", d->uid, state);
    if (d->session && !json_is_true(json_object_get(json_object_get(device, "presence"), "online")))
        return fault_set(f, CE_NOT_FOUND, "device %s is not connected to any broker: connect it, or say --no-session to measure acknowledgements alone", d->uid);
    if (!d->wait.n)
        return fault_set(f, CE_NOT_FOUND, "there is no edge that could follow; add one: cradle edge add NAME");
    return CE_OK;
}

static enum err prepare(struct drill *d, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *device = NULL;
    int64_t wait_s = 0;
    enum err e = how_read(d, f);
    e = e ? e : limit_read(d->c, &d->limit_ms, f);
    e = e ? e : cli_opt_span_s(d->c, "--wait-time", 5, &wait_s, f);
    e = e ? e : device_path(d->uid, "", &path, f);
    e = e ? e : cli_call(d->c, "GET", buf_cstr(&path), (struct span){ 0 }, &r, f);
    e = e ? e : cli_json(&r, &device, f);
    e = e ? e : wait_open(d->c, &d->wait, f);
    e = e ? e : canary_check(d, device, f);
    d->wait_ms = wait_s * 1000 > d->limit_ms ? wait_s * 1000 : d->limit_ms;
    unsigned want = (cli_opt(d->c, "--authz") ? 1u << LOOK_AUTHZ : 0) | (cli_flag(d->c, "--ocsp") ? 1u << LOOK_OCSP : 0) | (cli_flag(d->c, "--crl") ? 1u << LOOK_CRL : 0);
    if (!e && want)
        e = look_open(d->c, device, &d->look, f);
    d->look.want = want;
    d->look.authz_url = cli_opt_or(d->c, "--authz", "");
    d->look.limit_ms = d->wait_ms;
    return e;
}

/* -- the drill itself ------------------------------------------------------------------------------------------------------------------ */
/* What does not refuse it is filed with the time waited, and fails the drill; what cannot be asked ends it. */
static enum err looks(struct drill *d, struct fault *f)
{
    static const char *const names[LOOKS] = { "cradle-edge (asked as a proxy does)", "OCSP", "the CRL" };
    if (!d->look.want)
        return CE_OK;
    enum err e = look_run(&d->look, f);
    for (int i = 0; !e && i < LOOKS; i++) {
        bool refused = d->look.refused & 1u << i;
        if (d->look.want & 1u << i)
            cli_say(d->c, "  %s%s %s %lld ms%s", cli_tint(d->c, refused ? TINT_NONE : TINT_BAD), names[i], refused ? "refuses it after" : "STILL LETS IT IN after",
                    (long long)d->look.ms[i], cli_tint(d->c, TINT_NONE));
    }
    return e;
}

static enum err file_it(struct drill *d, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:b}", "device", d->uid, "decided", json_path_str(d->answer, "decided", ""), "acked",
                                                 (json_int_t)d->wait.nacked, "cut", (json_int_t)d->wait.ncut, "slowest_ms", (json_int_t)d->wait.slowest_ms, "limit_ms",
                                                 (json_int_t)d->limit_ms, "session", d->session);
    static const char *const keys[LOOKS] = { "authz_ms", "ocsp_ms", "crl_ms" };
    for (int i = 0; i < LOOKS; i++)
        if (d->look.ms[i])
            json_object_set_new(o, keys[i], json_integer(d->look.ms[i]));
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    enum err e = cli_call(d->c, "POST", "/api/v1/drills", span_str(body), &r, f);
    return e ? e : cli_json(&r, &d->filed, f);
}

static enum err exercise(struct drill *d, struct fault *f)
{
    d->look.from_ms = clock_mono_ms();
    enum err e = patch(d->c, d->uid, d->state, "drill", &d->answer, f);
    if (e)
        return e;
    d->out = !d->final;
    cli_say(d->c, "%s %s for a drill (event %s)", d->state, d->uid, json_path_str(d->answer, "decided", "?"));
    e = looks(d, f);
    e = e ? e : wait_for_decision(&d->wait, json_path_str(d->answer, "decided", NULL), json_path_str(d->answer, "changed_at", NULL), &d->uid, 1, f);
    if (!e) {
        struct fault late = { 0 };
        e = wait_run(&d->wait, d->wait_ms, d->session, &late);
        if (e == CE_TIMEOUT) { /* a host that does not follow is what a drill is to find */
            cli_say(d->c, "  %s%s%s", cli_tint(d->c, TINT_BAD), late.text, cli_tint(d->c, TINT_NONE));
            e = CE_OK;
        } else if (e)
            *f = late;
    }
    return e ? e : file_it(d, f);
}

/* Whatever happened: the canary must not stay out. */
static enum err let_in(struct drill *d, enum err e, struct fault *f)
{
    struct fault why = { 0 };
    if (!d->out)
        return e;
    for (int i = 0; i < 10; i++) {
        if (!patch(d->c, d->uid, "active", "drill", NULL, &why)) {
            cli_say(d->c, "resumed %s", d->uid);
            return e;
        }
        poll(NULL, 0, 300);
    }
    return fault_set(f, CE_STATE_CHANGE, "the canary could not be let in again (%.120s): run cradle device resume %s", why.text, d->uid);
}

static enum err result_print(struct drill *d, struct fault *f)
{
    const json_t *o = d->filed;
    bool good = strcmp(json_path_str(o, "result", ""), "passed") == 0;
    if (d->c->json) {
        json_object_set_new(d->filed, "edges", wait_json(&d->wait));
        cli_print_json(o);
    }
    cli_say(d->c, "%s%s%s: %lld of %lld hosts followed, %lld session%s closed, the slowest after %lld ms (limit %lld ms); filed as evidence",
            cli_tint(d->c, good ? TINT_GOOD : TINT_BAD), good ? "passed" : "FAILED", cli_tint(d->c, TINT_NONE), (long long)json_path_int(o, "acked", 0),
            (long long)json_path_int(o, "hosts", 0), (long long)json_path_int(o, "cut", 0), json_path_int(o, "cut", 0) == 1 ? "" : "s",
            (long long)json_path_int(o, "slowest_ms", 0), (long long)json_path_int(o, "limit_ms", 0));
    return good ? CE_OK : fault_set(f, CE_TIMEOUT, "the drill has failed");
}

static enum err revoke_run(struct cli *c, struct fault *f)
{
    CLEANUP(drill_free) struct drill d = { .c = c, .uid = cli_opt(c, "--device"), .session = !cli_flag(c, "--no-session") };
    if (!d.uid)
        return fault_set(f, CE_USAGE, "which canary? --device UID: an active device that nothing depends on");
    enum err e = prepare(&d, f);
    if (e)
        return e;
    signal(SIGINT, SIG_IGN); /* for some seconds: whoever interrupts would leave the canary out */
    signal(SIGTERM, SIG_IGN);
    e = exercise(&d, f);
    e = let_in(&d, e, f);
    return e ? e : result_print(&d, f);
}

static const struct verb_opt revoke_opts[] = {
    { "--device", "UID", "the canary: an active device that nothing depends on", false },
    { "--how", "HOW", "suspend (default) or quarantine, and resumed afterwards; or revoke, for ever", false },
    { "--yes", NULL, "with --how revoke: yes, this device never comes back", false },
    { "--limit", "TIME", "the slowest that passes: 500ms, 1s (default), 1m", false },
    { "--wait-time", "TIME", "give up waiting for a host after this (default 5)", false },
    { "--no-session", NULL, "the canary need not be connected: acknowledgements alone are measured", false },
    { "--authz", "URL", "also ask cradle-edge as a proxy does, until it answers 403 (authz_listen, header X-SSL-Client-Cert)", false },
    { "--ocsp", NULL, "also ask OCSP until it says revoked", false },
    { "--crl", NULL, "also fetch the CRL until it lists the certificate", false },
};
const struct verb verb_drill_revoke = {
    .name = "drill revoke", .args = "", .help = "exercise a revocation with a canary, measure it, file the result",
    .text = "The canary is put out, every host's acknowledgement and the end of its session are awaited and timed, the result becomes evidence, and the "
            "canary is let in again. The server judges by its own events: passed when every edge has acknowledged, the session was closed, and the slowest "
            "of it was within the limit. Exit code 6: the drill has failed. cradle status reminds of it (drill_every, 90 days).",
    .example = "cradle drill revoke --device canary-1\ncradle drill revoke --device canary-1 --limit 500ms --ocsp --crl", VERB_OPTS(revoke_opts), .run = revoke_run,
};

static enum cli_tint tint_result(const char *v) { return strcmp(v, "passed") == 0 ? TINT_GOOD : TINT_BAD; }

static enum err list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "AT", "at", 24, NULL },          { "CANARY", "device", 0, NULL },     { "HOW", "payload.how", 0, NULL },
        { "RESULT", "payload.result", 0, tint_result }, { "HOSTS", "payload.hosts", 0, NULL }, { "ACKED", "payload.acked", 0, NULL },
        { "CUT", "payload.cut", 0, NULL }, { "SLOWEST MS", "payload.slowest_ms", 0, NULL }, { "LIMIT", "payload.limit_ms", 0, NULL }, { "BY", "payload.by", 0, NULL },
    };
    CLEANUP(buf_free) struct buf q = BUF_INIT(1024);
    query_add(&q, "device", cli_opt(c, "--device"));
    struct list l = { .path = "/api/v1/drills", .query = buf_span(&q), .cols = cols, .ncols = ARRAY_LEN(cols),
                      .empty = "There has been no drill yet: cradle drill revoke --device UID" };
    return cli_list(c, &l, f);
}
static const struct verb_opt list_opts[] = {
    { "--device", "UID", "of this canary", false },
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_drill_list = { .name = "drill list", .args = "", .help = "list drills, the newest first", VERB_OPTS(list_opts), .run = list_run };
