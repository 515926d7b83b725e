/* cert_subscriber.h: what cradle-edge does with the revocation stream, for tests: subscribes, verifies every frame and snapshot,
 * applies them, and counts what does not verify, goes back, or does not apply. It has the site `s` and its edge to itself.
 */
#ifndef CRADLE_T_CERT_SUBSCRIBER_H
#define CRADLE_T_CERT_SUBSCRIBER_H
#include "t/unit/cert_site.h"

static struct site s;
static struct who edge;

struct subscriber {
    char vector[SNAPSHOT_VECTOR_MAX + 1];
    uint8_t keys[SNAPSHOT_SETS][8192][SNAPSHOT_KEY];
    size_t n[SNAPSHOT_SETS];
    uint8_t documents[16][SNAPSHOT_KEY]; /* keys of the newest policy documents that came */
    size_t n_documents;
    char document[4096];      /* the newest */
    int unknown;              /* a policy was named before its document came, or not exactly one is in force */
    int lower, bad, gaps;     /* vector went back; signature; a frame that does not apply */
    size_t at;                /* how far it has read s.frames */
};

static inline bool sub_has(const struct subscriber *u, int set, const uint8_t *key)
{
    for (size_t i = 0; i < u->n[set - 1]; i++)
        if (memcmp(u->keys[set - 1][i], key, SNAPSHOT_KEY) == 0)
            return true;
    return false;
}

static inline void sub_entry(struct subscriber *u, const struct snapshot_entry *e)
{
    size_t *n = &u->n[e->set - 1], i = 0;
    uint8_t (*keys)[SNAPSHOT_KEY] = u->keys[e->set - 1];
    while (i < *n && memcmp(keys[i], e->key, SNAPSHOT_KEY) != 0)
        i++;
    if (e->op == SNAPSHOT_OP_DEL && i < *n)
        memcpy(keys[i], keys[--*n], SNAPSHOT_KEY);
    if (e->op == SNAPSHOT_OP_ADD && i == *n)
        memcpy(keys[(*n)++], e->key, SNAPSHOT_KEY);
}

static inline void sub_policies(struct subscriber *u)
{
    bool known = false;
    for (size_t i = 0; i < u->n_documents && i < ARRAY_LEN(u->documents); i++)
        known |= memcmp(u->documents[i], u->keys[SNAPSHOT_SET_POLICY - 1][0], SNAPSHOT_KEY) == 0;
    u->unknown += u->n[SNAPSHOT_SET_POLICY - 1] != 1 || !known;
}

/* Takes policy documents from the front of *in. */
static inline void sub_documents(struct subscriber *u, struct span *in)
{
    struct span doc;
    while (span_starts(*in, SNAPSHOT_POLICY_MAGIC)) {
        site_must(snapshot_policy_parse(in, &doc), NULL, "policy document");
        snapshot_key_policy(doc, u->documents[u->n_documents++ % ARRAY_LEN(u->documents)]);
        site_must(span_to_cstr(doc, u->document, sizeof u->document), NULL, "policy document");
    }
}

static inline void sub_frames(struct subscriber *u, struct span in)
{
    struct snapshot_frame fr;
    while (sub_documents(u, &in), in.n) {
        if (snapshot_frame_parse(&in, &fr) || snapshot_frame_verify(&fr, s.stream_pub)) {
            u->bad++;
            return;
        }
        if (snapshot_vector_check(span_str(u->vector), fr.vector))
            u->lower++;
        if (!span_eq_str(fr.prev, u->vector))
            u->gaps++;
        for (unsigned i = 0; i < fr.n_entries; i++) {
            struct snapshot_entry e;
            snapshot_frame_entry(&fr, i, &e);
            sub_entry(u, &e);
        }
        sub_policies(u);
        site_must(span_to_cstr(fr.vector, u->vector, sizeof u->vector), NULL, "vector");
    }
}

static inline bool sub_answer(struct subscriber *u, struct span in)
{
    sub_documents(u, &in);
    if (!span_starts(in, SNAPSHOT_MAGIC)) {
        sub_frames(u, in);
        return false;
    }
    struct span rest = in;
    struct snapshot_header h;
    struct snapshot sn;
    site_must(snapshot_header_parse(&rest, &h), NULL, "snapshot header");
    size_t n = h.bytes.n + snapshot_body_size(&h);
    if (snapshot_open(span_of(in.p, n), s.stream_pub, &sn)) {
        u->bad++;
        return true;
    }
    for (int i = 0; i < SNAPSHOT_SETS; i++) {
        u->n[i] = h.n[i];
        memcpy(u->keys[i], sn.keys[i], (size_t)h.n[i] * SNAPSHOT_KEY);
    }
    sub_policies(u);
    site_must(span_to_cstr(h.vector, u->vector, sizeof u->vector), NULL, "vector");
    sub_frames(u, span_of(in.p + n, in.n - n));
    return true;
}

/* Subscribes with the vector it has; later sub_follow reads what was pushed since. True: got a snapshot. */
static inline bool sub_open(struct subscriber *u)
{
    struct msg_edge_open m = { .since = span_str(u->vector) };
    const struct msg_reply *r = site_do(&s, &edge, &msg_desc_edge_open, &m);
    if (!reply_is(r, CE_OK))
        exit(1);
    u->at = s.frames_at_reply; /* a heartbeat may have left after it */
    return sub_answer(u, r->body);
}

static inline void sub_follow(struct subscriber *u)
{
    sub_frames(u, span_of(s.frames.data + u->at, s.frames.len - u->at));
    u->at = s.frames.len;
}

static inline bool sub_good(const struct subscriber *u)
{
    if (u->bad || u->lower || u->gaps || u->unknown)
        printf("# %d bad, %d lower, %d do not apply, %d policies unknown; at %s\n", u->bad, u->lower, u->gaps, u->unknown, u->vector);
    return !u->bad && !u->lower && !u->gaps && !u->unknown;
}

static inline bool sub_blocks(const struct subscriber *u, const char *uid)
{
    uint8_t key[SNAPSHOT_KEY];
    snapshot_key_ident(span_str(uid), key);
    return sub_has(u, SNAPSHOT_SET_IDENT, key);
}

static inline bool sub_revokes(const struct subscriber *u, const struct who *w)
{
    uint8_t key[SNAPSHOT_KEY];
    snapshot_key_cert(w->cert.aki, w->cert.serial, key);
    return sub_has(u, SNAPSHOT_SET_CERT, key);
}
#endif
