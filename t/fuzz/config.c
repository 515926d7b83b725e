/* config.c: cradled.conf from arbitrary text; what is accepted is dumped, read again, and equal. */
#include "role/settings.h"

#include "role/nginx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings a, b;
    struct fault f = { 0 };
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    if (settings_parse("fuzz", span_of(data, size), &a, &f) == CE_OK) {
        struct buf text = BUF_INIT(0), again = BUF_INIT(0), nginx = BUF_INIT(0);
        config_dump(settings_keys, settings_nkeys, &a, true, &text);
        INVARIANT(settings_parse("dump", buf_span(&text), &b, &f) == CE_OK);
        config_dump(settings_keys, settings_nkeys, &b, true, &again);
        INVARIANT(span_eq(buf_span(&text), buf_span(&again)));
        nginx_config(&a, "/srv/site", 12201, 1024, &nginx);
        INVARIANT(buf_err(&nginx) == CE_OK);
        buf_free(&text);
        buf_free(&again);
        buf_free(&nginx);
    } else
        INVARIANT(f.code != CE_OK && f.text[0]);
    return 0;
}
#include "t/fuzz/replay.h"
