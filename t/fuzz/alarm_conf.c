/* alarm_conf.c: alarm.conf from arbitrary text; what is accepted is dumped, read again, and equal. */
#include "base/log.h"
#include "base/mem.h"
#include "cli/alarm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct alarm_conf a, b;
    struct fault f = { 0 };
    if (alarm_conf_parse("fuzz", span_of(data, size), &a, &f) == CE_OK) {
        CLEANUP(buf_free) struct buf text = BUF_INIT(0), again = BUF_INIT(0);
        INVARIANT(a.nchannels > 0 && a.self_channels && a.self_channels < 1u << a.nchannels);
        for (int i = 0; i < a.nrules; i++)
            INVARIANT(a.rule[i].channels && a.rule[i].channels < 1u << a.nchannels);
        alarm_conf_dump(&a, true, &text);
        INVARIANT(alarm_conf_parse("dump", buf_span(&text), &b, &f) == CE_OK);
        alarm_conf_dump(&b, true, &again);
        INVARIANT(span_eq(buf_span(&text), buf_span(&again)));
    } else
        INVARIANT(f.code != CE_OK && f.text[0]);
    return 0;
}
#include "t/fuzz/replay.h"
