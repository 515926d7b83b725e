/* name.h: which names the system accepts, in one place. A UID is a certificate CN, an MQTT user name, client id and topic
 * level and a path segment at once, so it takes none of their special characters. */
#ifndef CRADLE_BASE_NAME_H
#define CRADLE_BASE_NAME_H

#include "base/span.h"

#define UID_MAX 64   /* bytes: RFC 5280 ub-common-name */
#define LABEL_MAX 48 /* lines, models, batches, operator names */
#define TEXT_MAX 200 /* free text: notes, organisation */

/* UID: 1..64 of A-Z a-z 0-9 and . _ - : ; begins with a letter or digit; never "." or "..". CE_BAD_UID. */
MUST_USE enum err name_check_uid(struct span s, struct fault *f);
/* Label: 1..48 of a-z A-Z 0-9 . _ -, begins with a letter or digit. what names the field in the message. CE_BAD_NAME. */
MUST_USE enum err name_check_label(const char *what, struct span s, struct fault *f);
/* Free text: valid UTF-8 without control bytes, up to max bytes. CE_BAD_NAME. */
MUST_USE enum err name_check_text(const char *what, struct span s, size_t max, struct fault *f);

#endif
