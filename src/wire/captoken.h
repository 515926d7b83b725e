/* captoken.h: the token in the URL of a file for one device that cannot show a certificate: GET /get/TOKEN/NAME. Codec only: who made it is
 * told by its MAC, which the depot judges with a key that it alone has; whether the device may still have the file is core's to say.
 *
 * base64url without padding (RFC 4648 5) of: u8 version 1, u64 end in s since 1970, 32 bytes SHA-256 of the file, u8 length and bytes of
 * the device's UID, 32 bytes HMAC-SHA256 over CAPTOKEN_CONTEXT and all before it.
 */
#ifndef CRADLE_WIRE_CAPTOKEN_H
#define CRADLE_WIRE_CAPTOKEN_H

#include "base/name.h"
#include "base/span.h"

#define CAPTOKEN_CONTEXT "cradle get v1\n"
#define CAPTOKEN_MAC 32
#define CAPTOKEN_MAX 192 /* characters */

struct captoken {
    int64_t expires_s;
    uint8_t sha256[32], mac[CAPTOKEN_MAC];
    char uid[UID_MAX + 1];
};

/* What the MAC is over. */
void captoken_body(const struct captoken *t, struct buf *out);
void captoken_encode(const struct captoken *t, struct buf *out);
/* CE_BAD_TOKEN: not exactly what captoken_encode writes. The MAC and the end are not judged. */
MUST_USE enum err captoken_decode(struct span text, struct captoken *out, struct fault *f);

#endif
