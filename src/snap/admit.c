/* admit.c: see admit.h. */
#include "snap/admit.h"

#include "base/clock.h"
#include "base/mem.h"
#include "wire/snapshot.h"

enum err admit_trust_add(struct admit_trust *t, const char *path, struct fault *f)
{
    if (t->n == ADMIT_CAS)
        return fault_set(f, CE_BAD_CONFIG, "%s: more than %d CAs", path, ADMIT_CAS);
    struct admit_ca *ca = &t->ca[t->n];
    ca->der = BUF_INIT(CERT_MAX);
    enum err e = cert_load(path, &ca->der, &ca->cert, f);
    if (!e && (!ca->cert.is_ca || !ca->cert.ski.n))
        e = fault_set(f, CE_BAD_CONFIG, "%s: is no CA certificate with a subject key identifier (RFC 5280 4.2.1.2)", path);
    if (e)
        buf_free(&ca->der);
    else
        t->n++;
    return e;
}

void admit_trust_free(struct admit_trust *t)
{
    for (int i = 0; i < t->n; i++)
        buf_free(&t->ca[i].der);
    t->n = 0;
}

void admit_line(struct span uri, const char *uid, char line[LABEL_MAX + 1])
{
    static const char prefix[] = "urn:cradle:";
    struct span name;
    line[0] = 0;
    if (!span_starts(uri, prefix))
        return;
    uri = span_of(uri.p + sizeof prefix - 1, uri.n - (sizeof prefix - 1));
    if (!span_cut(&uri, ':', &name) || !span_eq_str(uri, uid) || name_check_label("line", name, NULL) || span_to_cstr(name, line, LABEL_MAX + 1))
        line[0] = 0;
}

static void keys_make(struct admit_peer *p, struct span issuer_kid)
{
    snapshot_key_cert(issuer_kid, span_of(p->serial, p->serial_n), p->cert_key);
    snapshot_key_cert(issuer_kid, span_of(NULL, 0), p->ca_key);
    snapshot_key_ident(span_str(p->uid), p->ident_key);
    snapshot_key_line(span_str(p->line), p->line_key);
}

static enum err serial_take(struct span serial, struct admit_peer *p, enum err code, struct fault *f)
{
    if (!serial.n || serial.n > ADMIT_SERIAL)
        return fault_set(f, code, "the serial number has %zu bytes (RFC 5280 4.1.2.2 allows 1 to 20)", serial.n);
    memcpy(p->serial, serial.p, serial.n);
    p->serial_n = (uint8_t)serial.n;
    return CE_OK;
}

/* A CA of the policy document that is for the same use as one of the files: they name one, the document names them all. */
static const struct policy_ca *policy_issuer(const struct cert *c, const struct admit_trust *t, const struct policy *policy)
{
    const struct policy_ca *ca = policy ? policy_ca(policy, c->aki) : NULL;
    for (int i = 0; ca && i < t->n; i++) {
        const struct policy_ca *own = policy_ca(policy, t->ca[i].cert.ski);
        if (own && own->kind == ca->kind)
            return ca;
    }
    return NULL;
}

static enum err issuer_check(const struct cert *c, const struct admit_trust *t, const struct policy *policy, const char *uid, struct fault *f)
{
    const struct policy_ca *more = policy_issuer(c, t, policy);
    struct cert ca;
    if (more && cert_parse(more->der, &ca, NULL) == CE_OK && cert_check_issued(c, &ca) == CE_OK)
        return CE_OK;
    for (int i = 0; i < t->n; i++) {
        if (!span_eq(c->aki, t->ca[i].cert.ski))
            continue;
        enum err e = cert_check_issued(c, &t->ca[i].cert);
        if (e && e != CE_CERT_FOREIGN)
            return fault_set(f, CE_BAD_SIGNATURE, "the certificate of %s is not signed by the CA that it names (RFC 5280 6.1.3)", uid);
        if (!e)
            return CE_OK;
    }
    return fault_set(f, CE_CERT_FOREIGN, "the certificate of %s was issued by none of the CAs that are let in here", uid);
}

enum err admit_read(struct span der, const struct admit_trust *t, struct admit_peer *out, struct fault *f)
{
    return admit_read_policy(der, t, NULL, out, f);
}

enum err admit_read_policy(struct span der, const struct admit_trust *t, const struct policy *policy, struct admit_peer *out, struct fault *f)
{
    struct cert c;
    *out = (struct admit_peer){ 0 };
    enum err e = cert_parse(der, &c, f);
    if (!e)
        e = serial_take(c.serial, out, CE_BAD_CERT, f);
    if (!e)
        e = name_check_uid(c.cn, f);
    if (!e)
        e = span_to_cstr(c.cn, out->uid, sizeof out->uid);
    if (e)
        return e;
    out->not_before = c.not_before;
    out->not_after = c.not_after;
    admit_line(c.san_uri, out->uid, out->line);
    keys_make(out, c.aki);
    if ((e = issuer_check(&c, t, policy, out->uid, f)))
        return e;
    if (cert_is_idevid(&c))
        return fault_set(f, CE_IDEVID_ONLY, "the certificate of %s is its initial identity (IDevID, RFC 4108 hardwareModuleName): it enrolls and does nothing else", out->uid);
    if (c.is_ca || !(c.eku & EKU_CLIENT_AUTH))
        return fault_set(f, CE_CERT_FOREIGN, "the certificate of %s is not for clients (RFC 5280 4.2.1.12: no clientAuth)", out->uid);
    return CE_OK;
}

enum err admit_name(struct span issuer_kid, struct span serial, struct span uid, struct span line, struct admit_peer *out, struct fault *f)
{
    *out = (struct admit_peer){ .not_before = INT64_MIN, .not_after = INT64_MAX };
    while (serial.n > 1 && !serial.p[0]) /* the snapshot's keys are made of the minimal number */
        serial = span_of(serial.p + 1, serial.n - 1);
    if (issuer_kid.n != SNAPSHOT_KEY)
        return fault_set(f, CE_BAD_FIELD, "issuer: %zu bytes; a subject key identifier of cradle has %d", issuer_kid.n, SNAPSHOT_KEY);
    enum err e = serial_take(serial, out, CE_BAD_FIELD, f);
    if (!e)
        e = name_check_uid(uid, f);
    if (!e && line.n)
        e = name_check_label("line", line, f);
    if (!e)
        e = span_to_cstr(uid, out->uid, sizeof out->uid);
    if (!e)
        e = span_to_cstr(line, out->line, sizeof out->line);
    if (!e)
        keys_make(out, issuer_kid);
    return e;
}

static enum err judge_dates(const struct admit_peer *p, int64_t now_s, struct fault *f)
{
    char text[CLOCK_TEXT_MAX];
    if (now_s < p->not_before) {
        clock_text_s(p->not_before, text);
        return fault_set(f, CE_CERT_NOT_YET, "the certificate of %s begins at %s (RFC 5280 4.1.2.5); is a clock wrong?", p->uid, text);
    }
    if (now_s > p->not_after) {
        clock_text_s(p->not_after, text);
        return fault_set(f, CE_CERT_EXPIRED, "the certificate of %s ended at %s (RFC 5280 4.1.2.5); renew it by EST", p->uid, text);
    }
    return CE_OK;
}

enum err admit_judge(const struct admit_peer *p, struct snap *snap, int64_t now_s, int64_t refuse_ms, struct fault *f)
{
    enum err e = judge_dates(p, now_s, f);
    if (e)
        return e;
    if (!snap)
        return fault_set(f, CE_STALE, "there is no revocation snapshot yet: nobody is let in (cradle-edge -s)");
    if (snap_has(snap, SNAPSHOT_SET_IDENT, p->ident_key))
        return fault_set(f, CE_DEVICE_REVOKED, "%s is blocked (revoked, suspended or decommissioned): cradle device show %s", p->uid, p->uid);
    if (snap_has(snap, SNAPSHOT_SET_CERT, p->ca_key))
        return fault_set(f, CE_CA_RETIRED, "the CA that issued the certificate of %s is retired or compromised", p->uid);
    if (snap_has(snap, SNAPSHOT_SET_CERT, p->cert_key))
        return fault_set(f, CE_CERT_REVOKED, "the certificate of %s is revoked", p->uid);
    if (p->line[0] && snap_has(snap, SNAPSHOT_SET_LINE, p->line_key))
        return fault_set(f, CE_LINE_SUSPENDED, "the product line %s of %s is suspended", p->line, p->uid);
    if (snap_has(snap, SNAPSHOT_SET_REPAIR, p->ident_key))
        return fault_set(f, CE_DEVICE_QUARANTINED, "%s is in quarantine: it may talk to its repair topics only: cradle device show %s", p->uid, p->uid);
    int64_t age_ms = snap_age_ms(snap);
    if (age_ms > refuse_ms)
        return fault_set(f, CE_STALE, "the revocation snapshot is %lld s old, more than %lld s: nobody is let in (cradle-edge -s)",
                         (long long)age_ms / 1000, (long long)refuse_ms / 1000);
    return CE_OK;
}

const char *admit_state(enum err verdict) { return !verdict ? "active" : verdict == CE_DEVICE_QUARANTINED ? "quarantined" : ""; }
