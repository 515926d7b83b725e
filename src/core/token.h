/* token.h: tokens (HSMs) that hold keys of the site, as the hsm role tells: which request is whose to sign, what may be asked for now, and what
 * the evidence says of a token that goes away and comes back. Without the role there is none, and everything goes to the signer.
 */
#ifndef CRADLE_CORE_TOKEN_H
#define CRADLE_CORE_TOKEN_H

#include "core/batch.h"

#define CORE_TOKENS 40 /* with the keys that cannot be used */
#define TOKEN_SLOW_MS 5000 /* the oldest request waits longer: nothing new is asked that can wait */

struct core_token {
    char label[33], serial[17], manufacturer[33], why[161];
    char *keys;                /* owned: names between blanks, one at each end too */
    bool lost;
    bool one;                  /* not a token, but one key in it that was found unusable: its name is in keys */
    bool silent;               /* lost because the role died: no event tells of it */
    bool told;                 /* the evidence of this process says where the keys are */
    int64_t since_ms;          /* wall clock; of lost, or not lost */
};

/* OP_SILENT: a state that the hsm role told. */
MUST_USE enum err token_op_state(struct batch *b, const struct caller *c, const void *msg, struct msg_reply *out, struct fault *f);
/* The token that has the key which this request of msg.def (MSG_SIGN_…) asks for; NULL: the signer has it. */
const struct core_token *token_of_request(const struct core *core, uint16_t type, struct span body);
/* CRLs: one worker of the hsm role makes them one after the other, and enrollments have the others. With a slow token they may wait for minutes, which is no
 * reason to send devices away. */
bool token_keeps_apart(uint16_t type);
/* May something be asked of this key ("device", "device-ocsp") by somebody who can come again? CE_OK; CE_TOKEN_LOST; CE_BUSY: too much waits for tokens. */
MUST_USE enum err token_ready(const struct core *core, struct span ca, const char *suffix, struct fault *f);
void token_status_put(const struct core *core, struct json_out *j); /* member "tokens" */
void tokens_push(struct core *core, int peer); /* tells a front (-1: all) which are lost */
void tokens_gone(struct core *core);           /* the hsm role died */
void tokens_free(struct core *core);

#endif
