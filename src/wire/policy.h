/* policy.h: the policy document: what each product line and each backend may do at a broker. Pure: bytes in, a read-only struct out, that
 * any thread may read. cradled makes the document, the signed snapshot names its key (cradle/snapshot.h), consumers evaluate it (topic.h).
 *
 * UTF-8 text, LF lines, no blank lines, no comments, at most POLICY_MAX bytes:
 *   cradle-policy 1
 *   ca device|infra|link BASE64            0 to 32, first: certificates (DER) of CAs whose holders may come in, and links: other certificates of a CA
 *                                          (RFC 4210 4.4), for consumers that trust another root
 *   line NAME alarm|quarantine|refuse     lines ascending by name; then, 0 to 8 each and in this order:
 *    w TEMPLATE                            its devices may publish
 *    r TEMPLATE                            they may receive
 *    q TEMPLATE                            a quarantined one may publish and receive these, and nothing else
 *   backend NAME                           after the lines, ascending by name; w and r as above, without %l
 */
#ifndef CRADLE_WIRE_POLICY_H
#define CRADLE_WIRE_POLICY_H

#include <cradle/snapshot.h>

#include "wire/topic.h"

#define POLICY_MAX (SNAPSHOT_POLICY_MAX - 8) /* bytes: what fits into an item of the stream */

enum policy_clones { /* what happens when one identity is in use at two places */
    POLICY_CLONES_ALARM,      /* the newest login wins, and an alarm is raised */
    POLICY_CLONES_QUARANTINE, /* the server quarantines the device */
    POLICY_CLONES_REFUSE,     /* a login from another address is refused while a session lives */
};
const char *policy_clones_name(enum policy_clones c); /* "alarm", … */
bool policy_clones_from_name(struct span name, enum policy_clones *out);

struct policy_line {
    struct span name;
    enum policy_clones clones;
    struct topic_rights rights, repair; /* repair: write and read are the same set */
};
struct policy_backend {
    struct span name;
    struct topic_rights rights;
};
enum policy_ca_kind { POLICY_CA_DEVICE, POLICY_CA_INFRA, POLICY_CA_LINK };
struct policy_ca {
    enum policy_ca_kind kind;
    struct span der;          /* of its certificate; a CA certificate with a key identifier of 20 bytes */
    uint8_t kid[SNAPSHOT_KEY];
};
struct policy; /* opaque */

/* Reads a document; *out owns a copy of it. CE_BAD_CONFIG, CE_TOO_LARGE: f names the line number and the rule, *out is NULL. */
MUST_USE enum err policy_parse(struct span doc, struct policy **out, struct fault *f);
void policy_free(struct policy *p); /* NULL is legal */
/* NULL: not in the document. Valid until policy_free. */
const struct policy_line *policy_line(const struct policy *p, struct span name);
const struct policy_backend *policy_backend(const struct policy *p, struct span name);
const struct policy_line *policy_line_at(const struct policy *p, size_t i); /* i < policy_lines */
/* What a device of the line may do (quarantined: its repair topics alone), and a backend. Never NULL: whoever is not in the document may do
 * nothing. */
const struct topic_rights *policy_device_rights(const struct policy *p, struct span line, bool quarantined);
const struct topic_rights *policy_backend_rights(const struct policy *p, struct span name);
size_t policy_lines(const struct policy *p);
size_t policy_backends(const struct policy *p);
size_t policy_cas(const struct policy *p);
const struct policy_ca *policy_ca_at(const struct policy *p, size_t i); /* i < policy_cas */
const struct policy_ca *policy_ca(const struct policy *p, struct span kid); /* device or infra; NULL: none */

#endif
