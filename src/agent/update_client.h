/* update_client.h: what the files of the update client share. The client is a process of its own beside the daemon (update_child.c), so that a download
 * or a handler never holds up the broker's connection; all it knows lies in UPDATE_DIR, so it may be killed at any moment.
 *
 * update_client.c   the loop: poll, carry on with the order at hand, tell the server
 * update_look.c     metadata: fetched by versions, judged by libcradle-dev
 * update_fetch.c    the file: into the place where it is installed from, block by block
 * update_sealed.c   the same when the site keeps it encrypted
 * update_install.c  the switch or the handler's command; what was begun before a power cut
 * update_trial.c    is the new version well? confirm, or bring the old one back
 * update_choice.c   what a user wants
 */
#ifndef CRADLE_AGENT_UPDATE_CLIENT_H
#define CRADLE_AGENT_UPDATE_CLIENT_H

#include <signal.h>

#include "agent/agent.h"
#include "agent/creds.h"
#include "agent/update_handler.h"
#include "agent/update_order.h"
#include "agent/update_poll.h"
#include "net/net.h"

struct updater {
    const struct agent_config *cfg; /* borrowed */
    char dir[PATH_MAX_LEN];         /* UPDATE_DIR */
    int lock_fd;                    /* one client at a time */
    struct update_order order;      /* as it is on disk */
    char version[CONFIG_STR_MAX];   /* that runs; "" unknown */
    struct net *net;                /* over the identity in use; made anew for each poll */
    const volatile sig_atomic_t *stop;
    int64_t next_poll_ms, next_tell_ms, next_trial_ms, trial_end_ms; /* monotonic */
    unsigned poll_attempts, tell_attempts;
    unsigned doubts;                /* refusals of the same order in a row that may pass by themselves */
    unsigned bad_data;              /* downloads in a row whose bytes were wrong */
    bool counted;                   /* this start was counted in the trial */
    int64_t retry_s;                /* a busy server asked for that long */
    enum err last;                  /* of the last step */
    bool reset;                     /* a factory reset was ordered: the daemon does it */
};

/* UPDATE_DIR of a configuration. */
void updater_dir(const struct agent_config *cfg, char *out);
/* CE_EXISTS when another client runs. */
MUST_USE enum err updater_open(struct updater *u, const struct agent_config *cfg, const volatile sig_atomic_t *stop, struct fault *f);
void updater_close(struct updater *u);
/* Does what can be done now; returns for how many ms nothing is to be done, 0: again at once. */
int64_t updater_step(struct updater *u);

/* -- shared by the files named above */
/* Stores the order with a new state. reason and text may be NULL. */
MUST_USE enum err updater_move(struct updater *u, enum order_state s, const char *reason, const char *text, struct fault *f);
MUST_USE enum err updater_save(struct updater *u, struct fault *f);
/* Posts a report over the identity in use. */
struct update_said { /* reason, text: NULL none */
    int64_t sequence;
    const char *state, *reason, *text;
    int percent;
    int64_t until_s; /* postponed until then; 0 none */
};
MUST_USE enum err updater_post(struct updater *u, const struct update_said *said, struct fault *f);
/* The same where it does not matter whether it arrives. */
void updater_mention(struct updater *u, const char *state, int percent);
void updater_version(struct updater *u); /* reads what runs */

/* Fetches and judges the metadata with this directive; CE_OK: target is good and the state is stored. A refusal of the library is CE_BAD_SIGNATURE and
 * *refusal its code; other errors are of the connection. */
MUST_USE enum err update_look(struct updater *u, struct span directive, struct cradle_update_target *target, int *refusal, struct fault *f);
/* CE_OK: the whole file lies at path, durable and verified. CE_DRAINING: asked to stop. CE_BAD_PROOF: wrong bytes. CE_STORE, CE_DISK_FULL: this device. */
MUST_USE enum err update_fetch(struct updater *u, const char *path, struct fault *f);
/* After update_fetch. Ends in trial or failed. */
MUST_USE enum err update_install(struct updater *u, const struct handler *h, struct fault *f);
/* At the start: what was being installed when the power went. */
MUST_USE enum err update_install_again(struct updater *u, struct fault *f);
/* One look at a version in trial; *wait_ms until the next one. */
MUST_USE enum err update_trial(struct updater *u, int64_t *wait_ms, struct fault *f);
MUST_USE enum err update_rollback(struct updater *u, struct fault *f);
MUST_USE enum err update_confirmed(struct updater *u, struct fault *f); /* what is left to do after the confirmation; harmless when done */

/* After the way back: restarts once, unless the power did. */
MUST_USE enum err update_restart_due(struct updater *u, struct fault *f);

/* What a user wants of the order at hand (UPDATE_DIR/choice, written by `cradle-agent update …`). */
enum choice { CHOICE_GO, CHOICE_WAIT, CHOICE_DECLINE };
enum choice update_choice(struct updater *u);
MUST_USE enum err choice_write(const char *dir, uint64_t sequence, const char *word, int64_t until_s, struct fault *f);

#endif
