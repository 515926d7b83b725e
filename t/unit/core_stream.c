/* core_stream.c: the set of keys, and the revocation stream when much changes at once, the signer fails, or a subscriber comes at a
 * bad moment. Ordinary revocations: core_revoke.c.
 */
#include "core/stream.h"
#include "core/stream_set.h"
#include "t/tap.h"
#include "t/unit/cert_site.h"
#include "t/unit/cert_subscriber.h"

#define MANY (STREAM_FRAME_ENTRIES + 100)

static void key_of(int i, uint8_t key[STREAM_KEY])
{
    char name[24];
    snprintf(name, sizeof name, "k%d", i);
    snapshot_key_ident(span_str(name), key);
}

/* Against the simplest possible set. */
static void sets(void)
{
    struct stream_set set = { 0 };
    bool in[200] = { 0 }, good = true;
    uint8_t key[STREAM_KEY];
    unsigned r = 7;
    for (int i = 0; i < 20000; i++) {
        r = r * 1664525 + 1013904223;
        int k = (int)(r >> 16) % 200, op = (r >> 8) & 1 ? SNAPSHOT_OP_ADD : SNAPSHOT_OP_DEL;
        in[k] = op == SNAPSHOT_OP_ADD;
        key_of(k, key);
        stream_set_change(&set, op, key);
        if (i % 997)
            continue;
        struct span body = stream_set_body(&set);
        size_t n = 0;
        for (int x = 0; x < 200; x++) {
            key_of(x, key);
            n += in[x];
            good &= stream_set_has(&set, key) == in[x];
        }
        good &= body.n == n * STREAM_KEY;
        for (size_t x = STREAM_KEY; x < body.n; x += STREAM_KEY)
            good &= memcmp(body.p + x - STREAM_KEY, body.p + x, STREAM_KEY) < 0;
    }
    ok(good, "twenty thousand changes: the set is right and ascending at every look");
    stream_set_free(&set);
}

static void device_send(const char *uid, bool revoke)
{
    struct msg_device_add da = { .uid = span_str(uid), .model = SPAN_LIT("m-pump") };
    struct msg_device_state st = { .uid = span_str(uid), .state = SPAN_LIT("revoked") };
    if (revoke)
        (void)site_send(&s, &s.admin, &msg_desc_device_state, &st);
    else
        (void)site_send(&s, &s.admin, &msg_desc_device_add, &da);
}

static void many(bool revoke, int from, int n)
{
    for (int i = 0; i < n; i++) {
        char uid[24];
        snprintf(uid, sizeof uid, "many-%d", from + i);
        device_send(uid, revoke);
    }
    site_run(&s);
}

static struct subscriber u, back;

static void splitting(void)
{
    site_device(&s, "first", "pump");
    many(false, 0, MANY);
    ok(sub_open(&u) && sub_good(&u), "subscribed");
    back = u;
    size_t frames = s.n_frames;
    s.hold = true;
    many(true, 0, 1);
    many(true, 1, MANY - 1);
    s.hold = false;
    site_run(&s);
    sub_follow(&u);
    ok(sub_good(&u) && u.n[1] == MANY, "%d revocations while the signer was slow arrive (%zu)", MANY, u.n[1]);
    ok(s.n_frames - frames >= 3, "in several frames (%zu)", s.n_frames - frames);
    ok(!sub_open(&back) && sub_good(&back) && back.n[1] == MANY, "one that comes back with the old vector gets all of them");
    back = (struct subscriber){ 0 };
    ok(sub_open(&back) && sub_good(&back) && back.n[1] == MANY && strcmp(back.vector, u.vector) == 0, "a new one gets a snapshot that says the same");
}

/* EDGE_OPEN is sent, then the signer fails in every possible order; the answer comes at last, is right, and leads to what is pushed. */
static void bad_moments(void)
{
    many(false, 10000, 40);
    for (int i = 0; i < 12; i++) {
        struct msg_edge_open m = { .since = SPAN_LIT("") };
        back = (struct subscriber){ 0 };
        site_replies_free(&s);
        many(true, 10000 + 2 * i, 1); /* makes the kept snapshot old, not useless */
        if (i == 10) {                /* useless: the core starts anew */
            site_restart(&s);
        }
        s.hold = i & 1;
        s.down = i & 2;
        size_t at = s.frames.len;
        uint64_t rid = site_send(&s, &edge, &msg_desc_edge_open, &m);
        site_run(&s);
        s.hold = i & 4;
        many(true, 10000 + 2 * i + 1, 1);
        site_wait(&s, 20);
        s.hold = s.down = false;
        for (int k = 0; k < 100 && site_reply_of(&s, rid)->code < 0; k++)
            site_wait(&s, 20);
        const struct msg_reply *r = site_reply_of(&s, rid);
        if (!reply_is(r, CE_OK)) {
            ok(false, "a subscriber at a bad moment (%d) is answered", i);
            continue;
        }
        (void)sub_answer(&back, r->body);
        site_wait(&s, 250);
        /* frames from before the answer are in it already: go on where its vector is */
        struct span rest = span_of(s.frames.data + at, s.frames.len - at);
        struct snapshot_frame fr;
        for (struct span next = rest, doc; next.n && (!snapshot_policy_parse(&next, &doc) || !snapshot_frame_parse(&next, &fr)) && !span_eq_str(fr.prev, back.vector);)
            rest = next;
        sub_frames(&back, rest);
        if (!sub_good(&back) || back.n[1] != (size_t)MANY + 2 + 2 * (size_t)i)
            ok(false, "a subscriber at bad moment %d has %zu blocked identities, not %zu", i, back.n[1], (size_t)MANY + 2 + 2 * (size_t)i);
    }
    ok(true, "subscribers that came at a bad moment were looked at");
}

/* Between two frames of one change the head has not moved, but the first of them is on its way already. */
static void between(void)
{
    static struct subscriber late;
    many(false, 20000, MANY);
    ok(sub_open(&late) && sub_good(&late), "subscribed");
    size_t before = late.n[1];
    s.hold = true;
    many(true, 20000, 1);
    many(true, 20001, MANY - 1);
    size_t pushed = s.n_frames;
    for (int i = 0; i < 100 && s.n_frames < pushed + 1; i++) {
        site_sign(&s);
        site_run(&s);
    }
    sub_follow(&late);
    ok(sub_good(&late) && late.n[1] == before + 1, "the first revocation has arrived (%zu)", late.n[1] - before);
    for (int i = 0; i < 100 && s.n_frames < pushed + 2; i++) {
        site_sign(&s);
        site_run(&s);
    }
    ok(s.n_frames == pushed + 2 && !sub_open(&late) && sub_good(&late), "it comes back when a part of the others is published");
    s.hold = false;
    site_run(&s);
    sub_follow(&late);
    ok(sub_good(&late) && late.n[1] == before + MANY, "and gets all of them (%zu of %d)", late.n[1] - before, MANY);
}

static void line_send(const char *name)
{
    struct msg_line_add m = { .name = span_str(name) };
    (void)site_send(&s, &s.admin, &msg_desc_line_add, &m);
}

/* The document goes before the frame that names it, the newest only, whatever becomes of frames meanwhile. */
static void policies(void)
{
    static struct subscriber new;
    back = (struct subscriber){ 0 };
    ok(sub_open(&back) && sub_good(&back) && strstr(back.document, "line pump alarm\n w d/%u/up/#\n r d/%u/down/#\n q d/%u/repair/#\n"),
       "a snapshot comes with its policy document, in which a line that sets nothing has the default topics");
    new = back;
    size_t documents = back.n_documents;
    line_send("boiler");
    site_run(&s);
    sub_follow(&back);
    ok(sub_good(&back) && back.n_documents == documents + 1 && strstr(back.document, "line boiler ") == strstr(back.document, "line "),
       "a new line: its document is pushed before the frame that names it, lines in order of their names");
    ok(!sub_open(&new) && sub_good(&new) && strcmp(new.document, back.document) == 0, "one that was away gets the document with the frames");
    s.hold = true;
    line_send("l-1"); /* goes to the signer */
    site_run(&s);
    s.down = true;
    line_send("l-2");
    line_send("l-3");
    site_run(&s);
    s.hold = false;
    site_run(&s); /* refused */
    s.down = false;
    size_t pushed = s.n_frames;
    for (int i = 0; i < 50 && s.n_frames == pushed; i++)
        site_wait(&s, 20);
    documents = back.n_documents;
    sub_follow(&back);
    ok(sub_good(&back) && back.n_documents == documents + 1 && strstr(back.document, "line l-1 ") && strstr(back.document, "line l-3 "),
       "three changes while the signer failed are one document");
    s.hold = true;
    many(true, 30000, 1);
    many(true, 30001, MANY - 1);
    line_send("l-4");
    site_run(&s);
    s.hold = false;
    site_run(&s);
    sub_follow(&back);
    ok(sub_good(&back) && strstr(back.document, "line l-4 "), "a document among more changes than a frame holds");
    ok(!sub_open(&new) && sub_good(&new) && strcmp(new.document, back.document) == 0, "all of it from the ring");
    site_restart(&s);
    new = (struct subscriber){ 0 };
    (void)sub_open(&new);
    ok(sub_good(&new) && strcmp(new.document, back.document) == 0 && memcmp(new.keys[4], back.keys[4], SNAPSHOT_KEY) == 0,
       "after a restart the same document is in force");
}

static void expiry(void)
{
    struct fault f = { 0 };
    uint8_t serial[16] = { 1 };
    struct core_ca ca;
    core_ca(s.core, span_str("device"), &ca);
    for (int i = 0; i < 1200; i++) {
        struct cert_state st = { .status = CERT_REVOKED, .revoked_at = 1, .not_after = clock_now_s() + (i % 2 ? 86400 : 3600) };
        serial[14] = (uint8_t)(i >> 8);
        serial[15] = (uint8_t)i;
        site_must(store_cert_state_put(core_db(s.core), ca.kid, span_of(serial, 16), &st, &f), &f, "row");
    }
    site_restart(&s);
    back = (struct subscriber){ 0 };
    (void)sub_open(&back);
    ok(sub_good(&back) && back.n[0] == 1200, "1 200 revoked certificates are in the snapshot");
    s.wall_skew_ms = 7200 * 1000;
    for (int i = 0; i < 60 && back.n[0] != 600; i++) {
        site_wait(&s, 200);
        sub_follow(&back);
    }
    ok(sub_good(&back) && back.n[0] == 600, "the half that has ended leaves by and by (%zu left)", back.n[0]);
}

int main(void)
{
    sets();
    site_open(&s);
    site_operator(&s, "edge-1", "edge", "", &edge);
    splitting();
    bad_moments();
    between();
    many(false, 30000, MANY);
    policies();
    struct fault f = { 0 };
    ok(core_fold_check(core_db(s.core), &f) == CE_OK, "the tables are the fold of the events %s", f.text);
    expiry(); /* writes rows by hand, which no event explains */
    buf_free(&edge.der);
    site_close(&s);
    return done();
}
