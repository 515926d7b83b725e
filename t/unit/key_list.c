/* key_list.c: lists of compromised keys: what is read, what is refused; the name that openssl-blacklist has for an RSA key. */
#include "crypt/key_gate.h"
#include "t/tap.h"
#include "t/unit/crypt_site.h"
#include "wire/key_list.h"

#define KEY64 "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void read_one(const char *text, size_t want, unsigned line, const char *what)
{
    struct span in = span_str(text);
    struct key_list_id id;
    struct fault f = { .code = CE_OK };
    unsigned at = 0;
    enum err e = key_list_next(&in, &at, &id, &f);
    ok(e == CE_OK && id.n == want && (!want || at == line) && (!want || (id.bytes[1] == 0x11 && id.bytes[id.n - 1] == (want == 32 ? 0xff : 0x99))), "%s %s", what, f.text);
}

static void refused(const char *text, const char *says, const char *what)
{
    struct span in = span_str(text);
    struct key_list_id id;
    struct fault f = { .code = CE_OK };
    unsigned at = 0;
    ok(key_list_next(&in, &at, &id, &f) == CE_BAD_INPUT && strstr(f.text, says), "%s: %s", what, f.text);
}

/* What OpenSSL prints as the modulus is what is hashed. */
static void debian(void)
{
    struct fault f = { .code = CE_OK };
    char dir[64];
    struct ca root;
    uint8_t id[KEY_DEBIAN_LEN];
    CLEANUP(buf_free) struct buf hex = BUF_INIT(0);
    site_make(dir, &root, 4);
    struct key *k = site_key(dir, "rsa.key", "rsa:3072"), *ec = site_key(dir, "ec.key", "ec:P-256");
    ok(key_debian_id(key_spki(k), id) && !key_debian_id(key_spki(ec), id) && key_debian_id(key_spki(k), id), "an RSA key has such a name, another has none");
    buf_put_hex(&hex, span_of(id, sizeof id));
    ok(site_sh("test \"$(openssl rsa -in %s/rsa.key -modulus -noout 2>/dev/null | openssl sha1 -r | cut -c21-40)\" = %s", dir, buf_cstr(&hex)), "openssl makes the same one %s", f.text);
    key_free(k);
    key_free(ec);
    ca_close(&root);
    site_remove(dir);
}

int main(void)
{
    read_one(KEY64, 32, 1, "64 digits");
    read_one("\r\n# comment\n\n  " KEY64 " the build server\nrubbish", 32, 4, "after comments, with text behind it");
    read_one("00112233445566778899\n", 10, 1, "20 digits");
    read_one("# nothing\n", 0, 0, "an empty list");
    refused("\n" KEY64 "0", "line 2", "65 digits");
    refused("0011223344556677889g", "line 1", "no digit");
    refused("00:11:22", "64 hexadecimal digits", "colons");
    refused(KEY64 ",x", "64 hexadecimal digits", "a comma");
    debian();
    return done();
}
