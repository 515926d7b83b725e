/* canon_json.h: OLPC canonical JSON (http://wiki.laptop.org/go/Canonical_JSON, as TUF 4.2 uses it for key identifiers): keys
 * sorted by bytes, no white space, whole numbers only, only '"' and '\' escaped. Writing only; what comes out may hold raw control
 * characters and is then hashed, not parsed.
 */
#ifndef CRADLE_WIRE_CANON_JSON_H
#define CRADLE_WIRE_CANON_JSON_H

#include <jansson.h>

#include "base/span.h"

/* Appends v. CE_BAD_JSON: it has a real number, or lies deeper than CANON_DEPTH. */
#define CANON_DEPTH 64
MUST_USE enum err canon_json_put(const json_t *v, struct buf *out);

#endif
