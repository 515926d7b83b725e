/* birth.h: DIR/birth.json, what `cradle init` decided; the core imports it once, as the first events of a new database.
 * Written by cradle init, never changed afterwards, never read when a database exists.
 *
 * { "format": "cradle-birth-1",
 *   "site": { "name": "acme", "org": "Acme GmbH", "url": "https://HOST:PORT", "http_url": "http://HOST:PORT" },
 *   "cas": [ { "name": "root"|"device"|"infra", "kid": HEX20 (its SKI = AKI in what it issues), "der": BASE64 }, … ],
 *   "operators": [ { "name": "admin", "role": "admin", "lines": "", "cert": BASE64 (DER, issued by infra) }, … ],
 *   "lines": [ { "name": "pump", "title": "", "validity_s": 0, "clone_policy": "alarm" }, … ] }
 * All members of "site" and "cas" are required; "operators" needs at least one of role admin; "lines" may be absent.
 */
#ifndef CRADLE_CORE_BIRTH_H
#define CRADLE_CORE_BIRTH_H

#include "base/span.h"

struct batch;

#define BIRTH_MAX (4u << 20)
/* text: the whole file. In a write batch of a database with empty tables. CE_BAD_CONFIG names what is wrong and where. */
MUST_USE enum err birth_import(struct batch *b, struct span text, struct fault *f);

#endif
