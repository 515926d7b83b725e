/* tally.h: refusals on their way to the evidence: who, from where, why, without letting anybody flood it. The first of a kind (reason,
 * identity, address) is told at once, its repeats within TALLY_WINDOW_MS as one with a count. At most TALLY_KINDS kinds are told apart
 * in one window; what comes beyond is told when the window closes, one for each reason, with the count and about how many addresses.
 * So at most TALLY_TOLD are told in any TALLY_WINDOW_MS, and the counts of all that is told add up to what was put in. No thread of
 * its own, no lock: the caller's.
 */
#ifndef CRADLE_BASE_TALLY_H
#define CRADLE_BASE_TALLY_H

#include "base/err.h"
#include "base/name.h"

#define TALLY_KINDS 128
#define TALLY_WINDOW_MS 60000
#define TALLY_TOLD (2 * TALLY_KINDS + CE_COUNT)

struct tally_item {
    enum err code;
    char uid[UID_MAX + 1], addr[64], text[TEXT_MAX + 1]; /* uid, addr: "" when not known */
    uint8_t serial[20], serial_n;                       /* of the certificate, as far as known */
    int64_t at_ms;                                      /* wall clock; of the first in count */
    int64_t count;                                      /* set by the tally */
    int64_t sources;                                    /* set by the tally: distinct addresses, about; 0: the one in addr */
};
/* Takes over what is told; false: not now, it will be told again later. */
typedef bool tally_tell(void *ctx, const struct tally_item *item);

struct tally; /* opaque */
struct tally *tally_new(tally_tell *tell, void *ctx); /* never NULL */
void tally_free(struct tally *t);                     /* NULL is legal; what was not told is lost: tally_age before */
void tally_put(struct tally *t, const struct tally_item *item, int64_t mono_ms);
/* Tells what is due; call it now and then. INT64_MAX: everything, at the end. */
void tally_age(struct tally *t, int64_t mono_ms);

#endif
