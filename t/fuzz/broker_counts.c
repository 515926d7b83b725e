/* broker_counts.c: fuzz target of a broker's counters: what is read is written and read the same. */
#include "base/log.h"
#include "base/mem.h"
#include "wire/broker_counts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_free) struct buf text = BUF_INIT(BROKER_COUNTS_TEXT_MAX);
    struct broker_counts a, b;
    if (broker_counts_parse(span_of(data, size), &a))
        return 0;
    broker_counts_put(&text, &a);
    INVARIANT(text.len <= BROKER_COUNTS_TEXT_MAX && !broker_counts_parse(buf_span(&text), &b));
    for (int i = 0; i < BROKER_NUMBERS; i++)
        INVARIANT(a.n[i] >= 0 && a.n[i] <= BROKER_NUMBER_MAX && (b.n[i] == a.n[i] || (!b.n[i] && text.len > 1400)));
    return 0;
}

#include "t/fuzz/replay.h"
