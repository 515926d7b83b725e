/* agent_poll.c: any bytes as a server's answer to a device that asks for updates. */
#include <jansson.h>

#include "agent/update_poll.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct update_poll p;
    struct fault f = { 0 };
    json_object_seed(1);
    enum err e = update_poll_read(span_of(data, size), &p, &f);
    INVARIANT(e == CE_OK || f.text[0]);
    INVARIANT(e || (p.sleep_s >= 0 && p.sleep_s <= UPDATE_SLEEP_MAX_S && p.wait_s >= 0 && p.sequence <= INT64_MAX));
    INVARIANT(e || !p.ready || (p.directive.len && p.directive.data[0] == '{'));
    update_poll_free(&p);
    return 0;
}

#include "t/fuzz/replay.h"
