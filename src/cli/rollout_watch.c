/* rollout_watch.c: `cradle rollout watch`: follows the server's stream of a rollout (docs/api.md), and asks now and then while there is none: when it
 * broke, or when too many are open. What is printed is the same in both cases.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/rollout.h"
#include "wire/sse.h"

#define WAIT_MIN_MS 250
#define WAIT_MAX_MS 5000
#define STEADY_MS 5000      /* a stream that lived so long was a good one: the next wait is short again */
#define GONE_MS 60000       /* so long a server that restarts may stay away */
#define IDLE_MS 40000       /* the server says something every 15 s */
#define EVENT_MAX (1u << 20)

struct watch {
    struct cli *c;
    char *before;           /* owned: what was printed last */
    bool tty, ended, paused, broken;
    int lines;              /* of the picture on the terminal */
    int64_t heard_ms, wait_ms;
    struct buf kept;        /* of the stream: what is no whole event yet */
    struct sse_event event;
    struct fault why;       /* pause, or what the stream brought that is none of ours */
};

static void watch_free(struct watch *w)
{
    free(w->before);
    buf_free(&w->kept);
    buf_free(&w->event.data);
}

static bool passes(enum err e) { return err_class(e) == ERRC_BUSY || err_class(e) == ERRC_RATE || e == CE_IO || e == CE_TIMEOUT; }

static void wait_ms(int64_t ms) { nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL); }

/* On a terminal the picture is drawn over the one before; elsewhere each change is printed below. */
static void watch_take(struct watch *w, const json_t *o)
{
    const char *state = json_path_str(o, "state", "");
    char *now = json_dumps(o, JSON_COMPACT);
    if (!w->before || strcmp(w->before, now) != 0) {
        if (w->c->json)
            cli_print_json(o);
        else {
            if (w->tty && w->lines)
                printf("\033[%dA\033[J", w->lines);
            w->lines = rollout_print(w->c, o);
        }
        fflush(stdout);
    }
    free(w->before);
    w->before = now;
    w->heard_ms = clock_mono_ms();
    w->paused = strcmp(state, "paused") == 0;
    w->ended = w->paused || strcmp(state, "done") == 0 || strcmp(state, "cancelled") == 0;
    if (w->paused)
        fault_set(&w->why, CE_STATE_CHANGE, "the rollout is paused: %.150s", json_path_str(o, "why", ""));
}

/* -- the stream --------------------------------------------------------------------------------------------------------------------------- */
/* A word on stderr; the picture is drawn anew below it. */
static void watch_note(struct watch *w, const char *text, const char *why)
{
    if (!w->c->quiet)
        fprintf(stderr, "cradle rollout watch: %s%s%s\n", text, *why ? ": " : "", why);
    w->lines = 0;
}

static bool on_open(void *arg)
{
    struct watch *w = arg;
    if (w->broken)
        watch_note(w, "following the stream again", "");
    w->broken = false;
    return true;
}

static bool on_bytes(void *arg, struct span bytes)
{
    struct watch *w = arg;
    buf_put_span(&w->kept, bytes);
    struct span rest = buf_span(&w->kept);
    enum err e = buf_err(&w->kept);
    while (!e && !w->ended && (e = sse_next(&rest, &w->event)) == CE_OK) {
        CLEANUP(json_decref_p) json_t *o = NULL;
        if (span_eq_str(w->event.name, "progress") && (e = json_parse(buf_span(&w->event.data), &o, &w->why)) == CE_OK)
            watch_take(w, o);
    }
    if (e && e != CE_NOT_FOUND && !w->why.code)
        fault_set(&w->why, e, "the stream brought an event that is too large");
    buf_drop(&w->kept, w->kept.len - rest.n);
    return !w->ended && !w->why.code;
}

/* Until it ends or breaks. CE_OK: the rollout is over, or the stream says what cannot be understood (w->why). */
static enum err watch_stream(struct watch *w, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(256);
    const struct net_stream_calls calls = { .on_open = on_open, .on_bytes = on_bytes, .wake_fd = -1, .idle_ms = IDLE_MS, .arg = w };
    int64_t began_ms = clock_mono_ms();
    enum err e = rollout_path(w->c->args[0], "/stream", &path, f);
    e = e ? e : cli_net(w->c, f);
    if (e)
        return e;
    buf_reset(&w->kept);
    e = net_stream(w->c->net, buf_cstr(&path), &calls, f);
    if (clock_mono_ms() - began_ms >= STEADY_MS)
        w->wait_ms = WAIT_MIN_MS;
    return e;
}

/* -- without it --------------------------------------------------------------------------------------------------------------------------- */
/* One look. What passes is no error while the server was heard of not long ago. */
static enum err watch_ask(struct watch *w, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    enum err e = rollout_read(w->c, w->c->args[0], &o, f);
    if (!e)
        watch_take(w, o);
    return e && w->before && passes(e) && clock_mono_ms() - w->heard_ms < GONE_MS ? CE_OK : e;
}

static enum err watch_broken(struct watch *w, const struct fault *why, struct fault *f)
{
    if (!w->broken)
        watch_note(w, "no stream, asking now and then until it is back", why->text);
    w->broken = true;
    enum err e = watch_ask(w, f);
    if (e || w->ended)
        return e;
    wait_ms(w->wait_ms);
    w->wait_ms = w->wait_ms * 2 < WAIT_MAX_MS ? w->wait_ms * 2 : WAIT_MAX_MS;
    return CE_OK;
}

static enum err watch_run(struct cli *c, struct fault *f)
{
    CLEANUP(watch_free) struct watch w = { .c = c, .tty = isatty(STDOUT_FILENO), .wait_ms = WAIT_MIN_MS, .kept = BUF_INIT(EVENT_MAX),
                                           .event.data = BUF_INIT(EVENT_MAX) };
    enum err e = cli_flag(c, "--once") ? watch_ask(&w, f) : CE_OK;
    while (!e && !w.ended && !w.why.code && !cli_flag(c, "--once")) {
        struct fault why = { 0 };
        e = watch_stream(&w, &why);
        if (e && passes(e))
            e = watch_broken(&w, &why, f);
        else if (e)
            *f = why;
    }
    if (!e && w.why.code) {
        *f = w.why;
        e = f->code;
    }
    return e;
}

static const struct verb_opt watch_opts[] = { { "--once", NULL, "look once and end: the exit code says whether it is paused", false } };
const struct verb verb_rollout_watch = {
    .name = "rollout watch", .args = "NAME", .min_args = 1, .max_args = 1, .help = "follow a rollout until it is done, paused or cancelled",
    .text = "The server sends what changes, twice a second at most; with --json one line a change. While it cannot, it is asked every few seconds, and a word "
            "on stderr says so. A paused rollout ends it with exit code 5, so that scripts notice.",
    .example = "cradle rollout watch r7-all", VERB_OPTS(watch_opts), .run = watch_run,
};
