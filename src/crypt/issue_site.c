/* issue_site.c: the certificates that `cradle init` makes once: root, issuing CAs, OCSP responders, TLS server; and those of
 * a release ceremony. See issue.h. */
#include <arpa/inet.h>
#include <ctype.h>

#include "base/mem.h"
#include "crypt/der.h"
#include "crypt/dn.h"
#include "crypt/hash.h"
#include "crypt/issue.h"
#include "crypt/tbs.h"
#include "crypt/x509_sign.h"

struct site_cert { /* what the four kinds share while they are built */
    uint8_t serial[ISSUE_SERIAL];
    struct buf subject, tbs;
    struct spki_info key;
    struct tbs_mark mark;
};
static void site_cert_free(struct site_cert *c)
{
    buf_free(&c->subject);
    buf_free(&c->tbs);
}

static enum err site_check(const struct ca *ca, const struct issue_spec *s, struct fault *f)
{
    if (ca && !ca->key)
        return fault_set(f, CE_SIGNER, "the key of CA %s is not here", ca->name);
    if (s->not_before >= s->not_after || (ca && s->not_after > ca->cert.not_after))
        return fault_set(f, CE_BAD_FIELD, "%s: notAfter must be later than notBefore and not later than the issuer's end", s->cn);
    enum err e = name_check_text("the common name", span_str(s->cn), DN_VALUE_MAX, f);
    if (!e && s->cn[0] == 0)
        e = fault_set(f, CE_BAD_NAME, "the common name is empty");
    return e ? e : name_check_text("the organisation", span_str(s->org), DN_VALUE_MAX, f);
}

/* Opens the TBS below ca, or a self-signed one when ca is NULL; AKI and SKI are written. */
static enum err site_begin(struct site_cert *c, const struct ca *ca, enum sig_alg alg, const struct issue_spec *s, struct fault *f)
{
    *c = (struct site_cert){ .tbs = BUF_INIT(TBS_MAX) };
    enum err e = site_check(ca, s, f);
    if (!e)
        e = key_gate(s->spki, NULL, &c->key, f);
    if (!e)
        e = issue_serial(c->serial);
    if (e)
        return e;
    size_t name = der_begin(&c->subject, DER_SEQUENCE);
    if (s->org && s->org[0])
        dn_put(&c->subject, DN_O, span_str(s->org));
    dn_put(&c->subject, DN_CN, span_str(s->cn));
    der_end(&c->subject, name);
    uint8_t own_id[SHA1_LEN];
    spki_key_id(&c->key, own_id);
    struct span subject = buf_span(&c->subject);
    c->mark = tbs_begin(&c->tbs, &(struct tbs_head){ .serial = s->serial.n ? s->serial : span_of(c->serial, ISSUE_SERIAL), .sig_alg = alg,
                                                      .issuer = ca ? ca->cert.subject : subject, .subject = subject,
                                                      .not_before = s->not_before, .not_after = s->not_after, .spki = s->spki });
    ext_put_aki(&c->tbs, ca ? ca->cert.ski : span_of(own_id, sizeof own_id));
    tbs_put_ski(&c->tbs, c->key.key);
    return CE_OK;
}

static enum err site_end(struct site_cert *c, struct key *key, struct pubkey *pub, struct buf *out, struct fault *f)
{
    tbs_end(&c->tbs, c->mark);
    struct fault why = { .code = CE_OK };
    enum err e = buf_err(&c->tbs) ? fault_set(&why, buf_err(&c->tbs), "%s", err_text(buf_err(&c->tbs))) : x509_wrap(LINT_CERT, key, pub, buf_span(&c->tbs), out, &why);
    return e ? fault_set(f, e, "the certificate is not signed: %s", why.text) : CE_OK;
}

enum err issue_root(struct key *key, const struct issue_spec *spec, struct buf *out, struct fault *f)
{
    CLEANUP(site_cert_free) struct site_cert c;
    CLEANUP(pubkey_free_p) struct pubkey *pub = NULL;
    struct issue_spec own = *spec;
    own.spki = key_spki(key);
    enum err e = site_begin(&c, NULL, key_sig_alg(key), &own, f);
    if (!e)
        e = pubkey_open(own.spki, &pub);
    if (e)
        return e;
    tbs_put_basic(&c.tbs, true, 1);
    tbs_put_key_usage(&c.tbs, KU_CERT_SIGN | KU_CRL_SIGN);
    return site_end(&c, key, pub, out, f);
}

/* No e-mail addresses and no IP addresses below a CA that issues client certificates only. Excluding DNS names as well would refuse
 * UIDs with a dot: verifiers take such a CN for a host name. */
static void put_name_constraints(struct buf *out)
{
    static const struct { unsigned tag; struct span base; } excluded[] = {
        { DER_CONTEXT(1), SPAN_LIT("") },
        { DER_CONTEXT(7), SPAN_LIT("\0\0\0\0\0\0\0\0") },
        { DER_CONTEXT(7), SPAN_LIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") },
    };
    struct ext_mark x = ext_begin(out, EXT_NAME_CONSTRAINTS, true);
    size_t seq = der_begin(out, DER_SEQUENCE), trees = der_begin(out, DER_CONTEXT_CONS(1));
    for (size_t i = 0; i < ARRAY_LEN(excluded); i++) {
        size_t tree = der_begin(out, DER_SEQUENCE);
        der_put(out, excluded[i].tag, excluded[i].base);
        der_end(out, tree);
    }
    der_end(out, trees);
    der_end(out, seq);
    ext_end(out, x);
}

/* A CA's certificate below a root: what all of them have, before and after what makes them differ. */
static enum err ca_begin(struct site_cert *c, struct ca *root, const struct issue_spec *spec, int path_len, struct fault *f)
{
    enum err e = site_begin(c, root, root->key ? key_sig_alg(root->key) : SIG_NONE, spec, f);
    if (e)
        return e;
    tbs_put_basic(&c->tbs, true, path_len);
    tbs_put_key_usage(&c->tbs, KU_CERT_SIGN | KU_CRL_SIGN);
    return CE_OK;
}

static enum err ca_end(struct site_cert *c, struct ca *root, struct buf *out, struct fault *f)
{
    char crl[CA_URL_OUT], cert[CA_URL_OUT];
    ca_url_crl(root, 0, crl);
    ca_url_cert(root, cert);
    tbs_put_cdp(&c->tbs, crl);
    tbs_put_aia(&c->tbs, NULL, cert);
    return site_end(c, root->key, root->pub, out, f);
}

enum err issue_issuing(struct ca *root, const struct issue_spec *spec, bool server_auth, struct buf *out, struct fault *f)
{
    CLEANUP(site_cert_free) struct site_cert c;
    enum err e = ca_begin(&c, root, spec, 0, f);
    if (e)
        return e;
    tbs_put_eku(&c.tbs, EKU_CLIENT_AUTH | EKU_OCSP_SIGNING | (server_auth ? EKU_SERVER_AUTH | EKU_CMC_RA : 0));
    if (!server_auth)
        put_name_constraints(&c.tbs);
    return ca_end(&c, root, out, f);
}

enum err issue_root_link(struct ca *root, const struct issue_spec *spec, struct buf *out, struct fault *f)
{
    CLEANUP(site_cert_free) struct site_cert c;
    enum err e = ca_begin(&c, root, spec, 1, f);
    return e ? e : ca_end(&c, root, out, f);
}

/* A certificate for signing one kind of answers in the CA's stead. */
static enum err issue_answerer(struct ca *ca, const struct issue_spec *spec, unsigned eku, bool nocheck, struct buf *out, struct fault *f)
{
    CLEANUP(site_cert_free) struct site_cert c;
    enum err e = site_begin(&c, ca, ca->key ? key_sig_alg(ca->key) : SIG_NONE, spec, f);
    if (e)
        return e;
    tbs_put_basic(&c.tbs, false, -1);
    tbs_put_key_usage(&c.tbs, KU_DIGITAL_SIGNATURE);
    tbs_put_eku(&c.tbs, eku);
    if (nocheck)
        tbs_put_nocheck(&c.tbs);
    return site_end(&c, ca->key, ca->pub, out, f);
}

enum err issue_ocsp(struct ca *ca, const struct issue_spec *spec, struct buf *out, struct fault *f) { return issue_answerer(ca, spec, EKU_OCSP_SIGNING, true, out, f); }
enum err issue_cmp(struct ca *ca, const struct issue_spec *spec, struct buf *out, struct fault *f) { return issue_answerer(ca, spec, EKU_CMC_RA, false, out, f); }

static enum err put_host(struct buf *out, struct span host, struct fault *f)
{
    char text[254];
    uint8_t addr[16];
    if (span_to_cstr(host, text, sizeof text))
        return fault_set(f, CE_BAD_NAME, "a host name has at most 253 characters");
    if (inet_pton(AF_INET, text, addr) == 1) {
        der_put(out, DER_CONTEXT(7), span_of(addr, 4));
        return CE_OK;
    }
    if (inet_pton(AF_INET6, text, addr) == 1) {
        der_put(out, DER_CONTEXT(7), span_of(addr, 16));
        return CE_OK;
    }
    for (size_t i = 0; i < host.n; i++)
        if (!isalnum((unsigned char)text[i]) && !strchr("-.*_", text[i]))
            return fault_set(f, CE_BAD_NAME, "'%s' is neither a DNS name nor an IP address", text);
    der_put(out, DER_CONTEXT(2), host);
    return CE_OK;
}

enum err issue_tls(struct ca *ca, const struct issue_spec *spec, const char *hosts, struct buf *out, struct fault *f)
{
    CLEANUP(site_cert_free) struct site_cert c;
    CLEANUP(buf_free) struct buf names = BUF_INIT(8192);
    struct span rest = span_str(hosts);
    enum err e = site_begin(&c, ca, ca->key ? key_sig_alg(ca->key) : SIG_NONE, spec, f);
    while (!e && rest.n) {
        size_t n = 0;
        while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != ',')
            n++;
        if (n)
            e = put_host(&names, span_of(rest.p, n), f);
        rest = span_of(rest.p + n + (n < rest.n), rest.n - n - (n < rest.n));
    }
    if (!e && names.len == 0)
        e = fault_set(f, CE_BAD_NAME, "a TLS server certificate needs at least one host name or IP address");
    if (e)
        return e;
    tbs_put_basic(&c.tbs, false, -1);
    tbs_put_key_usage(&c.tbs, KU_DIGITAL_SIGNATURE);
    tbs_put_eku(&c.tbs, EKU_SERVER_AUTH);
    struct ext_mark x = ext_begin(&c.tbs, EXT_SAN, false);
    der_put(&c.tbs, DER_SEQUENCE, buf_span(&names));
    ext_end(&c.tbs, x);
    return site_end(&c, ca->key, ca->pub, out, f);
}

enum err issue_release_signer(struct ca *ca, struct key *key, const struct issue_spec *spec, struct buf *out, struct fault *f)
{
    CLEANUP(site_cert_free) struct site_cert c = { 0 };
    CLEANUP(pubkey_free_p) struct pubkey *own = NULL;
    struct key *signer = ca ? ca->key : key;
    struct spki_info k;
    enum err e = spki_parse(spec->spki, &k, f);
    if (!e && k.alg != KEY_EC_P256)
        e = fault_set(f, CE_KEY_ALG, "a signer of releases has an ec:P-256 key: the verifiers of devices know no others");
    e = e ? e : site_begin(&c, ca, signer ? key_sig_alg(signer) : SIG_NONE, spec, f);
    if (!e && !ca)
        e = pubkey_open(spec->spki, &own);
    if (e)
        return e;
    tbs_put_basic(&c.tbs, false, -1);
    tbs_put_key_usage(&c.tbs, KU_DIGITAL_SIGNATURE);
    tbs_put_eku(&c.tbs, EKU_CODE_SIGNING | EKU_EMAIL);
    return site_end(&c, signer, ca ? ca->pub : own, out, f);
}
