/* gate.h: cradle-gate, the check of the directive for installers that know nothing of it (SWUpdate, RAUC, any that can run a command before it
 * writes): is the image that is about to be installed the one that two people signed, that is meant for this device, now?
 *
 * It judges by libcradle-dev and remembers in the store that cradle-agent has too. It downloads no image and installs none.
 */
#ifndef CRADLE_GATE_GATE_H
#define CRADLE_GATE_GATE_H

#include "agent/update_store.h"
#include "base/manual.h"
#include "net/net.h"

struct gate_config {
#define CFG CONFIG_FIELD
#include "gate/gate.def"
#undef CFG
};
extern const struct config_key gate_keys[];
extern const size_t gate_nkeys;

struct gate {
    struct gate_config cfg;
    char version[CRADLE_UP_NAME];  /* that runs now; "" not known */
    struct cradle_update_self self;
    struct update_store store;
    struct net *net;               /* NULL: no update_url */
    struct cradle_update up;       /* its target is good after gate_judge */
    const char *reason;            /* stable word of the refusal, for the report */
};

/* Reads configuration, certificate and version. The store stays closed. */
MUST_USE enum err gate_open(struct gate *g, const char *path, struct fault *f);
void gate_close(struct gate *g);
enum err gate_refuse(struct gate *g, int up_err, struct fault *f, const char *what); /* sets reason; returns an error */

/* judge.c: metadata and directive, from the server, or from update_dir/offer when the server cannot be reached; then the state is stored, and the
 * offer of the server too. Refusals of either side are final: an old offer never stands in for an answer. */
MUST_USE enum err gate_judge(struct gate *g, struct fault *f);

/* match.c: is this the image of the order? */
MUST_USE enum err match_swupdate(struct gate *g, struct fault *f);                   /* $TMPDIR/sw-description, as SWUpdate -P leaves it */
MUST_USE enum err match_rauc(struct gate *g, struct fault *f);                       /* the bundle behind $RAUC_BUNDLE_MOUNT_POINT */
MUST_USE enum err match_file(struct gate *g, const char *path, struct fault *f);

/* order.c: the order that the gate let in, until its version runs. */
MUST_USE enum err order_accept(struct gate *g, struct fault *f);
MUST_USE enum err order_installed(struct gate *g, struct fault *f);
MUST_USE enum err order_confirm(struct gate *g, const char *version, struct fault *f); /* raises the floor; CE_NOT_FOUND: nothing to confirm */
/* Tells the server; failures are logged and change nothing. sequence 0: of the order that the server means, unless reason is no-order. */
void order_report(struct gate *g, uint64_t sequence, const char *state, const char *reason, const char *text);

struct gate_verb {
    struct manual_verb word;
    int (*run)(struct gate *g, char **args);
};
struct manual gate_manual(const struct gate_verb *verbs, size_t n_verbs); /* verbs: static */

#endif
