/* uid_list.h: a list of UIDs as the field "uids" of a JSON body, and packed inside a message. Pure codecs. */
#ifndef CRADLE_WIRE_UID_LIST_H
#define CRADLE_WIRE_UID_LIST_H

#include <jansson.h>

#include "base/span.h"

#define UID_LIST_MAX 500

/* Takes "uids", an array of 1 to UID_LIST_MAX UIDs, out of obj (whose other fields stay) and appends it to out: u8 length, UID, one
 * after the other. CE_BAD_FIELD, CE_BAD_UID: the fault names the element. */
MUST_USE enum err uid_list_take(json_t *obj, struct buf *out, struct fault *f);
/* The next one of a packed list; false at its end, and at what is malformed (then *list is not empty). */
bool uid_list_next(struct span *list, struct span *uid);

#endif
