/* net_reply.c: any bytes as an HTTP answer: header lines, an empty line, a body; then what they mean to a client. */
#include <stdint.h>

#include "base/log.h"
#include "net/net_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct net_reply r = { .status = size ? 200 + data[0] * 2 : 500, .body = BUF_INIT(1 << 20) };
    struct fault f = { 0 };
    struct span rest = span_of(data, size), line;
    while (span_cut(&rest, '\n', &line) && span_trim(line).n)
        net_reply_header(&r, line), INVARIANT(net_range_from(line) >= -1);
    buf_put_span(&r.body, rest);
    enum err e = net_judge(&r, &f);
    bool good = r.status >= 200 && r.status < 300;
    INVARIANT(good ? e == CE_OK : e != CE_OK && f.code == e && f.text[0]);
    INVARIANT(r.retry_s >= 0 && memchr(r.etag, 0, sizeof r.etag) && memchr(r.reason, 0, sizeof r.reason) && memchr(r.type, 0, sizeof r.type));
    net_reply_free(&r);
    return 0;
}

#include "t/fuzz/replay.h"
