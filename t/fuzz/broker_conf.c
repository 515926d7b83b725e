/* broker_conf.c: any bytes as mosquitto.conf. */
#include <stdint.h>

#include "base/log.h"
#include "cli/broker_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct broker_conf c;
    broker_conf_init(&c);
    broker_conf_read(&c, 0, span_of(data, size));
    broker_conf_end(&c);
    INVARIANT(c.n_findings <= BROKER_FINDINGS && c.n_listeners <= BROKER_LISTENERS);
    for (int i = 0; i < c.n_findings; i++)
        INVARIANT(c.findings[i].why && c.findings[i].fix && memchr(c.findings[i].what, 0, sizeof c.findings[i].what));
    return 0;
}

#include "t/fuzz/replay.h"
