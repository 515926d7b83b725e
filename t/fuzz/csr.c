/* csr.c: fuzz target of PKCS#10 reading; what is accepted must be sound enough to verify and to judge. */
#include "base/log.h"
#include "crypt/csr.h"
#include "crypt/key_gate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct csr r;
    struct fault f = { .code = CE_OK };
    struct spki_info k;
    enum err e = csr_parse(span_of(data, size), &r, &f);
    if (e) {
        INVARIANT(f.code == e && f.text[0]);
        return 0;
    }
    INVARIANT(r.cn.n >= 1 && r.cn.n <= 64 && span_is_utf8(r.cn) && !memchr(r.cn.p, 0, r.cn.n));
    INVARIANT(r.spki.p >= data && r.spki.p + r.spki.n <= data + size);
    (void)!key_gate(r.spki, NULL, &k, NULL);
    (void)!csr_verify(&r, NULL);
    return 0;
}

#include "t/fuzz/replay.h"
