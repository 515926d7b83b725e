/* signer_cmp.c: signs the answers of CMP by keys/cmp.key. Front wrote them, so the signer looks what they are: an answer of a CA, and every
 * certificate in it is one of this site's CAs or was issued by one, so that nobody gets another trust anchor by our word. See signer.h.
 */
#include <dirent.h>
#include <errno.h>

#include "base/clock.h"
#include "base/file.h"
#include "crypt/cmp.h"
#include "role/signer_impl.h"

/* One of our CAs, another certificate of one's key (a link, or cross-signed), or issued by one. */
static bool cert_is_ours(const struct signer *s, struct span der)
{
    struct cert c;
    struct fault f;
    if (cert_parse(der, &c, &f))
        return false;
    for (size_t i = 0; i < s->n_cmp_cas; i++)
        if (span_eq(c.spki, s->cmp_cas[i].spki))
            return true;
    for (size_t i = 0; i < s->n_cmp_cas; i++)
        if (span_eq(c.aki, s->cmp_cas[i].ski) && cert_check_issued(&c, &s->cmp_cas[i]) == CE_OK)
            return true;
    return false;
}

/* A root that came after this process began: its key is in a link of the same answer, which one of our CAs signed (RFC 4210 4.4). */
static bool cert_is_linked(const struct signer *s, struct span der, const struct span *certs, size_t n)
{
    struct cert c, link;
    if (cert_parse(der, &c, NULL))
        return false;
    for (size_t i = 0; i < n; i++)
        if (cert_parse(certs[i], &link, NULL) == CE_OK && link.is_ca && span_eq(link.spki, c.spki) && cert_is_ours(s, certs[i]))
            return true;
    return false;
}

SIGNER_ANSWER(sign_cmp)
{
    const struct msg_sign_cmp *m = &r->sign_cmp;
    struct span certs[CMP_ANSWER_CERTS];
    size_t n;
    if (!s->cmp_key)
        return s->cmp_elsewhere ? signer_no_key(f, "cmp") : fault_set(f, CE_UNSUPPORTED, "this site has no keys/cmp.key: cradle site renew makes it");
    enum err e = cmp_answer_check(m->part, certs, &n, f);
    for (size_t i = 0; !e && i < n; i++)
        if (!cert_is_ours(s, certs[i]) && !cert_is_linked(s, certs[i], certs, n))
            e = fault_set(f, CE_CERT_FOREIGN, "a certificate in the answer is none of this site's");
    size_t before = body->len;
    e = e ? e : key_sign(s->cmp_key, m->part, body);
    if (!e && pubkey_verify(s->cmp_pub, key_sig_alg(s->cmp_key), m->part, span_of(body->data + before, body->len - before)))
        e = fault_set(f, CE_CRYPTO, "the signature by keys/cmp.key does not hold");
    return e;
}

/* Every CA of the site, wherever its key is. */
static enum err cas_read(struct signer *s, const char *dir, struct fault *f)
{
    char path[PATH_MAX_LEN];
    struct dirent *d;
    path_join(path, "%s/ca", dir);
    DIR *folder = opendir(path);
    if (!folder)
        return fault_set(f, err_from_errno(errno), "%s: %s", path, strerror(errno));
    s->cmp_cas = arena_alloc(&s->arena, CA_SET_MAX * sizeof *s->cmp_cas);
    enum err e = CE_OK;
    while (!e && s->n_cmp_cas < CA_SET_MAX && (d = readdir(folder))) {
        CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
        struct cert *c = &s->cmp_cas[s->n_cmp_cas];
        size_t n = strlen(d->d_name);
        if (d->d_name[0] == '.' || n < 5 || strcmp(d->d_name + n - 4, ".pem") != 0 || strcmp(d->d_name, "bundle.pem") == 0)
            continue;
        path_join(path, "%s/ca/%s", dir, d->d_name);
        e = cert_load(path, &der, c, f);
        if (!e && c->is_ca) {
            e = cert_parse(arena_copy(&s->arena, buf_span(&der)), c, f);
            s->n_cmp_cas++;
        }
    }
    closedir(folder);
    return e;
}

enum err signer_cmp_open(struct signer *s, const char *dir, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX), sig = BUF_INIT(16384);
    char path[PATH_MAX_LEN], uri[PATH_MAX_LEN];
    struct cert c;
    path_join(path, "%s/keys/cmp.key", dir);
    path_join(uri, "%s/keys/cmp.uri", dir);
    if (!file_exists(path) && !file_exists(uri))
        return CE_OK;
    enum err e = s->cfg.keys->open(s->cfg.keys->ctx, dir, "cmp", &s->cmp_key, f);
    s->cmp_elsewhere = !e && !s->cmp_key;
    if (e || !s->cmp_key)
        return e;
    path_join(path, "%s/ca/cmp.pem", dir);
    e = cert_load(path, &der, &c, f);
    if (!e && !span_eq(c.spki, key_spki(s->cmp_key)))
        e = fault_set(f, CE_BAD_CONFIG, "the key cmp is not the key of %s", path);
    e = e ? e : pubkey_open(key_spki(s->cmp_key), &s->cmp_pub);
    e = e ? e : cas_read(s, dir, f);
    if (!e && !s->cfg.unrehearsed && (e = key_sign(s->cmp_key, SPAN_LIT("rehearsal"), &sig)))
        fault_set(f, e, "the key cmp does not sign");
    return e;
}

void signer_cmp_close(struct signer *s)
{
    key_free(s->cmp_key);
    pubkey_free(s->cmp_pub);
}
