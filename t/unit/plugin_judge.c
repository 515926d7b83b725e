/* plugin_judge.c: the plugin's pure parts: verdicts, sessions. */
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "plugin/judge.h"
#include "plugin/session.h"
#include "t/tap.h"
#include "wire/snapshot.h"

static void key_of(const char *uid, uint8_t key[SNAPSHOT_KEY]) { snapshot_key_ident(span_str(uid), key); }

static void test_judge(void)
{
    struct judge_trust t = { 0 };
    struct peer p = { .kind = PEER_DEVICE, .cn = "dev1", .line = "L", .not_before = 100, .not_after = 200, .client_auth = true };
    static const struct { enum err want; struct judge_facts facts; const char *id; enum peer_kind kind; bool no_eku; const char *what; } rows[] = {
        { CE_OK, { .now_s = 150, .refuse_ms = 10, .line_known = true }, "dev1", PEER_DEVICE, false, "an honest device" },
        { CE_OK, { .now_s = 200, .refuse_ms = 10, .line_known = true }, "dev1", PEER_DEVICE, false, "in its last second" },
        { CE_CERT_EXPIRED, { .now_s = 201 }, "dev1", PEER_DEVICE, false, "expired" },
        { CE_CERT_NOT_YET, { .now_s = 99 }, "dev1", PEER_DEVICE, false, "not yet valid" },
        { CE_NAME_MISMATCH, { .now_s = 150, .line_known = true }, "dev2", PEER_DEVICE, false, "another client id" },
        { CE_NAME_MISMATCH, { .now_s = 150, .line_known = true }, NULL, PEER_DEVICE, false, "no client id" },
        { CE_CERT_FOREIGN, { .now_s = 150 }, "dev1", PEER_FOREIGN, false, "a foreign issuer" },
        { CE_CERT_FOREIGN, { .now_s = 150 }, "dev1", PEER_DEVICE, true, "no clientAuth" },
        { CE_DEVICE_REVOKED, { .now_s = 150, .ident_blocked = true }, "dev1", PEER_DEVICE, false, "a blocked identity" },
        { CE_CERT_REVOKED, { .now_s = 150, .cert_revoked = true }, "dev1", PEER_DEVICE, false, "a revoked certificate" },
        { CE_LINE_SUSPENDED, { .now_s = 150, .line_suspended = true }, "dev1", PEER_DEVICE, false, "a suspended line" },
        { CE_STALE, { .now_s = 150, .line_known = true, .age_ms = 11, .refuse_ms = 10 }, "dev1", PEER_DEVICE, false, "a stale snapshot" },
        { CE_OK, { .now_s = 150, .age_ms = 11, .refuse_ms = 10, .live = true }, "dev1", PEER_DEVICE, false, "a stale snapshot and a live session" },
        { CE_LINE_UNKNOWN, { .now_s = 150 }, "dev1", PEER_DEVICE, false, "a line that is not in the policy" },
        { CE_OK, { .now_s = 150, .live = true }, "dev1", PEER_DEVICE, false, "the same, but a live session" },
        { CE_OK, { .now_s = 150, .line_known = true, .quarantined = true }, "dev1", PEER_DEVICE, false, "a quarantined device that logs in" },
        { CE_OK, { .now_s = 150, .quarantined = true, .live = true, .repair = true }, "dev1", PEER_DEVICE, false, "its session" },
        { CE_DEVICE_QUARANTINED, { .now_s = 150, .quarantined = true, .live = true }, "dev1", PEER_DEVICE, false, "a session from before the quarantine" },
        { CE_QUARANTINE_OVER, { .now_s = 150, .live = true, .repair = true }, "dev1", PEER_DEVICE, false, "a session in quarantine, when it is over" },
        { CE_DEVICE_REVOKED, { .now_s = 150, .ident_blocked = true, .quarantined = true, .live = true }, "dev1", PEER_DEVICE, false, "revoked in quarantine" },
        { CE_NAME_MISMATCH, { .now_s = 150, .line_known = true, .backend_listed = true }, "dev1", PEER_DEVICE, false, "a device that is called like a backend" },
        { CE_ROLE_FORBIDDEN, { .now_s = 150 }, "dev1", PEER_BACKEND, false, "infrastructure that is not listed" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fault f = { 0 };
        p.kind = rows[i].kind;
        p.client_auth = !rows[i].no_eku;
        enum err e = judge_peer(&p, rows[i].id, &rows[i].facts, &f);
        ok(e == rows[i].want && (!e || f.text[0]), "%s: %s", rows[i].what, err_reason(e));
    }
    memcpy(p.cn, "backend", 8);
    p.kind = PEER_BACKEND;
    p.client_auth = true;
    struct fault f;
    ok(!judge_peer(&p, "backend", &(struct judge_facts){ .now_s = 150, .backend_listed = true }, &f), "a listed backend client");
    ok(judge_peer(&p, "backend", &(struct judge_facts){ .now_s = 150, .backend_listed = true, .ident_blocked = true }, &f) == CE_OPERATOR_REMOVED, "removed, it is out");
    ok(peer_read(SPAN_LIT("\x30\x03junk"), &t, &p, &f) != CE_OK, "junk is no certificate");
}

static struct peer peer_make(int i, int64_t end)
{
    struct peer p = { .kind = PEER_DEVICE, .line = "hall", .not_after = end };
    snprintf(p.cn, sizeof p.cn, "u%d", i);
    key_of(p.cn, p.ident_key);
    memcpy(p.cert_key, p.ident_key, SNAPSHOT_KEY);
    p.cert_key[0] ^= 1;
    return p;
}

#define N 5000
static void test_session(void)
{
    struct session_table *t = session_table_new();
    static char clients[N];
    bool good = true;
    for (int i = 0; i < N; i++) {
        struct peer p = peer_make(i, (i * 7919) % N);
        session_add(t, &clients[i], &p, "127.0.0.1");
    }
    ok(session_count(t) == N, "%d sessions", N);
    for (int i = 0; i < N; i++) {
        struct session *s = session_find(t, &clients[i]);
        good &= s && session_by_ident(t, s->peer.ident_key) == s && session_by_cert(t, s->peer.cert_key) == s && !session_ident_next(s);
    }
    ok(good, "each is found by pointer, identity and certificate");
    session_sweep_begin(t, SWEEP_JUDGE);
    int met = 0;
    for (struct session *s; (s = session_sweep_next(t, SWEEP_JUDGE)); met++)
        if (met % 3 == 0)
            session_remove(t, s);
    ok(met == N && session_count(t) == N - (N + 2) / 3, "a sweep meets each once, while some go");
    int64_t last = -1;
    good = true;
    for (struct session *s; (s = session_first_end(t)); session_remove(t, s)) {
        good &= s->peer.not_after >= last;
        last = s->peer.not_after;
    }
    ok(good && session_count(t) == 0, "the first to end is always first");

    struct peer p = peer_make(1, 5);
    session_remove(t, session_add(t, &clients[0], &p, "a"));
    struct session_memory was;
    ok(session_gone(t, p.ident_key, &was) && was.kind == PEER_DEVICE && !strcmp(was.line, "hall"), "an ended session is remembered by name, with its line");
    ok(session_gone_was(t, &p, &clients[0]) && !session_gone_was(t, &p, &clients[1]), "and by pointer");
    struct session *s = session_add(t, &clients[0], &p, "a"), *s2 = session_add(t, &clients[1], &p, "b");
    ok(session_ident_next(session_by_ident(t, p.ident_key)), "one identity may have two for a moment");
    s->kicked = true;
    session_remove(t, s);
    ok(!session_gone(t, p.ident_key, &was), "a kicked one is not");
    ok(session_by_ident(t, p.ident_key) == s2, "the other stays");
    ok(session_add(t, &clients[1], &p, "c") && session_count(t) == 1, "a pointer used again replaces the old entry");
    session_table_free(t);
}

int main(void)
{
    test_judge();
    test_session();
    return done();
}
