/* core_site.h: a small site for tests of the engine: CAs and operators made for real, birth.json, an open core whose ports record what
 * leaves. Requests are built as front builds them. No signer: SIGN requests are recorded, the test answers. */
#ifndef CRADLE_T_CORE_SITE_H
#define CRADLE_T_CORE_SITE_H
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "core/core.h"
#include "store/db.h"
#include "crypt/ed25519.h"
#include "crypt/issue.h"
#include "t/tap.h"
#include "wire/note.h"

struct site_operator { char name[49]; const char *role, *lines; uint8_t serial[16], spki[32]; };
#define SITE_OPERATORS 8
#define SITE_REPLIES 4096

struct site_reply { uint64_t rid; int peer; struct msg_reply r; char text[256], body[600]; };
struct site {
    char dir[128];
    uint8_t kid[20];
    struct site_operator ops[SITE_OPERATORS];
    struct core *core;
    struct core_ports ports;
    struct core_config cfg;
    struct site_reply replies[SITE_REPLIES];
    size_t nreplies, npushes, nsigns;
    uint16_t push_types[4096];
    int64_t clock_shift_ms;
    uint64_t rid, key;
};

static inline void site_must(enum err e, const char *what, const struct fault *f)
{
    if (e) {
        printf("Bail out! %s: %s %s\n", what, err_name(e), f && f->code ? f->text : "");
        exit(1);
    }
}

static inline int site_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st; (void)flag; (void)ftw;
    return remove(path);
}
static inline void site_remove(struct site *s) { nftw(s->dir, site_unlink, 16, FTW_DEPTH | FTW_PHYS); }

static inline void site_put(const struct site *s, const char *name, struct span bytes)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s/%s", s->dir, name);
    site_must(file_write_atomic(path, bytes, 0600), path, NULL);
}

static inline void site_birth_ca(struct json_out *j, const char *name, struct span der, struct span kid)
{
    json_obj(j, NULL);
    json_cstr(j, "name", name);
    json_hex(j, "kid", kid);
    json_base64(j, "der", der);
    json_obj_end(j);
}

static inline void site_birth_operator(struct site *s, struct ca *infra, const struct profile *p, struct site_operator *o, struct json_out *j)
{
    struct fault f = { 0 };
    struct buf der = BUF_INIT(0);
    struct key *k = NULL;
    struct cert c;
    site_must(key_generate("ec:P-256", &k, &f), "operator key", &f);
    site_must(issue_serial(o->serial), "serial", NULL);
    int64_t now = clock_now_s();
    const struct issue_request r = { .serial = span_of(o->serial, 16), .spki = key_spki(k), .values = { .uid = span_str(o->name), .role = span_str(o->role) },
                                     .not_before = now - 300, .not_after = now + 86400 };
    site_must(issue_leaf(infra, p, &r, &der, &f), "operator certificate", &f);
    site_must(cert_parse(buf_span(&der), &c, &f), "operator certificate", &f);
    memcpy(o->spki, c.spki_sha256, 32);
    memcpy(s->kid, c.aki.p, 20);
    json_obj(j, NULL);
    json_cstr(j, "name", o->name);
    json_cstr(j, "role", o->role);
    json_cstr(j, "lines", o->lines);
    json_base64(j, "cert", buf_span(&der));
    json_obj_end(j);
    buf_free(&der);
    key_free(k);
}

static inline void site_birth(struct site *s)
{
    static const char *const roles[SITE_OPERATORS][3] = { { "admin", "admin", "" }, { "root2", "admin", "" }, { "olga", "operator", "" },
                                                          { "line-1", "station", "pump" }, { "aud", "auditor", "" }, { "edge-1", "edge", "" },
                                                          { "back", "backend", "" }, { "edge-2", "edge", "" } };
    struct fault f = { 0 };
    struct buf root_der = BUF_INIT(0), ca_der[2] = { BUF_INIT(0), BUF_INIT(0) }, out = BUF_INIT(0), text = BUF_INIT(0);
    struct key *rk = NULL, *ck = NULL;
    struct ca root = { 0 }, ca[2] = { 0 };
    struct profile p;
    int64_t now = clock_now_s();
    struct issue_spec spec = { .cn = "Root", .org = "Test", .not_before = now - 3600, .not_after = now + 3650 * 86400L };
    site_must(key_generate("ec:P-256", &rk, &f), "root key", &f);
    site_must(issue_root(rk, &spec, &root_der, &f), "root", &f);
    site_must(ca_open(&root, "root", buf_span(&root_der), rk, "http://127.0.0.1:1", 1, &f), "root", &f);
    static const char *const names[2] = { "device", "infra" };
    for (int i = 0; i < 2; i++) {
        site_must(key_generate("ec:P-256", &ck, &f), "ca key", &f);
        spec.cn = names[i];
        spec.spki = key_spki(ck);
        site_must(issue_issuing(&root, &spec, false, &ca_der[i], &f), names[i], &f);
        site_must(ca_open(&ca[i], names[i], buf_span(&ca_der[i]), ck, "http://127.0.0.1:1", 16, &f), names[i], &f);
    }
    profile_default_text("operator", span_str("Test"), &text);
    site_must(profile_parse("operator", buf_span(&text), &p, &f), "profile", &f);
    site_put(s, "profiles/operator.conf", buf_span(&text));
    buf_reset(&text);
    profile_default_text("device", span_str("Test"), &text);
    site_put(s, "profiles/device.conf", buf_span(&text));
    struct json_out j = JSON_OUT(&out);
    json_obj(&j, NULL);
    json_cstr(&j, "format", "cradle-birth-1");
    json_obj(&j, "site");
    json_cstr(&j, "name", "test");
    json_cstr(&j, "org", "Test");
    json_cstr(&j, "url", "https://127.0.0.1:2");
    json_cstr(&j, "http_url", "http://127.0.0.1:1");
    json_obj_end(&j);
    json_arr(&j, "cas");
    site_birth_ca(&j, "root", buf_span(&root_der), root.cert.ski);
    for (int i = 0; i < 2; i++)
        site_birth_ca(&j, names[i], buf_span(&ca_der[i]), ca[i].cert.ski);
    json_arr_end(&j);
    json_arr(&j, "operators");
    for (int i = 0; i < SITE_OPERATORS; i++) {
        struct site_operator *o = &s->ops[i];
        snprintf(o->name, sizeof o->name, "%s", roles[i][0]);
        o->role = roles[i][1];
        o->lines = roles[i][2];
        site_birth_operator(s, &ca[1], &p, o, &j);
    }
    json_arr_end(&j);
    json_obj_end(&j);
    site_put(s, "birth.json", buf_span(&out));
    buf_reset(&text);
    site_must(key_write_pem(root.key, NULL, &text), "root key", NULL);
    site_put(s, "root.key", buf_span(&text)); /* for tests of CAs */
    buf_reset(&text);
    buf_put_span(&text, buf_span(&root_der));
    site_put(s, "root.der", buf_span(&text));
    ca_close(&ca[0]);
    ca_close(&ca[1]);
    ca_close(&root);
    buf_free(&ca_der[0]);
    buf_free(&ca_der[1]);
    buf_free(&root_der);
    buf_free(&out);
    buf_free(&text);
}

static inline void site_on_reply(void *ctx, int peer, uint64_t rid, const struct msg_reply *r)
{
    struct site *s = ctx;
    struct site_reply *x = &s->replies[s->nreplies++ % SITE_REPLIES];
    *x = (struct site_reply){ .rid = rid, .peer = peer, .r = *r };
    snprintf(x->text, sizeof x->text, SPAN_FMT, SPAN_ARG(r->text));
    snprintf(x->body, sizeof x->body, SPAN_FMT, SPAN_ARG(r->body));
}
static inline void site_on_sign(void *ctx, uint16_t type, uint64_t token, struct span body)
{
    (void)type; (void)token; (void)body;
    ((struct site *)ctx)->nsigns++;
}
static inline void site_on_push(void *ctx, int peer, uint16_t type, struct span body)
{
    struct site *s = ctx;
    (void)peer; (void)body;
    s->push_types[s->npushes++ % 4096] = type;
}
static inline int64_t site_wall(void *ctx) { return clock_now_ms() + ((struct site *)ctx)->clock_shift_ms; }

static inline void site_keys(struct site *s)
{
    static const char *const files[] = { "trust/log.pub", "trust/stream.pub" };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct key *k = NULL;
        struct note_key nk;
        uint8_t pub[ED25519_PUB];
        struct buf out = BUF_INIT(0);
        struct fault f = { 0 };
        site_must(key_generate("ed25519", &k, &f), files[i], &f);
        site_must(ed25519_public(k, pub), files[i], NULL);
        site_must(note_key_make(&nk, SPAN_LIT("test.example/log"), pub, &f), files[i], &f);
        if (i)
            buf_put_base64(&out, span_of(pub, sizeof pub), 0);
        else
            note_key_put(&nk, &out);
        site_put(s, files[i], buf_span(&out));
        buf_free(&out);
        key_free(k);
    }
}

static inline void site_new(struct site *s)
{
    memset(s, 0, sizeof *s);
    snprintf(s->dir, sizeof s->dir, "/tmp/cradle-core-XXXXXX");
    if (!mkdtemp(s->dir))
        exit(1);
    static const char *const folders[] = { "profiles", "log", "pub", "trust" };
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        char path[PATH_MAX_LEN];
        path_join(path, "%s/%s", s->dir, folders[i]);
        site_must(file_mkdirs(path, 0700), path, NULL);
    }
    s->cfg.site = s->dir;
    s->ports = (struct core_ports){ .ctx = s, .reply = site_on_reply, .sign = site_on_sign, .push = site_on_push, .wall_ms = site_wall };
    site_birth(s);
    site_keys(s);
}

static inline enum err site_open(struct site *s, struct fault *f)
{
    *f = (struct fault){ 0 };
    enum err e = core_open(&s->cfg, &s->ports, &s->core, f);
    if (!e)
        core_peer_open(s->core, 1);
    return e;
}
static inline void site_close(struct site *s)
{
    core_close(s->core);
    s->core = NULL;
}

static inline struct msg_caller site_caller(const struct site *s, int op)
{
    return (struct msg_caller){ .kind = CALLER_INFRA, .kid = span_of(s->kid, 20), .serial = span_of(s->ops[op].serial, 16),
                                .spki = span_of(s->ops[op].spki, 32), .cn = span_str(s->ops[op].name), .addr = SPAN_LIT("10.0.0.7"),
                                .proto = SPAN_LIT("rest"), .if_match = -1 };
}

static inline uint64_t site_queue(struct site *s, const struct msg_caller *c, const struct msg_desc *d, const void *m)
{
    struct buf body = BUF_INIT(0);
    msg_pack(&msg_desc_caller, c, &body);
    msg_pack(d, m, &body);
    const struct ipc_frame fr = { (uint16_t)d->type, ++s->rid, buf_span(&body) };
    core_request(s->core, 1, &fr);
    buf_free(&body);
    return s->rid;
}

static inline enum err site_run(struct site *s)
{
    struct fault f = { 0 };
    enum err e = CE_OK;
    for (int i = 0; !e && i < 50 && core_has_work(s->core); i++)
        e = core_step(s->core, &f);
    return e;
}

static inline const struct site_reply *site_reply(const struct site *s, uint64_t rid)
{
    for (size_t i = 0; i < s->nreplies && i < SITE_REPLIES; i++)
        if (s->replies[i].rid == rid)
            return &s->replies[i];
    return NULL;
}

/* One request as operator op (index), run to its answer. Never NULL: without an answer code is -1. */
static inline const struct site_reply *site_ask(struct site *s, int op, const struct msg_desc *d, const void *m)
{
    static const struct site_reply none = { .r = { .code = -1 } };
    struct msg_caller c = site_caller(s, op);
    uint64_t rid = site_queue(s, &c, d, m);
    if (site_run(s))
        return &none;
    const struct site_reply *r = site_reply(s, rid);
    return r ? r : &none;
}

/* A connection of its own, to look at what is durable. */
static inline int64_t site_count(const struct site *s, const char *sql)
{
    char path[PATH_MAX_LEN];
    struct db *db = NULL;
    struct fault f = { 0 };
    int64_t n = -1;
    path_join(path, "%s/db/cradle.db", s->dir);
    if (!db_open(path, DB_READONLY, &db, &f) && db_get_i64(db, sql, DB_NOARGS, -1, &n, &f))
        n = -2;
    db_close(db);
    return n;
}

static inline enum err site_fold(const struct site *s, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct db *db = NULL;
    path_join(path, "%s/db/cradle.db", s->dir);
    enum err e = db_open(path, DB_READONLY, &db, f);
    e = e ? e : core_fold_check(db, f);
    db_close(db);
    return e;
}
#endif
