/* snapfile.c: the mapped snapshot and its tail. The base (one mapped file) is verified before it is put in force; frames are verified
 * outside of the lock, so that look-ups wait only for the few stores that change the state.
 */
#include "snap/snapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "snap/overlay.h"
#include "snap/snapbase.h"

struct snap {
    char dir[PATH_MAX_LEN];
    uint8_t pub[SNAP_PUB];
    pthread_mutex_t lock; /* guards the state: all down to policy_why */
    struct snapbase base;
    struct overlay overlay;
    char vector[SNAPSHOT_VECTOR_MAX + 1];
    int64_t at_ms, seen_mono_ms;
    uint8_t policy_key[SNAPSHOT_KEY]; /* that the verified state names */
    struct policyfile *policy;        /* in force; NULL: none could be loaded yet */
    struct fault policy_why;          /* why the one that is named is not in force */
    atomic_ullong policy_turn;
    /* below: only the polling thread */
    int tail_fd;
    ino_t tail_ino;
    int64_t tail_good;    /* offset after the last frame that verified; 0: the tail is not this snapshot's (yet) */
    struct buf pending;   /* bytes of the tail after tail_good */
    struct stat refused;  /* a snapshot file that was found bad: not verified again until it changes */
    struct fault refused_why;
    struct stat bad_tail; /* the tail as it was when a bad frame was met */
    struct fault bad_tail_why;
    struct stat bad_policy; /* the document as it was when it was found bad */
};

enum err snap_read_pub(const char *path, uint8_t pub[SNAP_PUB], struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(4096), raw = BUF_INIT(4096);
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "%s: cannot be read (the stream's public key, trust/stream.pub of the site)", path);
    e = base64_decode(buf_span(&text), &raw);
    if (e || raw.len != SNAP_PUB)
        return fault_set(f, e ? e : CE_BAD_INPUT, "%s: is not the base64 of 32 bytes (an Ed25519 public key)", path);
    memcpy(pub, raw.data, SNAP_PUB);
    return CE_OK;
}

/* -- state under the lock ---------------------------------------------------------------------------------------------------- */
static void seen_at(struct snap *s, int64_t at_ms)
{
    if (at_ms > s->at_ms) {
        s->at_ms = at_ms;
        s->seen_mono_ms = clock_mono_ms();
    }
}

static void vector_set(struct snap *s, struct span v)
{
    memcpy(s->vector, v.p, v.n);
    s->vector[v.n] = 0;
}

/* Puts b (moved) in force. */
static void base_take(struct snap *s, struct snapbase *b)
{
    pthread_mutex_lock(&s->lock);
    struct snapbase old = s->base;
    struct overlay old_overlay = s->overlay;
    s->base = *b;
    s->overlay = (struct overlay){ 0 };
    vector_set(s, s->base.snap.header.vector);
    memcpy(s->policy_key, s->base.snap.keys[SNAPSHOT_SET_POLICY - 1], SNAPSHOT_KEY);
    seen_at(s, s->base.snap.header.at_ms);
    pthread_mutex_unlock(&s->lock);
    snapbase_close(&old);
    overlay_free(&old_overlay);
    *b = (struct snapbase){ 0 };
    s->tail_good = 0;
}

/* A snapshot that does not contain all that is known already must not come into force. */
static enum err base_replace(struct snap *s, struct snap_news *news, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct stat st;
    path_join(path, "%s/" SNAP_FILE, s->dir);
    if (stat(path, &st))
        return fault_set(f, CE_NOT_FOUND, "%s has gone: %s; the last good one stays in force", path, strerror(errno));
    if (stat_same(&st, &s->base.st))
        return CE_OK;
    if (stat_same(&st, &s->refused))
        return fault_set(f, s->refused_why.code, "%s", s->refused_why.text);
    struct snapbase b;
    enum err e = snapbase_open(path, s->pub, &b, &s->refused_why);
    if (!e) {
        e = snapshot_vector_check(span_str(s->vector), b.snap.header.vector);
        if (e)
            fault_set(&s->refused_why, e, "%s: its vector " SPAN_FMT " is behind %s; the last good one stays in force", path,
                      SPAN_ARG(b.snap.header.vector), s->vector);
    }
    if (e) {
        s->refused = b.st;
        snapbase_close(&b);
        return fault_set(f, s->refused_why.code, "%s", s->refused_why.text);
    }
    base_take(s, &b);
    news->replaced = true;
    return CE_OK;
}

/* -- tail -------------------------------------------------------------------------------------------------------------------- */
/* Opens the tail anew when it was replaced or when the snapshot was. Leaves tail_good 0 while it belongs to another snapshot. */
static enum err tail_follow(struct snap *s)
{
    char path[PATH_MAX_LEN];
    struct stat st;
    uint8_t head[SHA256_LEN];
    path_join(path, "%s/" SNAP_TAIL, s->dir);
    if (stat(path, &st))
        return CE_OK; /* no tail yet: the snapshot alone is in force */
    if (s->tail_fd >= 0 && s->tail_ino == st.st_ino && s->tail_good && st.st_size >= s->tail_good)
        return CE_OK;
    fd_close_p(&s->tail_fd);
    s->tail_fd = open(path, O_RDONLY | O_CLOEXEC);
    s->tail_good = 0;
    s->pending.len = 0;
    if (s->tail_fd < 0 || fstat(s->tail_fd, &st))
        return CE_IO;
    s->tail_ino = st.st_ino;
    if (pread(s->tail_fd, head, sizeof head, 0) == (ssize_t)sizeof head && !memcmp(head, s->base.header_sha256, sizeof head))
        s->tail_good = sizeof head;
    return CE_OK;
}

static void frame_apply(struct snap *s, const struct snapshot_frame *fr, snap_entry_fn *on_entry, void *arg)
{
    struct snapshot_entry en;
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < fr->n_entries; i++) {
        snapshot_frame_entry(fr, i, &en);
        overlay_put(&s->overlay, en.set, en.op, en.key);
        if (en.set == SNAPSHOT_SET_POLICY && en.op == SNAPSHOT_OP_ADD)
            memcpy(s->policy_key, en.key, SNAPSHOT_KEY);
    }
    vector_set(s, fr->vector);
    seen_at(s, fr->at_ms);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; on_entry && i < fr->n_entries; i++) {
        snapshot_frame_entry(fr, i, &en);
        on_entry(arg, en.set, en.op, en.key, fr->at_ms);
    }
}

static enum err frame_judge(struct snap *s, const struct snapshot_frame *fr)
{
    enum err e = snapshot_frame_verify(fr, s->pub);
    if (!e)
        e = span_eq_str(fr->prev, s->vector) ? CE_OK : CE_BAD_FRAME;
    if (!e)
        e = snapshot_vector_check(fr->prev, fr->vector);
    return e;
}

/* Takes whole frames from the pending bytes. The first bad one ends it: nothing after it can be trusted to apply. */
static enum err tail_frames(struct snap *s, snap_entry_fn *on_entry, void *arg, struct snap_news *news)
{
    struct span in = buf_span(&s->pending);
    size_t took = 0;
    enum err e = CE_OK;
    while (in.n) {
        struct snapshot_frame fr;
        e = snapshot_frame_parse(&in, &fr);
        if (e == CE_TRUNCATED) {
            e = CE_OK;
            break;
        }
        if (!e)
            e = frame_judge(s, &fr);
        if (e)
            break;
        frame_apply(s, &fr, on_entry, arg);
        news->frames++;
        news->frame_at_ms = fr.at_ms;
        took += fr.bytes.n;
    }
    s->tail_good += (int64_t)took;
    buf_drop(&s->pending, took);
    return e;
}

static enum err tail_read(struct snap *s, snap_entry_fn *on_entry, void *arg, struct snap_news *news, struct fault *f)
{
    struct stat st;
    if (s->tail_fd < 0 || !s->tail_good || fstat(s->tail_fd, &st))
        return CE_OK;
    if (stat_same(&st, &s->bad_tail))
        return fault_set(f, s->bad_tail_why.code, "%s", s->bad_tail_why.text);
    while (s->tail_good + (int64_t)s->pending.len < st.st_size && s->tail_good < (int64_t)SNAP_TAIL_MAX) {
        uint8_t chunk[32768];
        ssize_t n = pread(s->tail_fd, chunk, sizeof chunk, (off_t)(s->tail_good + (int64_t)s->pending.len));
        if (n <= 0)
            break;
        buf_put(&s->pending, chunk, (size_t)n);
        enum err e = buf_err(&s->pending);
        if (!e)
            e = tail_frames(s, on_entry, arg, news);
        if (e) {
            s->pending.len = 0;
            s->bad_tail = st;
            fault_set(&s->bad_tail_why, e, "%s/" SNAP_TAIL " at byte %lld: %s; what came before stays in force", s->dir,
                      (long long)s->tail_good, err_text(e));
            return fault_set(f, e, "%s", s->bad_tail_why.text);
        }
    }
    s->pending.len = 0; /* an unfinished frame is read again with its rest */
    return CE_OK;
}

/* -- policy -------------------------------------------------------------------------------------------------------------------- */
static void policy_put(struct snap *s, struct policyfile *p, const struct fault *why)
{
    pthread_mutex_lock(&s->lock);
    struct policyfile *old = p ? s->policy : NULL;
    s->policy_why = *why;
    if (p) {
        s->policy = p;
        atomic_fetch_add(&s->policy_turn, 1);
    }
    pthread_mutex_unlock(&s->lock);
    policyfile_drop(old);
}

/* Puts the document in force that the state names by now; what was in force before stays until it can. */
static enum err policy_follow(struct snap *s, struct snap_news *news, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct stat st = { 0 };
    struct policyfile *p;
    struct fault why = { 0 };
    if (s->policy && !memcmp(s->policy->key, s->policy_key, SNAPSHOT_KEY)) {
        if (s->policy_why.code)
            policy_put(s, NULL, &why); /* one that could not be loaded is named no more */
        return CE_OK;
    }
    policyfile_path(path, s->dir, s->policy_key);
    if (!stat(path, &st) && stat_same(&st, &s->bad_policy))
        return fault_set(f, s->policy_why.code, "%s", s->policy_why.text);
    enum err e = policyfile_load(s->dir, s->policy_key, &p, &why);
    s->bad_policy = e ? st : (struct stat){ 0 };
    policy_put(s, p, &why);
    news->policy = !e;
    return e ? fault_set(f, e, "%s%s", why.text, s->policy ? "; the last good policy stays in force" : "") : CE_OK;
}

/* -- public ------------------------------------------------------------------------------------------------------------------ */
enum err snap_poll(struct snap *s, snap_entry_fn *on_entry, void *arg, struct snap_news *news, struct fault *f)
{
    struct snap_news none;
    struct fault tail_f = { 0 };
    if (!news)
        news = &none;
    *news = (struct snap_news){ 0 };
    /* first what the known tail still holds: the snapshot that replaces it must not be behind it */
    enum err t = tail_follow(s);
    if (!t)
        t = tail_read(s, on_entry, arg, news, &tail_f);
    enum err e = base_replace(s, news, f);
    if (news->replaced) {
        news->frame_at_ms = s->base.snap.header.at_ms; /* what came before it says nothing of what is new in it */
        t = tail_follow(s);
        if (!t)
            t = tail_read(s, on_entry, arg, news, &tail_f);
    }
    struct fault policy_f;
    enum err p = policy_follow(s, news, &policy_f);
    if (!e && t)
        return fault_set(f, t, "%s", tail_f.text[0] ? tail_f.text : err_text(t));
    return e || !p ? e : fault_set(f, p, "%s", policy_f.text);
}

enum err snap_open(const char *dir, const uint8_t pub[SNAP_PUB], struct snap **out, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct snapbase b;
    path_join(path, "%s/" SNAP_FILE, dir);
    enum err e = snapbase_open(path, pub, &b, f);
    if (e)
        return e;
    struct snap *s = mem_calloc(1, sizeof *s);
    path_join(s->dir, "%s", dir);
    memcpy(s->pub, pub, SNAP_PUB);
    pthread_mutex_init(&s->lock, NULL);
    s->tail_fd = -1;
    s->pending = BUF_INIT(2 * SNAPSHOT_FRAME_MAX + 65536);
    s->seen_mono_ms = clock_mono_ms();
    base_take(s, &b);
    struct fault later; /* what is bad here is told by the first poll, or to who needs it */
    struct snap_news none = { 0 };
    if (!tail_follow(s))
        (void)!tail_read(s, NULL, NULL, &none, &later);
    (void)!policy_follow(s, &none, &later);
    *out = s;
    return CE_OK;
}

void snap_close(struct snap *s)
{
    if (!s)
        return;
    snapbase_close(&s->base);
    policyfile_drop(s->policy);
    overlay_free(&s->overlay);
    buf_free(&s->pending);
    fd_close_p(&s->tail_fd);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

bool snap_has(struct snap *s, enum snapshot_set set, const uint8_t key[SNAPSHOT_KEY])
{
    pthread_mutex_lock(&s->lock);
    unsigned op = overlay_get(&s->overlay, set, key);
    bool has = op == SNAPSHOT_OP_ADD;
    if (!op)
        has = snapbase_has(&s->base, set, key);
    pthread_mutex_unlock(&s->lock);
    return has;
}

int64_t snap_age_ms(struct snap *s)
{
    pthread_mutex_lock(&s->lock);
    int64_t wall = clock_now_ms() - s->at_ms, mono = clock_mono_ms() - s->seen_mono_ms;
    pthread_mutex_unlock(&s->lock);
    return wall > mono ? wall : mono;
}

void snap_vector(struct snap *s, char out[SNAPSHOT_VECTOR_MAX + 1])
{
    pthread_mutex_lock(&s->lock);
    memcpy(out, s->vector, sizeof s->vector);
    pthread_mutex_unlock(&s->lock);
}

void snap_info(struct snap *s, struct snap_info *out)
{
    pthread_mutex_lock(&s->lock);
    const struct snapshot_header *h = &s->base.snap.header;
    *out = (struct snap_info){ .overlay = s->overlay.n, .made_ms = h->at_ms, .at_ms = s->at_ms, .tail_good = s->tail_good,
                               .tail_matches = s->tail_good > 0 };
    memcpy(out->n, h->n, sizeof out->n);
    memcpy(out->header_sha256, s->base.header_sha256, SHA256_LEN);
    memcpy(out->policy_key, s->policy_key, SNAPSHOT_KEY);
    out->policy_stored_ms = s->policy ? s->policy->stored_ms : 0;
    out->policy_err = s->policy_why.code;
    pthread_mutex_unlock(&s->lock);
}

uint64_t snap_policy_turn(struct snap *s) { return atomic_load(&s->policy_turn); }

struct policyfile *snap_policy_take(struct snap *s, struct fault *f)
{
    pthread_mutex_lock(&s->lock);
    struct policyfile *p = policyfile_ref(s->policy);
    if (!p)
        fault_set(f, s->policy_why.code, "%s", s->policy_why.text);
    pthread_mutex_unlock(&s->lock);
    return p;
}
