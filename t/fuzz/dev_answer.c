/* dev_answer.c: what an EST server sends to a device: PKCS#7 in base64, and the certificate in it. */
#include <stdlib.h>
#include <string.h>

#include "cradle/dev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cradle_cert cert;
    const uint8_t *der;
    size_t n;
    static char body[65536];
    if (size > sizeof body)
        return 0;
    memcpy(body, data, size);
    if (cradle_est_answer(body, size, &der, &n) == CRADLE_OK && cradle_cert_read(der, n, &cert) == CRADLE_OK)
        cradle_renew_at_s(&cert, 67, "uid");
    if (cradle_cert_read(data, size, &cert) == CRADLE_OK)
        cradle_renew_at_s(&cert, 67, "uid");
    return 0;
}

#include "t/fuzz/replay.h"
