/* hsm_keys.c: which keys of the site are in which tokens, and signers over them. See hsm_impl.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "role/hsm_impl.h"

static struct hsm_token *token_like(struct hsm *h, const struct pkcs11_uri *u)
{
    for (size_t i = 0; i < h->n_tokens; i++)
        if (pkcs11_uri_same_token(&h->tokens[i].uri, u))
            return &h->tokens[i];
    return NULL;
}

static enum err key_add(struct hsm *h, const char *name, struct fault *f)
{
    const struct token_options stay = { .stay = true, .need_pin = true };
    struct hsm_key *k = &h->keys[h->n_keys];
    char path[PATH_MAX_LEN];
    if (h->n_keys == HSM_KEYS)
        return fault_set(f, CE_BAD_CONFIG, "%s/keys has more than %d keys in tokens", h->rc->site, HSM_KEYS);
    path_join(path, "%s/keys/%s.key", h->rc->site, name);
    if (file_exists(path))
        return fault_set(f, CE_BAD_CONFIG, "%s/keys has both %s.key and %s.uri: remove the one that is not the key", h->rc->site, name, name);
    enum err e = key_uri_read(h->rc->site, name, &k->uri, f);
    if (e || span_to_cstr(span_str(name), k->name, sizeof k->name))
        return e ? e : fault_set(f, CE_BAD_CONFIG, "keys/%s.uri: the name is too long", name);
    k->token = token_like(h, &k->uri);
    if (!k->token && h->n_tokens == HSM_TOKENS)
        return fault_set(f, CE_BAD_CONFIG, "the keys of the site are in more than %d tokens", HSM_TOKENS);
    if (!k->token) {
        struct fault why = { 0 };
        k->token = &h->tokens[h->n_tokens];
        *k->token = (struct hsm_token){ .uri = k->uri, .keys = BUF_INIT(HSM_KEYS * (LABEL_MAX + 2)) };
        if ((e = token_new(&k->uri, &stay, &k->token->token, &why)))
            return fault_set(f, e, "keys/%s.uri: %s", name, why.text);
        h->n_tokens++;
    }
    buf_printf(&k->token->keys, "%s ", name);
    h->n_keys++;
    return CE_OK;
}

enum err hsm_keys_open(struct hsm *h, struct fault *f)
{
    char path[PATH_MAX_LEN], name[LABEL_MAX + 8];
    struct dirent *d;
    enum err e = CE_OK;
    path_join(path, "%s/keys", h->rc->site);
    DIR *folder = opendir(path);
    if (!folder)
        return fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno));
    while (!e && (d = readdir(folder))) {
        struct span stem = span_str(d->d_name);
        if (stem.n < 5 || memcmp(stem.p + stem.n - 4, ".uri", 4) != 0)
            continue;
        stem.n -= 4;
        e = span_to_cstr(stem, name, sizeof name) ? fault_set(f, CE_BAD_CONFIG, "keys/%s: the name is too long", d->d_name) : key_add(h, name, f);
    }
    closedir(folder);
    return e;
}

void hsm_keys_close(struct hsm *h)
{
    for (size_t i = 0; i < h->n_tokens; i++) {
        token_free(h->tokens[i].token);
        buf_free(&h->tokens[i].keys);
    }
}

enum err hsm_key_prove(struct hsm *h, struct hsm_token *t, struct fault *f)
{
    CLEANUP(key_free_p) struct key *key = NULL;
    size_t i = 0;
    while (h->keys[i].token != t)
        i++;
    struct token_session *s = token_session_new(t->token);
    enum err e = token_key_open(s, &h->keys[i].uri, NULL, &key, f);
    token_session_free(s);
    return e;
}

/* -- a worker's signer ------------------------------------------------------------------------------------------------------- */
static enum err source_open(void *ctx, const char *dir, const char *name, struct key **out, struct fault *f)
{
    struct hsm_worker *w = ctx;
    struct hsm *h = w->h;
    (void)dir;
    *out = NULL;
    for (size_t i = 0; i < h->n_keys; i++) {
        const struct hsm_key *k = &h->keys[i];
        struct fault why = { 0 };
        if (strcmp(k->name, name) != 0)
            continue;
        struct token_session **s = &w->sessions[k->token - h->tokens];
        if (!*s)
            *s = token_session_new(k->token->token);
        enum err e = token_key_open(*s, &k->uri, NULL, out, &why);
        return e ? fault_set(f, e, "keys/%s.uri: %s", name, why.text) : CE_OK;
    }
    return CE_OK; /* in a file: the signer's */
}

static bool any_lost(void *ctx)
{
    struct hsm *h = ((struct hsm_worker *)ctx)->h;
    bool lost = false;
    for (size_t i = 0; i < h->n_tokens; i++)
        if (token_is_lost(h->tokens[i].token)) {
            hsm_token_down(h, &h->tokens[i], "it does not answer");
            lost = true;
        }
    return lost;
}

enum err hsm_signer_open(struct hsm_worker *w, struct fault *f)
{
    struct hsm *h = w->h;
    const struct key_source keys = { source_open, w };
    const struct signer_config c = { .dir = h->rc->site, .base_url = h->url, .n_shards = (unsigned)h->settings->n_shards, .keys = &keys, .unrehearsed = w != &h->workers[0],
                                     .is_lost = any_lost, .lost_ctx = w };
    if (any_lost(w))
        return fault_set(f, CE_TOKEN_LOST, "the token does not answer");
    return signer_open(&c, &w->signer, f);
}
