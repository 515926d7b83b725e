/* p11_home.h: the agent's connections to PKCS#11 tokens: one a token, kept until the process ends, with its PIN, so that a token that was away is found again.
 * A PIN that a token refused is noted in the state folder and not tried again, by any process, until its file is another: tokens lock themselves.
 * For one thread. */
#ifndef CRADLE_AGENT_P11_HOME_H
#define CRADLE_AGENT_P11_HOME_H

#include "token/token.h"

struct p11_home; /* counted: p11_home_leave */

/* Connected when it returns CE_OK. CE_TOKEN_LOST, CE_NOT_FOUND: the token is away; CE_CRYPTO: the PIN. */
MUST_USE enum err p11_home_open(const char *state_dir, const struct pkcs11_uri *u, struct p11_home **out, struct fault *f);
void p11_home_leave(struct p11_home *h); /* NULL is fine */
/* After CE_TOKEN_LOST: looks for the token once. */
MUST_USE enum err p11_home_again(struct p11_home *h, struct fault *f);
struct token_session *p11_home_session(struct p11_home *h);

#endif
