/* cert_site.h: a whole site for tests of the core: files (crypt_site.h), birth.json with an administrator, the real engine and the
 * real signer in one process, without sockets. The test is the fronts (peer 1) and the wire between core and signer.
 */
#ifndef CRADLE_T_CERT_SITE_H
#define CRADLE_T_CERT_SITE_H
#include "core/batch.h"
#include "core/core.h"
#include "core/revoke.h"
#include "crypt/hash.h"
#include "role/signer.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"
#include "wire/snapshot.h"

#define SITE_SHARDS 4

struct who { /* a client certificate */
    int kind;
    struct buf der;
    struct cert cert;
};

struct site_ask { uint16_t type; uint64_t token; struct buf body; };
struct site_reply { uint64_t rid; struct msg_reply r; struct buf text, body; };

struct site {
    char dir[64];
    struct ca root;
    struct signer *signer;
    struct core *core;
    uint8_t stream_pub[32];
    struct site_ask *asks;      /* waiting for the signer */
    size_t n_asks;
    bool hold, down;            /* the signer does not answer; the signer fails */
    struct site_reply *replies;
    size_t n_replies;
    struct buf frames;          /* PUSH_FRAME bodies, one after the other */
    size_t frames_at_reply;     /* bytes of them that had left before the newest reply */
    struct buf cert_pushes;     /* PUSH_CERT bodies */
    size_t n_frames, n_cert_pushes;
    int64_t wall_skew_ms;
    uint64_t rid;
    struct who admin;
    struct core_config cfg;
};

static inline void site_on_reply(void *ctx, int peer, uint64_t rid, const struct msg_reply *r)
{
    struct site *s = ctx;
    (void)peer;
    s->replies = mem_realloc(s->replies, (s->n_replies + 1) * sizeof *s->replies);
    struct site_reply *o = &s->replies[s->n_replies++];
    *o = (struct site_reply){ .rid = rid, .r = *r };
    s->frames_at_reply = s->frames.len;
    buf_put_span(&o->text, r->text);
    buf_put_span(&o->body, r->body);
    o->r.text = buf_span(&o->text);
    o->r.body = buf_span(&o->body);
}

static inline void site_on_sign(void *ctx, uint16_t type, uint64_t token, struct span body)
{
    struct site *s = ctx;
    s->asks = mem_realloc(s->asks, (s->n_asks + 1) * sizeof *s->asks);
    struct site_ask *a = &s->asks[s->n_asks++];
    *a = (struct site_ask){ .type = type, .token = token };
    buf_put_span(&a->body, body);
}

static inline void site_on_push(void *ctx, int peer, uint16_t type, struct span body)
{
    struct site *s = ctx;
    (void)peer;
    if (type == MSG_PUSH_FRAME) {
        struct msg_push_frame m;
        site_must(msg_unpack_all(&msg_desc_push_frame, body, &m), NULL, "frame");
        buf_put_span(&s->frames, m.frame);
        s->n_frames++;
    }
    if (type == MSG_PUSH_CERT) {
        buf_put_span(&s->cert_pushes, body);
        s->n_cert_pushes++;
    }
}

static inline int64_t site_wall_ms(void *ctx) { return clock_now_ms() + ((struct site *)ctx)->wall_skew_ms; }

static inline void who_set(struct who *w, int kind, struct span der)
{
    struct fault f = { 0 };
    w->kind = kind;
    buf_reset(&w->der);
    buf_put_span(&w->der, der);
    site_must(cert_parse(buf_span(&w->der), &w->cert, &f), &f, "client certificate");
}

static inline void site_birth(struct site *s)
{
    static const char *const names[] = { "root", "device", "infra" };
    struct fault f = { 0 };
    struct buf t = BUF_INIT(0), der = BUF_INIT(0);
    struct ca ca[3];
    struct profile p;
    uint8_t serial[ISSUE_SERIAL];
    struct json_out j = JSON_OUT(&t);
    json_obj(&j, NULL);
    json_cstr(&j, "format", "cradle-birth-1");
    json_obj(&j, "site");
    json_cstr(&j, "name", "test");
    json_cstr(&j, "org", "Test Works");
    json_cstr(&j, "url", "https://127.0.0.1:8000");
    json_cstr(&j, "http_url", SITE_URL);
    json_obj_end(&j);
    json_arr(&j, "cas");
    for (int i = 0; i < 3; i++) {
        site_must(ca_load(&ca[i], s->dir, names[i], SITE_URL, SITE_SHARDS, i == 2 ? &key_source_files : NULL, &f), &f, names[i]);
        json_obj(&j, NULL);
        json_cstr(&j, "name", names[i]);
        json_hex(&j, "kid", ca[i].cert.ski);
        json_base64(&j, "der", ca[i].cert.der);
        json_obj_end(&j);
    }
    json_arr_end(&j);
    struct key *k;
    site_must(key_generate("ec:P-256", &k, &f), &f, "admin key");
    site_must(profile_load(s->dir, "operator", &p, &f), &f, "profile");
    site_must(issue_serial(serial), NULL, "serial");
    struct issue_request q = { .serial = span_of(serial, sizeof serial), .spki = key_spki(k), .not_before = clock_now_s() - 300,
                               .not_after = clock_now_s() + 86400, .values = { .uid = SPAN_LIT("admin"), .role = SPAN_LIT("admin") } };
    site_must(issue_leaf(&ca[2], &p, &q, &der, &f), &f, "admin certificate");
    key_free(k);
    json_arr(&j, "operators");
    json_obj(&j, NULL);
    json_cstr(&j, "name", "admin");
    json_cstr(&j, "role", "admin");
    json_cstr(&j, "lines", "");
    json_base64(&j, "cert", buf_span(&der));
    json_obj_end(&j);
    json_arr_end(&j);
    json_arr(&j, "lines");
    static const char *const lines[] = { "pump", "valve" };
    for (int i = 0; i < 2; i++) {
        json_obj(&j, NULL);
        json_cstr(&j, "name", lines[i]);
        json_cstr(&j, "title", "");
        json_int(&j, "validity_s", 100000);
        json_cstr(&j, "clone_policy", "alarm");
        json_obj_end(&j);
    }
    json_arr_end(&j);
    json_obj_end(&j);
    site_write(s->dir, "birth.json", buf_span(&t), 0644);
    who_set(&s->admin, CALLER_INFRA, buf_span(&der));
    for (int i = 0; i < 3; i++)
        ca_close(&ca[i]);
    buf_free(&t);
    buf_free(&der);
}

static inline void site_core_open(struct site *s)
{
    struct fault f = { 0 };
    struct core_ports ports = { .ctx = s, .reply = site_on_reply, .sign = site_on_sign, .sign_in_token = site_on_sign, .push = site_on_push, .wall_ms = site_wall_ms };
    s->cfg.site = s->dir;
    s->cfg.n_shards = SITE_SHARDS;
    site_must(core_open(&s->cfg, &ports, &s->core, &f), &f, "core_open");
    core_peer_open(s->core, 1);
}

static inline void site_forget_asks(struct site *s)
{
    for (size_t i = 0; i < s->n_asks; i++)
        buf_free(&s->asks[i].body);
    s->n_asks = 0;
}

static inline void site_open(struct site *s)
{
    struct fault f = { 0 };
    *s = (struct site){ .cfg = s->cfg };
    s->cfg.mass_confirm = s->cfg.mass_confirm ? s->cfg.mass_confirm : 1000000;
    site_make(s->dir, &s->root, SITE_SHARDS);
    struct signer_config sc = { .dir = s->dir, .base_url = SITE_URL, .n_shards = SITE_SHARDS, .wall_ms = site_wall_ms, .wall_ctx = s };
    site_must(signer_open(&sc, &s->signer, &f), &f, "signer_open");
    struct key *k;
    char path[PATH_MAX_LEN];
    path_join(path, "%s/keys/stream.key", s->dir);
    site_must(key_read_file(path, NULL, &k, &f), &f, "stream key");
    site_must(ed25519_public(k, s->stream_pub), NULL, "stream key");
    key_free(k);
    site_birth(s);
    site_core_open(s);
}

/* The signer's turn: answers everything that waits. */
static inline void site_sign(struct site *s)
{
    size_t n = s->n_asks;
    struct site_ask *asks = s->asks;
    s->asks = NULL;
    s->n_asks = 0;
    for (size_t i = 0; i < n; i++) {
        struct msg_signed m = { .code = CE_SIGNER, .text = SPAN_LIT("down for a test") };
        struct buf out = BUF_INIT(0);
        if (!s->down) {
            struct ipc_frame in = { asks[i].type, asks[i].token, buf_span(&asks[i].body) }, answer;
            signer_handle(s->signer, &in, &out);
            struct span rest = buf_span(&out);
            site_must(ipc_frame_get(&rest, &answer), NULL, "signer's frame");
            site_must(msg_unpack_all(&msg_desc_signed, answer.body, &m), NULL, "signer's answer");
        }
        core_signed(s->core, asks[i].token, &m);
        buf_free(&out);
        buf_free(&asks[i].body);
    }
    free(asks);
}

/* Steps until there is nothing to do now. */
static inline void site_run(struct site *s)
{
    struct fault f = { 0 };
    for (int i = 0; i < 10000 && (core_has_work(s->core) || (s->n_asks && !s->hold)); i++) {
        if (core_has_work(s->core))
            site_must(core_step(s->core, &f), &f, "core_step");
        if (!s->hold)
            site_sign(s);
    }
}

/* Lets ms of time pass. */
static inline void site_wait(struct site *s, int64_t ms)
{
    struct fault f = { 0 };
    int64_t end = clock_mono_ms() + ms;
    do {
        site_run(s);
        int64_t now = clock_mono_ms(), wake = core_next_wake_ms(s->core, now);
        if (wake <= now)
            site_must(core_tick(s->core, now, &f), &f, "core_tick");
        else
            usleep(1000);
    } while (clock_mono_ms() < end);
    site_run(s);
}

static inline void site_replies_free(struct site *s)
{
    for (size_t i = 0; i < s->n_replies; i++) {
        buf_free(&s->replies[i].text);
        buf_free(&s->replies[i].body);
    }
    s->n_replies = 0;
}

static inline void site_close(struct site *s)
{
    core_close(s->core);
    signer_close(s->signer);
    site_forget_asks(s);
    site_replies_free(s);
    free(s->asks);
    free(s->replies);
    buf_free(&s->frames);
    buf_free(&s->cert_pushes);
    buf_free(&s->admin.der);
    ca_close(&s->root);
    site_remove(s->dir);
}

/* -- asking --------------------------------------------------------------------------------------------------------------------- */
static inline uint64_t site_send(struct site *s, const struct who *w, const struct msg_desc *d, const void *m)
{
    struct buf body = BUF_INIT(0);
    struct msg_caller c = { .addr = SPAN_LIT("192.0.2.1"), .proto = SPAN_LIT("est"), .if_match = -1 };
    if (w) {
        c.kind = w->kind;
        c.kid = w->cert.aki;
        c.serial = w->cert.serial;
        c.spki = span_of(w->cert.spki_sha256, 32);
        c.cn = w->cert.cn;
        c.not_after = w->cert.not_after;
    }
    msg_pack(&msg_desc_caller, &c, &body);
    msg_pack(d, m, &body);
    core_request(s->core, 1, &(struct ipc_frame){ (uint16_t)d->type, ++s->rid, buf_span(&body) });
    buf_free(&body);
    return s->rid;
}

static inline const struct msg_reply *site_reply_of(struct site *s, uint64_t rid)
{
    static const struct msg_reply none = { .code = -1 };
    for (size_t i = s->n_replies; i-- > 0;)
        if (s->replies[i].rid == rid)
            return &s->replies[i].r;
    return &none;
}

static inline const struct msg_reply *site_do(struct site *s, const struct who *w, const struct msg_desc *d, const void *m)
{
    uint64_t rid = site_send(s, w, d, m);
    site_run(s);
    return site_reply_of(s, rid);
}

static inline bool reply_is(const struct msg_reply *r, enum err code)
{
    if (r->code != (int64_t)code)
        printf("# reply %s: " SPAN_FMT "\n", r->code < 0 ? "none" : err_name((enum err)r->code), SPAN_ARG(r->text));
    return r->code == (int64_t)code;
}

/* -- things --------------------------------------------------------------------------------------------------------------------- */
static inline void site_device(struct site *s, const char *uid, const char *line)
{
    char model[64];
    snprintf(model, sizeof model, "m-%s", line);
    struct msg_model_add ma = { .name = span_str(model), .line = span_str(line) };
    (void)site_do(s, &s->admin, &msg_desc_model_add, &ma);
    struct msg_device_add da = { .uid = span_str(uid), .serial = SPAN_LIT("SN-1"), .model = span_str(model) };
    const struct msg_reply *r = site_do(s, &s->admin, &msg_desc_device_add, &da);
    site_must((enum err)r->code, NULL, uid);
}

static inline struct key *site_new_key(void)
{
    struct key *k;
    struct fault f = { 0 };
    site_must(key_generate("ec:P-256", &k, &f), &f, "key");
    return k;
}

static inline void site_operator(struct site *s, const char *name, const char *role, const char *lines, struct who *out)
{
    struct key *k = site_new_key();
    struct msg_operator_add m = { .name = span_str(name), .role = span_str(role), .lines = span_str(lines), .spki = key_spki(k) };
    const struct msg_reply *r = site_do(s, &s->admin, &msg_desc_operator_add, &m);
    struct fault f = { .code = (enum err)r->code };
    snprintf(f.text, sizeof f.text, SPAN_FMT, SPAN_ARG(r->text));
    site_must((enum err)r->code, &f, name);
    who_set(out, CALLER_INFRA, r->body);
    key_free(k);
}

static inline struct msg_enroll enroll_msg(const char *uid, const struct key *k, bool renew)
{
    return (struct msg_enroll){ .uid = span_str(uid), .renew = renew, .spki = key_spki(k), .key_alg = SPAN_LIT("ec:P-256") };
}

static inline int64_t site_count(struct site *s, const char *sql)
{
    int64_t n = -1;
    struct fault f = { 0 };
    site_must(db_get_i64(core_db(s->core), sql, DB_NOARGS, -1, &n, &f), &f, sql);
    return n;
}

static inline const struct msg_reply *site_state(struct site *s, const char *uid, const char *state, const char *reason)
{
    struct msg_device_state m = { .uid = span_str(uid), .state = span_str(state), .reason = span_str(reason) };
    return site_do(s, &s->admin, &msg_desc_device_state, &m);
}

/* The core closes and opens again, with what s->cfg says now; what it had asked the signer is forgotten. */
static inline void site_restart(struct site *s)
{
    core_close(s->core);
    site_forget_asks(s);
    site_core_open(s);
}

/* One check: fold(events) = tables. */
static inline void site_folds(const struct site *s, const char *when)
{
    char path[PATH_MAX_LEN];
    struct db *db = NULL;
    struct fault f = { 0 };
    path_join(path, "%s/db/cradle.db", s->dir);
    site_must(db_open(path, DB_READONLY, &db, &f), &f, "database");
    ok(core_fold_check(db, &f) == CE_OK, "fold(events) = tables %s", when);
    if (f.code)
        printf("# %s\n", f.text);
    db_close(db);
}

#endif
