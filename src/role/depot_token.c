/* depot_token.c: the key of download tokens, and their MAC. The key is made here at the first start and never leaves this process. */
#include <errno.h>
#include <openssl/crypto.h>

#include "base/mem.h"
#include "role/depot_priv.h"

enum err depot_key_open(struct depot *d, struct fault *f)
{
    char path[PATH_MAX_LEN];
    CLEANUP(buf_free) struct buf key = BUF_INIT(sizeof d->token_key);
    path_join(path, "%s/depot", d->site);
    enum err e = file_mkdirs(path, 0700);
    path_join(path, "%s/depot/token.key", d->site);
    if (!e && !file_exists(path)) {
        e = random_bytes(d->token_key, sizeof d->token_key);
        e = e ? e : file_write_new(path, span_of(d->token_key, sizeof d->token_key), 0600);
        e = e == CE_EXISTS ? CE_OK : e;
    }
    if (e)
        return fault_set(f, e, "%s cannot be made: %s", path, strerror(errno));
    e = file_read_private(path, &key, f);
    if (!e && key.len != sizeof d->token_key)
        e = fault_set(f, CE_BAD_CONFIG, "%s is damaged: remove it (download URLs made before end with it)", path);
    if (!e)
        memcpy(d->token_key, key.data, sizeof d->token_key);
    return e;
}

static void mac_make(const struct depot *d, const struct captoken *t, uint8_t out[CAPTOKEN_MAC])
{
    CLEANUP(buf_free) struct buf body = BUF_INIT(256);
    captoken_body(t, &body);
    hmac_sha256(span_of(d->token_key, sizeof d->token_key), buf_span(&body), out);
}

void depot_token_make(const struct depot *d, struct captoken *t) { mac_make(d, t, t->mac); }

enum err depot_token_check(const struct depot *d, const struct captoken *t, int64_t now_s, struct fault *f)
{
    uint8_t want[CAPTOKEN_MAC];
    mac_make(d, t, want);
    if (CRYPTO_memcmp(want, t->mac, sizeof want) != 0)
        return fault_set(f, CE_BAD_TOKEN, "this site did not make the download token");
    return now_s <= t->expires_s ? CE_OK : fault_set(f, CE_BAD_TOKEN, "the download token has ended: ask for a new URL");
}
