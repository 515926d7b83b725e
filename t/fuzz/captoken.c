/* captoken.c: tokens of download URLs from arbitrary text: what is accepted is written again, and is the same text. */
#include "wire/captoken.h"

#include "base/log.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct captoken t;
    struct fault f = { 0 };
    CLEANUP(buf_free) struct buf again = BUF_INIT(0);
    if (captoken_decode(span_of(data, size), &t, &f) == CE_OK) {
        INVARIANT(name_check_uid(span_str(t.uid), NULL) == CE_OK && t.expires_s >= 0);
        captoken_encode(&t, &again);
        INVARIANT(span_eq(buf_span(&again), span_of(data, size)));
    } else
        INVARIANT(f.code == CE_BAD_TOKEN && f.text[0]);
    return 0;
}
#include "t/fuzz/replay.h"
