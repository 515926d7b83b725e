/* chain.c: see chain.h. */
#include "crypt/chain.h"

#include "base/clock.h"
#include "crypt/key_gate.h"

static enum err chain_bad(struct fault *f, const struct cert *c, const char *rule)
{
    struct span who = c->cn.n && span_is_utf8(c->cn) ? c->cn : SPAN_LIT("without CN");
    return fault_set(f, CE_CHAIN, "certificate '" SPAN_FMT "': RFC 5280 %s", SPAN_ARG(who), rule);
}

static bool ended(const struct cert *c, int64_t now_s) { return c->not_after != CERT_NO_END && now_s > c->not_after; }

/* -- anchors -------------------------------------------------------------------------------------------------------------------------- */
static enum err ca_judge(const struct cert *c, struct fault *f)
{
    if (!c->is_ca)
        return chain_bad(f, c, "4.2.1.9: is no CA");
    if (c->key_usage && !(c->key_usage & KU_CERT_SIGN))
        return chain_bad(f, c, "4.2.1.3: its key usage does not allow to sign certificates");
    if (c->eku && !(c->eku & (EKU_CLIENT_AUTH | EKU_ANY)))
        return chain_bad(f, c, "4.2.1.12: its extended key usage does not allow TLS clients below it");
    if (c->critical_unknown)
        return chain_bad(f, c, "4.2: has name constraints or a critical extension that is not supported");
    return CE_OK;
}

static enum err ca_read(struct span der, struct cert *out, struct fault *f)
{
    struct spki_info key;
    enum err e = cert_parse(der, out, f);
    e = e ? e : ca_judge(out, f);
    return e ? e : key_gate(out->spki, NULL, &key, f);
}

/* The bytes of one DER element at the front of *in; cert_parse judges them. */
static bool der_first(struct span *in, struct span *one)
{
    struct span at = *in;
    uint8_t tag, len;
    size_t n = 0;
    if (!span_get_u8(&at, &tag) || !span_get_u8(&at, &len))
        return false;
    if (len < 0x80)
        n = len;
    for (unsigned k = len < 0x80 ? 0 : len & 0x7f; k; k--) {
        uint8_t digit;
        if ((len & 0x7f) > 3 || !span_get_u8(&at, &digit))
            return false;
        n = n << 8 | digit;
    }
    if (n > at.n)
        return false;
    *one = span_of(in->p, (size_t)(at.p - in->p) + n);
    return span_get(in, one->n, one);
}

enum err chain_anchor_read(struct span root, struct span inters, struct chain_anchor *out, struct fault *f)
{
    struct span one;
    out->n_inter = 0;
    if (root.n > CHAIN_DER_MAX || inters.n > CHAIN_DER_MAX - root.n)
        return fault_set(f, CE_TOO_LARGE, "an anchor and its intermediate CAs may have %d bytes together", CHAIN_DER_MAX);
    enum err e = ca_read(root, &out->root, f);
    while (!e && inters.n) {
        if (out->n_inter == CHAIN_CAS_MAX)
            return fault_set(f, CE_TOO_LARGE, "at most %d intermediate CAs may be given with an anchor", CHAIN_CAS_MAX);
        if (!der_first(&inters, &one))
            return fault_set(f, CE_BAD_CERT, "an intermediate CA is not a certificate in DER, or cut short");
        e = ca_read(one, &out->inter[out->n_inter], f);
        out->n_inter += !e;
    }
    return e;
}

#define CHAIN_TRIES 32

void chain_more_read(const struct span *ders, size_t n, struct chain_more *out)
{
    out->n = 0;
    out->tries = CHAIN_TRIES;
    for (size_t i = 0; i < n && out->n < CHAIN_CAS_MAX; i++)
        out->n += ca_read(ders[i], &out->ca[out->n], NULL) == CE_OK;
}

/* -- path ----------------------------------------------------------------------------------------------------------------------------- */
static bool names_issuer(const struct cert *c, const struct cert *issuer)
{
    return span_eq(c->issuer, issuer->subject) && !(c->aki.n && issuer->ski.n && !span_eq(c->aki, issuer->ski));
}

struct climb {
    const struct chain_anchor *a;
    struct chain_more *more; /* may be NULL */
    int64_t now_s;
    bool named;          /* somebody known here is named as the issuer */
    struct fault *f;
};

/* below: CAs between this one and the leaf that are not self-issued (RFC 5280 6.1.4 (l), (m)). */
static enum err issuer_judge(struct climb *x, const struct cert *c, const struct cert *issuer, int below)
{
    enum err e = ca_judge(issuer, x->f);
    if (e)
        return e;
    if (issuer->path_len >= 0 && below > issuer->path_len)
        return chain_bad(x->f, issuer, "4.2.1.9: its path length does not allow so many CAs below it");
    if (x->now_s < issuer->not_before)
        return chain_bad(x->f, issuer, "6.1.3 (a)(2): this CA is not valid yet");
    if (ended(issuer, x->now_s))
        return chain_bad(x->f, issuer, "6.1.3 (a)(2): this CA has expired");
    if (x->more && x->more->tries-- <= 0)
        return fault_set(x->f, CE_CHAIN, "the certificates that came with it make too many paths");
    if (c->sig_alg == SIG_NONE)
        return chain_bad(x->f, c, "4.1.1.2: is signed with an algorithm that is not taken (SHA-1 and MD5 are none, RSA-PSS neither)");
    if (spki_verify(issuer->spki, c->sig_alg, c->tbs, c->sig))
        return chain_bad(x->f, c, "6.1.3 (a)(1): the signature of the issuer that it names does not hold");
    return CE_OK;
}

/* certs: how many of the path are below and with c. The last fault of a path that was named stays in x->f. */
static enum err climb(struct climb *x, const struct cert *c, int certs, int below)
{
    enum err e = CE_CERT_FOREIGN;
    if (names_issuer(c, &x->a->root)) {
        x->named = true;
        if (!(e = issuer_judge(x, c, &x->a->root, below)))
            return CE_OK;
    }
    for (size_t i = 0; i < x->a->n_inter + (x->more ? x->more->n : 0); i++) {
        const struct cert *up = i < x->a->n_inter ? &x->a->inter[i] : &x->more->ca[i - x->a->n_inter];
        if (up == c || !names_issuer(c, up))
            continue;
        x->named = x->named || i < x->a->n_inter; /* what came with the leaf is not known here */
        if (certs + 2 > CHAIN_MAX) { /* with up and an anchor */
            e = fault_set(x->f, CE_CHAIN, "the path has more than %d certificates", CHAIN_MAX);
            continue;
        }
        e = climb(x, up, certs + 1, below + !span_eq(up->issuer, up->subject)); /* from the anchor down: who names none costs no signature */
        if (e == CE_CERT_FOREIGN)
            e = chain_bad(x->f, up, "6.1: its issuer is neither the anchor nor given with it");
        e = e ? e : issuer_judge(x, c, up, below);
        if (!e)
            return CE_OK;
    }
    return e;
}

static enum err leaf_judge(const struct cert *leaf, int64_t now_s, struct fault *f)
{
    char text[CLOCK_TEXT_MAX];
    struct spki_info key;
    if (leaf->is_ca)
        return chain_bad(f, leaf, "4.2.1.9: a CA is no device");
    if (leaf->key_usage && !(leaf->key_usage & KU_DIGITAL_SIGNATURE))
        return chain_bad(f, leaf, "4.2.1.3: its key usage does not allow signatures");
    if (leaf->eku && !(leaf->eku & (EKU_CLIENT_AUTH | EKU_ANY)))
        return chain_bad(f, leaf, "4.2.1.12: its extended key usage does not allow TLS clients");
    if (leaf->critical_unknown)
        return chain_bad(f, leaf, "4.2: has a critical extension that is not supported");
    clock_text_s(now_s < leaf->not_before ? leaf->not_before : leaf->not_after, text);
    if (now_s < leaf->not_before)
        return fault_set(f, CE_CERT_NOT_YET, "the client certificate begins at %s; is a clock wrong?", text);
    if (ended(leaf, now_s))
        return fault_set(f, CE_CERT_EXPIRED, "the client certificate ended at %s", text);
    return key_gate(leaf->spki, NULL, &key, f);
}

enum err chain_verify(const struct cert *leaf, const struct chain_anchor *a, struct chain_more *more, int64_t now_s, struct fault *f)
{
    struct climb x = { .a = a, .more = more, .now_s = now_s, .f = f };
    enum err e = climb(&x, leaf, 1, 0);
    if (e && !x.named)
        return fault_set(f, CE_CERT_FOREIGN, "the client certificate names no issuer that is known here");
    return e ? e : leaf_judge(leaf, now_s, f);
}
