/* issue.c: leaf certificates from profiles. The certificates of a site itself are issue_site.c. See issue.h. */
#include "crypt/issue.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypt/dn.h"
#include "crypt/oid_text.h"
#include "crypt/tbs.h"
#include "crypt/x509_sign.h"

#define SERIAL_TIME 6 /* bytes of the time in a serial number */

enum err issue_serial(uint8_t out[ISSUE_SERIAL])
{
    int64_t ms = clock_now_ms();
    for (int i = 0; i < SERIAL_TIME; i++)
        out[i] = (uint8_t)(ms >> 8 * (SERIAL_TIME - 1 - i));
    out[0] = (out[0] & 0x7f) ? out[0] & 0x7f : 1; /* positive, and of full length also when the clock is far off */
    return random_bytes(out + SERIAL_TIME, ISSUE_SERIAL - SERIAL_TIME);
}

static enum err issue_check_names(const struct profile_values *v, struct fault *f)
{
    enum err e = name_check_uid(v->uid, f);
    if (!e)
        e = name_check_text("the device's serial number", v->serial, 64, f);
    if (!e && v->line.n)
        e = name_check_label("the line", v->line, f);
    if (!e && v->role.n)
        e = name_check_label("the role", v->role, f);
    return e;
}

static enum err issue_check(const struct ca *ca, const struct profile *p, const struct issue_request *r, struct spki_info *key,
                            struct fault *f)
{
    if (!ca->key)
        return fault_set(f, CE_SIGNER, "the key of CA %s is not here", ca->name);
    if (!ca_use_serves(ca->use, ca_use_find(span_str(p->ca))))
        return fault_set(f, CE_BAD_FIELD, "profile %s is issued by CAs for use %s; CA %s is not one", p->name, p->ca, ca->name);
    if (r->serial.n != ISSUE_SERIAL || r->serial.p[0] == 0 || r->serial.p[0] > 0x7f)
        return fault_set(f, CE_BAD_FIELD, "a serial number must be %d bytes and positive", ISSUE_SERIAL);
    if (r->not_before >= r->not_after || r->not_before < 0)
        return fault_set(f, CE_BAD_FIELD, "notAfter must be later than notBefore");
    if (p->no_end != (r->not_after == CERT_NO_END))
        return fault_set(f, CE_BAD_FIELD, "profile %s makes certificates %s", p->name, p->no_end ? "without an end only" : "that end");
    if (!p->no_end && r->not_after - r->not_before > p->validity_max_s + p->backdate_s)
        return fault_set(f, CE_BAD_FIELD, "profile %s allows a lifetime of %lld s; %lld s were asked for", p->name,
                         (long long)p->validity_max_s, (long long)(r->not_after - r->not_before));
    if (*p->hw_type && !r->values.serial.n)
        return fault_set(f, CE_BAD_FIELD, "an initial identity has the device's serial number (IEEE 802.1AR), and none is given");
    if (!p->no_end && r->not_after > ca->cert.not_after)
        return fault_set(f, CE_BAD_FIELD, "the certificate would outlive CA %s", ca->name);
    enum err e = issue_check_names(&r->values, f);
    const struct key_policy policy = profile_key_policy(p);
    return e ? e : key_gate(r->spki, &policy, key, f);
}

static void issue_leaf_extensions(const struct ca *ca, const struct profile *p, const struct issue_request *r,
                                  const struct spki_info *key, struct span san_uri, struct span hw_type, struct buf *tbs)
{
    char crl[CA_URL_OUT], cert[CA_URL_OUT], ocsp[CA_URL_OUT];
    ca_url_crl(ca, ca_shard(ca, r->serial), crl);
    ca_url_cert(ca, cert);
    ca_url_ocsp(ca, ocsp);
    ext_put_aki(tbs, ca->cert.ski);
    tbs_put_ski(tbs, key->key);
    tbs_put_basic(tbs, false, -1);
    tbs_put_key_usage(tbs, KU_DIGITAL_SIGNATURE);
    tbs_put_eku(tbs, (p->client_auth ? EKU_CLIENT_AUTH : 0) | (p->server_auth ? EKU_SERVER_AUTH : 0) | (*p->hw_type && !p->client_auth ? EKU_IDEVID : 0));
    if (p->urls) {
        tbs_put_cdp(tbs, crl);
        tbs_put_aia(tbs, ocsp, cert);
    }
    if (hw_type.n)
        tbs_put_san_hardware(tbs, san_uri, hw_type, r->values.serial);
    else if (san_uri.n)
        tbs_put_san_uri(tbs, san_uri);
}

enum err issue_leaf(struct ca *ca, const struct profile *p, const struct issue_request *r, struct buf *out, struct fault *f)
{
    CLEANUP(buf_free) struct buf subject = BUF_INIT(2048), san = BUF_INIT(2048), hw = BUF_INIT(0), tbs = BUF_INIT(TBS_MAX);
    struct spki_info key;
    enum err e = issue_check(ca, p, r, &key, f);
    if (!e)
        e = profile_subject(p, &r->values, &subject, f);
    if (!e)
        e = profile_san_uri(p, &r->values, &san, f);
    if (!e && *p->hw_type)
        e = oid_from_text("hw_type", span_str(p->hw_type), &hw, f);
    if (e)
        return e;
    struct tbs_mark m = tbs_begin(&tbs, &(struct tbs_head){ .serial = r->serial, .sig_alg = key_sig_alg(ca->key),
                                                             .issuer = ca->cert.subject, .subject = buf_span(&subject),
                                                             .not_before = r->not_before, .not_after = r->not_after, .spki = r->spki });
    issue_leaf_extensions(ca, p, r, &key, buf_span(&san), buf_span(&hw), &tbs);
    tbs_end(&tbs, m);
    struct fault why = { .code = CE_OK };
    e = buf_err(&tbs) ? fault_set(&why, buf_err(&tbs), "%s", err_text(buf_err(&tbs))) : x509_wrap(LINT_CERT, ca->key, ca->pub, buf_span(&tbs), out, &why);
    return e ? fault_set(f, e, "the certificate for " SPAN_FMT " is not signed: %s", SPAN_ARG(r->values.uid), why.text) : CE_OK;
}
