/* key.c: `cradle key block|list|unblock`: the site's list of compromised keys. A file is read here and sent in pieces; core judges. See wire/key_list.h for
 * the format.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/device.h"
#include "crypt/cert.h"
#include "crypt/hash.h"
#include "wire/key_list.h"

#define LIST_MAX (256u << 20)
#define PIECE 256 /* keys in a request: 8192 bytes, KEY_BLOCK in wire/msg.def */

struct run {
    struct cli *c;
    char file[2 * SHA256_LEN + 1]; /* SHA-256 of the list, hex; "" without one */
    struct buf piece;              /* owned; identifiers of one size */
    size_t size;
    int64_t blocked, known, revoked;
    json_t *used;                  /* owned; array */
};

static void run_end(struct run *r)
{
    buf_free(&r->piece);
    json_decref(r->used);
}

static enum err piece_send(struct run *r, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_object(), *answer = NULL;
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    CLEANUP(buf_free) struct buf text = BUF_INIT(0);
    if (!r->piece.len)
        return CE_OK;
    buf_put_base64(&text, buf_span(&r->piece), 0);
    json_object_set_new(o, "keys", json_stringn((const char *)text.data, text.len));
    json_object_set_new(o, "size", json_integer((json_int_t)r->size));
    if (r->file[0])
        json_object_set_new(o, "file", json_string(r->file));
    enum err e = json_set_text(o, "note", cli_opt(r->c, "--note"), f);
    if (e)
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    e = cli_call(r->c, "POST", "/api/v1/keys/blocked", span_str(body), &reply, f);
    e = e ? e : cli_json(&reply, &answer, f);
    if (e)
        return e;
    r->blocked += json_path_int(answer, "blocked", 0);
    r->known += json_path_int(answer, "known", 0);
    json_array_extend(r->used, json_object_get(answer, "used"));
    buf_reset(&r->piece);
    return CE_OK;
}

static enum err id_add(struct run *r, struct span id, struct fault *f)
{
    enum err e = CE_OK;
    if (r->piece.len && (id.n != r->size || r->piece.len == PIECE * r->size))
        e = piece_send(r, f);
    r->size = id.n;
    buf_put_span(&r->piece, id);
    return e;
}

/* The whole file is judged before any of it is sent. */
static enum err file_send(struct run *r, const char *path, struct fault *f)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(LIST_MAX), hex = BUF_INIT(0);
    struct key_list_id id = { .n = 1 };
    struct fault why = { 0 };
    uint8_t digest[SHA256_LEN];
    unsigned line = 0;
    enum err e = file_read(path, &text);
    if (e)
        return fault_set(f, e, "%s cannot be read: %s", path, e == CE_TOO_LARGE ? err_text(e) : strerror(errno));
    struct span rest = buf_span(&text);
    int64_t total = 0;
    while (id.n && !e && !(e = key_list_next(&rest, &line, &id, &why)))
        total += id.n > 0;
    if (e || !total)
        return fault_set(f, CE_BAD_INPUT, "%s: %s; nothing was sent", path, e ? why.text : "it has no keys");
    sha256(buf_span(&text), digest);
    buf_put_hex(&hex, span_of(digest, sizeof digest));
    memcpy(r->file, hex.data, 2 * SHA256_LEN);
    rest = buf_span(&text);
    for (int64_t did = 0; did < total && !e; did++) {
        e = key_list_next(&rest, &line, &id, f);
        e = e ? e : id_add(r, span_of(id.bytes, id.n), f);
        cli_progress(r->c, "keys", did, total);
    }
    e = e ? e : piece_send(r, f);
    cli_progress_end(r->c);
    return e;
}

static enum err one_send(struct run *r, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    const char *spki = cli_opt(r->c, "--spki"), *cert = cli_opt(r->c, "--cert");
    struct key_list_id id;
    struct cert x;
    struct span text = span_str(spki);
    unsigned line = 0;
    enum err e = spki ? key_list_next(&text, &line, &id, f) : cert_load(cert, &der, &x, f);
    if (!e && spki && (!id.n || text.n))
        e = fault_set(f, CE_USAGE, "--spki is the SHA-256 of a SubjectPublicKeyInfo, 64 hexadecimal digits");
    e = e ? e : id_add(r, spki ? span_of(id.bytes, id.n) : span_of(x.spki_sha256, SHA256_LEN), f);
    return e ? e : piece_send(r, f);
}

static enum err device_revoke(struct run *r, const char *uid, struct fault *f)
{
    CLEANUP(buf_free) struct buf path = BUF_INIT(1024);
    CLEANUP(net_reply_free) struct net_reply reply = { 0 };
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s,s:s}", "state", "revoked", "reason", "keyCompromise");
    enum err e = device_path(uid, "", &path, f);
    e = e ? e : json_set_text(o, "note", cli_opt_or(r->c, "--note", "its key is on the list of compromised keys"), f);
    if (e)
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    e = cli_call(r->c, "PATCH", buf_cstr(&path), span_str(body), &reply, f);
    r->revoked += !e;
    return e;
}

static enum err used_say(struct run *r, struct fault *f)
{
    size_t i;
    json_t *u;
    enum err e = CE_OK;
    json_array_foreach(r->used, i, u) {
        const char *kind = json_path_str(u, "kind", "?"), *holder = json_path_str(u, "holder", "?");
        bool device = strcmp(kind, "operator") != 0, revoke = device && cli_flag(r->c, "--revoke");
        if (revoke && !e)
            e = device_revoke(r, holder, f);
        cli_say(r->c, "in use: key %.16s… by %s %s%s", json_path_str(u, "key", "?"), kind, holder,
                revoke ? (e ? "" : ": revoked (keyCompromise)") : device ? ": cradle device revoke, or --revoke" : ": cradle operator remove");
    }
    return e;
}

static enum err block_run(struct cli *c, struct fault *f)
{
    CLEANUP(run_end) struct run r = { .c = c, .used = json_array() };
    int given = (c->nargs == 1) + (cli_opt(c, "--spki") != NULL) + (cli_opt(c, "--cert") != NULL);
    if (given != 1)
        return fault_set(f, CE_USAGE, "give a FILE, or --spki HEX, or --cert FILE");
    enum err e = c->nargs ? file_send(&r, c->args[0], f) : one_send(&r, f);
    if (e)
        return e;
    cli_say(c, "%lld key%s blocked (%lld %s there already): no certificate is made for them any more", (long long)r.blocked, r.blocked == 1 ? "" : "s", (long long)r.known,
            r.known == 1 ? "was" : "were");
    e = used_say(&r, f);
    if (c->json) {
        CLEANUP(json_decref_p) json_t *o = json_pack("{s:I,s:I,s:I,s:O}", "blocked", (json_int_t)r.blocked, "known", (json_int_t)r.known, "revoked", (json_int_t)r.revoked,
                                                     "used", r.used);
        cli_print_json(o);
    }
    return e;
}
static const struct verb_opt block_opts[] = {
    { "--spki", "HEX", "one key: SHA-256 of its SubjectPublicKeyInfo", false },
    { "--cert", "FILE", "one key: that of this certificate (PEM)", false },
    { "--revoke", NULL, "revoke the devices that use one now (keyCompromise)", false },
    { "--note", "TEXT", "why, in your words; becomes evidence", false },
};
const struct verb verb_key_block = {
    .name = "key block", .args = "[FILE]", .min_args = 0, .max_args = 1, .help = "put compromised keys on the list: they get no certificate any more",
    .text = "A line of FILE is 64 hexadecimal digits, the SHA-256 of a SubjectPublicKeyInfo in DER (as lists of pwnedkeys have them), or 20, as Debian's openssl-blacklist "
            "has them for RSA keys; after a blank anything may follow. Empty lines and those that begin with # are skipped. Who uses one of the keys now is named; keys of "
            "openssl-blacklist are found when somebody enrolls or renews. A file that is sent again changes nothing.",
    .example = "cradle key block compromised.txt --note 'leaked with the build server'\ncradle key block --cert stolen.pem --revoke", VERB_OPTS(block_opts), .run = block_run,
};

static enum err list_run(struct cli *c, struct fault *f)
{
    static const struct column cols[] = {
        { "KEY", "key", 64, NULL }, { "KIND", "kind", 0, NULL }, { "AT", "at", 20, NULL }, { "BY", "by", 0, NULL }, { "NOTE", "note", 0, NULL },
    };
    struct list l = { .path = "/api/v1/keys/blocked", .cols = cols, .ncols = ARRAY_LEN(cols), .empty = "No key is on the list: cradle key block FILE" };
    return cli_list(c, &l, f);
}
static const struct verb_opt list_opts[] = {
    { "--limit", "ROWS", "stop after so many rows (default 1000)", false },
    { "--after", "CURSOR", "go on after the cursor that the page before ended with", false },
};
const struct verb verb_key_list = { .name = "key list", .args = "", .help = "list compromised keys", VERB_OPTS(list_opts), .run = list_run };

static enum err unblock_run(struct cli *c, struct fault *f)
{
    CLEANUP(json_decref_p) json_t *o = json_pack("{s:s}", "key", c->args[0]);
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    if (!o)
        return fault_set(f, CE_USAGE, "a key is named by its hexadecimal digits: cradle key list");
    enum err e = json_set_text(o, "note", cli_opt(c, "--note"), f);
    if (e)
        return e;
    CLEANUP(mem_free_p) char *body = json_dumps(o, JSON_COMPACT);
    e = cli_call(c, "POST", "/api/v1/keys/unblock", span_str(body), &r, f);
    if (e)
        return e;
    cli_say(c, "key %s may be certified again", c->args[0]);
    return c->json ? cli_print_reply(&r, f) : CE_OK;
}
static const struct verb_opt note_opts[] = { { "--note", "TEXT", "why, in your words; becomes evidence", false } };
const struct verb verb_key_unblock = {
    .name = "key unblock", .args = "HEX", .min_args = 1, .max_args = 1, .help = "take a key off the list of compromised keys", VERB_OPTS(note_opts), .run = unblock_run,
};
