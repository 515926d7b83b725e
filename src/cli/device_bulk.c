/* device_bulk.c: `cradle device revoke|suspend|… --line …`: many devices at once, never without a word of confirmation. Up to 500 go in one
 * request, each under an Idempotency-Key made from the run's name and the request itself: repeated after a broken connection, or by the
 * same command with --run, it is answered again and not done again.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/device.h"
#include "cli/device_query.h"
#include "cli/wait.h"
#include "crypt/hash.h"

#define TRIES 6
#define REFUSED_SHOWN 20

struct bulk {
    struct cli *c;
    const struct device_change *ch;
    struct device_query q;
    char run[LABEL_MAX + 1];
    const char *uids[DEVICE_STATES_MAX]; /* of the request that is open; borrowed from q */
    int64_t tried, done, already, refused;
    json_t *refusals;               /* owned: of each that was refused: uid, reason, detail */
    enum err first;                 /* of the first refusal */
    double ms;                      /* all requests together */
    struct wait wait;
};

static void bulk_free(struct bulk *k)
{
    device_query_free(&k->q);
    json_decref(k->refusals);
    wait_close(&k->wait);
}

/* -- confirmation ---------------------------------------------------------------------------------------------------------------- */
static enum err ask(const struct bulk *k, int64_t n, struct fault *f)
{
    char line[64];
    int64_t typed = -1;
    fprintf(stderr, "%s these %lld devices%s? Type %lld to go on: ", k->ch->doing, (long long)n, k->ch->how, (long long)n);
    if (!fgets(line, sizeof line, stdin))
        line[0] = 0;
    if (span_to_i64(span_trim(span_str(line)), &typed) && typed == n)
        return CE_OK;
    return fault_set(f, CE_USAGE, "not confirmed; nothing was changed");
}

static enum err confirm(const struct bulk *k, struct fault *f)
{
    int64_t n = (int64_t)json_array_size(k->q.items), expect;
    enum err e = cli_opt_int(k->c, "--expect", -1, 0, INT64_MAX, &expect, f);
    if (e)
        return e;
    if (!n)
        return fault_set(f, CE_NOT_FOUND, "no device matches; nothing was changed");
    if (expect >= 0 && expect != n)
        return fault_set(f, CE_USAGE, "%lld devices match, not %lld; nothing was changed. Look at them with --dry-run", (long long)n, (long long)expect);
    if (expect >= 0)
        return CE_OK;
    if (isatty(0) && isatty(2) && !k->c->json) {
        device_query_print(k->c, &k->q);
        return ask(k, n, f);
    }
    return fault_set(f, CE_USAGE, "%lld devices match; nothing was changed. Look at them with --dry-run, then say --expect %lld", (long long)n, (long long)n);
}

/* -- one request ----------------------------------------------------------------------------------------------------------------- */
static bool worth_trying_again(enum err e)
{
    return err_class(e) == ERRC_BUSY || err_class(e) == ERRC_RATE || e == CE_IO;
}

static enum err request_send(struct bulk *k, const char *body, json_t **answer, struct fault *f)
{
    CLEANUP(buf_free) struct buf key = BUF_INIT(120);
    uint8_t hash[SHA256_LEN];
    sha256(span_str(body), hash);
    buf_printf(&key, "Idempotency-Key: %s-", k->run);
    buf_put_hex(&key, span_of(hash, 7));
    const char *const headers[] = { "Content-Type: application/json", buf_cstr(&key), NULL };
    enum err e = CE_OK;
    for (int i = 0; i < TRIES; i++) {
        CLEANUP(net_reply_free) struct net_reply r = { 0 };
        e = net_request(k->c->net, "POST", "/api/v1/devices/state", headers, span_str(body), &r, f);
        k->ms += (double)r.answer_us / 1000;
        if (!e)
            return cli_json(&r, answer, f);
        if (!worth_trying_again(e))
            return e;
        poll(NULL, 0, r.retry_s > 0 && r.retry_s < 10 ? (int)r.retry_s * 1000 : 200 << i);
    }
    return e;
}

static void answer_take(struct bulk *k, const json_t *answer)
{
    size_t i;
    json_t *o;
    k->done += json_path_int(answer, "done", 0);
    k->already += json_path_int(answer, "already", 0);
    k->refused += json_path_int(answer, "refused", 0);
    json_array_foreach(json_object_get(answer, "items"), i, o) {
        if (strcmp(json_path_str(o, "result", ""), "refused") != 0)
            continue;
        k->first = k->first ? k->first : err_from_reason(json_path_str(o, "reason", ""));
        json_object_del(o, "result");
        json_array_append(k->refusals, o);
    }
}

/* n devices of the list from `from` on. */
static enum err chunk(struct bulk *k, size_t from, size_t n, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:[]}", "state", k->ch->state, "uids"), *answer = NULL;
    enum err e = json_set_text(o, "reason", cli_opt(k->c, "--reason"), f);
    e = e ? e : json_set_text(o, "note", cli_opt(k->c, "--note"), f);
    for (size_t i = 0; i < n; i++) {
        k->uids[i] = json_path_str(json_array_get(k->q.items, from + i), "uid", "");
        json_array_append_new(json_object_get(o, "uids"), json_string(k->uids[i]));
    }
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    e = e ? e : request_send(k, body, &answer, f);
    if (e)
        return e;
    answer_take(k, answer);
    k->tried += (int64_t)n;
    if (cli_flag(k->c, "--wait") && json_object_get(answer, "decided"))
        e = wait_for_decision(&k->wait, json_path_str(answer, "decided", NULL), json_path_str(answer, "decided_at", NULL), k->uids, n, f);
    return e;
}

static enum err broken(const struct bulk *k, enum err e, struct fault *f)
{
    if (!k->tried)
        return e;
    struct fault why = *f;
    return fault_set(f, e, "stopped after %lld of %zu devices: %.120s; what was done is durable. Go on with the same command and --run %s", (long long)k->tried,
                     json_array_size(k->q.items), why.text, k->run);
}

static enum err bulk_do(struct bulk *k, struct fault *f)
{
    size_t n = json_array_size(k->q.items);
    enum err e = CE_OK;
    for (size_t from = 0; !e && from < n; from += DEVICE_STATES_MAX) {
        e = chunk(k, from, n - from < DEVICE_STATES_MAX ? n - from : DEVICE_STATES_MAX, f);
        cli_progress(k->c, k->ch->done, k->tried, (int64_t)n);
    }
    cli_progress_end(k->c);
    return e ? broken(k, e, f) : CE_OK;
}

/* -- the report ------------------------------------------------------------------------------------------------------------------- */
static void report_print(const struct bulk *k)
{
    size_t i;
    json_t *o;
    cli_say(k->c, "%s %lld, already so %lld, refused %lld of %zu devices: durable %.1f ms after the request%s sent (run %s)", k->ch->done, (long long)k->done,
            (long long)k->already, (long long)k->refused, json_array_size(k->q.items), k->ms, json_array_size(k->q.items) > DEVICE_STATES_MAX ? "s were" : " was",
            k->run);
    json_array_foreach(k->refusals, i, o) {
        if (i == REFUSED_SHOWN) {
            cli_say(k->c, "  and %zu more refusals; --json lists all", json_array_size(k->refusals) - i);
            break;
        }
        cli_say(k->c, "  refused %s: %s: %s", json_path_str(o, "uid", ""), json_path_str(o, "reason", ""), json_path_str(o, "detail", ""));
    }
}

static void report_json(const struct bulk *k)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:O,s:f,s:o}", "run", k->run, "state", k->ch->state, "matched",
                                                 (json_int_t)json_array_size(k->q.items), "done", (json_int_t)k->done, "already", (json_int_t)k->already,
                                                 "refused", (json_int_t)k->refused, "refusals", k->refusals, "durable_ms", k->ms, "edges",
                                                 wait_json(&k->wait));
    cli_print_json(o);
}

static enum err bulk_run(struct bulk *k, struct fault *f)
{
    int64_t wait_s;
    enum err e = cli_opt_span_s(k->c, "--wait-time", 5, &wait_s, f);
    e = e ? e : cli_net(k->c, f);
    if (!e && cli_flag(k->c, "--wait"))
        e = wait_open(k->c, &k->wait, f);
    k->wait.quiet = true;
    e = e ? e : bulk_do(k, f);
    if (e)
        return e;
    if (!k->c->json)
        report_print(k);
    if (k->wait.nseq)
        e = wait_run(&k->wait, wait_s * 1000, k->ch->cuts, f);
    if (k->c->json)
        report_json(k);
    if (!e && k->refused)
        e = fault_set(f, k->first ? k->first : CE_STATE_CHANGE, "%lld of %zu devices were refused", (long long)k->refused, json_array_size(k->q.items));
    return e;
}

static enum err run_name(struct bulk *k, struct fault *f)
{
    const char *given = cli_opt(k->c, "--run");
    uint8_t id[6];
    CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
    if (given) {
        snprintf(k->run, sizeof k->run, "%s", given);
        return name_check_label("run", span_str(given), f);
    }
    if (random_bytes(id, sizeof id))
        return fault_set(f, CE_IO, "no random numbers for the run's name");
    buf_put_hex(&hex, span_of(id, sizeof id));
    snprintf(k->run, sizeof k->run, "run-%s", buf_cstr(&hex));
    return CE_OK;
}

enum err device_bulk_change(struct cli *c, const struct device_change *ch, struct fault *f)
{
    CLEANUP(bulk_free) struct bulk k = { .c = c, .ch = ch, .refusals = json_array() };
    if (cli_opt(c, "--if-match"))
        return fault_set(f, CE_USAGE, "--if-match goes with a UID, not with a query");
    enum err e = run_name(&k, f);
    e = e ? e : device_query_read(c, &k.q, f);
    if (e)
        return e;
    if (cli_flag(c, "--dry-run")) {
        CLEANUP(json_decref_p) json_t *o = device_query_json(&k.q);
        if (c->json)
            cli_print_json(o);
        else
            device_query_print(c, &k.q);
        return CE_OK;
    }
    e = confirm(&k, f);
    return e ? e : bulk_run(&k, f);
}
