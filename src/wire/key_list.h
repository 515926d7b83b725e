/* key_list.h: lists of compromised keys, a key a line. Pure: text in, identifiers out.
 *
 * A line is 64 hexadecimal digits (SHA-256 of a SubjectPublicKeyInfo in DER, as pwnedkeys gives them) or 20 (openssl-blacklist), and may go on after a
 * blank with anything. Empty lines and those that begin with # are skipped. Colons between digits are not taken.
 */
#ifndef CRADLE_WIRE_KEY_LIST_H
#define CRADLE_WIRE_KEY_LIST_H

#include "base/span.h"

struct key_list_id { uint8_t bytes[32]; size_t n; /* 32 or 10 */ };
/* The next key; *line counts lines, starting with 0. CE_OK and out->n == 0: the end. CE_BAD_INPUT with the number of the line. */
MUST_USE enum err key_list_next(struct span *text, unsigned *line, struct key_list_id *out, struct fault *f);

#endif
