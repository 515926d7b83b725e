/* topic.h: which MQTT topics an identity may use. Pure: templates and topics in, yes or no out; no allocation, no state.
 * A template is a topic filter (MQTT 3.1.1 and 5.0, 4.7) in which %u stands for the identity's UID and %l for its product line, each as a
 * whole level. What no template allows is refused; it is not a general ACL file, there is no "deny".
 */
#ifndef CRADLE_WIRE_TOPIC_H
#define CRADLE_WIRE_TOPIC_H

#include "base/span.h"

#define TOPIC_MAX 65535         /* bytes of a topic name or filter, MQTT 4.7.3 */
#define TOPIC_TEMPLATE_MAX 255  /* bytes of a template */
#define TOPIC_TEMPLATES 8       /* in a set */

enum topic_access { TOPIC_READ = 1, TOPIC_WRITE = 2, TOPIC_SUBSCRIBE = 4, TOPIC_UNSUBSCRIBE = 8 }; /* as the broker's MOSQ_ACL_ */

struct topic_set { /* borrowed, checked templates */
    const struct span *templates;
    unsigned n;
};
struct topic_rights {
    struct topic_set write, read;
};
struct topic_self { /* who asks; names as base/name.h allows them, so without wildcards, '/' and '$'; line may be empty */
    struct span uid, line;
};

/* A well-formed topic name (no wildcards) or topic filter: 1 to TOPIC_MAX bytes of UTF-8 without U+0000, wildcards as whole levels, # at
 * the end. "$share/…" is no filter but a subscription. */
bool topic_name_valid(struct span name);
bool topic_filter_valid(struct span filter);

/* Is text a template? f names it and the rule that it breaks (CE_BAD_FIELD). with_line: may %l be in it? */
MUST_USE enum err topic_template_check(struct span text, bool with_line, struct fault *f);

/* May who do that? READ and WRITE: topic is a topic name. SUBSCRIBE: topic is a filter ($share/GROUP/ is looked through, MQTT 5 4.8.2),
 * allowed when every topic that it can match is readable by one template. UNSUBSCRIBE: always. *by gets the template that allows it, empty
 * otherwise; NULL: not wanted. */
bool topic_allows(const struct topic_rights *rights, const struct topic_self *who, struct span topic, unsigned access, struct span *by);
/* Does the checked template cover every topic that filter matches? filter is a valid name (it matches itself) or filter. Names that begin
 * with '$' are covered only by templates that begin with that level (4.7.2). */
bool topic_covers(struct span tmpl, const struct topic_self *who, struct span filter);

#endif
