/* trust_file.h: STATE/trust: the roots that were learnt, and when the site was asked last. Reading, and the text of the file; what may be in it is trust.c's. */
#ifndef CRADLE_AGENT_TRUST_FILE_H
#define CRADLE_AGENT_TRUST_FILE_H

#include "agent/agent.h"
#include "crypt/trust.h"

#define TRUST_TEXT_MAX (512u << 10) /* bytes of a bundle, as PEM or base64 */

struct trust_hand { /* the roots in hand, and the bytes that they point into */
    struct buf der;
    struct trust trust;
    bool learnt;
};
void trust_hand_free(struct trust_hand *h);
/* h is zeroed before. The learnt roots when they count, else those of ca_file, which may be none. CE_IO and what file_read says: no ca_file; CE_TOO_LARGE. */
MUST_USE enum err trust_hand_load(const struct agent_config *cfg, struct trust_hand *h, struct fault *f);

/* STATE/trust/NAME; out has PATH_MAX_LEN bytes. */
void trust_file(const struct agent_config *cfg, const char *name, char *out);
/* Appends the first line of roots.pem: which ca_file it was learnt from. */
MUST_USE enum err trust_origin(const struct agent_config *cfg, struct buf *line, struct fault *f);
void trust_checked_note(const struct agent_config *cfg); /* now; a failure is logged */

#endif
