/* release_key.c: see release_key.h. */
#include "cli/release_key.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/secret.h"
#include "crypt/pem.h"
#include "wire/tuf.h"

const struct release_key_opts release_key_own = { "--key", "--pkcs11", "--passphrase-file" };
const struct release_key_opts release_key_issuer = { "--issuer-key", "--issuer-pkcs11", "--issuer-passphrase-file" };

enum err release_key_open(struct cli *c, const struct release_key_opts *o, struct key **out, struct fault *f)
{
    const char *path = cli_opt(c, o->file), *uri = cli_opt(c, o->uri);
    char secret[SECRET_MAX];
    if (!path == !uri)
        return fault_set(f, CE_USAGE, "give %s FILE or %s URI", o->file, o->uri);
    if (uri)
        return secret_token_key(uri, NULL, out, NULL, f);
    enum err e = secret_read(cli_opt(c, o->passphrase), false, secret, f);
    e = e ? e : key_read_file(path, secret, out, f);
    mem_zero(secret, sizeof secret);
    return e;
}

static enum err key_encrypt(struct cli *c, const struct key *key, struct buf *pem, struct fault *f)
{
    char secret[SECRET_MAX];
    enum err e = secret_read(cli_opt(c, "--passphrase-file"), true, secret, f);
    if (!e && (e = key_write_pem(key, secret, pem)))
        e = fault_set(f, e, "cannot encrypt the key");
    mem_zero(secret, sizeof secret);
    return e;
}

static enum err new_file(const char *name, const char *ending, struct span bytes, mode_t mode, struct fault *f)
{
    char path[PATH_MAX_LEN];
    path_join(path, "%s.%s", name, ending);
    enum err e = file_write_new(path, bytes, mode);
    return e ? fault_set(f, e, "cannot write %s: %s", path, strerror(errno)) : CE_OK;
}

enum err release_key_new(struct cli *c, const char *name, const char *alg, struct key **out, struct fault *f)
{
    CLEANUP(buf_free) struct buf pem = BUF_INIT(16384), pub = BUF_INIT(16384);
    const char *uri = cli_opt(c, "--pkcs11");
    if (strlen(name) > PATH_MAX_LEN - 10)
        return fault_set(f, CE_USAGE, "the file's name is too long");
    struct arena arena = { 0 };
    struct tuf_key known;
    enum err e = uri ? secret_token_key(uri, alg, out, NULL, f) : key_generate(alg, out, f);
    e = e ? e : tuf_key_make(key_spki(*out), &arena, &known, f); /* a kind of key that no role can name is not written */
    arena_free(&arena);
    if (!e && !uri) {
        e = key_encrypt(c, *out, &pem, f);
        e = e ? e : new_file(name, "key", buf_span(&pem), 0600, f);
    }
    if (e)
        return e;
    pem_encode("PUBLIC KEY", key_spki(*out), &pub);
    return new_file(name, "pub", buf_span(&pub), 0644, f);
}
