/* store/tag.h: table device_tag: the labels of devices. A list of tags is a text with each tag ended by a line break, in order. SQL only.
 */
#ifndef CRADLE_STORE_TAG_H
#define CRADLE_STORE_TAG_H

#include "base/mem.h"
#include "store/db.h"

/* Appends the tags of a device. */
MUST_USE enum err store_tags_get(struct db *db, struct span uid, struct buf *out, struct fault *f);
/* These and no others. */
MUST_USE enum err store_tags_put(struct db *db, struct span uid, struct span tags, struct fault *f);
MUST_USE enum err store_tag_has(struct db *db, struct span uid, struct span tag, bool *has, struct fault *f);

#endif
