/* crypto_site.c: the site's own keys besides its CAs, from public files only: certificates and public keys in the site's folder, where it is at hand, and the
 * keys that its published update metadata names. See crypto.h.
 */
#include <glob.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/crypto.h"
#include "crypt/cert.h"
#include "crypt/pem.h"
#include "wire/tuf.h"

static void key_add(json_t *out, const char *what, const char *key_alg, const char *sig_alg, int64_t not_after)
{
    char until[CLOCK_TEXT_MAX];
    json_t *o = json_pack("{s:s,s:s}", "what", what, "key_alg", key_alg);
    if (sig_alg)
        json_object_set_new(o, "sig_alg", json_string(sig_alg));
    if (not_after) {
        clock_text_s(not_after, until);
        json_object_set_new(o, "not_after", json_string(until));
    }
    json_array_append_new(out, o);
}

static void cert_add(struct cli *c, json_t *out, const char *file, const char *what)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    char path[PATH_MAX_LEN];
    struct cert x;
    struct spki_info key;
    path_join(path, "%.400s/%s", c->site, file);
    if (cert_load(path, &der, &x, NULL) == CE_OK && spki_parse(x.spki, &key, NULL) == CE_OK)
        key_add(out, what, key.name, sig_alg_name(x.sig_alg), x.not_after);
}

static void responders_add(struct cli *c, json_t *out)
{
    char pattern[PATH_MAX_LEN], what[80];
    glob_t found;
    path_join(pattern, "%.400s/ca/*-ocsp.pem", c->site);
    if (glob(pattern, 0, NULL, &found))
        return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *file = found.gl_pathv[i] + strlen(c->site) + 1, *name = file + strlen("ca/");
        snprintf(what, sizeof what, "OCSP of %.*s", (int)(strlen(name) - strlen("-ocsp.pem")), name);
        cert_add(c, out, file, what);
    }
    globfree(&found);
}

static void public_add(struct cli *c, json_t *out, const char *file, const char *what)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(65536), der = BUF_INIT(KEY_SPKI_MAX);
    char path[PATH_MAX_LEN];
    struct spki_info key;
    path_join(path, "%.400s/trust/%s", c->site, file);
    if (file_read(path, &pem) == CE_OK && pem_decode(buf_span(&pem), "PUBLIC KEY", 0, &der) == CE_OK && spki_parse(buf_span(&der), &key, NULL) == CE_OK)
        key_add(out, what, key.name, NULL, 0);
}

/* -- update metadata ---------------------------------------------------------------------------------------------------------------- */
/* The newest file of a role, its payload in the arena; empty: there is none. */
static struct span metadata(struct cli *c, const json_t *list, const char *role, struct arena *a)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    struct dsse env;
    char path[160];
    size_t i;
    json_t *one;
    int64_t version = 0;
    json_array_foreach(list, i, one)
        if (strcmp(json_path_str(one, "role", ""), role) == 0 && json_path_int(one, "version", 0) > version)
            version = json_path_int(one, "version", 0);
    snprintf(path, sizeof path, "/update/v1/metadata/%lld.%.64s.json", (long long)version, role);
    if (!version || cli_call(c, "GET", path, (struct span){ 0 }, &r, NULL) || dsse_parse(buf_span(&r.body), a, &env, NULL))
        return (struct span){ 0 };
    return env.payload;
}

/* Each kind of key of a role once: a role is as good as the weakest threshold of its keys, which people judge. */
static void role_add(json_t *out, const struct tuf_keys *keys, const struct tuf_role *role, const char *what)
{
    char names[TUF_ROLE_KEYS][KEY_NAME_MAX], text[96];
    size_t n = 0;
    for (size_t i = 0; i < role->n_keyids; i++) {
        const struct tuf_key *k = tuf_key_find(keys, role->keyids[i]);
        struct spki_info key = { .name = "unknown" };
        if (!k || (k->spki.n && spki_parse(k->spki, &key, NULL)))
            continue;
        size_t at = 0;
        while (at < n && strcmp(names[at], key.name) != 0)
            at++;
        if (at < n)
            continue;
        snprintf(names[n++], KEY_NAME_MAX, "%s", key.name);
        snprintf(text, sizeof text, "updates: %.64s", what);
        key_add(out, text, key.name, NULL, 0);
    }
}

static void metadata_add(struct cli *c, json_t *out, const json_t *list, struct arena *a)
{
    struct tuf_root *root = arena_alloc(a, sizeof *root);
    struct tuf_targets *targets = arena_alloc(a, sizeof *targets);
    struct span payload = metadata(c, list, "root", a);
    char line[64];
    if (payload.n && tuf_root_read(payload, a, root, NULL) == CE_OK) {
        for (int t = 0; t < TUF_TYPES; t++)
            role_add(out, &root->keys, &root->roles[t], tuf_type_name((enum tuf_type)t));
        role_add(out, &root->keys, &root->directive, "directive");
    }
    payload = metadata(c, list, "targets", a);
    if (!payload.n || tuf_targets_read(payload, a, targets, NULL))
        return;
    for (size_t i = 0; i < targets->n_lines; i++) {
        snprintf(line, sizeof line, "line " SPAN_FMT, targets->lines[i].name.n < 48 ? (int)targets->lines[i].name.n : 48, (const char *)targets->lines[i].name.p);
        role_add(out, &targets->keys, &targets->lines[i], line);
    }
}

json_t *crypto_site_keys(struct cli *c)
{
    CLEANUP(net_reply_free) struct net_reply r = { 0 };
    CLEANUP(json_decref_p) json_t *o = NULL;
    json_t *out = json_array();
    struct arena a = { 0 };
    if (c->site[0]) {
        responders_add(c, out);
        cert_add(c, out, "tls/server.pem", "TLS server");
        key_add(out, "evidence log", "ed25519", NULL, 0);
        key_add(out, "revocation stream", "ed25519", NULL, 0);
    }
    if (cli_call(c, "GET", "/api/v1/tuf", (struct span){ 0 }, &r, NULL) == CE_OK && cli_json(&r, &o, NULL) == CE_OK)
        metadata_add(c, out, json_object_get(o, "items"), &a);
    if (c->site[0] && !json_array_size(json_object_get(o, "items"))) { /* no metadata yet: the keys wait */
        public_add(c, out, "tuf-snapshot.pub", "updates: snapshot");
        public_add(c, out, "tuf-timestamp.pub", "updates: timestamp");
        public_add(c, out, "directive.pub", "updates: directive");
    }
    arena_free(&a);
    return out;
}
