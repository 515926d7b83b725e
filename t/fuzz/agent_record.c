/* agent_record.c: the files in which a device keeps its state of updates, with their checksum made right so that what is behind it is reached. */
#include <openssl/evp.h>

#include "agent/update_store.h"
#include "base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cradle_update_state state;
    struct fault f;
    CLEANUP(buf_free) struct buf b = BUF_INIT(1 << 20);
    uint8_t digest[32];
    (void)!update_state_parse("state", span_of(data, size), &state, &f);
    buf_put(&b, data, size);
    if (EVP_Digest(data, size, digest, NULL, EVP_sha256(), NULL) != 1)
        return 0;
    buf_put_str(&b, "# sha256 ");
    buf_put_hex(&b, span_of(digest, sizeof digest));
    buf_put_str(&b, "\n");
    (void)!update_state_parse("state", buf_span(&b), &state, &f);
    return 0;
}

#include "t/fuzz/replay.h"
