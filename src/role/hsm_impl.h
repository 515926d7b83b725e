/* hsm_impl.h: what the files of the hsm role share (hsm_role.c, hsm_keys.c, hsm_work.c). The role is the signer's code run a second time, with
 * the keys that are in tokens (keys/NAME.uri). A vendor's module is loaded in this process and in no other of the service.
 *
 *   main thread   frames from core in, answers out, what state the tokens are in; kills the process when a call into a module never returns
 *   workers       hsm_sessions threads: each is a signer with sessions and counters of its own
 *   keeper        looks for tokens that are gone
 */
#ifndef CRADLE_ROLE_HSM_IMPL_H
#define CRADLE_ROLE_HSM_IMPL_H

#include <pthread.h>

#include "base/name.h"
#include "role/role.h"
#include "role/signer.h"
#include "token/key_file.h"
#include "wire/msg.h"

#define HSM_TOKENS 8
#define HSM_KEYS 128
#define HSM_WORKERS 32
#define HSM_OUT_MAX (8u << 20) /* answers that wait for core to take them, before workers wait too */

struct hsm_token {
    struct token *token;             /* owned */
    struct pkcs11_uri uri;
    struct token_info info;          /* as it was seen last */
    struct buf keys;                 /* owned: names of its keys, each followed by a blank, NUL at the end */
    bool told, lost;                 /* what core knows */
    bool down;                       /* as the threads see it now; under hsm.lock */
    char why[160];                   /* under hsm.lock */
};

enum hsm_key_state { HSM_KEY_UNTRIED, HSM_KEY_GOOD, HSM_KEY_BAD };
struct hsm_key {
    char name[LABEL_MAX + 1];
    struct pkcs11_uri uri;
    struct hsm_token *token;         /* NULL: keys/NAME.uri leads to no token; it is read again when the process starts anew */
    enum hsm_key_state state;        /* BAD: the token answers, the key cannot be used; under hsm.lock */
    enum hsm_key_state told;         /* what core knows */
    char why[160];                   /* of BAD; under hsm.lock */
};

struct hsm_job { struct hsm_job *next; struct ipc_frame frame; uint8_t bytes[]; };
struct hsm_queue { struct hsm_job *head, **tail; };

struct hsm_worker {
    struct hsm *h;
    struct signer *signer;           /* owned; NULL until its keys could be opened */
    bool partial;                    /* its signer lacks keys of tokens that were away */
    int64_t probed_ms;               /* when a failure made it look at every key */
    bool again;                      /* keys came or went: its signer is to be opened anew; under hsm.lock */
    struct token_session *sessions[HSM_TOKENS]; /* owned, one a token */
    struct hsm_queue own;            /* what only this one may answer; under hsm.lock */
    int64_t busy_since_ms;           /* 0: waits for work; under hsm.lock */
};

struct hsm {
    const struct role_context *rc;
    const struct settings *settings;
    bool first;                      /* the service starts, and somebody looks on */
    char url[SETTINGS_URL_MAX];
    struct hsm_token tokens[HSM_TOKENS];
    size_t n_tokens;
    struct hsm_key keys[HSM_KEYS];
    size_t n_keys;
    struct hsm_worker workers[HSM_WORKERS];
    size_t n_workers;
    pthread_mutex_t lock;
    pthread_cond_t work, gone, room; /* a job is there; a token is gone; answers left */
    int64_t keeper_since_ms;         /* 0: waits */
    struct hsm_queue queue;
    struct buf out;                  /* answers on their way to core */
    int wake_fd;                     /* owned eventfd: the main thread has something to do */
};

/* hsm_keys.c: reads keys/NAME.uri, loads modules, reads PINs. At the start of the service what is wrong with one ends it: CE_BAD_CONFIG and what
 * token_new says. Later that key alone is lost. */
MUST_USE enum err hsm_keys_open(struct hsm *h, struct fault *f);
/* The signer of a worker, with the keys that can be opened now. */
MUST_USE enum err hsm_signer_open(struct hsm_worker *w, struct fault *f);
/* Does the token, which answers, let its keys be opened? A key pair that it does not have says nothing about it. */
MUST_USE enum err hsm_key_prove(struct hsm *h, struct hsm_token *t, struct fault *f);
/* Tries the keys that could not be used once more; false: some cannot still. The keeper. */
bool hsm_keys_again(struct hsm *h);

/* hsm_work.c */
void hsm_work_init(struct hsm *h);
/* Starts the threads. */
MUST_USE enum err hsm_work_start(struct hsm *h, struct fault *f);
void hsm_work_put(struct hsm *h, const struct ipc_frame *f);
/* For how long the slowest call into a module has lasted, ms. */
int64_t hsm_work_stuck_ms(struct hsm *h);
void hsm_token_down(struct hsm *h, struct hsm_token *t, const char *why); /* any thread */
void hsm_key_is(struct hsm *h, struct hsm_key *k, const char *why);         /* any thread; why NULL: it can be used */

#endif
