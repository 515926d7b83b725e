/* envelope.h: a DSSE envelope read and verified in place. Internal to the device library's update half. */
#ifndef CRADLE_DEV_ENVELOPE_H
#define CRADLE_DEV_ENVELOPE_H

#include "cradle/update.h"
#include "djson.h"

#define ENVELOPE_TUF "application/vnd.tuf+json"
#define ENVELOPE_DIRECTIVE "application/vnd.cradle.directive+json"

struct envelope {
    const char *type;          /* literal of the expected type */
    const uint8_t *payload;    /* decoded in place */
    size_t payload_n;
    struct djson doc, signatures;
};
/* Decodes the payload of text (overwritten) and checks its JSON. CRADLE_UP_FORMAT. */
int envelope_open(char *text, size_t n, const char *type, struct envelope *out);
/* Did at least role->threshold different keys of role sign? CRADLE_UP_SIGNATURES, CRADLE_UP_CRYPTO. */
int envelope_verify(const struct envelope *e, const struct cradle_update_port *port, const struct cradle_update_key *keys,
                    const struct cradle_update_role *role);
int envelope_payload_sha256(const struct envelope *e, const struct cradle_update_port *port, uint8_t out[32]);
/* Reads "keys" and a role of TUF metadata. Keys of other kinds than P-256 are left out, and so are their places in roles. only: an array of
 * identifiers, other keys are left out too; NULL: all. CRADLE_UP_SPACE when there are more than cap. */
int keys_read(struct djson holder, const struct djson *only, struct cradle_update_key *keys, uint8_t cap, uint8_t *n);
int role_read(struct djson role, const struct cradle_update_key *keys, uint8_t n, struct cradle_update_role *out);

#endif
