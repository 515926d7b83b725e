/* judge.c: the verdict on a connection. */
#include "plugin/judge.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypt/cert.h"
#include "snap/admit.h"
#include "wire/snapshot.h"

enum err judge_trust_ca(const char *path, uint8_t (*list)[JUDGE_KID], int *n, struct fault *f)
{
    CLEANUP(buf_free) struct buf der = BUF_INIT(CERT_MAX);
    struct cert c;
    enum err e = cert_load(path, &der, &c, f);
    if (e)
        return e;
    if (!c.is_ca || c.ski.n != JUDGE_KID)
        return fault_set(f, CE_BAD_CONFIG, "%s: is no CA certificate with a 20-byte subject key identifier", path);
    if (*n == JUDGE_CAS)
        return fault_set(f, CE_BAD_CONFIG, "%s: more than %d CAs of one kind", path, JUDGE_CAS);
    memcpy(list[(*n)++], c.ski.p, JUDGE_KID);
    return CE_OK;
}

static bool kid_listed(struct span aki, const uint8_t (*list)[JUDGE_KID], int n)
{
    for (int i = 0; i < n; i++)
        if (span_eq(aki, span_of(list[i], JUDGE_KID)))
            return true;
    return false;
}

enum err peer_read(struct span der, const struct judge_trust *trust, struct peer *out, struct fault *f)
{
    struct cert c;
    *out = (struct peer){ 0 };
    enum err e = cert_parse(der, &c, f);
    if (!e)
        e = name_check_uid(c.cn, f);
    if (!e)
        e = span_to_cstr(c.cn, out->cn, sizeof out->cn);
    if (!e && (!c.serial.n || c.serial.n > JUDGE_SERIAL))
        e = fault_set(f, CE_BAD_CERT, "the serial number has %zu bytes (RFC 5280 4.1.2.2 allows 1 to 20)", c.serial.n);
    if (e)
        return e;
    memcpy(out->serial, c.serial.p, c.serial.n);
    out->serial_n = (uint8_t)c.serial.n;
    out->not_before = c.not_before;
    out->not_after = c.not_after;
    out->client_auth = (c.eku & EKU_CLIENT_AUTH) != 0 && !c.is_ca;
    if (kid_listed(c.aki, (const uint8_t(*)[JUDGE_KID])trust->device_ca, trust->n_device_ca))
        out->kind = PEER_DEVICE;
    else if (kid_listed(c.aki, (const uint8_t(*)[JUDGE_KID])trust->backend_ca, trust->n_backend_ca))
        out->kind = PEER_BACKEND;
    admit_line(c.san_uri, out->cn, out->line);
    snapshot_key_cert(c.aki, c.serial, out->cert_key);
    snapshot_key_cert(c.aki, span_of(NULL, 0), out->ca_key);
    out->aki_n = c.aki.n == JUDGE_KID ? JUDGE_KID : 0;
    memcpy(out->aki, c.aki.p, out->aki_n);
    snapshot_key_ident(span_str(out->cn), out->ident_key);
    snapshot_key_line(span_str(out->line), out->line_key);
    if (cert_is_idevid(&c))
        return fault_set(f, CE_IDEVID_ONLY, "the certificate of %s is its initial identity (IDevID, RFC 4108 hardwareModuleName): it enrolls and does nothing else", out->cn);
    return CE_OK;
}

/* The files name the CAs that there were when the broker was set up; the policy document names those of today. */
void peer_place(struct peer *p, const struct judge_trust *trust, const struct policy *policy)
{
    const struct policy_ca *ca = policy && p->kind == PEER_FOREIGN ? policy_ca(policy, span_of(p->aki, p->aki_n)) : NULL;
    if (ca && ca->kind == POLICY_CA_DEVICE)
        p->kind = PEER_DEVICE;
    else if (ca && ca->kind == POLICY_CA_INFRA && trust->n_backend_ca)
        p->kind = PEER_BACKEND;
}

static enum err judge_dates(const struct peer *p, int64_t now_s, struct fault *f)
{
    char text[CLOCK_TEXT_MAX];
    if (now_s < p->not_before) {
        clock_text_s(p->not_before, text);
        return fault_set(f, CE_CERT_NOT_YET, "the certificate of %s begins at %s (RFC 5280 4.1.2.5); is a clock wrong?", p->cn, text);
    }
    if (now_s > p->not_after) {
        clock_text_s(p->not_after, text);
        return fault_set(f, CE_CERT_EXPIRED, "the certificate of %s ended at %s (RFC 5280 4.1.2.5); renew it by EST", p->cn, text);
    }
    return CE_OK;
}

static enum err judge_state(const struct peer *p, const struct judge_facts *facts, struct fault *f)
{
    if (facts->ident_blocked)
        return p->kind == PEER_BACKEND
                   ? fault_set(f, CE_OPERATOR_REMOVED, "%s has been removed", p->cn)
                   : fault_set(f, CE_DEVICE_REVOKED, "%s is blocked (revoked, suspended or decommissioned): cradle device show %s", p->cn, p->cn);
    if (facts->ca_ended)
        return fault_set(f, CE_CA_RETIRED, "the CA that issued the certificate of %s is retired or compromised", p->cn);
    if (facts->cert_revoked)
        return fault_set(f, CE_CERT_REVOKED, "the certificate of %s is revoked", p->cn);
    if (facts->line_suspended)
        return fault_set(f, CE_LINE_SUSPENDED, "the product line %s of %s is suspended", p->line, p->cn);
    if (facts->live && facts->quarantined && !facts->repair)
        return fault_set(f, CE_DEVICE_QUARANTINED, "%s is in quarantine from now on; it may log in again to its repair topics", p->cn);
    if (facts->live && facts->repair && !facts->quarantined)
        return fault_set(f, CE_QUARANTINE_OVER, "the quarantine of %s is over; it gets its topics when it logs in again", p->cn);
    if (p->kind == PEER_DEVICE && !facts->live && !facts->line_known)
        return p->line[0] ? fault_set(f, CE_LINE_UNKNOWN, "the product line %s of %s is not in the policy that is in force here", p->line, p->cn)
                          : fault_set(f, CE_LINE_UNKNOWN, "the certificate of %s names no product line (SAN URI urn:cradle:LINE:UID)", p->cn);
    if (!facts->live && facts->age_ms > facts->refuse_ms)
        return fault_set(f, CE_STALE, "the revocation snapshot is %lld s old, more than %lld s: new logins are refused (cradle-edge -s)",
                         (long long)facts->age_ms / 1000, (long long)facts->refuse_ms / 1000);
    return CE_OK;
}

enum err judge_peer(const struct peer *p, const char *client_id, const struct judge_facts *facts, struct fault *f)
{
    if (p->kind == PEER_FOREIGN)
        return fault_set(f, CE_CERT_FOREIGN, "the certificate of %s was issued by none of this site's issuing CAs", p->cn);
    if (!p->client_auth)
        return fault_set(f, CE_CERT_FOREIGN, "the certificate of %s is not for clients (RFC 5280 4.2.1.12: no clientAuth)", p->cn);
    if (p->kind == PEER_BACKEND && !facts->backend_listed)
        return fault_set(f, CE_ROLE_FORBIDDEN, "%s is no backend in the policy that is in force here: cradle backend list", p->cn);
    if (p->kind == PEER_DEVICE && facts->backend_listed) /* it would take over the session of the one it is called like */
        return fault_set(f, CE_NAME_MISMATCH, "%s is a device that is called like a backend of this site", p->cn);
    enum err e = judge_dates(p, facts->now_s, f);
    if (!e)
        e = judge_state(p, facts, f);
    if (!e && (!client_id || strcmp(client_id, p->cn) != 0))
        e = fault_set(f, CE_NAME_MISMATCH, "the client id is not the certificate's common name %s", p->cn);
    return e;
}
