/* front_polls.c: what idle devices were told, so that a fleet that asks every few minutes costs core nothing. Core says when it is not true any more
 * (PUSH_UPDATE), and for how long it may be said at most. Keyed by UID; good for the same certificate and the same words of the device only.
 */
#include <stdlib.h>

#include "crypt/hash.h"
#include "role/front_priv.h"

#define POLLS_MAX 100000 /* devices that are remembered; then all are forgotten: a bound, not a policy */

struct told {
    uint8_t digest[SHA256_LEN]; /* of certificate and question */
    int64_t until_ms;
    char *body;                 /* owned */
    uint32_t n;
};

struct front_polls { struct front_map map; };

struct front_polls *front_polls_new(void)
{
    struct front_polls *p = mem_calloc(1, sizeof *p);
    p->map = FRONT_MAP(struct told);
    return p;
}

void front_polls_clear(struct front_polls *p)
{
    struct span key;
    struct told *t;
    for (size_t i = 0; (t = front_map_next(&p->map, &i, &key));)
        free(t->body);
    front_map_free(&p->map);
    p->map = FRONT_MAP(struct told);
}

void front_polls_free(struct front_polls *p)
{
    if (p)
        front_polls_clear(p);
    free(p);
}

static void poll_forget(struct front_polls *p, struct span uid)
{
    struct told *t = front_map_get(&p->map, uid);
    if (!t)
        return;
    free(t->body);
    front_map_del(&p->map, uid);
}

void front_push_update(struct front *fr, const struct msg_push_update *m)
{
    if (m->uid.n)
        poll_forget(fr->polls, m->uid);
    else
        front_polls_clear(fr->polls);
}

static void poll_digest(const struct front_req *r, uint8_t out[SHA256_LEN])
{
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, span_of(r->who.spki, sizeof r->who.spki));
    sha256_add(&h, span_of(r->who.serial, sizeof r->who.serial));
    sha256_add(&h, r->query);
    sha256_end(&h, out);
}

/* True: r->out is the answer. */
bool front_poll_told(struct front_req *r)
{
    uint8_t digest[SHA256_LEN];
    struct told *t = front_map_get(&r->fr->polls->map, span_str(r->who.cn));
    if (!t)
        return false;
    poll_digest(r, digest);
    if (t->until_ms < clock_mono_ms() || memcmp(t->digest, digest, sizeof digest) != 0)
        return false;
    buf_put(&r->out, t->body, t->n);
    r->out_media = "application/json";
    r->here = true;
    r->fr->count[COUNT_POLL_HIT]++;
    return true;
}

void front_poll_keep(struct front_req *r, const struct msg_reply *rep)
{
    struct front_polls *p = r->fr->polls;
    struct span uid = span_str(r->who.cn);
    if (rep->retry_s <= 0 || !rep->body.n) {
        poll_forget(p, uid);
        return;
    }
    if (p->map.live >= POLLS_MAX)
        front_polls_clear(p);
    struct told *t = front_map_set(&p->map, uid);
    free(t->body);
    *t = (struct told){ .until_ms = clock_mono_ms() + rep->retry_s * 1000, .body = mem_alloc(rep->body.n), .n = (uint32_t)rep->body.n };
    memcpy(t->body, rep->body.p, rep->body.n);
    poll_digest(r, t->digest);
}

void front_reply_poll(struct front_req *r, const struct msg_reply *rep)
{
    front_poll_keep(r, rep);
    front_reply_plain(r, rep);
}

size_t front_polls_count(const struct front_polls *p) { return p->map.live; }
