/* tlsinfo.c: see tlsinfo.h. Connections that have not logged in yet stand in a list, oldest first; OpenSSL keeps each one's place in its
 * SSL object. A login is looked for from both ends at once: in a storm of reconnects the oldest is next, while under idle strangers,
 * who never log in, the newest is. SSL objects of other threads are listed and never looked at.
 */
#include "plugin/tlsinfo.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct place {
    SSL *ssl; /* of the broker; valid while OpenSSL has not called on_free */
    pthread_t thread;
    struct place *older, *newer;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct place *oldest, *newest;
static size_t n_listed;
static int ex_index = -1;

static void unlist(struct place *p) /* locked */
{
    *(p->older ? &p->older->newer : &oldest) = p->newer;
    *(p->newer ? &p->newer->older : &newest) = p->older;
    n_listed--;
}

static struct policyfile *policy; /* whose CAs the contexts get; NULL: none yet */
static uint64_t policy_turn;      /* counts the documents */

/* Contexts are known from when they are made: since OpenSSL 3.2 a new SSL object has none yet when its places are made. */
struct context {
    SSL_CTX *ctx; /* of the broker; valid while OpenSSL has not called on_context_free */
    pthread_t thread;
    uint64_t turn; /* the CAs that it has */
    struct context *next;
};
static struct context *contexts;
static int ctx_index = -1;

static struct context *context_add(SSL_CTX *ctx) /* locked */
{
    struct context *c = mem_calloc(1, sizeof *c);
    *c = (struct context){ ctx, pthread_self(), 0, contexts };
    return contexts = c;
}

static void on_context(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)ptr, (void)argl, (void)argp;
    pthread_mutex_lock(&lock);
    CRYPTO_set_ex_data(ad, idx, context_add(parent)); /* refused: on_context_free looks for it all the same */
    pthread_mutex_unlock(&lock);
}

static void on_context_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)ptr, (void)ad, (void)idx, (void)argl, (void)argp;
    pthread_mutex_lock(&lock);
    for (struct context **at = &contexts, *c; (c = *at); at = &c->next)
        if (c->ctx == parent) {
            *at = c->next;
            free(c);
            break;
        }
    pthread_mutex_unlock(&lock);
}

/* Mosquitto reads its cafile once. The CAs of today go into the store beside it, where they lead to a root and are none: a chain still ends
 * at a self-signed certificate of cafile (RFC 5280 6.1; X509_V_FLAG_PARTIAL_CHAIN is not set). */
static void context_feed(struct context *c) /* locked */
{
    for (size_t i = 0; i < policy_cas(policy->policy); i++) {
        const struct policy_ca *ca = policy_ca_at(policy->policy, i);
        const uint8_t *p = ca->der.p;
        X509 *x = d2i_X509(NULL, &p, (long)ca->der.n);
        if (x)
            X509_STORE_add_cert(SSL_CTX_get_cert_store(c->ctx), x);
        X509_free(x);
    }
    c->turn = policy_turn;
}

/* All contexts of this thread, one of before tlsinfo_open with them as soon as a connection shows it. */
static void contexts_feed(const SSL *ssl) /* locked */
{
    SSL_CTX *own = ssl ? SSL_get_SSL_CTX(ssl) : NULL;
    struct context *c;
    for (c = contexts; c && c->ctx != own; c = c->next)
        ;
    if (own && !c)
        context_add(own);
    for (c = policy ? contexts : NULL; c; c = c->next)
        if (c->turn != policy_turn && pthread_equal(c->thread, pthread_self()))
            context_feed(c);
}

void tlsinfo_policy(struct policyfile *p)
{
    pthread_mutex_lock(&lock);
    policyfile_drop(policy);
    policy = policyfile_ref(p);
    policy_turn++;
    pthread_mutex_unlock(&lock);
}

static void on_new(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)ptr, (void)argl, (void)argp;
    struct place *p = mem_calloc(1, sizeof *p);
    p->ssl = parent;
    p->thread = pthread_self();
    if (!CRYPTO_set_ex_data(ad, idx, p)) {
        free(p);
        return;
    }
    pthread_mutex_lock(&lock);
    contexts_feed(SSL_get_SSL_CTX(parent) || !newest || !pthread_equal(newest->thread, p->thread) ? parent : newest->ssl);
    p->older = newest;
    *(newest ? &newest->newer : &oldest) = p;
    newest = p;
    n_listed++;
    pthread_mutex_unlock(&lock);
}

static void on_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
    (void)parent, (void)ad, (void)idx, (void)argl, (void)argp;
    struct place *p = ptr; /* NULL: made before tlsinfo_open, or found */
    if (!p)
        return;
    pthread_mutex_lock(&lock);
    unlist(p);
    pthread_mutex_unlock(&lock);
    free(p);
}

/* A copied SSL object has a place of its own already. */
static int on_dup(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **from_d, int idx, long argl, void *argp)
{
    (void)from, (void)argl, (void)argp;
    *from_d = CRYPTO_get_ex_data(to, idx);
    return 1;
}

enum err tlsinfo_open(struct fault *f)
{
    if (ex_index < 0)
        ex_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, on_new, on_dup, on_free);
    if (ctx_index < 0)
        ctx_index = SSL_CTX_get_ex_new_index(0, NULL, on_context, NULL, on_context_free);
    return ex_index < 0 || ctx_index < 0 ? fault_set(f, CE_UNSUPPORTED, "OpenSSL gives the plugin no place in its connections") : CE_OK;
}

void tlsinfo_close(void)
{
    if (ex_index < 0)
        return;
    CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL, ex_index); /* from here on nothing here is called */
    CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL_CTX, ctx_index);
    ex_index = ctx_index = -1;
    pthread_mutex_lock(&lock);
    while (oldest) {
        struct place *p = oldest;
        unlist(p);
        free(p);
    }
    while (contexts) {
        struct context *c = contexts;
        contexts = c->next;
        free(c);
    }
    policyfile_drop(policy);
    policy = NULL;
    pthread_mutex_unlock(&lock);
}

static bool place_shows(const struct place *p, const X509 *cert)
{
    return pthread_equal(p->thread, pthread_self()) && SSL_is_server(p->ssl) && SSL_get0_peer_certificate(p->ssl) == cert;
}

static struct place *place_find(const X509 *cert) /* locked */
{
    struct place *old = oldest, *new = newest;
    for (int i = 0; i < TLSINFO_SCAN / 2 && old && new; i++, old = old->newer, new = new->older) {
        if (place_shows(new, cert))
            return new;
        if (place_shows(old, cert))
            return old;
    }
    return NULL;
}

struct tlsinfo tlsinfo_take(const X509 *cert)
{
    struct tlsinfo out = { .text = "" };
    if (!cert)
        return out;
    pthread_mutex_lock(&lock);
    struct place *p = place_find(cert);
    if (p) {
        unlist(p);
        snprintf(out.text, sizeof out.text, "%s %s", SSL_get_version(p->ssl), SSL_get_cipher_name(p->ssl));
        out.resumed = SSL_session_reused(p->ssl) == 1;
        SSL_set_ex_data(p->ssl, ex_index, NULL);
        free(p);
    }
    pthread_mutex_unlock(&lock);
    return out;
}

size_t tlsinfo_waiting(void)
{
    pthread_mutex_lock(&lock);
    size_t n = n_listed;
    pthread_mutex_unlock(&lock);
    return n;
}
