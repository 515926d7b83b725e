/* x509_sign.c: see x509_sign.h. */
#include "crypt/x509_sign.h"

#include "base/mem.h"
#include "crypt/der.h"

#define SIGNATURE_MAX 8192

static enum err tail_put(enum err e, enum sig_alg alg, struct span sig, struct buf *out, struct fault *f)
{
    if (e)
        return fault_set(f, e, "%s", err_text(e));
    buf_put_span(out, sig_alg_der(alg));
    der_put_bits(out, sig);
    return buf_err(out) ? fault_set(f, buf_err(out), "%s", err_text(buf_err(out))) : CE_OK;
}

enum err x509_sign_judged(struct key *key, struct pubkey *pub, struct span tbs, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf sig = BUF_INIT(SIGNATURE_MAX);
    enum sig_alg alg = key_sig_alg(key);
    enum err e = key_sign(key, tbs, &sig);
    if (!e && pubkey_verify(pub, alg, tbs, buf_span(&sig)))
        e = CE_CRYPTO;
    return tail_put(e, alg, buf_span(&sig), out, f);
}

enum err x509_sign_digest(struct key *key, struct pubkey *pub, struct span digest, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf sig = BUF_INIT(SIGNATURE_MAX);
    enum sig_alg alg = key_sig_alg(key);
    enum err e = key_sign_digest(key, digest, &sig);
    if (!e && pubkey_verify_digest(pub, alg, digest, buf_span(&sig)))
        e = CE_CRYPTO;
    return tail_put(e, alg, buf_span(&sig), out, f);
}

enum err x509_sign(enum lint_object kind, struct key *key, struct pubkey *pub, struct span tbs, struct buf *out, struct fault *f)
{
    enum err e = lint_release(kind, tbs, sig_alg_der(key_sig_alg(key)), f);
    return e ? e : x509_sign_judged(key, pub, tbs, out, f);
}

enum err x509_wrap(enum lint_object kind, struct key *key, struct pubkey *pub, struct span tbs, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf tail = BUF_INIT(SIGNATURE_MAX + 64);
    enum err e = x509_sign(kind, key, pub, tbs, &tail, f);
    if (e)
        return e;
    der_put_header(out, DER_SEQUENCE, tbs.n + tail.len);
    buf_put_span(out, tbs);
    buf_put_span(out, buf_span(&tail));
    return buf_err(out) ? fault_set(f, buf_err(out), "%s", err_text(buf_err(out))) : CE_OK;
}
