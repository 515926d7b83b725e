/* front_download.c: GET of artifacts and their block lists by the device that is ordered to have them. Core says whether it may; the bytes are
 * nginx' (X-Accel-Redirect into DIR/artifact), with ranges, speed and all. Devices without a certificate come with a token in the URL, which
 * the depot judges before core is asked.
 */
#include "crypt/cert.h"
#include "crypt/hash.h"
#include "role/front_priv.h"
#include "wire/captoken.h"

#define RATE_FLOOR 16384 /* bytes/s: a budget shared by too many does not stop them */

struct wanted {
    uint8_t sha256[SHA256_LEN], from[SHA256_LEN]; /* from: of the delta */
    struct span spki;                             /* of the caller, who wants a content key */
    struct captoken token;
};

enum err front_download(struct front_req *r, struct fault *f)
{
    struct wanted *w = arena_alloc(&r->arena, sizeof *w);
    struct msg_order_get *m = arena_alloc(&r->arena, sizeof *m);
    enum err e = front_sha256_param(r, &m->sha256, f);
    if (e)
        return e;
    memcpy(w->sha256, m->sha256.p, sizeof w->sha256);
    r->note = w;
    r->desc = &msg_desc_order_get;
    r->msg = m;
    return CE_OK;
}

enum err front_token(struct front_req *r, struct fault *f)
{
    struct wanted *w = arena_alloc(&r->arena, sizeof *w);
    struct msg_token_check *m = arena_alloc(&r->arena, sizeof *m);
    enum err e = captoken_decode(r->match.params[0], &w->token, f);
    if (e)
        return e;
    memcpy(w->sha256, w->token.sha256, sizeof w->sha256);
    *m = (struct msg_token_check){ .uid = span_str(w->token.uid), .sha256 = span_of(w->sha256, SHA256_LEN), .expires = w->token.expires_s,
                                   .mac = span_of(w->token.mac, CAPTOKEN_MAC) };
    r->note = w;
    r->desc = &msg_desc_token_check;
    r->msg = m;
    return CE_OK;
}

/* download_total is shared evenly by what nginx answers when a download starts; a download keeps its share to the end. 0: no limit. */
static int64_t rate_of(const struct front_req *r)
{
    const struct front_config *c = &r->fr->config;
    int64_t active = 1, rate = c->download_rate;
    if (!c->download_total)
        return rate;
    if (!span_to_i64(front_in_header(r, "X-Cradle-Active"), &active) || active < 1)
        active = 1;
    int64_t share = c->download_total / active > RATE_FLOOR ? c->download_total / active : RATE_FLOOR;
    return rate && rate < share ? rate : share;
}

static void send_file(struct front_req *r, const char *inside)
{
    int64_t rate = rate_of(r);
    front_header(r, "X-Accel-Redirect", "/inside/%s", inside);
    if (rate)
        front_header(r, "X-Accel-Limit-Rate", "%lld", (long long)rate);
    front_header(r, "Content-Type", "application/octet-stream");
    r->fr->count[COUNT_DOWNLOADS]++;
    front_send(r, 200, NULL, (struct span){ 0 });
}

void front_send_artifact(struct front_req *r, struct span sha256, bool sealed)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(200);
    buf_put_str(&path, "artifact/");
    buf_put_hex(&path, sha256);
    buf_put_str(&path, r->handler->what ? r->handler->what : sealed ? ".enc" : "");
    send_file(r, buf_cstr(&path));
}

/* In core's word about the order. */
static bool is_sealed(const struct msg_reply *rep)
{
    CLEANUP(json_decref_p) json_t *o = NULL;
    struct fault f;
    return json_parse(rep->body, &o, &f) == CE_OK && json_is_true(json_object_get(o, "encrypted"));
}

void front_reply_download(struct front_req *r, const struct msg_reply *rep)
{
    front_send_artifact(r, span_of(((const struct wanted *)r->note)->sha256, SHA256_LEN), is_sealed(rep));
}

void front_reply_token(struct front_req *r, const struct msg_reply *rep)
{
    const struct wanted *w = r->note;
    struct fault f = { 0 };
    if (channel_peer(r->sent_to) == ROLE_CORE) {
        front_reply_download(r, rep);
        return;
    }
    struct msg_order_of *m = arena_alloc(&r->arena, sizeof *m);
    *m = (struct msg_order_of){ .uid = span_str(w->token.uid), .sha256 = span_of(w->sha256, SHA256_LEN) };
    enum err e = front_ask(r, r->fr->core, &msg_desc_order_of, m, &f);
    if (e)
        front_refuse(r, e, f.text, NULL);
}

/* -- deltas: core says whether the device may have the new file, the depot whether there is one ------------------------------------------- */
enum err front_delta(struct front_req *r, struct fault *f)
{
    struct wanted *w = arena_alloc(&r->arena, sizeof *w);
    struct msg_order_get *m = arena_alloc(&r->arena, sizeof *m);
    uint8_t *const files[] = { w->from, w->sha256 };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP(buf_free) struct buf b = BUF_INIT(SHA256_LEN);
        if (r->match.params[i].n != 2 * SHA256_LEN || hex_decode(r->match.params[i], &b))
            return fault_set(f, CE_BAD_FIELD, "a file is named by its SHA-256: 64 hexadecimal digits");
        memcpy(files[i], b.data, SHA256_LEN);
    }
    m->sha256 = span_of(w->sha256, SHA256_LEN);
    r->note = w;
    r->desc = &msg_desc_order_get;
    r->msg = m;
    return CE_OK;
}

void front_reply_delta(struct front_req *r, const struct msg_reply *rep)
{
    const struct wanted *w = r->note;
    struct fault f = { 0 };
    (void)rep;
    if (channel_peer(r->sent_to) == ROLE_DEPOT) {
        CLEANUP(buf_free) struct buf path = BUF_INIT(200);
        buf_put_str(&path, "delta/");
        buf_put_hex(&path, span_of(w->from, SHA256_LEN));
        buf_put_str(&path, "-");
        buf_put_hex(&path, span_of(w->sha256, SHA256_LEN));
        send_file(r, buf_cstr(&path));
        return;
    }
    struct msg_delta_get *m = arena_alloc(&r->arena, sizeof *m);
    *m = (struct msg_delta_get){ .from = span_of(w->from, SHA256_LEN), .to = span_of(w->sha256, SHA256_LEN) };
    enum err e = front_ask(r, r->fr->depot, &msg_desc_delta_get, m, &f);
    if (e)
        front_refuse(r, e, f.text, NULL);
}

/* -- content keys of encrypted files: core says whether the device may have the file, the depot wraps the key for the certificate's key ------- */
enum err front_key(struct front_req *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct cert cert;
    enum err e = front_download(r, f);
    e = e ? e : http_client_cert(front_in_header(r, "X-Cradle-Client-Cert"), &der, f);
    e = e ? e : cert_parse(buf_span(&der), &cert, f);
    if (!e)
        ((struct wanted *)r->note)->spki = arena_copy(&r->arena, cert.spki);
    return e;
}

void front_reply_key(struct front_req *r, const struct msg_reply *rep)
{
    const struct wanted *w = r->note;
    struct fault f = { 0 };
    if (channel_peer(r->sent_to) == ROLE_DEPOT) {
        front_header(r, "Cache-Control", "no-store");
        front_send(r, 200, "application/octet-stream", rep->body);
        return;
    }
    struct msg_key_get *m = arena_alloc(&r->arena, sizeof *m);
    *m = (struct msg_key_get){ .sha256 = span_of(w->sha256, SHA256_LEN), .spki = w->spki, .uid = r->caller.cn };
    enum err e = front_ask(r, r->fr->depot, &msg_desc_key_get, m, &f);
    if (e)
        front_refuse(r, e, f.text, NULL);
}
