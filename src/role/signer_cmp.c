/* signer_cmp.c: signs the answers of CMP by keys/cmp.key. Front wrote them, so the signer looks what they are: an answer of a CA, and every
 * certificate in it is one of this site's CAs or was issued by one, so that nobody gets another trust anchor by our word. See signer.h.
 */
#include "base/clock.h"
#include "base/file.h"
#include "crypt/cmp.h"
#include "role/signer_impl.h"

/* One of our CAs, or issued by one. */
static bool cert_is_ours(const struct signer *s, struct span der)
{
    struct cert c;
    struct fault f;
    for (size_t i = 0; i < s->n_cas; i++)
        if (span_eq(der, s->cas[i].cert.der))
            return true;
    if (cert_parse(der, &c, &f))
        return false;
    for (size_t i = 0; i < s->n_cas; i++)
        if (!c.is_ca && span_eq(c.aki, s->cas[i].cert.ski) && cert_check_issued(&c, &s->cas[i].cert) == CE_OK)
            return true;
    return false;
}

SIGNER_ANSWER(sign_cmp)
{
    const struct msg_sign_cmp *m = &r->sign_cmp;
    struct span certs[CMP_ANSWER_CERTS];
    size_t n;
    if (!s->cmp_key)
        return fault_set(f, CE_UNSUPPORTED, "this site has no keys/cmp.key: cradle site renew makes it");
    enum err e = cmp_answer_check(m->part, certs, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        if (!cert_is_ours(s, certs[i]))
            e = fault_set(f, CE_CERT_FOREIGN, "a certificate in the answer is none of this site's");
    size_t before = body->len;
    e = e ? e : key_sign(s->cmp_key, m->part, body);
    if (!e && pubkey_verify(s->cmp_pub, key_sig_alg(s->cmp_key), m->part, span_of(body->data + before, body->len - before)))
        e = fault_set(f, CE_CRYPTO, "the signature by keys/cmp.key does not hold");
    return e;
}

enum err signer_cmp_open(struct signer *s, const char *dir, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX), sig = BUF_INIT(16384);
    char path[PATH_MAX_LEN];
    struct cert c;
    path_join(path, "%s/keys/cmp.key", dir);
    if (!file_exists(path))
        return CE_OK;
    enum err e = s->cfg.keys->open(s->cfg.keys->ctx, dir, "cmp", &s->cmp_key, f);
    if (e || !s->cmp_key)
        return e;
    path_join(path, "%s/ca/cmp.pem", dir);
    e = cert_load(path, &der, &c, f);
    if (!e && !span_eq(c.spki, key_spki(s->cmp_key)))
        e = fault_set(f, CE_BAD_CONFIG, "keys/cmp.key is not the key of %s", path);
    e = e ? e : pubkey_open(key_spki(s->cmp_key), &s->cmp_pub);
    if (!e && (e = key_sign(s->cmp_key, SPAN_LIT("rehearsal"), &sig)))
        fault_set(f, e, "keys/cmp.key does not sign");
    return e;
}

void signer_cmp_close(struct signer *s)
{
    key_free(s->cmp_key);
    pubkey_free(s->cmp_pub);
}
