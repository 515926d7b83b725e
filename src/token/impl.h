/* impl.h: what module.c, token.c, pair.c and sign.c share. Nobody else includes it. */
#ifndef CRADLE_TOKEN_IMPL_H
#define CRADLE_TOKEN_IMPL_H

#include <pthread.h>

#include "token/abi.h"
#include "token/token.h"

struct module { /* one a file; shared by its tokens */
    struct module *next;
    char path[PATH_MAX_LEN];
    void *dl;                    /* owned */
    const struct ck_functions *ck;
    bool initialized, serial;    /* serial: it cannot lock, so one call at a time */
    unsigned users;
    struct token *tokens;
    pthread_rwlock_t lock;       /* for calls into it: shared; for connecting: exclusive */
};

struct token {
    struct token *next;          /* of its module */
    struct module *module;
    struct pkcs11_uri uri;
    struct token_info info;
    char *pin;                   /* owned page; NULL: none is kept */
    size_t pin_len;
    bool stay, connected, pin_refused;
    uint64_t generation;         /* of its handles: sessions and objects found before are void */
    ck_ulong slot, keeper;       /* keeper: the session that holds the login */
    bool keeper_open;
};

struct token_session {
    struct token *token;
    unsigned users;
    uint64_t generation;
    ck_ulong handle;
};

struct token_key {
    struct token_session *session;
    struct pkcs11_uri uri;
    uint64_t generation;
    ck_ulong object;
    enum key_alg alg;
    struct buf spki;             /* owned */
    struct token *own;           /* owned; of a ceremony's key */
};

/* module.c */
MUST_USE enum err module_use(const struct pkcs11_uri *u, struct module **out, struct fault *f);
void module_leave(struct module *m);
MUST_USE enum err module_start(struct module *m, struct fault *f); /* C_Initialize; nothing when it is */
void module_end(struct module *m);                                 /* C_Finalize: all handles of all its tokens are void */
void module_lock(struct module *m, bool exclusive);
void module_unlock(struct module *m);
/* Is it a sign that token, session or daemon is gone? */
bool ck_is_lost(ck_rv rv);
/* CE_TOKEN_LOST or CE_CRYPTO, with a text. */
enum err ck_fail(struct fault *f, const char *what, ck_rv rv);

/* token.c; the module is locked */
MUST_USE enum err session_ready(struct token_session *s, struct fault *f);
/* Connects again unless somebody did since `generation`. hard: the module begins anew too, unless another token of it answers. Locks by itself. */
MUST_USE enum err token_again(struct token *t, uint64_t generation, bool hard, struct fault *f);
void token_lost(struct token *t, uint64_t generation);

/* pair.c; the module is locked, the session ready */
MUST_USE enum err pair_find(struct token_session *s, const struct pkcs11_uri *u, ck_ulong class, ck_ulong *out, ck_ulong *found, struct fault *f);
MUST_USE enum err pair_generate(struct token_session *s, const struct pkcs11_uri *u, const char *alg, ck_ulong *pub, ck_ulong *priv, struct fault *f);
/* Both halves of all pairs that u names: the private ones first. */
MUST_USE enum err pair_destroy(struct token_session *s, const struct pkcs11_uri *u, struct fault *f);
MUST_USE enum err pair_spki(struct token_session *s, ck_ulong pub, struct buf *spki, struct fault *f);

#endif
