/* EST bodies: decoding, then all that front does with the CSR inside; and the certs-only answer around it. */
#include "base/name.h"
#include "crypt/csr.h"
#include "wire/cms.h"
#include "wire/est.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf der = BUF_INIT(CSR_MAX), out = BUF_INIT(0);
    struct fault f;
    struct csr csr;
    if (est_body_decode(span_of(data, size), &der, &f) == CE_OK) {
        struct span s = buf_span(&der);
        if (csr_parse(s, &csr, &f) == CE_OK && name_check_uid(csr.cn, &f) == CE_OK && csr_verify(&csr, &f) == CE_OK && csr.cn.n > UID_MAX)
            __builtin_trap();
        cms_certs_only(&s, 1, &out);
    }
    buf_free(&der);
    buf_free(&out);
    return 0;
}

#include "t/fuzz/replay.h"
