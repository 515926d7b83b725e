/* How proxies hand over certificates, and names in a query: first byte 0 to 3 picks the form, 4 the query. */
#include "edge/authz_header.h"

#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    static const struct admit_trust nobody;
    struct admit_peer peer;
    struct fault f;
    if (!size)
        return 0;
    struct span in = span_of(data + 1, size - 1);
    if (data[0] % 5 == 4) {
        if (authz_query(in, &peer, &f) == CE_OK && (!peer.uid[0] || !peer.serial_n))
            __builtin_trap();
        return 0;
    }
    if (authz_header_der((enum authz_form)(data[0] % 5), in, &der, &f) == CE_OK) {
        if (!der.len)
            __builtin_trap();
        if (admit_read(buf_span(&der), &nobody, &peer, &f) == CE_OK) /* nobody is trusted */
            __builtin_trap();
    }
    return 0;
}

#include "t/fuzz/replay.h"
