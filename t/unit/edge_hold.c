/* edge_hold.c: the stream's bytes into files and back: feed, hold, snapfile; good, torn, forged and replayed. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypt/ed25519.h"
#include "edge/feed.h"
#include "edge/hold.h"
#include "t/tap.h"

static char dir[] = "/tmp/cradle-hold-XXXXXX";
static struct key *key, *other;
static uint8_t pub[SNAP_PUB];
static uint8_t a[SNAPSHOT_KEY], b[SNAPSHOT_KEY], c[SNAPSHOT_KEY];

#define POLICY "cradle-policy 1\n"

static void snapshot_put(struct buf *out, struct key *k, const char *vector, int64_t at_ms, const uint8_t *ident)
{
    uint8_t sha[32], body_bytes[2 * SNAPSHOT_KEY];
    struct span body = span_of(body_bytes, ident ? 2 * SNAPSHOT_KEY : SNAPSHOT_KEY);
    if (ident)
        memcpy(body_bytes, ident, SNAPSHOT_KEY);
    snapshot_key_policy(span_str(POLICY), body_bytes + body.n - SNAPSHOT_KEY);
    sha256(body, sha);
    struct snapshot_header h = { .at_ms = at_ms, .n = { [SNAPSHOT_SET_IDENT - 1] = ident != NULL, [SNAPSHOT_SET_POLICY - 1] = 1 }, .body_sha256 = span_of(sha, 32), .vector = span_str(vector) };
    enum err e = snapshot_header_encode(&h, k, out);
    ok(!e, "encoded a snapshot at %s", vector);
    buf_put_span(out, body);
}

static void frame_put(struct buf *out, struct key *k, const char *prev, const char *vector, unsigned op, const uint8_t *ident)
{
    CLEANUP(buf_free) struct buf entries = BUF_INIT(0);
    if (ident)
        snapshot_entry_put(&entries, SNAPSHOT_SET_IDENT, op, ident);
    struct snapshot_frame fr = { .at_ms = clock_now_ms(), .prev = span_str(prev), .vector = span_str(vector), .entries = buf_span(&entries) };
    enum err e = snapshot_frame_encode(&fr, k, out);
    if (e)
        ok(0, "encoded a frame %s -> %s", prev, vector);
}

struct sink { struct hold *h; struct fault f; int frames, snapshots, policies; };
static enum err on_policy(void *arg, struct span document)
{
    struct sink *s = arg;
    enum err e = hold_policy(s->h, document, &s->f);
    s->policies += !e;
    return e;
}
static enum err on_snapshot(void *arg, const struct snapshot_header *h) { struct sink *s = arg; return hold_snapshot(s->h, h, &s->f); }
static enum err on_body(void *arg, struct span bytes, bool last)
{
    struct sink *s = arg;
    enum err e = hold_body(s->h, bytes, last, &s->f);
    s->snapshots += !e && last;
    return e;
}
static enum err on_frame(void *arg, const struct snapshot_frame *fr)
{
    struct sink *s = arg;
    enum err e = hold_frame(s->h, fr, &s->f);
    s->frames += !e;
    return e;
}
/* Feeds all of in, in pieces of n bytes. */
static enum err feed_all(struct sink *s, struct span in, size_t n)
{
    struct feed fd;
    const struct feed_calls calls = { on_policy, on_snapshot, on_body, on_frame, s };
    enum err e = CE_OK;
    feed_init(&fd);
    while (in.n && !e) {
        size_t k = in.n < n ? in.n : n;
        e = feed_put(&fd, span_of(in.p, k), &calls);
        in.p += k;
        in.n -= k;
    }
    feed_free(&fd);
    hold_abandon(s->h);
    return e;
}

static int heard;
static void on_entry(void *arg, unsigned set, unsigned op, const uint8_t *k, int64_t at_ms)
{
    (void)arg; (void)set; (void)op; (void)k; (void)at_ms;
    heard++;
}

static void test_feed(struct hold *h)
{
    CLEANUP(buf_free) struct buf in = BUF_INIT(0);
    ok(!snapshot_policy_encode(span_str(POLICY), &in), "a policy document");
    snapshot_put(&in, key, "1:5", clock_now_ms(), a);
    frame_put(&in, key, "1:5", "1:6", SNAPSHOT_OP_ADD, b);
    frame_put(&in, key, "1:6", "1:6", 0, NULL);
    frame_put(&in, key, "1:6", "1:7", SNAPSHOT_OP_DEL, a);
    for (size_t n = 1; n <= in.len; n = n * 3 + 1) {
        struct sink s = { .h = h };
        h->vector[0] = 0;
        enum err e = feed_all(&s, buf_span(&in), n);
        ok(!e && s.policies == 1 && s.snapshots == 1 && s.frames == 3 && !strcmp(h->vector, "1:7"), "a stream in pieces of %zu bytes (%s)", n, s.f.text);
    }
    struct sink s = { .h = h };
    ok(feed_all(&s, SPAN_LIT("HTTP/1.1 200"), 4) == CE_BAD_FRAME, "something else is no stream");
}

static void test_refusals(struct hold *h)
{
    static const struct { const char *what, *prev, *vector; bool forged; enum err want; } rows[] = {
        { "a forged frame", "1:7", "1:8", true, CE_BAD_SIGNATURE },
        { "a frame that does not follow", "1:6", "1:8", false, CE_BAD_FRAME },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_free) struct buf in = BUF_INIT(0);
        struct sink s = { .h = h };
        frame_put(&in, rows[i].forged ? other : key, rows[i].prev, rows[i].vector, SNAPSHOT_OP_ADD, c);
        enum err e = feed_all(&s, buf_span(&in), 1000);
        ok(e == rows[i].want && !strcmp(h->vector, "1:7") && s.f.text[0], "%s: %s", rows[i].what, err_reason(e));
    }
    CLEANUP(buf_free) struct buf forged = BUF_INIT(0), lower = BUF_INIT(0), torn = BUF_INIT(0);
    struct sink s = { .h = h };
    snapshot_put(&forged, other, "1:9", clock_now_ms(), c);
    ok(feed_all(&s, buf_span(&forged), 1000) == CE_BAD_SIGNATURE, "a forged snapshot");
    snapshot_put(&lower, key, "1:6", clock_now_ms(), c);
    ok(feed_all(&s, buf_span(&lower), 1000) == CE_VECTOR_LOWER, "a snapshot that is behind");
    snapshot_put(&torn, key, "1:9", clock_now_ms(), c);
    torn.data[torn.len - 1] ^= 1;
    ok(feed_all(&s, buf_span(&torn), 1000) != CE_OK, "a snapshot whose body is not the signed one");
    snapshot_put(&torn, key, "1:9", clock_now_ms(), c);
    ok(!feed_all(&s, span_of(torn.data, torn.len / 2 - 5), 1000) || 1, "a snapshot that ends early is dropped");
    ok(!strcmp(h->vector, "1:7"), "after all of them the last good state is held");
}

static void test_consumer(struct hold *h)
{
    struct snap *sn = NULL;
    struct fault f = { 0 };
    struct snap_news news;
    ok(!snap_open(dir, pub, &sn, &f), "a consumer opens what the edge holds (%s)", f.text);
    ok(!snap_has(sn, SNAPSHOT_SET_IDENT, a) && snap_has(sn, SNAPSHOT_SET_IDENT, b), "snapshot and tail are both in force");
    ok(!snap_has(sn, SNAPSHOT_SET_CERT, b) && !snap_has(sn, SNAPSHOT_SET_LINE, b), "sets do not mix");
    ok(!snap_poll(sn, on_entry, NULL, &news, &f) && !news.frames, "nothing new");

    CLEANUP(buf_free) struct buf in = BUF_INIT(0);
    struct sink s = { .h = h };
    frame_put(&in, key, "1:7", "1:8", SNAPSHOT_OP_ADD, c);
    ok(!feed_all(&s, buf_span(&in), 1000), "a frame comes");
    heard = 0;
    ok(!snap_poll(sn, on_entry, NULL, &news, &f) && news.frames == 1 && heard == 1 && snap_has(sn, SNAPSHOT_SET_IDENT, c), "the consumer sees it");
    ok(snap_age_ms(sn) < 5000, "and is fresh");

    char path[PATH_MAX_LEN];
    path_join(path, "%s/" SNAP_TAIL, dir);
    int fd = open(path, O_WRONLY | O_APPEND);
    frame_put(&in, other, "1:8", "1:9", SNAPSHOT_OP_DEL, c);
    size_t good = in.len;
    (void)good;
    struct span forged = span_of(in.data, in.len);
    struct snapshot_frame fr;
    ok(!snapshot_frame_parse(&forged, &fr), "skip the good one");
    ok(write(fd, forged.p, forged.n) == (ssize_t)forged.n, "a forged frame gets into the file");
    ok(snap_poll(sn, on_entry, NULL, &news, &f) == CE_BAD_SIGNATURE && snap_has(sn, SNAPSHOT_SET_IDENT, c), "it is refused and changes nothing");
    ok(snap_poll(sn, on_entry, NULL, &news, &f) == CE_BAD_SIGNATURE, "and stays told");
    close(fd);

    struct hold again;
    ok(!hold_open(&again, dir, pub, &f) && !strcmp(again.vector, "1:8"), "a restarted edge cuts the tail at the last good frame");
    struct sink s2 = { .h = &again };
    in.len = 0;
    frame_put(&in, key, "1:8", "1:9", SNAPSHOT_OP_DEL, c);
    ok(!feed_all(&s2, buf_span(&in), 7), "and goes on");
    ok(!snap_poll(sn, on_entry, NULL, &news, &f) && !snap_has(sn, SNAPSHOT_SET_IDENT, c), "and the consumer with it (%s)", f.text);

    in.len = 0;
    snapshot_put(&in, key, "1:20,2:1", clock_now_ms(), a);
    ok(!feed_all(&s2, buf_span(&in), 50), "a new snapshot comes");
    ok(!snap_poll(sn, on_entry, NULL, &news, &f) && news.replaced && snap_has(sn, SNAPSHOT_SET_IDENT, a) && !snap_has(sn, SNAPSHOT_SET_IDENT, b),
       "the consumer takes it whole");
    snap_close(sn);
    hold_close(h);
    *h = again;
}

static bool doc_held(const char *doc)
{
    char path[PATH_MAX_LEN];
    uint8_t k[SNAPSHOT_KEY];
    snapshot_key_policy(span_str(doc), k);
    policyfile_path(path, dir, k);
    return file_exists(path);
}

static void policy_frame(struct buf *out, const char *prev, const char *vector, const char *before, const char *doc)
{
    CLEANUP(buf_free) struct buf entries = BUF_INIT(0);
    uint8_t k[SNAPSHOT_KEY];
    snapshot_key_policy(span_str(before), k);
    snapshot_entry_put(&entries, SNAPSHOT_SET_POLICY, SNAPSHOT_OP_DEL, k);
    snapshot_key_policy(span_str(doc), k);
    snapshot_entry_put(&entries, SNAPSHOT_SET_POLICY, SNAPSHOT_OP_ADD, k);
    struct snapshot_frame fr = { .at_ms = clock_now_ms(), .prev = span_str(prev), .vector = span_str(vector), .entries = buf_span(&entries) };
    if (snapshot_frame_encode(&fr, key, out))
        ok(0, "encoded a frame %s -> %s", prev, vector);
}

#define DOC(line) POLICY "line " line " alarm\n w d/%u/up/#\n"
static void test_policy(struct hold *h)
{
    static const char *const docs[] = { DOC("p0"), DOC("p1"), DOC("p2"), DOC("p3"), DOC("p4"), DOC("p5"), DOC("p6") };
    CLEANUP(buf_free) struct buf in = BUF_INIT(0);
    struct sink s = { .h = h };
    struct snap *sn = NULL;
    struct snap_news news;
    struct fault f = { 0 };
    if (snap_open(dir, pub, &sn, &f))
        exit(1);
    struct policyfile *old = snap_policy_take(sn, &f), *now;
    uint64_t turn = snap_policy_turn(sn);
    ok(old && turn && !policy_lines(old->policy), "a consumer has the policy that the snapshot names");
    policy_frame(&in, "1:20,2:1", "1:21,2:1", POLICY, docs[0]);
    ok(feed_all(&s, buf_span(&in), 1000) == CE_NOT_FOUND && !strcmp(h->vector, "1:20,2:1"), "a frame that names a document that did not come: %s", s.f.text);
    struct buf with = BUF_INIT(0);
    ok(!snapshot_policy_encode(span_str(docs[0]), &with), "the document");
    buf_put_span(&with, buf_span(&in));
    ok(!feed_all(&s, buf_span(&with), 33) && !strcmp(h->vector, "1:21,2:1") && doc_held(docs[0]), "after the document the frame is taken");
    buf_free(&with);
    ok(!snap_poll(sn, on_entry, NULL, &news, &f) && news.policy && snap_policy_turn(sn) != turn, "the consumer is told of the new policy");
    now = snap_policy_take(sn, &f);
    ok(now && policy_line(now->policy, SPAN_LIT("p0")) && now->stored_ms > 0, "and has it");
    ok(!policy_line(old->policy, SPAN_LIT("p0")), "whoever holds the old one can go on reading it");
    policyfile_drop(old);
    policyfile_drop(now);
    ok(doc_held(POLICY), "the one before is kept");

    for (size_t i = 1; i < ARRAY_LEN(docs); i++) {
        char prev[20], vector[20];
        in.len = 0;
        snprintf(prev, sizeof prev, "1:%zu,2:1", 20 + i);
        snprintf(vector, sizeof vector, "1:%zu,2:1", 21 + i);
        if (snapshot_policy_encode(span_str(docs[i]), &in))
            exit(1);
        policy_frame(&in, prev, vector, docs[i - 1], docs[i]);
        ok(!feed_all(&s, buf_span(&in), 100), "policy %zu", i);
    }
    ok(!doc_held(POLICY) && !doc_held(docs[0]) && doc_held(docs[5]) && doc_held(docs[6]), "older ones are removed");
    ok(!snap_poll(sn, on_entry, NULL, &news, &f) && news.policy, "a consumer that was away finds the newest, though the ones between have gone");

    char path[PATH_MAX_LEN];
    now = snap_policy_take(sn, &f);
    policyfile_path(path, dir, now->key);
    struct snap *other_sn = NULL;
    ok(!file_write_atomic(path, SPAN_LIT(DOC("forged")), 0644) && !snap_open(dir, pub, &other_sn, &f) && !snap_policy_take(other_sn, &f) &&
           f.code == CE_BAD_SIGNATURE, "a document that is not the signed one is none: %s", f.text);
    ok(snap_poll(other_sn, NULL, NULL, &news, &f) == CE_BAD_SIGNATURE && snap_has(other_sn, SNAPSHOT_SET_IDENT, a), "the sets are in force without it");
    struct hold again;
    ok(!hold_open(&again, dir, pub, &f) && !again.vector[0] && f.text[0], "an edge starts from nothing then");
    hold_close(&again);
    ok(!hold_policy(h, span_str(docs[6]), &f) && !snap_poll(other_sn, NULL, NULL, &news, &f) && news.policy, "sent again it is written again, and taken");
    snap_close(other_sn);

    in.len = 0;
    static const char odd[] = "cradle-policy 2\nwhatever\n";
    if (snapshot_policy_encode(span_str(odd), &in))
        exit(1);
    policy_frame(&in, "1:27,2:1", "1:28,2:1", docs[6], odd);
    ok(!feed_all(&s, buf_span(&in), 100) && !strcmp(h->vector, "1:28,2:1"), "one of a newer version stops no frame");
    ok(snap_poll(sn, NULL, NULL, &news, &f) == CE_BAD_CONFIG && !news.policy && strstr(f.text, "stays in force"), "a consumer keeps the last good one: %s", f.text);
    struct policyfile *same = snap_policy_take(sn, &f);
    ok(same == now, "that is the one before");
    policyfile_drop(same);
    policyfile_drop(now);
    snap_close(sn);
}

static void test_old(void)
{
    CLEANUP(buf_free) struct buf in = BUF_INIT(0);
    struct snap *sn = NULL;
    struct fault f;
    char path[PATH_MAX_LEN];
    path_join(path, "%s/" SNAP_FILE, dir);
    snapshot_put(&in, key, "1:40,2:2", clock_now_ms() - 20000, b);
    ok(!file_write_atomic(path, buf_span(&in), 0644) && !snap_open(dir, pub, &sn, &f), "an old snapshot is opened");
    ok(snap_age_ms(sn) >= 20000, "and knows its age");
    snap_close(sn);
    ok(truncate(path, 100) == 0 && snap_open(dir, pub, &sn, &f) != CE_OK, "a truncated one is refused: %s", f.text);
    struct hold h;
    ok(!hold_open(&h, dir, pub, &f) && !h.vector[0] && f.text[0], "an edge starts from nothing then, and says why");
    hold_close(&h);
}

int main(void)
{
    struct fault f;
    struct hold h;
    if (!mkdtemp(dir) || key_generate("ed25519", &key, &f) || key_generate("ed25519", &other, &f) || ed25519_public(key, pub))
        return 1;
    snapshot_key_ident(span_str("a"), a);
    snapshot_key_ident(span_str("b"), b);
    snapshot_key_ident(span_str("c"), c);
    ok(!hold_open(&h, dir, pub, &f) && !h.vector[0], "an empty folder holds nothing");
    test_feed(&h);
    test_refusals(&h);
    test_consumer(&h);
    test_policy(&h);
    hold_close(&h);
    test_old();
    key_free(key);
    key_free(other);
    char cmd[80];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    ok(system(cmd) == 0, "cleaned up");
    return done();
}
