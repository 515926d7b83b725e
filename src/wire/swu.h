/* swu.h: the front of an SWUpdate image (.swu): a cpio archive (newc, with or without checksums) whose first file is sw-description, which names every
 * other file by its SHA-256. Whoever installs from the stream has seen nothing but this file when it decides: its digest stands for the image.
 * Pure. It is no cpio reader: it looks at the first file only, and does not understand what sw-description says.
 */
#ifndef CRADLE_WIRE_SWU_H
#define CRADLE_WIRE_SWU_H

#include "base/span.h"

#define SWU_DESCRIPTION_MAX (1u << 20)
#define SWU_HEAD_MAX (SWU_DESCRIPTION_MAX + 256) /* so many bytes from the front hold it */

/* head: the first SWU_HEAD_MAX bytes of the file, or all of it. *out lies in head. CE_BAD_INPUT with the rule that is broken. */
MUST_USE enum err swu_description(struct span head, struct span *out, struct fault *f);

#endif
