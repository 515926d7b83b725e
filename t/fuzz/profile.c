/* profile.c: fuzz target of certificate profiles: whatever loads can be expanded and gives a Name that reads back. */
#include "base/log.h"
#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct profile_values v = {
        .uid = { (const uint8_t *)"dev-1", 5 }, .serial = { (const uint8_t *)"1/2", 3 }, .line = { (const uint8_t *)"pump", 4 },
    };
    struct profile p;
    struct fault f = { .code = CE_OK };
    CLEANUP(buf_free) struct buf name = BUF_INIT(8192), san = BUF_INIT(8192);
    enum err e = profile_parse("fuzzed", span_of(data, size), &p, &f);
    if (e) {
        INVARIANT(f.code == e && f.text[0]);
        return 0;
    }
    if (profile_subject(&p, &v, &name, NULL) == CE_OK)
        INVARIANT(der_check(buf_span(&name)) == CE_OK);
    (void)!profile_san_uri(&p, &v, &san, NULL);
    INVARIANT(profile_validity(&p, 0) <= p.validity_max_s);
    return 0;
}

#include "t/fuzz/replay.h"
