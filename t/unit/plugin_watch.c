/* plugin_watch.c: the plugin's two threads under load: the broker's (this one: sessions, topics, ticks) and the plugin's own (watch.c), while
 * an edge writes frames, snapshots and policies as fast as it can and takes the reports. Run with ThreadSanitizer too. */
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "edge/hold.h"
#include "plugin/guard.h"
#include "t/tap.h"
#include "wire/report.h"

#define SESSIONS 200
#define STEPS 1200      /* of the edge */
#define LIMIT_MS 60000

static char dir[] = "/tmp/cradle-watch-XXXXXX", sock_path[64];
static struct key *key;
static uint8_t pub[SNAP_PUB];
static int64_t from_ms;
static atomic_bool nearly, settled, written, ended; /* nearly: all but the last frame; settled: nobody logs in any more */
static atomic_uint told, bad_reports;
static char clients[SESSIONS + 1];

/* Two policies: under the one devices publish to d/UID/, under the other to e/UID/; only the first has the backend. */
static const char *const docs[2] = {
    "cradle-policy 1\nline hall alarm\n w d/%u/#\n r %l/#\n q repair/%u\nbackend app\n w #\n", "cradle-policy 1\nline hall alarm\n w e/%u/#\n r %l/#\n q repair/%u\n"
};

static void uid_of(int i, char uid[UID_MAX + 1]) { snprintf(uid, UID_MAX + 1, "dev-%d", i); }
static bool over(void) { return clock_mono_ms() - from_ms > LIMIT_MS; }

static void key_of(enum snapshot_set set, int i, uint8_t out[SNAPSHOT_KEY])
{
    char uid[UID_MAX + 1];
    uid_of(i, uid);
    if (set == SNAPSHOT_SET_POLICY)
        snapshot_key_policy(span_str(docs[i]), out);
    else
        snapshot_key_ident(span_str(uid), out);
}

/* -- the edge ------------------------------------------------------------------------------------------------------------------ */
static void snapshot_take(struct hold *h, const char *vector, int doc)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    uint8_t sha[SHA256_LEN], body[SNAPSHOT_KEY];
    struct snapshot_header head;
    struct fault f;
    key_of(SNAPSHOT_SET_POLICY, doc, body);
    sha256(span_of(body, sizeof body), sha);
    head = (struct snapshot_header){ .at_ms = clock_now_ms(), .n[SNAPSHOT_SET_POLICY - 1] = 1, .body_sha256 = span_of(sha, sizeof sha), .vector = span_str(vector) };
    if (snapshot_header_encode(&head, key, &out))
        abort();
    struct span in = buf_span(&out);
    if (hold_policy(h, span_str(docs[doc]), &f) || snapshot_header_parse(&in, &head) || hold_snapshot(h, &head, &f) ||
        hold_body(h, span_of(body, sizeof body), true, &f)) {
        printf("# %s\n", f.text);
        abort();
    }
}

static void frame_take(struct hold *h, int step, const struct buf *entries)
{
    CLEANUP(buf_free) struct buf out = BUF_INIT(0);
    char prev[20], vector[20];
    struct fault f;
    snprintf(prev, sizeof prev, "1:%d", step);
    snprintf(vector, sizeof vector, "1:%d", step + 1);
    struct snapshot_frame fr = { .at_ms = clock_now_ms(), .prev = span_str(prev), .vector = span_str(vector), .entries = buf_span(entries) };
    if (snapshot_frame_encode(&fr, key, &out))
        abort();
    struct span in = buf_span(&out);
    if (snapshot_frame_parse(&in, &fr) || hold_frame(h, &fr, &f)) {
        printf("# %s\n", f.text);
        abort();
    }
}

static void entry(struct buf *b, enum snapshot_set set, enum snapshot_op op, int i)
{
    uint8_t k[SNAPSHOT_KEY];
    key_of(set, i, k);
    snapshot_entry_put(b, set, op, k);
}

/* Each step blocks one device or quarantines one; every third changes the policy, every hundredth is a whole new snapshot, in which nobody is
 * blocked. The last is a frame that leaves policy 1, device 1 blocked and device 2 in quarantine. */
static void *edge_run(void *arg)
{
    struct hold *h = arg;
    struct fault f;
    for (int step = 1; step <= STEPS; step++) {
        CLEANUP(buf_free) struct buf entries = BUF_INIT(0);
        char vector[20];
        int i = step % SESSIONS, doc = step / 3 % 2;
        if (step % 100 == 0 && step < STEPS) {
            snprintf(vector, sizeof vector, "1:%d", step + 1);
            snapshot_take(h, vector, doc);
            continue;
        }
        if (step == STEPS) {
            atomic_store(&nearly, true);
            while (!atomic_load(&settled) && !over())
                usleep(1000);
            i = doc = 1;
            entry(&entries, SNAPSHOT_SET_REPAIR, SNAPSHOT_OP_ADD, 2);
        }
        entry(&entries, step % 2 && step < STEPS ? SNAPSHOT_SET_REPAIR : SNAPSHOT_SET_IDENT, SNAPSHOT_OP_ADD, i);
        if (step % 3 == 0) {
            if (hold_policy(h, span_str(docs[doc]), &f))
                abort();
            entry(&entries, SNAPSHOT_SET_POLICY, SNAPSHOT_OP_DEL, !doc);
            entry(&entries, SNAPSHOT_SET_POLICY, SNAPSHOT_OP_ADD, doc);
        }
        frame_take(h, step, &entries);
        if (step % 16 == 0)
            usleep(1000);
    }
    atomic_store(&written, true);
    return NULL;
}

static void *reports_run(void *arg)
{
    int fd = *(int *)arg;
    uint8_t bytes[REPORT_DATAGRAM_MAX];
    struct msg_report m;
    while (!atomic_load(&ended)) {
        ssize_t n = recv(fd, bytes, sizeof bytes, 0); /* with a time limit */
        if (n < 0)
            continue;
        if (report_unpack(span_of(bytes, (size_t)n), &m))
            atomic_fetch_add(&bad_reports, 1);
        else if (span_eq_str(m.kind, "cut"))
            atomic_fetch_add(&told, 1);
    }
    return NULL;
}

/* -- the broker's thread --------------------------------------------------------------------------------------------------------- */
static void session_put(struct guard *g, int i, enum peer_kind kind)
{
    struct peer p = { .kind = kind, .line = "hall", .not_after = INT64_MAX, .client_auth = true };
    if (kind == PEER_BACKEND)
        snprintf(p.cn, sizeof p.cn, "app");
    else
        uid_of(i, p.cn);
    snapshot_key_ident(span_str(p.cn), p.ident_key);
    snapshot_key_line(span_str(p.line), p.line_key);
    memcpy(p.cert_key, p.ident_key, SNAPSHOT_KEY);
    session_add(g->sessions, &clients[i], &p, "127.0.0.1");
}

/* As plugin.c does, but that the session comes back at once: 1 when it was cut. */
static int judge(struct guard *g, struct session *s)
{
    struct fault f;
    struct session was = *s;
    enum err why = guard_judge_live(g, s, &f);
    if (!why)
        return 0;
    s->kicked = true;
    guard_report_cut(g, &was, why, 0, 0);
    guard_gone(g, was.client);
    return 1;
}

static int tick(struct guard *g)
{
    struct session *s;
    int cut = 0;
    if (!watch_due(g->watch))
        return 0;
    watch_take(g->watch, &g->work);
    for (size_t i = 0; i < g->work.n_jobs; i++)
        for (s = session_by_ident(g->sessions, g->work.jobs[i].key); s; s = NULL)
            cut += judge(g, s);
    if (g->work.judge_all) {
        session_sweep_begin(g->sessions, SWEEP_JUDGE);
        while ((s = session_sweep_next(g->sessions, SWEEP_JUDGE)))
            cut += judge(g, s);
    }
    return cut;
}

static bool may(struct guard *g, int i, const char *topic, unsigned access)
{
    struct guard_client c = { .client = (const struct mosquitto *)(const void *)&clients[i], .addr = "" };
    bool bypass;
    return guard_acl(g, &c, topic, access, &bypass);
}

/* Does the session have the rights of one of the two policies, not of both and not of none? */
static bool rights_hold(struct guard *g, int i)
{
    char d[100], e[100];
    uint64_t turn = snap_policy_turn(g->snap);
    snprintf(d, sizeof d, "d/dev-%d/x", i);
    snprintf(e, sizeof e, "e/dev-%d/x", i);
    bool one = may(g, i, d, TOPIC_WRITE), other = may(g, i, e, TOPIC_WRITE), line = may(g, i, "hall/x", TOPIC_READ);
    return turn != snap_policy_turn(g->snap) || (one != other && line);
}

static void broker_run(struct guard *g)
{
    int cuts = 0, wrong = 0, checks = 0, lost = 0;
    for (int i = 0; !over() && (!atomic_load(&written) || watch_due(g->watch) || i % SESSIONS); i++) {
        int n = i % SESSIONS;
        cuts += tick(g);
        if (!session_find(g->sessions, &clients[n]) && !atomic_load(&settled))
            session_put(g, n, PEER_DEVICE); /* it logs in again; whether it may is not the question here */
        if (n == 0 && i && atomic_load(&nearly) && session_find(g->sessions, &clients[1]) && session_find(g->sessions, &clients[2]))
            atomic_store(&settled, true);
        wrong += session_find(g->sessions, &clients[n]) && !rights_hold(g, n);
        checks++;
        if (i % 50 == 0) {
            struct tally_item x = { .code = CE_STALE, .at_ms = clock_now_ms() };
            outbox_refused(g->outbox, &x);
        }
    }
    ok(atomic_load(&written) && !over(), "the edge wrote %d steps", STEPS);
    ok(!wrong, "each of %d sessions had the rights of the one policy or of the other, in %d looks", SESSIONS, checks);
    ok(cuts > 0, "%d sessions were cut", cuts);
    for (int i = 0; i < SESSIONS; i++)
        lost += session_find(g->sessions, &clients[i]) == NULL;
    ok(lost < SESSIONS, "others stayed");
}

static void end_state(struct guard *g)
{
    uint8_t k[SNAPSHOT_KEY];
    char want[20], got[SNAPSHOT_VECTOR_MAX + 1];
    snprintf(want, sizeof want, "1:%d", STEPS + 1);
    do {
        usleep(1000);
        tick(g);
        snap_vector(g->snap, got);
    } while (strcmp(got, want) != 0 && !over());
    usleep(600000); /* one look more: the policy is loaded after its frame */
    tick(g);
    ok(!strcmp(got, want), "the last frame is in force: %s", got);
    for (int i = 1; i <= 2; i++)
        ok(!session_find(g->sessions, &clients[i]), "device %d is out", i);
    key_of(SNAPSHOT_SET_REPAIR, 2, k);
    ok(snap_has(g->snap, SNAPSHOT_SET_REPAIR, k), "device 2 is in quarantine");
    session_put(g, 3, PEER_DEVICE);
    ok(may(g, 3, "e/dev-3/x", TOPIC_WRITE) && !may(g, 3, "d/dev-3/x", TOPIC_WRITE), "the last policy decides");
    ok(!session_find(g->sessions, &clients[SESSIONS]), "the backend that has left the policy is out");
}

static enum err guard_make(struct guard *g, struct fault *f)
{
    struct plugin_config *c = &g->opts.cfg;
    opts_defaults(&g->opts);
    snprintf(c->snapshot_dir, sizeof c->snapshot_dir, "%s", dir);
    enum err e = snap_open(dir, pub, &g->snap, f);
    if (!e && !(g->policy = snap_policy_take(g->snap, f)))
        e = f->code;
    g->policy_turn = snap_policy_turn(g->snap);
    g->sessions = session_table_new();
    copies_open(&g->copies, g->sessions);
    g->presence.sessions = g->sessions;
    if (!e)
        e = outbox_new(sock_path, &g->outbox, f);
    g->presence.outbox = g->outbox;
    return e ? e : guard_watch(g, f);
}

int main(void)
{
    static struct guard g;
    static struct hold h;
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct timeval limit = { .tv_usec = 100000 };
    struct fault f = { 0 };
    pthread_t edge, reports;
    from_ms = clock_mono_ms();
    if (!mkdtemp(dir) || key_generate("ed25519", &key, &f) || ed25519_public(key, pub) || hold_open(&h, dir, pub, &f))
        return 1;
    snprintf(sock_path, sizeof sock_path, "%s/report.sock", dir);
    snprintf(at.sun_path, sizeof at.sun_path, "%s", sock_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit))
        return 1;
    snapshot_take(&h, "1:1", 0);
    enum err e = guard_make(&g, &f);
    ok(!e, "the plugin's thread runs: %s", e ? f.text : "ok");
    for (int i = 0; i < SESSIONS; i++)
        session_put(&g, i, PEER_DEVICE);
    session_put(&g, SESSIONS, PEER_BACKEND);
    ok(may(&g, SESSIONS, "any/topic", TOPIC_WRITE), "a backend has its scope");
    if (pthread_create(&edge, NULL, edge_run, &h) || pthread_create(&reports, NULL, reports_run, &fd))
        return 1;
    broker_run(&g);
    pthread_join(edge, NULL);
    end_state(&g);
    guard_close(&g);
    atomic_store(&ended, true);
    pthread_join(reports, NULL);
    ok(atomic_load(&told) > 0 && !atomic_load(&bad_reports), "%u cuts were reported, no malformed report", atomic_load(&told));
    hold_close(&h);
    key_free(key);
    close(fd);
    char cmd[80];
    snprintf(cmd, sizeof cmd, "rm -rf %s", dir);
    ok(system(cmd) == 0, "cleaned up");
    return done();
}
