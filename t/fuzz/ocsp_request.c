/* ocsp_request.c: fuzz target of OCSP request reading. */
#include "base/log.h"
#include "crypt/ocsp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ocsp_request q;
    struct fault f = { .code = CE_OK };
    enum err e = ocsp_request_parse(span_of(data, size), &q, &f);
    if (e) {
        INVARIANT(f.code == e && f.text[0]);
        return 0;
    }
    INVARIANT(q.n >= 1 && q.n <= OCSP_IDS_MAX && q.nonce.n <= OCSP_NONCE_MAX);
    for (size_t i = 0; i < q.n; i++)
        INVARIANT(q.ids[i].der.p >= data && q.ids[i].der.p + q.ids[i].der.n <= data + size && q.ids[i].serial.n <= 20);
    return 0;
}

#include "t/fuzz/replay.h"
