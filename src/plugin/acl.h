/* acl.h: which topics an identity may use. Pure: templates and strings in, yes or no out.
 * A template is an MQTT topic filter (MQTT 3.1.1 4.7) in which %u stands for the identity's UID as a whole level.
 * What no template allows is refused; it is not a general ACL file.
 */
#ifndef CRADLE_PLUGIN_ACL_H
#define CRADLE_PLUGIN_ACL_H

#include "base/span.h"

#define ACL_TEMPLATES 8  /* for each of device/backend and read/write */
#define ACL_TEMPLATE_MAX 256

enum acl_access { ACL_READ = 1, ACL_WRITE = 2, ACL_SUBSCRIBE = 4, ACL_UNSUBSCRIBE = 8 }; /* as the broker's MOSQ_ACL_ */

struct acl_set {
    int n;
    char templates[ACL_TEMPLATES][ACL_TEMPLATE_MAX];
};
struct acl_rules {
    struct acl_set read, write;
};

/* Fills set from a comma-separated list; f names the template that is no valid filter. CE_BAD_CONFIG. */
MUST_USE enum err acl_set_parse(struct acl_set *set, struct span list, struct fault *f);
/* READ and WRITE: topic is a topic name. SUBSCRIBE: topic is a filter ($share/GROUP/ is looked through), allowed when every topic
 * that it can match is readable by one template. UNSUBSCRIBE: always. */
bool acl_allows(const struct acl_rules *rules, const char *uid, const char *topic, unsigned access);
/* Does template (with %u = uid) cover every topic that filter matches? A topic name is a filter without wildcards. */
bool acl_covers(const char *tmpl, const char *uid, struct span filter);

#endif
