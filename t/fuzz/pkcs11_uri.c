/* pkcs11_uri.c: any bytes as a PKCS#11 URI (RFC 7512): from command lines and keys/NAME.uri. What is taken names a module, a token and a key. */
#include <stdint.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "token/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault f = { 0 };
    struct pkcs11_uri u, v;
    CLEANUP(buf_free) struct buf out = BUF_INIT(8192);
    if (pkcs11_uri_parse(span_of(data, size), "default", &u, &f)) {
        INVARIANT(f.code != CE_OK && f.text[0]);
        return 0;
    }
    INVARIANT(!f.text[0]);
    INVARIANT(u.token[0] || u.serial[0] || u.has_slot);
    INVARIANT(u.object[0] || u.id_len);
    INVARIANT(u.id_len <= sizeof u.id);
    INVARIANT(u.module[0] ? u.module[0] == '/' : u.module_name[0] && !strchr(u.module_name, '/'));
    INVARIANT(u.pin_source[0] != '|');
    INVARIANT(pkcs11_uri_parse(span_of(data, size), "default", &v, &f) == CE_OK && pkcs11_uri_same_token(&u, &v));
    if (pkcs11_uri_relabel(span_of(data, size), "a;b", &out) == CE_OK)
        INVARIANT(pkcs11_uri_parse(buf_span(&out), NULL, &v, &f) == CE_OK && pkcs11_uri_same_token(&u, &v) && strcmp(v.object, "a;b") == 0);
    return 0;
}

#include "t/fuzz/replay.h"
