/* Headers: the client certificate as nginx hands it over, and the small ones. */
#include "crypt/cert.h"
#include "wire/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf der = BUF_INIT(CERT_MAX);
    struct span s = span_of(data, size);
    struct cert cert;
    struct fault f;
    int64_t rev;
    if (http_client_cert(s, &der, &f) == CE_OK && cert_parse(buf_span(&der), &cert, &f) == CE_OK && cert.serial.n == 0)
        __builtin_trap();
    if (http_if_match(s, &rev, &f) == CE_OK && rev < -1)
        __builtin_trap();
    if (http_idem_check(s, &f) == CE_OK && size > 64)
        __builtin_trap();
    http_verify_err(s);
    http_media_is(s, "application/json");
    http_accepts(s, "application/pkix-cert");
    buf_free(&der);
    return 0;
}

#include "t/fuzz/replay.h"
