/* upload.c: see upload.h. */
#include "cli/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/cli.h"

#define PIECE_FIRST (1 << 20)
#define PIECE_MAX (16 << 20)  /* what the site takes in one request */
#define PIECE_FAST_US 1500000 /* a piece that took less is followed by one of twice the size */
#define GIVE_UP_MS 60000
#define PAUSE_FIRST_MS 100
#define PAUSE_MAX_MS 5000

struct sender {
    struct cli *c;
    struct upload *u;
    int fd;
    char id[2 * SHA256_LEN + 1];
    struct buf piece;         /* owned */
    size_t size;              /* of the next piece */
    int64_t offset, since_ms; /* since_ms: when it last got on */
    int64_t pause_ms;
    bool stored;
};

static void sender_close(struct sender *s)
{
    fd_close_p(&s->fd);
    buf_free(&s->piece);
}

static enum err piece_read(struct sender *s, size_t want)
{
    buf_reset(&s->piece);
    uint8_t *at = buf_grow(&s->piece, want);
    size_t have = 0;
    INVARIANT(at != NULL);
    while (have < want) {
        ssize_t n = pread(s->fd, at + have, want - have, s->offset + (int64_t)have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return CE_IO;
        have += (size_t)n;
    }
    return CE_OK;
}

static enum err file_hash(struct sender *s, struct fault *f)
{
    struct upload *u = s->u;
    struct sha256 h;
    struct stat st;
    if (fstat(s->fd, &st) || !S_ISREG(st.st_mode))
        return fault_set(f, CE_IO, "%s is not a file", u->path);
    u->length = st.st_size;
    if (!u->length)
        return fault_set(f, CE_BAD_INPUT, "%s is empty", u->path);
    sha256_begin(&h);
    for (s->offset = 0; s->offset < u->length; s->offset += (int64_t)s->piece.len) {
        size_t want = u->length - s->offset < PIECE_FIRST ? (size_t)(u->length - s->offset) : PIECE_FIRST;
        if (piece_read(s, want))
            return fault_set(f, CE_IO, "cannot read %s: %s", u->path, strerror(errno));
        sha256_add(&h, buf_span(&s->piece));
        cli_progress(s->c, "hashed bytes", s->offset, u->length);
    }
    cli_progress_end(s->c);
    sha256_end(&h, u->sha256);
    s->offset = 0;
    if (u->want.n && !span_eq(u->want, span_of(u->sha256, SHA256_LEN)))
        return fault_set(f, CE_DIGEST, "%s is not the file that was signed: its SHA-256 is another", u->path);
    CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
    buf_put_hex(&hex, span_of(u->sha256, SHA256_LEN));
    return span_to_cstr(buf_span(&hex), s->id, sizeof s->id);
}

/* -- talking ------------------------------------------------------------------------------------------------------------------------ */
static enum err position_take(struct sender *s, const struct net_reply *r, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    enum err e = cli_json(r, &o, f);
    int64_t at = json_path_int(o, "offset", s->u->length);
    if (e)
        return e;
    s->stored = !json_object_get(o, "offset") || json_is_true(json_object_get(o, "stored"));
    if (at < 0 || at > s->u->length)
        return fault_set(f, CE_BAD_JSON, "the site says that the upload goes on at %lld", (long long)at);
    if (at > s->offset) {
        s->since_ms = clock_mono_ms();
        s->pause_ms = PAUSE_FIRST_MS;
    }
    s->offset = at;
    return CE_OK;
}

static enum err open_send(struct sender *s, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:I,s:b}", "sha256", s->id, "length", (json_int_t)s->u->length, "encrypted", s->u->encrypted);
    enum err e = json_set_text(o, "name", s->u->name, f);
    char *text = e ? NULL : json_dumps(o, JSON_COMPACT);
    e = e ? e : cli_call(s->c, "POST", "/api/v1/uploads", span_str(text), &r, f);
    free(text);
    return e ? e : position_take(s, &r, f);
}

static enum err piece_send(struct sender *s, struct fault *f)
{
    static const char *const headers[] = { "Content-Type: application/octet-stream", NULL };
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char path[160];
    size_t left = (size_t)(s->u->length - s->offset), want = left < s->size ? left : s->size;
    int64_t began = clock_mono_us(), before = s->offset;
    if (piece_read(s, want))
        return fault_set(f, CE_BAD_INPUT, "%s changed while it was sent: %s", s->u->path, strerror(errno));
    snprintf(path, sizeof path, "/api/v1/uploads/%s?offset=%lld", s->id, (long long)s->offset);
    enum err e = net_request(s->c->net, "PUT", path, headers, buf_span(&s->piece), &r, f);
    e = e ? e : position_take(s, &r, f);
    if (!e)
        s->u->sent += s->offset - before;
    if (e || clock_mono_us() - began > PIECE_FAST_US)
        s->size = s->size > PIECE_FIRST ? s->size / 2 : PIECE_FIRST;
    else
        s->size = s->size * 2 > PIECE_MAX ? PIECE_MAX : s->size * 2;
    cli_progress(s->c, "sent bytes", s->offset, s->u->length);
    return e;
}

static enum err finish_send(struct sender *s, struct fault *f)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    char path[160];
    snprintf(path, sizeof path, "/api/v1/uploads/%s/finish", s->id);
    enum err e = cli_call(s->c, "POST", path, (struct span){ 0 }, &r, f);
    s->stored = !e;
    return e;
}

/* May the trouble pass by itself? Then where the upload stands is asked before the next piece. */
static bool passes(enum err e)
{
    return e == CE_IO || e == CE_OFFSET || e == CE_NOT_FOUND || (err_class(e) == ERRC_BUSY && e != CE_DISK_FULL && e != CE_STORE_READONLY) || err_class(e) == ERRC_RATE;
}

static enum err step(struct sender *s, bool *ask, struct fault *f)
{
    enum err e = *ask ? open_send(s, f) : s->offset < s->u->length ? piece_send(s, f) : finish_send(s, f);
    *ask = e != CE_OK;
    if (!passes(e) || clock_mono_ms() - s->since_ms > GIVE_UP_MS)
        return e;
    const struct timespec t = { s->pause_ms / 1000, s->pause_ms % 1000 * 1000000 };
    if (e != CE_OFFSET)
        nanosleep(&t, NULL);
    s->pause_ms = s->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : s->pause_ms * 2;
    *f = (struct fault){ 0 };
    return CE_OK;
}

enum err upload_run(struct cli *c, struct upload *u, struct fault *f)
{
    CLEANUP(sender_close) struct sender s = { .c = c, .u = u, .fd = open(u->path, O_RDONLY | O_CLOEXEC), .piece = BUF_INIT(PIECE_MAX), .size = PIECE_FIRST,
                                              .pause_ms = PAUSE_FIRST_MS };
    if (s.fd < 0)
        return fault_set(f, errno == ENOENT ? CE_NOT_FOUND : CE_IO, "cannot read %s: %s", u->path, strerror(errno));
    if (!*u->name || strlen(u->name) > UPLOAD_NAME_MAX)
        return fault_set(f, CE_BAD_NAME, "a file's name has at most %d bytes: %s", UPLOAD_NAME_MAX, u->name);
    bool ask = true;
    u->sent = 0;
    enum err e = file_hash(&s, f);
    e = e ? e : cli_net(c, f);
    s.since_ms = clock_mono_ms();
    while (!e && !s.stored)
        e = step(&s, &ask, f);
    cli_progress_end(c);
    return e;
}
