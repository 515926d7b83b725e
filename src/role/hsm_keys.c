/* hsm_keys.c: which keys of the site are in which tokens, and signers over them. See hsm_impl.h. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "crypt/cert.h"
#include "role/hsm_impl.h"

#define PROBE_MS 1000 /* between two looks at every key, after failures */

static struct hsm_token *token_like(struct hsm *h, const struct pkcs11_uri *u)
{
    for (size_t i = 0; i < h->n_tokens; i++)
        if (pkcs11_uri_same_token(&h->tokens[i].uri, u))
            return &h->tokens[i];
    return NULL;
}

/* Its URI, and its token. */
static enum err key_place(struct hsm *h, struct hsm_key *k, struct fault *f)
{
    const struct token_options stay = { .stay = true, .need_pin = true };
    char path[PATH_MAX_LEN];
    struct fault why = { 0 };
    path_join(path, "%s/keys/%s.key", h->rc->site, k->name);
    if (file_exists(path))
        return fault_set(f, CE_BAD_CONFIG, "%s/keys has both %s.key and %s.uri: remove the one that is not the key", h->rc->site, k->name, k->name);
    enum err e = key_uri_read(h->rc->site, k->name, &k->uri, f);
    if (e || (k->token = token_like(h, &k->uri)))
        return e;
    if (h->n_tokens == HSM_TOKENS)
        return fault_set(f, CE_BAD_CONFIG, "the keys of the site are in more than %d tokens", HSM_TOKENS);
    struct hsm_token *t = &h->tokens[h->n_tokens];
    *t = (struct hsm_token){ .uri = k->uri };
    if ((e = token_new(&k->uri, &stay, &t->token, &why)))
        return fault_set(f, e, "keys/%s.uri: %s", k->name, why.text);
    t->keys = BUF_INIT(HSM_KEYS * (LABEL_MAX + 2));
    h->n_tokens++;
    k->token = t;
    return CE_OK;
}

static enum err key_add(struct hsm *h, const char *name, struct fault *f)
{
    struct hsm_key *k = &h->keys[h->n_keys];
    struct fault why = { 0 };
    if (h->n_keys == HSM_KEYS)
        return fault_set(f, CE_BAD_CONFIG, "%s/keys has more than %d keys in tokens", h->rc->site, HSM_KEYS);
    if (span_to_cstr(span_str(name), k->name, sizeof k->name))
        return fault_set(f, CE_BAD_CONFIG, "keys/%s.uri: the name is too long", name);
    enum err e = key_place(h, k, &why);
    if (e && h->first)
        return fault_set(f, e, "%s", why.text);
    h->n_keys++;
    if (e)
        hsm_key_is(h, k, why.text);
    else
        buf_printf(&k->token->keys, "%s ", name);
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

/* -- one key ------------------------------------------------------------------------------------------------------------------ */
/* The key of ca/NAME.pem, when there is such a certificate: another one would sign what nobody believes. */
static enum err key_judge(const struct hsm *h, const char *name, const struct key *key, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    char path[PATH_MAX_LEN];
    struct cert c;
    path_join(path, "%s/ca/%s.pem", h->rc->site, name);
    if (!file_exists(path))
        return CE_OK;
    enum err e = cert_load(path, &der, &c, f);
    return e || span_eq(c.spki, key_spki(key)) ? e : fault_set(f, CE_KEY_INVALID, "the key pair in the token is not that of ca/%s.pem", name);
}

static enum err key_try(const struct hsm *h, const struct hsm_key *k, struct token_session *s, struct key **out, struct fault *f)
{
    CLEANUP(key_free_p) struct key *key = NULL;
    struct fault why = { 0 };
    enum err e = token_key_open(s, &k->uri, NULL, &key, &why);
    e = e ? e : key_judge(h, k->name, key, &why);
    if (e)
        return fault_set(f, e, "keys/%s.uri: %s", k->name, why.text);
    *out = key;
    key = NULL;
    return CE_OK;
}

static enum err key_try_once(const struct hsm *h, const struct hsm_key *k, struct fault *f)
{
    CLEANUP(key_free_p) struct key *key = NULL;
    struct token_session *s = token_session_new(k->token->token);
    enum err e = key_try(h, k, s, &key, f);
    token_session_free(s);
    return e;
}

enum err hsm_key_prove(struct hsm *h, struct hsm_token *t, struct fault *f)
{
    for (size_t i = 0; i < h->n_keys; i++) {
        enum err e = h->keys[i].token == t ? key_try_once(h, &h->keys[i], f) : CE_NOT_FOUND;
        if (e == CE_OK || e == CE_TOKEN_LOST)
            return e;
    }
    return CE_OK;
}

bool hsm_keys_again(struct hsm *h)
{
    bool all = true;
    for (size_t i = 0; i < h->n_keys; i++) {
        struct hsm_key *k = &h->keys[i];
        struct fault f = { 0 };
        pthread_mutex_lock(&h->lock);
        bool due = k->state == HSM_KEY_BAD && k->token && !k->token->down;
        pthread_mutex_unlock(&h->lock);
        if (!due)
            continue;
        if (key_try_once(h, k, &f) == CE_OK)
            hsm_key_is(h, k, NULL);
        else
            all = false;
    }
    return all;
}

/* -- a worker's signer ------------------------------------------------------------------------------------------------------- */
static struct token_session *session_of(struct hsm_worker *w, const struct hsm_token *t)
{
    struct token_session **s = &w->sessions[t - w->h->tokens];
    if (!*s)
        *s = token_session_new(t->token);
    return *s;
}

/* A key that is not to be had now is left out, so that the signer has the others. */
static enum err source_open(void *ctx, const char *dir, const char *name, struct key **out, struct fault *f)
{
    struct hsm_worker *w = ctx;
    struct hsm *h = w->h;
    (void)dir, (void)f;
    *out = NULL;
    for (size_t i = 0; i < h->n_keys; i++) {
        struct hsm_key *k = &h->keys[i];
        struct fault why = { 0 };
        if (strcmp(k->name, name) != 0 || !k->token)
            continue;
        enum err e = token_is_lost(k->token->token) ? CE_TOKEN_LOST : key_try(h, k, session_of(w, k->token), out, &why);
        if (e == CE_TOKEN_LOST) {
            w->partial = true;
            hsm_token_down(h, k->token, why.text[0] ? why.text : "it does not answer");
        } else
            hsm_key_is(h, k, e ? why.text : NULL);
        return CE_OK;
    }
    return CE_OK; /* in a file: the signer's */
}

/* After a failure: was it for the want of a token, or of a key in it? */
static bool any_lost(void *ctx)
{
    struct hsm_worker *w = ctx;
    struct hsm *h = w->h;
    bool lost = false;
    for (size_t i = 0; i < h->n_tokens; i++)
        if (token_is_lost(h->tokens[i].token)) {
            hsm_token_down(h, &h->tokens[i], "it does not answer");
            lost = true;
        }
    if (lost || clock_mono_ms() < w->probed_ms + PROBE_MS)
        return lost;
    w->probed_ms = clock_mono_ms();
    for (size_t i = 0; i < h->n_keys; i++) {
        CLEANUP(key_free_p) struct key *key = NULL;
        struct hsm_key *k = &h->keys[i];
        struct fault why = { 0 };
        enum err e = k->token ? key_try(h, k, session_of(w, k->token), &key, &why) : CE_OK;
        if (e && e != CE_TOKEN_LOST)
            hsm_key_is(h, k, why.text);
        lost |= e != CE_OK;
    }
    return lost;
}

enum err hsm_signer_open(struct hsm_worker *w, struct fault *f)
{
    struct hsm *h = w->h;
    const struct key_source keys = { source_open, w };
    const struct signer_config c = { .dir = h->rc->site, .base_url = h->url, .n_shards = (unsigned)h->settings->n_shards, .keys = &keys, .unrehearsed = w != &h->workers[0],
                                     .is_lost = any_lost, .lost_ctx = w };
    pthread_mutex_lock(&h->lock);
    w->again = false;
    pthread_mutex_unlock(&h->lock);
    w->partial = false;
    return signer_open(&c, &w->signer, f);
}
