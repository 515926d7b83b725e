#include "agent/key.h"
static bool w(const char *s) { (void)s; return false; }
const struct key_backend key_backend_pkcs11 = { "pkcs11", "key.uri", w, 0, 0, 0 };
