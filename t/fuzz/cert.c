/* cert.c: fuzz target of certificate and CRL reading (front reads the certificates of strangers). */
#include "base/log.h"
#include "crypt/cert.h"
#include "crypt/crl.h"
#include "crypt/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cert c;
    struct crl l;
    struct crl_entry entry;
    struct fault f = { .code = CE_OK };
    struct buf der = BUF_INIT(65536);
    struct span in = span_of(data, size);
    enum err e = cert_parse(in, &c, &f);
    INVARIANT(e == CE_OK || (f.code == e && f.text[0]));
    if (!e) {
        INVARIANT(c.tbs.p >= data && c.sig.p + c.sig.n <= data + size && c.serial.n <= 20);
        (void)!cert_check_issued(&c, &c);
    }
    if (crl_parse(in, &l, NULL) == CE_OK) {
        size_t n = 0;
        for (struct span s = l.entries; crl_next(&s, &entry); n++)
            INVARIANT(entry.serial.n <= 20);
        INVARIANT(n == l.n_entries);
    }
    (void)!pem_decode(in, "CERTIFICATE", 0, &der);
    buf_free(&der);
    return 0;
}

#include "t/fuzz/replay.h"
